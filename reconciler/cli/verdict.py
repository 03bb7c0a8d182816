"""The exit code of a command, from what it found and did: 1 before 3 before 2."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from reconciler.cli.process import CHANGES, DONE, ERROR, PERSON
from reconciler.core.plan import ActionOutcome, ActionType
from reconciler.core.submission import Phase

if TYPE_CHECKING:
    from reconciler.core.plan import Action, ActionResult, Plan
    from reconciler.core.state import Recorded
    from reconciler.core.submission import Submission


def in_doubt(plan: Plan, recorded: Recorded) -> bool:
    """Whether something of the plan's needs a person or an answer: held, settling, or a run of one of its specs, be it
    one that is waited for, whose state AWS did not tell."""
    names = {action.name for action in plan.actions}
    unseen = (recorded.by_token.get(token) for token in recorded.observe_errors)
    return bool(plan.held) or plan.overdue or any(run is not None and run.name in names for run in unseen)


def after_plan(plan: Plan, recorded: Recorded, *, detailed: bool) -> int:
    """A plain plan that could be made is 0, whatever is in it; with `detailed` the code says what is."""
    if not detailed:
        return DONE
    if in_doubt(plan, recorded):
        return PERSON
    return CHANGES if plan.pending or plan.begins else DONE


def after_results(
    plan: Plan, results: Sequence[ActionResult], recorded: Recorded, *, stopped: bool, exactly: bool = False
) -> int:
    """What an apply ends with; `recorded` as it is after it.

    An action that another pass took over meanwhile is no error once its submission is accepted, and not known yet
    while it is being sent; with `exactly`, where a plan file was to be applied as it is, it is an error.
    """
    codes = {
        _code(action, result, recorded, exactly=exactly) for action, result in zip(plan.actions, results, strict=True)
    }
    if stopped or ERROR in codes:
        return ERROR
    return PERSON if PERSON in codes or in_doubt(plan, recorded) else DONE


def _code(action: Action, result: ActionResult, recorded: Recorded, *, exactly: bool) -> int:
    """What one action ends with."""
    match ActionOutcome(result.outcome):
        case ActionOutcome.UNSENT:
            return ERROR
        case ActionOutcome.REJECTED | ActionOutcome.UNKNOWN:
            return PERSON
        case _ if result.error is None:
            return DONE
        case ActionOutcome.NONE if not exactly:
            return _taken_over(action, recorded.by_token.get(action.client_token or ""))
        case _:
            return ERROR


def _taken_over(action: Action, submission: Submission | None) -> int:
    """What an action ends with that another pass was quicker to do."""
    given_up = action.action is ActionType.SKIP and (
        bool(action.missed) or (submission is not None and submission.phase is Phase.SUPERSEDED)
    )
    if given_up or (submission is not None and submission.accepted):
        return DONE
    return PERSON if submission is not None and submission.unresolved else ERROR


def after_look(plan: Plan, recorded: Recorded, states: Collection[str]) -> int:
    """What `status` ends with; `states` are those of its rows."""
    return PERSON if in_doubt(plan, recorded) or {"unknown", "lost"} & set(states) else DONE
