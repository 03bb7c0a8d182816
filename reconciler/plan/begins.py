"""When schedules begin and stop: what an apply writes down about them, beside its actions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from reconciler.identity.instant import text
from reconciler.plan.desired import Ancestry, Desired, DesiredSpec
from reconciler.plan.due import in_force
from reconciler.plan.stale import newest_commit
from reconciler.plan.suspension import suspension
from reconciler.recorded.events import ScheduledSince
from reconciler.recorded.state import Recorded, SpecRecord


@dataclass(frozen=True, slots=True)
class Begin:
    """A schedule that is in force from the next apply on; with `stopped` one that stands still from then on."""

    name: str
    kind: str
    schedule: str
    time_zone: str
    stopped: str | None = None


def begins(names: Iterable[str], desired: Desired, recorded: Recorded) -> Iterator[Begin]:
    """The schedules of some specs that are not in force yet, or any more.

    A schedule begins when the spec is new, when it or its time zone changes, and when a suspension ends; it stops with
    a suspension, and when the spec or its schedule is gone. An old checkout changes nothing, nor does an empty project.
    """
    for name in names:
        record = recorded.spec(name)
        found = _begin(name, desired.specs.get(name), record, desired)
        if found is not None and not _old_checkout(record, desired):
            yield found


def _begin(name: str, spec: DesiredSpec | None, record: SpecRecord, desired: Desired) -> Begin | None:
    recorded = record.schedule
    if spec is not None and spec.policy.schedule is not None:
        stopped = desired.suspension is not None or suspension(spec.policy.suspend) is not None
        if not stopped:
            due = None if in_force(record, spec.policy) else spec.policy
            return Begin(name, spec.kind, due.schedule or "", due.timeZone) if due else None
        why = "suspended"
    else:
        why = "unscheduled" if spec is not None else "removed"
    if recorded is None or recorded.stopped is not None or not desired.names:
        return None
    return Begin(name, recorded.kind, recorded.schedule, recorded.time_zone, why)


def _old_checkout(record: SpecRecord, desired: Desired) -> bool:
    commit = newest_commit(record)
    return (
        commit is not None
        and not desired.allow_rollback
        and desired.checkout.ancestry.get(commit) is Ancestry.NEWER
    )  # fmt: skip


def event_of(begin: Begin, record: SpecRecord, now: datetime, actor: str) -> ScheduledSince | None:
    """The event that writes it down; `None` where that was done meanwhile.

    A schedule that stops keeps its beginning: what came due before it stopped is told when it begins anew.
    """
    known = record.schedule
    same = known is not None and (known.schedule, known.time_zone) == (begin.schedule, begin.time_zone)
    if same and known is not None and known.stopped == begin.stopped:
        return None
    since = known.since if begin.stopped is not None and known is not None else text(now)
    return ScheduledSince(
        at=text(now),
        name=begin.name,
        kind=begin.kind,
        since=since,
        schedule=begin.schedule,
        time_zone=begin.time_zone,
        stopped=begin.stopped,
        actor=actor,
    )
