"""Glob patterns over paths below the project folder: ``*``, ``?``, ``[…]``, ``**`` and ``{a,b}``."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from pathlib import Path

from reconciler.errors import Problem, UsageError
from reconciler.specs.locations import SourceText

ANY_DEPTH = "**"
MOST_ALTERNATIVES = 1000

_BRACES = re.compile(r"\{([^{}]*)\}")

Segments = tuple[str, ...]


def expanded(pattern: str) -> list[Segments]:
    """The patterns that a pattern with braces stands for, each split at its slashes.

    Raises `ValueError` for a pattern that is empty, absolute, leaves the folder, or stands for too many.
    """
    plain: list[Segments] = []
    waiting = [pattern]
    while waiting:
        current = waiting.pop()
        braces = _BRACES.search(current)
        more = braces[1].count(",") if braces else 0
        if len(waiting) + len(plain) + more >= MOST_ALTERNATIVES:  # counted before any of them is built
            raise ValueError(f"stands for more than {MOST_ALTERNATIVES} patterns")
        if braces is None:
            plain.append(_segments(current))
        else:
            waiting += [current[: braces.start()] + word + current[braces.end() :] for word in braces[1].split(",")]
    for segments in plain:
        if segments[-1] == "" or segments[0] == "" or ".." in segments:
            raise ValueError("a pattern is relative to the project folder, stays inside it and names files")
    return plain[::-1]


def _segments(pattern: str) -> Segments:
    """A pattern without braces, split at its slashes; ``**`` after ``**`` says nothing more."""
    parts = pattern.removeprefix("./").split("/")
    return tuple(part for i, part in enumerate(parts) if part != ANY_DEPTH or parts[i - 1 : i] != [ANY_DEPTH])


def matches(segments: Segments, path: Segments) -> bool:
    """Whether a file's path, split at its slashes, is one that the pattern names.

    Only the last ``**`` is ever tried again at the next depth: an earlier one could not match more than it did.
    """
    at = done = taken = 0
    star = -1
    while at < len(segments) or done < len(path):
        if at < len(segments) and segments[at] == ANY_DEPTH:
            star, taken, at = at, done, at + 1
        elif at < len(segments) and done < len(path) and _segment(segments[at])(path[done]) is not None:
            at, done = at + 1, done + 1
        elif star >= 0 and taken < len(path):
            taken += 1
            at, done = star + 1, taken
        else:
            return False
    return True


def may_hold(segments: Segments, folder: Segments) -> bool:
    """Whether a folder can hold files, at any depth, that the pattern names."""
    if not segments:
        return False
    if not folder or segments[0] == ANY_DEPTH:
        return True
    return len(segments) > 1 and _segment(segments[0])(folder[0]) is not None and may_hold(segments[1:], folder[1:])


@lru_cache(maxsize=1024)
def _segment(segment: str) -> Callable[[str], re.Match[str] | None]:
    """What says whether a name is one that a segment without ``**`` names."""
    return re.compile(translate(segment)).match


PROJECT_FILE = "reconciler.yaml"
MOST_BYTES = 1024 * 1024  # 1 MiB
BOM = "\ufeff"
DEEPEST_FOLDER = 64
MOST_LINKED = 10_000  # files and folders found behind links
LEAVES = "a link that leaves the project: its target is not under review here"


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
    real_root = os.path.realpath(root)
    search = _Search(real_root, patterns)
    search.folder(str(root), (), (real_root,), linked=False)
    search.found.paths.sort()
    return search.found


class _Search:
    """One walk below a project. Links can make few folders look like very many, so what lies behind them is counted."""

    def __init__(self, root: str, patterns: Sequence[Segments]) -> None:
        self._root, self._patterns = root, patterns
        self._behind_links = 0
        self.found = Found()

    def folder(self, folder: str, at: Segments, inside: tuple[str, ...], *, linked: bool) -> None:
        """Everything in a folder. `inside`: the real folders on the way to it; `linked`: whether a link is."""
        if len(at) > DEEPEST_FOLDER:
            self._problem(at, f"folders nested deeper than {DEEPEST_FOLDER} levels", "nesting")
            return
        try:
            with os.scandir(folder) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._problem(at, f"this folder cannot be read: {_why(error)}", "unreadable")
            return
        for entry in ordered:
            self._behind_links += linked
            if self._behind_links > MOST_LINKED:
                if self._behind_links == MOST_LINKED + 1:
                    self._problem(at, f"links to folders lead to more than {MOST_LINKED:,} files and folders", "link")
                return
            path = (*at, entry.name)
            if not entry.name.startswith(".") and path != (PROJECT_FILE,):
                self._entry(entry, path, inside, linked=linked)

    def _entry(self, entry: os.DirEntry[str], path: Segments, inside: tuple[str, ...], *, linked: bool) -> None:
        if entry.is_symlink():
            self._link(entry, path, inside)
        elif entry.is_dir():
            if any(may_hold(segments, path) for segments in self._patterns):
                self.folder(entry.path, path, (*inside, os.path.realpath(entry.path)), linked=linked)
        elif self._wanted(path):
            self._file(path, is_regular=entry.is_file())

    def _wanted(self, path: Segments) -> bool:
        return any(matches(segments, path) for segments in self._patterns)

    def _file(self, path: Segments, *, is_regular: bool) -> None:
        """A pipe, a socket or a device is never opened: that alone can do something."""
        if is_regular:
            self.found.paths.append("/".join(path))
        else:
            self._problem(path, "is not a regular file", "not-a-file")

    def _link(self, entry: os.DirEntry[str], path: Segments, inside: tuple[str, ...]) -> None:
        """A symlink: followed inside the project, an error where it leaves it, leads nowhere or round in a circle."""
        real = os.path.realpath(entry.path)
        is_folder = os.path.isdir(real)
        if is_folder and not any(may_hold(segments, path) for segments in self._patterns):
            return
        if not is_folder and not self._wanted(path):
            return
        if not _is_within(real, self._root):
            self._problem(path, LEAVES, "link")
        elif is_folder and real in inside:
            self._problem(path, "a link to a folder that it is in", "link")
        elif not os.path.exists(real):
            self._problem(path, "a link that leads nowhere", "link")
        elif is_folder:
            self.folder(entry.path, path, (*inside, real), linked=True)
        else:
            self._file(path, is_regular=os.path.isfile(real))

    def _problem(self, path: Segments, message: str, rule: str) -> None:
        self.found.problems.append(_whole(_shown(path), message, rule))


def _is_within(real: str, root: str) -> bool:
    return real == root or real.startswith(root.rstrip(os.sep) + os.sep)


def read_text(root: Path, path: str) -> SourceText:
    """The text of a file. Raises `NotText` for what is no regular file of the project, too large, not UTF-8, or cannot
    be read. `root` is the project's real folder, without links; what is opened decides, whatever was found before."""
    shown = _shown(tuple(path.split("/")))
    if shown != path:
        raise NotText(_whole(shown, "a file name that is not plain text", "file-name"))
    try:
        content = _content(root, path)
    except OSError as error:
        raise NotText(_whole(path, f"cannot be read: {_why(error)}", "unreadable")) from None
    if len(content) > MOST_BYTES:
        raise NotText(_whole(path, "is larger than 1 MiB: split it", "too-large"))
    return SourceText(path, _decoded(path, content).removeprefix(BOM))


OPENING = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY"))
"""Never waits for the writer of a pipe that took a file's place."""


def _content(root: Path, path: str) -> bytes:
    """At most one byte more than may be read."""
    descriptor = os.open(root / path, OPENING)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotText(_whole(path, "is not a regular file", "not-a-file"))
        if not _is_inside(descriptor, root, path):
            raise NotText(_whole(path, LEAVES, "link"))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(MOST_BYTES + 1)
    finally:
        os.close(descriptor)


def _is_inside(descriptor: int, root: Path, path: str) -> bool:
    """Whether what was opened is in the project, even if links on its path were changed meanwhile."""
    try:
        if _is_within(os.readlink(f"/proc/self/fd/{descriptor}"), str(root)):  # Linux tells it by itself, and quickly
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
