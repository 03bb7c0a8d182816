"""Implements AWS Batch jobs: SubmitJob and its limits, lookups by id, dependencies between jobs, CancelJob,
TerminateJob."""

import dataclasses
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from reconciler.emulator import lifecycle, resources
from reconciler.emulator.operations import Context, Invalid, Missing, Params
from reconciler.emulator.records import BATCH, Records, Run
from reconciler.emulator.settings import NO_REPORT

MAX_REQUEST_BYTES = 30 * 1024
MAX_DEPENDENCIES = 20
MAX_EVALUATIONS = 5
MAX_PATTERN = 512
_EXIT_CODE = re.compile(r"[0-9]*\*?")
_TARGET = re.compile(r"([0-9]*)([:,])?([0-9n]*)")


def submit_job(params: Params, context: Context) -> Params:
    """Accepts a job. Batch has no client token, so every accepted call starts a new job."""
    resources.require_queue(params["jobQueue"], context.settings)
    resources.require_definition(params["jobDefinition"], context.settings)
    run = Run(
        service=BATCH,
        id=str(uuid.uuid4()),
        scope=resources.short_name(params["jobQueue"]),
        name=params["jobName"],
        request=params,
        facts=_facts(params, context),
        tags=params.get("tags", {}),
        definition=resources.short_name(resources.definition_arn(context.settings, params["jobDefinition"])),
        share=params.get("shareIdentifier", ""),
    )
    context.records.add(with_dependencies(context.records, run))
    return {"jobArn": resources.job_arn(context.settings, run.id), "jobName": run.name, "jobId": run.id}


def _facts(params: Params, context: Context) -> lifecycle.Facts:
    name, settings = params["jobName"], context.settings
    retry = params.get("retryStrategy", {})
    report = settings.reports.get(name, NO_REPORT)
    return lifecycle.Facts(
        accepted_at=context.now,
        start_seconds=report.starts_after(settings.start_seconds),
        report=report,
        run_seconds=settings.durations.get(name, settings.run_seconds),
        stop_seconds=settings.stop_seconds,
        fails=settings.outcomes.get(name, settings.outcome) == "failed",
        attempts=retry.get("attempts", 1) if _retries_failure(retry) else 1,
        timeout_seconds=params.get("timeout", {}).get("attemptDurationSeconds"),
        array=params.get("arrayProperties", {}).get("size", 0),
        sequential=any(need.get("type", "").upper() == "SEQUENTIAL" for need in params.get("dependsOn", [])),
    )


def _retries_failure(retry: Params) -> bool:
    """Returns whether a job that ends with exit code 1 is retried. The first rule whose conditions all match decides.
    If no rule matches, the job is retried.
    """
    exit_values = {"onStatusReason": lifecycle.EXIT_FAILED, "onReason": "", "onExitCode": "1"}
    for rule in retry.get("evaluateOnExit", []):
        if all(_matches(rule[name], value) for name, value in exit_values.items() if name in rule):
            return bool(rule["action"].upper() == "RETRY")
    return True


def _matches(pattern: str, value: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


# --- limits -----------------------------------------------------------------------------------------------------------


def submit_job_problems(params: Params) -> Iterator[str]:
    """Yields every problem that botocore's model does not detect in a SubmitJob request."""
    for check in (_scalars, _array, _dependencies, _retries, _containers, _nodes, _pods):
        yield from check(params)
    size = len(json.dumps(params, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass"))
    if size > MAX_REQUEST_BYTES:
        yield f"request: is {size} bytes, at most {MAX_REQUEST_BYTES}"


def _scalars(params: Params) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", params["jobName"]):
        yield "jobName: must be up to 128 letters, digits, - and _, beginning with a letter or a digit"
    for name in ("jobQueue", "jobDefinition"):
        if not params[name]:
            yield f"{name}: must not be empty"
    if len(params.get("shareIdentifier", "")) > 255:
        yield "shareIdentifier: must be up to 255 characters"
    if not 0 <= params.get("schedulingPriorityOverride", 0) <= 9999:
        yield "schedulingPriorityOverride: must be between 0 and 9999"
    if params.get("timeout", {}).get("attemptDurationSeconds", 60) < 60:
        yield "timeout.attemptDurationSeconds: must be at least 60"
    for key, value in params.get("tags", {}).items():
        if key.lower().startswith("aws:") or value.lower().startswith("aws:"):
            yield "tags: keys and values must not start with aws:"


def _array(params: Params) -> Iterator[str]:
    size = params.get("arrayProperties", {}).get("size")
    if size is not None and not 2 <= size <= 10000:
        yield "arrayProperties.size: must be between 2 and 10000"
    if size is not None and "nodeOverrides" in params:
        yield "nodeOverrides: an array job cannot be a multi-node job"


def _dependencies(params: Params) -> Iterator[str]:
    needs = params.get("dependsOn", [])
    if len(needs) > MAX_DEPENDENCIES:
        yield f"dependsOn: must have at most {MAX_DEPENDENCIES} items"
    is_array = "size" in params.get("arrayProperties", {})
    for index, need in enumerate(needs):
        kind = need.get("type", "").upper()
        if kind == "SEQUENTIAL" and not is_array and not need.get("jobId"):
            yield f"dependsOn[{index}].type: SEQUENTIAL is for array jobs"
        if kind != "SEQUENTIAL" and not need.get("jobId"):
            yield f"dependsOn[{index}].jobId: is required"


def _retries(params: Params) -> Iterator[str]:
    retry = params.get("retryStrategy", {})
    rules = retry.get("evaluateOnExit", [])
    if not 1 <= retry.get("attempts", 1) <= 10:
        yield "retryStrategy.attempts: must be between 1 and 10"
    if rules and "attempts" not in retry:
        yield "retryStrategy.attempts: is required with evaluateOnExit"
    if len(rules) > MAX_EVALUATIONS:
        yield f"retryStrategy.evaluateOnExit: must have at most {MAX_EVALUATIONS} items"
    for index, rule in enumerate(rules):
        location = f"retryStrategy.evaluateOnExit[{index}]"
        if not _EXIT_CODE.fullmatch(rule.get("onExitCode", "")):
            yield f"{location}.onExitCode: must be digits, with an optional * at the end"
        for name in ("onReason", "onStatusReason", "onExitCode"):
            if len(rule.get(name, "")) > MAX_PATTERN:
                yield f"{location}.{name}: must be up to {MAX_PATTERN} characters"


def _containers(params: Params) -> Iterator[str]:
    tasks = params.get("ecsPropertiesOverride", {}).get("taskProperties", [])
    if len(tasks) > 1:
        yield "ecsPropertiesOverride.taskProperties: must have one item"
    containers = [("containerOverrides", params.get("containerOverrides", {}))]
    for task in tasks:
        containers += [("ecsPropertiesOverride", container) for container in task.get("containers", [])]
    for node in params.get("nodeOverrides", {}).get("nodePropertyOverrides", []):
        containers.append(("nodeOverrides", node.get("containerOverrides", {})))
    for location, container in containers:
        yield from _container(location, container)


def _container(location: str, container: Params) -> Iterator[str]:
    if "" in container.get("command", []):
        yield f"{location}.command: must not contain an empty string"
    for need in container.get("resourceRequirements", []):
        kind, value = need["type"].upper(), need["value"]
        allowed = r"[1-9][0-9]*(\.[0-9]+)?|0?\.[0-9]+" if kind == "VCPU" else "[1-9][0-9]*"
        if not re.fullmatch(allowed, value):
            yield f"{location}.resourceRequirements: {kind} must be a positive number"


def _nodes(params: Params) -> Iterator[str]:
    for node in params.get("nodeOverrides", {}).get("nodePropertyOverrides", []):
        match = _TARGET.fullmatch(node["targetNodes"])
        first, last = (match[1], match[3]) if match else ("", "")
        if match is None or (first.isdigit() and last.isdigit() and int(first) > int(last)):
            yield "nodeOverrides.nodePropertyOverrides.targetNodes: must be a node index or a range such as 0:3"


def _pods(params: Params) -> Iterator[str]:
    metadata = params.get("eksPropertiesOverride", {}).get("podProperties", {}).get("metadata", {})
    namespace = metadata.get("namespace")
    if namespace is None:
        return
    if namespace == "default" or not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", namespace):
        yield "eksPropertiesOverride.podProperties.metadata.namespace: must be a namespace name other than default"


MAX_REASON = 1024
_DEFAULT_NODES = 2
"""The number of nodes of a multi-node request without `numNodes`; in AWS, its job definition sets the number."""


@dataclass(frozen=True, slots=True)
class Job:
    """The job with a Batch id: a whole run, one of its children (``id:3``), or one of its nodes (``id#0``)."""

    run: Run
    child: int | None = None
    node: int | None = None

    @property
    def id(self) -> str:
        """The id as Batch writes it."""
        if self.child is not None:
            return f"{self.run.id}:{self.child}"
        return self.run.id if self.node is None else f"{self.run.id}#{self.node}"

    @property
    def timeline(self) -> lifecycle.Timeline:
        """Every state that this job has had and will have. Nodes start and end together."""
        return self.run.timeline() if self.child is None else lifecycle.child_timeline(self.run.facts, self.child)


def find_job(records: Records, job_id: str, now: float | None) -> Job | None:
    """Returns the job with an id, if it can be looked up at `now`. If `now` is `None`, expired jobs are found too."""
    match = re.fullmatch(r"([^:#]+)(?:([:#])([0-9]{1,5}))?", job_id)
    run = records.run(match[1], now) if match else None
    if match is None or run is None or run.service != BATCH:
        return None
    if match[2] is None:
        return Job(run)
    index = int(match[3])
    if match[2] == ":":
        return Job(run, child=index) if index < run.facts.array else None
    return Job(run, node=index) if index < count_nodes(run) else None


def require_job(job_id: str, context: Context) -> Job:
    """Returns the job with an id. Raises `Missing` if it does not exist."""
    job = find_job(context.records, job_id, context.now)
    if job is None:
        raise Missing(f"Job {job_id} does not exist")
    return job


def count_nodes(run: Run) -> int:
    """Returns the number of nodes of a job, or 0 if it is not multi-node."""
    overrides = run.request.get("nodeOverrides")
    if overrides is None:
        return 0
    targets = [node["targetNodes"] for node in overrides.get("nodePropertyOverrides", [])]
    named = [int(number) for target in targets for number in re.findall(r"[0-9]{1,9}", target)]
    return int(overrides.get("numNodes") or max([_DEFAULT_NODES, *(number + 1 for number in named)]))


def _needed_ids(request: Params) -> list[str]:
    return [need["jobId"] for need in request.get("dependsOn", []) if need.get("jobId")]


def with_dependencies(records: Records, run: Run) -> Run:
    """Records the dependencies of a new run, and returns the run with their state in its facts."""
    needed = _needed_ids(run.request)
    records.add_dependencies(run.id, [re.split("[:#]", job_id)[0] for job_id in needed])
    return _after_dependencies(records, run) if needed else run


def update_dependents(records: Records, run: Run) -> None:
    """Updates the facts of the jobs that wait, directly or indirectly, for a changed run."""
    changed = [run.id]
    while changed:
        for dependent_id in records.dependents(changed.pop()):
            dependent = records.run(dependent_id, None)
            updated = _after_dependencies(records, dependent) if dependent else None
            if dependent is not None and updated is not None and updated.facts != dependent.facts:
                records.change(dependent, facts=updated.facts)
                changed.append(dependent.id)


def _after_dependencies(records: Records, run: Run) -> Run:
    """Releases a run when its last dependency succeeds, and blocks it when the first one fails.

    A dependency on an id that never existed does not block the run. With `N_TO_N`, a run waits until the whole other
    array has ended.
    """
    dependencies = [find_job(records, job_id, None) for job_id in _needed_ids(run.request)]
    ends = [lifecycle.end(job.timeline) for job in dependencies if job is not None]
    failed = [step.at for step in ends if step is not None and step.state == "FAILED"]
    succeeded = [step.at for step in ends if step is not None and step.state == "SUCCEEDED"]
    released_at = max(succeeded, default=0.0) if len(succeeded) == len(ends) else None
    facts = dataclasses.replace(run.facts, released_at=released_at, blocked_at=min(failed, default=None))
    return dataclasses.replace(run, facts=facts)


def cancel_job(params: Params, context: Context) -> Params:
    """Fails a job that has not reached STARTING; for any other job, does nothing and returns no error."""
    return _stop("cancel", params, context)


def terminate_job(params: Params, context: Context) -> Params:
    """Fails a job that has not ended. For any other job, does nothing and returns no error."""
    return _stop("terminate", params, context)


def stop_run(records: Records, run: Run, stop: lifecycle.Stop) -> None:
    """Stores a request to stop a run, and updates the jobs that wait for the run."""
    update_dependents(records, records.change(run, facts=run.facts.stopped(stop)))


def _stop(verb: Literal["cancel", "terminate"], params: Params, context: Context) -> Params:
    if len(params["reason"]) > MAX_REASON:
        raise Invalid(f"reason: must have at most {MAX_REASON} characters")
    job = require_job(params["jobId"], context)
    if _has_effect(verb, job, context.now):
        child = "" if job.child is None else str(job.child)
        stop_run(context.records, job.run, lifecycle.Stop(verb, context.now, params["reason"], child=child))
    return {}


def _has_effect(verb: str, job: Job, now: float) -> bool:
    """Returns whether a stop has an effect now: on the job, or on any child if the job is a whole array."""
    is_array = job.run.facts.array and job.child is None
    timelines = [timeline for _, timeline in lifecycle.children(job.run.facts)] if is_array else [job.timeline]
    return any(lifecycle.can_stop(verb, lifecycle.current(timeline, now).state) for timeline in timelines)
