"""`reconciler history`."""

from __future__ import annotations

import sys
from typing import Any

import click

from reconciler.cli.options import FORMAT_TEXT_JSON, chosen, ledger_options
from reconciler.cli.terminal import coloured, out

HELP = """Everything that the ledger holds about one spec, oldest first: what was intended, sent, answered and observed.

\b
Example:
  reconciler history orders-daily -t prod
"""


@click.command("history", help=HELP)
@click.argument("name")
@click.option("--format", "form", type=FORMAT_TEXT_JSON, default="text", show_default=True)
@ledger_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    name: str,
    form: str,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Reads the ledger and prints the spec's events."""
    from reconciler.app.history import history
    from reconciler.app.session import opened
    from reconciler.render.history import history_json, history_text
    from reconciler.render.plan_json import dumps

    with opened(chosen(context, shared)) as session:
        events = history(session.ledger, name)
    out(dumps(history_json(events)) if form == "json" else history_text(events, color=coloured(sys.stdout)))
    return 0
