"""Reads runs of EMR Serverless: their states, from listings of an application or one by one, and their details.

A listing contains the state of a run and AWS's reason, and therefore proves that the run has ended. It contains neither
the start time nor the billed resources; GetJobRun returns these for one run. A run that is missing from a listing is
never considered ended.
"""

import re
from collections.abc import Iterator, Sequence, Set
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice

from reconciler.aws.adapter import Described, pages, unknown_state
from reconciler.aws.clients import Client
from reconciler.aws.denied_access import Access
from reconciler.aws.errors import clean, translate_errors, unexpected_reply
from reconciler.core.ports import RunFacts, RunRef, RunReport
from reconciler.core.state import RunState
from reconciler.core.times import parse_time, time_text
from reconciler.errors import ServiceError

STATES = {
    "SUBMITTED": RunState.SUBMITTED,
    "PENDING": RunState.SUBMITTED,
    "SCHEDULED": RunState.SUBMITTED,
    "QUEUED": RunState.SUBMITTED,
    "RUNNING": RunState.RUNNING,
    "CANCELLING": RunState.RUNNING,  # it may still do work
    "SUCCESS": RunState.SUCCEEDED,
    "FAILED": RunState.FAILED,
    "CANCELLED": RunState.CANCELLED,
}
"""Maps the API's JobRunState to the states of reconciler."""

LIVE_STATES = [word for word, state in STATES.items() if state.live]
ENDED_STATES = [word for word, state in STATES.items() if not state.live]

TIMED_OUT = re.compile(r"\btim(?:ed?|ing)[ -]?out\b|\btime ?limit\b", re.IGNORECASE)
"""Matches the state details of a run that AWS cancelled because of the queue timeout of the application or the timeout
of the run. CancelJobRun has no field for a reason, so the text is always AWS's own.
https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/job-states.html
"""

UTILIZATIONS = ("billedResourceUtilization", "totalResourceUtilization")
"""The fields of GetJobRun with the resources that AWS billed, and those that the run used."""

NO_SUCH_RUN = "ResourceNotFoundException"
PAGE = 50
"""The maximum number of results of one ListJobRuns call."""
FEW = 3
"""The maximum number of runs of one application that are read one by one instead of with a listing."""
FEW_ENDS = 20
"""The maximum number of ended runs whose details are read in one pass. If more runs end between two passes, later
passes read the details, so that a pass is not delayed (`observations.MOST_LATE`)."""
RECENT = timedelta(days=1)
"""The maximum age of the oldest run for which all runs since its creation are listed. With an older one, the listing
would be long."""
BEFORE_INTENT = timedelta(minutes=2)
"""A lookup includes runs that AWS reports as created up to this long before the first intent: 60 s of clock error, plus
a margin."""


def listed_reports(client: Client, application: str, runs: Sequence[RunRef], now: datetime) -> dict[str, RunReport]:
    """Returns the reports that listings of an application prove for some of the runs, keyed by id.

    First lists all runs since the oldest of `runs`, if that one is recent, then live runs, then ended runs. Stops if
    few runs are left, or at an error: reading a run that is not listed costs one more call, but its state is not lost.
    """
    seen: dict[str, RunReport] = {}
    with suppress(ServiceError):
        for states in (None, LIVE_STATES, ENDED_STATES):
            rest = [run for run in runs if run.run_id not in seen]
            after = _created_after(rest)
            if len(rest) <= FEW or (states is None and (after is None or now - after > RECENT)):
                continue
            since = {} if after is None or states is LIVE_STATES else {"createdAtAfter": after}
            query = since if states is None else {**since, "states": states}
            if _read_listing(seen, client, {run.run_id for run in rest}, applicationId=application, **query):
                break
    return seen


def _created_after(runs: Sequence[RunRef]) -> datetime | None:
    """Returns a time before which none of the runs was created, unless it was adopted, or `None` if it is unknown."""
    since = [run.since for run in runs if run.since is not None]
    return parse_time(min(since)) - BEFORE_INTENT if len(since) == len(runs) > 0 else None


def _read_listing(seen: dict[str, RunReport], client: Client, wanted: Set[str], **query: object) -> bool:
    """Adds the reports about wanted runs in a listing to `seen`. Reads at most one page more than the wanted runs fill.
    Returns whether a listing of all states was read to its end. Raises `ServiceError`."""
    # The application may have many other runs. A wanted run that is not on these pages is read by its id.
    number, most = 0, 1 + len(wanted) // PAGE
    for page in islice(run_pages(client, **query), most):
        number += 1
        reports = {run_id: report_of(run, whole=False) for run_id, run in page.items() if run_id in wanted}
        seen.update((run_id, report) for run_id, report in reports.items() if isinstance(report, RunReport))
    return number < most and "states" not in query


def run_pages(client: Client, **query: object) -> Iterator[dict[str, Described]]:
    """Yields the pages of a listing of runs, keyed by id. Raises `ServiceError`."""
    return pages("ListJobRuns", client.list_job_runs, "jobRuns", "id", maxResults=PAGE, **query)


def report_or_error(client: Client, run: RunRef) -> RunReport | str:
    """Returns the complete report about one run, or a message why it could not be read."""
    try:
        described = run_or_none(client, run.location["applicationId"], run.run_id)
    except ServiceError as error:
        return str(error)
    return RunReport(exists=False) if described is None else report_of(described)


def report_of(run: Described, *, whole: bool = True) -> RunReport | str:
    """Returns the report for a run, from GetJobRun or, if not `whole`, from ListJobRuns. For an unknown state, returns
    a message."""
    word = run.get("state")
    state = STATES.get(str(word))
    if state is None:
        return unknown_state(word, run.get("stateDetails"))
    if state is RunState.CANCELLED and TIMED_OUT.search(run.get("stateDetails") or ""):
        state = RunState.FAILED
    # A listing has no `endedAt`.
    ended = None if state.live else run.get("endedAt") or run.get("updatedAt")
    # vCPU hours and GB hours, which AWS reports some time after the end
    usage = {name: dict(run[name]) for name in UTILIZATIONS if run.get(name)}
    lacks_usage = run.get("startedAt") is not None and UTILIZATIONS[0] not in usage
    lacks_reason = state in {RunState.FAILED, RunState.CANCELLED} and not run.get("stateDetails")
    return RunReport(
        exists=True,
        state=state,
        aws_state=str(word),
        detail=clean(run.get("stateDetails")) or None,
        started_at=_text(run.get("startedAt")),
        finished_at=_text(ended),
        usage=usage or None,
        created_at=_text(run.get("createdAt")),
        partial=not state.live and (lacks_reason or lacks_usage or not whole),
    )


def read_run(client: Client, application: str, run_id: str, attempt: int | None = None) -> Described:
    """Reads one run, or an earlier attempt of it, by GetJobRun.

    Raises `ServiceError`, even if the reply is about another run, because that reply must not be read as a run without
    tags.
    """
    runs = f"arn:aws:emr-serverless:*:*:/applications/{application}/jobruns/*"
    with translate_errors("GetJobRun", Access("emr-serverless:GetJobRun", runs)):
        of_attempt = {} if attempt is None else {"attempt": attempt}
        run: Described = client.get_job_run(applicationId=application, jobRunId=run_id, **of_attempt)["jobRun"]
        if run["jobRunId"] != run_id:
            raise unexpected_reply("GetJobRun", f"the reply is not about run {run_id}")
        return run


def run_or_none(client: Client, application: str, run_id: str, attempt: int | None = None) -> Described | None:
    """Reads one run as `read_run` does. Returns `None` if it does not exist in AWS."""
    try:
        return read_run(client, application, run_id, attempt)
    except ServiceError as error:
        if error.code == NO_SUCH_RUN:
            return None
        raise


def facts_of(run: Described) -> RunFacts:
    """Returns a run from GetJobRun in the form of an inventory. Raises `ServiceError`."""
    with translate_errors("GetJobRun"):
        return RunFacts(
            run_id=run["jobRunId"],
            name=run.get("name"),
            tags=dict(run.get("tags") or {}),
            created_at=time_text(run["createdAt"]),
            report=report_of(run),
        )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else time_text(moment)
