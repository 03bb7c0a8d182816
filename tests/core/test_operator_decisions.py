"""Tests how a pass follows the decisions of operators."""

from __future__ import annotations

from reconciler.core.decide import plan
from reconciler.core.plan import ActionType, Reason
from tests.builders import NOW, desired, intended, outcome, ran, recorded, spec, taken, token


def test_resolve_submit_sends_the_same_submission_again() -> None:
    """The submission keeps its token and generation, so that at most one run can have them."""
    intent = intended("A")
    (action,) = plan(desired(spec("A")), recorded(intent, outcome("resolved", intent)), NOW).actions
    assert (action.action, action.reason) == (ActionType.SUBMIT, Reason.NEW)
    assert (action.client_token, action.generation, action.send) == (token("A", 1), 1, 2)


def test_abandoned_content_stays_abandoned() -> None:
    """An abandoned submission stays abandoned, and the message says how to run it again."""
    intent = intended("A")
    known = recorded(intent, outcome("resolved", intent, decision="abandon"))
    made = plan(desired(spec("A")), known, NOW)
    (action,) = made.actions
    assert (action.action, action.reason, made.held) == (ActionType.NONE, Reason.IN_SYNC, ())
    assert action.message == "generation 1 was abandoned by an operator; to run it, raise spec.revision"


def test_new_content_after_an_abandoned_generation_is_the_next_one() -> None:
    """The number of the abandoned generation is not used again. New content is compared with the last run."""
    intent = intended("B", 2)
    known = recorded(*ran("A", 1), intent, outcome("resolved", intent, decision="abandon"))
    (changed,) = plan(desired(spec("C")), known, NOW).actions
    assert (changed.action, changed.reason, changed.generation) == (ActionType.SUBMIT, Reason.SPEC_CHANGED, 3)
    (back,) = plan(desired(spec("A")), known, NOW).actions
    assert (back.action, back.reason, back.generation) == (ActionType.NONE, Reason.IN_SYNC, 1)


def test_a_manually_adopted_run_is_in_sync() -> None:
    """The spec has a current submission, so nothing is submitted. A change starts the next generation."""
    known = recorded(taken("A"))
    (same,) = plan(desired(spec("A")), known, NOW).actions
    assert (same.action, same.reason, same.run_id) == (ActionType.NONE, Reason.IN_SYNC, "run-1")
    known = recorded(taken("A"), outcome("succeeded", intended("A")))
    (changed,) = plan(desired(spec("B")), known, NOW).actions
    assert (changed.action, changed.reason, changed.generation) == (ActionType.SUBMIT, Reason.SPEC_CHANGED, 2)
