"""`reconciler adopt`."""

from __future__ import annotations

from typing import Any

import click

from reconciler.cli.by_hand import decide, deciding_options
from reconciler.cli.options import allow_rollback_option, chosen

HELP = """Record a run that exists as a spec's current submission; submit nothing.

For a submission that is unknown, or has several runs, the run becomes its run. Else the run counts as what the spec
asks for now: after a rename the new name goes on with the old run. A run that belongs to another spec of the project
stays with it.

\b
Examples:
  reconciler adopt orders-daily 00f5qtaa1k4ad80b -t prod --reason "renamed from orders"
  reconciler adopt clicks 4b0e1c5e-6a5c-4a3b-9d0e-0a4bd0c5c1f2 -t prod
"""


@click.command("adopt", help=HELP)
@click.argument("name")
@click.argument("run_id")
@click.option("--force", is_flag=True, help="Take it although another run may still appear, or it is tagged elsewhere.")
@click.option("--slot", metavar="TIME", help="Which slot of a scheduled spec it stands for.")
@click.option("--token", metavar="TOKEN", help="For which submission, where several are unresolved.")
@allow_rollback_option
@deciding_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    name: str,
    run_id: str,
    slot: str | None,
    force: bool,
    token: str | None,
    reason: str | None,
    yes: bool,
    form: str,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Asks AWS about the run, shows it, and records it as the spec's."""
    from reconciler.app.adopt import adoption
    from reconciler.app.decisions import look
    from reconciler.app.rerun import slot_text
    from reconciler.app.session import opened

    with opened(chosen(context, shared)) as session:
        sight = look(session, name)
        proposal = adoption(sight, run_id, slot=slot_text(slot), token=token, force=force, reason=reason)
        return decide(sight, proposal, yes=yes, form=form)
