"""Tests the exit code of `apply` for each outcome."""

from __future__ import annotations

import pytest

from reconciler.cli.exit_codes import apply_exit_code, plan_exit_code, status_exit_code
from reconciler.core.events import Intended, Submitted, Superseded
from reconciler.core.fold import fold
from reconciler.core.identity import Content, Place, SubmissionKey
from reconciler.core.plan import Action, ActionResult, ActionType, Plan, Reason
from reconciler.core.state import Recorded
from tests.campaigns import in_one_test

TOKEN = "r1-a"
AT = "2026-11-22T02:00:00.000Z"


def _plan(action: ActionType = ActionType.SUBMIT, reason: Reason = Reason.NEW) -> Plan:
    planned = Action(name="orders", kind="BatchJob", action=action, reason=reason, client_token=TOKEN)
    return Plan(Place("shop", "prod", "1", "r"), AT, 0, (planned,))


def _recorded(*, intended: bool = False, submitted: bool = False) -> Recorded:
    recorded = Recorded()
    if intended or submitted:
        intent = Intended(
            at=AT,
            token=TOKEN,
            kind="BatchJob",
            key=SubmissionKey("orders", 1),
            content=Content("sha256:0", request={}),
            send=1,
            not_after=AT,
            owner="host:1:a",
            reason="new",
            actor="team",
            tool_version="0",
        )
        fold(recorded, 1, [intent])
    if submitted:
        fold(recorded, 2, [Submitted(at=AT, name="orders", token=TOKEN, send=1, run_id="r")])
    return recorded


@in_one_test(
    ("result", "code"),
    [
        (ActionResult("submitted", "r"), 0),
        (ActionResult("adopted", "r"), 0),
        (ActionResult("cancelled", "r"), 0),
        (ActionResult("cancelled", "r", "it could not be asked"), 1),
        (ActionResult("recorded"), 0),
        (ActionResult("unknown", None, "ReadTimeout: no answer"), 3),
        (ActionResult("rejected", None, "ClientException: no"), 3),
        (ActionResult("unsent", None, "EndpointConnectionError: no"), 1),
        (ActionResult("none"), 0),
        (ActionResult("none", None, "it moved"), 1),
    ],
    ids=lambda value: f"{value.outcome} {value.error}" if isinstance(value, ActionResult) else "",
)
def test_outcomes(result: ActionResult, code: int):
    """An action that was not carried out is an error. An unknown or rejected outcome requires attention."""
    assert code == apply_exit_code(_plan(), [result], _recorded(), stopped=False)


@pytest.mark.parametrize(
    ("recorded", "exactly", "code"),
    [
        (_recorded(submitted=True), False, 0),
        (_recorded(intended=True), False, 3),
        (_recorded(), False, 1),
        (_recorded(submitted=True), True, 1),
    ],
    ids=["accepted", "being sent", "moved", "exactly"],
)
def test_actions_that_another_pass_performed(recorded: Recorded, exactly: bool, code: int):
    """An accepted submission is not an error, and a submission that is being sent is unknown. With a plan file, both
    are errors."""
    result = ActionResult("none", None, "another pass was quicker")

    assert code == apply_exit_code(_plan(), [result], recorded, stopped=False, exactly=exactly)


def test_a_submission_that_another_pass_gave_up_is_done():
    """If two passes observe the end of the same submission, the slower pass has nothing left to do, which is not an
    error."""
    recorded = _recorded(intended=True)
    fold(recorded, 2, [Superseded(at=AT, name="orders", token=TOKEN)])
    result = ActionResult("none", None, "it moved")

    assert apply_exit_code(_plan(ActionType.SKIP, Reason.SUPERSEDED), [result], recorded, stopped=False) == 0
    assert apply_exit_code(_plan(), [result], recorded, stopped=False) == 1


def test_an_interrupted_apply_is_an_error():
    """The exit code is 1 even if every action was performed."""
    assert apply_exit_code(_plan(), [ActionResult("submitted", "r")], _recorded(), stopped=True) == 1


def test_a_failed_observation_exits_3():
    """The exit code is 3 for `plan --detailed-exitcode`, `apply` and `status`. A plain `plan` exits 0."""
    plan, recorded = _plan(ActionType.NONE, Reason.IN_SYNC), _recorded(submitted=True)
    recorded.observe_errors[TOKEN] = "DescribeJobs: AccessDenied"

    assert plan_exit_code(plan, recorded, detailed=True) == 3
    assert apply_exit_code(plan, [ActionResult("none")], recorded, stopped=False) == 3
    assert status_exit_code(plan, recorded, ["running"]) == 3
    assert plan_exit_code(plan, recorded, detailed=False) == 0


def test_a_failed_observation_of_a_dependency_exits_3():
    """Otherwise, a spec that waits for the dependency could wait forever without a message."""
    waiting = Action(
        name="orders", kind="BatchJob", action=ActionType.WAIT, reason=Reason.CONCURRENCY, client_token="r1-next"
    )
    plan, recorded = Plan(Place("shop", "prod", "1", "r"), AT, 0, (waiting,)), _recorded(submitted=True)
    recorded.observe_errors[TOKEN] = "DescribeJobs: AccessDenied"

    assert apply_exit_code(plan, [ActionResult("none")], recorded, stopped=False) == 3
    assert status_exit_code(plan, recorded, ["none"]) == 3


@pytest.mark.parametrize(("state", "code"), [("unknown", 3), ("lost", 3), ("running", 0), ("none", 0)])
def test_states(state: str, code: int):
    """A lost or unknown run requires an operator."""
    assert code == status_exit_code(_plan(ActionType.NONE, Reason.IN_SYNC), _recorded(), [state])
