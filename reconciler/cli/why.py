"""`reconciler why`."""

from __future__ import annotations

import sys
from typing import Any

import click

from reconciler.cli.options import FORMAT_TEXT_JSON, chosen, ledger_options
from reconciler.cli.terminal import coloured, out

HELP = """From a run to the commit that asked for it, or from a spec to its newest run: who, when, from which file, and
what was different from the run before.

WHAT is a spec's name, a run id (JOB_ID:INDEX for a child of an array job), or a client token or its beginning.

\b
Examples:
  reconciler why orders-daily -t prod
  reconciler why 00f5qtaa1k4ad80b
"""


@click.command("why", help=HELP)
@click.argument("what")
@click.option("--format", "form", type=FORMAT_TEXT_JSON, default="text", show_default=True)
@ledger_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    what: str,
    form: str,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Finds the submission in the ledger and prints its story."""
    from reconciler.app.history import tale
    from reconciler.app.session import opened
    from reconciler.render.history import why_json, why_text
    from reconciler.render.plan_json import dumps

    with opened(chosen(context, shared)) as session:
        found = tale(session.ledger, what)
    told = (found.events, found.changes, found.previous)
    out(dumps(why_json(*told)) if form == "json" else why_text(*told, color=coloured(sys.stdout)))
    return 0
