"""Whether what a spec depends on has come far enough.

A dependency is met by its current generation, never by an older success; between two specs with schedules by the run of
the same slot, where the other has that slot, else by its newest run.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.identity.instant import parse
from reconciler.model.kinds import kind_named
from reconciler.model.spec import Dependency
from reconciler.plan.case import Case
from reconciler.plan.concurrency import which
from reconciler.plan.desired import DesiredSpec
from reconciler.plan.due import in_force
from reconciler.plan.endings import Chain, chain_of, last_of, will_retry
from reconciler.plan.slots import is_slot
from reconciler.recorded.state import SpecRecord
from reconciler.recorded.submission import Phase, RunState, Submission

SUSPENDED = "suspended"
GIVEN_UP = {Phase.SUPERSEDED, Phase.ABANDONED}


@dataclass(frozen=True, slots=True)
class Unmet:
    """Why a submit has to wait, in words; `missed` where it waits for what never comes."""

    message: str
    missed: bool = False


@dataclass(frozen=True, slots=True)
class Met:
    """Every dependency is met. `run_ids` are those of the specs that the request itself names."""

    run_ids: dict[str, str]


def dependencies(case: Case, slot: str | None) -> Met | Unmet:
    """Whether everything that the spec depends on has come far enough for one submit; the first that has not tells."""
    for dependency in case.spec.policy.dependsOn:
        found = _run_of(case, dependency.name, slot)
        unmet = found if isinstance(found, Unmet) else _gate(case, dependency, found)
        if unmet is not None:
            return unmet
    return _named_runs(case, slot)


def _named_runs(case: Case, slot: str | None) -> Met | Unmet:
    """The runs of the specs that the request names: accepted is enough, AWS waits for their end."""
    run_ids: dict[str, str] = {}
    for name in kind_named(case.spec.kind).spec_dependencies(case.spec.request):
        found = _run_of(case, name, slot)
        if isinstance(found, Unmet):
            return found
        last = last_of(found)
        if last.run_id is None or last.run_state in {RunState.FAILED, RunState.CANCELLED, RunState.LOST}:
            return _unmet(name, last, retried=False)
        run_ids[name] = last.run_id
    return Met(run_ids)


def _gate(case: Case, dependency: Dependency, chain: Chain) -> Unmet | None:
    last = last_of(chain)
    other = case.desired.spec(dependency.name)
    retried = other is not None and other.policy.restartPolicy != "Always" and will_retry(other.policy, chain)
    match last.run_state:
        case RunState.SUCCEEDED:
            return None
        case RunState.FAILED | RunState.CANCELLED if dependency.condition == "Completed" and not retried:
            return None
        case _:
            return _unmet(dependency.name, last, retried=retried)


def _unmet(name: str, last: Submission, *, retried: bool) -> Unmet:
    """How the run that is waited for stands."""
    if last.phase is not Phase.SUBMITTED:
        if last.phase in GIVEN_UP:
            return Unmet(f"{which(last)} of {name} was given up", missed=last.slot is not None)
        return Unmet(f"{which(last)} of {name} has no run: {last.error or last.phase}")
    words = {
        RunState.FAILED: "failed, and is attempted again" if retried else "failed",
        RunState.CANCELLED: "was cancelled",
        RunState.LOST: "is lost: AWS does not know it now",
        RunState.RUNNING: "is running",
    }.get(last.run_state or RunState.SUBMITTED, "has not ended")
    return Unmet(f"run {last.run_id} of {name} ({which(last)}) {words}")


def _run_of(case: Case, name: str, slot: str | None) -> Chain | Unmet:
    """The attempts of the run of another spec that counts for one submit of this one."""
    other = case.desired.spec(name)
    if other is None:
        return Unmet(f"{name} does not run in this target")
    record = case.recorded.spec(name)
    if other.policy.schedule is None:
        return _current(other, record)
    if slot is not None and (found := _of_slot(other, record, slot)) is not None:
        return found
    return _newest(other, record, any_content=slot is not None)


def _of_slot(other: DesiredSpec, record: SpecRecord, slot: str) -> Chain | Unmet | None:
    """The attempts of the same slot of another spec; `None` where that has no such slot."""
    same = [s for s in record.submissions if s.slot == slot]
    if same:
        return chain_of(same, same[0])
    if slot in record.backfill:
        return Unmet(f"slot {slot} of {other.name} is to be backfilled")
    if _never_runs(record, slot):
        return Unmet(f"slot {slot} of {other.name} was missed", missed=True)
    return Unmet(f"slot {slot} of {other.name} has not been submitted") if _has(other, record, slot) else None


def _current(other: DesiredSpec, record: SpecRecord) -> Chain | Unmet:
    """The generation that git asks for now."""
    newest = next((s for s in reversed(record.submissions) if s.digest == other.digest), None)
    baseline = record.baseline
    if baseline is not None and baseline.digest == other.digest and not baseline.replaced:
        return chain_of(record.submissions, baseline)
    if newest is not None and newest is record.newest:  # rejected, unsent or given up: it has no run
        return chain_of(record.submissions, newest)
    return Unmet(f"{other.name} as it is now has not been submitted")


def _newest(other: DesiredSpec, record: SpecRecord, *, any_content: bool) -> Chain | Unmet:
    """The newest run of a spec with a schedule; for a one-off that of its content as it is now."""
    for submission in reversed(record.submissions):
        if submission.accepted or submission.unresolved:
            if any_content or submission.digest == other.digest:
                return chain_of(record.submissions, submission)
            break
    return Unmet(f"{other.name} as it is now has not run yet")


def _never_runs(record: SpecRecord, slot: str) -> bool:
    """Whether it is recorded that a slot of another spec never runs: by its name, or as one of its schedule in a range
    or a time that is dealt with."""
    if any(slot in (missed.slots or ()) for missed in record.missed):
        return True
    return _ticks(record, slot) and (record.is_missed(slot) or any(slot in missed for missed in record.missed))


def _has(other: DesiredSpec, record: SpecRecord, slot: str) -> bool:
    """Whether a slot is still to be dealt with by another spec, whose schedule is in force or suspended."""
    schedule = record.schedule
    if schedule is None or parse(slot) <= parse(schedule.since):
        return False
    return (schedule.stopped == SUSPENDED or in_force(record, other.policy)) and _ticks(record, slot)


def _ticks(record: SpecRecord, slot: str) -> bool:
    """Whether a slot is one of the recorded schedule."""
    schedule = record.schedule
    return schedule is not None and is_slot(schedule.schedule, schedule.time_zone, slot)
