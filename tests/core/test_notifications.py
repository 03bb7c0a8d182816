"""Tests the notifications of a pass."""

from __future__ import annotations

from typing import Any

from reconciler.core.decide import plan
from reconciler.core.events import Missed, Notified
from reconciler.core.notifications import Notification, new_notifications
from reconciler.core.state import Recorded
from tests.builders import NOW, at, desired, intended, outcome, ran, recorded, scheduled, spec


def found(wanted: Any, known: Recorded) -> list[tuple[str, list[str]]]:
    """Returns the key, without the token, and the kinds of each notification."""
    return [(notice.key.partition(":")[0], sorted(notice.kinds)) for notice in told(wanted, known)]


def told(wanted: Any, known: Recorded) -> tuple[Notification, ...]:
    """Returns the notifications of a pass with this state."""
    return new_notifications(plan(wanted, known, NOW), known, NOW)


def test_runs_under_way_cause_no_notification() -> None:
    """Submitted and running runs cause no notification. A success is reported only to webhooks that request it."""
    for known in (recorded(*ran("A", end="running")), recorded(intended("A", seconds=0))):
        assert found(desired(spec("A")), known) == []
    assert found(desired(spec("A")), recorded(*ran("A"))) == [("succeeded", ["succeeded"])]


def test_a_failed_and_held_run_causes_one_notification() -> None:
    """A failed run that is on hold causes one notification with both kinds, and only once."""
    intent = intended("A")
    known = recorded(intent, outcome("submitted", intent), outcome("failed", intent, finished_at=at(-60)))
    (notice,) = told(desired(spec("A")), known)
    assert sorted(notice.kinds) == ["failed", "held"]
    after = recorded(
        intent,
        outcome("submitted", intent),
        outcome("failed", intent, finished_at=at(-60)),
        Notified(at=at(), name="orders", key=notice.key, kinds=("failed", "held")),
    )
    assert found(desired(spec("A")), after) == []
    assert found(desired(spec("B")), after) == []


def test_a_failed_run_is_reported_after_a_change_too() -> None:
    """Failures are reported only within a day, so that turning on notifications does not report old failures."""
    intent = intended("A")
    for ended, expected in ((-60, [("failed", ["failed"])]), (-90_000, [])):
        known = recorded(intent, outcome("submitted", intent), outcome("failed", intent, finished_at=at(ended)))
        assert found(desired(spec("B")), known) == expected


def test_an_unknown_outcome_is_reported_after_its_sender_is_done() -> None:
    """A send that may still be in progress causes no notification."""
    under_way = intended("A", seconds=-10)
    assert found(desired(spec("A")), recorded(under_way)) == []
    assert found(desired(spec("A")), recorded(under_way, outcome("unclear", under_way))) == [("settling", ["unknown"])]
    assert found(desired(spec("A")), recorded(intended("A", seconds=-60))) == [("settling", ["unknown"])]


def test_holds_are_reported_by_their_kind() -> None:
    """Rejections, lost runs and conflicts are reported with the kind `held`. A lost run is also reported with the kind
    `lost`."""
    intent = intended("A")
    assert found(desired(spec("A")), recorded(intent, outcome("rejected", intent))) == [("rejected", ["held"])]
    lost = recorded(intent, outcome("submitted", intent), outcome("lost", intent))
    assert found(desired(spec("A")), lost) == [("lost", ["held", "lost"])]
    assert found(desired(spec("A")), recorded(intent, outcome("conflicted", intent))) == [("conflict", ["held"])]


def test_a_run_that_succeeds_after_a_failure_has_recovered() -> None:
    """The first success after a failure is reported with the kind `recovered`. Old successes are not reported."""
    first, second = intended("A", seconds=-7200), intended("B", generation=2, seconds=-3600)
    failed = (first, outcome("submitted", first), outcome("failed", first, finished_at=at(-7000)))
    for ended, expected in ((-60, ["recovered", "succeeded"]), (-90_000, None)):
        good = (second, outcome("submitted", second), outcome("succeeded", second, finished_at=at(ended)))
        kinds = [sorted(each.kinds) for each in told(desired(spec("B")), recorded(*failed, *good))]
        assert (expected in kinds) is (expected is not None)
    alone = recorded(first, outcome("submitted", first), outcome("succeeded", first, finished_at=at(-60)))
    assert found(desired(spec("A")), alone) == [("succeeded", ["succeeded"])]


def test_a_run_that_takes_much_longer_than_usual_is_stuck() -> None:
    """A stuck run is reported once while it waits and once while it runs."""
    events: list[Any] = []
    for number in range(1, 7):
        intent = intended(str(number), generation=number, seconds=-100_000 + number)
        times: dict[str, Any] = {"started_at": at(-99_000), "finished_at": at(-98_900)}
        events += [intent, outcome("submitted", intent), outcome("succeeded", intent, **times)]
    last = intended("A", generation=7, seconds=-20_000)
    events += [last, outcome("submitted", last), outcome("running", last, started_at=at(-19_000))]
    (notice,) = told(desired(spec("A")), recorded(*events))
    assert sorted(notice.kinds) == ["stuck"]
    assert "much longer than usual" in notice.message
    done = Notified(at=at(), name="orders", key=notice.key, kinds=("stuck",))
    assert told(desired(spec("A")), recorded(*events, done)) == ()


def test_missed_slots_are_reported_for_a_day() -> None:
    """Each range of missed slots is reported once."""
    for seconds, expected in ((-3600, ["missed"]), (-90_000, [])):
        slots = Missed(at=at(seconds), name="orders", first=at(seconds), last=at(seconds), reason="deadline")
        known = recorded(scheduled(seconds=-200_000, schedule="0 0 1 1 *"), slots)
        wanted = desired(spec("A", policy={"schedule": "0 0 1 1 *"}))
        assert [key for key, _ in found(wanted, known)] == expected
