"""`retry` and `backfill`: decide to run a submission once more, or past slots."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from reconciler.app.decisions import Decision, EventBatch, SpecView
from reconciler.core.desired import DesiredSpec
from reconciler.core.events import BackfillAsked, RetryAsked
from reconciler.core.retries import attempts_of, last_of
from reconciler.core.submission import Phase, RunState, Submission
from reconciler.core.times import seconds_text, slots_between
from reconciler.errors import ReconcilerError, UsageError

MOST_SLOTS = 1000
"""Slots of one backfill, so that its event stays small."""

SHOWN = 20
"""Slots that are listed one by one before the confirmation."""


def decide_retry(view: SpecView, *, slot: str | None) -> Decision:
    """Requests one more attempt of the submission that ended last. Raises `ReconcilerError` if nothing can be
    retried."""
    last = _last(view, view.required_spec(), slot)
    if last.retry_asked_at is None and (objection := _why_not(last)):
        raise ReconcilerError(f"cannot retry {last.key}: {objection}")
    state = str(last.run_state or last.phase) + (", as requested" if last.cancel_asked_at and last.run_id else "")
    summary = view.summary(
        "retry",
        about=str(last.key),
        facts=[("state", state), ("run", last.run_id or "-"), ("cause", last.detail or last.error or "-")],
        does=f"retry: the next apply or reconcile submits one more attempt of {last.key.label}."
        if last.retry_asked_at is None
        else f"a retry was already requested at {last.retry_asked_at}.",
        warnings=["AWS no longer has its run, so it cannot be seen whether it still runs."] if state == "lost" else [],
        generation=last.generation,
        slot=last.slot,
        attempt=last.attempt,
        client_token=last.token,
    )
    if last.retry_asked_at is not None:
        return Decision(summary)
    batch = EventBatch(
        lambda at: [RetryAsked(at=at, name=view.name, token=last.token, **view.operator)], view.expected(last).objection
    )
    return Decision(summary, (batch,))


def _last(view: SpecView, spec: DesiredSpec, slot: str | None) -> Submission:
    """Returns the submission to retry: the newest attempt of the given slot, or else of the newest generation, or of
    the newest slot that can be retried."""
    record, scheduled = view.record, spec.policy.schedule is not None
    if not scheduled and slot is not None:
        raise UsageError(f"{view.name} has no schedule and no slots")
    submissions = [s for s in record.submissions if (s.slot is not None) == scheduled and slot in {None, s.slot}]
    if not submissions and slot is not None:
        raise ReconcilerError(f"slot {slot} of {view.name} was never submitted. Use backfill")
    if not submissions:
        raise ReconcilerError(f"{view.name} was never submitted. The next apply submits it")
    if scheduled and slot is None:
        ends = [last_of(attempts_of(submissions, s)) for s in sorted(submissions, key=lambda s: s.slot or "")]
        return next((s for s in reversed(ends) if _why_not(s) is None), ends[-1])
    last = last_of(attempts_of(submissions, submissions[-1]))
    if slot is None and last.digest != spec.digest:
        baseline = record.baseline
        if baseline is None or baseline.digest != spec.digest:
            raise ReconcilerError(f"the content of {view.name} changed since. The next apply submits it")
        last = last_of(attempts_of(submissions, baseline))
    return last


def _why_not(last: Submission) -> str | None:
    """Returns why a submission cannot be retried, or `None`."""
    again = "use backfill --again" if last.slot else "raise spec.revision"
    reasons = (
        (last.unresolved, "its outcome is unknown. Decide that first, with resolve or adopt"),
        (last.conflict, "it has several runs. Choose one first, with adopt"),
        (last.live, f"run {last.run_id} is {last.run_state}"),
        (last.phase is Phase.UNSENT, "it never reached AWS, and the next apply sends it"),
        (last.phase is Phase.ABANDONED, "it was manually abandoned. To run it, raise spec.revision"),
        (last.run_state is RunState.SUCCEEDED, f"run {last.run_id} succeeded. To run it again, {again}"),
    )
    return next((why for holds, why in reasons if holds), None)


def decide_backfill(view: SpecView, first: datetime, last: datetime, *, again: bool) -> Decision:
    """Requests runs of past slots, oldest first. Raises `ReconcilerError` if there are none."""
    spec = view.required_spec()
    schedule, now = spec.policy.schedule, view.session.now()
    if schedule is None:
        raise ReconcilerError(f"{view.name} has no schedule and no slots to backfill")
    if first > last:
        raise UsageError("--from is after --to")
    slots = slots_between(schedule, spec.policy.timeZone, first, min(last, now), MOST_SLOTS + 1)
    if len(slots) > MOST_SLOTS:
        raise ReconcilerError(f"there are more than {MOST_SLOTS} slots. Backfill shorter periods one by one")
    ran = {s.slot for s in view.record.submissions if s.slot is not None and s.counts}
    requested = tuple(slot for slot in slots if (again or slot not in ran) and slot not in view.record.backfill)
    if not requested:
        raise ReconcilerError(_why_no_slots(view, slots, ran, schedule))
    warnings = []
    if skipped := len(slots) - len(requested):
        warnings.append(f"{skipped} of {len(slots)} slots already ran or were already requested; they are left out.")
    if last > now:
        warnings.append(f"slots after {seconds_text(now)} are not due yet; they are left out.")
    summary = view.summary(
        "backfill",
        about=f"{view.name}, {len(requested)} {'slot' if len(requested) == 1 else 'slots'} of {schedule!r}",
        facts=_facts(requested),
        does="backfill: the next passes submit these slots, oldest first, as concurrencyPolicy and limits allow.",
        warnings=warnings,
        slots=list(requested),
    )
    batch = EventBatch(
        lambda at: [BackfillAsked(at=at, name=view.name, slots=requested, **view.operator)], view.expected().objection
    )
    return Decision(summary, (batch,))


def _why_no_slots(view: SpecView, slots: Sequence[str], ran: Collection[str], schedule: str) -> str:
    if not slots:
        return f"{schedule!r} of {view.name} has no past slot in this period"
    if set(slots) <= set(ran):
        return f"all {len(slots)} slots already ran. Use --again to run them once more"
    return f"all {len(slots)} slots already ran or were already requested"


def _facts(slots: Sequence[str]) -> list[tuple[str, str]]:
    shown = [("slot", slot) for slot in slots[:SHOWN]]
    return [*shown, ("and", f"{len(slots) - SHOWN} more, up to {slots[-1]}")] if len(slots) > SHOWN else shown
