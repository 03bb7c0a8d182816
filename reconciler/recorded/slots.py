"""What is recorded about the slots of a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MissedReason(StrEnum):
    """Why a slot never runs."""

    DEADLINE = "deadline"  # it was later than startingDeadlineSeconds
    PASSED_OVER = "passed-over"  # without catch-up only the newest due slot runs
    DEPENDENCY = "dependency"  # the slot of a spec it depends on was missed
    SUSPENDED = "suspended"  # it came due while the spec or the project was suspended
    RESCHEDULED = "rescheduled"  # the schedule changed before it ran


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule in force since a time, ISO 8601 text; with `stopped` it stands still since then, and that says why."""

    since: str
    schedule: str
    time_zone: str
    kind: str
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class SlotRange:
    """Slots that never run, from `first` to `last`: those in `slots`, or all between where that is `None`.

    Slots are UTC text of one length, so that text sorts as time does.
    """

    first: str
    last: str
    reason: str
    slots: frozenset[str] | None = None

    def __contains__(self, slot: str) -> bool:
        return self.first <= slot <= self.last and (self.slots is None or slot in self.slots)
