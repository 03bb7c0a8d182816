"""Times as text, schedules and their slots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from heapq import heappop, heappush
from zoneinfo import ZoneInfo

from cronsim import CronSim


def time_text(moment: datetime) -> str:
    """``2026-11-22T02:00:03.123Z``: the form of every time in the ledger."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_text(moment: datetime) -> str:
    """Formats a time as in messages and slots: ``2026-11-22T02:00:03Z``."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def parse_time(value: str) -> datetime:
    """A time with a zone, from ISO 8601 text. Raises `ValueError` for anything else, a time without zone included."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone: add Z for UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{value!r} is no time in UTC") from None


class MissedReason(StrEnum):
    """Why a slot never runs."""

    DEADLINE = "deadline"  # it was later than startingDeadlineSeconds
    PASSED_OVER = "passed-over"  # without catch-up only the newest due slot runs
    DEPENDENCY = "dependency"  # the slot of a spec it depends on was missed
    SUSPENDED = "suspended"  # it came due while the spec or the project was suspended
    RESCHEDULED = "rescheduled"  # the schedule changed before it ran
    REMOVED = "removed"  # the spec left git before it ran


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule in force since a time, ISO 8601 text; `stopped` is the reason if it is not in force since then."""

    since: str
    schedule: str
    time_zone: str
    kind: str
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class SlotRange:
    """Slots that never run, from `first` to `last`: those in `slots`, or all between if that is `None`.

    Slots are UTC text of one length, so that text sorts as time does.
    """

    first: str
    last: str
    reason: str
    slots: frozenset[str] | None = None

    def __contains__(self, slot: str) -> bool:
        return self.first <= slot <= self.last and (self.slots is None or slot in self.slots)


WINDOWS = tuple(timedelta(days=days) for days in (1 / 24, 1, 8, 40, 400, 4000, 40_000))
"""How far back to search for the newest slot, short first; the longest is longer than the period of any schedule."""


LONGEST_SHIFT = timedelta(hours=25)
"""Longer than any change of a zone's clocks: Samoa moved its by a day."""


def slots(schedule: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """Yields the slots after a time, oldest first; ends if the schedule has none in the next fifty years.

    The library reads the schedule by the wall clock. When clocks change, the rules are those of Debian's cron, applied
    here: in Australia/Lord_Howe, whose clocks move by half an hour, the library loses slots.
    """
    if time_zone == "UTC":
        yield from CronSim(schedule, after.astimezone(UTC))
        return
    zone = ZoneInfo(time_zone)
    evenly = any(field.startswith("*") for field in schedule.split()[:2])
    wall = after.astimezone(zone).replace(tzinfo=None)
    if (after + LONGEST_SHIFT).astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
        wall -= LONGEST_SHIFT  # a part of this wall clock may come a second time
    last, later = after, list[datetime]()
    for time in CronSim(schedule, wall):
        moments = _moments(time, zone, evenly=evenly)
        for moment in moments:
            heappush(later, moment)
        while later and moments and later[0] <= moments[0]:
            moment = heappop(later)
            if moment > last:
                last = moment
                yield moment


def _moments(wall: datetime, zone: ZoneInfo, *, evenly: bool) -> Sequence[datetime]:
    """The moments of a time on the wall clock, oldest first: one; or two, or none, when clocks change.

    A schedule at even intervals continues at them: both moments, or none. Any other has one slot: the first moment, or
    the end of the gap.
    """
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return (first,)
    if first < second:
        return (first, second) if evenly else (first,)
    if evenly:
        return ()
    begin, end = second, first  # the gap ends in between
    while end - begin > timedelta(seconds=1):
        middle = begin + (end - begin) // 2
        if middle.astimezone(zone).utcoffset() == second.astimezone(zone).utcoffset():
            begin = middle
        else:
            end = middle
    return (end.replace(microsecond=0),)


def next_slot(schedule: str, time_zone: str, after: datetime) -> str | None:
    """Returns the first slot after a time, ``2026-11-22T02:00:00Z``; `None` if there is none."""
    slot = next(slots(schedule, time_zone, after), None)
    return None if slot is None else seconds_text(slot)


def newest_slot(schedule: str, time_zone: str, after: datetime, until: datetime) -> str | None:
    """Returns the newest slot after one time and up to another; `None` if there is none."""
    for window in WINDOWS:
        start = max(after, until - window)
        newest = None
        for moment in slots(schedule, time_zone, start):
            if moment > until:
                break
            newest = moment
        if newest is not None:
            return seconds_text(newest)
        if start == after:
            break
    return None


def is_slot(schedule: str, time_zone: str, slot: str) -> bool:
    """Whether a time is a slot of a schedule."""
    return next_slot(schedule, time_zone, parse_time(slot) - timedelta(seconds=1)) == slot


def slots_between(schedule: str, time_zone: str, first: datetime, last: datetime, most: int) -> tuple[str, ...]:
    """Returns the slots from one time to another, both included, oldest first: at most `most` of them."""
    between: list[str] = []
    for moment in slots(schedule, time_zone, first - timedelta(seconds=1)):
        if moment > last or len(between) == most:
            break
        if moment >= first:
            between.append(seconds_text(moment))
    return tuple(between)


def before(slot: str) -> str:
    """Returns the second before a slot."""
    return seconds_text(parse_time(slot) - timedelta(seconds=1))
