"""AWS Batch: ListJobs, of a queue, of an array's children, of a multi-node job's nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from reconciler.emulator import arns
from reconciler.emulator.batch_description import array_properties, progress
from reconciler.emulator.batch_jobs import Job, known_job, nodes
from reconciler.emulator.lifecycle import BATCH_ENDED, current
from reconciler.emulator.operations import Context, Params
from reconciler.emulator.paging import page, position
from reconciler.emulator.records import BATCH
from reconciler.emulator.search import Search
from reconciler.emulator.wire import Invalid

MAX_PAGE = 1000
MAX_FILTERED_PAGE = 100
"""The most that ListJobs gives at once, without and with a filter; from the API reference."""
DEFAULT_STATUS = "RUNNING"
_WHERE = ("jobQueue", "arrayJobId", "multiNodeJobId")


def list_jobs(params: Params, context: Context) -> Params:
    """A page of summaries, without tags: newest first of a queue (no array children), in order of an array or nodes."""
    given = [name for name in _WHERE if params.get(name)]
    if len(given) != 1:
        raise Invalid(f"exactly one of {', '.join(_WHERE)} must be given")
    if params.get("maxResults", 1) < 1:
        raise Invalid("maxResults: must be at least 1")
    if given == ["jobQueue"]:
        return _of_queue(params, context)
    if params.get("filters"):
        raise Invalid("filters: go with jobQueue only")
    return _of_parent(params, context, children=given == ["arrayJobId"])


def _of_queue(params: Params, context: Context) -> Params:
    queue = arns.name(params["jobQueue"])
    known = context.settings.queues
    if known is not None and queue not in known:
        raise Invalid(f"Job queue {queue} does not exist")
    filtered = _filter(params.get("filters", []))
    by_state = not filtered or set(filtered) == {"share"}
    status = params.get("jobStatus", DEFAULT_STATUS).upper() if by_state else ""
    search = Search(
        service=BATCH,
        place=queue,
        states=frozenset({status} if status else ()),
        before=position(params.get("nextToken")),
        **filtered,
    )
    jobs = (Job(run) for run in context.records.search(search, context.now))
    wanted = (job for job in jobs if not status or current(job.timeline, context.now).state == status)
    limit = MAX_FILTERED_PAGE if filtered else MAX_PAGE
    found, token = page(wanted, min(params.get("maxResults", limit), limit), lambda job: job.run.seq)
    return {"jobSummaryList": [_summary(job, context) for job in found], "nextToken": token}


def _of_parent(params: Params, context: Context, *, children: bool) -> Params:
    parent = known_job(params["arrayJobId" if children else "multiNodeJobId"], context)
    after = position(params.get("nextToken"))
    start = 0 if after is None else after + 1
    status = params.get("jobStatus", DEFAULT_STATUS).upper()
    if children:
        jobs: Iterable[Job] = (Job(parent.run, child=index) for index in range(start, parent.run.facts.array))
        wanted = (job for job in jobs if current(job.timeline, context.now).state == status)
    else:
        alive = current(parent.timeline, context.now).state == status
        wanted = (Job(parent.run, node=index) for index in range(start, nodes(parent.run) if alive else start))
    limit = min(params.get("maxResults", MAX_PAGE), MAX_PAGE)
    found, token = page(wanted, limit, lambda job: (job.child if children else job.node) or 0)
    return {"jobSummaryList": [_summary(job, context) for job in found], "nextToken": token}


def _filter(filters: list[Params]) -> Params:
    """The one filter, as fields of a `Search`; empty for none."""
    if not filters:
        return {}
    if len(filters) > 1:
        raise Invalid("filters: only one filter can be used at a time")
    name, values = filters[0].get("name", ""), filters[0].get("values", [])
    if name not in _FILTERS:
        raise Invalid(f"filters[0].name: must be one of {', '.join(_FILTERS)}")
    if len(values) != 1 or not values[0]:
        raise Invalid("filters[0].values: must be one value")
    return _FILTERS[name](values[0])


def _by_name(value: str) -> Params:
    return {"name": value.removesuffix("*"), "name_prefix": value.endswith("*")}


def _by_definition(value: str) -> Params:
    return {"definition": arns.name(value)}


def _by_share(value: str) -> Params:
    return {"share": value}


def _seconds(value: str) -> float:
    if not value.isdecimal():
        raise Invalid("filters[0].values: must be a time in milliseconds since 1970-01-01")
    return int(value) / 1000


_FILTERS: Mapping[str, Callable[[str], Params]] = {
    "JOB_NAME": _by_name,
    "JOB_DEFINITION": _by_definition,
    "BEFORE_CREATED_AT": lambda value: {"accepted_before": _seconds(value)},
    "AFTER_CREATED_AT": lambda value: {"accepted_after": _seconds(value)},
    "SHARE_IDENTIFIER": _by_share,
}


def _summary(job: Job, context: Context) -> Params:
    summary = {
        "jobArn": arns.job(context.settings, job.id),
        "jobId": job.id,
        "jobName": job.run.name,
        "jobDefinition": arns.definition(context.settings, job.run.request["jobDefinition"]),
        "shareIdentifier": job.run.request.get("shareIdentifier"),
        "arrayProperties": array_properties(job, context.now),
        **progress(job, context.now),
    }
    if nodes(job.run):
        summary["nodeProperties"] = {"numNodes": nodes(job.run), "isMainNode": job.node == 0, "nodeIndex": job.node}
    if summary["status"] in BATCH_ENDED and summary["startedAt"] is not None:
        summary["container"] = {"exitCode": 0 if summary["status"] == "SUCCEEDED" else 1}
    return summary
