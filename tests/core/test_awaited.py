"""Tests the progress of the runs that a command waits for, computed from a plan and a ledger."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from reconciler.core.awaited import Progress, keys_of_plan, progress
from reconciler.core.desired import DesiredSpec
from reconciler.core.identity import Content, Place, SubmissionKey
from reconciler.core.plan import Action, ActionType, Plan, Reason
from reconciler.core.state import Phase, Recorded, RunState, Submission
from reconciler.model.spec import Dependency
from tests.builders import spec
from tests.campaigns import in_one_test

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
    """Returns an action for the submission."""
    return Action("clicks", "BatchJob", kind, reason, KEY, overdue=overdue)


@in_one_test(
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
    """A command waits for runs that the plan submits, and for specs whose wait ends without an operator."""
    assert (keys_of_plan(plan_of(action(kind, reason))) == {KEY}) is awaited


@in_one_test(
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


@in_one_test(
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
    """After a failed attempt, the run makes progress if a retry follows, is on hold if the plan waits for an operator,
    and has failed if no retry follows."""
    plan = plan_of(action(kind, reason, overdue=overdue))
    (each,) = progress([KEY], plan, recorded_with(RunState.FAILED), {})
    assert each.progress is expected


def chain(stopped: Action | None, *names: str) -> tuple[Plan, dict[str, DesiredSpec]]:
    """Returns a plan in which the second spec and its successors wait, and `stopped` is the action for the first one.
    Also returns the specs, each of which depends on the one before it."""
    waits = [
        Action(name, "BatchJob", ActionType.WAIT, Reason.DEPENDENCY, SubmissionKey(name, 1), message=f"{before} first")
        for before, name in pairwise(names)
    ]
    specs = {name: spec(name=name, policy={"dependsOn": [Dependency(name=before)]}) for before, name in pairwise(names)}
    return plan_of(*([stopped] if stopped is not None else []), *waits), specs


@pytest.mark.parametrize(
    ("stopped", "expected"),
    [
        (
            Action("a", "BatchJob", ActionType.HOLD, Reason.RETRIES_EXHAUSTED, message="run 7 failed"),
            "; a: run 7 failed",
        ),
        (Action("a", "BatchJob", ActionType.WAIT, Reason.SUSPENDED), "; a: suspended"),
        (None, ""),
    ],
)
def test_a_held_chain_names_what_stopped_it(stopped: Action | None, expected: str):
    """The last spec of a chain is on hold for the same reason as the first one, although it does not depend on it
    directly."""
    plan, specs = chain(stopped, "a", "b", "c")
    (each,) = progress([SubmissionKey("c", 1)], plan, Recorded(), specs)
    assert (each.progress, each.message) == (Progress.HELD, "b first" + expected)


def test_a_run_that_a_wait_names_is_not_repeated():
    """The message of a direct dependent already contains the failed run."""
    failed = replace(
        action(ActionType.HOLD, Reason.RETRIES_EXHAUSTED), name="a", run_id="run-7", message="run-7 failed"
    )
    plan, specs = chain(failed, "a", "b")
    plan = replace(plan, actions=(failed, replace(plan.actions[1], message="run run-7 of a failed")))
    (each,) = progress([SubmissionKey("b", 1)], plan, Recorded(), specs)
    assert each.message == "run run-7 of a failed"
