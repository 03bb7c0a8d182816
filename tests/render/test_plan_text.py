"""Tests how plans are rendered as text."""

from __future__ import annotations

import re

import pytest

from reconciler.core.plan import ActionType, Change, Reason
from reconciler.render.plan_text import plan_text
from tests.campaigns import in_one_test
from tests.render.golden_files import check
from tests.render.samples import PLACE, action, changed, every_kind_of_action, plan


def test_every_kind_of_action_reads_well():
    """The text of a plan with actions of every type equals the golden file."""
    check("plan.txt", plan_text(every_kind_of_action()))


def test_colour_adds_nothing_but_colour():
    """Without its colour codes, a coloured plan equals the plain plan."""
    painted = plan_text(every_kind_of_action(), color=True)
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plan_text(every_kind_of_action())
    assert "\x1b" not in plan_text(every_kind_of_action())


def test_a_plan_in_sync_is_one_line():
    """A plan in sync has no legend and no actions, only the summary."""
    same = [action(f"same-{number}", action=ActionType.NONE, reason=Reason.IN_SYNC) for number in range(57)]
    text = plan_text(plan(*same))
    assert text.splitlines()[-1] == "No changes. 57 in sync."
    assert "Symbols" not in text
    assert "same-1" not in text


def test_the_summary_counts_actions():
    """Types without actions are not listed, but the number of specs in sync is always shown."""
    submits = [action(f"job-{number}") for number in range(2)]
    gone = action("gone", action=ActionType.CANCEL, reason=Reason.SPEC_REMOVED, run_id="00f")
    assert plan_text(plan(*submits, gone)).splitlines()[-1] == "Plan: 2 to submit now, 1 to cancel. 0 in sync."


def test_holds_alone_are_no_changes():
    """Waiting specs and specs on hold are not changes, but the summary counts them."""
    held = action(action=ActionType.HOLD, reason=Reason.LOST)
    assert plan_text(plan(held)).splitlines()[-1] == "No changes. 1 held, 0 in sync."


def test_a_field_is_one_line():
    """A changed field is one line with its sign, its path, and the old and new values."""
    lines = plan_text(plan(changed())).splitlines()
    assert '      ~ jobDriver.sparkSubmit.conf["spark.executor.memory"]: "4g" -> "8g"' in lines


def test_a_changed_order_shows_both_orders():
    """If only the order changed, both orders are shown."""
    shown = plan_text(plan(changed(changes=(Change("environment", "reorder", ["A", "B"], ["B", "A"]),))))
    assert '      ~ environment: order changed\n          ["A", "B"]\n       -> ["B", "A"]' in shown


@in_one_test("place", ["name", "message", "value", "path", "source", "warning", "run"])
def test_no_text_of_users_reaches_the_terminal_raw(place):
    """Terminal escapes, overrides, line ends and runner commands are escaped wherever text from users or AWS can
    occur."""
    evil = "x\x1b[2J\u202e\n::error::boom ##[error]"
    from reconciler.core.identity import Source

    given = {
        "name": lambda: plan(action(evil)),
        "message": lambda: plan(action(message=f"{evil}")),
        "value": lambda: plan(changed(changes=(Change("a", "change", evil, [evil]),))),
        "path": lambda: plan(changed(changes=(Change(f'a["{evil}"]', "add", None, 1),))),
        "source": lambda: plan(action(source=Source(evil, 1))),
        "warning": lambda: plan(warnings=(evil,)),
        "run": lambda: plan(action(action=ActionType.REPLACE, replaces=evil)),
    }
    text = plan_text(given[place]())
    assert all(line.isprintable() for line in text.split("\n"))
    assert not any(line.lstrip().startswith("::") for line in text.split("\n"))
    assert "##[" not in text
    assert "\\u001b[2J\\u202e" in text


def test_the_place_is_named_first():
    """The first line contains the project and target of the plan."""
    first = plan_text(plan()).splitlines()[0]
    assert first == f"Project {PLACE.project}, target {PLACE.target} (account {PLACE.account}, region {PLACE.region})"


def test_an_unknown_kind_is_shown_as_it_is_sent():
    """A plan file may contain a kind that this version does not support. Its request is still shown."""
    assert '+ applicationId: "00f1abcdefg"' in plan_text(plan(action(kind="NewKind")))


def test_a_changed_revision_alone_is_shown():
    """If only the revision changed, no field of the request is shown, and the legend explains the sign."""
    revised = action(reason=Reason.REVISION_CHANGED, generation=2, revision=7)
    lines = plan_text(plan(revised)).splitlines()
    assert "      ~ revision: changed to 7 (the request is the same)" in lines
    assert "   ~ changed field" in lines


@pytest.mark.parametrize("reason", [Reason.NEW, Reason.SPEC_CHANGED])
def test_a_revision_is_not_shown_beside_a_change(reason):
    """If the request changed, its fields are shown instead of the revision."""
    assert "revision" not in plan_text(plan(action(reason=reason, generation=2, revision=7)))
