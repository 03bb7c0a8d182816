"""`retry` and `backfill`: what a person may have run once more, or late."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from reconciler.app.decisions import Decision, SpecView, hand, which
from reconciler.core.retries import attempts_of, last_of
from reconciler.core.submission import Phase, RunState
from reconciler.core.times import seconds_text, slots_between
from reconciler.errors import ReconcilerError, UsageError
from reconciler.render.decisions import DecisionSummary

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from reconciler.core.desired import DesiredSpec
    from reconciler.core.submission import Submission

MOST = 1000
"""Slots of one backfill: an event of the ledger stays small."""

SHOWN = 20
"""Slots that are listed one by one before it is asked."""


def repetition(sight: SpecView, *, slot: str | None, reason: str | None) -> Decision:
    """One more attempt of what was held or failed last. Raises `ReconcilerError` where there is nothing to retry."""
    from reconciler.app.decisions import ExpectedState, retry

    spec = _spec(sight, "retry")
    last = _last(sight, spec, slot)
    mine = hand(sight.session, reason)
    if last.retry_asked_at is not None:
        return Decision(
            _retry(sight, last, mine.actor, mine.reason, f"a retry was asked for at {last.retry_asked_at}.")
        )
    if why := _not_to_retry(last):
        raise ReconcilerError(f"{which(last)} is not retried: {why}")
    does = f"retry: the next apply or reconcile submits one more attempt of {which(last).partition(', ')[2]}."
    decision = _retry(sight, last, mine.actor, mine.reason, does)
    return Decision(decision, (retry(ExpectedState.of(last, sight.record.head), mine),))


def _spec(sight: SpecView, command: str) -> DesiredSpec:
    if sight.spec is None:
        raise ReconcilerError(f"{sight.name} is not in the project any more: there is nothing to {command}")
    return sight.spec


def _last(sight: SpecView, spec: DesiredSpec, slot: str | None) -> Submission:
    """The submission that a retry is a further attempt of: the newest attempt of the slot that is named, or of the
    newest slot or generation."""
    record = sight.record
    if spec.policy.schedule is None and slot is not None:
        raise UsageError(f"{sight.name} has no schedule, and so no slots")
    mine = [s for s in record.submissions if (s.slot is not None) == (spec.policy.schedule is not None)]
    if slot is not None:
        mine = [s for s in mine if s.slot == slot]
        if not mine:
            raise ReconcilerError(f"nothing was submitted for slot {slot} of {sight.name}: see backfill")
    if not mine:
        raise ReconcilerError(f"nothing of {sight.name} was submitted yet: the next apply does")
    if spec.policy.schedule is not None and slot is None:
        ends = [last_of(attempts_of(mine, one)) for one in sorted(mine, key=lambda s: s.slot or "")]
        return next((s for s in reversed(ends) if _not_to_retry(s) is None), ends[-1])
    last = last_of(attempts_of(mine, mine[-1]))
    baseline = record.baseline
    if slot is None and last.digest != spec.digest:
        if baseline is None or baseline.digest != spec.digest:
            raise ReconcilerError(f"{sight.name} asks for something else by now: the next apply submits that")
        last = last_of(attempts_of(mine, baseline))
    return last


def _not_to_retry(last: Submission) -> str | None:
    """Why there is nothing to retry; `None` where there is."""
    again = "backfill --again" if last.slot else "raise spec.revision"
    reasons = (
        (last.unresolved, "its outcome is unknown. Say what it is first: resolve or adopt"),
        (last.conflict, "it has several runs. Say which one counts first: adopt"),
        (last.live, f"run {last.run_id} is {last.run_state}"),
        (last.phase is Phase.UNSENT, "it never reached AWS, and the next apply sends it"),
        (last.phase is Phase.ABANDONED, "it was abandoned by hand. To run it, raise spec.revision"),
        (last.run_state is RunState.SUCCEEDED, f"run {last.run_id} succeeded. To run it again, {again}"),
    )
    return next((why for holds, why in reasons if holds), None)


def _retry(sight: SpecView, last: Submission, actor: str, reason: str | None, does: str) -> DecisionSummary:
    stands = str(last.run_state or last.phase) + (", as asked" if last.cancel_asked_at and last.run_id else "")
    facts = [("stands", stands), ("run", last.run_id or "-"), ("why", last.detail or last.error or "-")]
    warnings = ["AWS does not know its run any more: whether it goes on cannot be seen."] if stands == "lost" else []
    return DecisionSummary(
        command="retry",
        place=sight.session.place,
        name=sight.name,
        about=which(last),
        facts=tuple(facts),
        does=does,
        actor=actor,
        reason=reason,
        warnings=tuple(warnings),
        form={"generation": last.generation, "slot": last.slot, "attempt": last.attempt, "client_token": last.token},
    )


def late_runs(sight: SpecView, first: datetime, last: datetime, *, again: bool, reason: str | None) -> Decision:
    """Runs of past slots, oldest first. Raises `ReconcilerError` where there are none."""
    from reconciler.app.decisions import ExpectedState, backfill

    spec = _spec(sight, "backfill")
    schedule, now = spec.policy.schedule, sight.session.now()
    if schedule is None:
        raise ReconcilerError(f"{sight.name} has no schedule, and so no slots to backfill")
    if first > last:
        raise UsageError("--from is after --to")
    found = slots_between(schedule, spec.policy.timeZone, first, min(last, now), MOST + 1)
    if len(found) > MOST:
        raise ReconcilerError(f"there are more than {MOST} slots: give a shorter time, one after the other")
    ran = {s.slot for s in sight.record.submissions if s.slot is not None and s.counts}
    asked = [slot for slot in found if (again or slot not in ran) and slot not in sight.record.backfill]
    if not asked:
        raise ReconcilerError(_no_slots(sight, found, ran, schedule))
    mine = hand(sight.session, reason)
    left = len(found) - len(asked)
    warnings = [f"{left} of {len(found)} slots ran, or were asked for, before: they are left out."] if left else []
    if last > now:
        warnings.append(f"slots after {seconds_text(now)} are not due yet: they are left out.")
    decision = DecisionSummary(
        command="backfill",
        place=sight.session.place,
        name=sight.name,
        about=f"{sight.name}, {len(asked)} {'slot' if len(asked) == 1 else 'slots'} of {schedule!r}",
        facts=tuple(_listed(asked)),
        does="backfill: the next passes submit these slots, oldest first, as concurrencyPolicy and limits allow.",
        actor=mine.actor,
        reason=mine.reason,
        warnings=tuple(warnings),
        form={"slots": asked},
    )
    return Decision(decision, (backfill(ExpectedState(sight.name, sight.record.head), asked, mine),))


def _no_slots(sight: SpecView, found: Sequence[str], ran: Collection[str], schedule: str) -> str:
    if not found:
        return f"{schedule!r} of {sight.name} has no slot in that time that is past"
    if set(found) <= set(ran):
        return f"all {len(found)} slots ran before; --again runs them once more"
    return f"all {len(found)} slots ran, or were asked for, before"


def _listed(slots: Sequence[str]) -> list[tuple[str, str]]:
    shown = [("slot", slot) for slot in slots[:SHOWN]]
    return [*shown, ("and", f"{len(slots) - SHOWN} more, up to {slots[-1]}")] if len(slots) > SHOWN else shown
