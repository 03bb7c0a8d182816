"""`reconciler apply`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import FORMAT_TEXT_JSON, chosen, ledger_options, pass_options, selection_options

if TYPE_CHECKING:
    from reconciler.app.options import CommandOptions
    from reconciler.cli.passes import ApplyOptions

HELP = """Plan, show, ask, do: submit what git asks for and has not run yet.

Each change runs once, however often this is called. With PLANFILE, from `reconciler plan --out`, exactly that plan is
carried out; if a spec it is about has moved since, nothing is, and the error names it.

\b
Examples:
  reconciler apply -t prod
  reconciler apply -t prod --yes --format json
  reconciler apply prod.plan

Exit code 3 when a job was rejected, or something is held or not known yet.
"""


@click.command("apply", help=HELP)
@click.argument("plan_file", required=False, metavar="[PLANFILE]", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--format", "form", type=FORMAT_TEXT_JSON, default="text", show_default=True)
@selection_options
@pass_options
@ledger_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    plan_file: Path | None,
    yes: bool,
    form: str,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Carries out a fresh plan, or the one in a file."""
    from reconciler.app.notifications import notify
    from reconciler.app.reconcile import explain, prepare
    from reconciler.app.session import opened
    from reconciler.cli.passes import ApplyOptions, carry_out

    choice = chosen(context, shared)
    if plan_file is not None:
        return _approved(plan_file, choice, ApplyOptions(ask=not yes, form=form, exactly=True))
    with opened(choice) as session:
        plan = explain(session, prepare(session)[1])
        results, code = carry_out(session, plan, session.limits, ApplyOptions(ask=not yes, form=form))
        notify(session, plan, results)
        return code


def _approved(file: Path, choice: CommandOptions, manner: ApplyOptions) -> int:
    """Carries out the plan in a file. Specs are not read: what was approved is what is done."""
    from reconciler.app.plan_file import check_earlier, check_file, check_heads, check_suspension
    from reconciler.app.session import opened
    from reconciler.cli.passes import carry_out
    from reconciler.cli.plan_file import read
    from reconciler.model.spec import suspension

    if choice.only or choice.labels or choice.allow_rollback:
        raise click.UsageError("a plan file is applied whole: --only, -l and --allow-rollback belong to `plan --out`")
    plan = read(file)
    with opened(choice, fallback_target=plan.place.target) as session:
        check_file(plan, session.place)
        check_suspension(plan, suspension(session.project.spec.suspend), session.now())
        recorded = session.ledger.refresh()
        check_heads(plan, recorded)
        check_earlier(session, plan, recorded)
        return carry_out(session, plan, None, manner)[1]
