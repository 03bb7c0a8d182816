"""`cancel`, `retry`, `backfill` and `resolve`: decide about submitted runs or past slots."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from reconciler.app.decisions import Decision, EventBatch, SpecView, chosen_submission, unresolved_facts
from reconciler.core.cron import slots_between
from reconciler.core.desired import DesiredSpec, sentence
from reconciler.core.events import BackfillAsked, CancelAsked, Event, Resolved, RetryAsked
from reconciler.core.plan import ActionType, Reason
from reconciler.core.state import Phase, RunState, Submission
from reconciler.core.submission import attempts_of, last_of
from reconciler.core.submit_actions import of_submission
from reconciler.core.suggestions import adopt
from reconciler.core.times import parse_time, seconds_text
from reconciler.core.unresolved import forgotten
from reconciler.errors import ReconcilerError, UsageError
from reconciler.model.spec import suspension

MOST_SLOTS = 1000
"""The maximum number of slots in one backfill, so that its event remains small."""

SHOWN = 20
"""The maximum number of slots that are listed before the confirmation."""

RISKS = {
    "submit": "the job runs twice",
    "abandon": "its run is neither recorded nor cancelled",
}
"""What happens if a run appears after the decision."""


def decide_cancel(view: SpecView, *, run_id: str | None, slot: str | None) -> Decision:
    """Cancels all live runs of a spec, or only the selected one. Unresolved submissions are cancelled once their run is
    found.

    Raises `ReconcilerError` if there are none.
    """
    selected = [s for s in view.attempts(slot, run_id) if run_id in {None, s.run_id} and slot in {None, s.slot}]
    live = [s for s in selected if s.live]
    unknown = [s for s in selected if s.unresolved and not s.live]
    if not live and not unknown:
        raise ReconcilerError(_why_nothing(view, selected, run_id or slot))
    to_cancel = [s for s in live if s.cancel_accepted_at is None]
    runs = [f"run {s.run_id} of {s.key}" for s in to_cancel] + [
        f"the run of {s.key}, once it is found" for s in unknown
    ]
    summary = view.summary(
        "cancel",
        about=f"{view.name}: {len(live)} live, {len(unknown)} unknown",
        facts=_cancelled_facts(view, live, unknown),
        does=f"cancel: ask AWS to stop {'; '.join(runs)}."
        if runs
        else "cancel: AWS was already asked to stop all live runs. Nothing to do.",
        warnings=_cancel_warnings(view),
        run_ids=[s.run_id for s in to_cancel],
        unresolved=[s.token for s in unknown],
    )
    cancels = tuple(of_submission(s, view.record, ActionType.CANCEL, Reason.ASKED) for s in to_cancel)
    batches = tuple(_cancel_once_adopted(view, s) for s in unknown)
    # One of the runs may have ended meanwhile. The others are cancelled anyway, so each has its own result.
    return Decision(summary, batches, cancels, whole=False)


def _cancel_once_adopted(view: SpecView, submission: Submission) -> EventBatch:
    """Requests the cancellation of a run that AWS does not list yet. A pass cancels it after adopting it."""
    token, reason, actor = submission.token, view.operator["reason"] or "requested manually", view.operator["actor"]
    return EventBatch(
        lambda at: [CancelAsked(at=at, name=view.name, token=token, reason=reason, actor=actor)],
        view.expected(submission).objection,
    )


def _why_nothing(view: SpecView, selected: list[Submission], selection: str | None) -> str:
    """Returns a sentence that explains why there is nothing to cancel."""
    if selection is not None and not selected:
        return f"{view.name} has no run {selection} in the ledger"
    last = selected[-1] if selected else view.record.newest
    if last is None:
        return f"{view.name} was never submitted"
    state = f"{last.run_state} (run {last.run_id})" if last.run_id else str(last.phase)
    return f"{view.name} has no live run: {last.key.label}: {state}"


def _cancelled_facts(view: SpecView, live: list[Submission], unknown: list[Submission]) -> Iterator[tuple[str, str]]:
    for run in sorted(live, key=lambda s: s.cancel_accepted_at is None):  # runs that are already stopping first
        requested = f", cancellation requested at {run.cancel_asked_at}" if run.cancel_asked_at else ""
        words = f" ({run.aws_words})" if run.aws_words else ""
        yield str(run.run_id), f"{run.key}: {run.run_state}{words}, accepted at {run.submitted_at}{requested}"
        yield from _console(view, run)
    for submission in unknown:
        yield "unknown", f"{submission.key}: sent at {submission.newest_send.at}"


def _console(view: SpecView, run: Submission) -> Iterator[tuple[str, str]]:
    """Yields the address of the run's page in AWS's console, if it has one."""
    url = view.session.place.console_url(run.kind, run.content.location, run.run_id)
    if url is not None:
        yield "console", url


def _cancel_warnings(view: SpecView) -> Iterator[str]:
    spec, now = view.spec, view.session.now()
    spec_suspension = suspension(spec.policy.suspend) if spec is not None else None
    suspensions = (("the project", suspension(view.session.project.spec.suspend)), ("the spec", spec_suspension))
    for what, suspended in suspensions:
        if suspended is not None:
            yield f"{sentence(what, suspended, now)}. Manual decisions are still carried out."
    if spec is not None and spec.policy.restartPolicy == "Always":
        yield "a manually cancelled run is not restarted automatically. Use retry to start it again."


def decide_retry(view: SpecView, *, slot: str | None) -> Decision:
    """Requests one more attempt for the last submission that ended. Raises `ReconcilerError` if nothing can be
    retried."""
    last = _last(view, view.required_spec(), slot)
    # A request that is repeated is no error, whatever has happened to the run since.
    if last.retry_asked_at is None and (objection := _why_not(last)):
        raise ReconcilerError(f"cannot retry {last.key}: {objection}")
    state = str(last.run_state or last.phase) + (", as requested" if last.stopped_on_request and last.run_id else "")
    summary = view.summary(
        "retry",
        about=str(last.key),
        facts=[
            ("state", state),
            ("run", last.run_id or "-"),
            ("cause", last.detail or last.error or "-"),
            *_console(view, last),
        ],
        does=f"retry: the next apply or reconcile submits one more attempt of {last.key.label}."
        if last.retry_asked_at is None
        else f"a retry was already requested at {last.retry_asked_at}.",
        warnings=["AWS no longer has its run, so it is unknown whether it is still running."]
        if state == "lost"
        else [],
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
    """Returns the submission to retry: the newest attempt for the given slot, for the newest generation, or for the
    newest slot that can be retried."""
    record, scheduled = view.record, spec.policy.schedule is not None
    if not scheduled and slot is not None:
        raise UsageError(f"{view.name} has no schedule and no slots")
    submissions = [s for s in view.attempts(slot) if (s.slot is not None) == scheduled and slot in {None, s.slot}]
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
            raise ReconcilerError(f"the content of {view.name} changed since then. The next apply submits it")
        last = last_of(attempts_of(submissions, baseline))
    return last


def _why_not(last: Submission) -> str | None:
    """Returns why a submission cannot be retried, or `None`."""
    again = "use backfill --again" if last.slot else "raise spec.revision"
    reasons = (
        (last.unresolved, "its outcome is unknown. Use resolve or adopt first"),
        (last.conflict, "it has several runs. Choose one first with adopt"),
        (last.live, f"run {last.run_id} is {last.run_state}"),
        (last.phase is Phase.UNSENT, "it never reached AWS, and the next apply sends it"),
        (last.applied, "an operator accepted its content as applied. To run it, raise spec.revision"),
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
    # One more than allowed, to notice that there are too many without computing all of them.
    slots = slots_between(schedule, spec.policy.timeZone, first, min(last, now), MOST_SLOTS + 1)
    if len(slots) > MOST_SLOTS:
        raise ReconcilerError(f"there are more than {MOST_SLOTS} slots. Backfill shorter periods one by one")
    ran = {s.slot for s in view.record.submissions if s.slot is not None and s.counts}
    if view.record.archive is not None:
        ran |= view.session.ledger.history.counted(view.recorded, view.record, set(slots) - ran)
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
        facts=_slot_facts(requested),
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


def _slot_facts(slots: Sequence[str]) -> list[tuple[str, str]]:
    shown = [("slot", slot) for slot in slots[:SHOWN]]
    return [*shown, ("and", f"{len(slots) - SHOWN} more, up to {slots[-1]}")] if len(slots) > SHOWN else shown


def decide_resolve(view: SpecView, decision: str, *, token: str | None, force: bool) -> Decision:
    """Resolves an unresolved submission with `decision`: ``submit`` or ``abandon``.

    Raises `ReconcilerError` if nothing is unresolved, if AWS has a run of the submission or, without `force`, if a run
    may still appear.
    """
    view.check_valid()
    submission = _unresolved(view, token)
    _check_no_run(view, submission, decision)
    early = unsettled(view, submission)
    if early and not force:
        raise ReconcilerError(
            f"cannot decide {submission.key} yet: {early}. If it runs after all, {RISKS[decision]}. "
            "Wait, or decide now with --force"
        )
    summary = view.summary(
        "resolve",
        about=f"{submission.key} ({submission.kind})",
        facts=unresolved_facts(view, submission),
        does=_effect(view, submission, decision),
        warnings=_resolve_warnings(view, submission, decision, early),
        decision=decision,
        generation=submission.generation,
        slot=submission.slot,
        attempt=submission.attempt,
        client_token=submission.token,
        send=submission.newest_send.number,
        forced=bool(early),
    )
    return Decision(summary, (_batch(view, submission, decision, forced=bool(early)),))


def _batch(view: SpecView, submission: Submission, decision: str, *, forced: bool) -> EventBatch:
    name, slot, operator = view.name, submission.slot, view.operator

    def events(at: str) -> list[Event]:
        resolved = Resolved(
            at=at,
            name=name,
            token=submission.token,
            decision=decision,
            send=submission.newest_send.number,
            forced=forced or None,
            **operator,
        )
        if decision == "abandon" or slot is None:
            return [resolved]
        # A slot is also requested as a backfill, because it may no longer be due.
        return [resolved, BackfillAsked(at=at, name=name, slots=(slot,), **operator)]

    return EventBatch(events, view.expected(submission).objection)


def _unresolved(view: SpecView, token: str | None) -> Submission:
    unresolved, newest = view.record.unresolved, view.record.newest
    if not unresolved:
        state = f"{newest.key.label} is {newest.phase}" if newest else "it was never sent"
        raise ReconcilerError(f"{view.name} has no unresolved submission: {state}")
    return chosen_submission(unresolved, token, f"unresolved submissions of {view.name}")


def _check_no_run(view: SpecView, submission: Submission, decision: str) -> None:
    """Raises `ReconcilerError` if AWS has a run of the submission, which must be adopted instead, or if the submission
    would be sent again although its cancellation was requested."""
    run_ids = view.recorded.runs_by_token.get(submission.token, ())
    if len(run_ids) == 1 and submission.phase is not Phase.CONFLICTED:
        raise ReconcilerError(
            f"AWS has run {run_ids[0]} with the token of {submission.key}. The next pass adopts it, or run: "
            + adopt(view.name, run_ids[0], view.session.invocation)
        )
    if decision == "submit" and submission.cancel_asked_at is not None:
        raise ReconcilerError(
            f"{submission.key}: cancellation was requested at {submission.cancel_asked_at}, so it is not sent again. "
            "Use --abandon; to run it, raise spec.revision afterwards"
        )
    runs = tuple(dict.fromkeys((*run_ids, *submission.conflict)))
    if runs and decision == "submit":
        raise ReconcilerError(
            f"{submission.key}: AWS has {', '.join(runs)}, and sending it again would start one more run. Choose the "
            f"run that counts: {adopt(view.name, runs[0], view.session.invocation)}"
        )


def unsettled(view: SpecView, submission: Submission) -> str | None:
    """Returns why a run of the submission may still appear. Returns `None` if no send can arrive any more and a
    complete lookup has just found no run. Raises `ClockSkew` if this machine's clock is too inaccurate for that
    conclusion."""
    settles = submission.settles_at(view.session.target.settleSeconds)
    if view.session.now() < settles:
        sent = seconds_text(parse_time(submission.newest_send.at))
        return f"it was sent at {sent}, and the request may still arrive until {seconds_text(settles)}"
    view.session.aws.check_clock()
    if error := view.recorded.look_errors.get(submission.token):
        return f"the lookup of its run failed ({error.removesuffix('.')})"
    return None


def _effect(view: SpecView, submission: Submission, decision: str) -> str:
    label, slot = submission.key.label, submission.slot
    if decision == "abandon" and slot is not None:
        return f"abandon: {label} is never sent again and counts as handled. Later slots run as usual."
    if decision == "abandon":
        return (
            f"abandon: {label} is never sent again. The spec runs nothing until its content or spec.revision changes."
        )
    if view.spec is not None and (slot is not None or view.spec.digest == submission.digest):
        return f"submit: {label} counts as absent, and the next apply or reconcile sends it again."
    return (
        f"submit: {label} counts as absent. The spec no longer requires it, so it is not sent again: the next apply or "
        "reconcile does what the spec requires now."
    )


def _resolve_warnings(view: SpecView, submission: Submission, decision: str, early: str | None) -> Iterator[str]:
    if early:
        yield f"{early}. If it runs after all, {RISKS[decision]}."
    elif forgotten(submission, view.session.now()):
        yield "it was sent more than a day ago, so AWS may no longer list a run that ended. Check the job's output."
    if submission.conflict or view.recorded.runs_by_token.get(submission.token):
        yield "the runs with its token keep running and belong to no submission."
