"""`reconciler ledger`."""

from __future__ import annotations

import click

from reconciler.cli.table import Table

COMMANDS = {
    "init": "Make the store ready, and say what to turn on.",
    "verify": "Walk the whole log and say what is wrong with it.",
    "copy": "Put a ledger into another store, or move it to another place.",
    "export": "Print every event as a line of JSON.",
}
"""Every command with its line of help. Each is `reconciler.cli.ledger_NAME.command`."""

HELP = """Look after the ledger of a target.

\b
Examples:
  reconciler ledger verify -t prod
  reconciler ledger copy sqlite:///ledger.sqlite s3://acme-ledger/analytics -t prod
"""


@click.group("ledger", cls=Table, table=COMMANDS, module="reconciler.cli.ledger_{}", help=HELP)
def command() -> None:
    """Its commands do everything."""
