"""When a change of a spec takes effect, read from the actions that the same plan has for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.core.desired import DesiredSpec
from reconciler.core.plan import COUNTED, SENDS, Action, ActionType, Effect, Reason
from reconciler.core.state import SpecRecord
from reconciler.core.times import next_slot

STANDS = frozenset({ActionType.WAIT, ActionType.HOLD})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change leads to: the effect, a sentence that says so, and the slot of a `NEXT_SLOT`."""

    effect: Effect = Effect.NO_RUN
    message: str = ""
    at: str | None = None


def effect_of_spec(spec: DesiredSpec, record: SpecRecord, actions: Sequence[Action], now: datetime) -> Outcome:
    """The effect of a new or changed spec."""
    stops = _schedule_that_stops(record) if spec.policy.schedule is None else ""
    if any(action.action in SENDS and action.reason in COUNTED for action in actions):
        return Outcome(Effect.RUNS_NOW, stops)
    if spec.policy.schedule is not None:
        return _of_scheduled(spec, record, actions, now)
    adopted = next((a for a in actions if a.action is ActionType.ADOPT), None)
    if adopted is not None:
        return Outcome(message=f"run {adopted.run_id} is adopted")
    baseline = record.baseline
    if baseline is None or baseline.digest != spec.digest or baseline.replaced:
        waiting = next((a for a in actions if a.action in STANDS), None)
        if waiting is not None:
            return Outcome(Effect.WAITS, _joined(_waiting(waiting, spec), stops))
    if stops:
        return Outcome(message=stops)
    return Outcome(message="starts no run; takes effect with the next one")


def _of_scheduled(spec: DesiredSpec, record: SpecRecord, actions: Sequence[Action], now: datetime) -> Outcome:
    """The effect on a spec with a schedule: the slot that is due now, the wait of the spec, or the next slot."""
    suspended = next((a for a in actions if a.action is ActionType.WAIT and a.reason is Reason.SUSPENDED), None)
    if suspended is not None:
        return Outcome(Effect.WAITS, _joined(_waiting(suspended, spec), _schedule_that_pauses(record)))
    due = [a for a in actions if a.slot is not None and a.digest == spec.digest and a.attempt == 1]
    sent = next((a for a in due if a.action in SENDS), None)
    if sent is not None:
        return Outcome(Effect.NEXT_SLOT, f"takes effect with the slot {_short(sent.slot)}", sent.slot)
    waiting = next((a for a in due if a.action is ActionType.WAIT and a.client_token not in _tokens(record)), None)
    if waiting is not None:
        return Outcome(Effect.WAITS, _waiting(waiting, spec), waiting.slot)
    slot = next_slot(spec.policy.schedule or "", spec.policy.timeZone, now)
    if slot is None:
        return Outcome(message="starts no run: the schedule has no slot to come")
    return Outcome(Effect.NEXT_SLOT, f"takes effect with the slot {_short(slot)}", slot)


def _tokens(record: SpecRecord) -> set[str]:
    return {submission.token for submission in record.submissions}


def _short(slot: str | None) -> str:
    """A slot as people read it: ``2026-11-29T02:00Z``."""
    return (slot or "").replace(":00Z", "Z")


def _waiting(action: Action, spec: DesiredSpec) -> str:
    """``waits for run 00f1… (Forbid)``, or the sentence of the action."""
    if action.reason is Reason.CONCURRENCY and action.run_id is not None:
        return f"waits for run {action.run_id} ({spec.policy.concurrencyPolicy})"
    return f"waits: {action.message}" if action.message else f"waits: {action.reason}"


def _schedule_that_stops(record: SpecRecord) -> str:
    schedule = record.schedule
    return f"schedule stops: {schedule.schedule}" if schedule is not None and schedule.stopped is None else ""


def _schedule_that_pauses(record: SpecRecord) -> str:
    stops = _schedule_that_stops(record)
    return stops.replace("schedule stops", "schedule pauses") if stops else ""


def effect_of_removal(record: SpecRecord, actions: Sequence[Action], *, stops: bool) -> Outcome:
    """The effect of a spec that left git: what is cancelled, what keeps running, which schedule stops."""
    if not stops:
        return Outcome(
            Effect.RUN_GOES_ON if record.live else Effect.NO_RUN,
            "nothing is stopped: the project has no spec for this target",
        )
    schedule = _schedule_that_stops(record)
    cancelled = [a.run_id for a in actions if a.action is ActionType.CANCEL]
    waiting = next((a for a in actions if a.action is ActionType.WAIT and a.reason is Reason.SUSPENDED), None)
    if cancelled:
        return Outcome(Effect.RUN_IS_CANCELLED, _joined(_runs(cancelled, "is cancelled", "Cancel"), schedule))
    if waiting is not None and record.live:
        return Outcome(Effect.WAITS, _joined(f"waits: {waiting.message}", schedule))
    going = [run for run in record.live if run.cancel_asked_at is None]
    if going:
        policy = going[-1].content.deletion_policy
        return Outcome(
            Effect.RUN_GOES_ON, _joined(_runs([run.run_id for run in going], "keeps running", policy), schedule)
        )
    if record.live:
        return Outcome(
            Effect.RUN_IS_CANCELLED,
            _joined(_runs([run.run_id for run in record.live], "was asked to stop", ""), schedule),
        )
    return Outcome(message=schedule or "starts and stops no run")


def _runs(run_ids: Sequence[str | None], what: str, policy: str) -> str:
    """``run 00f1… keeps running (deletionPolicy Orphan)``."""
    note = f" (deletionPolicy {policy})" if policy else ""
    return "; ".join(f"run {run_id} {what}{note}" for run_id in run_ids)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
