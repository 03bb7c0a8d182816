"""Rules of containers on ECS: how much of each resource, and names of environment variables."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconciler.model.batch.node_rules import ranges
from reconciler.model.kind import Loc, Remark
from reconciler.model.request import entries, part, text
from reconciler.model.strict import JSON

MEMORY_MIN = 4  # MiB
RESERVED_VARIABLES = "AWS_BATCH"
WHOLE = re.compile(r"[1-9][0-9]*")
DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")
FARGATE_MEMORY = {"0.25": ("512", "1024", "2048"), "0.5": ("1024", "2048", "3072", "4096")}
"""MiB that go with a fraction of a vCPU, which only Fargate has (API reference, ResourceRequirement)."""

SINGLE: Loc = ("containerOverrides",)


def check(request: JSON) -> Iterator[Remark]:
    """What AWS refuses."""
    for loc, container in _containers(request):
        yield from reserved_variables(loc, container, "environment")
        for place, requirement in entries(container, "resourceRequirements", loc):
            yield from _amount(place, requirement, in_task=_is_in_task(loc))
        if loc == SINGLE:
            yield from _fargate(container)


def warn(request: JSON) -> Iterator[Remark]:
    """What AWS advises against."""
    for loc, container in _containers(request):
        for key, resource in (("vcpus", "VCPU"), ("memory", "MEMORY")):
            if key in container:
                yield Remark(
                    (*loc, key), f"{key} is deprecated: use resourceRequirements of type {resource}", "batch-deprecated"
                )
        for place, requirement in entries(container, "resourceRequirements", loc):
            yield from _vcpu_form(place, requirement)
        if loc == SINGLE and "instanceType" in container:
            yield Remark((*loc, "instanceType"), "instanceType is for multi-node parallel jobs", "batch-instance-type")


def reserved_variables(loc: Loc, container: JSON, key: str) -> Iterator[Remark]:
    """Environment variables at `key` of a container whose names Batch keeps for itself."""
    for place, variable in entries(container, key, loc):
        if (text(variable, "name") or "").startswith(RESERVED_VARIABLES):
            yield Remark(
                (*place, "name"), f"names that start with {RESERVED_VARIABLES} are Batch's own", "batch-environment"
            )


def _containers(request: JSON) -> Iterator[tuple[Loc, JSON]]:
    """Every override of a container on ECS, with its place."""
    for loc, holder in [((), request), *ranges(request)]:
        if container := part(holder, "containerOverrides"):
            yield (*loc, "containerOverrides"), container
        ecs = (*loc, "ecsPropertiesOverride")
        for place, task in entries(part(holder, "ecsPropertiesOverride"), "taskProperties", ecs):
            yield from entries(task, "containers", place)


def _is_in_task(loc: Loc) -> bool:
    """Whether the container is one of several of a task, which share what the task gets."""
    return loc[-1] != "containerOverrides"


def _amount(loc: Loc, requirement: JSON, *, in_task: bool) -> Iterator[Remark]:
    value = text(requirement, "value")
    if value is None:
        return
    match requirement.get("type"):
        case "GPU" if not WHOLE.fullmatch(value):
            message = f'GPUs are a whole number from 1, such as "1", not "{value}"'
        case "MEMORY" if not WHOLE.fullmatch(value) or int(value[:10]) < MEMORY_MIN:
            message = f'memory is whole MiB from {MEMORY_MIN}, without a unit, such as "2048", not "{value}"'
        case "VCPU" if not _is_vcpu(value, in_task=in_task):
            message = f'vCPUs are a whole number from 1, or "0.25" or "0.5" on Fargate, not "{value}"'
        case _:
            return
    yield Remark((*loc, "value"), message, "batch-resource-value")


def _is_vcpu(value: str, *, in_task: bool) -> bool:
    if not DECIMAL.fullmatch(value):
        return False
    amount = float(value)
    return amount > 0 and (in_task or amount in {0.25, 0.5} or amount.is_integer())


def _vcpu_form(loc: Loc, requirement: JSON) -> Iterator[Remark]:
    value = text(requirement, "value") or ""
    if requirement.get("type") == "VCPU" and not WHOLE.fullmatch(value) and value not in FARGATE_MEMORY:
        yield Remark(
            (*loc, "value"), 'AWS documents vCPUs as whole numbers, "0.25" and "0.5"', "batch-resource-value-form"
        )


def _fargate(container: JSON) -> Iterator[Remark]:
    """A fraction of a vCPU means Fargate, which takes only some sizes of memory with it."""
    given = {
        requirement.get("type"): (loc, text(requirement, "value") or "")
        for loc, requirement in entries(container, "resourceRequirements", SINGLE)
        if isinstance(requirement.get("type"), str)
    }
    if "VCPU" not in given or "MEMORY" not in given:
        return
    sizes = FARGATE_MEMORY.get(given["VCPU"][1])
    loc, memory = given["MEMORY"]
    if sizes and memory not in sizes and WHOLE.fullmatch(memory):
        yield Remark(
            (*loc, "value"), f'with "{given["VCPU"][1]}" vCPU, memory is {", ".join(sizes)}', "batch-fargate-memory"
        )
