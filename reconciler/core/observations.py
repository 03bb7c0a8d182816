"""Decides what of AWS's reports about runs is new, what of it is recorded, and which ended runs are read again.

AWS may change the reason of a waiting run at any rate, and may give the reason or the usage of an ended run some time
after its end. Therefore the number of recorded observations of a run is bounded, and so are the calls after its end.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.core.events import Observed
from reconciler.core.ports import RunReport
from reconciler.core.state import Recorded, RunState, Submission
from reconciler.core.times import parse_time

FIRST_REPORTS = 12
"""How many observations of a run in one state are recorded as they come. Most runs have one to four."""

REPORTS_APART = timedelta(hours=6)
"""The time between two later observations of a run that differ in AWS's word or reason only."""

LATE = timedelta(hours=1)
"""How long after its end a run is read again for a reason or usage that AWS has not given yet."""

MOST_LATE = 20
"""The maximum number of ended runs of one kind that a pass reads again; the newest ones."""


def differs(submission: Submission, report: RunReport) -> bool:
    """Returns whether a report about a live run has anything that the ledger lacks: a state, or AWS's word or reason.

    A run that AWS did not find before and finds again differs too. Usage counts only at the end of a run, because it
    changes with every child of an array.
    """
    redefined = report.definition not in {None, submission.definition}
    return bool(submission.unseen) or redefined or _essence(submission) != _essence(report)


def completes(submission: Submission, report: RunReport) -> bool:
    """Returns whether a report about an ended run has a reason or usage that the ledger lacks."""
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

    A change of the state always is. Of changes of AWS's word or reason alone, the first `FIRST_REPORTS` are, and
    later ones if the newest recorded one is `REPORTS_APART` old: at most four a day, however often AWS changes it.
    """
    if submission.unseen or event.state != submission.run_state or submission.reports < FIRST_REPORTS:
        return True
    return submission.reported_at is None or parse_time(event.at) - parse_time(submission.reported_at) >= REPORTS_APART


def incomplete(recorded: Recorded, now: datetime) -> dict[str, list[Submission]]:
    """Returns the ended runs to read again, by kind: those that AWS has not given the reason or usage of, for `LATE`
    after their end was recorded."""
    by_kind: dict[str, list[Submission]] = {}
    for submission in recorded.by_token.values():
        if submission.partial and submission.ended_at is not None and now - parse_time(submission.ended_at) < LATE:
            by_kind.setdefault(submission.kind, []).append(submission)
    return {
        kind: sorted(runs, key=lambda run: (run.ended_at or "", run.token), reverse=True)[:MOST_LATE]
        for kind, runs in by_kind.items()
    }
