"""Reads the specs of a project at a commit, such as the base of a pull request or the commit that a plan was made
from."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from reconciler.core.approval import Base
from reconciler.core.identity import Place
from reconciler.core.settings import project_settings
from reconciler.errors import Problem, SpecErrors
from reconciler.specs import PROJECT_FILE
from reconciler.specs.file_patterns import Patterns, Segments
from reconciler.specs.files import MOST_BYTES, NotReadable, is_wanted, source_text
from reconciler.specs.git import merge_base
from reconciler.specs.git_objects import blobs, tree_entries
from reconciler.specs.parse import SourceText
from reconciler.specs.project import ProjectFile, read_project
from reconciler.specs.requests import place_of
from reconciler.specs.usable import UsableSpecs, load_usable

REGULAR = {"100644", "100755"}  # the modes that git uses for regular files
LINK = "120000"
MOST_NOTES = 5
MOST_PROJECTS = 100  # the maximum number of files that are read to find a moved project


class CommitFiles:
    """The files of a project folder at a commit, read from git's objects.

    Symlinks are not followed and submodules are not entered, because their targets are not part of the commit.
    """

    def __init__(self, root: Path, commit: str, folder: str | None = None) -> None:
        """Lists the files in `folder`, by default in `root`. `__init__`, `read` and `find` raise `ReconcilerError` if
        git cannot read the commit."""
        self._root = root
        self._entries = {entry.path: entry for entry in tree_entries(root, commit, folder)}
        self._contents: dict[str, bytes] = {}

    @property
    def has_project(self) -> bool:
        """`True` if the folder has a project file at the commit."""
        return PROJECT_FILE in self._entries

    def find(self, patterns: Patterns) -> tuple[list[str], list[Problem]]:
        """Returns all files that match a pattern, and a problem for each symlink that matches one."""
        wanted = {path: self._entries[path] for path in sorted(self._entries) if is_wanted(_segments(path), patterns)}
        problems = [
            Problem(path, 1, 1, "a symlink, which is not followed at a commit", "link")
            for path, entry in wanted.items()
            if entry.mode == LINK
        ]
        paths = [path for path, entry in wanted.items() if entry.mode in REGULAR]
        self._fetch(paths)
        return paths, problems

    def read(self, path: str) -> SourceText:
        """Returns the text of a file. Raises `NotReadable`."""
        entry = self._entries.get(path)
        if entry is None or entry.mode not in REGULAR:
            raise NotReadable(Problem(path, 1, 1, "not a regular file of the commit", "not-a-file"))
        self._fetch([path])
        return source_text(path, self._contents[entry.object_id])

    def _fetch(self, paths: Sequence[str]) -> None:
        """Reads the contents of files with a single git process."""
        missing = {self._entries[path].object_id for path in paths} - self._contents.keys()
        if missing:
            self._contents |= blobs(self._root, missing, MOST_BYTES)


def _segments(path: str) -> Segments:
    return tuple(path.split("/"))


def project_at(root: Path, commit: str, place: Place) -> ProjectFile | str:
    """Returns the project at a commit, with its specs read from git's objects. If its name, target, account or region
    differs from `place`, returns the reason instead. Raises `ReconcilerError` if git cannot read the commit.
    """
    file = _project_at(root, commit)
    return file if isinstance(file, str) else _other_place(file, place) or file


def _project_at(root: Path, commit: str) -> ProjectFile | str:
    files = CommitFiles(root, commit)
    try:
        if not files.has_project:
            return f"has no {PROJECT_FILE} in this folder"
        return read_project(root, files)
    except SpecErrors as error:
        return f"has a project file that is not valid: {error.problems[0]}"


def _project_elsewhere(root: Path, commit: str, name: str) -> ProjectFile | None:
    """Returns the project with this name in another folder of the commit, because the folder may have been moved since
    then. Returns `None` if there is not exactly one."""
    files = (entry.path for entry in tree_entries(root, commit, "") if entry.path.rpartition("/")[2] == PROJECT_FILE)
    projects = []
    for path in islice(files, MOST_PROJECTS):
        with suppress(SpecErrors):
            projects.append(read_project(root, CommitFiles(root, commit, path.removesuffix(PROJECT_FILE))))
    named = [each for each in projects if each.project.metadata.name == name]
    return named[0] if len(named) == 1 else None


def _other_place(file: ProjectFile, place: Place) -> str | None:
    if place.target not in file.project.spec.targets or place_of(file.project, place.target) != place:
        return f"does not have this target: {place}"
    return None


def read_base(root: Path, ref: str, place: Place) -> Base:
    """Reads the specs of a target at the newest commit that the checkout and `ref` have in common.

    Invalid specs are left out of the base, and a note reports them. Raises the errors of `merge_base`, and
    `ReconcilerError` if git cannot read the commit.
    """
    commit = merge_base(root, ref)
    file = _project_at(root, commit)
    if isinstance(file, str):
        moved = _project_elsewhere(root, commit, place.project)
        if moved is None:
            return Base(commit, notes=(f"the base ({commit[:12]}) {file}",))
        file = moved
    project = file.project
    settings = project_settings(project, place.target) if place.target in project.spec.targets else None
    if other := _other_place(file, place):
        return Base(commit, settings=settings, notes=(f"the base ({commit[:12]}) {other}",))
    usable = load_usable(file, place.target)
    return Base(
        commit,
        specs=usable.specs,
        invalid={name: spec.message for name, spec in usable.invalid.items() if not spec.elsewhere},
        unnamed=usable.unnamed.message if usable.unnamed is not None else None,
        settings=settings,
        notes=tuple(_notes(commit, usable)),
    )


def _notes(commit: str, usable: UsableSpecs) -> Iterator[str]:
    for problem in usable.problems[:MOST_NOTES]:
        yield f"at the base ({commit[:12]}), {problem}"
    if len(usable.problems) > MOST_NOTES:
        yield f"at the base ({commit[:12]}), there are {len(usable.problems) - MOST_NOTES} more problems"
