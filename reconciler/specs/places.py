"""Where a path of a document is written, and how a path is spelt for people."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from reconciler.mask.keys import secret_key
from reconciler.mask.text import SENSITIVE
from reconciler.model.kind import Loc
from reconciler.specs.builder import Document

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
