"""The progress of the runs that a command waits for, computed from a plan and a ledger."""

from __future__ import annotations

import pytest

from reconciler.core.awaited import Progress, keys_of_plan, progress
from reconciler.core.identity import Content, Place, SubmissionKey
from reconciler.core.plan import Action, ActionType, Plan, Reason
from reconciler.core.state import Phase, Recorded, RunState, Submission

KEY = SubmissionKey("clicks", 1)


def plan_of(*actions: Action) -> Plan:
    """Returns a plan with these actions."""
    return Plan(Place("shop", "local", "000000000000", "us-east-1"), "2026-11-29T00:00:00Z", 1, actions)


def recorded_with(run_state: RunState | None, phase: Phase = Phase.SUBMITTED) -> Recorded:
    """Returns a ledger with one submission."""
    recorded = Recorded()
    submission = Submission(KEY, "BatchJob", "rcn1-x", Content(), 1, None, "ops", phase=phase, run_state=run_state)
    recorded.record("clicks").submissions.append(submission)
    return recorded


def action(kind: ActionType, reason: Reason, *, overdue: bool = False) -> Action:
    """Returns an action about the submission."""
    return Action("clicks", "BatchJob", kind, reason, KEY, overdue=overdue)


@pytest.mark.parametrize(
    ("kind", "reason", "awaited"),
    [
        (ActionType.SUBMIT, Reason.NEW, True),
        (ActionType.SUBMIT, Reason.RETRY, True),
        (ActionType.REPLACE, Reason.SPEC_CHANGED, True),
        (ActionType.ADOPT, Reason.FOUND, True),
        (ActionType.WAIT, Reason.DEPENDENCY, True),
        (ActionType.WAIT, Reason.CONCURRENCY, True),
        (ActionType.WAIT, Reason.BACKOFF, True),
        (ActionType.WAIT, Reason.SUSPENDED, False),
        (ActionType.HOLD, Reason.UNKNOWN, False),
        (ActionType.CANCEL, Reason.SPEC_REMOVED, False),
        (ActionType.NONE, Reason.IN_SYNC, False),
    ],
)
def test_what_an_apply_waits_for(kind: ActionType, reason: Reason, awaited: bool):
    """A command waits for runs that the plan submits, and for waits that end without an operator."""
    assert (keys_of_plan(plan_of(action(kind, reason))) == {KEY}) is awaited


@pytest.mark.parametrize(
    ("run_state", "phase", "expected"),
    [
        (RunState.SUBMITTED, Phase.SUBMITTED, Progress.MOVING),
        (RunState.RUNNING, Phase.SUBMITTED, Progress.MOVING),
        (RunState.SUCCEEDED, Phase.SUBMITTED, Progress.SUCCEEDED),
        (RunState.FAILED, Phase.SUBMITTED, Progress.FAILED),
        (RunState.CANCELLED, Phase.SUBMITTED, Progress.FAILED),
        (RunState.LOST, Phase.SUBMITTED, Progress.FAILED),
        (None, Phase.INTENDED, Progress.MOVING),
        (None, Phase.APPLIED, Progress.SUCCEEDED),
        (None, Phase.REJECTED, Progress.HELD),
        (None, Phase.SUPERSEDED, Progress.HELD),
    ],
)
def test_each_state_of_a_submission(run_state: RunState | None, phase: Phase, expected: Progress):
    """A submission without a run makes progress only while it is intended."""
    (each,) = progress([KEY], plan_of(), recorded_with(run_state, phase), {})
    assert each.progress is expected


@pytest.mark.parametrize(
    ("kind", "reason", "overdue", "expected"),
    [
        (ActionType.SUBMIT, Reason.RETRY, False, Progress.MOVING),
        (ActionType.WAIT, Reason.BACKOFF, False, Progress.MOVING),
        (ActionType.WAIT, Reason.SETTLING, True, Progress.HELD),
        (ActionType.WAIT, Reason.SUSPENDED, False, Progress.HELD),
        (ActionType.WAIT, Reason.DEPENDENCY, False, Progress.HELD),
        (ActionType.HOLD, Reason.RETRIES_EXHAUSTED, False, Progress.FAILED),
    ],
)
def test_the_plan_decides_after_a_failed_attempt(kind: ActionType, reason: Reason, overdue: bool, expected: Progress):
    """After a failed attempt, the run makes progress if a retry follows, is held if the plan waits for something else,
    and has failed if no retry follows."""
    plan = plan_of(action(kind, reason, overdue=overdue))
    (each,) = progress([KEY], plan, recorded_with(RunState.FAILED), {})
    assert each.progress is expected
