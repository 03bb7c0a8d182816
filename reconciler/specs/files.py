"""Finding the files of a project and reading their text, so that none is ever passed over in silence."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.errors import Problem, UsageError
from reconciler.specs.globs import Segments, matches, may_hold
from reconciler.specs.source import SourceText

PROJECT_FILE = "reconciler.yaml"
MOST_BYTES = 1024 * 1024  # 1 MiB
BOM = "\ufeff"


class NotText(Exception):
    """A file that cannot be used; `problem` says why, with its place."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(slots=True)
class Found:
    """The files that the patterns name, as paths relative to the project with forward slashes, and what is wrong."""

    paths: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def find_files(root: Path, patterns: Sequence[Segments]) -> Found:
    """All files below `root` that a pattern names, sorted; hidden files and folders and the project file are not."""
    found = Found()
    real_root = os.path.realpath(root)
    _search(found, real_root, str(root), (), patterns, (real_root,))
    found.paths.sort()
    return found


def _search(  # noqa: PLR0917 - a recursion that carries what it knows
    found: Found, root: str, folder: str, at: Segments, patterns: Sequence[Segments], inside: tuple[str, ...]
) -> None:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        found.problems.append(_whole(_shown(at), f"this folder cannot be read: {_why(error)}", "unreadable"))
        return
    for entry in entries:
        path = (*at, entry.name)
        if entry.name.startswith(".") or path == (PROJECT_FILE,):
            continue
        wanted = any(matches(segments, path) for segments in patterns)
        if entry.is_symlink():
            _link(found, root, entry, path, patterns, inside)
        elif entry.is_dir():
            if any(may_hold(segments, path) for segments in patterns):
                _search(found, root, entry.path, path, patterns, (*inside, os.path.realpath(entry.path)))
        elif wanted:
            found.paths.append("/".join(path))


def _link(  # noqa: PLR0917 - as above
    found: Found,
    root: str,
    entry: os.DirEntry[str],
    path: Segments,
    patterns: Sequence[Segments],
    inside: tuple[str, ...],
) -> None:
    """A symlink: followed inside the project, an error where it leaves it, leads nowhere or leads round in a circle."""
    real = os.path.realpath(entry.path)
    is_folder = os.path.isdir(real)
    test = may_hold if is_folder else matches
    if not any(test(segments, path) for segments in patterns):
        return
    if not (real == root or real.startswith(root + os.sep)):
        message = "a link that leaves the project: its target is not under review here"
    elif is_folder and real in inside:
        message = "a link to a folder that it is in"
    elif not os.path.exists(real):
        message = "a link that leads nowhere"
    elif is_folder:
        _search(found, root, entry.path, path, patterns, (*inside, real))
        return
    else:
        found.paths.append("/".join(path))
        return
    found.problems.append(_whole(_shown(path), message, "link"))


def read_text(root: Path, path: str) -> SourceText:
    """The text of a file. Raises `NotText` for what is no regular file, too large, not UTF-8, or cannot be read."""
    shown = _shown(tuple(path.split("/")))
    if shown != path:
        raise NotText(_whole(shown, "a file name that is not plain text", "file-name"))
    try:
        content = _content(root / path)
    except OSError as error:
        raise NotText(_whole(path, f"cannot be read: {_why(error)}", "unreadable")) from None
    if content is None:
        raise NotText(_whole(path, "is not a regular file", "not-a-file"))
    if len(content) > MOST_BYTES:
        raise NotText(_whole(path, "is larger than 1 MiB: split it", "too-large"))
    return SourceText(path, _decoded(path, content).removeprefix(BOM))


def _content(path: Path) -> bytes | None:
    """At most one byte more than may be read; `None` for pipes, devices and folders. Never waits for a writer."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return file.read(MOST_BYTES + 1)


def _decoded(path: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(errors="replace")
        line = before.count("\n") + 1
        col = len(before) - (before.rfind("\n") + 1) + 1
        raise NotText(Problem(path, line, col, "not UTF-8: save the file as UTF-8", "encoding")) from None


def _whole(path: str, message: str, rule: str) -> Problem:
    """A problem of a file as a whole."""
    return Problem(path, 1, 1, message, rule)


def _shown(path: Segments) -> str:
    """A path that can be printed and stored: what is not is written as an escape."""
    joined = "/".join(path) or "."
    if joined.isprintable():
        return joined
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in joined)


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


class Chosen:
    """The files that a command is about: those named, and all below the folders named."""

    def __init__(self, root: Path, paths: Sequence[Path]) -> None:
        self._root = root
        self._real = tuple(os.path.realpath(path) for path in paths)

    def __contains__(self, path: str) -> bool:
        """Whether a file, by its path relative to the project, is one of them; links count as what they lead to."""
        real = os.path.realpath(self._root / path)
        return any(real == chosen or real.startswith(chosen.rstrip(os.sep) + os.sep) for chosen in self._real)


def chosen_files(root: Path, paths: Sequence[Path]) -> Chosen:
    """The files at and below `paths`. Raises `UsageError` for one that does not exist or is not in the project."""
    real_root = os.path.realpath(root)
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"{path}: no such file or folder")
        real = os.path.realpath(path)
        if real != real_root and not real.startswith(real_root + os.sep):
            raise UsageError(f"{path} is not in the project {root}")
    return Chosen(root, paths)
