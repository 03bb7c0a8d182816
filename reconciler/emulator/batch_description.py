"""AWS Batch: DescribeJobs, and what it says about a job in its own words rather than the request's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from reconciler.emulator import arns
from reconciler.emulator.batch_jobs import Job, job, nodes
from reconciler.emulator.lifecycle import BATCH_ENDED, EXIT_FAILED, EXIT_TIMEOUT, Step, children, current, so_far
from reconciler.emulator.operations import Context, Params
from reconciler.emulator.records import Run
from reconciler.emulator.wire import Invalid

MAX_DESCRIBED = 100
"""Ids in one DescribeJobs; from the API reference."""
_STATES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
_IMAGE = "emulator/no-image"
_EMPTY_LISTS = ("volumes", "mountPoints", "ulimits", "networkInterfaces", "secrets")
_EXIT_KILLED = 137


def describe_jobs(params: Params, context: Context) -> Params:
    """The jobs, children and nodes with these ids, as far as they are known; the others are simply absent."""
    if len(params["jobs"]) > MAX_DESCRIBED:
        raise Invalid(f"jobs: must have at most {MAX_DESCRIBED} items")
    found = [job(context.records, job_id, context.now) for job_id in dict.fromkeys(params["jobs"])]
    return {"jobs": [_detail(each, context) for each in found if each is not None]}


def progress(described: Job, now: float) -> Params:
    """State and times of a job at `now`, as listings and descriptions both have them."""
    steps = so_far(described.timeline, now)
    last = steps[-1]
    ended = last.state in BATCH_ENDED
    started = [step.at for step in steps if step.state == "RUNNING"]
    return {
        "createdAt": milliseconds(described.run.facts.accepted_at),
        "startedAt": milliseconds(started[-1]) if started else None,
        "stoppedAt": milliseconds(last.at) if ended else None,
        "status": last.state,
        "statusReason": last.detail or None,
        "isCancelled": last.by == "cancel",
        "isTerminated": last.by == "terminate",
    }


def array_properties(described: Job, now: float) -> Params | None:
    """Of a parent: its size and how many children are in each state. Of a child: its index."""
    facts = described.run.facts
    if described.child is not None:
        return {"index": described.child}
    if not facts.array:
        return None
    counts: Counter[str] = Counter()
    for count, timeline in children(facts):
        counts[current(timeline, now).state] += count
    return {
        "size": facts.array,
        "statusSummary": {state: counts[state] for state in _STATES},
        "statusSummaryLastUpdatedAt": milliseconds(current(described.timeline, now).at),
    }


def milliseconds(seconds: float) -> int:
    """Batch's times."""
    return round(seconds * 1000)


def _detail(described: Job, context: Context) -> Params:
    run, request = described.run, described.run.request
    steps = so_far(described.timeline, context.now)
    return {
        "jobArn": arns.job(context.settings, described.id),
        "jobName": run.name,
        "jobId": described.id,
        "jobQueue": arns.queue(context.settings, request["jobQueue"]),
        "jobDefinition": arns.definition(context.settings, request["jobDefinition"]),
        "shareIdentifier": request.get("shareIdentifier"),
        "schedulingPriority": request.get("schedulingPriorityOverride"),
        "dependsOn": request.get("dependsOn", []),
        "parameters": request.get("parameters", {}),
        "tags": run.tags if described.child is None and described.node is None else {},
        "propagateTags": request.get("propagateTags", False),
        "platformCapabilities": [],
        "retryStrategy": _retry_strategy(request),
        "timeout": request.get("timeout"),
        "attempts": _attempts(steps),
        "eksAttempts": [],
        "arrayProperties": array_properties(described, context.now),
        "consumableResourceProperties": request.get("consumableResourcePropertiesOverride"),
        **progress(described, context.now),
        **_workload(described, steps),
    }


def _retry_strategy(request: Params) -> Params:
    """Batch writes the actions in lower case."""
    retry = request.get("retryStrategy", {})
    rules = [{**rule, "action": rule["action"].lower()} for rule in retry.get("evaluateOnExit", [])]
    return {"attempts": retry.get("attempts", 1), "evaluateOnExit": rules}


def _attempts(steps: Sequence[Step]) -> list[Params]:
    """The attempts that are over, one for each time the job reached RUNNING and left it."""
    found = []
    for step, after in pairwise(steps):
        if step.state == "RUNNING":
            reason = after.detail or EXIT_FAILED
            container = {"exitCode": _exit_code(after), "networkInterfaces": []}
            times = {"startedAt": milliseconds(step.at), "stoppedAt": milliseconds(after.at)}
            found.append({"container": container, **times, "statusReason": reason})
    return found


def _exit_code(after: Step) -> int:
    if after.state == "SUCCEEDED":
        return 0
    return _EXIT_KILLED if after.by or after.detail == EXIT_TIMEOUT else 1


def _workload(described: Job, steps: Sequence[Step]) -> Params:
    """What runs: on EKS, as an ECS task, on several nodes, or (else) as one container."""
    request = described.run.request
    if nodes(described.run):
        return _multi_node(described, steps)
    if "eksPropertiesOverride" in request:
        return {"eksProperties": request["eksPropertiesOverride"]}
    if "ecsPropertiesOverride" in request:
        return {"ecsProperties": request["ecsPropertiesOverride"]}
    return {"container": _container(request.get("containerOverrides", {}), steps)}


def _container(overrides: Params, steps: Sequence[Step]) -> Params:
    ended = steps[-1].state in BATCH_ENDED and any(step.state == "RUNNING" for step in steps)
    return {
        "image": _IMAGE,
        "command": [],
        "environment": [],
        "resourceRequirements": [],
        **{name: [] for name in _EMPTY_LISTS},
        **overrides,
        "exitCode": _exit_code(steps[-1]) if ended else None,
    }


def _multi_node(described: Job, steps: Sequence[Step]) -> Params:
    if described.node is None:
        return {"nodeProperties": _node_properties(described.run)}
    overrides = described.run.request["nodeOverrides"].get("nodePropertyOverrides", [])
    own: Params = next((each for each in overrides if _is_for(each["targetNodes"], described.node)), {})
    node = {"nodeIndex": described.node, "isMainNode": described.node == 0}
    return {"nodeDetails": node, "container": _container(own.get("containerOverrides", {}), steps)}


def _is_for(target: str, node: int) -> bool:
    """Whether ``3``, ``0:3``, ``:3`` or ``2:`` (people write ``0,n``, too) holds a node."""
    first, separator, last = target.replace(",", ":").partition(":")
    if not separator:
        return first == str(node)
    return (int(first) if first.isdigit() else 0) <= node and (not last.isdigit() or node <= int(last))


def _node_properties(run: Run) -> Params:
    ranges = []
    for node in run.request["nodeOverrides"].get("nodePropertyOverrides", []):
        shown = {"targetNodes": node["targetNodes"], "instanceTypes": node.get("instanceTypes")}
        ranges.append({**shown, "container": {"image": _IMAGE, **node.get("containerOverrides", {})}})
    return {"numNodes": nodes(run), "mainNode": 0, "nodeRangeProperties": ranges}
