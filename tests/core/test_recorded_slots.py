"""Tests events about schedules and slots, and their fold."""

from __future__ import annotations

from reconciler.core import events as e
from reconciler.core.event_codec import decode, encode
from tests.builders import at, intended, outcome, recorded, scheduled, slot_intended
from tests.campaigns import in_one_test

ONE, TWO, THREE = "2026-11-22T00:30:00Z", "2026-11-22T01:00:00Z", "2026-11-22T01:30:00Z"


def missed(*slots: str, settled: str | None = None) -> e.Missed:
    """Returns an event which records that these slots never run."""
    return e.Missed(
        at=at(), name="orders", first=slots[0], last=slots[-1], count=len(slots), slots=slots, reason="deadline",
        settled=settled,
    )  # fmt: skip


EVENTS = [
    scheduled(),
    scheduled(stopped="suspended", actor="tests"),
    missed(ONE, TWO, settled=TWO),
    e.Missed(at=at(), name="orders", first=ONE, last=THREE, reason="passed-over"),
    e.BackfillAsked(at=at(), name="orders", slots=(ONE,), actor="tests"),
]


@in_one_test("event", EVENTS, ids=lambda event: event.type)
def test_events_survive_their_json_form(event: e.Event) -> None:
    """Decoding reverses encoding. Tuples are written as JSON lists."""
    form = encode(event)
    assert decode({**form, "slots": tuple(form["slots"])} if "slots" in form else form) == event


def test_a_spec_may_have_a_schedule_and_no_submission() -> None:
    """The record of the spec contains the time since which the schedule is in force."""
    record = recorded(scheduled()).spec("orders")
    assert (record.newest, record.baseline, record.live, record.unresolved, record.head) == (None, None, [], [], 0)
    assert record.schedule is not None
    assert (record.schedule.since, record.schedule.schedule, record.schedule.stopped) == (at(-7200), "0 * * * *", None)


def test_slots_are_missed_one_by_one() -> None:
    """Only the listed slots are missed, not those between them."""
    record = recorded(scheduled(), missed(ONE, THREE)).spec("orders")
    assert [record.is_missed(slot) for slot in (ONE, TWO, THREE)] == [True, False, True]


def test_slots_are_missed_as_a_range() -> None:
    """Without a list of slots, all slots of the range are missed."""
    event = e.Missed(at=at(), name="orders", first=ONE, last=TWO, reason="deadline")
    record = recorded(scheduled(), event).spec("orders")
    assert [record.is_missed(slot) for slot in (ONE, TWO, THREE)] == [True, True, False]


def test_a_handled_slot_without_a_submission_was_missed() -> None:
    """Ranges up to the last handled slot are dropped, because earlier slots without a submission never run."""
    intent = slot_intended(TWO)
    record = recorded(scheduled(), intent, outcome("submitted", intent), missed(ONE, settled=TWO)).spec("orders")
    assert record.missed == []
    assert [record.is_missed(slot) for slot in (ONE, TWO, THREE)] == [True, False, False]


def test_slots_before_the_start_of_a_schedule_are_not_missed() -> None:
    """A schedule that starts again has no earlier slots."""
    record = recorded(scheduled(), missed(ONE, settled=ONE), scheduled(seconds=-60)).spec("orders")
    assert not record.is_missed(ONE)


def test_a_backfilled_slot_is_done_when_it_is_intended() -> None:
    """A slot is no longer waiting for its backfill once it was intended."""
    asked = e.BackfillAsked(at=at(), name="orders", slots=(ONE, TWO), actor="tests")
    intent = slot_intended(ONE)
    assert recorded(scheduled(), asked, asked, intent).spec("orders").backfill == [TWO]


def test_an_observation_ends_a_series_of_empty_answers() -> None:
    """Lookups that did not find the run are kept only until the run is observed again. Lookups of another run are
    ignored."""
    intent = intended()
    unseen = outcome("unseen", intent)
    known = recorded(intent, outcome("submitted", intent), unseen, outcome("unseen", intent, run_id="other"))
    assert known.by_token[intent.token].unseen == [at(-3590)]
    known = recorded(intent, outcome("submitted", intent), unseen, outcome("running", intent))
    assert known.by_token[intent.token].unseen == []


def test_a_cancel_may_be_requested_before_the_run_is_adopted() -> None:
    """The request to cancel is kept until the run is adopted."""
    intent = intended()
    asked = e.CancelAsked(at=at(), name="orders", token=intent.token, reason="wrong day", actor="tests")
    submission = recorded(intent, asked, outcome("adopted", intent)).by_token[intent.token]
    assert (submission.live, submission.cancel_asked_at, submission.replaced) == (True, at(), False)
