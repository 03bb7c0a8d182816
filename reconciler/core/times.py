"""Formats and parses times, and defines the schedules and slot ranges that the ledger records."""

import re
from datetime import UTC, datetime
from enum import StrEnum

from reconciler.values import dataclass


def time_text(moment: datetime) -> str:
    """Formats a time as in the ledger: ``2026-11-22T02:00:03.123Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_text(moment: datetime) -> str:
    """Formats a time as in messages and slots: ``2026-11-22T02:00:03Z``."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def parse_time(value: str) -> datetime:
    """Parses a time with a zone from ISO 8601 text. Raises `ValueError` for anything else, including a time without
    a zone."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone: add Z for UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{value!r} is not a time in UTC") from None


UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
"""The units of periods as text, with their seconds."""


def age_text(seconds: float) -> str:
    """Returns a period in its largest whole unit: ``45s``, ``12m``, ``5h``, ``3d``. A negative period is ``0s``."""
    for unit, size in UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


class MissedReason(StrEnum):
    """The reason why a slot never runs."""

    DEADLINE = "deadline"  # it was later than startingDeadlineSeconds
    PASSED_OVER = "passed-over"  # without catch-up only the newest due slot runs
    DEPENDENCY = "dependency"  # the slot of a spec it depends on was missed
    SUSPENDED = "suspended"  # it came due while the spec or the project was suspended
    RESCHEDULED = "rescheduled"  # the schedule changed before it ran
    REMOVED = "removed"  # the spec was removed before it ran


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule in force since a time (ISO 8601 text). `stopped` is the reason if it is not in force since then."""

    since: str
    schedule: str
    time_zone: str
    kind: str
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class SlotRange:
    """Slots that never run, from `first` to `last`: those in `slots`, or all slots in between if that is `None`.

    Slots are UTC text of equal length, so that they sort by time.
    """

    first: str
    last: str
    reason: str
    slots: frozenset[str] | None = None

    def __contains__(self, slot: str) -> bool:
        return self.first <= slot <= self.last and (self.slots is None or slot in self.slots)


UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
"""The length of each unit in seconds, by its first letter. Months and years have no fixed length."""

UNIT = r"(?:s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)(?![a-z])"
NUMBER = r"(?:\d{1,9}(?:\.\d{1,3})?|an?(?= ))"
DURATION = rf"{NUMBER} ?{UNIT}(?:,? ?(?:and )?{NUMBER} ?{UNIT}){{0,4}}"


def seconds_of(text: str) -> float:
    """Returns the number of seconds in a duration such as ``90s``, ``5m``, ``1h30m`` or ``2 hours``. Raises
    `ValueError`."""
    written = " ".join(text.lower().split())
    if re.fullmatch(r"\d+(?:\.\d+)?", written):
        raise ValueError(f"{text!r} has no unit: {written}s, {written}m or {written}h?")
    if re.fullmatch(DURATION, written) is None:
        raise ValueError(f"{text!r} is not a duration; write 60s, 5m, 1h30m or 2 hours")
    return duration_seconds(written)


def duration_seconds(duration: str) -> float:
    """Returns the number of seconds in a text that matches `DURATION`."""
    parts = re.finditer(rf"(?P<number>{NUMBER}) ?(?P<unit>{UNIT})", duration.lower())
    return sum((1 if p["number"][0] == "a" else float(p["number"])) * UNIT_SECONDS[p["unit"][0]] for p in parts)
