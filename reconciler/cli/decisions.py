"""`reconciler cancel`, `retry`, `backfill`, `resolve`, `adopt` and `accept`: record the decisions of an operator."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import options as shared
from reconciler.cli.exit_codes import DONE, ERROR
from reconciler.cli.output import coloured, confirm, out, out_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.app.decisions import Decision, SpecView
    from reconciler.app.options import CommandOptions

decision_options = shared.stacked(
    click.option("--reason", metavar="TEXT", help="Reason for this action; recorded in the ledger."),
    shared.yes_option,
    shared.format_option("json"),
    shared.ledger_options,
)


def _slot_option(help_text: str) -> Callable[[Any], Any]:
    return shared.time_option("--slot", help_text=help_text)


def _values(view: SpecView, values: dict[str, Any]) -> dict[str, Any]:
    """Returns the values of the options, with times in UTC. A time without a zone is interpreted in the time zone of
    the spec's schedule. A slot is returned as text, as in the ledger."""
    from reconciler.cli.times import WrittenTime
    from reconciler.core.times import seconds_text

    times = {
        name: shared.resolved(value, view.time_zone) for name, value in values.items() if isinstance(value, WrittenTime)
    }
    return {**values, **{name: seconds_text(at) if name == "slot" and at else at for name, at in times.items()}}


ABANDON = "reconciler.abandon"  # a key of click's own storage


def _keep_abandon(context: click.Context, _option: click.Parameter, abandon: bool) -> None:
    context.meta[ABANDON] = abandon


def _parse_decision(context: click.Context, _option: click.Parameter, submit: bool) -> str:
    if submit == context.meta[ABANDON]:
        message = "choose either --submit, to send it again, or --abandon, to never send it again"
        raise click.UsageError(message + (", not both" if submit else ""))
    return "submit" if submit else "abandon"


def _decision_command(name: str, decide: str, help_text: str, *options: Callable[[Any], Any]) -> click.Command:
    """Creates a command. `decide` is the function of `app` (MODULE:FUNCTION) that makes the decision from the spec, the
    values of `options`, and the reason."""

    @click.command(name, help=help_text)
    @click.argument("name", shell_complete=shared.complete_specs)
    @shared.stacked(*options)
    @decision_options
    @shared.takes_options
    def command(options: CommandOptions, name: str, *, yes: bool, output_format: str, **values: Any) -> int:  # noqa: ANN401 - click's own values
        from reconciler.app.decisions import view_spec
        from reconciler.app.session import opened

        module, _, function = decide.partition(":")
        make_decision = getattr(import_module(f"reconciler.app.{module}"), function)
        with opened(options) as session:
            view = view_spec(session, name, values.pop("reason"))
            return _perform(
                view, make_decision(view, **_values(view, values)), yes=yes, as_json=output_format == "json"
            )

    return command


def _perform(view: SpecView, decision: Decision, *, yes: bool, as_json: bool) -> int:
    """Shows a decision, asks for confirmation unless `yes` is set, records the decision, and prints what the next pass
    will do.

    Raises `ReconcilerError` without a terminal to confirm on, or if the spec changed after it was shown.
    """
    from reconciler.app.decisions import next_actions, record_decision
    from reconciler.render.results import decision_json, decision_text, done_text

    summary = decision.summary
    if not as_json:
        out(decision_text(summary, color=coloured()))
    if not decision.is_empty and not yes:
        shown = decision_text(summary) if as_json else None
        question = "Do you want to record this decision?"
        if not confirm(question, command=summary.command, refused="recorded", shown=shown):
            return ERROR
    results = record_decision(view, decision)
    actions = next_actions(view)
    if as_json:
        out_json(decision_json(summary, results, actions))
    else:
        out("\n" + done_text(summary, results, actions))
    return ERROR if any(result.error is not None for result in results) else DONE


cancel = _decision_command(
    "cancel",
    "run_decisions:decide_cancel",
    """Ask AWS to stop the live runs of a spec now.

    A submission with an unknown outcome is stopped once its run is found. A manually cancelled run is not retried or
    restarted automatically; `retry` runs it again. A schedule continues with its next slot; suspend the spec to
    prevent that.

    \b
    Examples:
      reconciler cancel orders-daily -t prod --reason "wrong input"
      reconciler cancel orders-daily -t prod --run-id 00f5qtaa1k4ad80b
    """,
    click.option("--run-id", metavar="RUN_ID", help="Only this run."),
    _slot_option("Only the run of this slot, such as 2026-11-22T02:00:00Z."),
)

retry = _decision_command(
    "retry",
    "run_decisions:decide_retry",
    """Request one more attempt of a submission that failed, was cancelled, is lost or was rejected: the next apply or
    reconcile submits it.

    It is a new submission with a new token, regardless of backoffLimit and backoffSeconds. A spec that is in sync or
    running is not retried: to run the same request again, raise spec.revision.

    \b
    Examples:
      reconciler retry orders-daily -t prod --reason "fixed the input"
      reconciler retry orders-daily -t prod --slot 2026-11-22T02:00:00Z
    """,
    _slot_option("Retry this slot, such as 2026-11-22T02:00:00Z.  [default: the newest that can be retried]"),
)

backfill = _decision_command(
    "backfill",
    "run_decisions:decide_backfill",
    """Request runs of past slots of a scheduled spec. The next passes submit them, oldest first, as concurrencyPolicy
    and limits allow.

    The command lists the slots first. Slots that already ran or were already requested are left out; with --again,
    those that ran run once more.

    \b
    Example:
      reconciler backfill orders-daily -t prod --from 2026-11-01 --to 2026-11-07

    Times without a zone are in the spec's timeZone, like its schedule.
    """,
    shared.time_option(
        "--from", "first", required=True, help_text="The first slot, or a time before it, such as 2026-11-01."
    ),
    shared.time_option(
        "--to",
        "last",
        required=True,
        end=True,
        help_text="The last slot, or a time after it; a day such as 2026-11-07 is included.",
    ),
    click.option("--again", is_flag=True, help="Also run slots that already ran."),
)

resolve = _decision_command(
    "resolve",
    "run_decisions:decide_resolve",
    """Decide about a submission with an unknown outcome: it was sent, and AWS did not confirm whether it runs.

    With --submit, you decide that it did not run, and the next apply or reconcile sends it again. With --abandon, it is
    never sent again, and the spec runs nothing until its content or spec.revision changes. If AWS has a run of the
    submission, the run is adopted, whatever you decide. Until the submission has settled, --force is required.

    \b
    Examples:
      reconciler resolve orders-daily -t prod --submit --reason "no output in the bucket"
      reconciler resolve orders-daily -t prod --abandon --reason "ran manually"
    """,
    click.option("--submit", "decision", is_flag=True, callback=_parse_decision, help="Send the submission again."),
    click.option(  # eager, so that `_parse_decision` finds it
        "--abandon",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_keep_abandon,
        help="Never send it again.",
    ),
    click.option("--force", is_flag=True, help="Decide even if a run may still appear."),
    click.option(
        "--token", metavar="TOKEN", help="Token of the submission, or its first characters, if several are unresolved."
    ),
)

adopt = _decision_command(
    "adopt",
    "adopt:decide_adopt",
    """Assign an existing run to a spec, and submit nothing.

    If the outcome of a submission is unknown, or if it has several runs, the run is assigned to that submission.
    Otherwise the run counts as the run of the spec's current content. If AWS no longer has the run, its data in the
    ledger is used. A run of another spec of the project cannot be adopted. After a rename, use `renamedFrom` in the
    spec instead, which keeps all runs.

    \b
    Examples:
      reconciler adopt orders-daily 00f5qtaa1k4ad80b -t prod --reason "started manually"
      reconciler adopt clicks 4b0e1c5e-6a5c-4a3b-9d0e-0a4bd0c5c1f2 -t prod
    """,
    click.argument("run_id"),
    click.option(
        "--force",
        is_flag=True,
        help=("Adopt even if another run may still appear, or the run's tag names another project."),
    ),
    _slot_option("For a scheduled spec: the slot of the run."),
    click.option(
        "--token", metavar="TOKEN", help="Token of the submission, or its first characters, if several are unresolved."
    ),
    shared.allow_rollback_option,
)

accept = _decision_command(
    "accept",
    "accept:decide_accept",
    """Record the current content of a spec as applied, and submit nothing.

    The next plan shows no change to it; a later change runs as the next generation. A live or successful run counts as
    the run of this content, and retries continue with it. Without such a run, specs that depend on this one treat it as
    succeeded. For a scheduled spec, the next slot runs the content. To run it after all, raise spec.revision.

    \b
    Examples:
      reconciler accept orders-daily -t prod --reason "only propagateTags changed"
      reconciler accept orders-daily -t prod --reason "ran manually"
    """,
    shared.allow_rollback_option,
)
