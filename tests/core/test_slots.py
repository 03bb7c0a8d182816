"""Tests slots around clock changes by comparing them with an independent calculation, minute by minute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest

from reconciler.core.cron import slots
from reconciler.core.times import seconds_text
from tests.campaigns import in_one_test

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
AROUND = timedelta(hours=7)
MINUTE = timedelta(minutes=1)

SCHEDULES = {
    "*/15 2 * * *": (range(0, 60, 15), [2]),
    "*/30 * * * *": (range(0, 60, 30), range(24)),
    "5 * * * *": ([5], range(24)),
    "* 1 * * *": (range(60), [1]),
    "15 0-3 * * *": ([15], range(4)),
    "30 2 * * *": ([30], [2]),
    "0 0 * * *": ([0], [0]),
    "0,15,45 1,2,23 * * *": ([0, 15, 45], [1, 2, 23]),
}
"""Schedules, with the minutes and hours that they match."""


SPECIAL_DAYS = {
    "0 2 L * *": ["2026-01-31", "2026-02-28", "2026-03-31"],
    "0 2 LW * *": ["2026-01-30", "2026-02-27", "2026-03-31"],
    "0 2 * * 5L": ["2026-01-30", "2026-02-27", "2026-03-27"],
    "0 2 * * MON#2": ["2026-01-12", "2026-02-09", "2026-03-09"],
    "0 2 * JAN,FEB MON-TUE": ["2026-01-05", "2026-01-06", "2026-01-12"],
    "0 2 2 * MON": ["2026-01-02", "2026-01-05", "2026-01-12"],
}
"""Schedules with the forms of days that docs/schedules.md lists, and their first days after `FIRST`."""


@in_one_test("schedule", SPECIAL_DAYS)
def test_days_can_be_counted_from_the_end_of_a_month(schedule: str):
    """L, LW, nL, n#m and names match the days that docs/schedules.md describes."""
    days = [seconds_text(slot)[:10] for slot in islice(slots(schedule, "UTC", FIRST), 3)]
    assert SPECIAL_DAYS[schedule] == days


def changes(zone: ZoneInfo, years: int) -> Iterator[datetime]:
    """Returns the moments at which the clocks of a zone change, to the minute."""
    moments = [FIRST + timedelta(days=5 * step) for step in range(years * 73 + 1)]
    for begin, end in pairwise(moments):
        low, high = begin, end
        if low.astimezone(zone).utcoffset() == high.astimezone(zone).utcoffset():
            continue
        while high - low > MINUTE:
            middle = low + (high - low) // 2
            middle = middle.replace(second=0, microsecond=0)
            if middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset():
                low = max(middle, low + MINUTE)
            else:
                high = middle
        yield high if low.astimezone(zone).utcoffset() != high.astimezone(zone).utcoffset() else high + MINUTE


@cache
def all_changes(years: int) -> dict[tuple[object, ...], tuple[str, datetime]]:
    """Returns one zone and moment for each kind of clock change that occurs anywhere in these years."""
    ways: dict[tuple[object, ...], tuple[str, datetime]] = {}
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        for moment in changes(zone, years):
            before, after = (moment - MINUTE).astimezone(zone), moment.astimezone(zone)
            way = (before.time(), before.utcoffset(), after.utcoffset())
            ways.setdefault(way, (name, moment))
    return ways


def reckoned(schedule: str, zone: ZoneInfo, begin: datetime, end: datetime) -> list[datetime]:
    """Returns the slots after `begin` up to `end`, by checking the local time of every minute."""
    minutes, hours = SCHEDULES[schedule]
    evenly = schedule.split(maxsplit=1)[0].startswith("*") or schedule.split()[1].startswith("*")
    expected, shown = [], set[datetime]()
    previous = begin.astimezone(zone).replace(tzinfo=None)
    moment = begin
    while moment < end:
        moment += MINUTE
        wall = moment.astimezone(zone).replace(tzinfo=None)
        # The local times of this minute: the one that the clock shows, and those that the clock has just skipped.
        walls = [wall]
        if not evenly:
            skipped = wall - MINUTE
            while skipped > previous:
                walls.append(skipped)
                skipped -= MINUTE
        due = [each for each in walls if each.minute in minutes and each.hour in hours]
        if due and (evenly or any(each not in shown for each in due)):
            expected.append(moment)
        shown.update(walls)
        previous = max(previous, wall) if not evenly else wall
    return expected


@pytest.mark.parametrize(("years", "share"), [(1, 3), pytest.param(10, 1, marks=pytest.mark.soak)])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_slots_when_clocks_change_anywhere(schedule: str, years: int, share: int):
    """In every zone and for every clock change, the slots follow the rules of Debian's cron. `make test` checks every
    third clock change with each schedule, and every clock change with at least one schedule."""
    ways = list(all_changes(years).values())
    assert len(ways) > 20
    ways = ways[list(SCHEDULES).index(schedule) % share :: share]
    for name, moment in ways:
        zone, begin, end = ZoneInfo(name), moment - AROUND, moment + AROUND
        expected = [seconds_text(slot) for slot in reckoned(schedule, zone, begin, end)]
        actual = []
        for slot in slots(schedule, name, begin):
            if slot > end:
                break
            actual.append(seconds_text(slot))
        assert actual == expected, (name, moment)


@in_one_test("minutes", range(0, 180, 7))
def test_it_does_not_matter_when_one_starts_to_look(minutes: int):
    """Around the hour that occurs twice, the sequence of slots does not depend on the moment from which it is
    computed."""
    begin = datetime(2026, 10, 24, 23, 0, tzinfo=UTC)
    everything = list(islice(slots("*/20 * * * *", "Europe/Berlin", begin), 20))
    start = begin + timedelta(minutes=minutes)
    (first, *_) = [slot for slot in everything if slot > start]
    assert next(slots("*/20 * * * *", "Europe/Berlin", start)) == first


def test_the_half_hour_of_lord_howe():
    """The clocks go back by half an hour at 02:00, so 02:00 and 02:15 exist only once."""
    begin = datetime(2026, 4, 4, 14, 0, tzinfo=UTC)
    listed = [
        seconds_text(slot)
        for slot, _ in zip(slots("*/15 2 * * *", "Australia/Lord_Howe", begin), range(4), strict=False)
    ]
    assert listed == [f"2026-04-04T{time}:00Z" for time in ("15:30", "15:45", "16:00", "16:15")]
