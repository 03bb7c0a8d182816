"""Computes the slots of schedules in UTC, also around the clock changes of a time zone (daylight saving time), and
detects steps in a schedule that are probably mistakes: ``*/90`` minutes, ``*/5`` hours, ``*/2`` days."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim

from reconciler.core.times import parse_time, seconds_text
from reconciler.values import regex

WINDOWS = tuple(timedelta(days=days) for days in (1 / 24, 1, 8, 40, 400, 4000, 40_000))
"""The periods that are searched for the newest slot, shortest first. The longest exceeds the period of any schedule."""


LONGEST_SHIFT = timedelta(hours=25)
"""Longer than any clock change of a zone: Samoa once skipped a whole day."""


def slots(schedule: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """Yields the slots after a time, oldest first. Stops if the schedule has none in the next fifty years.

    The library interprets the schedule in local time. For clock changes, we apply the rules of Debian's cron here,
    because the library skips slots in Australia/Lord_Howe, whose clocks move by half an hour.
    """
    if time_zone == "UTC":
        yield from CronSim(schedule, after.astimezone(UTC))
        return
    zone = ZoneInfo(time_zone)
    # Debian's cron treats schedules with a `*` in the minute or the hour as intervals, and all others as times of day.
    evenly = any(field.startswith("*") for field in schedule.split()[:2])
    wall = after.astimezone(zone).replace(tzinfo=None)
    if (after + LONGEST_SHIFT).astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
        wall -= LONGEST_SHIFT  # a part of this local time may occur twice
    last, later = after, list[datetime]()
    for time in CronSim(schedule, wall):
        moments = _moments(time, zone, evenly=evenly)
        for moment in moments:
            heappush(later, moment)
        # The second moment of a local time that occurs twice comes after the first moments of later local times.
        while later and moments and later[0] <= moments[0]:
            moment = heappop(later)
            if moment > last:
                last = moment
                yield moment


def _moments(wall: datetime, zone: ZoneInfo, *, evenly: bool) -> Sequence[datetime]:
    """Returns the moments of a local time, oldest first: usually one, but two or none around a clock change.

    A schedule at even intervals (`evenly`) is not adjusted, so both moments, or none of them, are slots. Any other
    schedule has exactly one slot: the first of the two moments, or the end of the gap.
    """
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return (first,)
    if first < second:
        return (first, second) if evenly else (first,)
    if evenly:
        return ()
    begin, end = second, first  # the gap ends between them
    while end - begin > timedelta(seconds=1):
        middle = begin + (end - begin) // 2
        if middle.astimezone(zone).utcoffset() == second.astimezone(zone).utcoffset():
            begin = middle
        else:
            end = middle
    return (end.replace(microsecond=0),)


def next_slot(schedule: str, time_zone: str, after: datetime) -> str | None:
    """Returns the first slot after a time, such as ``2026-11-22T02:00:00Z``, or `None` if there is none."""
    slot = next(slots(schedule, time_zone, after), None)
    return None if slot is None else seconds_text(slot)


def newest_slot(schedule: str, time_zone: str, after: datetime, until: datetime) -> str | None:
    """Returns the newest slot after `after` up to `until`, or `None` if there is none."""
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
    """Returns whether a time is a slot of a schedule."""
    return next_slot(schedule, time_zone, parse_time(slot) - timedelta(seconds=1)) == slot


def slots_between(schedule: str, time_zone: str, first: datetime, last: datetime, most: int) -> tuple[str, ...]:
    """Returns the slots from `first` to `last`, both included, oldest first, at most `most` of them."""
    between: list[str] = []
    for moment in slots(schedule, time_zone, first - timedelta(seconds=1)):
        if moment > last or len(between) == most:
            break
        if moment >= first:
            between.append(seconds_text(moment))
    return tuple(between)


def before(slot: str) -> str:
    """Returns the time one second before a slot."""
    return seconds_text(parse_time(slot) - timedelta(seconds=1))


class Field(NamedTuple):
    """One of the five fields of a schedule: its unit, the period after which it starts again, and its first and last
    value."""

    unit: str
    whole: str
    first: int
    last: int

    @property
    def size(self) -> int:
        """The number of values."""
        return self.last - self.first + 1


MINUTE, HOUR, DAY, MONTH, WEEKDAY = FIELDS = (
    Field("minute", "hour", 0, 59),
    Field("hour", "day", 0, 23),
    Field("day", "month", 1, 31),
    Field("month", "year", 1, 12),
    Field("weekday", "week", 0, 6),
)
_ON = {MINUTE: "at minute", HOUR: "at hour", DAY: "on day", MONTH: "in month", WEEKDAY: "on weekday"}
_STEP = regex(r"(?P<start>\*|[0-9]+)(?:-(?P<end>[0-9]+))?/(?P<step>[0-9]+)")


def step_warnings(schedule: str) -> Iterator[str]:
    """Yields a sentence about each step of a valid schedule that is larger than its field, or that makes the schedule
    run at uneven intervals.

    A step is counted within one hour, day, month, year or week, and restarts in the next. A step of an explicit range
    is assumed to be intended if it has more than one value.
    """
    minute, hour, day, month, weekday = schedule.split()
    goes_on = {MINUTE: hour, HOUR: day if weekday == "*" else weekday, DAY: month, MONTH: "*", WEEKDAY: "*"}
    for field, text in zip(FIELDS, (minute, hour, day, month, weekday), strict=True):
        for part in text.split(","):
            if match := _STEP.fullmatch(part):
                yield from _warning(field, match, alone=part == text, following=goes_on[field])


def _warning(field: Field, match: re.Match[str], *, alone: bool, following: str) -> Iterator[str]:
    start = field.first if match["start"] == "*" else int(match["start"])
    step, end = int(match["step"]), int(match["end"] or field.last)
    values = range(start, end + 1, step)
    name = f"{'an' if field is HOUR else 'a'} {field.unit} step of {step}"
    if len(values) == 1 and (step != field.size or field is DAY):
        when = f"every {field.whole} {_ON[field]} {start}" if following == "*" else f"only {field.unit} {start}"
        limit = (
            f", so a step must be less than {field.size}" if step >= field.size else f", and {step} is beyond its end"
        )
        yield f"{name} means {when}: steps restart with each {field.whole}{limit}. {_even(field)}"
        return
    returns = field.size - values[-1] + start  # the distance to the first value of the next hour or day
    is_whole = start - field.first < step and end == field.last
    if alone and is_whole and step > 1 and (returns != step or field is DAY) and _is_continuous(following):
        later = "" if field is DAY else f", {returns} {field.unit}{'s' * (returns != 1)} later"
        yield (
            f"{name} is uneven: after {field.unit} {values[-1]} comes {field.unit} {start} of the next {field.whole}"
            f"{later}. {_even(field)}"
        )


def _is_continuous(text: str) -> bool:
    """Returns whether a field has consecutive values."""
    return text == "*" or ("-" in text and "/" not in text)


def _even(field: Field) -> str:
    if field is DAY:
        return "No step of days is even, because months differ: list the days, such as 1,11,21"
    steps = [str(step) for step in range(2, field.size) if field.size % step == 0]
    if not steps:
        return f"No step of {field.unit}s is even: list the {field.unit}s, such as 1,4"
    return f"Even steps of {field.unit}s are {', '.join(steps)}"
