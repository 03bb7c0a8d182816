"""AWS Batch behind `ports.Service`.

SubmitJob has no client token, so a job is found again only by its tag: the jobs of its queue with its name are listed,
whatever their state, and DescribeJobs gives their tags.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from reconciler.aws.clients import Aws, Client
from reconciler.aws.errors import clean, reading, unexpected
from reconciler.aws.outcome import Reply, transmit
from reconciler.core.ports import Deadline, NotSent, Outcome, RunFacts, RunRef, RunReport, Service, Wanted
from reconciler.core.submission import RunState
from reconciler.core.times import parse_time, time_text
from reconciler.errors import ServiceError
from reconciler.model.base import JSON
from reconciler.model.kind import TOKEN_TAG

SERVICE = "batch"

REPLY = Reply(run_id="jobId", arn="jobArn", echo="jobName", declined=frozenset({"ClientException"}))

STATES = {
    "SUBMITTED": RunState.SUBMITTED,
    "PENDING": RunState.SUBMITTED,
    "RUNNABLE": RunState.SUBMITTED,
    "STARTING": RunState.SUBMITTED,
    "RUNNING": RunState.RUNNING,
    "SUCCEEDED": RunState.SUCCEEDED,
    "FAILED": RunState.FAILED,
}
"""The API's JobStatus, in our words. A word that is not here is an error, never a guess."""

AT_ONCE = 8  # listings, each of one queue and name

BEFORE_BATCH = datetime(2016, 1, 1, tzinfo=UTC)
"""Earlier than any job: for a listing of all there are."""

DESCRIBED = 100  # DescribeJobs: most ids of one call

Job = Mapping[str, Any]


def connect(aws: Aws) -> Service:
    """The service on these credentials and endpoints. Nothing is called yet."""
    return Batch(aws)


class Batch:
    """`ports.Service` and `ports.Inventory` of Batch jobs. `location` holds ``jobQueue`` and ``jobName``.

    The parent of an array is its run.
    """

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def submit(self, request: JSON, deadline: Deadline) -> Outcome:
        """SubmitJob, transmitted at most once."""
        try:
            call = self._aws.sending(SERVICE).submit_job
        except ServiceError as error:
            return NotSent(error.code, error.message)
        return transmit(call, request, REPLY, deadline, self._aws.clock)

    def observe(self, runs: Sequence[RunRef]) -> Mapping[str, RunReport | str]:
        """The state of each job, by DescribeJobs; one that the answer leaves out is not known."""
        reports: dict[str, RunReport | str] = {}
        for some in _chunks(runs):
            try:
                jobs = _described(self._aws.asking(SERVICE), [run.run_id for run in some])
            except ServiceError as error:
                reports |= {run.token: str(error) for run in some}
            else:
                unknown = RunReport(known=False)
                reports |= {run.token: _report_of(jobs[run.run_id]) if run.run_id in jobs else unknown for run in some}
        return reports

    def find(self, wanted: Sequence[Wanted]) -> Mapping[str, Sequence[str] | str]:
        """Every job of the queue with the job's name, in any state, by its tag."""
        places: dict[tuple[str, str], list[Wanted]] = defaultdict(list)
        for want in wanted:
            places[want.location["jobQueue"], want.location["jobName"]].append(want)
        with ThreadPoolExecutor(min(AT_ONCE, len(places) or 1)) as pool:
            answers = pool.map(self._found, places, places.values())
            return {token: answer for found in answers for token, answer in found.items()}

    def cancel(self, run: RunRef, reason: str) -> None:
        """TerminateJob: CancelJob does nothing for a job that is starting or running."""
        with reading("TerminateJob"):
            self._aws.asking(SERVICE).terminate_job(jobId=run.run_id, reason=reason)

    def _found(self, place: tuple[str, str], wanted: Sequence[Wanted]) -> Mapping[str, Sequence[str] | str]:
        """The answer for what is wanted in one place."""
        try:
            tagged = self._tagged(*place)
        except ServiceError as error:
            return {want.token: str(error) for want in wanted}
        return {want.token: tagged.get(want.token, ()) for want in wanted}

    def place(self, location: Mapping[str, str]) -> str:
        """The job queue."""
        return f"queue {location['jobQueue']}"

    def listed(self, location: Mapping[str, str], since: str | None) -> Sequence[str]:
        """Every job of the queue, in any state, by the filter on the time of creation. Raises `ServiceError`."""
        moment = BEFORE_BATCH if since is None else parse_time(since)
        by_time = {"name": "AFTER_CREATED_AT", "values": [str(int(moment.timestamp() * 1000))]}
        return list(dict.fromkeys(_listed(self._aws.asking(SERVICE), location["jobQueue"], by_time)))

    def described(self, location: Mapping[str, str], run_ids: Sequence[str]) -> Mapping[str, RunFacts]:
        """The jobs by DescribeJobs, in whatever queue they are. Raises `ServiceError`."""
        client = self._aws.asking(SERVICE)
        return {job_id: _facts(job) for some in _chunks(run_ids) for job_id, job in _described(client, some).items()}

    def _tagged(self, queue: str, name: str) -> dict[str, list[str]]:
        """Job ids by their token tag; raises where any of them could not be read."""
        client = self._aws.asking(SERVICE)
        job_ids = list(_listed(client, queue, {"name": "JOB_NAME", "values": [name]}))
        tagged: dict[str, list[str]] = defaultdict(list)
        for some in _chunks(job_ids):
            jobs = _described(client, some)
            for job_id in some:
                if job_id not in jobs:
                    raise ServiceError(
                        "DescribeJobs",
                        "NotDescribed",
                        f"job {job_id} is listed and was not described: its tags are unread",
                    )
                token = jobs[job_id].get("tags", {}).get(TOKEN_TAG)
                if token is not None:
                    tagged[token].append(job_id)
        return tagged


def _listed(client: Client, queue: str, by: Mapping[str, Any]) -> Iterator[str]:
    """The ids of all jobs of a queue that a filter lets through. With a filter ListJobs gives every status; the one on
    names ignores case.

    An answer without the list is an error: it would look like absence. Raises `ServiceError`.
    """
    token: dict[str, str] = {}
    while True:
        with reading("ListJobs"):
            answer = client.list_jobs(jobQueue=queue, filters=[by], **token)
            if "jobSummaryList" not in answer:
                raise unexpected("ListJobs", "the reply holds no list")
            job_ids = [job["jobId"] for job in answer["jobSummaryList"]]
        yield from job_ids
        if not answer.get("nextToken"):
            return
        if token == {"nextToken": answer["nextToken"]}:
            raise unexpected("ListJobs", "the listing does not come to an end")
        token = {"nextToken": answer["nextToken"]}


def _described(client: Client, job_ids: Sequence[str]) -> dict[str, Job]:
    """The jobs AWS knows, by id. An answer without the list is an error. Raises `ServiceError`."""
    with reading("DescribeJobs"):
        answer = client.describe_jobs(jobs=list(job_ids))
        if "jobs" not in answer:
            raise unexpected("DescribeJobs", "the reply holds no list")
        return {job["jobId"]: job for job in answer["jobs"]}


def _report_of(job: Job) -> RunReport | str:
    word = job.get("status")
    state = STATES.get(str(word))
    if state is None:
        return f"AWS gave the state {word!r}, which this version does not know"
    if state is RunState.FAILED and (job.get("isCancelled") or job.get("isTerminated")):
        state = RunState.CANCELLED
    return RunReport(
        known=True,
        state=state,
        aws_state=str(word),
        detail=clean(_detail(job)) or None,
        started_at=_text(job.get("startedAt")),
        finished_at=None if state.live else _text(job.get("stoppedAt")),
        usage=_usage(job),
    )


def _facts(job: Job) -> RunFacts:
    with reading("DescribeJobs"):
        return RunFacts(
            run_id=job["jobId"],
            name=job.get("jobName"),
            tags=dict(job.get("tags") or {}),
            created_at=_text(job["createdAt"]) or "",
            report=_report_of(job),
        )


def _detail(job: Job) -> str | None:
    """AWS's reason, with how the container ended: ``Essential container in task exited; exit code 137; Killed``."""
    container = job.get("container", {})
    code = container.get("exitCode")
    parts = [job.get("statusReason"), None if code is None else f"exit code {code}", container.get("reason")]
    return "; ".join(part for part in parts if part) or None


def _usage(job: Job) -> JSON | None:
    """How often the container ran, and how many children of an array are in which state."""
    children = job.get("arrayProperties", {}).get("statusSummary", {})
    usage = {"attempts": len(job.get("attempts", ())), "statusSummary": {k: n for k, n in children.items() if n}}
    return {name: fact for name, fact in usage.items() if fact} or None


def _text(milliseconds: int | None) -> str | None:
    return None if not milliseconds else time_text(datetime.fromtimestamp(milliseconds / 1000, UTC))


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    rest = iter(items)
    while some := list(islice(rest, DESCRIBED)):
        yield some
