"""Glob patterns over paths below the project folder: ``*``, ``?``, ``[…]``, ``**`` and ``{a,b}``."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from functools import lru_cache

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
        if len(waiting) + len(plain) > MOST_ALTERNATIVES:
            raise ValueError(f"stands for more than {MOST_ALTERNATIVES} patterns")
        current = waiting.pop()
        braces = _BRACES.search(current)
        if braces is None:
            plain.append(tuple(current.removeprefix("./").split("/")))
        else:
            waiting += [current[: braces.start()] + word + current[braces.end() :] for word in braces[1].split(",")]
    for segments in plain:
        if segments[-1] == "" or segments[0] == "" or ".." in segments:
            raise ValueError("a pattern is relative to the project folder, stays inside it and names files")
    return plain[::-1]


def matches(segments: Segments, path: Segments) -> bool:
    """Whether a file's path, split at its slashes, is one that the pattern names."""
    if not segments:
        return not path
    if segments[0] == ANY_DEPTH:
        return matches(segments[1:], path) or (bool(path) and matches(segments, path[1:]))
    return bool(path) and _segment(segments[0])(path[0]) is not None and matches(segments[1:], path[1:])


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
