"""`reconciler retry`."""

from __future__ import annotations

from typing import Any

import click

from reconciler.cli.by_hand import decide, deciding_options
from reconciler.cli.options import chosen

HELP = """Ask for one more attempt of what failed, was cancelled, was lost or was rejected: the next apply or reconcile
submits it.

It is a new submission with a new token, whatever backoffLimit says, and is not kept waiting by backoffSeconds. What is
in sync or running is not retried: to run the same request again, raise spec.revision.

\b
Examples:
  reconciler retry orders-daily -t prod --reason "input was mended"
  reconciler retry orders-daily -t prod --slot 2026-11-22T02:00:00Z
"""


@click.command("retry", help=HELP)
@click.argument("name")
@click.option(
    "--slot", metavar="TIME", help="Of this slot, as in 2026-11-22T02:00:00Z; else of the newest that can be."
)
@deciding_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    name: str,
    slot: str | None,
    reason: str | None,
    yes: bool,
    form: str,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Shows how the submission ended, asks, and records the wish."""
    from reconciler.app.decisions import look
    from reconciler.app.rerun import repetition, slot_text
    from reconciler.app.session import opened

    with opened(chosen(context, shared)) as session:
        sight = look(session, name)
        return decide(sight, repetition(sight, slot=slot_text(slot), reason=reason), yes=yes, form=form)
