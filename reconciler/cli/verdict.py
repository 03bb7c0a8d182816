"""The exit code of a command, from what it found and did: 1 before 3 before 2."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from reconciler.cli.process import CHANGES, DONE, ERROR, PERSON
from reconciler.plan.action import Reason
from reconciler.plan.result import ActionOutcome, ActionResult

if TYPE_CHECKING:
    from reconciler.plan.value import Plan
    from reconciler.recorded.state import Recorded

PERSONAL = {ActionOutcome.REJECTED, ActionOutcome.UNKNOWN}


def unsupported(plan: Plan) -> list[str]:
    """What the specs ask for and this version cannot do, each with its place: sentences for standard error."""
    return [action.message for action in plan.actions if action.reason is Reason.UNSUPPORTED]


def in_doubt(plan: Plan, recorded: Recorded) -> bool:
    """Whether something of the plan's needs a person or an answer: held, settling, or a run whose state AWS did not
    tell."""
    return bool(plan.held) or any(action.client_token in recorded.observe_errors for action in plan.actions)


def after_plan(plan: Plan, recorded: Recorded, *, detailed: bool) -> int:
    """A plain plan that could be made is 0, whatever is in it; with `detailed` the code says what is."""
    if unsupported(plan):
        return ERROR
    if not detailed:
        return DONE
    if in_doubt(plan, recorded):
        return PERSON
    return CHANGES if plan.pending else DONE


def after_results(
    plan: Plan, results: Sequence[ActionResult], recorded: Recorded, *, stopped: bool, exactly: bool = False
) -> int:
    """What an apply ends with.

    An action that another pass took over is no error, where the submission is made; with `exactly`, where a plan file
    was to be applied as it is, it is one.
    """
    failed = any(
        _failed(result, taken_over=not exactly and _accepted(action.client_token, recorded))
        for action, result in zip(plan.actions, results, strict=True)
    )
    if stopped or failed or unsupported(plan):
        return ERROR
    if in_doubt(plan, recorded) or any(result.outcome in PERSONAL for result in results):
        return PERSON
    return DONE


def after_look(plan: Plan, recorded: Recorded, states: Collection[str]) -> int:
    """What `status` ends with; `states` are those of its rows."""
    return PERSON if in_doubt(plan, recorded) or {"unknown", "lost"} & set(states) else DONE


def _failed(result: ActionResult, *, taken_over: bool) -> bool:
    match ActionOutcome(result.outcome):
        case ActionOutcome.UNSENT:
            return True
        case ActionOutcome.NONE:
            return result.error is not None and not taken_over
        case ActionOutcome.CANCELLED | ActionOutcome.RECORDED:
            return result.error is not None
        case _:
            return False


def _accepted(token: str | None, recorded: Recorded) -> bool:
    submission = recorded.by_token.get(token or "")
    return submission is not None and submission.accepted
