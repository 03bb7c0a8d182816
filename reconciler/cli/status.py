"""`reconciler status` and `runs`: the state of each spec, once or repeatedly, and its runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from reconciler.cli import options as shared
from reconciler.cli.exit_codes import DONE, status_exit_code
from reconciler.cli.output import coloured, echo_error, harmless, out, out_json, print_problems, terminal_width
from reconciler.errors import ReconcilerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from reconciler.app.options import CommandOptions
    from reconciler.app.session import ReusableSession
    from reconciler.app.stored_output import AgedLine
    from reconciler.cli.times import WrittenTime
    from reconciler.core.plan import Plan
    from reconciler.core.state import Recorded
    from reconciler.render.status import StatusRow

PAUSE_SECONDS = 5.0


SORTS = ("name", "state", "age", "next-slot")
STATES = ("none", "intended", "submitted", "running", "succeeded", "failed", "cancelled", "unknown", "lost")


@click.command("status")
@shared.format_option("json")
@shared.output_option("wide", "name", "json")
@click.option("--sort", type=click.Choice(SORTS), default="name", show_default=True, help="The order of the rows.")
@click.option("--state", "states", help=f"Only specs in these states, separated by commas: {', '.join(STATES)}.")
@click.option("--no-refresh", is_flag=True, help="Show the recorded state without calling AWS.")
@click.option("--watch", is_flag=True, help="Refresh the table every few seconds until interrupted, on a terminal.")
@shared.selection_options
@shared.cache_option
@shared.ledger_options
@shared.takes_options
def status(
    options: CommandOptions,
    *,
    output_format: str,
    output: str | None,
    sort: str,
    states: str | None,
    no_refresh: bool,
    watch: bool,
) -> int:
    """Show, for each spec, the run that it should have, its last run, the age of that run, and its state in reconciler
    and in AWS. Writes nothing.

    \b
    Examples:
      reconciler status -t prod
      reconciler status -t prod --only orders-daily --format json
      reconciler status -t prod --state failed,running --sort age -o wide
      reconciler status -t prod --watch

    Exit code 3 if a spec is on hold, lost or unknown.
    """
    from reconciler.app.stored_output import StoredOutput

    form = output or output_format
    wanted = _states(states)
    if watch:
        if form != "text" or wanted or sort != SORTS[0]:
            raise click.UsageError("--watch cannot be combined with --format json, -o, --sort or --state")
        return _watch(options, refresh=not no_refresh)
    # On a terminal, the table depends on the width.
    stored = StoredOutput(options, "status", form, sort, states, no_refresh, used=terminal_width() is None)
    if (earlier := stored.find()) is not None:
        out(earlier)
        return DONE
    from reconciler.app.reconcile import preview
    from reconciler.app.session import opened

    with opened(options) as session:
        inputs, plan = preview(session, refresh=not no_refresh, tolerant=True)
    code, shown = _show(plan, inputs.recorded, form, wanted, sort)
    if code == DONE:
        stored.keep_plan(shown, session, plan, inputs.specs, asks=not no_refresh)
    return code


def _show(
    plan: Plan, recorded: Recorded, form: str, wanted: frozenset[str], sort: str
) -> tuple[int, str | Sequence[AgedLine]]:
    """Prints the rows in these states. Returns the exit code, and the output to cache."""
    from reconciler.core.settings import change_of_settings
    from reconciler.render.status import aged_lines, rows, selected

    every = rows(plan, recorded)
    table = selected(every, wanted, sort)
    print_problems(plan.problems)
    settings = change_of_settings(plan)
    if settings is not None and settings.stale:
        echo_error(f"{settings.name} is on hold: {settings.message}")
    text = _text(plan, table, form)
    if text:
        out(text)
    code = status_exit_code(plan, recorded, [row.state for row in every])
    return code, text if form in {"json", "name"} else aged_lines(text, table)


def _text(plan: Plan, table: Sequence[StatusRow], form: str) -> str:
    """Returns the rows in one of the output formats."""
    from reconciler.render.json_text import dumps
    from reconciler.render.plan_json import status_json

    if form == "json":
        return dumps(status_json(table, plan.problems))
    if form == "name":
        return "\n".join(row.name for row in table)
    return _table_text(plan, table, wide=form == "wide")


def _states(text: str | None) -> frozenset[str]:
    """Parses the states in an option. Raises `click.BadParameter` for an unknown state."""
    states = [each.strip() for each in text.split(",")] if text is not None else []
    for state in states:
        if state not in STATES:
            raise click.BadParameter(f"{state!r} is not one of {', '.join(STATES)}", param_hint="--state")
    return frozenset(states)


def _table_text(plan: Plan, table: Sequence[StatusRow], *, wide: bool = False) -> str:
    """Returns the table as text, with ages relative to the time of the plan."""
    from reconciler.core.times import parse_time
    from reconciler.render.status import status_text

    return status_text(table, parse_time(plan.created_at), color=coloured(), width=terminal_width(), wide=wide)


def _watch(options: CommandOptions, *, refresh: bool) -> int:
    """Shows the table until the user interrupts it, which is not a failure. Errors after the first table are shown
    above the last table.

    Raises `UsageError` without a terminal, and `ReconcilerError` if the first table fails.
    """
    if not sys.stdout.isatty():
        raise UsageError("--watch needs a terminal; for a script use status --format json")
    import time

    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from reconciler.app.session import ReusableSession

    sessions = ReusableSession(options)
    try:
        shown = table = _watched_table(sessions, refresh=refresh)
        with Live(shown, console=Console(), auto_refresh=False, screen=True) as live:
            while True:
                live.update(shown, refresh=True)
                time.sleep(PAUSE_SECONDS)
                try:
                    shown = table = _watched_table(sessions, refresh=refresh)
                except ReconcilerError as error:
                    sessions.close()
                    shown = Text.assemble((f"Error: {harmless(str(error))}\n\n", "red"), table)
    except KeyboardInterrupt:
        return DONE
    finally:
        sessions.close()


def _watched_table(sessions: ReusableSession, *, refresh: bool) -> Text:
    from rich.text import Text

    from reconciler.app.reconcile import preview
    from reconciler.render.problems import problems_text
    from reconciler.render.status import rows

    inputs, plan = preview(sessions.session(), refresh=refresh, tolerant=True)
    table = _table_text(plan, rows(plan, inputs.recorded))
    problems = problems_text(plan.problems, color=coloured())
    return Text.from_ansi(f"{plan.created_at}  (Ctrl-C ends)\n\n{table}\n\n{problems}")


@click.command("runs")
@click.argument("name", required=False)
@shared.format_option("json", "csv")
@shared.output_option("wide", "name", "json")
@shared.time_option("--since", ago=True, help_text="Only runs submitted since this time, such as 2026-11-30 or 36h.")
@click.option("--failed", is_flag=True, help="Only runs that failed, were cancelled or are lost.")
@click.option("--no-refresh", is_flag=True, help="Show the recorded state without calling AWS.")
@shared.ledger_options
@shared.takes_options
def runs(
    options: CommandOptions,
    *,
    name: str | None,
    output_format: str,
    output: str | None,
    since: WrittenTime | None,
    failed: bool,
    no_refresh: bool,
) -> int:
    """Show the runs of one spec, or of all, newest first: when each was submitted, for which generation or slot, its
    state, how long it waited and ran, what AWS billed, and from which commit it was submitted. Writes nothing.

    \b
    Examples:
      reconciler runs orders-daily -t prod
      reconciler runs -t prod --since 36h --failed
      reconciler runs -t prod --format csv > runs.csv
    """
    from reconciler.app.history import recorded_runs
    from reconciler.app.session import opened
    from reconciler.render.runs import runs_csv, runs_json, runs_text

    after = since.utc() if since is not None else None
    with opened(options) as session:
        shown, now = recorded_runs(session, name, refresh=not no_refresh, since=after), session.now()
    shown = shown.selected(after, unsuccessful=failed)
    form = output or output_format
    if form == "json":
        out_json(runs_json(shown))
    elif form == "csv":
        out(runs_csv(shown.rows))
    elif form == "name":
        for row in shown.rows:
            out(row.run_id or "-")
    else:
        out(runs_text(shown, now, color=coloured(), width=terminal_width(), wide=form == "wide"))
    return DONE
