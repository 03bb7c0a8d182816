"""Checks what specs say about each other: duplicate names, dependencies that cannot be met, cycles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.errors import Problem
from reconciler.model.base import Loc
from reconciler.specs.locations import path_text
from reconciler.specs.messages import suggestion
from reconciler.specs.spec import NAME, ReadSpec, Reference


def duplicates(specs: Sequence[ReadSpec]) -> Iterator[Problem]:
    """A problem at each location of a name that several specs have."""
    by_name: dict[str, list[ReadSpec]] = {}
    for spec in specs:
        if spec.name is not None:
            by_name.setdefault(spec.name, []).append(spec)
    for name, same in by_name.items():
        for spec in same if len(same) > 1 else ():
            other = next(other for other in same if other is not spec).location
            message = f"{name} is also the name of the spec at {other.path}:{other.line}:{other.col}"
            yield _problem(spec.location, NAME, message, "duplicate-name")


def dependency_problems(specs: Sequence[ReadSpec]) -> Iterator[Problem]:
    """Dependencies on a spec that does not exist, on itself, on one that does not run in the same targets; cycles."""
    by_name = {spec.name: spec for spec in specs if spec.name is not None}
    for spec in specs:
        for reference in spec.references:
            message = _objection(spec, reference, by_name)
            if message is not None:
                yield _problem(reference.location, reference.loc, message, "dependency")
    yield from _cycles(by_name)


def _objection(spec: ReadSpec, reference: Reference, by_name: Mapping[str, ReadSpec]) -> str | None:
    other = by_name.get(reference.name)
    if reference.name == spec.name:
        return f"{spec.name} depends on itself"
    if other is None:
        return f"there is no spec {reference.name}{suggestion(reference.name, by_name)}"
    if reference.needs_kind is not None and other.kind not in {reference.needs_kind, None}:
        return f"{other.name} is of kind {other.kind}, and only a {reference.needs_kind} can be named here"
    absent = [name for name in spec.targets or () if other.targets is not None and name not in other.targets]
    if absent:
        word = "target" if len(absent) == 1 else "targets"
        return f"{other.name} does not run in {word} {', '.join(absent)}, but {spec.name} does"
    return None


def _cycles(by_name: Mapping[str, ReadSpec]) -> Iterator[Problem]:
    """One problem for each cycle, at the reference of its first spec by name."""
    edges = {
        name: {
            reference.name: reference
            for reference in spec.references
            if reference.name != name and reference.name in by_name
        }
        for name, spec in by_name.items()
    }
    _trim(edges)
    seen: set[str] = set()
    for start in sorted(edges):
        trail: list[str] = []
        name = start
        while name not in seen:
            seen.add(name)
            trail.append(name)
            name = min(edges[name])
        if name in trail:
            yield _cycle(trail[trail.index(name) :], edges)


def _cycle(names: Sequence[str], edges: Mapping[str, Mapping[str, Reference]]) -> Problem:
    first = names.index(min(names))
    ring = [*names[first:], *names[:first]]
    reference = edges[ring[0]][ring[1]]
    message = f"dependency cycle: {' → '.join([*ring, ring[0]])}"
    return _problem(reference.location, reference.loc, message, "dependency-cycle")


def _trim(edges: dict[str, dict[str, Reference]]) -> None:
    """Removes every spec from which no cycle can be reached, so that each one left leads to another one left."""
    waiting: dict[str, set[str]] = {name: set() for name in edges}
    for name, following in edges.items():
        for other in following:
            waiting[other].add(name)
    ended = [name for name, following in edges.items() if not following]
    while ended:
        name = ended.pop()
        del edges[name]
        for before in waiting[name]:
            del edges[before][name]
            if not edges[before]:
                ended.append(before)


def _problem(location: Problem, loc: Loc, message: str, rule: str) -> Problem:
    return replace(location, message=f"{path_text(loc)}: {message}", rule=rule)
