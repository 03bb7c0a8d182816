"""Which slots of a schedule are due or missed, and when a schedule begins or stops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from reconciler.core.desired import Ancestry, Desired, DesiredSpec, newest_commit
from reconciler.core.events import ScheduledSince
from reconciler.core.plan import MissedSlots, ScheduleChange
from reconciler.core.state import Recorded, SpecRecord
from reconciler.core.times import (
    MissedReason,
    Schedule,
    before,
    newest_slot,
    parse_time,
    seconds_text,
    slots,
    time_text,
)
from reconciler.model.spec import Policy, suspension

MOST_NAMED = 200
"""Missed slots that one event names one by one; more are a range."""

MOST_COUNTED = 10_000
"""Missed slots that are counted; more are a range without a number."""

MOST_AT_ONCE = 200
"""Due slots of one spec that one pass is about; the rest is due in the next."""


@dataclass(frozen=True, slots=True)
class Due:
    """`waiting` are the slots to run, oldest first, and `more` whether there are others after them. `missed` never run.
    `handled_until` is the last moment up to which every slot is handled; `None` if that is not later than before."""

    waiting: tuple[str, ...] = ()
    more: bool = False
    missed: tuple[MissedSlots, ...] = ()
    handled_until: str | None = None


def in_force(record: SpecRecord, policy: Policy) -> bool:
    """Whether the schedule that the spec asks for is the recorded one, and runs."""
    found = record.schedule
    return (
        found is not None
        and found.stopped is None
        and (found.schedule, found.time_zone) == (policy.schedule, policy.timeZone)
    )


def due_slots(record: SpecRecord, policy: Policy, now: datetime) -> Due:
    """The slots of the schedule in force that are due at `now`.

    Those later than `startingDeadlineSeconds` are missed. Of the others every one is due with `catchup`, else the
    newest, and only if no newer one was submitted; those before it are missed.
    """
    schedule = record.schedule
    if schedule is None or not in_force(record, policy):
        return Due()
    start = _floor(record, schedule)
    deadline = policy.startingDeadlineSeconds
    cut = start if deadline is None else max(start, now - timedelta(seconds=deadline, microseconds=1))
    late = _stretch(record, schedule, start, cut, MissedReason.DEADLINE)
    if policy.catchup:
        return _every(record, schedule, cut, now, late)
    return _newest(record, schedule, cut, now, late)


def overdue_slots(record: SpecRecord, now: datetime, reason: MissedReason) -> tuple[MissedSlots, ...]:
    """The slots that came due since the recorded schedule was last dealt with, which is about to begin anew."""
    schedule = record.schedule
    if schedule is None:
        return ()
    found = _stretch(record, schedule, _floor(record, schedule), now, reason)
    return () if found is None else (found,)


def _every(record: SpecRecord, schedule: Schedule, cut: datetime, now: datetime, late: MissedSlots | None) -> Due:
    found = list(islice(_undealt(record, schedule, cut, now), MOST_AT_ONCE + 1))
    if late is not None:
        settled: str | None = late.last
    else:
        settled = before(found[0]) if found else None
    return Due(tuple(found[:MOST_AT_ONCE]), len(found) > MOST_AT_ONCE, () if late is None else (late,), settled)


def _newest(record: SpecRecord, schedule: Schedule, cut: datetime, now: datetime, late: MissedSlots | None) -> Due:
    newest = newest_slot(schedule.schedule, schedule.time_zone, cut, now)
    waiting = newest if newest is not None and next(_undealt(record, schedule, _just_before(newest), now), "") else None
    until = now if waiting is None else _just_before(waiting)
    passed = _stretch(record, schedule, cut, until, MissedReason.PASSED_OVER)
    missed = tuple(stretch for stretch in (late, passed) if stretch is not None)
    settled = missed[-1].last if missed else before(waiting) if waiting else None
    return Due((waiting,) if waiting else (), missed=missed, handled_until=settled)


def _floor(record: SpecRecord, schedule: Schedule) -> datetime:
    since = parse_time(schedule.since)
    return since if record.handled_until is None else max(since, parse_time(record.handled_until))


def _just_before(slot: str) -> datetime:
    return parse_time(before(slot))


def _stretch(
    record: SpecRecord, schedule: Schedule, after: datetime, until: datetime, reason: MissedReason
) -> MissedSlots | None:
    """The slots after a time and not after another that are not dealt with; `None` where there are none."""
    if until <= after:
        return None
    found = list(islice(_undealt(record, schedule, after, until), MOST_COUNTED + 1))
    if not found:
        return None
    if len(found) <= MOST_NAMED:
        return MissedSlots(found[0], found[-1], len(found), tuple(found), str(reason))
    if len(found) <= MOST_COUNTED:
        return MissedSlots(found[0], found[-1], len(found), None, str(reason))
    last = newest_slot(schedule.schedule, schedule.time_zone, parse_time(found[-1]), until) or found[-1]
    return MissedSlots(found[0], last, None, None, str(reason))


def _undealt(record: SpecRecord, schedule: Schedule, after: datetime, until: datetime) -> Iterator[str]:
    """The slots after a time and not after another that nothing has become of."""
    dealt = {s.slot for s in record.submissions if s.slot is not None and s.counts}
    start: datetime | None = after
    while start is not None:
        origin, start = start, None
        for moment in slots(schedule.schedule, schedule.time_zone, origin):
            if moment > until:
                return
            slot = seconds_text(moment)
            missed = next((missed for missed in record.missed if slot in missed), None)
            if missed is not None and missed.slots is None:
                start = parse_time(missed.last)  # a range may be long: go on behind it
                break
            if missed is None and slot not in dealt:
                yield slot


def schedule_changes(names: Iterable[str], desired: Desired, recorded: Recorded) -> Iterator[ScheduleChange]:
    """The schedules of some specs that are not in force yet, or any more.

    A schedule begins when the spec is new, when it or its time zone changes, and when a suspension ends; it stops with
    a suspension, and when the spec or its schedule is gone. An old checkout changes nothing, nor does an empty project.
    """
    for name in names:
        record = recorded.spec(name)
        found = _begin(name, desired.specs.get(name), record, desired)
        if found is not None and not _old_checkout(record, desired):
            yield found


def _begin(name: str, spec: DesiredSpec | None, record: SpecRecord, desired: Desired) -> ScheduleChange | None:
    recorded = record.schedule
    if spec is not None and spec.policy.schedule is not None:
        stopped = desired.suspension is not None or suspension(spec.policy.suspend) is not None
        if not stopped:
            due = None if in_force(record, spec.policy) else spec.policy
            return ScheduleChange(name, spec.kind, due.schedule or "", due.timeZone) if due else None
        why = "suspended"
    else:
        why = "unscheduled" if spec is not None else "removed"
    if recorded is None or recorded.stopped is not None or not desired.names:
        return None
    return ScheduleChange(name, recorded.kind, recorded.schedule, recorded.time_zone, why)


def _old_checkout(record: SpecRecord, desired: Desired) -> bool:
    commit = newest_commit(record)
    return (
        commit is not None
        and not desired.allow_rollback
        and desired.checkout.ancestry.get(commit) is Ancestry.NEWER
    )  # fmt: skip


def event_of(begin: ScheduleChange, record: SpecRecord, now: datetime, actor: str) -> ScheduledSince | None:
    """The event that writes it down; `None` where that was done meanwhile.

    A schedule that stops keeps its beginning: what came due before it stopped is told when it begins anew.
    """
    known = record.schedule
    same = known is not None and (known.schedule, known.time_zone) == (begin.schedule, begin.time_zone)
    if same and known is not None and known.stopped == begin.stopped:
        return None
    since = known.since if begin.stopped is not None and known is not None else time_text(now)
    return ScheduledSince(
        at=time_text(now),
        name=begin.name,
        kind=begin.kind,
        since=since,
        schedule=begin.schedule,
        time_zone=begin.time_zone,
        stopped=begin.stopped,
        actor=actor,
    )
