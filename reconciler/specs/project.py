"""Finds the project folder and reads reconciler.yaml."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from reconciler.errors import Problem, SpecErrors, UsageError
from reconciler.model.base import Loc
from reconciler.model.project import Project
from reconciler.model.spec import API_VERSION
from reconciler.specs.document import Document, Unreadable
from reconciler.specs.files import MOST_ALTERNATIVES, PROJECT_FILE, NotReadable, Segments, expanded, matches, read_text
from reconciler.specs.locations import SourceText
from reconciler.specs.problems import TooMany, View, at, suggestion, unreadable
from reconciler.specs.readers import yaml_documents

SPECS_FOLDER = "specs"
DEFAULT_TARGET: Loc = ("spec", "defaultTarget")


def find_root(chosen: Path | None, cwd: Path) -> Path:
    """Finds the project folder: `chosen` (``-C DIR``, relative to `cwd`), else `cwd`, else its ``specs`` folder.

    Raises `UsageError` if there is no ``reconciler.yaml``.
    """
    if chosen is not None:
        folder = cwd / chosen
        if not _is_project(folder):
            raise UsageError(
                f"no {PROJECT_FILE} in {chosen}. To start a project there, run reconciler -C {chosen} init"
            )
        return folder
    for folder in (cwd, cwd / SPECS_FOLDER):
        if _is_project(folder):
            return folder
    raise UsageError(
        f"no {PROJECT_FILE} here or in ./{SPECS_FOLDER}: give the project folder with -C DIR, or start a project with "
        "reconciler init"
    )


def _is_project(folder: Path) -> bool:
    return os.path.lexists(folder / PROJECT_FILE)  # an unusable project file is an error of its own, not "no project"


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """The project in the folder `root`, and the document it was read from."""

    root: Path
    project: Project
    view: View

    @property
    def patterns(self) -> list[Segments]:
        """The patterns of the project's spec files."""
        return [segments for pattern in self.project.spec.specs for segments in expanded(pattern)]

    def unused(self, paths: Sequence[str]) -> Iterator[Problem]:
        """A warning for each pattern that matches no file: most often a folder was moved."""
        for index, pattern in enumerate(self.project.spec.specs):
            if not any(matches(segments, tuple(path.split("/"))) for segments in expanded(pattern) for path in paths):
                loc = ("spec", "specs", index)
                yield self.view.problem(loc, f"no file matches {pattern}", "no-files", "warning")


def read_project(root: Path) -> ProjectFile:
    """Reads the project file of a folder. Raises `SpecErrors` with everything that is wrong in it."""
    try:
        source = read_text(root.resolve(), PROJECT_FILE)
    except NotReadable as error:
        raise SpecErrors([error.problem]) from None
    try:
        documents = list(yaml_documents(source.text))
    except Unreadable as error:
        raise SpecErrors(list(unreadable(source, error))) from None
    try:
        return _project(root, source, documents)
    except TooMany as error:
        raise SpecErrors(error.problems) from None


def _project(root: Path, source: SourceText, documents: list[Document]) -> ProjectFile:
    if len(documents) != 1:
        offset = documents[1].offset if documents else 0
        raise SpecErrors([at(source, offset, f"expected one document, got {len(documents)}", "project")])
    view = View(source, documents[0])
    problems = list(view.flaws())
    project = None
    if not isinstance(view.document.value, dict) or "apiVersion" not in view.document.value:
        problems.append(view.problem((), f"expected apiVersion: {API_VERSION}", "api-version"))
    else:
        try:
            project = Project.model_validate(view.document.value)
        except ValidationError as error:
            problems += view.refused(error, Project)
    if project is not None:
        problems += _rules(view, project)
    if problems or project is None:
        raise SpecErrors(problems)
    return ProjectFile(root, project, view)


def _rules(view: View, project: Project) -> Iterator[Problem]:
    """The rules that no single field of the model can express."""
    default = project.spec.defaultTarget
    if default is not None and default not in project.spec.targets:
        message = f"there is no target {default}{suggestion(default, project.spec.targets, 'the targets are')}"
        yield view.problem(DEFAULT_TARGET, message, "unknown-target")
    for name, target in project.spec.targets.items():
        loc: Loc = ("spec", "targets", name)
        for field in target.missing():
            yield view.problem((*loc, field), "is missing: only emulator targets may omit it", "missing")
        if target.is_emulator and target.ledger is not None and not target.ledger.startswith("sqlite:"):
            yield view.problem((*loc, "ledger"), "the emulator's ledger is a local file: sqlite:///PATH", "ledger")
    total = 0
    for index, pattern in enumerate(project.spec.specs):
        try:
            total += len(expanded(pattern))
        except ValueError as error:
            yield view.problem(("spec", "specs", index), f"{pattern}: {error}", "glob")
    if total > MOST_ALTERNATIVES:
        yield view.problem(("spec", "specs"), f"expands to more than {MOST_ALTERNATIVES} patterns", "glob")
