"""Finds the slots of a schedule that are due or missed, and the schedules that start or stop."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import islice

from reconciler.core.checkout import Ancestry
from reconciler.core.cron import before, newest_slot, slots
from reconciler.core.desired import Desired, DesiredSpec, newest_commit
from reconciler.core.events import Missed, ScheduledSince
from reconciler.core.plan import MissedSlots, ScheduleChange
from reconciler.core.state import Recorded, SpecRecord
from reconciler.core.times import MissedReason, Schedule, parse_time, seconds_text, time_text
from reconciler.model.spec import Policy
from reconciler.values import dataclass

MOST_NAMED = 200
"""The maximum number of missed slots that one event lists individually; if there are more, they are recorded as a
range."""

MOST_COUNTED = 10_000
"""The maximum number of missed slots that are counted; if there are more, they are recorded as a range without a
number."""

MOST_AT_ONCE = 200
"""The maximum number of due slots of one spec in one pass; the remaining slots are due in the next pass."""


@dataclass(frozen=True, slots=True)
class Due:
    """The due and missed slots of one spec.

    `waiting` are the slots to run, oldest first. `more` is true if further due slots follow. `missed` slots never run.
    `handled_until` is the last moment up to which every slot is handled, or `None` if it has not advanced.
    """

    waiting: tuple[str, ...] = ()
    more: bool = False
    missed: tuple[MissedSlots, ...] = ()
    handled_until: str | None = None


def in_force(record: SpecRecord, policy: Policy) -> bool:
    """Returns whether the schedule of `policy` is the recorded one and has not been stopped."""
    current = record.schedule
    return (
        current is not None
        and current.stopped is None
        and (current.schedule, current.time_zone) == (policy.schedule, policy.timeZone)
    )


def due_slots(record: SpecRecord, policy: Policy, now: datetime) -> Due:
    """Returns the slots of the schedule in force that are due at `now`.

    Slots that are late by more than `startingDeadlineSeconds` are missed. With `catchup`, all other slots are due.
    Without it, only the newest slot is due, unless a newer one was submitted, and earlier slots are missed.
    """
    schedule = record.schedule
    if schedule is None or not in_force(record, policy):
        return Due()
    start = _floor(record, schedule)
    deadline = policy.startingDeadlineSeconds
    # Slots after `cut` are due. A slot that is late by exactly the deadline is still one of them.
    cut = start if deadline is None else max(start, now - timedelta(seconds=deadline, microseconds=1))
    late = _missed(record, schedule, start, cut, MissedReason.DEADLINE)
    if policy.catchup:
        return _every(record, schedule, cut, now, late)
    return _newest(record, schedule, cut, now, late)


def overdue_slots(record: SpecRecord, now: datetime, reason: MissedReason) -> tuple[MissedSlots, ...]:
    """Returns the unhandled slots of the recorded schedule up to `now`, when a schedule is about to start again."""
    schedule = record.schedule
    if schedule is None:
        return ()
    missed = _missed(record, schedule, _floor(record, schedule), now, reason)
    return () if missed is None else (missed,)


def _every(record: SpecRecord, schedule: Schedule, cut: datetime, now: datetime, late: MissedSlots | None) -> Due:
    due = list(islice(_open_slots(record, schedule, cut, now), MOST_AT_ONCE + 1))
    # All slots before the first due one are handled.
    until = late.last if late is not None else before(due[0]) if due else None
    return Due(tuple(due[:MOST_AT_ONCE]), len(due) > MOST_AT_ONCE, () if late is None else (late,), until)


def _newest(record: SpecRecord, schedule: Schedule, cut: datetime, now: datetime, late: MissedSlots | None) -> Due:
    newest = newest_slot(schedule.schedule, schedule.time_zone, cut, now)
    is_open = newest is not None and any(True for _ in _open_slots(record, schedule, _just_before(newest), now))
    waiting = newest if is_open else None
    end = now if waiting is None else _just_before(waiting)
    passed = _missed(record, schedule, cut, end, MissedReason.PASSED_OVER)
    missed = tuple(slots for slots in (late, passed) if slots is not None)
    until = missed[-1].last if missed else before(waiting) if waiting else None
    return Due((waiting,) if waiting else (), missed=missed, handled_until=until)


def _floor(record: SpecRecord, schedule: Schedule) -> datetime:
    since = parse_time(schedule.since)
    return since if record.handled_until is None else max(since, parse_time(record.handled_until))


def is_behind(record: SpecRecord, slot: str) -> bool:
    """Returns whether slots of the recorded schedule up to `slot` are not handled yet."""
    return record.schedule is not None and _floor(record, record.schedule) < parse_time(slot)


def _just_before(slot: str) -> datetime:
    return parse_time(before(slot))


def _missed(
    record: SpecRecord, schedule: Schedule, after: datetime, until: datetime, reason: MissedReason
) -> MissedSlots | None:
    """Returns the unhandled slots after `after` up to `until`, or `None` if there are none."""
    if until <= after:
        return None
    missed = list(islice(_open_slots(record, schedule, after, until), MOST_COUNTED + 1))
    if not missed:
        return None
    if len(missed) <= MOST_NAMED:
        return MissedSlots(missed[0], missed[-1], len(missed), tuple(missed), str(reason))
    if len(missed) <= MOST_COUNTED:
        return MissedSlots(missed[0], missed[-1], len(missed), None, str(reason))
    last = newest_slot(schedule.schedule, schedule.time_zone, parse_time(missed[-1]), until) or missed[-1]
    return MissedSlots(missed[0], last, None, None, str(reason))


def _open_slots(record: SpecRecord, schedule: Schedule, after: datetime, until: datetime) -> Iterator[str]:
    """Yields the slots after `after` up to `until` that were neither submitted nor recorded as missed."""
    submitted = {s.slot for s in record.submissions if s.slot is not None and s.counts}
    start: datetime | None = after
    while start is not None:
        origin, start = start, None
        for moment in slots(schedule.schedule, schedule.time_zone, origin):
            if moment > until:
                return
            slot = seconds_text(moment)
            missed = next((missed for missed in record.missed if slot in missed), None)
            if missed is not None and missed.slots is None:
                start = parse_time(missed.last)  # a range may be long, so continue after its end
                break
            if missed is None and slot not in submitted:
                yield slot


def schedule_changes(names: Iterable[str], desired: Desired, recorded: Recorded) -> Iterator[ScheduleChange]:
    """Yields the schedules that start or stop.

    A schedule starts when the spec is new, when its schedule or time zone changes, and when a suspension ends. It stops
    with a suspension, and when the spec or its schedule is removed. An old checkout or an empty project changes
    nothing.
    """
    for name in names:
        record = recorded.spec(name)
        change = _schedule_change(name, desired.specs.get(name), record, desired)
        # Ledgers of version 0.1.0 have no settings of the project, so only this prevents an old suspension of the
        # project.
        if change is not None and not _old_checkout(record, desired):
            yield change


def _schedule_change(
    name: str, spec: DesiredSpec | None, record: SpecRecord, desired: Desired
) -> ScheduleChange | None:
    recorded = record.schedule
    if spec is not None and spec.policy.schedule is not None:
        if desired.suspension_of(spec) is None:
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


LOSING = {"removed": MissedReason.REMOVED, "unscheduled": MissedReason.RESCHEDULED}
"""The reason recorded for missed slots, by the reason why a schedule stops for good. A suspended schedule keeps its
slots."""


def missed_by(change: ScheduleChange, record: SpecRecord, now: datetime) -> tuple[Missed, ...]:
    """Returns the events that record due slots as missed because the schedule was removed from git, alone or with its
    spec."""
    reason = LOSING.get(change.stopped or "")
    if reason is None:
        return ()
    return tuple(
        Missed(at=time_text(now), name=change.name, settled=missed.last, **asdict(missed))
        for missed in lost_slots(record, now, reason)
    )


def lost_slots(record: SpecRecord, now: datetime, reason: MissedReason) -> tuple[MissedSlots, ...]:
    """Returns the due slots of the schedule in force that never run if the schedule stops now for `reason`."""
    if record.schedule is None or record.schedule.stopped is not None:
        return ()
    return overdue_slots(record, now, reason)


def event_of(change: ScheduleChange, record: SpecRecord, now: datetime, actor: str) -> ScheduledSince | None:
    """Returns the event that records a change, or `None` if another pass has recorded it."""
    current = record.schedule
    same = current is not None and (current.schedule, current.time_zone) == (change.schedule, change.time_zone)
    if same and current is not None and current.stopped == change.stopped:
        return None
    # A schedule that stops keeps its start, so that slots that came due before are reported when it starts again.
    since = current.since if change.stopped is not None and current is not None else time_text(now)
    return ScheduledSince(
        at=time_text(now),
        name=change.name,
        kind=change.kind,
        since=since,
        schedule=change.schedule,
        time_zone=change.time_zone,
        stopped=change.stopped,
        actor=actor,
    )
