"""`resolve`: decides whether a submission with an unknown outcome is sent again or abandoned."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.app.decisions import Decision, EventBatch, SpecView, chosen_submission, unresolved_facts
from reconciler.core.absence import forgotten, settles_at
from reconciler.core.events import BackfillAsked, Event, Resolved
from reconciler.core.submission import Phase, Submission
from reconciler.core.times import parse_time, seconds_text
from reconciler.errors import ReconcilerError

RISKS = {
    "submit": "the job runs twice",
    "abandon": "its run is neither recorded nor cancelled",
}
"""What goes wrong if a run appears after the decision."""


def decide_resolve(view: SpecView, decision: str, *, token: str | None, force: bool) -> Decision:
    """Decides ``submit`` or ``abandon``.

    Raises `ReconcilerError` if nothing is unresolved, if AWS has a run of the submission, and, without `force`, if a
    run may still appear.
    """
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
        warnings=_warnings(view, submission, decision, early),
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
        # A slot is requested as a backfill too, because it may not be due any more.
        return [resolved, BackfillAsked(at=at, name=name, slots=(slot,), **operator)]

    return EventBatch(events, view.expected(submission).objection)


def _unresolved(view: SpecView, token: str | None) -> Submission:
    unresolved, newest = view.record.unresolved, view.record.newest
    if not unresolved:
        state = f"{newest.key.label} is {newest.phase}" if newest else "it was never sent"
        raise ReconcilerError(f"{view.name} has no unresolved submission: {state}")
    return chosen_submission(unresolved, token, f"unresolved submissions of {view.name}")


def _check_no_run(view: SpecView, submission: Submission, decision: str) -> None:
    """Raises `ReconcilerError` if AWS has a run of the submission, which must be adopted instead, and if a submission
    whose cancellation was requested would be sent again."""
    run_ids = view.recorded.runs_by_token.get(submission.token, ())
    if len(run_ids) == 1 and submission.phase is not Phase.CONFLICTED:
        raise ReconcilerError(
            f"AWS has run {run_ids[0]} with the token of {submission.key}. The next pass adopts it, or run: "
            f"reconciler adopt {view.name} {run_ids[0]}"
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
            f"run that counts: reconciler adopt {view.name} {runs[0]}"
        )


def unsettled(view: SpecView, submission: Submission) -> str | None:
    """Returns why a run of the submission may still appear, or `None` if no send can arrive any more and a complete
    lookup just now found nothing. Raises `ClockSkew` if this machine's clock proves nothing."""
    settles = settles_at(submission, view.session.target.settleSeconds)
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
        f"submit: {label} counts as absent. The spec no longer asks for it, so it is not sent again: the next apply or "
        "reconcile does what the spec asks for now."
    )


def _warnings(view: SpecView, submission: Submission, decision: str, early: str | None) -> Iterator[str]:
    if early:
        yield f"{early}. If it runs after all, {RISKS[decision]}."
    elif forgotten(submission, view.session.now()):
        yield "it was sent more than a day ago, so AWS may have forgotten a run that ended. Check the job's output."
    if submission.conflict or view.recorded.runs_by_token.get(submission.token):
        yield "the runs with its token keep running and belong to no submission."
