"""Finds the archived slots that a plan needs, so that they can be read from the ledger before the plan is made.
Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from reconciler.core.desired import Desired, DesiredSpec
from reconciler.core.due_slots import due_slots, is_behind
from reconciler.core.previous_runs import may_lack_runs, newest_slots
from reconciler.core.retention import UNDONE
from reconciler.core.state import Recorded, SpecRecord, Submission
from reconciler.model.kind import kind_named


def archived_slots(desired: Desired, recorded: Recorded, now: datetime) -> Mapping[str, frozenset[str]]:
    """Returns the archived slots that the plan needs, by spec: slots to backfill, slots on which a slot that is not
    archived yet depends, and slots that a search for missing runs covers. `recorded` is the state after the renames of
    the plan."""
    wanted: dict[str, set[str]] = {}
    for name, spec in desired.specs.items():
        record = recorded.specs.get(name)
        if record is None or spec.policy.schedule is None:
            continue
        for other, slot in _asked(spec, record, recorded, now):
            if recorded.at_slot(other, slot) is None:
                wanted.setdefault(other, set()).add(slot)
    return {name: frozenset(slots) for name, slots in wanted.items()}


def _asked(spec: DesiredSpec, record: SpecRecord, recorded: Recorded, now: datetime) -> Iterator[tuple[str, str]]:
    """Yields the slots that decisions about one spec need, each with the name of its spec."""
    yield from ((spec.name, slot) for slot in record.backfill)
    if record.archive is not None and record.archive.number and may_lack_runs(recorded, spec.name, intends=True):
        for slot in newest_slots(spec.policy.schedule or "", spec.policy.timeZone, now):
            yield spec.name, slot
    others = {dependency.name for dependency in spec.policy.dependsOn}
    others |= set(kind_named(spec.kind).spec_dependencies(spec.request))
    for other in sorted(others):
        archive = recorded.spec(other).archive
        if archive is not None and archive.number:
            yield from ((other, slot) for slot in _behind(spec, record, archive.slot, now))


def _may_be_sent(submission: Submission) -> bool:
    """Returns whether the slot of a submission may be sent again, or attempted again."""
    failed = submission.failed and submission.attempt <= submission.backoff_limit
    return failed or submission.phase in UNDONE or submission.retry_asked_at is not None


def _behind(spec: DesiredSpec, record: SpecRecord, archived: str, now: datetime) -> Iterator[str]:
    """Yields the slots of a spec that it may submit now and that are not after `archived`."""
    yield from (slot for slot in record.backfill if slot <= archived)
    yield from {s.slot for s in record.submissions if s.slot is not None and s.slot <= archived and _may_be_sent(s)}
    if is_behind(record, archived):
        yield from due_slots(record, spec.policy, now).waiting
