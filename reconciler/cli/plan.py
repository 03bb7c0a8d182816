"""`reconciler plan`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import chosen, ledger_options, moment, pass_options, selection_options
from reconciler.cli.terminal import out
from reconciler.cli.verdict import after_plan

if TYPE_CHECKING:
    from reconciler.core.plan import Plan

HELP = """Show what an apply would do, and write nothing.

Runs that may still change are asked for their state first; --no-refresh plans from what is recorded. With --out the
plan is also kept in a file, which `reconciler apply FILE` carries out exactly, or refuses if something moved.

\b
Examples:
  reconciler plan
  reconciler plan -t prod --out prod.plan
  reconciler plan -t prod --format markdown --only orders-daily

Exit code 0 for every plan that could be made. With --detailed-exitcode: 2 when there is something to do, 3 when
something is held or not known.
"""


@click.command("plan", help=HELP)
@click.option("--out", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Keep the plan.")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@click.option("--no-refresh", is_flag=True, help="Ask AWS nothing: plan from what is recorded.")
@click.option("--detailed-exitcode", is_flag=True, help="2 when changes are pending, 3 when something needs a person.")
@click.option("--at", callback=moment, metavar="TIME", help="Plan as if it were this time (ISO 8601 with a zone).")
@selection_options
@pass_options
@ledger_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    file: Path | None,
    form: str,
    no_refresh: bool,
    detailed_exitcode: bool,
    at: datetime | None,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Plans, prints, and keeps the plan if a file is named."""
    from reconciler.app.reconcile import assume, explain, make_plan, observe, read
    from reconciler.app.session import opened

    with opened(chosen(context, shared)) as session:
        inputs, applied_later = read(session), file is not None
        if not no_refresh:
            assume(inputs, observe(session, inputs), absence=not applied_later)
        plan = explain(session, make_plan(session, inputs, now=at, may_repeat=not applied_later))
        limits = session.limits
    out(_rendered(plan, form))
    plan.check(limits)
    if file is not None:
        _keep(plan, file)
        if form == "text":
            out(_kept(file))
    return after_plan(plan, inputs.recorded, detailed=detailed_exitcode)


def _rendered(plan: Plan, form: str) -> str:
    import sys

    from reconciler.cli.terminal import coloured

    if form == "json":
        from reconciler.render.plan_json import dumps, plan_json

        return dumps(plan_json(plan))
    if form == "markdown":
        from reconciler.render.plan_markdown import plan_markdown

        return plan_markdown(plan)
    from reconciler.render.plan_text import plan_text

    return plan_text(plan, color=coloured(sys.stdout))


def _kept(file: Path) -> str:
    import shlex

    from reconciler.render.text import inert, plain

    named = plain(str(file))
    return "\n" + inert(f"Kept in {named}. To carry out exactly this: reconciler apply {plain(shlex.quote(str(file)))}")


def _keep(plan: Plan, file: Path) -> None:
    """Writes the plan file: whole or not at all, for its owner's eyes only, since requests may hold secrets."""
    from reconciler.cli.plan_file import write

    write(file, plan)
