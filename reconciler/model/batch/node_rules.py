"""Rules of multi-node parallel jobs: ranges of nodes, and what they have in common."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.kind import Loc, Remark
from reconciler.model.request import entries, integer, part, text
from reconciler.model.strict import JSON

NODES: Loc = ("nodeOverrides",)
NAMESPACE = ("eksPropertiesOverride", "podProperties", "metadata")


def check(request: JSON) -> Iterator[Remark]:
    """What AWS refuses."""
    if request.get("arrayProperties") and request.get("nodeOverrides"):
        yield Remark(
            NODES, "an array job cannot be a multi-node parallel job: give one of the two", "batch-array-nodes"
        )
    namespaces: dict[str, Loc] = {}
    for loc, override in ranges(request):
        yield from _reversed(loc, override)
        namespace = text(part(override, *NAMESPACE), "namespace")
        if namespace is not None:
            namespaces.setdefault(namespace, (*loc, *NAMESPACE, "namespace"))
    for loc in list(namespaces.values())[1:]:
        yield Remark(
            loc, f"all node ranges share one namespace: {next(iter(namespaces))} is given above", "batch-nodes"
        )


def warn(request: JSON) -> Iterator[Remark]:
    """What AWS documents and does not enforce."""
    count = integer(part(request, "nodeOverrides"), "numNodes")
    for loc, override in ranges(request):
        nodes = text(override, "targetNodes") or ""
        if "," in nodes or "n" in nodes:
            yield Remark(
                (*loc, "targetNodes"),
                'AWS documents ranges as "0:3", ":3" or "4:", without n and commas',
                "batch-nodes",
            )
        first = _bounds(nodes)[0]
        if count is not None and first is not None and first >= count:
            yield Remark(
                (*loc, "targetNodes"), f"there are {count} nodes: the last index is {count - 1}", "batch-nodes"
            )


def ranges(request: JSON) -> Iterator[tuple[Loc, JSON]]:
    """Each override of a range of nodes, with its place."""
    return entries(part(request, "nodeOverrides"), "nodePropertyOverrides", NODES)


def _reversed(loc: Loc, override: JSON) -> Iterator[Remark]:
    first, last = _bounds(text(override, "targetNodes") or "")
    if first is not None and last is not None and first > last:
        yield Remark((*loc, "targetNodes"), f"the range starts at {first} and ends before it, at {last}", "batch-nodes")


def _bounds(nodes: str) -> tuple[int | None, int | None]:
    """The first and the last index of a range; `None` for one that is not written as a number."""
    first, separator, last = nodes.replace(",", ":").partition(":")
    bounds = (first, last) if separator else (first, first)
    start, end = (int(bound) if bound.isascii() and bound.isdigit() and len(bound) < 10 else None for bound in bounds)
    return start, end
