"""Reading a whole project: its file, its specs, and what they say about each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.core.desired import DesiredSpec
from reconciler.errors import Problem, SpecErrors, UsageError
from reconciler.model.project import Project
from reconciler.specs.files import Chosen, NotText, chosen_files, find_files, read_text
from reconciler.specs.json_reader import json_documents
from reconciler.specs.locations import SourceText
from reconciler.specs.messages import near
from reconciler.specs.problems import TooMany, View, at, unreadable
from reconciler.specs.project import ProjectFile, read_project
from reconciler.specs.references import dependency_problems, duplicates
from reconciler.specs.spec import ReadSpec, SpecChecker
from reconciler.specs.yaml_reader import MOST_PROBLEMS, TOO_MANY, Document, Unreadable, yaml_documents


@dataclass(frozen=True, slots=True)
class Loaded:
    """A project that is right as far as can be said offline.

    `specs` has every target that was asked for, each with the specs that run in it by name, sorted. `warnings` are
    sorted by place. `count` is the number of specs, of the files asked for where files were.
    """

    root: Path
    project: Project
    specs: Mapping[str, Mapping[str, DesiredSpec]]
    warnings: tuple[Problem, ...]
    count: int


def load(
    project: Path | ProjectFile,
    targets: Sequence[str] | None = None,
    only_paths: Sequence[Path] | None = None,
    *,
    warn: bool = True,
) -> Loaded:
    """Reads the specs of a project for some of its targets (`None`: all of them); `warn` looks for warnings too.

    `project` is the project file as `read_project` returned it, or the folder to read it from.
    With `only_paths` the whole project is read, and problems, warnings and the count are those of these files, and of
    all files below these folders. Raises `SpecErrors` with everything that is wrong, `UsageError` for targets and paths
    that the project does not have.
    """
    root = project if isinstance(project, Path) else project.root
    chosen = chosen_files(root, only_paths) if only_paths is not None else None
    file = read_project(root) if isinstance(project, Path) else project
    names = _targets(file.project, targets)
    real_root = root.resolve()  # a link to the project that is turned meanwhile changes nothing of this reading
    found = find_files(real_root, file.patterns)
    problems = list(found.problems)
    specs = list(_read_specs(real_root, found.paths, SpecChecker(file.project, names, warn=warn), problems))
    for spec in specs:
        problems += spec.problems
    problems += duplicates(specs)
    problems += dependency_problems(specs)
    problems = [problem for problem in problems if _is_chosen(chosen, problem)]
    if problems:
        raise SpecErrors(list(dict.fromkeys(problems)))
    mine = [spec for spec in specs if _is_chosen(chosen, spec.place)]
    warnings = [warning for spec in mine for warning in spec.warnings]
    if chosen is None:
        warnings += file.unused(found.paths)
    told = tuple(sorted(set(warnings), key=Problem.order))
    return Loaded(root, file.project, _by_target(specs, names), told, len(mine))


def _targets(project: Project, asked: Sequence[str] | None) -> tuple[str, ...]:
    known = tuple(project.spec.targets)
    for name in asked or ():
        if name not in known:
            raise UsageError(f"no target is called {name}{near(name, known) or '; there are ' + ', '.join(known)}")
    return known if asked is None else tuple(asked)


def _read_specs(root: Path, paths: Sequence[str], checker: SpecChecker, problems: list[Problem]) -> Iterator[ReadSpec]:
    """Every document of every file, as a spec; what is wrong with files as such goes to `problems`."""
    for path in paths:
        try:
            source = read_text(root, path)
        except NotText as error:
            problems.append(error.problem)
            continue
        number = told = 0
        try:
            for document in documents(source):
                number += 1
                read = checker.check(View(source, document))
                told += len(read.problems)
                yield read
                if told > MOST_PROBLEMS:
                    raise Unreadable(document.offset, TOO_MANY, "too-many")
        except Unreadable as error:
            problems += unreadable(source, error)
            continue
        except TooMany as error:
            problems += error.problems
            continue
        if not number:
            problems.append(at(source, 0, "no document in this file: write a spec, or remove it", "empty"))


def documents(source: SourceText) -> Iterator[Document]:
    """The documents of a file by its name: one of JSON, any number of YAML. Raises `Unreadable`."""
    read = json_documents if source.path.endswith(".json") else yaml_documents
    return read(source.text)


def _is_chosen(chosen: Chosen | None, problem: Problem) -> bool:
    return chosen is None or problem.path in chosen


def _by_target(specs: Sequence[ReadSpec], targets: Sequence[str]) -> dict[str, dict[str, DesiredSpec]]:
    ordered = sorted((spec for spec in specs if spec.name is not None), key=lambda spec: spec.name or "")
    return {name: {spec.name or "": spec.desired[name] for spec in ordered if name in spec.desired} for name in targets}
