"""What specs say about each other: names taken twice, dependencies that do not exist, cycles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.errors import Problem
from reconciler.specs.locations import spelt
from reconciler.specs.messages import near
from reconciler.specs.spec import NAME, Mention, ReadSpec


def duplicates(specs: Sequence[ReadSpec]) -> Iterator[Problem]:
    """A problem at each place of a name that several specs have."""
    by_name: dict[str, list[ReadSpec]] = {}
    for spec in specs:
        if spec.name is not None:
            by_name.setdefault(spec.name, []).append(spec)
    for name, same in by_name.items():
        for spec in same if len(same) > 1 else ():
            other = next(other for other in same if other is not spec).place
            message = f"another spec is called {name}, at {other.path}:{other.line}:{other.col}"
            yield _said(spec.place, f"{spelt(NAME)}: {message}", "duplicate-name")


def dependency_problems(specs: Sequence[ReadSpec]) -> Iterator[Problem]:
    """Dependencies on what does not exist, on itself, on what does not run in the same targets, and cycles."""
    known = {spec.name: spec for spec in specs if spec.name is not None}
    for spec in specs:
        for mention in spec.mentions:
            message = _wrong(spec, mention, known)
            if message is not None:
                yield _said(mention.place, f"{spelt(mention.loc)}: {message}", "dependency")
    yield from _cycles(known)


def _wrong(spec: ReadSpec, mention: Mention, known: Mapping[str, ReadSpec]) -> str | None:
    other = known.get(mention.name)
    if mention.name == spec.name:
        return f"{spec.name} depends on itself"
    if other is None:
        return f"no spec is called {mention.name}{near(mention.name, tuple(known))}"
    if mention.needs_kind is not None and other.kind not in {mention.needs_kind, None}:
        return f"{other.name} is of kind {other.kind}, and only a {mention.needs_kind} can be waited for here"
    absent = [name for name in spec.targets or () if other.targets is not None and name not in other.targets]
    if absent:
        word = "target" if len(absent) == 1 else "targets"
        return f"{other.name} does not run in {word} {', '.join(absent)}, where {spec.name} does"
    return None


def _cycles(known: Mapping[str, ReadSpec]) -> Iterator[Problem]:
    """One problem for each cycle, at the mention that its first spec by name goes on with."""
    edges = {
        name: {mention.name: mention for mention in spec.mentions if mention.name in known and mention.name != name}
        for name, spec in known.items()
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


def _cycle(names: Sequence[str], edges: Mapping[str, Mapping[str, Mention]]) -> Problem:
    first = names.index(min(names))
    ring = [*names[first:], *names[:first]]
    mention = edges[ring[0]][ring[1]]
    message = f"{spelt(mention.loc)}: a cycle of dependencies: {' → '.join([*ring, ring[0]])}"
    return _said(mention.place, message, "dependency-cycle")


def _trim(edges: dict[str, dict[str, Mention]]) -> None:
    """Removes every spec from which no cycle can be reached, so that each one left goes on to another one left."""
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


def _said(place: Problem, message: str, rule: str) -> Problem:
    return replace(place, message=message, rule=rule)
