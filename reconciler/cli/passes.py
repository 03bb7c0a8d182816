"""What `apply` and `reconcile` share: show, ask, do, tell, and the exit code."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.cli.logs import line_json
from reconciler.cli.process import ERROR
from reconciler.cli.progress import progress
from reconciler.cli.stopping import stop_on_signals
from reconciler.cli.terminal import coloured, confirmed, echo_error, out
from reconciler.cli.verdict import after_results
from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.app.session import Session
    from reconciler.core.plan import ActionResult, Plan
    from reconciler.model.project import Limits


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """How a plan is carried out: whether to ask first, what to print, whether the plan is to be done exactly, and under
    which name one line of summary goes to standard error (`None`: none), as JSON with `json_log`."""

    ask: bool
    form: str
    exactly: bool = False
    log: str | None = None
    json_log: bool = False

    @property
    def machine(self) -> bool:
        """Whether standard output is for a machine."""
        return self.form == "json"


def show(plan: Plan) -> None:
    """Prints a plan as text."""
    from reconciler.render.plan_text import plan_text

    out(plan_text(plan, color=coloured(sys.stdout)))


def carry_out(
    session: Session, plan: Plan, limits: Limits | None, manner: ApplyOptions
) -> tuple[tuple[ActionResult, ...], int]:
    """Shows the plan, confirms it if need be, and applies it. Returns the results, empty if the operator said no, and
    the exit code.

    Raises `LimitExceeded` before asking where the plan is more than `limits` (`None`: whatever it holds),
    `AccountMismatch` before anything is sent, and `ReconcilerError` where it would have to ask and cannot.
    """
    from reconciler.app.reconcile import apply_plan, check_account

    if manner.machine:
        for warning in plan.warnings:  # a person may be reading standard error, while a machine reads the JSON
            echo_error(f"Warning: {warning}")
    else:
        show(plan)
    if limits is not None:
        plan.check(limits)
    if plan.pending and manner.ask:
        check_account(session, plan)  # before the question: the wrong account is worth knowing before a yes
        if not _agreed(plan, manner):
            echo_error("Apply cancelled: nothing was sent.")
            return (), ERROR
    with stop_on_signals(_stopping) as stop, progress(len(plan.pending)) as shown:
        results = apply_plan(session, plan, shown, stop)
    _tell(_with_remedies(session, plan, results), results, manner)
    if manner.log is not None:
        echo_error(summary(manner.log, plan, results, session.ledger.recorded.position, as_json=manner.json_log))
    if stop.is_set():
        echo_error("Interrupted. What was under way and has no outcome is in the ledger; the next pass resolves it.")
    else:
        session.ledger.refresh()  # another pass may have ended what it took over
    recorded = session.ledger.recorded
    return results, after_results(plan, results, recorded, stopped=stop.is_set(), exactly=manner.exactly)


def _stopping() -> None:
    echo_error("Stopping: nothing new is sent, and what is under way gets a few seconds to be recorded.")


def _agreed(plan: Plan, manner: ApplyOptions) -> bool:
    """Whether a person says yes to the plan."""
    if not sys.stdin.isatty():
        raise ReconcilerError(
            "apply asks before it acts, and there is no terminal to ask on. Nothing was sent; --yes does not ask"
        )
    if manner.machine:
        from reconciler.render.plan_text import plan_text

        echo_error(plan_text(plan, color=False))
    return confirmed(f"Do you want to perform these actions in target {plan.place.target}?")


def _with_remedies(session: Session, plan: Plan, results: Sequence[ActionResult]) -> Plan:
    """The plan with what a person can do about each submission that has become unknown."""
    from dataclasses import replace

    from reconciler.core.plan import ActionOutcome
    from reconciler.core.suggested_commands import remedy

    recorded, target, seconds = session.ledger.recorded, plan.place.target, session.target.settleSeconds
    actions = [
        replace(action, remedy=remedy(action.name, action.client_token, recorded, target, seconds))
        if result.outcome == ActionOutcome.UNKNOWN
        else action
        for action, result in zip(plan.actions, results, strict=True)
    ]
    return replace(plan, actions=tuple(actions))


def _tell(plan: Plan, results: Sequence[ActionResult], manner: ApplyOptions) -> None:
    """Prints what became of the plan."""
    if manner.machine:
        from reconciler.render.plan_json import dumps, result_json

        out(dumps(result_json(plan, results)))
    elif plan.pending:
        from reconciler.render.results import results_text

        out("\n" + results_text(plan, results, color=coloured(sys.stdout)))


def summary(name: str, plan: Plan, results: Sequence[ActionResult], position: int, *, as_json: bool) -> str:
    """What the pass came to, in one line."""
    from reconciler.render.results import pass_json, pass_line

    line = pass_line(name, plan, results, position)
    return line_json(line, {"event": "pass", **pass_json(plan, results, position)}) if as_json else line
