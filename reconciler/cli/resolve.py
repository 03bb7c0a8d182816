"""`reconciler resolve`."""

from __future__ import annotations

from typing import Any

import click

from reconciler.cli.by_hand import decide, deciding_options
from reconciler.cli.options import chosen

HELP = """Decide a submission whose outcome is unknown: sent, and no answer told whether it runs.

--submit says that it did not run: the next apply or reconcile sends it again. --abandon says that it is never sent
again: the spec runs nothing until its content or spec.revision changes. A run that AWS shows is adopted, never decided
away; before nothing sent can arrive any more, only --force decides.

\b
Examples:
  reconciler resolve orders-daily -t prod --submit --reason "no output in the bucket"
  reconciler resolve orders-daily -t prod --abandon --reason "ran by hand"
"""


@click.command("resolve", help=HELP)
@click.argument("name")
@click.option("--submit", "decision", flag_value="submit", help="It did not run: send it again.")
@click.option("--abandon", "decision", flag_value="abandon", help="Never send it again.")
@click.option("--force", is_flag=True, help="Decide although a run may still appear.")
@click.option("--token", metavar="TOKEN", help="Which, where several are unresolved; its beginning is enough.")
@deciding_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    name: str,
    decision: str | None,
    force: bool,
    token: str | None,
    reason: str | None,
    yes: bool,
    form: str,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Looks once more, shows what is unknown, and records the decision."""
    from reconciler.app.decisions import look
    from reconciler.app.resolve import resolution
    from reconciler.app.session import opened

    if decision is None:
        raise click.UsageError("say what it is: --submit, to send it again, or --abandon, never to")
    with opened(chosen(context, shared)) as session:
        sight = look(session, name)
        proposal = resolution(sight, decision, token=token, force=force, reason=reason)
        return decide(sight, proposal, yes=yes, form=form)
