"""What keeps a submit from happening now, in the order of what a person should hear first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reconciler.core.desired import DesiredSpec, overdue, sentence, stale_message
from reconciler.core.plan import Action, ActionType, MissedSlots, Reason, stopped
from reconciler.core.retries import Attempts, attempts_of, last_of, will_retry
from reconciler.core.schedule import in_force
from reconciler.core.state import SpecRecord
from reconciler.core.submission import Phase, RunState, Submission
from reconciler.core.submits import SpecContext, with_run_ids
from reconciler.core.times import MissedReason, is_slot, parse_time, seconds_text
from reconciler.model.kind import kind_named
from reconciler.model.spec import Dependency

LATER_ATTEMPTS = {Reason.RETRY, Reason.RESTART}
"""Their dependencies were met when the first attempt was submitted."""


def suspended(action: Action, case: SpecContext) -> Action | None:
    """The wait for the end of a suspension; `None` where nothing is suspended."""
    if case.stopped is None:
        return None
    what, how = case.stopped
    wait = stopped(action, ActionType.WAIT, Reason.SUSPENDED, sentence(what, how, case.now))
    return replace(wait, overdue=overdue(how, case.now))


def changed(action: Action, case: SpecContext) -> Action:
    """A submit that runs because the spec says something new, behind every gate."""
    if (wait := suspended(action, case)) is not None:
        return wait
    if stale := stale_message(case.record, case.desired):
        return stopped(action, ActionType.HOLD, Reason.STALE_CHECKOUT, stale)
    return ready(action, case)


def ready(action: Action, case: SpecContext, *, may_replace: bool = True) -> Action:
    """A submit behind its dependencies and the live runs of its spec."""
    met = depended(action, case)
    return placed(met, case, may_replace=may_replace) if met.action is ActionType.SUBMIT else met


def depended(action: Action, case: SpecContext) -> Action:
    """A submit behind its dependencies: a wait that names what is missing, or, for a slot that waits for one that never
    comes, a skip. What a person asked for is no such slot: they may ask for the other one too."""
    if action.action is not ActionType.SUBMIT:
        return action
    found = dependencies(case, action.slot)
    if not isinstance(found, Unmet):
        return with_run_ids(action, case.spec, found.run_ids) if action.send == 1 else action
    if action.reason in LATER_ATTEMPTS and not _names_runs(case.spec):
        return action
    if found.missed and action.slot is not None and action.reason is not Reason.BACKFILL:
        return _missed(action, found)
    hint = "; backfill that too" if found.missed and action.reason is Reason.BACKFILL else ""
    return stopped(action, ActionType.WAIT, Reason.DEPENDENCY, found.message + hint)


def _names_runs(spec: DesiredSpec) -> bool:
    """Whether the request itself names the runs of other specs: then every attempt needs their run ids."""
    return bool(kind_named(spec.kind).spec_dependencies(spec.request))


def _missed(action: Action, unmet: Unmet) -> Action:
    slot = action.slot or ""
    stretch = MissedSlots(slot, slot, 1, (slot,), str(MissedReason.DEPENDENCY))
    return replace(stopped(action, ActionType.SKIP, Reason.MISSED, unmet.message), missed=(stretch,))


def placed(action: Action, case: SpecContext, *, may_replace: bool = True) -> Action:
    """The submit itself where the spec has no live run or allows several; else what `concurrencyPolicy` says.

    A replacement asks for the end of the newest run that was not asked yet; while those that were asked go on, it
    waits.
    """
    live = case.record.live
    policy = case.spec.policy.concurrencyPolicy
    if not live or policy == "Allow":
        return action
    if policy == "Replace" and may_replace:
        return _replacing(action, live)
    return _waiting(action, case, live[-1])


def _replacing(action: Action, live: Sequence[Submission]) -> Action:
    unasked = [run for run in live if run.cancel_asked_at is None]
    if unasked:
        old = unasked[-1]
        message = f"run {old.run_id} ({old.key.label}) is cancelled first; this is submitted once it has ended"
        return replace(action, action=ActionType.REPLACE, replaces=old.run_id, message=message)
    return replacing(action, live[-1])


def replacing(action: Action, run: Submission) -> Action:
    """The wait for a run that was asked to end."""
    asked = seconds_text(parse_time(run.cancel_asked_at or run.first_intent_at))
    message = f"run {run.run_id} ({run.key.label}) was asked to stop at {asked}, and has not ended yet"
    return replace(stopped(action, ActionType.WAIT, Reason.REPLACING, message), run_id=run.run_id)


def _waiting(action: Action, case: SpecContext, run: Submission) -> Action:
    doubt = case.recorded.observe_errors.get(run.token)
    message = f"run {run.run_id} of {run.key.label} is live" + (f", as far as is known ({doubt})" if doubt else "")
    return replace(stopped(action, ActionType.WAIT, Reason.CONCURRENCY, message), run_id=run.run_id)


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


def dependencies(case: SpecContext, slot: str | None) -> Met | Unmet:
    """Whether everything that the spec depends on has come far enough for one submit; the first that has not tells."""
    for dependency in case.spec.policy.dependsOn:
        found = _run_of(case, dependency.name, slot)
        unmet = found if isinstance(found, Unmet) else _gate(case, dependency, found)
        if unmet is not None:
            return unmet
    return _named_runs(case, slot)


def _named_runs(case: SpecContext, slot: str | None) -> Met | Unmet:
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


def _gate(case: SpecContext, dependency: Dependency, chain: Attempts) -> Unmet | None:
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
            return Unmet(f"{last.key.label} of {name} was given up", missed=last.slot is not None)
        return Unmet(f"{last.key.label} of {name} has no run: {last.error or last.phase}")
    words = {
        RunState.FAILED: "failed, and is attempted again" if retried else "failed",
        RunState.CANCELLED: "was cancelled",
        RunState.LOST: "is lost: AWS does not know it now",
        RunState.RUNNING: "is running",
    }.get(last.run_state or RunState.SUBMITTED, "has not ended")
    return Unmet(f"run {last.run_id} of {name} ({last.key.label}) {words}")


def _run_of(case: SpecContext, name: str, slot: str | None) -> Attempts | Unmet:
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


def _of_slot(other: DesiredSpec, record: SpecRecord, slot: str) -> Attempts | Unmet | None:
    """The attempts of the same slot of another spec; `None` where that has no such slot."""
    same = [s for s in record.submissions if s.slot == slot]
    if same:
        return attempts_of(same, same[0])
    if slot in record.backfill:
        return Unmet(f"slot {slot} of {other.name} is to be backfilled")
    if _never_runs(record, slot):
        return Unmet(f"slot {slot} of {other.name} was missed", missed=True)
    return Unmet(f"slot {slot} of {other.name} has not been submitted") if _has(other, record, slot) else None


def _current(other: DesiredSpec, record: SpecRecord) -> Attempts | Unmet:
    """The generation that git asks for now."""
    newest = next((s for s in reversed(record.submissions) if s.digest == other.digest), None)
    baseline = record.baseline
    if baseline is not None and baseline.digest == other.digest and not baseline.replaced:
        return attempts_of(record.submissions, baseline)
    if newest is not None and newest is record.newest:  # rejected, unsent or given up: it has no run
        return attempts_of(record.submissions, newest)
    return Unmet(f"{other.name} as it is now has not been submitted")


def _newest(other: DesiredSpec, record: SpecRecord, *, any_content: bool) -> Attempts | Unmet:
    """The newest run of a spec with a schedule; for a one-off that of its content as it is now."""
    for submission in reversed(record.submissions):
        if submission.accepted or submission.unresolved:
            if any_content or submission.digest == other.digest:
                return attempts_of(record.submissions, submission)
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
    if schedule is None or parse_time(slot) <= parse_time(schedule.since):
        return False
    return (schedule.stopped == SUSPENDED or in_force(record, other.policy)) and _ticks(record, slot)


def _ticks(record: SpecRecord, slot: str) -> bool:
    """Whether a slot is one of the recorded schedule."""
    schedule = record.schedule
    return schedule is not None and is_slot(schedule.schedule, schedule.time_zone, slot)
