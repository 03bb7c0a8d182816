"""`reconciler history`, `why`, `graph` and `page`: show the content of the ledger and the files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import options as shared
from reconciler.cli.exit_codes import ACTION_REQUIRED, DONE
from reconciler.cli.output import coloured, out, out_json, print_problems, terminal_width

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.app.options import CommandOptions
    from reconciler.cli.times import WrittenTime
    from reconciler.model.base import JSON
    from reconciler.render.history import PositionedEvent


@click.command("history")
@click.argument("name", shell_complete=shared.complete_specs)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N events.")
@shared.time_option("--since", ago=True, help_text="Only events recorded since this time, such as 2026-11-30 or 36h.")
@shared.format_option("json")
@shared.ledger_options
@shared.takes_options
def history(
    options: CommandOptions, name: str, limit: int | None, since: WrittenTime | None, output_format: str
) -> int:
    """Show everything that the ledger contains about one spec, oldest first: what was intended and sent, how AWS
    responded, and what was observed. Long histories are printed as they are read.

    \b
    Examples:
      reconciler history orders-daily -t prod
      reconciler history orders-daily -t prod --since 2d
      reconciler history orders-daily -t prod --limit 50
    """
    from reconciler.app.history import spec_history
    from reconciler.app.session import opened
    from reconciler.render.history import history_json_parts, history_text, runs_in

    after = shared.resolved(since)
    with opened(options) as session:
        pages = spec_history(session.ledger, name, limit=limit, since=after)
        if output_format == "json":
            runs: dict[str, JSON] = {}

            def events() -> Iterator[PositionedEvent]:
                for page in pages:
                    runs.update(runs_in(page.events, page.intents, session.place))
                    yield from page.events

            for part in history_json_parts(events(), runs):
                out(part)
            return DONE
        empty = True
        for page in pages:
            empty = False
            out(history_text(page.events, coloured(), terminal_width(), page.intents, session.place))
        if empty:
            out(history_text([]))
    return DONE


@click.command("why")
@click.argument("what", shell_complete=shared.complete_specs)
@shared.format_option("json")
@click.option("--no-refresh", is_flag=True, help="Show the recorded state without calling AWS.")
@shared.ledger_options
@shared.takes_options
def why(options: CommandOptions, what: str, output_format: str, no_refresh: bool) -> int:
    """Find the commit that caused a run, or the newest run of a spec: who submitted it, when, from which file, and what
    changed since the previous run.

    WHAT is the name of a spec, a run id (JOB_ID:INDEX for a child of an array job), or a client token or its first
    characters.

    \b
    Examples:
      reconciler why orders-daily -t prod
      reconciler why 00f5qtaa1k4ad80b
    """
    from reconciler.app.history import ask, submission_history
    from reconciler.app.session import opened
    from reconciler.render.history import Refresh, why_json, why_text

    with opened(options) as session:
        submission, history = submission_history(session.ledger, what)
        reported = () if no_refresh else ask(session, {submission.name})
        now = Refresh(session.place, session.now(), [event for event in reported if event.token == submission.token])
    if output_format == "json":
        out_json(why_json(history, now))
    else:
        out(why_text(history, now, color=coloured()))
    return DONE


@click.command("suspensions")
@shared.format_option("json")
@shared.place_options
@shared.takes_options
def suspensions(options: CommandOptions, output_format: str) -> int:
    """Show what is suspended in git: the project or single specs, why, by whom and until when.

    \b
    Example:
      reconciler suspensions -t prod

    Exit code 3 if a suspension is overdue: its end has passed, and still nothing is submitted.
    """
    import os
    from datetime import UTC, datetime

    from reconciler.app.options import target_name
    from reconciler.app.session import SystemClock
    from reconciler.core.desired import overdue, sentence
    from reconciler.model.spec import suspension
    from reconciler.render.text import plain
    from reconciler.specs.project import find_root, load_target, read_project

    file = read_project(find_root(options.directory, Path.cwd()))
    spec = file.project.spec
    target = target_name(options, os.environ, spec.defaultTarget, spec.targets)
    now = datetime.fromtimestamp(SystemClock().now(), UTC)
    specs = load_target(file, target).values()
    suspensions = [(None, suspension(spec.suspend)), *((each.name, suspension(each.policy.suspend)) for each in specs)]
    stopped = [(name, how, overdue(how, now)) for name, how in suspensions if how is not None]
    if output_format == "json":
        out_json({"suspensions": [{"name": n, **how.model_dump(), "overdue": late} for n, how, late in stopped]})
    elif stopped:
        out("\n".join(plain(sentence(name or "the project", how, now)) for name, how, _ in stopped))
    else:
        out("Nothing is suspended.")
    return ACTION_REQUIRED if any(late for _, _, late in stopped) else DONE


@click.command("graph")
@shared.format_option("mermaid", "dot")
@shared.selection_options
@shared.place_options
@shared.takes_options
def graph(options: CommandOptions, output_format: str) -> int:
    """Show the dependencies between specs, reading only the files. With --only or -l, show only the dependencies of the
    selected specs.

    \b
    Examples:
      reconciler graph
      reconciler graph --format mermaid
      reconciler graph --format dot | dot -Tsvg > graph.svg
    """
    import os

    from reconciler.app.options import selected_names, target_name
    from reconciler.render.graph import FORMS, edges
    from reconciler.specs.project import find_root, load_target, read_project

    file = read_project(find_root(options.directory, Path.cwd()))
    target = target_name(options, os.environ, file.project.spec.defaultTarget, file.project.spec.targets)
    specs = load_target(file, target)
    selected = selected_names(options, specs, (), {})
    shown, arrows = specs, edges(specs)
    if selected is not None:
        arrows = tuple(edge for edge in arrows if edge.name in selected)
        names = selected | {edge.needs for edge in arrows}
        shown = {name: spec for name, spec in specs.items() if name in names}
    out(FORMS[output_format](shown, arrows))
    return DONE


@click.command("page")
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="The folder to write to; created if it does not exist.",
)
@click.option("--no-refresh", is_flag=True, help="Show the recorded state without calling AWS.")
@shared.ledger_options
@shared.takes_options
def page(options: CommandOptions, folder: Path, no_refresh: bool) -> int:
    """Write a static site about the target: holds with the commands that resolve them, changes that are not applied, a
    timeline of runs, each spec, the dependencies, and the plan. It needs no server and loads nothing from other hosts.

    \b
    Examples:
      reconciler page -t prod --out page
      reconciler page -t prod --out page && aws s3 sync page s3://BUCKET/page
    """
    from reconciler.app.page import content_now, write
    from reconciler.app.session import opened
    from reconciler.render.page.site import Site
    from reconciler.render.text import count, plain

    with opened(options) as session:
        content = content_now(session, refresh=not no_refresh)
    print_problems(content.plan.problems)
    number = write(Site(content), folder)
    out(f"Wrote {count(number, 'file')}. Open {plain(str(folder / 'index.html'))}")
    return DONE
