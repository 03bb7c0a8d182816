"""When a submission that nobody can find is known not to exist: R5 of the protocol, as pure functions.

Nothing that was sent can arrive for ever: the send's deadline, the life of its signature, the clocks' error and the
lag of listings add up to the settling time. Two complete listings without the tag, begun after that and apart from
each other, prove absence; a listing that failed proves nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from reconciler.core.events import Absent, Conflicted, Observed, Unseen
from reconciler.core.state import Recorded
from reconciler.core.submission import Phase, RunState, Submission
from reconciler.core.times import parse_time, seconds_text, time_text

LOOKS_APART = 25
"""The part of the settling time that two proving looks are apart: a minute of the default 25."""

MEMORY = timedelta(hours=24)
"""How long AWS is trusted to remember a run that has ended: Batch keeps jobs for at least 24 hours."""


REPEAT_SECONDS = 60.0
"""How long after its first intent a submission whose token AWS takes may be sent again at once: with the deadline and
the life of a signature this rests on AWS remembering a token for 17 minutes (R6)."""


def may_repeat_at(began: str, wall: float) -> bool:
    """Whether the same token may be sent again at once at `wall`, seconds since the epoch, where AWS takes tokens."""
    return wall - parse_time(began).timestamp() <= REPEAT_SECONDS


def settles_at(submission: Submission, settle_seconds: int) -> datetime:
    """When nothing of the newest send can arrive any more."""
    return parse_time(submission.newest_send.at) + timedelta(seconds=settle_seconds)


def proving_looks(submission: Submission, settle_seconds: int) -> Sequence[datetime]:
    """The recorded empty looks that count, oldest first: those begun after the submission had settled, and before AWS
    may have forgotten a run of it."""
    settled = settles_at(submission, settle_seconds)
    looks = map(parse_time, submission.looked)
    return [moment for moment in looks if moment >= settled and not forgotten(submission, moment)]


def proven_absent(submission: Submission, settle_seconds: int) -> bool:
    """Whether two looks that count are far enough apart."""
    looks = proving_looks(submission, settle_seconds)
    return len(looks) > 1 and looks[-1] - looks[0] >= _apart(settle_seconds)


def is_repeat(submission: Submission, settle_seconds: int) -> bool:
    """Whether a further send would be one while earlier ones are unresolved, and not yet proven absent."""
    return submission.phase is Phase.INTENDED and not proven_absent(submission, settle_seconds)


def forgotten(submission: Submission, now: datetime) -> bool:
    """Whether a run of an open send may have ended so long ago that AWS no longer tells of it."""
    opened = next((send.at for send in submission.sends if send.outcome is None), submission.newest_send.at)
    return now - parse_time(opened) > MEMORY


def absences(recorded: Recorded, looked_at: datetime, settle_seconds: int) -> tuple[Absent, ...]:
    """The empty looks of this pass that are worth recording: `looked_at` is when the look began."""
    return tuple(
        Absent(at=time_text(looked_at), name=submission.name, token=submission.token, looked_at=time_text(looked_at))
        for submission in recorded.unresolved()
        if recorded.runs_by_token.get(submission.token) == () and _counts(submission, looked_at, settle_seconds)
    )


def conflicts(recorded: Recorded, looked_at: datetime) -> tuple[Conflicted, ...]:
    """The submissions of which this pass's look found several runs, where that is news."""
    return tuple(
        Conflicted(at=time_text(looked_at), name=submission.name, token=submission.token, run_ids=found)
        for submission in recorded.unresolved()
        if len(found := recorded.runs_by_token.get(submission.token, ())) > 1 and set(found) != set(submission.conflict)
    )


def _counts(submission: Submission, looked_at: datetime, settle_seconds: int) -> bool:
    looks = proving_looks(submission, settle_seconds)
    fresh = not looks or looked_at - looks[-1] >= _apart(settle_seconds)
    settled = looked_at >= settles_at(submission, settle_seconds) and not forgotten(submission, looked_at)
    return submission.phase is Phase.INTENDED and settled and fresh and not proven_absent(submission, settle_seconds)


def _apart(settle_seconds: int) -> timedelta:
    return timedelta(seconds=settle_seconds / LOOKS_APART)


def lost_runs(
    recorded: Recorded, unseen: Collection[str], looked_at: datetime, settle_seconds: int
) -> tuple[Unseen | Observed, ...]:
    """What is worth recording about live runs, by token, that AWS said it does not know; `looked_at` is when it was
    asked.

    The first empty answer since the run was seen last is recorded; one that comes at least `settle_seconds` after it
    says that the run is lost.
    """
    told = (recorded.by_token[token] for token in unseen)
    events = (_event(run, looked_at, settle_seconds) for run in sorted(told, key=lambda run: (run.name, run.token)))
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
    detail = f"AWS has not known this run since {seconds_text(first)}"
    return Observed(
        at=at, name=run.name, token=run.token, run_id=run_id, state=str(RunState.LOST), aws_state="", detail=detail
    )
