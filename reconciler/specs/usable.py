"""Reads all specs of a target in a project that may contain errors. Returns the usable specs, and the specs that are on
hold until the errors are fixed.

While a file cannot be read, a missing spec is not treated as deleted, because it may be in that file.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace

from reconciler.core.desired import DesiredSpec, InvalidSpec
from reconciler.core.identity import Source
from reconciler.errors import Problem
from reconciler.specs.project import ProjectFile, read_all, reported
from reconciler.specs.relations import relation_problems
from reconciler.specs.spec import ReadSpec, SpecReader
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True)
class UsableSpecs:
    """The specs of one target, in a project that may contain errors.

    `specs` are the specs that are valid by themselves, `invalid` are the invalid specs, and `dependents` are the valid
    specs that depend on an invalid one, directly or indirectly. `unnamed` is the problem of a file or document whose
    spec name is unknown, or `None` if every name is known. `problems` are all problems, sorted by location.
    """

    specs: Mapping[str, DesiredSpec]
    invalid: Mapping[str, InvalidSpec] = field(default_factory=dict)
    dependents: Mapping[str, InvalidSpec] = field(default_factory=dict)
    unnamed: InvalidSpec | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def on_hold(self) -> dict[str, InvalidSpec]:
        """The specs that are on hold: the invalid ones, and those that depend on one."""
        return {**self.dependents, **self.invalid}

    @property
    def ready(self) -> dict[str, DesiredSpec]:
        """The specs that are not on hold."""
        return {name: spec for name, spec in self.specs.items() if name not in self.dependents}


def load_usable(file: ProjectFile, target: str) -> UsableSpecs:
    """Reads the specs of a project for one of its targets."""
    paths, unread = file.files.find(file.patterns)
    specs = read_all(file.files, paths, SpecReader(file.project, [target], warn=False), unread)
    relations = list(relation_problems(specs, [target]))
    problems = [*unread, *(problem for spec in specs for problem in spec.problems), *(each for _, each in relations)]
    invalid = _invalid(specs, unread, relations, target)
    usable = {spec.name: spec.desired[target] for spec in specs if spec.name is not None and target in spec.desired}
    unnamed = sorted([*unread, *(each for spec in specs for each in _unnamed(spec))], key=Problem.order)
    return UsableSpecs(
        specs={name: usable[name] for name in sorted(usable.keys() - invalid.keys())},
        invalid=invalid,
        dependents=_dependents(specs, invalid, target),
        unnamed=_because(unnamed) if unnamed else None,
        problems=tuple(sorted(reported(problems, specs), key=Problem.order)),
    )


def _invalid(
    specs: Sequence[ReadSpec], unread: Sequence[Problem], relations: Sequence[tuple[str, Problem]], target: str
) -> dict[str, InvalidSpec]:
    """Returns the specs that have a problem themselves, in their file, or with other specs, keyed by their current and
    former names.
    """
    by_path: dict[str, list[Problem]] = {}
    for problem in unread:
        by_path.setdefault(problem.path, []).append(problem)
    by_name: dict[str, list[Problem]] = {}
    for name, problem in relations:
        by_name.setdefault(name, []).append(problem)
    valid = {spec.name for spec in specs if not spec.problems}
    invalid: dict[str, InvalidSpec] = {}
    for spec in specs:
        problems = [*spec.problems, *by_path.get(spec.location.path, ()), *by_name.get(spec.name or "", ())]
        foreign = spec.name is None and spec.claimed in valid  # a file of another tool, not the spec with this name
        if problems and not foreign:
            why = replace(_because(problems, spec), elsewhere=_is_elsewhere(spec, target))
            _add(invalid, spec, why, valid)
    return invalid


def _add(invalid: dict[str, InvalidSpec], spec: ReadSpec, why: InvalidSpec, valid: Collection[str | None] = ()) -> None:
    """Adds a spec under its current and its former name, unless a valid spec has the former name. The entry for the
    former name has an effect only if the ledger has a record of that name."""
    names = {spec.claimed: why, spec.formerly: replace(why, elsewhere=spec.formerly not in valid)}
    for name, each in names.items():
        if name is not None and (name not in invalid or invalid[name].elsewhere):
            invalid[name] = each


def _is_elsewhere(spec: ReadSpec, target: str) -> bool:
    """Returns whether `spec`, which has a problem, certainly does not run in `target`."""
    # A misspelt target may be meant as this one.
    unknown = any(problem.rule == "unknown-target" for problem in spec.problems)
    return not unknown and spec.targets is not None and target not in spec.targets


def _unnamed(spec: ReadSpec) -> Iterator[Problem]:
    """Yields the problems of documents that may be specs with names other than they appear to have."""
    if spec.problems and not spec.is_named:
        yield from spec.problems


def _because(problems: Sequence[Problem], spec: ReadSpec | None = None) -> InvalidSpec:
    ordered = tuple(sorted(dict.fromkeys(problems), key=Problem.order))
    if spec is None:
        return InvalidSpec("", Source(ordered[0].path, ordered[0].line), ordered)
    return InvalidSpec(spec.kind or "", _source(spec), ordered, labels=spec.labels)


def _source(spec: ReadSpec) -> Source:
    return Source(spec.location.path, spec.location.line)


def _dependents(specs: Sequence[ReadSpec], invalid: Mapping[str, InvalidSpec], target: str) -> dict[str, InvalidSpec]:
    """Returns the valid specs that depend on an invalid one in this target."""
    waiting: dict[str, list[ReadSpec]] = {}
    for spec in specs:
        for reference in spec.references:
            waiting.setdefault(reference.name, []).append(spec)
    dependents: dict[str, InvalidSpec] = {}
    # Taken from the end, so that a spec with several causes always names the first one.
    open_names = [(name, name) for name in sorted(invalid, reverse=True)]
    while open_names:
        name, cause = open_names.pop()
        for spec in waiting.get(name, ()):
            if spec.name is None or spec.name in invalid or spec.name in dependents or target not in spec.desired:
                continue
            why = InvalidSpec(spec.kind or "", _source(spec), invalid[cause].problems, cause, spec.labels)
            _add(dependents, spec, why)
            open_names.append((spec.name, cause))
    return dependents
