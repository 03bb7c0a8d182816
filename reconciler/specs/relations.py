"""Finds problems between specs: duplicate names, former names, dependencies and their cycles."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.core.suggestions import NearNames
from reconciler.errors import Problem
from reconciler.model.base import Loc
from reconciler.model.kind import kind_named
from reconciler.specs.parse import path_text
from reconciler.specs.spec import NAME, ReadSpec, Reference, position

Named = tuple[str, Problem]
"""A problem and the name of the spec that has the problem."""


def relation_problems(specs: Sequence[ReadSpec], targets: Collection[str]) -> Iterator[Named]:
    """Yields the problems between specs in the given targets: each location of a duplicate name, conflicts of former
    names, and dependencies on a missing spec, on the spec itself, on a spec that does not run there, or in a cycle."""
    yield from _duplicates(specs)
    yield from _rename_problems(specs, targets)
    by_name = {spec.name: spec for spec in specs if spec.name is not None}
    missing: list[tuple[ReadSpec, Reference]] = []
    for spec in specs:
        for reference in spec.references:
            other = by_name.get(reference.name)
            if other is None:
                missing.append((spec, reference))
            elif (message := _objection(spec, reference, other, targets)) is not None:
                yield spec.name or "", _problem(reference.location, reference.loc, message, "dependency")
    if missing:
        yield from _missing(missing, by_name)
    yield from _cycles(by_name)


def _missing(references: Iterable[tuple[ReadSpec, Reference]], names: Iterable[str]) -> Iterator[Named]:
    """Yields a problem at each dependency on a spec that does not exist."""
    # Built only if a name is missing, because it takes time for many specs.
    near = NearNames(names)
    for spec, reference in references:
        close = near.to(reference.name)
        message = f"there is no spec {reference.name}{f'; did you mean {close}?' if close else ''}"
        yield spec.name or "", _problem(reference.location, reference.loc, message, "dependency")


def _duplicates(specs: Sequence[ReadSpec]) -> Iterator[Named]:
    by_name: dict[str, list[ReadSpec]] = {}
    for spec in specs:
        if spec.name is not None:
            by_name.setdefault(spec.name, []).append(spec)
    for name, same in by_name.items():
        for spec in same if len(same) > 1 else ():
            other = next(other for other in same if other is not spec).location
            yield (
                name,
                _problem(
                    spec.location, NAME, f"{name} is also the name of the spec at {position(other)}", "duplicate-name"
                ),
            )


def _rename_problems(specs: Sequence[ReadSpec], targets: Collection[str]) -> Iterator[Named]:
    """Yields a problem at each former name that, in a common target, is another spec's current name or is also declared
    as another spec's former name.
    """
    named: dict[str, list[ReadSpec]] = {}
    claimed: dict[str, list[ReadSpec]] = {}
    for spec in specs:
        if spec.name is not None:
            named.setdefault(spec.name, []).append(spec)
        if spec.former is not None:
            claimed.setdefault(spec.former.name, []).append(spec)
    for name, claims in claimed.items():
        for spec in claims:
            still, other = (_sharing(spec, others, targets) for others in (named.get(name, ()), claims))
            if (message := _rename_objection(spec, name, still, other)) and spec.former is not None:
                yield spec.name or "", _problem(spec.former.location, spec.former.loc, message, "renamed-from")


def _sharing(spec: ReadSpec, others: Iterable[ReadSpec], targets: Collection[str]) -> ReadSpec | None:
    """Returns the first other spec that may run in one of the targets of `spec`."""
    return next((other for other in others if other is not spec and _share(spec, other, targets)), None)


def _share(one: ReadSpec, other: ReadSpec, targets: Collection[str]) -> bool:
    """Returns whether two specs may both run in one of the targets. Returns `True` if the targets of either spec are
    unknown.
    """
    if one.targets is None or other.targets is None:
        return True
    return not {*one.targets}.isdisjoint({*other.targets} & {*targets})


def _rename_objection(spec: ReadSpec, former: str, of_that_name: ReadSpec | None, claim: ReadSpec | None) -> str | None:
    """Returns why a spec cannot have had the name `former`, or `None`. The other specs run in one of its targets."""
    if former == spec.name:
        return f"{former} is the name of this spec; give the name that it had before"
    if of_that_name is not None:
        return (
            f"{former} is still in the project, at {position(of_that_name.location)}. Remove that spec or, if it is "
            "another spec by now, remove renamedFrom"
        )
    return None if claim is None else f"{former} is also the former name of the spec at {position(claim.location)}"


def _objection(spec: ReadSpec, reference: Reference, other: ReadSpec, targets: Collection[str]) -> str | None:
    if reference.name == spec.name:
        return f"{spec.name} depends on itself"
    # A spec whose kind is unknown has a problem of its own.
    if reference.needs_kind is not None and other.kind not in {reference.needs_kind, None}:
        return f"{other.name} is of kind {other.kind}, and only a {reference.needs_kind} can be named here"
    run_in = [name for name in spec.targets or () if name in targets]
    absent = [name for name in run_in if other.targets is not None and name not in other.targets]
    if absent:
        word = "target" if len(absent) == 1 else "targets"
        return f"{other.name} does not run in {word} {', '.join(absent)}, but {spec.name} does"
    return None


def reference_warnings(specs: Sequence[ReadSpec]) -> Iterator[Problem]:
    """Yields warnings about requests that refer to another spec with a condition that they cannot wait for."""
    by_name = {spec.name: spec for spec in specs if spec.name is not None}
    for spec in specs:
        for reference in spec.references:
            other = by_name.get(reference.name)
            if reference.needs_kind is None or other is None or other.kind != reference.needs_kind:
                continue
            problem_of = kind_named(reference.needs_kind).reference_problem
            for target in spec.desired.keys() & other.desired.keys():
                requests = spec.desired[target].request, other.desired[target].request
                if problem := problem_of(requests[0], reference.condition, requests[1]):
                    message = f"{reference.name}: {problem}"
                    yield replace(_problem(reference.location, reference.loc, message, "reference"), severity="warning")
                    break


def _cycles(by_name: Mapping[str, ReadSpec]) -> Iterator[Named]:
    """Yields one problem for each cycle, at the reference in the first of its specs, sorted by name."""
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
            # Any edge leads to a cycle after `_trim`. The smallest name makes the message the same in every run.
            name = min(edges[name])
        if name in trail:
            yield _cycle(trail[trail.index(name) :], edges)


def _cycle(names: Sequence[str], edges: Mapping[str, Mapping[str, Reference]]) -> Named:
    first = names.index(min(names))
    ring = [*names[first:], *names[:first]]
    reference = edges[ring[0]][ring[1]]
    message = f"dependency cycle: {' → '.join([*ring, ring[0]])}"
    return ring[0], _problem(reference.location, reference.loc, message, "dependency-cycle")


def _trim(edges: dict[str, dict[str, Reference]]) -> None:
    """Removes every spec that does not lead to a cycle. Then every remaining spec depends on another remaining spec."""
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
