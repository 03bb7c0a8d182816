"""Renders the dependencies between specs as text, Mermaid and DOT."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from reconciler.core.desired import DesiredSpec
from reconciler.model.kind import kind_named
from reconciler.redact.escape import lines_text
from reconciler.render.text import plain
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True)
class Edge:
    """A dependency of the spec `name` on the spec `needs`. `how` is the condition, or the type of an AWS Batch
    dependency."""

    name: str
    needs: str
    how: str


def edges(specs: Mapping[str, DesiredSpec]) -> tuple[Edge, ...]:
    """Returns every dependency between the specs of one target, sorted by name. The dependencies of one spec are in the
    order of the spec."""
    return tuple(edge for name in sorted(specs) for edge in _of(specs[name]))


def _of(spec: DesiredSpec) -> Iterable[Edge]:
    for dependency in spec.policy.dependsOn:
        yield Edge(spec.name, dependency.name, dependency.condition)
    for reference in kind_named(spec.kind).references(spec.request):
        yield Edge(spec.name, reference.name, reference.condition)


def graph_text(specs: Mapping[str, DesiredSpec], edges: Sequence[Edge]) -> str:
    """Returns each spec with its dependencies below it. The specs are in an order in which they can run. There is no
    final line break."""
    needs: dict[str, list[Edge]] = {name: [] for name in specs}
    for edge in edges:
        needs[edge.name].append(edge)
    lines = []
    for name in sorted(specs, key=lambda name: (len(_all_before(name, needs)), name)):
        lines.append(plain(name))
        lines += [f"  after {plain(edge.needs)} ({plain(edge.how)})" for edge in needs[name]]
    return lines_text(lines) or "No specs."


def graph_mermaid(specs: Mapping[str, DesiredSpec], edges: Sequence[Edge]) -> str:
    """Returns a Mermaid flowchart, with arrows from each dependency to its dependents."""
    number = {name: f"s{at}" for at, name in enumerate(sorted(specs))}
    nodes = [f'  {number[name]}["{plain(name)}"]' for name in sorted(specs)]
    arrows = [f"  {number[edge.needs]} -->|{plain(edge.how)}| {number[edge.name]}" for edge in edges]
    return lines_text(["flowchart LR", *nodes, *arrows])


def graph_dot(specs: Mapping[str, DesiredSpec], edges: Sequence[Edge]) -> str:
    """Returns a digraph for Graphviz."""
    nodes = [f"  {json.dumps(name)};" for name in sorted(specs)]
    arrows = [f"  {json.dumps(e.needs)} -> {json.dumps(e.name)} [label={json.dumps(e.how)}];" for e in edges]
    return lines_text(["digraph specs {", "  rankdir=LR;", *nodes, *arrows, "}"])


def _all_before(name: str, needs: Mapping[str, Sequence[Edge]]) -> set[str]:
    """Returns all direct and indirect dependencies of a spec."""
    before: set[str] = set()
    pending = [name]
    while pending:
        for edge in needs.get(pending.pop(), ()):
            if edge.needs not in before:
                before.add(edge.needs)
                pending.append(edge.needs)
    return before


FORMS: Mapping[str, Callable[[Mapping[str, DesiredSpec], Sequence[Edge]], str]] = {
    "text": graph_text,
    "mermaid": graph_mermaid,
    "dot": graph_dot,
}
