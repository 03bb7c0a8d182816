"""`reconciler ledger export`."""

from __future__ import annotations

import json
from typing import Any

import click

from reconciler.cli.options import chosen, place_options
from reconciler.cli.terminal import out

HELP = """Print every event of the target's ledger, oldest first, one JSON object a line, with its position.

It is whole: requests hold what the specs hold, secrets included. Treat it as you treat the specs. The chain is checked
on the way.

\b
Examples:
  reconciler ledger export -t prod > ledger.jsonl
  reconciler ledger export -t prod --after 5120 >> ledger.jsonl
"""


@click.command("export", help=HELP)
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="N", help="Only what is after position N.")
@place_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    after: int,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Reads the ledger and prints its events as they come."""
    from reconciler.app.ledgers import ledger_site, opened_store
    from reconciler.core.events import encode
    from reconciler.ledger.codec import walk

    site = ledger_site(chosen(context, shared))
    with opened_store(site) as store:
        for position, _, batch in walk(store, site.place, after):
            for event in batch.events:
                out(_line({"position": position, **encode(event)}))
    return 0


def _line(form: dict[str, Any]) -> str:
    """ASCII, and nothing in it that a terminal takes for a command."""
    return json.dumps(form, separators=(",", ":")).replace("\x7f", "\\u007f")
