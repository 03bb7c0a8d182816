"""Reads a whole project: its specs, and what they say about each other (duplicates, dependencies, cycles)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.core.desired import DesiredSpec
from reconciler.errors import Problem, SpecErrors, UsageError
from reconciler.model.base import Loc
from reconciler.model.project import Project
from reconciler.specs.document import MOST_PROBLEMS, TOO_MANY, Document, Unreadable
from reconciler.specs.files import ChosenFiles, NotReadable, chosen_files, find_files, read_text
from reconciler.specs.locations import SourceText, path_text
from reconciler.specs.problems import TooMany, View, at, suggestion, unreadable
from reconciler.specs.project import ProjectFile
from reconciler.specs.readers import json_documents, yaml_documents
from reconciler.specs.spec import NAME, ReadSpec, Reference, SpecReader


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


@dataclass(frozen=True, slots=True)
class Loaded:
    """A project without errors, as far as that can be checked offline.

    `specs` has every requested target, each with the specs that run in it by name, sorted. `warnings` are sorted by
    location. `count` is the number of specs, of the chosen files if files were chosen.
    """

    specs: Mapping[str, Mapping[str, DesiredSpec]]
    warnings: tuple[Problem, ...]
    count: int


def load(
    file: ProjectFile,
    targets: Sequence[str] | None = None,
    only_paths: Sequence[Path] | None = None,
    *,
    warn: bool = True,
) -> Loaded:
    """Reads the specs of a project for some of its targets (`None`: all of them); `warn` looks for warnings too.

    With `only_paths` the whole project is read, but only the problems, warnings and specs of these files, and of the
    files below these folders, count. Raises `SpecErrors` with everything that is wrong, and `UsageError` for targets
    and paths that the project does not have.
    """
    chosen = chosen_files(file.root, only_paths) if only_paths is not None else None
    names = _targets(file.project, targets)
    real_root = file.root.resolve()  # a link to the project that is changed meanwhile does not change this reading
    paths, problems = find_files(real_root, file.patterns)
    specs = list(_read_specs(real_root, paths, SpecReader(file.project, names, warn=warn), problems))
    for spec in specs:
        problems += spec.problems
    problems += duplicates(specs)
    problems += dependency_problems(specs)
    problems = [problem for problem in problems if _is_chosen(chosen, problem)]
    if problems:
        raise SpecErrors(list(dict.fromkeys(problems)))
    counted = [spec for spec in specs if _is_chosen(chosen, spec.location)]
    warnings = {warning for spec in counted for warning in spec.warnings}
    if chosen is None:
        warnings.update(file.unused(paths))
    ordered = tuple(sorted(warnings, key=Problem.order))
    return Loaded(_by_target(specs, names), ordered, len(counted))


def _targets(project: Project, names: Sequence[str] | None) -> tuple[str, ...]:
    targets = tuple(project.spec.targets)
    for name in names or ():
        if name not in targets:
            raise UsageError(f"there is no target {name}{suggestion(name, targets, 'the targets are')}")
    return targets if names is None else tuple(names)


def _read_specs(root: Path, paths: Sequence[str], reader: SpecReader, problems: list[Problem]) -> Iterator[ReadSpec]:
    """Every document of every file, as a spec; what is wrong with files as such goes to `problems`."""
    for path in paths:
        try:
            source = read_text(root, path)
        except NotReadable as error:
            problems.append(error.problem)
            continue
        is_empty, reported = True, 0
        try:
            for document in documents(source):
                is_empty = False
                read = reader.read(View(source, document))
                reported += len(read.problems)
                yield read
                if reported > MOST_PROBLEMS:
                    raise Unreadable(document.offset, TOO_MANY, "too-many")
        except Unreadable as error:
            problems += unreadable(source, error)
        except TooMany as error:
            problems += error.problems
        else:
            if is_empty:
                problems.append(at(source, 0, "no document in this file: write a spec, or remove the file", "empty"))


def documents(source: SourceText) -> Iterator[Document]:
    """The documents of a file by its name: one of JSON, any number of YAML. Raises `Unreadable`."""
    read = json_documents if source.path.endswith(".json") else yaml_documents
    return read(source.text)


def _is_chosen(chosen: ChosenFiles | None, problem: Problem) -> bool:
    return chosen is None or problem.path in chosen


def _by_target(specs: Sequence[ReadSpec], targets: Sequence[str]) -> dict[str, dict[str, DesiredSpec]]:
    ordered = sorted(((s.name, s.desired) for s in specs if s.name is not None), key=lambda named: named[0])
    return {target: {name: desired[target] for name, desired in ordered if target in desired} for target in targets}
