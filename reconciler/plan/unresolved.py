"""What to do about a submission whose outcome is not known: take the run that carries its tag, or wait, or hold."""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.identity.instant import parse, seconds_text
from reconciler.plan.action import Action, ActionType, Reason
from reconciler.plan.desired import Desired, Source
from reconciler.recorded.state import Recorded, SpecRecord
from reconciler.recorded.submission import Phase, Submission


def decide_unresolved(
    submission: Submission, record: SpecRecord, recorded: Recorded, desired: Desired, now: datetime
) -> Action:
    """One action for one unresolved submission.

    A run that carries the tag is adopted, at any time: that is always safe. Two are a conflict. None, or a listing
    that failed, is waited for until the submission has settled; after that a person decides.
    """
    found = recorded.found.get(submission.token, ())
    if submission.phase is Phase.CONFLICTED or len(found) > 1:
        runs = ", ".join(found or submission.conflict)
        return of_submission(
            submission,
            record,
            ActionType.HOLD,
            Reason.CONFLICT,
            f"several runs carry the tag of this submission: {runs}. Which one counts is for a person to say",
        )
    if found:
        return of_submission(
            submission, record, ActionType.ADOPT, Reason.FOUND, "its run was found by tag", run_id=found[0]
        )
    since = parse(submission.newest_send.at)
    settles = since + timedelta(seconds=desired.settle_seconds)
    story = f"{_doubt(submission, recorded, now)}; sent {seconds_text(since)}"
    if now < settles:
        return of_submission(
            submission, record, ActionType.WAIT, Reason.SETTLING, f"{story}; settles at {seconds_text(settles)}"
        )
    return of_submission(
        submission, record, ActionType.HOLD, Reason.UNKNOWN, f"{story}; settled since {seconds_text(settles)}"
    )


def _doubt(submission: Submission, recorded: Recorded, now: datetime) -> str:
    """Why it is not known, in words."""
    if submission.token in recorded.look_errors:
        return f"unknown: looking for its run failed ({recorded.look_errors[submission.token]})"
    if submission.error:
        return f"unknown: {submission.error}"
    if now <= parse(submission.newest_send.not_after):
        return "a send may be under way"
    return "unknown: the pass that sent it did not record an outcome"


def of_submission(  # noqa: PLR0917 - every part is read where it is given
    submission: Submission,
    record: SpecRecord,
    action: ActionType,
    reason: Reason,
    message: str = "",
    run_id: str | None = None,
) -> Action:
    """An action about a submission that is recorded already."""
    path, line = submission.source.get("path"), submission.source.get("line")
    return Action(
        name=submission.name,
        kind=submission.kind,
        action=action,
        reason=reason,
        generation=submission.generation,
        slot=submission.slot,
        attempt=submission.attempt,
        digest=submission.digest,
        client_token=submission.token,
        ledger_head=record.head,
        run_id=run_id or submission.run_id,
        source=Source(str(path), int(str(line))) if path is not None and line is not None else None,
        message=message,
        revision=submission.revision,
        deletion_policy=submission.deletion_policy,
        streaming=submission.streaming,
        locate=submission.locate,
    )
