"""Decides which of AWS's reports about runs are new, which are recorded, and which ended runs are queried again.

AWS may change the reason of a waiting run at any rate. It may also report the reason or the usage of an ended run only
some time after its end. Therefore there are limits on the recorded observations of a run, and on the calls after its
end.
"""

from datetime import datetime, timedelta
from hashlib import sha256

from reconciler.core.events import Observed
from reconciler.core.lazy_mapping import where
from reconciler.core.ports import RunReport
from reconciler.core.state import Recorded, RunState, Submission
from reconciler.core.times import parse_time, time_text

FIRST_REPORTS = 12
"""The number of observations of a run in one state that are recorded without a minimum interval. Most runs have one to
four."""

REPORTS_APART = timedelta(hours=6)
"""The minimum interval between further observations of a run that differ only in AWS's own state or reason."""

LATE = timedelta(hours=1)
"""How long after its end a run is queried again for a reason or usage that AWS has not reported yet."""

MOST_LATE = 50
"""The maximum number of ended runs of one kind that a pass queries again. EMR Serverless allows this many calls at
once. If more have ended, each pass chooses others."""


def differs(submission: Submission, report: RunReport) -> bool:
    """Returns whether a report about a live run has a state, an AWS state, a reason or a definition that the ledger
    does not have.

    A report that finds a run again after AWS had not found it is new too. Usage is compared only at the end of a run,
    because it changes with every child of an array.
    """
    redefined = report.definition not in {None, submission.definition}
    return bool(submission.unseen) or redefined or _essence(submission) != _essence(report)


def completes(submission: Submission, report: RunReport) -> bool:
    """Returns whether a report about an ended run has a reason or usage that the ledger does not have."""
    # A reason that AWS adds later may show that a time limit in AWS, and not a person, ended the run.
    stopped_by_aws = submission.run_state is RunState.CANCELLED and report.state == RunState.FAILED
    ended = report.exists and (stopped_by_aws or report.state == submission.run_state)
    explained = report.detail is not None and report.detail != submission.detail
    used = report.usage is not None and report.usage != submission.usage
    return ended and (explained or used or not report.partial)


def _essence(run: Submission | RunReport) -> tuple[str | None, ...]:
    state = run.run_state if isinstance(run, Submission) else run.state
    return state, run.aws_state, run.detail


def is_recorded(submission: Submission, event: Observed) -> bool:
    """Returns whether an observation is written to the ledger.

    A change of the state is always written. If only AWS's own state or reason changes, the first `FIRST_REPORTS`
    observations are written. A later one is written only if the newest recorded one is at least `REPORTS_APART` old, so
    at most four are written a day.
    """
    if submission.unseen or event.state != submission.run_state or submission.reports < FIRST_REPORTS:
        return True
    return submission.reported_at is None or parse_time(event.at) - parse_time(submission.reported_at) >= REPORTS_APART


def incomplete(recorded: Recorded, now: datetime) -> dict[str, list[Submission]]:
    """Returns the ended runs to query again, by kind: runs whose reason or usage AWS has not reported yet and whose end
    was recorded less than `LATE` ago."""
    by_kind: dict[str, list[Submission]] = {}
    for submission in where(recorded.by_token, bool, "partial"):
        if submission.ended_at is not None and now - parse_time(submission.ended_at) < LATE:
            by_kind.setdefault(submission.kind, []).append(submission)
    turn = time_text(now)
    return {kind: sorted(runs, key=lambda run: _turn(run, turn))[:MOST_LATE] for kind, runs in by_kind.items()}


def _turn(run: Submission, turn: str) -> bytes:
    """Returns a sort key that puts runs in a different order at each time `turn`, so that runs about which AWS reports
    nothing new do not keep other runs from being queried."""
    return sha256(f"{turn} {run.token}".encode()).digest()
