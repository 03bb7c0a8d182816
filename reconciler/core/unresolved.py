"""Decides about a submission whose outcome is unknown: adopt the run that has its tag, wait, or hold. Decides when a
submission without a run is proven absent: rule R5 of docs/protocol.md.

A send can no longer arrive after the settling time, which is the sum of its deadline, the lifetime of its signature,
the clock error and the lag of listings. Absence is proven by two complete listings without the tag that start after the
settling time and far enough apart. A failed listing does not count.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from reconciler.core.desired import Desired, DesiredSpec, stale_message
from reconciler.core.events import Absent, Conflicted, Observed, Unseen
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.state import Phase, Recorded, RunState, SpecRecord, Submission
from reconciler.core.submit_actions import of_submission, rendered
from reconciler.core.times import parse_time, seconds_text, time_text
from reconciler.model.kind import kind_named

LOOKS_APART = 25
"""The first and last lookup that prove absence must be at least a 25th of the settling time apart: one minute for the
default settling time of 25 minutes."""

MEMORY = timedelta(hours=24)
"""How long AWS is assumed to list a run after its end. Batch keeps jobs for at least 24 hours."""


REPEAT_SECONDS = 60.0
"""How long after its first intent a submission may be sent again immediately, if AWS accepts tokens. Together with the
deadline and the signature lifetime, this requires AWS to keep a token for 17 minutes (R6)."""


def may_repeat_at(began: str, wall: float) -> bool:
    """Returns whether a submission that began at `began` may be sent again immediately with the same token at `wall`
    (seconds since the epoch), if AWS accepts tokens."""
    return wall - parse_time(began).timestamp() <= REPEAT_SECONDS


def proving_looks(submission: Submission, settle_seconds: int) -> Sequence[datetime]:
    """Returns the times of the recorded empty lookups that count as proof of absence, oldest first: those that started
    after the submission had settled and before AWS could have dropped its run."""
    settled = submission.settles_at(settle_seconds)
    looks = map(parse_time, submission.looked)
    return [moment for moment in looks if moment >= settled and not forgotten(submission, moment)]


def proven_absent(submission: Submission, settle_seconds: int) -> bool:
    """Returns whether the first and last lookups of `proving_looks` are far enough apart to prove that the submission
    has no run."""
    looks = proving_looks(submission, settle_seconds)
    return len(looks) > 1 and looks[-1] - looks[0] >= _apart(settle_seconds)


def is_repeat(submission: Submission, settle_seconds: int) -> bool:
    """Returns whether another send would be made while earlier sends are unresolved and not yet proven absent."""
    return submission.phase is Phase.INTENDED and not proven_absent(submission, settle_seconds)


def forgotten(submission: Submission, now: datetime) -> bool:
    """Returns whether a run of an open send may have ended so long ago that AWS no longer lists it."""
    opened = next((send.at for send in submission.sends if send.outcome is None), submission.newest_send.at)
    return now - parse_time(opened) > MEMORY


def absences(recorded: Recorded, looked_at: datetime, settle_seconds: int) -> tuple[Absent, ...]:
    """Returns the empty lookups of this pass that count as proof; `looked_at` is when the lookup started."""
    return tuple(
        Absent(at=time_text(looked_at), name=submission.name, token=submission.token, looked_at=time_text(looked_at))
        for submission in recorded.unresolved()
        # A failed lookup has no entry (`None`), which is not the same as an empty one.
        if recorded.runs_by_token.get(submission.token) == () and _counts(submission, looked_at, settle_seconds)
    )


def conflicts(recorded: Recorded, looked_at: datetime) -> tuple[Conflicted, ...]:
    """Returns the submissions for which this pass found several runs that are not recorded yet."""
    return tuple(
        Conflicted(at=time_text(looked_at), name=submission.name, token=submission.token, run_ids=runs)
        for submission in recorded.unresolved()
        if len(runs := recorded.runs_by_token.get(submission.token, ())) > 1 and set(runs) != set(submission.conflict)
    )


def _counts(submission: Submission, looked_at: datetime, settle_seconds: int) -> bool:
    looks = proving_looks(submission, settle_seconds)
    # A lookup in between would prove nothing more, and each pass would make the ledger longer.
    fresh = not looks or looked_at - looks[-1] >= _apart(settle_seconds)
    settled = looked_at >= submission.settles_at(settle_seconds) and not forgotten(submission, looked_at)
    return submission.phase is Phase.INTENDED and settled and fresh and not proven_absent(submission, settle_seconds)


def _apart(settle_seconds: int) -> timedelta:
    return timedelta(seconds=settle_seconds / LOOKS_APART)


def lost_runs(
    recorded: Recorded, unseen: Collection[str], looked_at: datetime, settle_seconds: int
) -> tuple[Unseen | Observed, ...]:
    """Returns the events to record about live runs that AWS did not find at `looked_at`. `unseen` are the tokens of
    these runs.

    The first empty reply since the run was last seen is recorded. Another empty reply at least `settle_seconds` later
    means that the run is lost. A single empty reply may be caused by listing lag.
    """
    runs = sorted((recorded.by_token[token] for token in unseen), key=lambda run: (run.name, run.token))
    events = (_event(run, looked_at, settle_seconds) for run in runs)
    return tuple(event for event in events if event is not None)


def _event(run: Submission, looked_at: datetime, settle_seconds: int) -> Unseen | Observed | None:
    at, run_id = time_text(looked_at), run.run_id or ""
    if not run.live:
        return None
    if not run.unseen:
        return Unseen(at=at, name=run.name, token=run.token, run_id=run_id, looked_at=at)
    first = parse_time(run.unseen[0])
    if looked_at - first < timedelta(seconds=settle_seconds):
        return None
    detail = f"AWS has not found this run since {seconds_text(first)}"
    return Observed(
        at=at, name=run.name, token=run.token, run_id=run_id, state=str(RunState.LOST), aws_state="", detail=detail
    )


def decide_unresolved(  # noqa: PLR0917 - the three inputs of a plan, and the submission with its spec
    submission: Submission,
    spec: DesiredSpec | None,
    record: SpecRecord,
    recorded: Recorded,
    desired: Desired,
    now: datetime,
) -> Action:
    """Returns one action for one unresolved submission.

    A run that has the tag is always adopted, because adoption is safe; several such runs are a conflict. If no run was
    found, or a listing failed, the plan waits until the submission has settled. If it is proven absent, it is sent
    again if the spec still requests it; otherwise it is superseded. After a day, or with ``onUnknown: Hold``, an
    operator decides.
    """
    runs = recorded.runs_by_token.get(submission.token, ())
    # A recorded conflict remains one, because AWS may no longer list the other run.
    if submission.phase is Phase.CONFLICTED or len(runs) > 1:
        listed = ", ".join(runs or submission.conflict)
        message = f"several runs have the tag of this submission: {listed}. An operator must choose one"
        return of_submission(submission, record, ActionType.HOLD, Reason.CONFLICT, message)
    if runs:
        message = "its run was found by tag"
        return of_submission(submission, record, ActionType.ADOPT, Reason.FOUND, message, run_id=runs[0])
    doubt = f"{_doubt(submission, recorded, now)}; sent {seconds_text(parse_time(submission.newest_send.at))}"
    if forgotten(submission, now):
        # An empty listing no longer counts as proof, because Batch drops ended jobs after a day.
        message = f"{doubt}; that was more than a day ago, so AWS may no longer list a run that ended"
        return of_submission(submission, record, ActionType.HOLD, Reason.UNKNOWN, message)
    if not proven_absent(submission, desired.settle_seconds):
        if spec is not None and _may_repeat(submission, spec, desired, now):
            message = f"{doubt}; AWS deduplicates by client token, so the same request is sent again"
            return _again(submission, spec, record, message)
        message = f"{doubt}; {_until(submission, desired.settle_seconds, now)}"
        return of_submission(submission, record, ActionType.WAIT, Reason.SETTLING, message)
    return _absent(submission, spec, record, desired, doubt)


def _absent(
    submission: Submission, spec: DesiredSpec | None, record: SpecRecord, desired: Desired, doubt: str
) -> Action:
    """Returns the action for a submission that is proven absent."""
    if spec is None or not _asks(spec, submission, desired):
        asked = submission.cancel_asked_at is not None
        # The age of the checkout does not matter if an operator requested the cancellation.
        if not asked and (stale := stale_message(record, desired)):
            return of_submission(submission, record, ActionType.HOLD, Reason.STALE_CHECKOUT, stale)
        why = "its cancellation was requested" if asked else "the spec no longer requires it"
        message = f"it never reached AWS, and {why}"
        return of_submission(submission, record, ActionType.SKIP, Reason.SUPERSEDED, message)
    if desired.on_unknown == "Hold":
        message = f"{doubt}; AWS has no run with its tag, and onUnknown is Hold"
        return of_submission(submission, record, ActionType.HOLD, Reason.UNKNOWN, message)
    message = f"{doubt}; AWS has no run with its tag, and no request can still arrive: it is sent again"
    return _again(submission, spec, record, message)


def _may_repeat(submission: Submission, spec: DesiredSpec, desired: Desired, now: datetime) -> bool:
    """Returns whether the same token may be sent again immediately (R6).

    AWS must accept tokens, the first minute must not be over, and the last sender must have finished: it recorded an
    unclear outcome, or its deadline has passed. After a 409 on the token, only a lookup can find the run with the
    token.
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
    # This request is only shown. `intents._content_to_send` transmits the request of the first send.
    content = replace(submission.content, request=rendered(spec, submission.slot, {}), source=spec.source)
    return replace(again, content=content, send=submission.newest_send.number + 1)


def _asks(spec: DesiredSpec, submission: Submission, desired: Desired) -> bool:
    """Returns whether the spec still requests this submission and nobody requested its cancellation."""
    if submission.cancel_asked_at is not None:
        return False
    return _same(spec, submission) and desired.suspension_of(spec) is None


def _same(spec: DesiredSpec, submission: Submission) -> bool:
    """Returns whether the spec requests the submission. A slot is requested as long as the spec has a schedule, even if
    the content changes."""
    if submission.slot is not None and spec.policy.schedule is not None:
        return True
    return spec.digest == submission.digest


def _until(submission: Submission, settle_seconds: int, now: datetime) -> str:
    """Returns a phrase that describes what the plan waits for."""
    settles = submission.settles_at(settle_seconds)
    if now < settles:
        return f"settles at {seconds_text(settles)}"
    empty = len(proving_looks(submission, settle_seconds))
    return f"settled at {seconds_text(settles)}, {empty} of 2 empty lookups recorded"


def _doubt(submission: Submission, recorded: Recorded, now: datetime) -> str:
    """Describes why the outcome is unknown."""
    if submission.token in recorded.look_errors:
        return f"looking for its run failed ({recorded.look_errors[submission.token]})"
    if submission.error:
        return submission.error.removesuffix(".")  # this text is part of a sentence
    if now <= parse_time(submission.newest_send.not_after):
        return "a send may be in progress"
    return "the pass that sent it did not record an outcome"
