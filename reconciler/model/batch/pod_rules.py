"""Rules of pods on EKS: quantities, environment variables, labels, annotations and namespace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from reconciler.model.batch.container_rules import MEMORY_MIN, reserved_variables
from reconciler.model.batch.node_rules import ranges
from reconciler.model.kind import Loc, Remark
from reconciler.model.request import entries, part, text
from reconciler.model.strict import JSON

RESOURCES = ("memory", "cpu", "nvidia.com/gpu")
CPU_STEP = Decimal("0.25")
MEMORY = re.compile(r"([1-9][0-9]{0,17})Mi")
CPU = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?|[0-9]{1,18}m")
GPU = re.compile(r"[0-9]{1,18}")

LABEL = re.compile(r"[A-Za-z0-9_-]*")
LABEL_MAX = 63
ANNOTATION_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
ANNOTATION_PREFIX = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
ANNOTATION_MAX = 255


def check(request: JSON) -> Iterator[Remark]:
    """What AWS refuses."""
    for loc, pod in _pods(request):
        yield from _metadata((*loc, "metadata"), part(pod, "metadata"))
        for place, container in _containers(loc, pod):
            yield from reserved_variables(place, container, "env")
            yield from _quantities((*place, "resources"), part(container, "resources"))


def warn(request: JSON) -> Iterator[Remark]:
    """What AWS documents otherwise and may take."""
    for loc, pod in _pods(request):
        for key, value in part(pod, "metadata", "labels").items():
            if not LABEL.fullmatch(key) or not (isinstance(value, str) and LABEL.fullmatch(value)):
                yield Remark(
                    (*loc, "metadata", "labels", key),
                    "AWS documents labels as letters, digits, '-' and '_'",
                    "batch-label",
                )
        for place, container in _containers(loc, pod):
            for side in ("limits", "requests"):
                for name, value in part(container, "resources", side).items():
                    yield from _unusual((*place, "resources", side, name), name, value)


def _pods(request: JSON) -> Iterator[tuple[Loc, JSON]]:
    """Every override of a pod, with its place."""
    for loc, holder in [((), request), *ranges(request)]:
        yield (*loc, "eksPropertiesOverride", "podProperties"), part(holder, "eksPropertiesOverride", "podProperties")


def _containers(loc: Loc, pod: JSON) -> Iterator[tuple[Loc, JSON]]:
    yield from entries(pod, "containers", loc)
    yield from entries(pod, "initContainers", loc)


def _metadata(loc: Loc, metadata: JSON) -> Iterator[Remark]:
    namespace = text(metadata, "namespace") or ""
    if namespace == "default" or namespace.startswith("kube"):
        yield Remark(
            (*loc, "namespace"),
            "a namespace of Batch is neither default nor one that starts with kube",
            "batch-namespace",
        )
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
    """Why an amount is not one that AWS takes; `None` where it is, and for resources it does not document."""
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
            yield Remark(loc, f'the request of cpu, "{request}", is above its limit, "{limit}"', "batch-quantity")
    elif limit != request:
        yield Remark(loc, f'{name} must be the same in limits, "{limit}", and requests, "{request}"', "batch-quantity")


def _unusual(loc: Loc, name: str, value: object) -> Iterator[Remark]:
    if name not in RESOURCES:
        yield Remark(loc, f"AWS documents {', '.join(RESOURCES)}", "batch-quantity-form")
    elif name == "cpu" and isinstance(value, str) and value.endswith("m"):
        yield Remark(loc, 'AWS documents cpu as a decimal, such as "0.5"', "batch-quantity-form")
