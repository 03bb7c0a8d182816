"""The slots of a schedule: when it is due, with the meaning that Debian's cron gives it (docs/adr/0005).

Slots are UTC. Every function goes by ticks of the schedule and never by their number in a span, so that an outage of a
year costs no more than one of a day.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim

from reconciler.identity.instant import parse, seconds_text

WINDOWS = tuple(timedelta(days=days) for days in (1 / 24, 1, 8, 40, 400, 4000, 40_000))
"""How far back the newest slot is looked for, near first: the longest outlasts any schedule there is."""


def slots(schedule: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """Every slot after a time, oldest first; ends where the schedule has none in the next fifty years."""
    zone: tzinfo = UTC if time_zone == "UTC" else ZoneInfo(time_zone)
    for moment in CronSim(schedule, after.astimezone(zone)):
        slot = moment.astimezone(UTC)
        if slot > after:  # begun within an hour that comes twice, cronsim also gives the slot of its first time
            yield slot


def next_slot(schedule: str, time_zone: str, after: datetime) -> str | None:
    """The first slot after a time, ``2026-11-22T02:00:00Z``; `None` where there is none."""
    found = next(slots(schedule, time_zone, after), None)
    return None if found is None else seconds_text(found)


def newest_slot(schedule: str, time_zone: str, after: datetime, until: datetime) -> str | None:
    """The newest slot after a time and not after another; `None` where there is none between them."""
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
    return next_slot(schedule, time_zone, parse(slot) - timedelta(seconds=1)) == slot


def slots_between(schedule: str, time_zone: str, first: datetime, last: datetime, most: int) -> tuple[str, ...]:
    """The slots from one time to another, both included, oldest first: at most `most` of them."""
    found: list[str] = []
    for moment in slots(schedule, time_zone, first - timedelta(seconds=1)):
        if moment > last or len(found) == most:
            break
        if moment >= first:
            found.append(seconds_text(moment))
    return tuple(found)


def before(slot: str) -> str:
    """The last moment before a slot, to the second."""
    return seconds_text(parse(slot) - timedelta(seconds=1))
