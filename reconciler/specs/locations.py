"""Locates values in the text of a file: from a path to an offset, from an offset to a line and column."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import Any, NamedTuple

from reconciler.model.base import Loc
from reconciler.redact.keys import secret_key
from reconciler.redact.text import SENSITIVE
from reconciler.specs.document import Document

FEW = 8
LONGEST_LINE = 10_000  # characters of a line that is shown with a problem; nobody reads a longer one
_LINE_END = re.compile(r"\r\n|\n|\r")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class SourceText:
    """The text of a file, with its path as users know it. Offsets count characters from 0, lines and columns from 1; a
    line ends at ``\\n``, ``\\r\\n`` or ``\\r``, as in editors.
    """

    __slots__ = ("__dict__", "_asked", "path", "text")

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        self._asked = 0

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(end.end() for end in _LINE_END.finditer(self.text))]

    def position(self, offset: int) -> tuple[int, int]:
        """The line and column of an offset. The first few are counted; after that all line ends are indexed."""
        self._asked += 1
        if self._asked <= FEW and "\r" not in self.text:
            return self.text.count("\n", 0, offset) + 1, offset - self.text.rfind("\n", 0, offset)
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str | None:
        """A line without its end; `None` if the file has no such line, or it is too long to show."""
        if not 1 <= number <= len(self._starts):
            return None
        start = self._starts[number - 1]
        following = self._starts[number] if number < len(self._starts) else len(self.text)
        if following - start > LONGEST_LINE:
            return None
        return _LINE_END.sub("", self.text[start:following])

    def around(self, offset: int) -> tuple[int, str]:
        """The text near an offset, at most a shown line's length on each side, and the offset at which it starts."""
        start = max(0, offset - LONGEST_LINE)
        return start, self.text[start : offset + LONGEST_LINE]


class Node(NamedTuple):
    """A value of a document: its path, the value, its offset and the offset of its key."""

    loc: Loc
    value: Any
    offset: int
    key_offset: int


def find(document: Document, loc: Loc) -> Node:
    """Follows a path as far as the document goes.

    Elements that the document does not have are skipped: pydantic adds the branch of a union that it tried, and a
    mapping that was rendered to a string has no inside any more. `key_offset` equals `offset` for entries of lists and
    for the document itself.
    """
    value, offset, key_offset = document.value, document.offset, document.offset
    path: list[str | int] = []
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
        path.append(element)
    return Node(tuple(path), value, offset, key_offset)


def offset_in_scalar(text: str, node: Node, offset_in_value: int) -> int:
    """The offset in a file of a ``${`` in a scalar, from its offset in the value.

    The n-th ``${`` of the value is the n-th of the scalar as written, whatever its style: quoted, folded or block.
    """
    value = node.value if isinstance(node.value, str) else ""
    offset = node.offset - 1
    for _ in range(value.count("${", 0, offset_in_value) + 1):
        offset = text.find("${", offset + 1)
        if offset < 0:
            return node.offset
    return offset


def path_text(loc: Loc) -> str:
    """A path as messages show it: ``spec.request.jobDriver.sparkSubmit.entryPointArguments[1]``, ``vars["a b"]``."""
    text = ""
    before: object = None
    for element in loc:
        if isinstance(element, int):
            text += f"[{element}]"
        elif _PLAIN_KEY.fullmatch(element):
            text += f".{element}" if text else element
        else:
            # below a secret's key, an odd key may be the secret itself: a value that YAML took for a mapping
            hidden = isinstance(before, str) and secret_key(before)
            text += f'["{SENSITIVE if hidden else element}"]'
        before = element
    return text
