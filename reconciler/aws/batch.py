"""Implements `ports.Service`, `ports.Inventory`, `ports.RunSource` and `run_logs.Logs` for AWS Batch.

SubmitJob takes no client token, so a job can be found again only by its tag. ListJobs returns the jobs in the queue
that have its name, in any state, and DescribeJobs returns their tags.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from reconciler.aws import batch_runs
from reconciler.aws.adapter import Described, Tagged, answers, each, merged, pages, submit, unknown_state
from reconciler.aws.batch_logs import logs_of
from reconciler.aws.clients import Aws, Client
from reconciler.aws.errors import clean, translate_errors, unexpected_reply
from reconciler.aws.outcome import ReplyFields
from reconciler.core.ports import FoundRun, Instant, Outcome, RunFacts, RunRef, RunReport, Service, Verdict, Wanted
from reconciler.core.run_logs import RunLogs
from reconciler.core.state import RunState
from reconciler.core.times import parse_time, time_text
from reconciler.errors import ServiceError
from reconciler.model.base import JSON
from reconciler.model.batch.submit_job import SubmitJobRequest

SERVICE = "batch"

REPLY_FIELDS = ReplyFields(run_id="jobId", arn="jobArn", echo="jobName", declined=frozenset({"ClientException"}))

JOB_ID = re.compile(r"(?:arn:[^:]+:batch:[^:]*:[^:]*:job/)?(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
"""The id or ARN of a job that is not a child of an array or a node."""

LISTINGS_AT_ONCE = 8
FEW_NAMES = 3
"""The maximum number of job names of one queue that are listed one by one."""
BEFORE_INTENT = timedelta(days=1)
"""A lookup includes jobs that AWS reports as created up to this long before the first intent of a submission. This is
far more than the accepted clock error."""
DESCRIBED = 100
"""The maximum number of job ids in one DescribeJobs call."""
MOST_ARRAYS = 1000
"""The maximum number of arrays whose failed children an adapter caches."""

FORGOTTEN = (
    "AWS no longer has job {run_id}, because it deletes jobs about 7 days after their end. Their logs stay in the log "
    "group of the job definition, by default /aws/batch/job"
)
"""https://docs.aws.amazon.com/batch/latest/userguide/jobs.html"""

BEFORE_BATCH = datetime(2016, 1, 1, tzinfo=UTC)
"""A time before any job was created. A listing of jobs created after it therefore contains every job."""

Item = TypeVar("Item")


def connect(aws: Aws) -> Service:
    """Returns the adapter with these credentials and endpoints. Makes no call to AWS."""
    return Batch(aws)


class Batch:
    """The adapter for Batch jobs. `location` contains ``jobQueue`` and ``jobName``. The run of an array is its parent
    job.
    """

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._children: dict[str, tuple[int, Sequence[Described]]] = {}  # failed children by array, and their number
        self._hours: dict[str, float | None] = {}  # the hours that the children of ended arrays ran

    def submit(self, request: JSON, deadline: Instant) -> Outcome:
        """Calls SubmitJob. The request is transmitted at most once."""
        return submit(
            self._aws,
            SERVICE,
            "submit_job",
            request,
            model=SubmitJobRequest,
            reply_fields=REPLY_FIELDS,
            deadline=deadline,
        )

    def observe(self, runs: Sequence[RunRef]) -> Mapping[str, RunReport | str]:
        """Reports the state of each job, as returned by DescribeJobs. A job that is missing from the reply does not
        exist in AWS."""
        reports: dict[str, RunReport | str] = {}
        for some in _chunks(runs):
            try:
                jobs = _described(self._aws.reader(SERVICE), [run.run_id for run in some])
            except ServiceError as error:
                reports |= {run.token: str(error) for run in some}
            else:
                unknown = RunReport(exists=False)
                failed = self._failed_children(jobs.values())
                hours = {job_id: self._hours_of_children(job) for job_id, job in jobs.items()}
                reports |= {
                    run.token: _report_of(jobs[run.run_id], failed.get(run.run_id), hours[run.run_id])
                    if run.run_id in jobs
                    else unknown
                    for run in some
                }
        return reports

    def find(self, wanted: Sequence[Wanted]) -> Mapping[str, Sequence[str] | str]:
        """Finds jobs by their tag among all jobs of the queue with the job's name, in any state."""
        queues: dict[str, list[Wanted]] = defaultdict(list)
        for want in wanted:
            queues[want.location["jobQueue"]].append(want)
        return merged(each(queues.items(), lambda lookup: self._find_in(*lookup), LISTINGS_AT_ONCE))

    def cancel(self, run: RunRef, reason: str) -> None:
        """Calls TerminateJob, because CancelJob has no effect on a job that is starting or running."""
        with translate_errors("TerminateJob"):
            self._aws.reader(SERVICE).terminate_job(jobId=run.run_id, reason=reason)

    def verify(self, requests: Mapping[str, JSON]) -> Iterator[Verdict]:
        """Checks in AWS the resources that the requests name. Yields the verdicts."""
        from reconciler.aws.verify_batch import BatchVerifier  # noqa: PLC0415 - only `verify` needs it

        yield from BatchVerifier(self._aws).verify(requests)

    def place(self, location: Mapping[str, str]) -> str:
        """Returns the job queue as text for messages."""
        return f"queue {location['jobQueue']}"

    def listed(self, location: Mapping[str, str], since: str | None) -> Sequence[str]:
        """Lists every job of the queue, in any state, with a filter on the creation time. Raises `ServiceError`."""
        moment = BEFORE_BATCH if since is None else parse_time(since)
        by_time = {"name": "AFTER_CREATED_AT", "values": [str(int(moment.timestamp() * 1000))]}
        return list(dict.fromkeys(_listed(self._aws.reader(SERVICE), location["jobQueue"], by_time)))

    def described(self, location: Mapping[str, str], run_ids: Sequence[str]) -> Mapping[str, RunFacts]:
        """Describes jobs with DescribeJobs, whichever queue they are in. Raises `ServiceError`."""
        client = self._aws.reader(SERVICE)
        return {job_id: _facts(job) for some in _chunks(run_ids) for job_id, job in _described(client, some).items()}

    def logs(self, run: RunRef, attempt: int | None) -> RunLogs:
        """Finds the logs of a job with DescribeJobs. For a multi-node job, these are the logs of its main node."""
        client = self._aws.reader(SERVICE)
        job = _described(client, [run.run_id]).get(run.run_id)
        nodes = (job or {}).get("nodeProperties")
        if nodes is not None:
            main = f"{run.run_id}#{nodes.get('mainNode', 0)}"
            job = _described(client, [main]).get(main, job)
        if job is None:
            return RunLogs(missing=FORGOTTEN.format(run_id=run.run_id))
        failed = self._children_page(run.run_id) if batch_runs.failed_children_of(job) else ()
        return logs_of(job, attempt, [child["jobId"] for child in failed])

    def live_page(self, run: RunRef, attempt: int | None) -> str | None:
        """Returns `None`, because AWS Batch has no web page that shows a running application."""
        return None

    def _failed_children(self, jobs: Iterable[Described]) -> dict[str, Sequence[Described]]:
        """Returns the failed children of array jobs, keyed by job id. Reads one page of ListJobs for each array.

        An array is listed again only if more of its children have failed since then, or if their reasons were missing.
        """
        arrays = {
            job["jobId"]: batch_runs.failed_children_of(job) for job in jobs if batch_runs.failed_children_of(job)
        }
        kept = self._children if len(self._children) < MOST_ARRAYS else {}
        self._children = {**kept}
        for job_id, count in arrays.items():
            before, children = self._children.get(job_id, (0, ()))
            if before != count or not any(child.get("statusReason") for child in children):
                with suppress(ServiceError):  # DescribeJobs has already returned the number of failed children
                    self._children[job_id] = (count, self._children_page(job_id))
        return {job_id: self._children[job_id][1] for job_id in arrays if job_id in self._children}

    def _hours_of_children(self, job: Described) -> float | None:
        """Returns how many hours the children of an ended array ran in total, according to ListJobs, or `None` if this
        is not known. An ended array is listed once."""
        counts, job_id = batch_runs.ended_children(job), job["jobId"]
        if counts and job_id not in self._hours:
            self._hours = self._hours if len(self._hours) < MOST_ARRAYS else {}
            call, children = self._aws.reader(SERVICE).list_jobs, dict[str, Described]()
            with suppress(ServiceError):
                for state in counts:
                    query = {"arrayJobId": job_id, "jobStatus": state}
                    for page in pages("ListJobs", call, "jobSummaryList", "jobId", **query):
                        children |= page
            # The hours of an incomplete listing would be too few.
            complete = len(children) == sum(counts.values())
            self._hours[job_id] = batch_runs.hours_of(children.values()) if complete else None
        return self._hours.get(job_id)

    def _children_page(self, job_id: str) -> Sequence[Described]:
        """Returns the first page of the failed children of an array. Raises `ServiceError`."""
        call = self._aws.reader(SERVICE).list_jobs
        query = {"arrayJobId": job_id, "jobStatus": "FAILED"}
        page = next(pages("ListJobs", call, "jobSummaryList", "jobId", **query), {})
        return [child for child in page.values() if child.get("status", "FAILED") == "FAILED"]

    def whole(self, run_ids: Sequence[str], _locations: Sequence[Mapping[str, str]]) -> Mapping[str, FoundRun]:
        """Reads jobs with DescribeJobs, and their definitions with DescribeJobDefinitions. Raises `ServiceError`."""
        client = self._aws.reader(SERVICE)
        by_id = {match["id"]: each for each in run_ids if (match := JOB_ID.fullmatch(each))}
        jobs = {job_id: job for some in _chunks(list(by_id)) for job_id, job in _described(client, some).items()}
        definitions = _definitions(client, sorted({str(job["jobDefinition"]) for job in jobs.values()}))
        return {
            by_id[job_id]: FoundRun(_facts(job), dict(job), definitions.get(str(job["jobDefinition"])))
            for job_id, job in jobs.items()
        }

    def _find_in(self, queue: str, wanted: Sequence[Wanted]) -> Mapping[str, Sequence[str] | str]:
        """Finds jobs in one queue. Lists the whole queue if that takes fewer calls than one listing per name."""
        names: dict[str, list[Wanted]] = defaultdict(list)
        for want in wanted:
            names[want.location["jobName"]].append(want)
        whole: list[str] | None = None
        if len(names) > FEW_NAMES:
            oldest = min(parse_time(want.since) for want in wanted) - BEFORE_INTENT
            with suppress(ServiceError):  # if this fails, each listing by name reports its own error
                whole = _named(self._aws.reader(SERVICE), queue, names.keys(), oldest)
        if whole is not None:
            return self._tagged(wanted, lambda: whole)
        return merged(each(names.items(), lambda lookup: self._lookup(queue, *lookup), LISTINGS_AT_ONCE))

    def _lookup(self, queue: str, name: str, wanted: Sequence[Wanted]) -> Mapping[str, Sequence[str] | str]:
        """Returns, for each wanted submission, the jobs in one queue with one name that have its tag."""
        by_name = {"name": "JOB_NAME", "values": [name]}
        return self._tagged(wanted, lambda: dict.fromkeys(_listed(self._aws.reader(SERVICE), queue, by_name)))

    def _tagged(
        self, wanted: Sequence[Wanted], listed: Callable[[], Iterable[str]]
    ) -> Mapping[str, Sequence[str] | str]:
        """Returns, for each wanted submission, the listed jobs that have its tag, or the error if they could not be
        read."""
        try:
            return answers(wanted, self._tags(list(listed())))
        except ServiceError as error:
            return {want.token: str(error) for want in wanted}

    def _tags(self, job_ids: Sequence[str]) -> dict[str, Tagged]:
        """Returns the tags of jobs, keyed by id. Raises `ServiceError` if any of the jobs could not be read."""
        client = self._aws.reader(SERVICE)
        tags: dict[str, Tagged] = {}
        for some in _chunks(job_ids):
            jobs = _described(client, some)
            for job_id in some:
                if job_id not in jobs:
                    why = f"job {job_id} is listed, but its tags could not be read"
                    raise ServiceError("DescribeJobs", "NotDescribed", why)
                tags[job_id] = Tagged(jobs[job_id].get("tags", {}), _moment(jobs[job_id].get("createdAt")))
        return tags


def _listed(client: Client, queue: str, by: Mapping[str, object]) -> Iterator[str]:
    """Yields the ids of all jobs in a queue that match a filter. With a filter, ListJobs returns jobs in every state.
    The filter on names ignores case, so a job must also be identified by its tag. Raises `ServiceError`.
    """
    for page in pages("ListJobs", client.list_jobs, "jobSummaryList", "jobId", jobQueue=queue, filters=[by]):
        yield from page


def _named(client: Client, queue: str, names: Collection[str], since: datetime) -> list[str] | None:
    """Returns the ids of the jobs in a queue that have one of these names and were created after `since`. Returns
    `None` if the queue has so many jobs that listing them takes more calls than one for each name. Raises
    `ServiceError`."""
    by_time = {"name": "AFTER_CREATED_AT", "values": [str(int(since.timestamp() * 1000))]}
    wanted, ids = {name.lower() for name in names}, dict[str, None]()
    listing = pages("ListJobs", client.list_jobs, "jobSummaryList", "jobId", jobQueue=queue, filters=[by_time])
    for number, page in enumerate(listing, 1):
        if number > len(wanted):
            return None
        # The filter by name, which this replaces, ignores case.
        ids |= {job_id: None for job_id, job in page.items() if str(job.get("jobName")).lower() in wanted}
    return list(ids)


def _described(client: Client, job_ids: Sequence[str]) -> dict[str, Described]:
    """Returns the jobs that exist in AWS, keyed by id. A reply without the list is an error. Raises `ServiceError`."""
    with translate_errors("DescribeJobs"):
        answer = client.describe_jobs(jobs=list(job_ids))
        if "jobs" not in answer:
            raise unexpected_reply("DescribeJobs", "the reply contains no list")
        return {job["jobId"]: job for job in answer["jobs"]}


def _definitions(client: Client, arns: Sequence[str]) -> dict[str, JSON]:
    """Returns the job definitions that can be read, keyed by ARN. Returns none if the permission is missing."""
    definitions: dict[str, JSON] = {}
    with suppress(ServiceError), translate_errors("DescribeJobDefinitions"):
        for some in _chunks(arns):
            answer = client.describe_job_definitions(jobDefinitions=list(some))
            definitions |= {str(each["jobDefinitionArn"]): dict(each) for each in answer.get("jobDefinitions", ())}
    return definitions


def _report_of(
    job: Described, failed_children: Sequence[Described] | None = None, child_hours: float | None = None
) -> RunReport | str:
    word = job.get("status")
    state = batch_runs.STATES.get(str(word))
    if state is None:
        return unknown_state(word, job.get("statusReason"))
    if (
        # Batch has no state for cancelled jobs: it reports FAILED and one of these flags.
        state is RunState.FAILED
        and (job.get("isCancelled") or job.get("isTerminated"))
        and not batch_runs.stopped_by_queue(job)
    ):
        state = RunState.CANCELLED
    elif state is RunState.SUBMITTED and batch_runs.array_has_started(job):
        state = RunState.RUNNING
    unsuccessful = state in {RunState.FAILED, RunState.CANCELLED}
    return RunReport(
        exists=True,
        state=state,
        aws_state=str(word),
        detail=clean(batch_runs.reason_of(job, failed_children)) or None,
        started_at=_text(job.get("startedAt")),
        finished_at=None if state.live else _text(job.get("stoppedAt")),
        usage=batch_runs.usage_of(job, child_hours),
        created_at=_text(job.get("createdAt")),
        definition=clean(job.get("jobDefinition")) or None,
        partial=unsuccessful and not batch_runs.explained(job, failed_children),
    )


def _facts(job: Described) -> RunFacts:
    with translate_errors("DescribeJobs"):
        return RunFacts(
            run_id=job["jobId"],
            name=job.get("jobName"),
            tags=dict(job.get("tags") or {}),
            created_at=_text(job["createdAt"]) or "",
            report=_report_of(job),
        )


def _moment(milliseconds: int | None) -> datetime | None:
    return None if not milliseconds else datetime.fromtimestamp(milliseconds / 1000, UTC)


def _text(milliseconds: int | None) -> str | None:
    moment = _moment(milliseconds)
    return None if moment is None else time_text(moment)


def _chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[start : start + DESCRIBED] for start in range(0, len(items), DESCRIBED))
