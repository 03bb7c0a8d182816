"""`reconciler status`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import FORMAT_TEXT_JSON, chosen, ledger_options, selection_options
from reconciler.cli.terminal import coloured, out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.core.plan import Plan
    from reconciler.render.status import StatusRow

HELP = """Each spec: what is asked for, its last run, how that stands, since when. Writes nothing.

\b
Examples:
  reconciler status -t prod
  reconciler status -t prod --only orders-daily --format json
  reconciler status -t prod --watch

Exit code 3 when a spec is held, lost or unknown.
"""


@click.command("status", help=HELP)
@click.option("--format", "form", type=FORMAT_TEXT_JSON, default="text", show_default=True)
@click.option("--no-refresh", is_flag=True, help="Ask AWS nothing: show what is recorded.")
@click.option("--watch", is_flag=True, help="Show it again every few seconds until interrupted, on a terminal.")
@selection_options
@ledger_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    form: str,
    no_refresh: bool,
    watch: bool,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Observes, plans, and prints how each spec stands."""
    from reconciler.app.reconcile import preview
    from reconciler.app.session import opened
    from reconciler.cli.verdict import after_look
    from reconciler.render.plan_json import dumps, status_json
    from reconciler.render.status import rows

    choice = chosen(context, shared)
    if watch:
        from reconciler.cli.watch import watch_status

        if form == "json":
            raise click.UsageError("--watch is for people, and --format json for machines: they do not go together")
        return watch_status(choice, refresh=not no_refresh)
    with opened(choice) as session:
        inputs, plan = preview(session, refresh=not no_refresh)
    table = rows(plan, inputs.recorded)
    out(dumps(status_json(table)) if form == "json" else text_of(plan, table, color=coloured(sys.stdout)))
    return after_look(plan, inputs.recorded, [row.state for row in table])


def text_of(plan: Plan, table: Sequence[StatusRow], *, color: bool) -> str:
    """The table, as of the time of the plan."""
    from reconciler.core.times import parse_time
    from reconciler.render.status import status_text

    return status_text(table, parse_time(plan.created_at), color=color)
