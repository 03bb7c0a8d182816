"""File patterns with braces, ``*``, ``?``, ``[…]`` and ``**``, and exclusions that start with ``!``."""

import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from functools import lru_cache

from reconciler.model.project import DEFAULT_SPECS
from reconciler.values import dataclass, regex

ANY_DEPTH = "**"
EXCEPT = "!"  # the first character of a pattern that excludes files
MOST_ALTERNATIVES = 1000

_BRACES = regex(r"\{([^{}]*)\}")

Segments = tuple[str, ...]


def expanded(pattern: str) -> list[Segments]:
    """Expands the braces of a pattern, and splits each resulting pattern at its slashes.

    Raises `ValueError` if the pattern is empty, is absolute, leaves the folder, or expands to too many patterns.
    """
    plain: list[Segments] = []
    waiting = [pattern]
    while waiting:
        current = waiting.pop()
        braces = _BRACES.search(current)
        more = braces[1].count(",") if braces else 0
        if len(waiting) + len(plain) + more >= MOST_ALTERNATIVES:  # checked before any of them is built
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
    """Splits a pattern without braces at its slashes, and drops each ``**`` that follows another ``**``."""
    parts = pattern.removeprefix("./").split("/")
    return tuple(part for i, part in enumerate(parts) if part != ANY_DEPTH or parts[i - 1 : i] != [ANY_DEPTH])


def matches(segments: Segments, path: Segments) -> bool:
    """Returns whether `path`, split at its slashes, matches the pattern."""
    at = done = taken = 0
    star = -1
    while at < len(segments) or done < len(path):
        if at < len(segments) and segments[at] == ANY_DEPTH:
            star, taken, at = at, done, at + 1
        elif at < len(segments) and done < len(path) and _segment(segments[at])(path[done]) is not None:
            at, done = at + 1, done + 1
        elif star >= 0 and taken < len(path):  # retrying an earlier ** at another depth cannot find another match
            taken += 1
            at, done = star + 1, taken
        else:
            return False
    return True


@dataclass(frozen=True, slots=True)
class Patterns:
    """Selects the spec files that match one of `included`, except files and folders that match one of `excluded`."""

    included: Sequence[Segments]
    excluded: Sequence[Segments] = ()

    def match(self, path: Segments) -> bool:
        """Returns whether the file at `path` is selected."""
        return any(matches(segments, path) for segments in self.included) and not self.leaves_out(path)

    def in_folder(self, folder: Segments) -> Callable[[str], bool]:
        """Returns a function that returns whether the file with a name in `folder` is selected."""
        if self.leaves_out(folder):
            return lambda _: False
        included, excluded = (_matcher(group, folder) for group in (self.included, self.excluded))
        return lambda name: included(name) and not excluded(name)

    def may_hold(self, folder: Segments) -> bool:
        """Returns whether `folder` can contain selected files, at any depth."""
        return any(may_hold(segments, folder) for segments in self.included) and not self.leaves_out(folder)

    def leaves_out(self, path: Segments) -> bool:
        """Returns whether the file or folder at `path`, or a folder above it, is excluded."""
        ends = range(1, len(path) + 1) if self.excluded else ()
        return any(matches(segments, path[:end]) for end in ends for segments in self.excluded)


def patterns(written: Sequence[str]) -> Patterns:
    """Returns the patterns of a project file. If all of them exclude files, `DEFAULT_SPECS` are added before them."""
    excluded = [pattern.removeprefix(EXCEPT) for pattern in written if pattern.startswith(EXCEPT)]
    included = [pattern for pattern in written if not pattern.startswith(EXCEPT)] or DEFAULT_SPECS
    return Patterns(
        [segments for pattern in included for segments in expanded(pattern)],
        [segments for pattern in excluded for segments in expanded(pattern)],
    )


def may_hold(segments: Segments, folder: Segments) -> bool:
    """Returns whether `folder` can contain files that match the pattern, at any depth."""
    if not segments:
        return False
    if not folder or segments[0] == ANY_DEPTH:
        return True
    return len(segments) > 1 and _segment(segments[0])(folder[0]) is not None and may_hold(segments[1:], folder[1:])


def _matcher(patterns: Sequence[Segments], folder: Segments) -> Callable[[str], bool]:
    """Returns a function that returns whether the file with a name in `folder` matches one of the patterns."""
    # One regular expression compares the name with all patterns, except those with ** at the end, which may match the
    # folder too.
    last = [each[-1] for each in patterns if each[-1:] != (ANY_DEPTH,) and matches(each[:-1], folder)]
    deep = [each for each in patterns if each[-1:] == (ANY_DEPTH,)]
    match = re.compile("|".join(map(translate, last))).match if last else None
    if deep:
        return lambda name: (
            (match is not None and match(name) is not None) or any(matches(each, (*folder, name)) for each in deep)
        )
    return (lambda name: match(name) is not None) if match is not None else (lambda _: False)


@lru_cache(maxsize=1024)
def _segment(segment: str) -> Callable[[str], re.Match[str] | None]:
    """Returns a matcher for one segment without ``**``."""
    return re.compile(translate(segment)).match
