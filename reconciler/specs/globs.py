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
    """Expands the braces of a pattern, and splits each resulting pattern at its slashes.

    Raises `ValueError` for a pattern that is empty, absolute, leaves the folder, or expands to too many.
    """
    plain: list[Segments] = []
    waiting = [pattern]
    while waiting:
        current = waiting.pop()
        braces = _BRACES.search(current)
        more = braces[1].count(",") if braces else 0
        if len(waiting) + len(plain) + more >= MOST_ALTERNATIVES:  # counted before any of them is built
            raise ValueError(f"expands to more than {MOST_ALTERNATIVES} patterns")
        if braces is None:
            plain.append(_segments(current))
        else:
            waiting += [current[: braces.start()] + word + current[braces.end() :] for word in braces[1].split(",")]
    for segments in plain:
        if segments[-1] == "" or segments[0] == "" or ".." in segments:
            raise ValueError("a pattern must be relative to the project folder, stay inside it and match files")
    return plain[::-1]


def _segments(pattern: str) -> Segments:
    """A pattern without braces, split at its slashes; a ``**`` after another is dropped."""
    parts = pattern.removeprefix("./").split("/")
    return tuple(part for i, part in enumerate(parts) if part != ANY_DEPTH or parts[i - 1 : i] != [ANY_DEPTH])


def matches(segments: Segments, path: Segments) -> bool:
    """Whether a file's path, split at its slashes, matches the pattern.

    Only the last ``**`` is retried at the next depth: retrying an earlier one could not match anything more.
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
    """Whether a folder can contain files, at any depth, that match the pattern."""
    if not segments:
        return False
    if not folder or segments[0] == ANY_DEPTH:
        return True
    return len(segments) > 1 and _segment(segments[0])(folder[0]) is not None and may_hold(segments[1:], folder[1:])


@lru_cache(maxsize=1024)
def _segment(segment: str) -> Callable[[str], re.Match[str] | None]:
    """A matcher for one segment without ``**``."""
    return re.compile(translate(segment)).match
