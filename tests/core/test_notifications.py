"""The notifications of a pass."""

from __future__ import annotations

from typing import Any

from reconciler.core.decide import plan
from reconciler.core.events import Notified
from reconciler.core.notifications import Notification, new_notifications
from reconciler.core.state import Recorded
from tests.builders import NOW, at, desired, intended, outcome, ran, recorded, spec


def found(wanted: Any, known: Recorded) -> list[tuple[str, list[str]]]:
    """Returns key, without the token, and kinds of each notification."""
    return [(notice.key.partition(":")[0], sorted(notice.kinds)) for notice in told(wanted, known)]


def told(wanted: Any, known: Recorded) -> tuple[Notification, ...]:
    """Returns the notifications of a pass with this state."""
    return new_notifications(plan(wanted, known, NOW), known, NOW)


def test_good_ends_cause_no_notification() -> None:
    """Running, succeeded and just submitted runs cause no notification."""
    for known in (recorded(*ran("A")), recorded(*ran("A", end="running")), recorded(intended("A", seconds=0))):
        assert found(desired(spec("A")), known) == []


def test_a_failed_and_held_run_causes_one_notification() -> None:
    """A failed and held run causes one notification of both kinds, once."""
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
    """Failures are reported for a day, so that turning notifications on does not report old ones."""
    intent = intended("A")
    for ended, expected in ((-60, [("failed", ["failed"])]), (-90_000, [])):
        known = recorded(intent, outcome("submitted", intent), outcome("failed", intent, finished_at=at(ended)))
        assert found(desired(spec("B")), known) == expected


def test_an_unknown_outcome_is_reported_after_its_sender_is_done() -> None:
    """A send that may be under way causes no notification."""
    under_way = intended("A", seconds=-10)
    assert found(desired(spec("A")), recorded(under_way)) == []
    assert found(desired(spec("A")), recorded(under_way, outcome("unclear", under_way))) == [("settling", ["unknown"])]
    assert found(desired(spec("A")), recorded(intended("A", seconds=-60))) == [("settling", ["unknown"])]


def test_holds_are_reported_by_their_kind() -> None:
    """Rejected, lost, conflict: held, and lost as such too."""
    intent = intended("A")
    assert found(desired(spec("A")), recorded(intent, outcome("rejected", intent))) == [("rejected", ["held"])]
    lost = recorded(intent, outcome("submitted", intent), outcome("lost", intent))
    assert found(desired(spec("A")), lost) == [("lost", ["held", "lost"])]
    assert found(desired(spec("A")), recorded(intent, outcome("conflicted", intent))) == [("conflict", ["held"])]
