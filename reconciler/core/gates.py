"""Gates that can stop a submit in this pass. They are checked in the order in which operators should learn about
them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reconciler.core.cron import is_slot
from reconciler.core.desired import DesiredSpec, sentence, stale_message
from reconciler.core.due_slots import in_force
from reconciler.core.plan import COUNTED, SENDS, Action, ActionType, MissedSlots, Reason, stopped
from reconciler.core.retries import will_retry
from reconciler.core.state import Phase, Recorded, RunState, SpecRecord, Submission
from reconciler.core.submission import Attempts, attempts_of, last_of
from reconciler.core.submit_actions import SpecContext, wait_if_suspended, with_run_ids
from reconciler.core.times import MissedReason, parse_time, seconds_text
from reconciler.model.kind import kind_named
from reconciler.model.project import Limits
from reconciler.model.spec import Dependency, suspension
from reconciler.values import dataclass

LATER_ATTEMPTS = {Reason.RETRY, Reason.RESTART}
"""Reasons for later attempts, whose dependencies were met when the first attempt was submitted."""


def pass_gates(action: Action, context: SpecContext) -> Action:
    """Returns the submit of changed content, or the wait at the first gate that stops it."""
    if (wait := wait_if_suspended(action, context.spec, context.desired, context.now)) is not None:
        return wait
    # `decide` has checked only specs that differ from their declaration. If a pass was killed between an intent and the
    # declaration, a newer commit is recorded although the spec is as declared.
    if stale := stale_message(context.record, context.desired):
        return stopped(action, ActionType.HOLD, Reason.STALE_CHECKOUT, stale)
    met = wait_for_dependencies(action, context)
    return apply_concurrency_policy(met, context) if met.action is ActionType.SUBMIT else met


def wait_for_dependencies(action: Action, context: SpecContext) -> Action:
    """Returns the submit if its dependencies are met. Otherwise returns a wait that names the unmet dependency, or a
    skip for a slot that depends on a slot that never runs."""
    if action.action is not ActionType.SUBMIT:
        return action
    state = check_dependencies(context, action.slot)
    if not isinstance(state, Unmet):
        # A further send transmits the recorded request, with the run ids of that time.
        return with_run_ids(action, context.spec, state) if action.send == 1 else action
    if action.reason in LATER_ATTEMPTS and not _names_runs(context.spec):
        return action
    # A backfilled slot waits instead, because the operator may backfill the other slot too.
    if state.missed and action.slot is not None and action.reason is not Reason.BACKFILL:
        return _missed(action, state)
    hint = "; backfill that too" if state.missed and action.reason is Reason.BACKFILL else ""
    return stopped(action, ActionType.WAIT, Reason.DEPENDENCY, state.message + hint)


def _names_runs(spec: DesiredSpec) -> bool:
    """Returns whether the request itself names the runs of other specs, so that every attempt needs their run ids."""
    return bool(kind_named(spec.kind).spec_dependencies(spec.request))


def _missed(action: Action, unmet: Unmet) -> Action:
    slot = action.slot or ""
    stretch = MissedSlots(slot, slot, 1, (slot,), str(MissedReason.DEPENDENCY))
    return replace(stopped(action, ActionType.SKIP, Reason.MISSED, unmet.message), missed=(stretch,))


def apply_concurrency_policy(action: Action, context: SpecContext, *, may_replace: bool = True) -> Action:
    """Returns the submit if the spec has no live run or allows several, else the action that `concurrencyPolicy`
    requires.

    A replacement cancels the newest run whose cancellation was not requested yet, and waits while runs are live whose
    cancellation was requested.
    """
    live = context.record.live
    policy = context.spec.policy.concurrencyPolicy
    if not live or policy == "Allow":
        return action
    if policy == "Replace" and may_replace:
        return _replacing(action, live)
    return _waiting(action, context, live[-1])


def _replacing(action: Action, live: Sequence[Submission]) -> Action:
    unasked = [run for run in live if run.cancel_asked_at is None]
    if unasked:
        old = unasked[-1]
        then = f"the next pass after its end submits {action.key.label if action.key else 'this'}"
        message = f"run {old.run_id} ({old.key.label}) is cancelled now; {then}"
        return replace(
            action, action=ActionType.REPLACE, replaces=old.run_id, replaces_label=old.key.label, message=message
        )
    return wait_for_replaced_run(action, live[-1])


def wait_for_replaced_run(action: Action, run: Submission) -> Action:
    """Returns the wait for a run whose cancellation was requested."""
    asked = seconds_text(parse_time(run.cancel_asked_at or run.first_intent_at))
    message = f"run {run.run_id} ({run.key.label}) was asked to stop at {asked}, and has not ended yet{reported(run)}"
    return replace(stopped(action, ActionType.WAIT, Reason.REPLACING, message), run_id=run.run_id)


def _waiting(action: Action, context: SpecContext, run: Submission) -> Action:
    doubt = context.recorded.observe_errors.get(run.token)
    message = f"run {run.run_id} of {run.key.label} is live{reported(run)}"
    message += f", as last recorded ({doubt})" if doubt else ""
    return replace(stopped(action, ActionType.WAIT, Reason.CONCURRENCY, message), run_id=run.run_id)


SUSPENDED = "suspended"
GIVEN_UP = {Phase.SUPERSEDED, Phase.ABANDONED}


@dataclass(frozen=True, slots=True)
class Unmet:
    """The reason why a submit has to wait. `missed` is true if it waits for a slot that never runs."""

    message: str
    missed: bool = False


def check_dependencies(context: SpecContext, slot: str | None) -> dict[str, str] | Unmet:
    """Returns the first dependency that stops a submit. If all are met, returns the run ids of the specs that the
    request itself names, by spec name."""
    for dependency in context.spec.policy.dependsOn:
        attempts = _run_of(context, dependency.name, slot)
        unmet = attempts if isinstance(attempts, Unmet) else _gate(context, dependency, attempts)
        if unmet is not None:
            return unmet
    return _named_runs(context, slot)


def _named_runs(context: SpecContext, slot: str | None) -> dict[str, str] | Unmet:
    """Returns the runs of the specs that the request names. An accepted run is enough, because AWS waits for its
    end."""
    run_ids: dict[str, str] = {}
    for name in kind_named(context.spec.kind).spec_dependencies(context.spec.request):
        attempts = _run_of(context, name, slot)
        if isinstance(attempts, Unmet):
            return attempts
        last = last_of(attempts)
        if last.run_id is None or last.run_state in {RunState.FAILED, RunState.CANCELLED, RunState.LOST}:
            return _unmet(name, last, retried=False)
        run_ids[name] = last.run_id
    return run_ids


def _gate(context: SpecContext, dependency: Dependency, attempts: Attempts) -> Unmet | None:
    last = last_of(attempts)
    if last.applied:
        return None
    other = context.desired.spec(dependency.name)
    # With `Always`, another attempt follows every end, so waiting for the last one would never end.
    retried = other is not None and other.policy.restartPolicy != "Always" and will_retry(other.policy, attempts)
    match last.run_state:
        case RunState.SUCCEEDED:
            return None
        case RunState.FAILED | RunState.CANCELLED if dependency.condition == "Completed" and not retried:
            return None
        case _:
            return _unmet(dependency.name, last, retried=retried)


def _unmet(name: str, last: Submission, *, retried: bool) -> Unmet:
    """Describes the state of the run that a submit waits for."""
    if last.applied:
        return Unmet(
            f"{last.key.label} of {name} was accepted as applied without a run, but the request refers to its run"
        )
    if last.phase is not Phase.SUBMITTED:
        if last.phase in GIVEN_UP:
            return Unmet(f"{last.key.label} of {name} was given up", missed=last.slot is not None)
        return Unmet(f"{last.key.label} of {name} has no run: {last.error or last.phase}")
    words = {
        RunState.FAILED: "failed, and will be attempted again" if retried else "failed",
        RunState.CANCELLED: "did not start in time" if last.not_started else "was cancelled",
        RunState.LOST: "is lost: AWS can no longer find it",
        RunState.RUNNING: "is running",
    }.get(last.run_state or RunState.SUBMITTED, "has not ended")
    return Unmet(f"run {last.run_id} of {name} ({last.key.label}) {words}{reported(last)}")


def reported(run: Submission) -> str:
    """Returns the state and the reason that AWS reports for a live run, such as `` (RUNNABLE: CAPACITY:…)``; empty
    without a reason."""
    return f" ({run.aws_words})" if run.live and run.detail else ""


def _run_of(context: SpecContext, name: str, slot: str | None) -> Attempts | Unmet:
    """Returns the attempts of the run of spec `name` that one submit of this spec depends on."""
    other = context.desired.spec(name)
    if other is None:
        return Unmet(f"{name} does not run in this target")
    record = context.recorded.spec(name)
    if other.policy.schedule is None:
        return _current(other, record, context)
    if slot is not None and (same := _of_slot(other, record, context.recorded, slot)) is not None:
        return same
    return _newest(other, record, any_content=slot is not None)


def _of_slot(other: DesiredSpec, record: SpecRecord, recorded: Recorded, slot: str) -> Attempts | Unmet | None:
    """Returns the attempts of the same slot of another spec, or `None` if the other spec has no such slot."""
    same = recorded.at_slot(record.name, slot)
    if same is None:
        return Unmet(f"slot {slot} of {other.name} is archived, and its history was not read")
    if same:
        return attempts_of(same, same[0])
    if slot in record.backfill:
        return Unmet(f"slot {slot} of {other.name} is waiting to be backfilled")
    if _never_runs(record, slot):
        return Unmet(f"slot {slot} of {other.name} was missed", missed=True)
    return Unmet(f"slot {slot} of {other.name} has not been submitted") if _has(other, record, slot) else None


def _current(other: DesiredSpec, record: SpecRecord, context: SpecContext) -> Attempts | Unmet:
    """Returns the attempts of the generation with the current content in git."""
    newest = next((s for s in reversed(record.submissions) if s.digest == other.digest), None)
    baseline = record.baseline
    # A replaced run was stopped for newer content, so the current content runs again.
    if baseline is not None and baseline.digest == other.digest and not baseline.replaced:
        return attempts_of(record.submissions, baseline)
    if newest is not None and newest is record.newest:  # rejected, unsent or abandoned: it has no run
        return attempts_of(record.submissions, newest)
    how = suspension(other.policy.suspend)
    why = "" if how is None else f": {sentence(other.name, how, context.now)}"
    return Unmet(f"the current content of {other.name} has not been submitted{why}")


def _newest(other: DesiredSpec, record: SpecRecord, *, any_content: bool) -> Attempts | Unmet:
    """Returns the attempts of the newest run of a scheduled spec or, for a one-off, of the newest run of its current
    content."""
    for submission in reversed(record.submissions):
        if submission.accepted or submission.unresolved or (submission.applied and not any_content):
            if any_content or submission.digest == other.digest:
                return attempts_of(record.submissions, submission)
            break
    return Unmet(f"the current content of {other.name} has not run yet")


def _never_runs(record: SpecRecord, slot: str) -> bool:
    """Returns whether the ledger records that a slot of another spec never runs: individually, in a range of its
    schedule, or before the time up to which its slots are handled."""
    if any(slot in (missed.slots or ()) for missed in record.missed):
        return True
    return _ticks(record, slot) and (record.is_missed(slot) or any(slot in missed for missed in record.missed))


def _has(other: DesiredSpec, record: SpecRecord, slot: str) -> bool:
    """Returns whether another spec will still handle a slot, because its schedule is in force or suspended."""
    schedule = record.schedule
    if schedule is None or parse_time(slot) <= parse_time(schedule.since):
        return False
    return (schedule.stopped == SUSPENDED or in_force(record, other.policy)) and _ticks(record, slot)


def _ticks(record: SpecRecord, slot: str) -> bool:
    """Returns whether a slot belongs to the recorded schedule."""
    schedule = record.schedule
    return schedule is not None and is_slot(schedule.schedule, schedule.time_zone, slot)


DEFERRED = {Reason.SLOT_DUE, Reason.RETRY, Reason.RESTART, Reason.BACKFILL}
"""Reasons for automatic submissions. Submissions beyond the limit wait."""


def limit_submissions(actions: Sequence[Action], limits: Limits) -> list[Action]:
    """Returns the actions, with submissions beyond `maxSubmissions` turned into waits. Submissions of the oldest slots
    come first; those of the same slot are sorted by name."""
    most = limits.maxSubmissions
    if most is None:
        return list(actions)
    counted = sum(a.action in SENDS and a.reason in COUNTED for a in actions)
    deferred = [(a.slot or "", a.name, index) for index, a in enumerate(actions) if _waits(a)]
    late = {index for _, _, index in sorted(deferred)[max(0, most - counted) :]}
    message = f"maxSubmissions is {most}: it waits for the next pass"
    return [
        stopped(a, ActionType.WAIT, Reason.LIMIT, message) if index in late else a for index, a in enumerate(actions)
    ]


def _waits(action: Action) -> bool:
    return action.action in SENDS and action.reason in DEFERRED
