"""Tests how the results of an apply are rendered."""

from __future__ import annotations

import re

import pytest

from reconciler.core.plan import ActionOutcome, ActionResult, ActionType, Reason
from reconciler.render.results import results_text
from tests.render.golden_files import check
from tests.render.samples import action, plan

SOME = plan(
    action("a-new", generation=3),
    action("b-rejected"),
    action("c-unknown"),
    action("d-found", action=ActionType.ADOPT, reason=Reason.FOUND, run_id="00found"),
    action("e-gone", action=ActionType.CANCEL, reason=Reason.SPEC_REMOVED, run_id="00gone"),
    action("f-skipped", action=ActionType.SKIP, reason=Reason.MISSED, generation=None, slot="2026-11-21T02:00:00Z"),
    action("g-unsent"),
    action("h-left"),
    action("i-same", action=ActionType.NONE, reason=Reason.IN_SYNC),
    action("j-held", action=ActionType.HOLD, reason=Reason.LOST),
)
RESULTS = [
    ActionResult(ActionOutcome.SUBMITTED, "00f5qtaa1k4ad80b"),
    ActionResult(ActionOutcome.REJECTED, error="ValidationException: password=hunter2\x1b[2J"),
    ActionResult(ActionOutcome.UNKNOWN, error="ReadTimeoutError: no answer"),
    ActionResult(ActionOutcome.ADOPTED, "00found"),
    ActionResult(ActionOutcome.CANCELLED, "00gone"),
    ActionResult(ActionOutcome.RECORDED),
    ActionResult(ActionOutcome.UNSENT, error="EndpointConnectionError: no route"),
    ActionResult(ActionOutcome.NONE),
    ActionResult(ActionOutcome.NONE),
    ActionResult(ActionOutcome.NONE),
]


def test_results_read_well():
    """Each action with an effect has a line with its error, and all outcomes are counted."""
    check("results.txt", results_text(SOME, RESULTS))


def test_colour_adds_nothing_but_colour():
    """Without its colour codes, the coloured text is the plain one."""
    painted = results_text(SOME, RESULTS, color=True)
    assert painted != results_text(SOME, RESULTS)
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == results_text(SOME, RESULTS)


def test_nothing_to_do_is_said():
    """The text of an apply without actions says that there was nothing to do."""
    assert results_text(plan(), []) == "Apply complete: nothing to do."


def test_a_result_for_each_action():
    """A number of results that differs from the number of actions is an error of the caller."""
    with pytest.raises(ValueError, match="longer"):
        results_text(plan(), RESULTS)
