"""`reconciler status`."""

from __future__ import annotations

import sys
from typing import Any

import click

from reconciler.cli.options import FORMAT_TEXT_JSON, chosen, ledger_options, selection_options
from reconciler.cli.terminal import coloured, out

HELP = """Each spec: what is asked for, its last run, how that stands, since when. Writes nothing.

\b
Examples:
  reconciler status -t prod
  reconciler status -t prod --only orders-daily --format json

Exit code 3 when a spec is held, lost or unknown.
"""


@click.command("status", help=HELP)
@click.option("--format", "form", type=FORMAT_TEXT_JSON, default="text", show_default=True)
@click.option("--no-refresh", is_flag=True, help="Ask AWS nothing: show what is recorded.")
@selection_options
@ledger_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    form: str,
    no_refresh: bool,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Observes, plans, and prints how each spec stands."""
    from reconciler.cli.verdict import after_look
    from reconciler.identity.instant import parse
    from reconciler.render.json_form import dumps, status_json
    from reconciler.render.status import rows, status_text
    from reconciler.wiring.session import opened
    from reconciler.wiring.survey import survey

    with opened(chosen(context, shared)) as session:
        found = survey(session, refresh=not no_refresh, record=False, explain=False)
    table = rows(found.plan, found.recorded)
    if form == "json":
        out(dumps(status_json(table)))
    else:
        out(status_text(table, parse(found.plan.created_at), color=coloured(sys.stdout)))
    return after_look(found.plan, found.recorded, [row.state for row in table])
