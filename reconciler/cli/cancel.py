"""`reconciler cancel`."""

from __future__ import annotations

from typing import Any

import click

from reconciler.cli.by_hand import decide, deciding_options
from reconciler.cli.options import chosen

HELP = """Stop the live runs of a spec, now: AWS is asked, and the ledger says who asked and why.

A run that nobody knows yet, because the answer was lost, is stopped once it is found. What is cancelled by hand is not
retried or restarted by itself; `retry` runs it again. A schedule goes on with its next slot: to stop that, suspend the
spec.

\b
Examples:
  reconciler cancel orders-daily -t prod --reason "wrong input"
  reconciler cancel orders-daily -t prod --run-id 00f5qtaa1k4ad80b
"""


@click.command("cancel", help=HELP)
@click.argument("name")
@click.option("--run-id", metavar="RUN_ID", help="Only this run.")
@click.option("--slot", metavar="TIME", help="Only the run of this slot, as in 2026-11-22T02:00:00Z.")
@deciding_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    name: str,
    run_id: str | None,
    slot: str | None,
    reason: str | None,
    yes: bool,
    form: str,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Shows what is live, asks, and asks AWS to stop it."""
    from reconciler.app.cancel import cancellation
    from reconciler.app.decisions import look
    from reconciler.app.rerun import slot_text
    from reconciler.app.session import opened

    with opened(chosen(context, shared)) as session:
        sight = look(session, name)
        proposal = cancellation(sight, run_id=run_id, slot=slot_text(slot), reason=reason)
        return decide(sight, proposal, yes=yes, form=form)
