"""Finds the files of a project, and reads their text within size limits."""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import field
from pathlib import Path
from typing import Protocol

from reconciler.errors import Problem, UsageError
from reconciler.specs import PROJECT_FILE
from reconciler.specs.file_patterns import EXCEPT, Patterns, Segments
from reconciler.specs.parse import SourceText
from reconciler.specs.stamps import FoundFolder, entries_digest, inode_of
from reconciler.values import dataclass

_PLAN_FILE = re.compile(
    rb'\s*\{\s*"format_version"\s*:\s*"[^"]*"\s*,\s*"tool_version"\s*:'
    rb'|\{"format":\d+,"fold":"[^"]*","tool_version":'  # ledger export --snapshot
)

MOST_BYTES = 1024 * 1024  # 1 MiB
PLAN_START = 200  # bytes at the start of a file, which are enough to recognize a plan file
BOM = "\ufeff"
DEEPEST_FOLDER = 64
MOST_LINKED = 10_000  # files and folders reached through symlinks
LEAVES = "symlink out of the project: its target is not part of the review"
NOT_REGULAR = "not a regular file"
OPENING = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY"))
"""With `O_NONBLOCK`, opening a pipe that has replaced the file does not wait for a writer."""


class NotReadable(Exception):
    """Raised for a file that cannot be used. `problem` contains the reason."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class IsPlanFile(NotReadable):
    """Raised for a file that `plan` wrote, with ``--out`` or as JSON, and for a snapshot of the ledger. Such a file is
    not a spec, and no problem is reported for it."""


def find_files(
    root: Path, patterns: Patterns, folders: list[FoundFolder] | None = None, similar: list[str] | None = None
) -> tuple[list[str], list[Problem]]:
    """Returns all files below `root` that match a pattern, sorted, and the problems with files and folders. Appends the
    searched folders to `folders`, and the files that would match in lower case and without spaces to `similar`.

    The paths of files are relative to the project and use forward slashes. Hidden files and the project file are left
    out.
    """
    real_root = os.path.realpath(root)
    search = _Search(real_root, patterns)
    search.folder(str(root), (), (real_root,), linked=False)
    if folders is not None:
        folders += search.folders
    if similar is not None:
        similar += search.similar
    return sorted(search.paths), search.problems


class ProjectFiles(Protocol):
    """The source of a project's files: a folder or a commit."""

    def find(self, patterns: Patterns) -> tuple[list[str], list[Problem]]:
        """Returns all files that match a pattern, as `find_files` does."""
        ...

    def read(self, path: str) -> SourceText:
        """Returns the text of a spec file or of the project file. Raises `NotReadable`."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """The files in the folder of a project. `root` is the folder without symlinks, so that changing a symlink to it
    during a pass has no effect on what is read. `paths` are the files found by the last search, `searched` are the
    folders that it searched, and `similar` are the files that it left out only because of capitals or spaces in their
    names."""

    root: Path
    paths: list[str] = field(default_factory=list, compare=False)
    searched: list[FoundFolder] = field(default_factory=list, compare=False)
    similar: list[str] = field(default_factory=list, compare=False)

    def find(self, patterns: Patterns) -> tuple[list[str], list[Problem]]:
        """Returns all files that match a pattern, and the problems with files and folders."""
        self.searched.clear()
        self.similar.clear()
        self.paths[:], problems = find_files(self.root, patterns, self.searched, self.similar)
        return list(self.paths), problems

    def read(self, path: str) -> SourceText:
        """Returns the text of a file. Raises `NotReadable`."""
        return read_text(self.root, path)


def is_wanted(path: Segments, patterns: Patterns) -> bool:
    """Returns whether `path` may be a spec: it is not hidden, not the project file, and matches a pattern."""
    if path == (PROJECT_FILE,) or any(segment.startswith(".") for segment in path):
        return False
    return patterns.match(path)


class _Search:
    """A search through the folders of a project. It limits the number of files and folders reached through symlinks,
    because a few symlinks can lead to millions of paths.
    """

    def __init__(self, root: str, patterns: Patterns) -> None:
        self._root, self._patterns = root, patterns
        self._behind_links = 0
        self.paths: list[str] = []
        self.similar: list[str] = []
        self.problems: list[Problem] = []
        self.folders: list[FoundFolder] = []

    def folder(self, folder: str, at: Segments, inside: tuple[str, ...], *, linked: bool) -> None:
        """Searches a folder. `inside` are the real folders on the path to it. `linked` is true if the path contains a
        symlink.
        """
        if len(at) > DEEPEST_FOLDER:
            self._problem(at, f"folders nested deeper than {DEEPEST_FOLDER} levels", "nesting")
            return
        try:
            # Before the entries are read, so that a folder that replaces this one is noticed later.
            inode = inode_of(os.stat(folder))
            with os.scandir(folder) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._problem(at, f"cannot read this folder: {_why(error)}", "unreadable")
            return
        wanted, others = self._patterns.in_folder(at), list[os.DirEntry[str]]()
        project_file = "" if at else PROJECT_FILE
        for entry in ordered:
            self._behind_links += linked
            if self._behind_links > MOST_LINKED:
                if self._behind_links == MOST_LINKED + 1:
                    self._problem(
                        at, f"symlinks to folders lead to more than {MOST_LINKED:,} files and folders", "link"
                    )
                return
            # The listing contains the type, so that a file needs no further system call.
            name, is_plain = entry.name, entry.is_file(follow_symlinks=False)
            if name.startswith(".") or (is_plain and name == project_file):
                continue
            if is_plain and wanted(name):
                self.paths.append("/".join((*at, name)))
                continue
            others.append(entry)
            if is_plain and wanted(name.strip().lower()) and not self._patterns.leaves_out((*at, name)):
                self.similar.append("/".join((*at, name)))
            elif not is_plain and name != project_file:
                self._entry(entry, (*at, name), inside, linked=linked)
        self.folders.append(FoundFolder("/".join(at), entries_digest(others), inode))

    def _entry(self, entry: os.DirEntry[str], path: Segments, inside: tuple[str, ...], *, linked: bool) -> None:
        """Searches a folder, follows a symlink, or reports a pipe, a socket or a device, which is never opened, because
        opening it can have side effects."""
        if entry.is_symlink():
            self._link(entry, path, inside)
        elif entry.is_dir():
            if self._patterns.may_hold(path):
                self.folder(entry.path, path, (*inside, os.path.realpath(entry.path)), linked=linked)
        elif self._patterns.match(path):
            self._problem(path, NOT_REGULAR, "not-a-file")

    def _link(self, entry: os.DirEntry[str], path: Segments, inside: tuple[str, ...]) -> None:
        """Follows a symlink inside the project. A symlink that leaves the project, is broken or forms a loop is an
        error."""
        real = os.path.realpath(entry.path)
        is_folder = os.path.isdir(real)
        if is_folder and not self._patterns.may_hold(path):
            return
        if not is_folder and not self._patterns.match(path):
            return
        if not _is_within(real, self._root):
            self._problem(path, LEAVES, "link")
        elif is_folder and real in inside:
            self._problem(path, "symlink to a folder that contains it", "link")
        elif not os.path.exists(real):
            self._problem(path, "broken symlink", "link")
        elif is_folder:
            self.folder(entry.path, path, (*inside, real), linked=True)
        elif os.path.isfile(real):
            self.paths.append("/".join(path))
        else:
            self._problem(path, NOT_REGULAR, "not-a-file")

    def _problem(self, path: Segments, message: str, rule: str) -> None:
        self.problems.append(_whole(_shown(path), message, rule))


def _is_within(real: str, root: str) -> bool:
    return real == root or real.startswith(root.rstrip(os.sep) + os.sep)


def read_text(root: Path, path: str) -> SourceText:
    """Returns the text of a file. `root` is the project's real folder, without symlinks.

    Raises `NotReadable` for a file that is not a regular file of the project, is too large, is not UTF-8, or cannot be
    read.
    """
    _check_name(path)
    try:
        content = _content(root, path)
    except OSError as error:
        raise NotReadable(_whole(path, f"cannot read this file: {_why(error)}", "unreadable")) from None
    return source_text(path, content)


def source_text(path: str, content: bytes) -> SourceText:
    """Returns the text of a file with this content. Raises `IsPlanFile`, and `NotReadable` if the file is too large, is
    not UTF-8, or has a path that cannot be printed."""
    _check_name(path)
    # Before the size is checked, because a plan file may be larger than any spec.
    if _PLAN_FILE.match(content):
        raise IsPlanFile(_whole(path, "a plan file, which is not part of a project", "plan-file"))
    if len(content) > MOST_BYTES:
        raise NotReadable(_whole(path, "larger than 1 MiB: split the file", "too-large"))
    return SourceText(path, _decoded(path, content).removeprefix(BOM))


def is_plan_file(path: Path) -> bool:
    """Returns whether `path` is a regular file that `plan` wrote, or a snapshot of the ledger."""
    try:
        descriptor = os.open(path, OPENING)
    except OSError:
        return False
    with open(descriptor, "rb") as file:
        return stat.S_ISREG(os.fstat(descriptor).st_mode) and _PLAN_FILE.match(file.read(PLAN_START)) is not None


def _check_name(path: str) -> None:
    shown = _shown(tuple(path.split("/")))
    if shown != path:
        raise NotReadable(_whole(shown, "the file name contains characters that cannot be printed", "file-name"))


def _content(root: Path, path: str) -> bytes:
    """Returns the content of a file, truncated to one byte more than the maximum size."""
    descriptor = os.open(f"{root}/{path}", OPENING)
    try:
        # The opened file is checked, not its path, which may have changed since it was listed.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotReadable(_whole(path, NOT_REGULAR, "not-a-file"))
        if not _is_inside(descriptor, root, path):
            raise NotReadable(_whole(path, LEAVES, "link"))
        # One byte more than the size shows that the file has grown.
        content = os.read(descriptor, min(status.st_size, MOST_BYTES) + 1)
        if len(content) == status.st_size:
            return content
        with open(descriptor, "rb", closefd=False) as file:  # the file has just changed or is too large
            file.seek(0)
            return file.read(MOST_BYTES + 1)
    finally:
        os.close(descriptor)


def _is_inside(descriptor: int, root: Path, path: str) -> bool:
    """Returns whether the opened file is in the project, even if symlinks on its path have changed."""
    try:
        if _is_within(
            os.readlink(f"/proc/self/fd/{descriptor}"), str(root)
        ):  # Linux shows the path of an opened file in /proc, which is fast to read
            return True
    except OSError:
        pass
    real = os.path.realpath(root / path)
    return _is_within(real, str(root)) and os.path.samestat(os.stat(real), os.fstat(descriptor))


def _decoded(path: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(errors="replace")
        line = before.count("\n") + 1
        col = len(before) - (before.rfind("\n") + 1) + 1
        raise NotReadable(Problem(path, line, col, "not UTF-8: save the file as UTF-8", "encoding")) from None


def _whole(path: str, message: str, rule: str) -> Problem:
    """Returns a problem with a whole file."""
    return Problem(path, 1, 1, message, rule)


def _not_read(path: str, advice: str = "") -> Problem:
    """Returns a warning for a file that is not read because no pattern matches it."""
    message = f"this file is not read: no pattern in spec.specs of {PROJECT_FILE} matches its name{advice}"
    return Problem(_shown(tuple(path.split("/"))), 1, 1, message, "no-files", "warning")


def _shown(path: Segments) -> str:
    """Returns a form of a path that can be printed and stored. All other characters are escaped."""
    joined = "/".join(path) or "."
    if joined.isprintable():
        return joined
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in joined)


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


class ChosenFiles:
    """The files that a command is limited to: the given files, and all files below the given folders."""

    def __init__(self, root: Path, paths: Sequence[Path]) -> None:
        self._root = root
        self._given = tuple(os.path.abspath(path) for path in paths)
        self._real = tuple(os.path.realpath(path) for path in paths)

    def files(self, patterns: Patterns) -> list[str] | None:
        """Returns the chosen files, relative to the project, without searching folders. Returns `None` if that is not
        possible because a chosen path is a folder, a symlink, or a file that is not a spec."""
        root, chosen = os.path.realpath(self._root), []
        for given, real in zip(self._given, self._real, strict=True):
            path = os.path.relpath(real, root)
            plain = os.path.isfile(real) and os.path.normpath(given) in {real, os.path.join(self._root, path)}
            if not plain or not is_wanted(tuple(path.split(os.sep)), patterns):
                return None
            chosen.append(path.replace(os.sep, "/"))
        return sorted(set(chosen))

    def unmatched(self, patterns: Patterns) -> Iterator[str]:
        """Yields each given file that matches no pattern, relative to the project. The project file is not one of them,
        because every command reads it."""
        root = os.path.realpath(self._root)
        for real in filter(os.path.isfile, self._real):
            path = tuple(os.path.relpath(real, root).split(os.sep))
            if path != (PROJECT_FILE,) and not is_wanted(path, patterns):
                yield "/".join(path)

    def __contains__(self, path: str) -> bool:
        """Returns whether the file at `path`, relative to the project, is chosen. Follows symlinks."""
        real = os.path.realpath(self._root / path)
        return any(real == chosen or real.startswith(chosen.rstrip(os.sep) + os.sep) for chosen in self._real)


def chosen_files(root: Path, paths: Sequence[Path]) -> ChosenFiles:
    """Returns the files at and below `paths`. Raises `UsageError` for a path that does not exist or is outside the
    project."""
    real_root = os.path.realpath(root)
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"{path}: no such file or folder")
        real = os.path.realpath(path)
        if real != real_root and not real.startswith(real_root + os.sep):
            raise UsageError(f"{path} is not in the project {root}")
    return ChosenFiles(root, paths)


def left_out(files: ProjectFiles, patterns: Patterns, chosen: ChosenFiles | None) -> Iterator[Problem]:
    """Yields a warning for each chosen file that matches no pattern or, if no files are chosen, for each `similar` file
    of a folder."""
    if chosen is not None:
        yield from map(_not_read, chosen.unmatched(patterns))
    elif isinstance(files, Folder):
        for path in files.similar:
            name = path.rpartition("/")[2].strip().lower()
            yield _not_read(path, f". Rename it to {name}, or exclude it with {EXCEPT}{path}")
