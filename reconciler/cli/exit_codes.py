"""Computes the exit code of a command: 1 takes precedence over 3, and 3 over 2."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.core.plan import Action, ActionResult, Plan
    from reconciler.core.state import Recorded, Submission

DONE, ERROR, CHANGES, ACTION_REQUIRED, USAGE = 0, 1, 2, 3, 64


def needs_attention(plan: Plan, recorded: Recorded) -> bool:
    """Returns whether an action is required or an outcome is unknown. This includes a hold (of a spec or the project
    file), a submission that is settling, a run of a spec in the plan that AWS did not describe, and a problem in the
    project's files."""
    from reconciler.core.settings import change_of_settings

    names = {action.name for action in plan.actions}
    settings = change_of_settings(plan)
    unobserved = (recorded.by_token.get(token) for token in recorded.observe_errors)
    waits = bool(plan.held or plan.problems) or plan.overdue or (settings is not None and settings.stale)
    return waits or any(run is not None and run.name in names for run in unobserved)


def plan_exit_code(plan: Plan, recorded: Recorded, *, detailed: bool, fail_on_pending: bool = False) -> int:
    """Returns the exit code of a plan, which is normally 0. With `detailed`, it depends on the content of the plan.
    With `fail_on_pending`, changes that were already on the base are an error."""
    if fail_on_pending and plan.pending_on_base:
        return ERROR
    if not detailed:
        return DONE
    if needs_attention(plan, recorded):
        return ACTION_REQUIRED
    return CHANGES if plan.pending or plan.schedule_changes or plan.changes else DONE


def apply_exit_code(
    plan: Plan, results: Sequence[ActionResult], recorded: Recorded, *, stopped: bool, exactly: bool = False
) -> int:
    """Returns the exit code of an apply. `recorded` is the state after the apply.

    If another pass performed an action first, this is not an error once AWS has accepted the submission, and it is
    treated as unknown while the submission is being sent. With `exactly`, as for a plan file, this is an error.
    """
    codes = {
        _action_exit_code(action, result, recorded, exactly=exactly)
        for action, result in zip(plan.actions, results, strict=True)
    }
    if stopped or ERROR in codes:
        return ERROR
    return ACTION_REQUIRED if ACTION_REQUIRED in codes or needs_attention(plan, recorded) else DONE


def status_exit_code(plan: Plan, recorded: Recorded, states: Collection[str]) -> int:
    """Returns the exit code of `status`. `states` are the states in its rows."""
    attention = needs_attention(plan, recorded) or not {"unknown", "lost"}.isdisjoint(states)
    return ACTION_REQUIRED if attention else DONE


def _action_exit_code(action: Action, result: ActionResult, recorded: Recorded, *, exactly: bool) -> int:
    from reconciler.core.plan import ActionOutcome

    match ActionOutcome(result.outcome):
        case ActionOutcome.UNSENT:
            return ERROR
        case ActionOutcome.REJECTED | ActionOutcome.UNKNOWN:
            return ACTION_REQUIRED
        case _ if result.error is None:
            return DONE
        case ActionOutcome.NONE if not exactly:
            return _overtaken(action, recorded.by_token.get(action.client_token or ""))
        case _:
            return ERROR


def _overtaken(action: Action, submission: Submission | None) -> int:
    """Returns the code of an action that another pass performed first."""
    from reconciler.core.plan import ActionType
    from reconciler.core.state import Phase

    given_up = action.action is ActionType.SKIP and (
        bool(action.missed) or (submission is not None and submission.phase is Phase.SUPERSEDED)
    )
    if given_up or (submission is not None and submission.accepted):
        return DONE
    return ACTION_REQUIRED if submission is not None and submission.unresolved else ERROR
