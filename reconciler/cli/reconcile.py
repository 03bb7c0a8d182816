"""`reconciler reconcile`."""

from __future__ import annotations

from typing import Any

import click

from reconciler.cli.options import FORMAT_TEXT_JSON, chosen, ledger_options, pass_options, selection_options

HELP = """One pass without asking, within the limits: what a schedule or a merge runs.

\b
Examples:
  reconciler reconcile -t prod
  reconciler reconcile -t prod --format json

Exit code 3 when a job was rejected, or something is held or not known yet.
"""


@click.command("reconcile", help=HELP)
@click.option("--format", "form", type=FORMAT_TEXT_JSON, default="text", show_default=True)
@selection_options
@pass_options
@ledger_options
@click.pass_context
def command(context: click.Context, /, *, form: str, **shared: Any) -> int:  # noqa: ANN401 - click's own values
    """Observes, plans and applies, once."""
    from reconciler.cli.passes import Manner, carry_out
    from reconciler.wiring.session import opened
    from reconciler.wiring.survey import survey

    manner = Manner(ask=False, form=form, log="reconcile")
    with opened(chosen(context, shared)) as session:
        found = survey(session, refresh=True, record=True)
        return carry_out(session, found.plan, found.recorded, found.limits, manner)
