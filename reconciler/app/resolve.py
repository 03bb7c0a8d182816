"""`resolve`: whether a person may decide an unresolved submission now, and what that decision means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.app.decisions import Decision, SpecView, chosen_submission, doubt_facts, hand, which
from reconciler.core.absence import forgotten, settles_at
from reconciler.core.submission import Phase
from reconciler.core.times import parse_time, seconds_text
from reconciler.errors import ReconcilerError
from reconciler.render.decisions import DecisionSummary

if TYPE_CHECKING:
    from reconciler.app.decisions import Operator
    from reconciler.core.submission import Submission

RISKS = {
    "submit": "the job would run twice",
    "abandon": "nobody would record it, or stop it",
}
"""What goes wrong if a run appears after the decision."""


def resolution(sight: SpecView, decision: str, *, token: str | None, force: bool, reason: str | None) -> Decision:
    """The decision ``submit`` or ``abandon``. Raises `ReconcilerError` where there is nothing to decide, where a run
    was found, and, without `force`, where one may still appear."""
    submission = _unresolved(sight, token)
    check_open(sight, submission, decision)
    early = unsettled(sight, submission)
    if early and not force:
        raise ReconcilerError(
            f"{which(submission)} cannot be decided yet: {early}. If it ran after all, {RISKS[decision]}. "
            "Wait, or decide now with --force"
        )
    from reconciler.app.decisions import ExpectedState, resolve

    mine = hand(sight.session, reason)
    told = _decision(sight, submission, decision, early, mine)
    seen = ExpectedState.of(submission, sight.record.head)
    return Decision(told, (resolve(seen, decision, mine, slot=submission.slot, forced=bool(early)),))


def _decision(
    sight: SpecView, submission: Submission, decision: str, early: str | None, mine: Operator
) -> DecisionSummary:
    return DecisionSummary(
        command="resolve",
        place=sight.session.place,
        name=sight.name,
        about=f"{which(submission)} ({submission.kind})",
        facts=tuple(doubt_facts(submission, sight.recorded, sight.settle_seconds)),
        does=_meaning(sight, submission, decision),
        actor=mine.actor,
        reason=mine.reason,
        warnings=tuple(_warnings(sight, submission, decision, early)),
        form={
            "decision": decision,
            "generation": submission.generation,
            "slot": submission.slot,
            "attempt": submission.attempt,
            "client_token": submission.token,
            "send": submission.newest_send.number,
            "forced": bool(early),
        },
    )


def _unresolved(sight: SpecView, token: str | None) -> Submission:
    unresolved = sight.record.unresolved
    if not unresolved:
        newest = sight.record.newest
        stands = f"its newest submission, {which(newest)}, is {newest.phase}" if newest else "nothing of it was sent"
        raise ReconcilerError(f"nothing about {sight.name} is unresolved: {stands}")
    return chosen_submission(unresolved, token, f"unresolved submissions of {sight.name}")


def check_open(sight: SpecView, submission: Submission, decision: str) -> None:
    """Raises `ReconcilerError` where a run of the submission is known: then it did run, and is to be adopted. Also
    where its end was asked for, and it is to be sent again."""
    found = sight.recorded.runs_by_token.get(submission.token, ())
    if len(found) == 1 and submission.phase is not Phase.CONFLICTED:
        raise ReconcilerError(
            f"{which(submission)} did run: AWS has run {found[0]} with its tag. The next pass adopts it by itself, or: "
            f"reconciler adopt {sight.name} {found[0]}"
        )
    if decision == "submit" and submission.cancel_asked_at is not None:
        raise ReconcilerError(
            f"the end of {which(submission)} was asked for at {submission.cancel_asked_at}: it is not sent again only "
            "to be cancelled. Decide --abandon; to run it, raise spec.revision after that"
        )
    runs = tuple(dict.fromkeys((*found, *submission.conflict)))
    if runs and decision == "submit":
        raise ReconcilerError(
            f"{which(submission)} did run, as {', '.join(runs)}: sending it again would be one more. Say which run "
            f"counts: reconciler adopt {sight.name} {runs[0]}"
        )


def unsettled(sight: SpecView, submission: Submission) -> str | None:
    """Why a run of the submission may still appear; `None` where nothing sent can arrive any more, and a complete look
    just now found nothing. Raises `ClockSkew` for a machine whose clock proves nothing."""
    now = sight.session.now()
    settles = settles_at(submission, sight.settle_seconds)
    if now < settles:
        sent = seconds_text(parse_time(submission.newest_send.at))
        return f"it was sent {sent}, and what was sent may still arrive until {seconds_text(settles)}"
    sight.session.aws.check_clock()
    if error := sight.recorded.look_errors.get(submission.token):
        return f"looking for its run failed ({error.removesuffix('.')})"
    return None


def _meaning(sight: SpecView, submission: Submission, decision: str) -> str:
    run = which(submission).partition(", ")[2]
    if decision == "abandon" and submission.slot is not None:
        return f"abandon: {run} is never sent again, and counts as dealt with. Later slots run as ever."
    if decision == "abandon":
        return (
            f"abandon: {run} is never sent again. The spec stays as it is and runs nothing until its content or "
            "spec.revision changes."
        )
    if sight.spec is not None and (submission.slot is not None or sight.spec.digest == submission.digest):
        return f"submit: what was sent of {run} counts as absent; the next apply or reconcile sends it again."
    return (
        f"submit: what was sent of {run} counts as absent. The spec no longer asks for it, so it is not sent again: "
        "the next apply or reconcile does what the spec asks for now."
    )


def _warnings(sight: SpecView, submission: Submission, decision: str, early: str | None) -> list[str]:
    said = []
    if early:
        said.append(f"{early}. If it ran after all, {RISKS[decision]}.")
    elif forgotten(submission, sight.session.now()):
        said.append(
            "it was sent more than a day ago: AWS may have forgotten a run that has ended. Look at what the job writes."
        )
    if submission.conflict or sight.recorded.runs_by_token.get(submission.token):
        said.append("the runs that carry its tag go on, and belong to nobody.")
    return said
