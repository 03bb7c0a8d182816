"""EMR Serverless behind `ports.Service`.

A run is found again by its application and its tags. ListJobRuns gives no tags, so each run of the time in question is
asked for with GetJobRun; names are not compared, because the tag alone decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from reconciler.aws.clients import Aws, Client
from reconciler.aws.errors import clean, reading, unexpected
from reconciler.aws.outcome import Reply, transmit
from reconciler.core.ports import Deadline, NotSent, Outcome, RunFacts, RunRef, RunReport, Service, Wanted
from reconciler.core.submission import RunState
from reconciler.core.times import parse_time, time_text
from reconciler.errors import ServiceError
from reconciler.model.base import JSON
from reconciler.model.kind import TOKEN_TAG

SERVICE = "emr-serverless"

REPLY = Reply(run_id="jobRunId", arn="arn", echo="applicationId")

STATES = {
    "SUBMITTED": RunState.SUBMITTED,
    "PENDING": RunState.SUBMITTED,
    "SCHEDULED": RunState.SUBMITTED,
    "QUEUED": RunState.SUBMITTED,
    "RUNNING": RunState.RUNNING,
    "CANCELLING": RunState.RUNNING,
    "SUCCESS": RunState.SUCCEEDED,
    "FAILED": RunState.FAILED,
    "CANCELLED": RunState.CANCELLED,
}
"""The API's JobRunState, in our words. A word that is not here is an error, never a guess."""

LIVE_STATES = [word for word, state in STATES.items() if state.live]

NO_SUCH_RUN = "ResourceNotFoundException"
PAGE = 50  # ListJobRuns: most results of one call
FEW = 3  # runs of one application that are asked for one by one without a listing
AT_ONCE = 4  # GetJobRun allows 10 a second
BEFORE_INTENT = timedelta(minutes=2)
"""How much earlier than the first intent a run of it may seem to be created: 60 s of clock error, and room."""

Run = Mapping[str, Any]
Item = TypeVar("Item")
Answer = TypeVar("Answer")


def connect(aws: Aws) -> Service:
    """The service on these credentials and endpoints. Nothing is called yet."""
    return EmrServerless(aws)


class EmrServerless:
    """`ports.Service` and `ports.Inventory` of EMR Serverless job runs. `location` holds ``applicationId``."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def submit(self, request: JSON, deadline: Deadline) -> Outcome:
        """StartJobRun, transmitted at most once."""
        try:
            call = self._aws.sending(SERVICE).start_job_run
        except ServiceError as error:
            return NotSent(error.code, error.message)
        return transmit(call, request, REPLY, deadline, self._aws.clock)

    def observe(self, runs: Sequence[RunRef]) -> Mapping[str, RunReport | str]:
        """The state of each run: by GetJobRun where there are few of an application, else the live ones from the pages
        of one listing and only the others by GetJobRun."""
        try:
            client = self._aws.asking(SERVICE)
        except ServiceError as error:
            return {run.token: str(error) for run in runs}
        applications: dict[str, list[RunRef]] = defaultdict(list)
        for run in runs:
            applications[run.location["applicationId"]].append(run)
        reports: dict[str, RunReport | str] = {}
        for application, mine in applications.items():
            listed = _live_runs(client, application, len(mine)) if len(mine) > FEW else {}
            reports |= {run.token: listed[run.run_id] for run in mine if run.run_id in listed}
            others = [run for run in mine if run.run_id not in listed]
            answers = _each(others, lambda run: _report(client, run))
            reports |= {run.token: answer for run, answer in zip(others, answers, strict=True)}
        return reports

    def find(self, wanted: Sequence[Wanted]) -> Mapping[str, Sequence[str] | str]:
        """Every run of the application since the first intent, in any state, by its tag."""
        applications: dict[str, list[Wanted]] = defaultdict(list)
        for want in wanted:
            applications[want.location["applicationId"]].append(want)
        found: dict[str, Sequence[str] | str] = {}
        for application, mine in applications.items():
            try:
                since = min(parse_time(want.since) for want in mine)
                tagged = self._tagged(application, since, _names(mine))
                found |= {want.token: tagged.get(want.token, ()) for want in mine}
            except ServiceError as error:
                found |= {want.token: str(error) for want in mine}
        return found

    def cancel(self, run: RunRef, reason: str) -> None:
        """CancelJobRun, which takes no reason. Quiet for a run that has ended or is being cancelled."""
        client = self._aws.asking(SERVICE)
        try:
            with reading("CancelJobRun"):
                client.cancel_job_run(applicationId=run.location["applicationId"], jobRunId=run.run_id)
        except ServiceError:
            report = _report(client, run)
            if isinstance(report, str) or not report.known or not _ending(report):
                raise

    def place(self, location: Mapping[str, str]) -> str:
        """The application."""
        return f"application {location['applicationId']}"

    def listed(self, location: Mapping[str, str], since: str | None) -> Sequence[str]:
        """Every run of the application, in any state. Raises `ServiceError`."""
        after = {} if since is None else {"createdAtAfter": parse_time(since)}
        return list(_all_runs(self._aws.asking(SERVICE), applicationId=location["applicationId"], **after))

    def described(self, location: Mapping[str, str], run_ids: Sequence[str]) -> Mapping[str, RunFacts]:
        """The runs of one application by GetJobRun. Raises `ServiceError`."""
        client, application = self._aws.asking(SERVICE), location["applicationId"]
        runs = _each(run_ids, lambda run_id: _known(client, application, run_id))
        return {run_id: _facts(run) for run_id, run in zip(run_ids, runs, strict=True) if run is not None}

    def _tagged(self, application: str, since: datetime, names: frozenset[str] | None) -> dict[str, list[str]]:
        """The run ids of an application, of these names (`None`: of any), by their token tag; raises where any of them
        could not be read."""
        client = self._aws.asking(SERVICE)
        listed = _all_runs(client, applicationId=application, createdAtAfter=since - BEFORE_INTENT)
        run_ids = [run_id for run_id, run in listed.items() if names is None or run.get("name") in names]
        runs = _each(run_ids, lambda run_id: _run(client, application, run_id))
        tagged: dict[str, list[str]] = defaultdict(list)
        for run_id, run in zip(run_ids, runs, strict=True):
            token = run.get("tags", {}).get(TOKEN_TAG)
            if token is not None:
                tagged[token].append(run_id)
        return tagged


def _names(wanted: Sequence[Wanted]) -> frozenset[str] | None:
    """The names that all of these are narrowed down to; `None` where one of them may have any."""
    names = frozenset(want.name for want in wanted if want.name is not None)
    return None if any(want.name is None for want in wanted) else names


def _run(client: Client, application: str, run_id: str) -> Run:
    """One run by GetJobRun. Raises `ServiceError`, also for an answer that is not about it: no answer is not a run
    without tags."""
    with reading("GetJobRun"):
        run: Run = client.get_job_run(applicationId=application, jobRunId=run_id)["jobRun"]
        if run["jobRunId"] != run_id:
            raise unexpected("GetJobRun", f"the reply is not about run {run_id}")
        return run


def _known(client: Client, application: str, run_id: str) -> Run | None:
    """As `_run`; `None` for one that AWS does not know."""
    try:
        return _run(client, application, run_id)
    except ServiceError as error:
        if error.code == NO_SUCH_RUN:
            return None
        raise


def _all_runs(client: Client, **query: object) -> dict[str, Run]:
    """The runs that a query lists, in any state, by id.

    AWS does not document whether a listing without `mode` holds streaming runs, so these are listed by themselves
    too: a run that a listing leaves out must not be taken for absent.
    """
    listings = (_pages(client, **query), _pages(client, **query, mode="STREAMING"))
    return {run_id: run for pages in listings for page in pages for run_id, run in page.items()}


def _pages(client: Client, **query: object) -> Iterator[dict[str, Run]]:
    """The pages of ListJobRuns, runs by id. An answer without the list is an error: it would look like absence."""
    token: dict[str, str] = {}
    while True:
        with reading("ListJobRuns"):
            answer = client.list_job_runs(maxResults=PAGE, **query, **token)
            if "jobRuns" not in answer:
                raise unexpected("ListJobRuns", "the reply holds no list")
            page = {run["id"]: run for run in answer["jobRuns"]}
        yield page
        if not answer.get("nextToken"):
            return
        if token == {"nextToken": answer["nextToken"]}:
            raise unexpected("ListJobRuns", "the listing does not come to an end")
        token = {"nextToken": answer["nextToken"]}


def _live_runs(client: Client, application: str, count: int) -> dict[str, RunReport]:
    """The live runs of an application by run id: as many pages as can save calls for `count` runs, fewer on an error.

    A run that is not among them is asked for by itself, so an incomplete listing costs calls and never an answer.
    """
    seen: dict[str, RunReport] = {}
    with suppress(ServiceError):
        pages = _pages(client, applicationId=application, states=LIVE_STATES)
        for page in islice(pages, count // 2):
            reports = {run_id: _report_of(run) for run_id, run in page.items()}
            seen |= {run_id: report for run_id, report in reports.items() if isinstance(report, RunReport)}
    return seen


def _report(client: Client, run: RunRef) -> RunReport | str:
    try:
        return _report_of(_run(client, run.location["applicationId"], run.run_id))
    except ServiceError as error:
        return RunReport(known=False) if error.code == NO_SUCH_RUN else str(error)


def _ending(report: RunReport) -> bool:
    return report.aws_state == "CANCELLING" or not RunState(report.state).live


def _report_of(run: Run) -> RunReport | str:
    """The report for a run as GetJobRun or ListJobRuns gives it; a sentence for a state we do not know."""
    word = run.get("state")
    state = STATES.get(str(word))
    if state is None:
        return f"AWS gave the state {word!r}, which this version does not know"
    ended = None if state.live else run.get("endedAt") or run.get("updatedAt")
    return RunReport(
        known=True,
        state=state,
        aws_state=str(word),
        detail=clean(run.get("stateDetails")) or None,
        started_at=_text(run.get("startedAt")),
        finished_at=_text(ended),
        usage=_usage(run),
    )


def _facts(run: Run) -> RunFacts:
    with reading("GetJobRun"):
        return RunFacts(
            run_id=run["jobRunId"],
            name=run.get("name"),
            tags=dict(run.get("tags") or {}),
            created_at=time_text(run["createdAt"]),
            report=_report_of(run),
        )


def _usage(run: Run) -> JSON | None:
    """What the run was billed for: vCPU hours and GB hours, known some time after its end."""
    billed = run.get("billedResourceUtilization")
    return {"billedResourceUtilization": dict(billed)} if billed else None


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else time_text(moment)


def _each(items: Iterable[Item], call: Callable[[Item], Answer]) -> list[Answer]:
    """`call` for each item, a few at a time, the answers in order; raises what the first failed one raised."""
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        return list(pool.map(call, items))
    finally:
        pool.shutdown(cancel_futures=True)
