"""`reconciler backfill`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from reconciler.cli.by_hand import decide, deciding_options
from reconciler.cli.options import chosen, moment

HELP = """Ask for runs of past slots of a scheduled spec: the next passes submit them, oldest first, as far as
concurrencyPolicy and limits allow.

Lists the slots first. Those that ran, or were asked for, before are left out; --again runs them once more.

\b
Example:
  reconciler backfill orders-daily -t prod --from 2026-11-01T00:00:00Z --to 2026-11-07T23:59:59Z
"""


@click.command("backfill", help=HELP)
@click.argument("name")
@click.option(
    "--from", "first", required=True, callback=moment, metavar="TIME", help="The first slot, or a time before it."
)
@click.option("--to", "last", required=True, callback=moment, metavar="TIME", help="The last slot, or a time after it.")
@click.option("--again", is_flag=True, help="Also slots that ran before.")
@deciding_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    name: str,
    first: datetime,
    last: datetime,
    again: bool,
    reason: str | None,
    yes: bool,
    form: str,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Shows the slots, asks, and records the wish."""
    from reconciler.app.decisions import look
    from reconciler.app.rerun import late_runs
    from reconciler.app.session import opened

    with opened(chosen(context, shared)) as session:
        sight = look(session, name)
        return decide(sight, late_runs(sight, first, last, again=again, reason=reason), yes=yes, form=form)
