"""Finds the name that a mistyped name was probably meant to be, for messages such as ``Did you mean orders-daily?``.

Used for the names of specs, targets and logs."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cached_property

MOST_COMPARED = 100_000
"""The maximum number of comparisons between mistyped names and names, about two seconds of work. After that, nothing is
suggested, because a project with so many mistakes does not need a suggestion for each."""

LEAST = 10
"""The number of mistyped names for which a suggestion is always sought, however many names the project has."""


class NearNames:
    """The names of a project. Each mistyped name is compared with them only once, because thousands of specs may
    mention the same one.

    Case is ignored, and the order of `names` does not matter.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._all = names
        self._near: dict[str, str | None] = {}

    @cached_property
    def _names(self) -> dict[str, str]:  # most projects have no mistyped name, so they are sorted on first use
        return {name.lower(): name for name in sorted(self._all)}

    @cached_property
    def _most(self) -> int:
        return max(LEAST, MOST_COMPARED // max(1, len(self._names)))

    def to(self, word: str) -> str | None:
        """Returns the nearest name, or `None` if no name is similar to `word`."""
        if word not in self._near:
            if len(self._near) == self._most:
                return None
            close = get_close_matches(word.lower(), self._names, n=1)
            self._near[word] = self._names[close[0]] if close else None
        return self._near[word]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Returns a question that suggests the most similar name, or an empty text if no name is similar."""
    close = get_close_matches(name, sorted(names), n=1)
    return f" Did you mean {close[0]}?" if close else ""
