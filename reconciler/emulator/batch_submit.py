"""AWS Batch: SubmitJob, with the limits that AWS documents beside its model.

Batch's model has no lengths, ranges and patterns. Rules that real accepted requests break are left out here: share
identifiers with ``-`` or ``/``, ``targetNodes: "0,n"``.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator

from reconciler.emulator import resources
from reconciler.emulator.batch_jobs import with_dependencies
from reconciler.emulator.lifecycle import EXIT_FAILED, Facts
from reconciler.emulator.operations import Context, Params
from reconciler.emulator.records import BATCH, Run

MAX_REQUEST_BYTES = 30 * 1024
MAX_DEPENDENCIES = 20
MAX_EVALUATIONS = 5
MAX_PATTERN = 512
_EXIT_CODE = re.compile(r"[0-9]*\*?")
_TARGET = re.compile(r"([0-9]*)([:,])?([0-9n]*)")


def submit_job(params: Params, context: Context) -> Params:
    """Accepts a job. Batch has no client token: every accepted call is a new job."""
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


def _facts(params: Params, context: Context) -> Facts:
    name, settings = params["jobName"], context.settings
    retry = params.get("retryStrategy", {})
    return Facts(
        accepted_at=context.now,
        start_seconds=settings.start_seconds,
        run_seconds=settings.durations.get(name, settings.run_seconds),
        stop_seconds=settings.stop_seconds,
        fails=settings.outcomes.get(name, settings.outcome) == "failed",
        attempts=retry.get("attempts", 1) if _retries_failure(retry) else 1,
        timeout_seconds=params.get("timeout", {}).get("attemptDurationSeconds"),
        array=params.get("arrayProperties", {}).get("size", 0),
        sequential=any(need.get("type", "").upper() == "SEQUENTIAL" for need in params.get("dependsOn", [])),
    )


def _retries_failure(retry: Params) -> bool:
    """Whether exit code 1 is retried: the first rule whose conditions all match decides; without one, yes."""
    exit_values = {"onStatusReason": EXIT_FAILED, "onReason": "", "onExitCode": "1"}
    for rule in retry.get("evaluateOnExit", []):
        if all(_matches(rule[name], value) for name, value in exit_values.items() if name in rule):
            return bool(rule["action"].upper() == "RETRY")
    return True


def _matches(pattern: str, value: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


# --- limits -----------------------------------------------------------------------------------------------------------


def submit_job_problems(params: Params) -> Iterator[str]:
    """Describes everything wrong in a SubmitJob request that its model accepts."""
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
