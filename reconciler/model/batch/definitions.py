"""Reads job definitions as DescribeJobDefinitions returns them: their containers, roles, log groups and vCPUs, with the
overrides of a request.

https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDefinition.html
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model.base import JSON, entries, part, text
from reconciler.values import regex

LOG_GROUP, AWSLOGS = "/aws/batch/job", "awslogs"
"""The log group of jobs whose definition does not set another, and the log driver that writes to it."""

_RANGE = regex(r"(?P<first>\d*)(?P<colon>:?)(?P<last>\d*)")


def roles(definition: JSON) -> Iterator[str]:
    """Yields the roles of the containers: those that jobs act as, and those that pull images and read secrets."""
    seen = set()
    for holder in _holders(definition):
        for field in ("jobRoleArn", "taskRoleArn", "executionRoleArn"):
            if (role := text(holder, field)) and role not in seen:
                seen.add(role)
                yield role


def service_accounts(definition: JSON) -> Iterator[str]:
    """Yields the Kubernetes service accounts of pods on EKS."""
    for group in _groups(definition):
        if name := text(part(group, "eksProperties", "podProperties"), "serviceAccountName"):
            yield name


def log_groups(definition: JSON) -> Iterator[str]:
    """Yields the log groups in CloudWatch Logs that the containers write to. Pods on EKS, and containers with another
    log driver, write to none."""
    seen = set()
    for container in _containers(definition):
        logging = part(container, "logConfiguration")
        group = str(part(logging, "options").get("awslogs-group") or LOG_GROUP)
        if logging.get("logDriver", AWSLOGS) == AWSLOGS and group not in seen:
            seen.add(group)
            yield group


def vcpus(request: JSON, definition: JSON) -> float:
    """Returns the vCPUs that one job needs (one child of an array, all nodes of a multi-node job), or 0 if they are
    not known."""
    nodes = part(definition, "nodeProperties")
    if not nodes:
        return _of_group(request, next(_groups(definition)))
    overrides = part(request, "nodeOverrides")
    count = int(overrides.get("numNodes") or nodes.get("numNodes") or 0)
    by_range = {str(each.get("targetNodes")): each for _, each in entries(overrides, "nodePropertyOverrides")}
    needed = [0.0] * count
    ranges = [
        (nodes_of(str(each.get("targetNodes")), count), each) for _, each in entries(nodes, "nodeRangeProperties")
    ]
    for targets, each in sorted(ranges, key=lambda pair: -len(pair[0])):  # a range inside another one overrides it
        size = _of_group(by_range.get(str(each.get("targetNodes")), {}), each)
        for node in targets:
            needed[node] = size
    return sum(needed)


def nodes_of(target: str, count: int) -> range:
    """Returns the nodes of a range such as ``0:3``, ``4:`` or ``2``, of a job with `count` nodes."""
    match = _RANGE.fullmatch(target)
    if match is None:
        return range(0)
    first = int(match["first"] or 0)
    last = int(match["last"] or count - 1) if match["colon"] else first
    return range(min(first, count), min(last + 1, count))


def _groups(definition: JSON) -> Iterator[JSON]:
    """Yields the properties of one job, or of each range of nodes, in the form of a range of nodes."""
    if nodes := part(definition, "nodeProperties"):
        yield from (each for _, each in entries(nodes, "nodeRangeProperties"))
    else:
        yield {**definition, "container": part(definition, "containerProperties")}


def _tasks(group: JSON) -> Iterator[JSON]:
    yield from (task for _, task in entries(part(group, "ecsProperties"), "taskProperties"))


def _holders(definition: JSON) -> Iterator[JSON]:
    """Yields the objects that can have roles: containers, and tasks of several containers."""
    for group in _groups(definition):
        yield part(group, "container")
        yield from _tasks(group)


def _containers(definition: JSON) -> Iterator[JSON]:
    """Yields the containers on ECS."""
    for group in _groups(definition):
        if container := part(group, "container"):
            yield container
        for task in _tasks(group):
            yield from (container for _, container in entries(task, "containers"))


def _of_group(overrides: JSON, group: JSON) -> float:
    """Returns the vCPUs of one node or of a job without nodes."""
    single = _of_container(part(overrides, "containerOverrides"), part(group, "container"))
    changed = [task for _, task in entries(part(overrides, "ecsPropertiesOverride"), "taskProperties")]
    several = 0.0
    for index, task in enumerate(_tasks(group)):
        by_name = _by_name(changed[index] if index < len(changed) else {})
        several += sum(
            _of_container(by_name.get(each.get("name"), {}), each) for _, each in entries(task, "containers")
        )
    pod_by_name = _by_name(part(overrides, "eksPropertiesOverride", "podProperties"))
    pod = entries(part(group, "eksProperties", "podProperties"), "containers")
    return single + several + sum(_of_pod(pod_by_name.get(each.get("name"), {}), each) for _, each in pod)


def _by_name(holder: JSON) -> Mapping[Any, JSON]:
    return {each.get("name"): each for _, each in entries(holder, "containers")}


def _of_container(override: JSON, container: JSON) -> float:
    for holder in (override, container):
        for _, each in entries(holder, "resourceRequirements"):
            if each.get("type") == "VCPU":
                return _number(each.get("value"))
        if holder.get("vcpus"):
            return _number(holder["vcpus"])
    return 0.0


def _of_pod(override: JSON, container: JSON) -> float:
    for holder in (override, container):
        for kind in ("limits", "requests"):
            if "cpu" in part(holder, "resources", kind):
                return _number(part(holder, "resources", kind)["cpu"])
    return 0.0


def _number(value: object) -> float:
    """Returns a number of vCPUs: ``2``, ``0.25``, or ``250m`` as Kubernetes writes it. Returns 0 for a placeholder."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m?)", str(value))
    return 0.0 if match is None else float(match[1]) / (1000 if match[2] else 1)
