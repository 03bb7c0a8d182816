"""AWS Batch: what the service documents beyond its model, which has no lengths, ranges and patterns at all.

Rules that real accepted requests break are not here: share identifiers with ``-`` or ``/``, ``targetNodes: "0,n"``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from reconciler.emulator.operations import Params

MAX_REQUEST_BYTES = 30 * 1024
MAX_TAGS = 50
MAX_DEPENDENCIES = 20
MAX_EVALUATIONS = 5
MAX_PATTERN = 512
_EXIT_CODE = re.compile(r"[0-9]*\*?")
_TARGET = re.compile(r"([0-9]*)([:,])?([0-9n]*)")


def submit_job_problems(params: Params) -> Sequence[str]:
    """Everything wrong in a SubmitJob request that its model lets through."""
    found = [problem for rule in _RULES for problem in rule(params)]
    size = len(json.dumps(params, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass"))
    return [*found, f"request: is {size} bytes, at most {MAX_REQUEST_BYTES}"] if size > MAX_REQUEST_BYTES else found


def _names(params: Params) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", params["jobName"]):
        yield "jobName: must be up to 128 letters, digits, - and _, beginning with a letter or a digit"
    for name in ("jobQueue", "jobDefinition"):
        if not params[name]:
            yield f"{name}: must not be empty"
    if len(params.get("shareIdentifier", "")) > 255:
        yield "shareIdentifier: must be up to 255 characters"
    if not 0 <= params.get("schedulingPriorityOverride", 0) <= 9999:
        yield "schedulingPriorityOverride: must be between 0 and 9999"


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
        place = f"retryStrategy.evaluateOnExit[{index}]"
        if not _EXIT_CODE.fullmatch(rule.get("onExitCode", "")):
            yield f"{place}.onExitCode: must be digits, with an optional * at the end"
        for name in ("onReason", "onStatusReason", "onExitCode"):
            if len(rule.get(name, "")) > MAX_PATTERN:
                yield f"{place}.{name}: must be up to {MAX_PATTERN} characters"


def _timeout(params: Params) -> Iterator[str]:
    if params.get("timeout", {}).get("attemptDurationSeconds", 60) < 60:
        yield "timeout.attemptDurationSeconds: must be at least 60"


def _tags(params: Params) -> Iterator[str]:
    for key, value in params.get("tags", {}).items():
        if key.lower().startswith("aws:") or value.lower().startswith("aws:"):
            yield "tags: keys and values must not start with aws:"


def _containers(params: Params) -> Iterator[str]:
    tasks = params.get("ecsPropertiesOverride", {}).get("taskProperties", [])
    if len(tasks) > 1:
        yield "ecsPropertiesOverride.taskProperties: must have one item"
    containers = [("containerOverrides", params.get("containerOverrides", {}))]
    for task in tasks:
        containers += [("ecsPropertiesOverride", container) for container in task.get("containers", [])]
    for node in params.get("nodeOverrides", {}).get("nodePropertyOverrides", []):
        containers.append(("nodeOverrides", node.get("containerOverrides", {})))
    for place, container in containers:
        yield from _container(place, container)


def _container(place: str, container: Params) -> Iterator[str]:
    if "" in container.get("command", []):
        yield f"{place}.command: must not contain an empty string"
    for need in container.get("resourceRequirements", []):
        kind, value = need["type"].upper(), need["value"]
        due = r"[1-9][0-9]*(\.[0-9]+)?|0?\.[0-9]+" if kind == "VCPU" else "[1-9][0-9]*"
        if not re.fullmatch(due, value):
            yield f"{place}.resourceRequirements: {kind} must be a positive number"


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


_RULES: Sequence[Callable[[dict[str, Any]], Iterator[str]]] = (
    *(_names, _array, _dependencies, _retries, _timeout, _tags, _containers, _nodes, _pods),
)
