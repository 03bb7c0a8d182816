"""Tests that runs that have not started in time are cancelled, and that their end counts as a failure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core import events as e
from reconciler.core.decide import plan
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.state import Sighting
from reconciler.model.project import Limits
from reconciler.model.spec import Suspension
from tests.builders import NOW, at, desired, intended, outcome, recorded, spec, token

LIMIT = 600


def waiting(state: str = "submitted", *, created: float | None = None, **more: Any) -> list[e.Event]:
    """Returns the events of a run that was submitted 11 minutes ago. `created` is the time when AWS created the run, if
    given."""
    intent = intended(seconds=-660)
    seen: dict[str, Any] = {"created_at": at(created)} if created is not None else {}
    word = {"submitted": "RUNNABLE"}.get(state, state.upper())
    observed = e.Observed(
        at=at(-60), name="orders", token=token(), run_id="run-1", state=state, aws_state=word, **seen, **more
    )
    return [intent, outcome("submitted", intent, seconds=-660), observed]


def asked(**more: Any) -> e.CancelAsked:
    """Returns a request to cancel the run."""
    return e.CancelAsked(at=at(-30), name="orders", token=token(), run_id="run-1", reason="r", actor="a", **more)


def ended(state: str = "cancelled") -> e.Observed:
    """Returns the end of the run."""
    return e.Observed(at=at(-20), name="orders", token=token(), run_id="run-1", state=state, aws_state="FAILED")


def decided(*events: e.Event, policy: dict[str, Any] | None = None, **more: Any) -> list[Action]:
    """Returns the actions of a pass for a spec whose pendingTimeoutSeconds is ten minutes."""
    given = spec(policy={"pendingTimeoutSeconds": LIMIT, **(policy or {})})
    return list(plan(desired(given, **more), recorded(*events), NOW).actions)


def cancels(actions: list[Action]) -> list[str | None]:
    """Returns the runs that the actions cancel because they have not started."""
    return [a.run_id for a in actions if a.action is ActionType.CANCEL and a.reason is Reason.NOT_STARTED]


def test_a_run_that_has_not_started_is_cancelled():
    """If AWS accepted a run that has still not started after the limit, the run is cancelled."""
    (action,) = decided(*waiting(detail="CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"))
    assert (ActionType.CANCEL, Reason.NOT_STARTED, "run-1") == (action.action, action.reason, action.run_id)
    assert "RUNNABLE: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY" in action.message


@pytest.mark.parametrize(
    "events",
    [
        waiting("running"),
        waiting("succeeded"),
        waiting(created=-599),  # by AWS's clock, the run is younger
        [*waiting(), asked()],  # an operator's request is carried out as such
    ],
)
def test_other_runs_are_not_cancelled_for_it(events: list[e.Event]):
    """A run is not cancelled if it has started or ended, is too young by AWS's clock, or is already being stopped."""
    assert cancels(decided(*events)) == []


@pytest.mark.parametrize(
    "given",
    [
        {"policy": {"pendingTimeoutSeconds": None}},
        {"policy": {"suspend": True}},
        {"suspension": Suspension(reason="freeze")},
        {"unapplied": frozenset({"orders"})},
    ],
)
def test_nothing_is_cancelled_without_a_limit_in_force(given: dict[str, Any]):
    """The run keeps waiting without the field, during a suspension, and while the change that sets the field is not
    applied."""
    assert cancels(decided(*waiting(), **given)) == []


def test_a_run_whose_state_is_unclear_is_not_cancelled():
    """If the state could not be read in this pass, the run may have started, so it is not cancelled."""
    state = recorded(*waiting())
    Sighting(observe_errors={token(): "AccessDenied"}).lay_over(state)
    actions = plan(desired(spec(policy={"pendingTimeoutSeconds": LIMIT})), state, NOW).actions
    assert cancels(list(actions)) == []


def test_an_unconfirmed_cancel_is_repeated_for_the_same_reason():
    """Until AWS has accepted the request, every pass repeats it."""
    assert cancels(decided(*waiting(), asked(not_started=True))) == ["run-1"]


def test_a_run_that_started_after_all_is_left_alone():
    """A run that has started is not cancelled, even if a pass recorded the cancellation but ended before it called
    AWS."""
    (action,) = decided(*waiting(), asked(not_started=True), replace(ended("running"), aws_state="RUNNING"))
    assert (ActionType.NONE, Reason.IN_SYNC) == (action.action, action.reason)


@pytest.mark.parametrize(
    ("limit", "action", "reason"),
    [(1, ActionType.SUBMIT, Reason.RETRY), (0, ActionType.HOLD, Reason.RETRIES_EXHAUSTED)],
)
def test_the_end_counts_as_a_failure(limit: int, action: ActionType, reason: Reason):
    """The cancelled run is retried up to backoffLimit. After that, the spec is on hold."""
    events = [*waiting(), asked(not_started=True), ended()]
    (actual,) = decided(*events, policy={"backoffLimit": limit, "backoffSeconds": 0})
    assert (action, reason) == (actual.action, actual.reason)
    assert "did not start in time" in actual.message


def test_an_operator_s_request_after_it_is_no_failure():
    """If an operator also cancels the run, it is not retried."""
    events = [*waiting(), asked(not_started=True), asked(), ended()]
    (actual,) = decided(*events, policy={"backoffLimit": 3, "backoffSeconds": 0})
    assert (ActionType.NONE, Reason.IN_SYNC) == (actual.action, actual.reason)


@pytest.mark.parametrize(("state", "action"), [("succeeded", ActionType.NONE), ("failed", ActionType.HOLD)])
def test_a_run_that_started_after_all_counts_as_it_ended(state: str, action: ActionType):
    """If the cancellation came too late, the outcome of the run counts."""
    (actual,) = decided(*waiting(), asked(not_started=True), ended(state))
    assert action is actual.action


def test_the_limit_of_cancellations_does_not_count_them():
    """Cancellations of runs that have waited too long do not count towards `maxCancellations`."""
    made = plan(desired(spec(policy={"pendingTimeoutSeconds": LIMIT})), recorded(*waiting()), NOW)
    assert made.refusal(Limits(maxCancellations=0)) is None
