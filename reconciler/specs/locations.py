"""The text of a file, and where a value is in it."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import Any, NamedTuple

from reconciler.model.base import Loc
from reconciler.redact.keys import secret_key
from reconciler.redact.text import SENSITIVE
from reconciler.specs.yaml_reader import Document

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


_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Found(NamedTuple):
    """The part of a path that a document really holds, the value there, and where it is written."""

    loc: Loc
    value: Any
    offset: int
    key_offset: int


def find(document: Document, loc: Loc) -> Found:
    """Follows a path as far as it goes.

    Elements that a document does not hold are passed over: validation names the branch of a union it tried, and a
    mapping that was rewritten into text has no inside any more. `key_offset` is that of the key of the value found,
    and `offset` itself for entries of lists and for the document.
    """
    value, offset, key_offset = document.value, document.offset, document.offset
    held: list[str | int] = []
    for element in loc:
        if isinstance(value, dict) and isinstance(element, str) and element in value:
            index = 1 + 2 * document.order(value)[element]
            record = document.records[id(value)]
            value, key_offset, offset = value[element], record[index], record[index + 1]
        elif isinstance(value, list) and isinstance(element, int) and element < len(value):
            offset = key_offset = document.records[id(value)][1 + element]
            value = value[element]
        else:
            continue
        held.append(element)
    return Found(tuple(held), value, offset, key_offset)


def in_scalar(text: str, found: Found, offset_in_value: int) -> int:
    """The offset in a file of a ``${`` of a scalar, by its offset in the value.

    The n-th ``${`` of the value is the n-th of the scalar as written, whatever its style: quoted, folded or block.
    """
    value = found.value if isinstance(found.value, str) else ""
    offset = found.offset - 1
    for _ in range(value.count("${", 0, offset_in_value) + 1):
        following = text.find("${", offset + 1)
        if following < 0:
            return found.offset
        offset = following
    return offset


def spelt(loc: Loc) -> str:
    """A path in people's words: ``spec.request.jobDriver.sparkSubmit.entryPointArguments[1]``, ``vars["a b"]``."""
    words = ""
    before: object = None
    for element in loc:
        is_odd = isinstance(element, str) and not _PLAIN_KEY.fullmatch(element)
        hidden = is_odd and isinstance(before, str) and secret_key(before)  # a value that was taken for a mapping
        before = element
        if isinstance(element, int):
            words += f"[{element}]"
        elif hidden:
            words += f'["{SENSITIVE}"]'
        elif _PLAIN_KEY.fullmatch(element):
            words += f".{element}" if words else element
        else:
            words += f'["{element}"]'
    return words
