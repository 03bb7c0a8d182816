"""Reads a whole project: its specs, and what they say about each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.core.desired import DesiredSpec
from reconciler.errors import Problem, SpecErrors, UsageError
from reconciler.model.project import Project
from reconciler.specs.document import MOST_PROBLEMS, TOO_MANY, Document, Unreadable
from reconciler.specs.files import ChosenFiles, NotReadable, chosen_files, find_files, read_text
from reconciler.specs.json_reader import json_documents
from reconciler.specs.locations import SourceText
from reconciler.specs.messages import suggestion
from reconciler.specs.problems import TooMany, View, at, unreadable
from reconciler.specs.project import ProjectFile
from reconciler.specs.references import dependency_problems, duplicates
from reconciler.specs.spec import ReadSpec, SpecReader
from reconciler.specs.yaml_reader import yaml_documents


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
