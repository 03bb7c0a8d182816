"""Decides about a submission whose outcome is unknown: adopt the run that carries its tag, wait, or hold."""

from dataclasses import replace
from datetime import datetime

from reconciler.core.absent_runs import forgotten, may_repeat_at, proven_absent, proving_looks, settles_at
from reconciler.core.desired import Desired, DesiredSpec, stale_message
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.state import Phase, Recorded, SpecRecord, Submission
from reconciler.core.submit_actions import of_submission, rendered
from reconciler.core.times import parse_time, seconds_text
from reconciler.model.kind import kind_named


def decide_unresolved(  # noqa: PLR0917 - the three inputs of a plan, and the submission with its spec
    submission: Submission,
    spec: DesiredSpec | None,
    record: SpecRecord,
    recorded: Recorded,
    desired: Desired,
    now: datetime,
) -> Action:
    """Returns one action for one unresolved submission.

    A run that carries the tag is always adopted, because adoption is safe; several such runs are a conflict. If no run
    was found, or a listing failed, the plan waits until the submission has settled. If it is proven absent, it is sent
    again if the spec still requests it; otherwise it is superseded. After a day, or with ``onUnknown: Hold``, an
    operator decides.
    """
    runs = recorded.runs_by_token.get(submission.token, ())
    if submission.phase is Phase.CONFLICTED or len(runs) > 1:
        listed = ", ".join(runs or submission.conflict)
        message = f"several runs carry the tag of this submission: {listed}. An operator must choose one"
        return of_submission(submission, record, ActionType.HOLD, Reason.CONFLICT, message)
    if runs:
        message = "its run was found by tag"
        return of_submission(submission, record, ActionType.ADOPT, Reason.FOUND, message, run_id=runs[0])
    doubt = f"{_doubt(submission, recorded, now)}; sent {seconds_text(parse_time(submission.newest_send.at))}"
    if forgotten(submission, now):
        # An empty listing no longer counts as proof, because Batch drops ended jobs after a day.
        message = f"{doubt}; more than a day ago, and AWS may have forgotten a run that ended"
        return of_submission(submission, record, ActionType.HOLD, Reason.UNKNOWN, message)
    if not proven_absent(submission, desired.settle_seconds):
        if spec is not None and _may_repeat(submission, spec, desired, now):
            return _again(submission, spec, record, f"{doubt}; AWS accepts a token, so the same send is repeated")
        message = f"{doubt}; {_until(submission, desired.settle_seconds, now)}"
        return of_submission(submission, record, ActionType.WAIT, Reason.SETTLING, message)
    return _absent(submission, spec, record, desired, doubt)


def _absent(
    submission: Submission, spec: DesiredSpec | None, record: SpecRecord, desired: Desired, doubt: str
) -> Action:
    """Returns the action for a submission that is proven absent."""
    if spec is None or not _asks(spec, submission, desired):
        asked = submission.cancel_asked_at is not None
        if not asked and (stale := stale_message(record, desired)):
            return of_submission(submission, record, ActionType.HOLD, Reason.STALE_CHECKOUT, stale)
        why = "its cancellation was requested" if asked else "the spec no longer asks for it"
        message = f"it never reached AWS, and {why}"
        return of_submission(submission, record, ActionType.SKIP, Reason.SUPERSEDED, message)
    if desired.on_unknown == "Hold":
        message = f"{doubt}; AWS has no run with its tag, and onUnknown is Hold"
        return of_submission(submission, record, ActionType.HOLD, Reason.UNKNOWN, message)
    message = f"{doubt}; AWS has no run with its tag, and nothing sent can still arrive: it is sent again"
    return _again(submission, spec, record, message)


def _may_repeat(submission: Submission, spec: DesiredSpec, desired: Desired, now: datetime) -> bool:
    """Returns whether the same token may be sent again immediately (R6).

    AWS must accept tokens, the first minute must not be over, and the last sender must have finished: it recorded an
    unclear outcome, or its deadline has passed. After a 409 on the token, only a look can find which run has it.
    """
    last = submission.newest_send
    done = submission.error is not None or now > parse_time(last.not_after)
    return (
        desired.may_repeat
        and kind_named(submission.kind).token_field is not None
        and done
        and not submission.token_known
        and _asks(spec, submission, desired)
        and may_repeat_at(submission.first_intent_at, now.timestamp())
    )


def _again(submission: Submission, spec: DesiredSpec, record: SpecRecord, message: str) -> Action:
    """Returns another send of the same submission."""
    reason = Reason.SPEC_CHANGED if any(s.accepted for s in record.submissions) else Reason.NEW
    if (submission.slot is not None or submission.attempt > 1) and submission.reason in set(Reason):
        reason = Reason(submission.reason)
    again = of_submission(submission, record, ActionType.SUBMIT, reason, message)
    content = replace(submission.content, request=rendered(spec, submission.slot, {}), source=spec.source)
    return replace(again, content=content, send=submission.newest_send.number + 1)


def _asks(spec: DesiredSpec, submission: Submission, desired: Desired) -> bool:
    """Returns whether the spec still requests this submission and nobody requested its cancellation."""
    if submission.cancel_asked_at is not None:
        return False
    suspended = desired.suspension is not None or spec.policy.suspend is not False
    return _same(spec, submission) and not suspended


def _same(spec: DesiredSpec, submission: Submission) -> bool:
    """Returns whether the spec requests the submission. A slot is requested as long as the spec has a schedule, even if
    the content changes."""
    if submission.slot is not None and spec.policy.schedule is not None:
        return True
    return spec.digest == submission.digest


def _until(submission: Submission, settle_seconds: int, now: datetime) -> str:
    """Returns a phrase that describes what the plan waits for."""
    settles = settles_at(submission, settle_seconds)
    if now < settles:
        return f"settles at {seconds_text(settles)}"
    empty = len(proving_looks(submission, settle_seconds))
    return f"settled at {seconds_text(settles)}, {empty} of 2 empty looks recorded"


def _doubt(submission: Submission, recorded: Recorded, now: datetime) -> str:
    """Describes why the outcome is unknown."""
    if submission.token in recorded.look_errors:
        return f"looking for its run failed ({recorded.look_errors[submission.token]})"
    if submission.error:
        return submission.error.removesuffix(".")  # this text is part of a sentence
    if now <= parse_time(submission.newest_send.not_after):
        return "a send may be under way"
    return "the pass that sent it did not record an outcome"
