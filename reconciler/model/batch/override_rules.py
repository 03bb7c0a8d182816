"""Checks the overrides of SubmitJob: containers on ECS, pods on EKS, ranges of nodes, and the values in them.

Every function accepts a request of any shape, because the models report wrong shapes.
"""

import json
from collections.abc import Iterator
from decimal import Decimal

from reconciler.model import s3
from reconciler.model.arns import arn_remarks, region_problem
from reconciler.model.base import JSON, Loc, Remark, entries, integer, part, text, texts
from reconciler.model.template import KUBERNETES, command_remarks, template_remarks
from reconciler.values import regex

MEMORY_MIN = 4  # MiB
OVERRIDES_MAX = 8192  # characters; ECS API reference, RunTask, overrides
WORDS = frozenset({"command", "args"})
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")

# Containers on ECS
SINGLE: Loc = ("containerOverrides",)
RESERVED_VARIABLES = "AWS_BATCH"
WHOLE = regex(r"[1-9][0-9]*")
DECIMAL = regex(r"[0-9]+(\.[0-9]+)?")
FARGATE_MEMORY = {"0.25": ("512", "1024", "2048"), "0.5": ("1024", "2048", "3072", "4096")}
"""The valid amounts of MiB by fraction of a vCPU, which only Fargate has (API reference, ResourceRequirement)."""

# Pods on EKS
RESOURCES = ("memory", "cpu", "nvidia.com/gpu")
CPU_STEP = Decimal("0.25")
MEMORY = regex(r"([1-9][0-9]{0,17})Mi")
CPU = regex(r"[0-9]{1,18}(\.[0-9]{1,18})?|[0-9]{1,18}m")
GPU = regex(r"[0-9]{1,18}")
LABEL = regex(r"[A-Za-z0-9_-]*")
LABEL_MAX = 63
ANNOTATION_NAME = regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
ANNOTATION_PREFIX = regex(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
ANNOTATION_MAX = 255

# Ranges of nodes
NODES: Loc = ("nodeOverrides",)
NAMESPACE = ("eksPropertiesOverride", "podProperties", "metadata")


def check_containers(request: JSON) -> Iterator[Remark]:
    """Yields remarks about containers on ECS that AWS refuses."""
    for loc, container in _containers(request):
        yield from reserved_variables(loc, container, "environment")
        for path, requirement in entries(container, "resourceRequirements", loc):
            yield from _amount(path, requirement, in_task=_is_in_task(loc))
        if loc == SINGLE:
            yield from _fargate(container)


def warn_containers(request: JSON) -> Iterator[Remark]:
    """Yields remarks about containers on ECS that AWS advises against."""
    for loc, container in _containers(request):
        for key, resource in (("vcpus", "VCPU"), ("memory", "MEMORY")):
            if key in container:
                message = f"{key} is deprecated: use resourceRequirements of type {resource}"
                yield Remark((*loc, key), message, "batch-deprecated")
        for path, requirement in entries(container, "resourceRequirements", loc):
            yield from _vcpu_form(path, requirement)
        yield from repeated(loc, container, "environment", "name")
        yield from repeated(loc, container, "resourceRequirements", "type")
        if loc == SINGLE and "instanceType" in container:
            yield Remark((*loc, "instanceType"), "instanceType is for multi-node parallel jobs", "batch-instance-type")


def repeated(loc: Loc, container: JSON, key: str, name: str) -> Iterator[Remark]:
    """Yields remarks about entries of the list at `key` that have the same name as an earlier entry."""
    seen: dict[str, int] = {}
    for path, entry in entries(container, key, loc):
        value = text(entry, name)
        if value is not None and value in seen:
            message = f"{key}[{seen[value]}] has the same {name}: remove one of them"
            yield Remark((*path, name), message, "batch-repeated")
        elif value is not None:
            seen[value] = int(path[-1])


def reserved_variables(loc: Loc, container: JSON, key: str) -> Iterator[Remark]:
    """Yields remarks about environment variables at `key` of a container whose names Batch reserves."""
    for path, variable in entries(container, key, loc):
        if (text(variable, "name") or "").startswith(RESERVED_VARIABLES):
            message = f"Batch reserves names that start with {RESERVED_VARIABLES}"
            yield Remark((*path, "name"), message, "batch-environment")


def _containers(request: JSON) -> Iterator[tuple[Loc, JSON]]:
    """Yields every override of a container on ECS, with its path."""
    for loc, holder in [((), request), *ranges(request)]:
        if container := part(holder, "containerOverrides"):
            yield (*loc, "containerOverrides"), container
        ecs = (*loc, "ecsPropertiesOverride")
        for path, task in entries(part(holder, "ecsPropertiesOverride"), "taskProperties", ecs):
            yield from entries(task, "containers", path)


def warn_size(request: JSON) -> Iterator[Remark]:
    """Yields a remark if the overrides are too large. ECS limits the overrides of a task as JSON. Batch adds its own
    variables to them, so the limit is even lower."""
    for loc, holder in [((), request), *ranges(request)]:
        for key in ("containerOverrides", "ecsPropertiesOverride"):
            overrides = part(holder, key)
            size = (
                len(json.dumps(overrides, ensure_ascii=False, separators=(",", ":"), default=str)) if overrides else 0
            )
            if size > OVERRIDES_MAX:
                message = (
                    f"container overrides are {size:,} characters as JSON, and ECS takes {OVERRIDES_MAX:,}: put long "
                    "values into a file in S3, or into the job definition"
                )
                yield Remark((*loc, key), message, "batch-overrides-size")


def warn_values(request: JSON) -> Iterator[Remark]:
    """Yields remarks about wrong locations and ARNs, and templates of other tools."""
    for loc, container in [*_containers(request), *_all_pod_containers(request)]:
        expanded = KUBERNETES if "eksPropertiesOverride" in loc else None
        for key in WORDS:
            words = container.get(key)
            yield from command_remarks((*loc, key), words if isinstance(words, list) else (), expanded=expanded)
        for path, variable in [*entries(container, "environment", loc), *entries(container, "env", loc)]:
            region = text(variable, "value")
            if variable.get("name") in REGION_VARIABLES and region and (problem := region_problem(region)):
                yield Remark((*path, "value"), problem, "region")
    for loc, value in texts(request):
        yield from s3.text_remarks(loc, value)
        yield from arn_remarks(loc, value)
        if not WORDS.intersection(str(key) for key in loc[-2:-1]):
            expanded = KUBERNETES if "eksPropertiesOverride" in loc else None
            yield from template_remarks(loc, value, expanded=expanded)


def _is_in_task(loc: Loc) -> bool:
    """Returns whether the container is one of several in a task, which share the task's resources."""
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
        message = 'AWS documents vCPUs as whole numbers, "0.25" and "0.5"'
        yield Remark((*loc, "value"), message, "batch-resource-value-form")


def _fargate(container: JSON) -> Iterator[Remark]:
    """Checks the memory of a container with a fraction of a vCPU. Only Fargate has fractions, and it allows only
    certain sizes of memory with each.
    """
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
        message = f'with "{given["VCPU"][1]}" vCPU, memory is {", ".join(sizes)}'
        yield Remark((*loc, "value"), message, "batch-fargate-memory")


def check_pods(request: JSON) -> Iterator[Remark]:
    """Yields remarks about pods on EKS that AWS refuses."""
    for loc, pod in _pods(request):
        yield from _metadata((*loc, "metadata"), part(pod, "metadata"))
        for path, container in _pod_containers(loc, pod):
            yield from reserved_variables(path, container, "env")
            yield from _quantities((*path, "resources"), part(container, "resources"))


def warn_pods(request: JSON) -> Iterator[Remark]:
    """Yields remarks about overrides of pods on EKS that contradict AWS's documentation but that AWS may accept."""
    for loc, pod in _pods(request):
        for key, value in part(pod, "metadata", "labels").items():
            if not LABEL.fullmatch(key) or not (isinstance(value, str) and LABEL.fullmatch(value)):
                message = "AWS documents labels as letters, digits, '-' and '_'"
                yield Remark((*loc, "metadata", "labels", key), message, "batch-label")
        for path, container in _pod_containers(loc, pod):
            yield from repeated(path, container, "env", "name")
            for side in ("limits", "requests"):
                for name, value in part(container, "resources", side).items():
                    yield from _unusual((*path, "resources", side, name), name, value)


def _pods(request: JSON) -> Iterator[tuple[Loc, JSON]]:
    """Yields every override of a pod, with its path."""
    for loc, holder in [((), request), *ranges(request)]:
        yield (*loc, "eksPropertiesOverride", "podProperties"), part(holder, "eksPropertiesOverride", "podProperties")


def _all_pod_containers(request: JSON) -> Iterator[tuple[Loc, JSON]]:
    return (container for loc, pod in _pods(request) for container in _pod_containers(loc, pod))


def _pod_containers(loc: Loc, pod: JSON) -> Iterator[tuple[Loc, JSON]]:
    yield from entries(pod, "containers", loc)
    yield from entries(pod, "initContainers", loc)


def _metadata(loc: Loc, metadata: JSON) -> Iterator[Remark]:
    namespace = text(metadata, "namespace") or ""
    if namespace == "default" or namespace.startswith("kube"):
        message = "Batch allows neither the namespace default nor one that starts with kube"
        yield Remark((*loc, "namespace"), message, "batch-namespace")
    for key, value in part(metadata, "labels").items():
        if len(key.rpartition("/")[2]) > LABEL_MAX or (isinstance(value, str) and len(value) > LABEL_MAX):
            yield Remark((*loc, "labels", key), f"a label has at most {LABEL_MAX} characters", "batch-label")
    for key, value in part(metadata, "annotations").items():
        yield from _annotation((*loc, "annotations", key), key, value)


def _annotation(loc: Loc, key: str, value: object) -> Iterator[Remark]:
    prefix, slash, name = key.rpartition("/")
    if not ANNOTATION_NAME.fullmatch(name) or (slash and not ANNOTATION_PREFIX.fullmatch(prefix)):
        yield Remark(
            loc,
            "the key of an annotation is a name of up to 63 letters, digits, '-', '_' and '.', with a letter or digit "
            "at both ends; a domain and / may come before it, such as acme.com/owner",
            "batch-annotation",
        )
    if isinstance(value, str) and len(value) > ANNOTATION_MAX:
        yield Remark(loc, f"the value of an annotation has at most {ANNOTATION_MAX} characters", "batch-annotation")


def _quantities(loc: Loc, resources: JSON) -> Iterator[Remark]:
    limits, requests = part(resources, "limits"), part(resources, "requests")
    for side, amounts in (("limits", limits), ("requests", requests)):
        for name, value in amounts.items():
            if isinstance(value, str) and value and (message := _quantity_problem(name, value)):
                yield Remark((*loc, side, name), message, "batch-quantity")
    for name in RESOURCES:
        if (limit := text(limits, name)) and (request := text(requests, name)):
            yield from _unequal((*loc, "requests", name), name, limit, request)


def _quantity_problem(name: str, value: str) -> str | None:
    """Returns why AWS refuses an amount, or `None` if it is valid or the resource is not documented."""
    if name == "memory" and not ((match := MEMORY.fullmatch(value)) and int(match[1]) >= MEMORY_MIN):
        return f'memory is whole MiB from {MEMORY_MIN}, such as "1024Mi", not "{value}"'
    if name == "cpu" and ((amount := _cpus(value)) is None or amount % CPU_STEP):
        return f'cpu goes in steps of 0.25, such as "1" or "0.5", not "{value}"'
    if name == "nvidia.com/gpu" and not GPU.fullmatch(value):
        return f'GPUs are a whole number, such as "1", not "{value}"'
    return None


def _cpus(value: str) -> Decimal | None:
    if not CPU.fullmatch(value):
        return None
    return Decimal(value[:-1]) / 1000 if value.endswith("m") else Decimal(value)


def _unequal(loc: Loc, name: str, limit: str, request: str) -> Iterator[Remark]:
    if _quantity_problem(name, limit) or _quantity_problem(name, request):
        return
    if name == "cpu":
        if (_cpus(limit) or 0) < (_cpus(request) or 0):
            yield Remark(loc, f'the request of cpu, "{request}", exceeds its limit, "{limit}"', "batch-quantity")
    elif limit != request:
        yield Remark(loc, f'{name} must be the same in limits, "{limit}", and requests, "{request}"', "batch-quantity")


def _unusual(loc: Loc, name: str, value: object) -> Iterator[Remark]:
    if name not in RESOURCES:
        yield Remark(loc, f"AWS documents {', '.join(RESOURCES)}", "batch-quantity-form")
    elif name == "cpu" and isinstance(value, str) and value.endswith("m"):
        yield Remark(loc, 'AWS documents cpu as a decimal, such as "0.5"', "batch-quantity-form")


def check_nodes(request: JSON) -> Iterator[Remark]:
    """Yields remarks about ranges of nodes that AWS refuses."""
    if request.get("arrayProperties") and request.get("nodeOverrides"):
        message = "an array job cannot be a multi-node parallel job: remove one of the two"
        yield Remark(NODES, message, "batch-array-nodes")
    namespaces: dict[str, Loc] = {}
    for loc, override in ranges(request):
        yield from _reversed(loc, override)
        namespace = text(part(override, *NAMESPACE), "namespace")
        if namespace is not None:
            namespaces.setdefault(namespace, (*loc, *NAMESPACE, "namespace"))
    for loc in list(namespaces.values())[1:]:
        message = f"all node ranges share one namespace, which is {next(iter(namespaces))} above"
        yield Remark(loc, message, "batch-nodes")


def warn_nodes(request: JSON) -> Iterator[Remark]:
    """Yields remarks about ranges of nodes that break rules which AWS documents but does not enforce."""
    count = integer(part(request, "nodeOverrides"), "numNodes")
    for loc, override in ranges(request):
        nodes = text(override, "targetNodes") or ""
        if "," in nodes or "n" in nodes:
            message = 'AWS documents ranges as "0:3", ":3" or "4:", without n and commas'
            yield Remark((*loc, "targetNodes"), message, "batch-nodes")
        first = _bounds(nodes)[0]
        if count is not None and first is not None and first >= count:
            message = f"there are {count} nodes: the last index is {count - 1}"
            yield Remark((*loc, "targetNodes"), message, "batch-nodes")


def ranges(request: JSON) -> Iterator[tuple[Loc, JSON]]:
    """Yields each override of a range of nodes, with its path."""
    return entries(part(request, "nodeOverrides"), "nodePropertyOverrides", NODES)


def _reversed(loc: Loc, override: JSON) -> Iterator[Remark]:
    first, last = _bounds(text(override, "targetNodes") or "")
    if first is not None and last is not None and first > last:
        yield Remark((*loc, "targetNodes"), f"the range starts at {first} but ends at {last}", "batch-nodes")


def _bounds(nodes: str) -> tuple[int | None, int | None]:
    """Returns the first and the last index of a range, with `None` for an index that is not a number."""
    first, separator, last = nodes.replace(",", ":").partition(":")
    bounds = (first, last) if separator else (first, first)
    start, end = (int(bound) if bound.isascii() and bound.isdigit() and len(bound) < 10 else None for bound in bounds)
    return start, end
