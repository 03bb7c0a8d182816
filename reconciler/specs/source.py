"""The text of one file, and where in it something is."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property

FEW = 8
LONGEST_LINE = 10_000  # characters of a line that is shown with what is wrong in it; nobody reads a longer one
_LINE_END = re.compile(r"\r\n|\n|\r")


class SourceText:
    """The text of a file under the path that people know it by. Offsets count characters from 0, lines and columns
    count from 1; a line ends at ``\\n``, ``\\r\\n`` or ``\\r``, as in editors.
    """

    __slots__ = ("__dict__", "_asked", "path", "text")

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        self._asked = 0

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(end.end() for end in _LINE_END.finditer(self.text))]

    def position(self, offset: int) -> tuple[int, int]:
        """The line and column of an offset. The first few are counted; from then on all line ends are known."""
        self._asked += 1
        if self._asked <= FEW and "\r" not in self.text:
            return self.text.count("\n", 0, offset) + 1, offset - self.text.rfind("\n", 0, offset)
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str | None:
        """A line as written, without its end; `None` where the file has no such line, or it is too long to show."""
        if not 1 <= number <= len(self._starts):
            return None
        start = self._starts[number - 1]
        following = self._starts[number] if number < len(self._starts) else len(self.text)
        if following - start > LONGEST_LINE:
            return None
        return _LINE_END.sub("", self.text[start:following])

    def around(self, offset: int) -> tuple[int, str]:
        """The text near an offset, as much of it as a line that is shown may have on each side, and where it begins."""
        start = max(0, offset - LONGEST_LINE)
        return start, self.text[start : offset + LONGEST_LINE]
