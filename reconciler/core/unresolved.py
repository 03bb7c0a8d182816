"""What to do about a submission whose outcome is not known: take the run that carries its tag, or wait, or hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from reconciler.core.absence import forgotten, may_repeat_at, proven_absent, proving_looks, settles_at
from reconciler.core.desired import Desired, DesiredSpec, stale_message
from reconciler.core.identity import Place, Source, SubmissionKey, client_token
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.state import Recorded, SpecRecord
from reconciler.core.submission import Phase, Submission
from reconciler.core.submits import rendered
from reconciler.core.times import parse_time, seconds_text
from reconciler.model.kind import kind_named


def decide_unresolved(  # noqa: PLR0917 - the three things a plan is made from, and whom it is about
    submission: Submission,
    spec: DesiredSpec | None,
    record: SpecRecord,
    recorded: Recorded,
    desired: Desired,
    now: datetime,
) -> Action:
    """One action for one unresolved submission.

    A run that carries the tag is adopted, at any time: that is always safe. Two are a conflict. None, or a listing
    that failed, is waited for until the submission has settled. Proven absent, it is sent again if the spec still
    asks for it, and superseded if not; after a day, or with ``onUnknown: Hold``, a person decides.
    """
    found = recorded.runs_by_token.get(submission.token, ())
    if submission.phase is Phase.CONFLICTED or len(found) > 1:
        runs = ", ".join(found or submission.conflict)
        message = f"several runs carry the tag of this submission: {runs}. Which one counts is for a person to say"
        return of_submission(submission, record, ActionType.HOLD, Reason.CONFLICT, message)
    if found:
        message = "its run was found by tag"
        return of_submission(submission, record, ActionType.ADOPT, Reason.FOUND, message, run_id=found[0])
    story = f"{_doubt(submission, recorded, now)}; sent {seconds_text(parse_time(submission.newest_send.at))}"
    if forgotten(submission, now):
        message = f"{story}; more than a day ago, and AWS may have forgotten a run that ended"
        return of_submission(submission, record, ActionType.HOLD, Reason.UNKNOWN, message)
    if not proven_absent(submission, desired.settle_seconds):
        if spec is not None and _may_repeat(submission, spec, desired, now):
            message = f"{story}; AWS takes a token for it: the same send is repeated"
            return _again(submission, spec, record, message)
        message = f"{story}; {_until(submission, desired.settle_seconds, now)}"
        return of_submission(submission, record, ActionType.WAIT, Reason.SETTLING, message)
    return _absent(submission, spec, record, desired, story)


def _absent(
    submission: Submission, spec: DesiredSpec | None, record: SpecRecord, desired: Desired, story: str
) -> Action:
    """What to do about a submission that is proven absent."""
    if spec is None or not _asks(spec, submission, desired):
        asked = submission.cancel_asked_at is not None
        if not asked and (stale := stale_message(record, desired)):
            return of_submission(submission, record, ActionType.HOLD, Reason.STALE_CHECKOUT, stale)
        why = "its end was asked for" if asked else "the spec no longer asks for it"
        message = f"it never reached AWS, and {why}"
        return of_submission(submission, record, ActionType.SKIP, Reason.SUPERSEDED, message)
    if desired.on_unknown == "Hold":
        message = f"{story}; AWS has no run with its tag, and onUnknown is Hold"
        return of_submission(submission, record, ActionType.HOLD, Reason.UNKNOWN, message)
    message = f"{story}; AWS has no run with its tag, and nothing sent can still arrive: it is sent again"
    return _again(submission, spec, record, message)


def _may_repeat(submission: Submission, spec: DesiredSpec, desired: Desired, now: datetime) -> bool:
    """Whether the same token may go again at once (R6): AWS takes it, its first minute lasts, and whoever sent it last
    is done with it: it said that the outcome is unclear, or its deadline has passed. A 409 on the token ends it."""
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
    """Another send of the same submission."""
    earlier = any(s.accepted for s in record.submissions)
    reason = Reason.SPEC_CHANGED if earlier else Reason.NEW
    if (submission.slot is not None or submission.attempt > 1) and submission.reason in set(Reason):
        reason = Reason(submission.reason)
    again = of_submission(submission, record, ActionType.SUBMIT, reason, message)
    content = replace(submission.content, request=rendered(spec, submission.slot, {}), source=spec.source)
    return replace(again, content=content, send=submission.newest_send.number + 1)


def _asks(spec: DesiredSpec, submission: Submission, desired: Desired) -> bool:
    """Whether the spec still asks for this very submission, now, and nobody asked for its end."""
    if submission.cancel_asked_at is not None:
        return False
    suspended = desired.suspension is not None or spec.policy.suspend is not False
    return _same(spec, submission) and not suspended


def _same(spec: DesiredSpec, submission: Submission) -> bool:
    """Whether it is what the spec says: a slot while there is a schedule, whatever the content is by now."""
    if submission.slot is not None and spec.policy.schedule is not None:
        return True
    return spec.digest == submission.digest


def _until(submission: Submission, settle_seconds: int, now: datetime) -> str:
    """What is waited for, in words."""
    settles = settles_at(submission, settle_seconds)
    if now < settles:
        return f"settles at {seconds_text(settles)}"
    seen = len(proving_looks(submission, settle_seconds))
    return f"settled at {seconds_text(settles)}, {seen} of 2 empty looks recorded"


def _doubt(submission: Submission, recorded: Recorded, now: datetime) -> str:
    """Why it is not known, in words."""
    if submission.token in recorded.look_errors:
        return f"looking for its run failed ({recorded.look_errors[submission.token]})"
    if submission.error:
        return submission.error.removesuffix(".")  # more of the sentence follows
    if now <= parse_time(submission.newest_send.not_after):
        return "a send may be under way"
    return "the pass that sent it did not record an outcome"


def of_submission(
    submission: Submission,
    record: SpecRecord,
    action: ActionType,
    reason: Reason,
    message: str = "",
    *,
    run_id: str | None = None,
    source: Source | None = None,
) -> Action:
    """An action about a submission that is recorded already; `source` is where its spec is now."""
    return Action(
        name=submission.name,
        kind=submission.kind,
        action=action,
        reason=reason,
        key=submission.key,
        content=replace(submission.content, source=source) if source else submission.content,
        client_token=submission.token,
        ledger_head=record.head,
        run_id=run_id or submission.run_id,
        message=message,
    )


GENERATIONS = 20
"""How many generations of a spec's content are looked for."""


def tokens(spec: DesiredSpec, place: Place) -> Iterator[tuple[SubmissionKey, str]]:
    """The keys and tokens that this content has as each of the first generations. Scheduled specs have none: a slot
    that is due is never older than the ledger."""
    if spec.policy.schedule is not None:
        return
    for generation in range(1, GENERATIONS + 1):
        key = SubmissionKey(spec.name, generation)
        yield key, client_token(place, spec.kind, key, spec.digest)


def decide_previous_runs(spec: DesiredSpec, recorded: Recorded, desired: Desired) -> Action | None:
    """The action for a spec of which nothing is recorded and whose run AWS has all the same: adopted, as the newest
    generation that has one. `None` where there is none."""
    if not any(recorded.runs_by_token.values()):
        return None
    for key, token in reversed(list(tokens(spec, desired.place))):
        runs = recorded.runs_by_token.get(token, ())
        if runs:
            return _action(spec, key, token, runs)
    return None


def _action(spec: DesiredSpec, key: SubmissionKey, token: str, runs: tuple[str, ...]) -> Action:
    one = len(runs) == 1
    message = (
        "nothing is recorded of it, and AWS has a run of this very content with its tag"
        if one
        else f"nothing is recorded of it, and several runs carry its tag: {', '.join(runs)}. Which one counts is for a "
        "person to say"
    )
    return Action(
        name=spec.name,
        kind=spec.kind,
        action=ActionType.ADOPT if one else ActionType.HOLD,
        reason=Reason.FOUND if one else Reason.CONFLICT,
        key=key,
        content=spec.content if one else replace(spec.content, request=None),
        client_token=token,
        run_id=runs[0] if one else None,
        message=message,
    )
