"""Tests how the status of specs is rendered."""

from __future__ import annotations

import re
from typing import Any

import pytest

from reconciler.core import events as e
from reconciler.core.plan import ActionType, Reason
from reconciler.core.times import age_text, parse_time
from reconciler.render.status import StatusRow, rows, status_text
from tests.builders import recorded
from tests.campaigns import in_one_test
from tests.render.golden_files import check
from tests.render.samples import NOW, action, every_kind_of_action, intended, observed, plan, submitted, token

AT = "2026-11-22T01:00:02.000Z"


def unclear() -> e.Unclear:
    """Returns the event that a send got no reply."""
    name = "orders-daily"
    return e.Unclear(at=AT, name=name, token=token(name), send=1, code="ReadTimeoutError", message="no reply")


def rejected(name: str = "orders-daily") -> e.Rejected:
    """Returns the event that AWS rejected a send."""
    return e.Rejected(
        at=AT, name=name, token=token(name), send=1, code="ValidationException", message="password=hunter2"
    )


def unsent(name: str = "orders-daily") -> e.Unsent:
    """Returns the event that a send did not reach AWS."""
    return e.Unsent(at=AT, name=name, token=token(name), send=1, code="EndpointConnectionError", message="no route")


def conflicted(name: str = "orders-daily") -> e.Conflicted:
    """Returns the event that a submission has two runs."""
    return e.Conflicted(at=AT, name=name, token=token(name), run_ids=("a", "b"))


def superseded(name: str = "orders-daily") -> e.Superseded:
    """Returns the event that a submission was proven absent and is no longer needed."""
    return e.Superseded(at=AT, name=name, token=token(name))


def row(*events: e.Event, **fields: Any) -> StatusRow:
    """Returns the status row of a spec with these events. Keyword arguments are fields of its action."""
    given: dict[str, Any] = {"action": ActionType.NONE, "reason": Reason.IN_SYNC, **fields}
    return rows(plan(action(**given)), recorded(*events))[0]


@in_one_test(
    ("events", "state"),
    [
        ([], "none"),
        ([intended()], "unknown"),
        ([intended(not_after="2026-11-22T02:00:30.000Z")], "intended"),
        ([intended(not_after="2026-11-22T02:00:30.000Z"), unclear()], "unknown"),
        ([intended(not_after="2026-11-22T02:00:30.000Z"), conflicted()], "unknown"),
        ([intended(), submitted()], "submitted"),
        ([intended(), submitted(), observed(state="running")], "running"),
        ([intended(), submitted(), observed(state="succeeded")], "succeeded"),
        ([intended(), submitted(), observed(state="failed")], "failed"),
        ([intended(), submitted(), observed(state="cancelled")], "cancelled"),
        ([intended(), submitted(), observed(state="lost")], "lost"),
        ([intended(), conflicted()], "unknown"),
        ([intended(), rejected()], "none"),
        ([intended(), unsent()], "none"),
        ([intended(), superseded()], "none"),
        ([intended(number=2), submitted(number=2), intended(number=3), submitted(number=3)], "submitted"),
    ],
)
def test_states_in_one_word(events, state):
    """The state follows from the newest submission and the time of the plan."""
    assert row(*events).state == state


def test_a_row_is_about_the_newest_submission():
    """Run, token, digest and times belong to the newest submission, not to the planned one."""
    actual = row(intended(), submitted(), observed(), generation=7, client_token="r1-planned")
    assert (actual.generation, actual.attempt, actual.run_id, actual.client_token) == (1, 1, "00f7run1", token())
    assert (actual.submitted_at, actual.finished_at) == (AT, "2026-11-22T01:29:30.000Z")
    assert actual.in_sync
    assert actual.reason == "in-sync"


def test_a_spec_that_never_ran_has_no_run():
    """Without a submission, there is no generation, token or time, but only the digest of the spec."""
    actual = row(action=ActionType.SUBMIT, reason=Reason.NEW)
    assert (actual.generation, actual.attempt, actual.run_id, actual.client_token) == (None, None, None, None)
    assert actual.digest is not None
    assert not actual.in_sync
    assert actual.reason == "new"


@pytest.mark.parametrize(
    ("event", "words"), [(rejected(), "rejected: ValidationException"), (unsent(), "unsent: Endpoint")]
)
def test_a_spec_without_a_run_gives_the_reason(event, words):
    """If a spec has no run because of a rejection or a failed send, the reason is shown, whatever its current action
    is."""
    assert words in row(intended(), event, action=ActionType.WAIT, reason=Reason.SUSPENDED).reason
    explained = row(
        intended(), event, action=ActionType.HOLD, reason=Reason.REJECTED, message=f"AWS: {event.code}: {event.message}"
    )
    assert explained.reason.count(event.code) == 1


def test_a_row_is_about_the_submission_of_the_plan():
    """If git returns from content that never ran to content that ran, the row shows the run of the current content."""
    actual = row(
        intended(), submitted(), intended(number=2), e.Superseded(at=AT, name="orders-daily", token=token(number=2))
    )
    assert (actual.generation, actual.state, actual.in_sync, actual.reason) == (1, "submitted", True, "in-sync")


def test_a_superseded_submission_is_named():
    """If a spec has no run because its submission was superseded, this is shown as the reason."""
    assert (
        row(intended(), superseded(), action=ActionType.WAIT, reason=Reason.SUSPENDED).reason == "suspended; superseded"
    )


def test_a_name_with_several_actions_has_one_row():
    """If a spec has two unresolved submissions, it has one row, which is not in sync and contains both reasons."""
    held = action(action=ActionType.HOLD, reason=Reason.UNKNOWN)
    waiting = action(action=ActionType.WAIT, reason=Reason.SETTLING, client_token=token(number=2))
    (actual,) = rows(plan(held, waiting), recorded(intended(), intended(number=2)))
    assert (actual.generation, actual.in_sync, actual.reason) == (2, False, "unknown; settling")


def test_retired_names_come_last():
    """Specs that were removed from git come last."""
    assert [each.name for each in rows(every_kind_of_action(), recorded())][-2:] == ["vanished", "old"]


def test_the_table_reads_well():
    """The table with every state and with masked reasons equals the golden file."""
    history = recorded(
        intended(), submitted(), observed(), intended("busy", 2), submitted("busy", 2), observed("busy", 2, "running"),
        intended("failed"), rejected("failed"), intended("settling"), intended("old"), submitted("old"),
        intended("late", generation=None, slot="2026-11-21T02:00:00Z", attempt=2),
    )  # fmt: skip
    check("status.txt", status_text(rows(every_kind_of_action(), history), parse_time(NOW)))


def test_colour_adds_nothing_but_colour():
    """Without its colour codes, the coloured table equals the plain one."""
    table = rows(every_kind_of_action(), recorded(intended(), submitted()))
    painted = status_text(table, parse_time(NOW), color=True)
    assert painted != status_text(table, parse_time(NOW))
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == status_text(table, parse_time(NOW))


def test_an_empty_project_has_a_message():
    """If there are no rows, a sentence is printed instead of the table."""
    assert status_text((), parse_time(NOW)) == "No specs, and nothing recorded."


@in_one_test(
    ("seconds", "text"), [(-5, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (90000, "1d")]
)
def test_ages(seconds, text):
    """An age is shown in its largest whole unit. It is never negative, even if the clocks differ."""
    assert age_text(seconds) == text
