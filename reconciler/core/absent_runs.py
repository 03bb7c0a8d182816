"""Decides when a submission without a run is proven absent: rule R5 of docs/protocol.md, as pure functions.

A send can no longer arrive after the settling time, which is the sum of its deadline, the lifetime of its signature,
the clock error and the lag of listings. Absence is proven by two complete listings without the tag that start after the
settling time and far enough apart. A failed listing does not count.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from reconciler.core.events import Absent, Conflicted, Observed, Unseen
from reconciler.core.state import Phase, Recorded, RunState, Submission
from reconciler.core.times import parse_time, seconds_text, time_text

LOOKS_APART = 25
"""The first and last look that prove absence must be at least a 25th of the settling time apart: one minute for the
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


def settles_at(submission: Submission, settle_seconds: int) -> datetime:
    """Returns the time after which the newest send can no longer arrive."""
    return parse_time(submission.newest_send.at) + timedelta(seconds=settle_seconds)


def proving_looks(submission: Submission, settle_seconds: int) -> Sequence[datetime]:
    """Returns the times of the recorded empty looks that count as proof of absence, oldest first: those that started
    after the submission had settled and before AWS could have dropped its run."""
    settled = settles_at(submission, settle_seconds)
    looks = map(parse_time, submission.looked)
    return [moment for moment in looks if moment >= settled and not forgotten(submission, moment)]


def proven_absent(submission: Submission, settle_seconds: int) -> bool:
    """Returns whether the first and last looks of `proving_looks` are far enough apart to prove that the submission has
    no run."""
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
    """Returns the empty looks of this pass that count as proof; `looked_at` is when the look started."""
    return tuple(
        Absent(at=time_text(looked_at), name=submission.name, token=submission.token, looked_at=time_text(looked_at))
        for submission in recorded.unresolved()
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
    fresh = not looks or looked_at - looks[-1] >= _apart(settle_seconds)
    settled = looked_at >= settles_at(submission, settle_seconds) and not forgotten(submission, looked_at)
    return submission.phase is Phase.INTENDED and settled and fresh and not proven_absent(submission, settle_seconds)


def _apart(settle_seconds: int) -> timedelta:
    return timedelta(seconds=settle_seconds / LOOKS_APART)


def lost_runs(
    recorded: Recorded, unseen: Collection[str], looked_at: datetime, settle_seconds: int
) -> tuple[Unseen | Observed, ...]:
    """Returns the events to record about live runs that AWS did not find at `looked_at`. `unseen` are the tokens of
    these runs.

    The first empty answer since the run was last seen is recorded. Another one at least `settle_seconds` later means
    that the run is lost. A single empty answer may be caused by listing lag.
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
