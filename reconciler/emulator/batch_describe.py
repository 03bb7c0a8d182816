"""Implements DescribeJobs and ListJobs of AWS Batch, with the field names and values of AWS's replies."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import pairwise

from reconciler.emulator import resources
from reconciler.emulator.batch_jobs import Job, count_nodes, find_job, require_job
from reconciler.emulator.lifecycle import BATCH_ENDED, EXIT_FAILED, EXIT_TIMEOUT, Step, children, current, steps_until
from reconciler.emulator.operations import Context, Invalid, Params, page, position_after
from reconciler.emulator.records import BATCH, Run, Search
from reconciler.emulator.settings import Report

MAX_DESCRIBED = 100
"""The maximum number of ids in one DescribeJobs call, from the API reference."""
MAX_PAGE = 1000
MAX_FILTERED_PAGE = 100
"""The maximum page size of ListJobs without a filter and with one, from the API reference."""
_LISTED_BY = ("jobQueue", "arrayJobId", "multiNodeJobId")
_STATES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
_IMAGE = "emulator/no-image"
_EMPTY_LISTS = ("volumes", "mountPoints", "ulimits", "networkInterfaces", "secrets")
_EXIT_KILLED = 137


def describe_jobs(params: Params, context: Context) -> Params:
    """Describes the jobs, children and nodes with these ids. The reply does not contain unknown ids."""
    if len(params["jobs"]) > MAX_DESCRIBED:
        raise Invalid(f"jobs: must have at most {MAX_DESCRIBED} items")
    jobs = [find_job(context.records, job_id, context.now) for job_id in dict.fromkeys(params["jobs"])]
    return {"jobs": [_detail(job, context) for job in jobs if job is not None]}


def _detail(job: Job, context: Context) -> Params:
    run, request = job.run, job.run.request
    steps = steps_until(job.timeline, context.now)
    eks, late = "eksPropertiesOverride" in request, _is_late(job, steps, context.now)
    return {
        "jobArn": resources.job_arn(context.settings, job.id),
        "jobName": run.name,
        "jobId": job.id,
        "jobQueue": resources.queue_arn(context.settings, request["jobQueue"]),
        "jobDefinition": resources.definition_arn(context.settings, request["jobDefinition"]),
        "shareIdentifier": request.get("shareIdentifier"),
        "schedulingPriority": request.get("schedulingPriorityOverride"),
        "dependsOn": request.get("dependsOn", []),
        "parameters": request.get("parameters", {}),
        "tags": run.tags if job.child is None and job.node is None else {},
        "propagateTags": request.get("propagateTags", False),
        "platformCapabilities": [],
        "retryStrategy": _retry_strategy(request),
        "timeout": request.get("timeout"),
        "attempts": [] if eks else _attempts(job, steps),
        "eksAttempts": _eks_attempts(job, steps) if eks and not late else [],
        "arrayProperties": _array_properties(job, context.now),
        "consumableResourceProperties": request.get("consumableResourcePropertiesOverride"),
        **_progress(job, steps, context.now),
        **_workload(job, steps[:-1] if late and len(steps) > 1 else steps),
    }


def _is_late(job: Job, steps: Sequence[Step], now: float) -> bool:
    """Returns whether the reason and the exit codes of the current state are not reported yet."""
    return now - steps[-1].at < job.run.facts.report.late_seconds


def _progress(job: Job, steps: Sequence[Step], now: float) -> Params:
    """Returns the state and times, which DescribeJobs and ListJobs both return."""
    last = steps[-1]
    started = [step.at for step in steps if step.state == "RUNNING"]
    return {
        "createdAt": _milliseconds(job.run.facts.accepted_at),
        "startedAt": _milliseconds(started[-1]) if started else None,
        "stoppedAt": _milliseconds(last.at) if last.state in BATCH_ENDED else None,
        "status": last.state,
        "statusReason": None if _is_late(job, steps, now) else last.detail or None,
        "isCancelled": last.by == "cancel",
        "isTerminated": last.by == "terminate",
    }


def _array_properties(job: Job, now: float) -> Params | None:
    """Returns the size of a parent and the number of its children in each state, or the index of a child."""
    facts = job.run.facts
    if job.child is not None:
        return {"index": job.child}
    if not facts.array:
        return None
    counts: Counter[str] = Counter()
    for count, timeline in children(facts):
        counts[current(timeline, now).state] += count
    return {
        "size": facts.array,
        "statusSummary": {state: counts[state] for state in _STATES},
        "statusSummaryLastUpdatedAt": _milliseconds(current(job.timeline, now).at),
    }


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)  # the unit of Batch's times


def _retry_strategy(request: Params) -> Params:
    retry = request.get("retryStrategy", {})
    # AWS Batch returns actions in lower case, however they were sent.
    rules = [{**rule, "action": rule["action"].lower()} for rule in retry.get("evaluateOnExit", [])]
    return {"attempts": retry.get("attempts", 1), "evaluateOnExit": rules}


def _attempts(job: Job, steps: Sequence[Step]) -> list[Params]:
    """Returns the ended attempts: one for each time that the job reached RUNNING and then left that state."""
    attempts: list[Params] = []
    for step, after in pairwise(steps):
        if step.state == "RUNNING":
            stream = _log_stream(job, len(attempts) + 1)
            container = {**_end(after, job.run.facts.report), "logStreamName": stream, "networkInterfaces": []}
            times = {"startedAt": _milliseconds(step.at), "stoppedAt": _milliseconds(after.at)}
            attempts.append({"container": container, **times, "statusReason": after.detail or EXIT_FAILED})
    return attempts


def _log_stream(job: Job, attempt: int) -> str:
    """Returns the name of an attempt's log stream: job definition, container, and a task id derived from the job. The
    emulator writes no logs; only tests do.
    """
    definition = resources.short_name(job.run.request["jobDefinition"]).partition(":")[0]
    return f"{definition}/default/{sha256(f'{job.id} {attempt}'.encode()).hexdigest()[:32]}"


def _end(after: Step, report: Report) -> Params:
    """Returns the exit code of a container, and its reason if it failed by itself. `after` is the step that followed
    the container's run."""
    if after.state == "SUCCEEDED":
        return {"exitCode": 0}
    if after.by or after.detail == EXIT_TIMEOUT:
        return {"exitCode": _EXIT_KILLED}
    return {"exitCode": report.exit_code, "reason": report.reason or None}


def _eks_attempts(job: Job, steps: Sequence[Step]) -> list[Params]:
    """Returns the ended attempts of a job on EKS, each with its pod and its containers."""
    pod = job.run.request["eksPropertiesOverride"].get("podProperties", {})
    names = [container.get("name", "default") for container in pod.get("containers", [])] or ["default"]
    attempts = []
    for number, (step, after) in enumerate(pairwise(steps)):
        if step.state == "RUNNING":
            first, *others = names
            ends = [{"name": first, **_end(after, job.run.facts.report)}, *({"name": each} for each in others)]
            times = {"startedAt": _milliseconds(step.at), "stoppedAt": _milliseconds(after.at)}
            reason = {"statusReason": job.run.facts.report.reason or after.detail or None}
            attempts.append({"podName": f"aws-batch.{job.run.id}.{number}", "containers": ends, **times, **reason})
    return attempts


def _workload(job: Job, steps: Sequence[Step]) -> Params:
    """Returns the workload: several nodes, EKS, an ECS task, or (by default) one container."""
    request = job.run.request
    if count_nodes(job.run):
        return _multi_node(job, steps)
    if "eksPropertiesOverride" in request:
        return {"eksProperties": request["eksPropertiesOverride"]}
    if "ecsPropertiesOverride" in request:
        return {"ecsProperties": _tasks(request["ecsPropertiesOverride"], steps, job.run.facts.report)}
    return {"container": _container(job, request.get("containerOverrides", {}), steps)}


def _tasks(overrides: Params, steps: Sequence[Step], report: Report) -> Params:
    """Returns the tasks of a job with several containers. The first container determines how the job ends; the others
    succeed."""
    ended = _has_run(steps)
    tasks = []
    for task in overrides.get("taskProperties", []):
        ends = [_end(steps[-1], report) if index == 0 else {"exitCode": 0} for index in range(len(task["containers"]))]
        containers = [
            {**container, **(end if ended else {})} for container, end in zip(task["containers"], ends, strict=True)
        ]
        tasks.append({**task, "containers": containers})
    return {"taskProperties": tasks}


def _has_run(steps: Sequence[Step]) -> bool:
    return steps[-1].state in BATCH_ENDED and any(step.state == "RUNNING" for step in steps)


def _container(job: Job, overrides: Params, steps: Sequence[Step]) -> Params:
    attempt = sum(step.state == "RUNNING" for step in steps)
    return {
        "image": _IMAGE,
        "command": [],
        "environment": [],
        "resourceRequirements": [],
        **{name: [] for name in _EMPTY_LISTS},
        **overrides,
        **(_end(steps[-1], job.run.facts.report) if _has_run(steps) else {}),
        "logStreamName": _log_stream(job, attempt) if attempt else None,
    }


def _multi_node(job: Job, steps: Sequence[Step]) -> Params:
    if job.node is None:
        return {"nodeProperties": _node_properties(job.run)}
    overrides = job.run.request["nodeOverrides"].get("nodePropertyOverrides", [])
    own: Params = next((each for each in overrides if _targets(each["targetNodes"], job.node)), {})
    node = {"nodeIndex": job.node, "isMainNode": job.node == 0}
    return {"nodeDetails": node, "container": _container(job, own.get("containerOverrides", {}), steps)}


def _targets(target: str, node: int) -> bool:
    """Returns whether a target such as ``3``, ``0:3``, ``:3`` or ``2:`` contains a node. ``0,n`` is also accepted."""
    first, separator, last = target.replace(",", ":").partition(":")
    if not separator:
        return first == str(node)
    return (int(first) if first.isdigit() else 0) <= node and (not last.isdigit() or node <= int(last))


def _node_properties(run: Run) -> Params:
    ranges = []
    for node in run.request["nodeOverrides"].get("nodePropertyOverrides", []):
        container = {"image": _IMAGE, **node.get("containerOverrides", {})}
        instances = node.get("instanceTypes")
        ranges.append({"targetNodes": node["targetNodes"], "instanceTypes": instances, "container": container})
    return {"numNodes": count_nodes(run), "mainNode": 0, "nodeRangeProperties": ranges}


# --- ListJobs ---------------------------------------------------------------------------------------------------------


def list_jobs(params: Params, context: Context) -> Params:
    """Returns a page of summaries without tags. The jobs of a queue are listed newest first, without array children.
    The children of an array and the nodes of a multi-node job are listed by index.
    """
    listed_by = [name for name in _LISTED_BY if params.get(name)]
    if len(listed_by) != 1:
        raise Invalid(f"exactly one of {', '.join(_LISTED_BY)} must be given")
    if params.get("maxResults", 1) < 1:
        raise Invalid("maxResults: must be at least 1")
    if listed_by == ["jobQueue"]:
        return _list_queue(params, context)
    if params.get("filters"):
        raise Invalid("filters: need jobQueue")
    return _list_parts(params, context)


def _list_queue(params: Params, context: Context) -> Params:
    queue = resources.short_name(params["jobQueue"])
    resources.require_queue(queue, context.settings)
    restriction = _restriction(params.get("filters", []))
    # Every filter but SHARE_IDENTIFIER returns jobs of any status and ignores jobStatus.
    status = _status(params) if not restriction or "share" in restriction else ""
    states = frozenset({status} if status else ())
    search = Search(service=BATCH, scope=queue, states=states, before=position_after(params), **restriction)
    jobs = (Job(run) for run in context.records.search(search, context.now))
    matching = (job for job in jobs if not status or current(job.timeline, context.now).state == status)
    limit = MAX_FILTERED_PAGE if restriction else MAX_PAGE
    selected, token = page(matching, min(params.get("maxResults", limit), limit), lambda job: job.run.seq)
    return {"jobSummaryList": [_summary(job, context) for job in selected], "nextToken": token}


def _list_parts(params: Params, context: Context) -> Params:
    """Lists the children of an array, or the nodes of a multi-node job."""
    by_array = bool(params.get("arrayJobId"))
    parent = require_job(params["arrayJobId" if by_array else "multiNodeJobId"], context)
    after = position_after(params)
    indexes = range(0 if after is None else after + 1, parent.run.facts.array if by_array else count_nodes(parent.run))
    parts: Iterator[Job] = (
        Job(parent.run, child=index) if by_array else Job(parent.run, node=index) for index in indexes
    )
    matching = (job for job in parts if current(job.timeline, context.now).state == _status(params))
    limit = min(params.get("maxResults", MAX_PAGE), MAX_PAGE)
    selected, token = page(matching, limit, lambda job: (job.child if by_array else job.node) or 0)
    return {"jobSummaryList": [_summary(job, context) for job in selected], "nextToken": token}


def _status(params: Params) -> str:
    return str(params.get("jobStatus", "RUNNING")).upper()


def _restriction(filters: list[Params]) -> Params:
    """Converts the only filter to fields of a `Search`. Returns no fields if there is no filter."""
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


def _seconds(value: str) -> float:
    if not value.isdecimal():
        raise Invalid("filters[0].values: must be a time in milliseconds since 1970-01-01")
    return int(value) / 1000


_FILTERS: Mapping[str, Callable[[str], Params]] = {
    "JOB_NAME": lambda value: {"name": value.removesuffix("*"), "name_prefix": value.endswith("*")},
    "JOB_DEFINITION": lambda value: {"definition": resources.short_name(value)},
    "BEFORE_CREATED_AT": lambda value: {"accepted_before": _seconds(value)},
    "AFTER_CREATED_AT": lambda value: {"accepted_after": _seconds(value)},
    "SHARE_IDENTIFIER": lambda value: {"share": value},
}


def _summary(job: Job, context: Context) -> Params:
    nodes = count_nodes(job.run)
    summary = {
        "jobArn": resources.job_arn(context.settings, job.id),
        "jobId": job.id,
        "jobName": job.run.name,
        "jobDefinition": resources.definition_arn(context.settings, job.run.request["jobDefinition"]),
        "shareIdentifier": job.run.request.get("shareIdentifier"),
        "arrayProperties": _array_properties(job, context.now),
        **_progress(job, steps_until(job.timeline, context.now), context.now),
    }
    if nodes:
        summary["nodeProperties"] = {"numNodes": nodes, "isMainNode": job.node == 0, "nodeIndex": job.node}
    if summary["status"] in BATCH_ENDED and summary["startedAt"] is not None:
        summary["container"] = _end(current(job.timeline, context.now), job.run.facts.report)
    return summary
