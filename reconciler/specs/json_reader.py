"""Reads JSON files strictly, with the location of every value.

The standard library decides whether a text is JSON; the tokens of a valid text give the values and their locations. The
YAML parser would not do: surrogate pairs, tabs and long keys mean different things there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NoReturn

from reconciler.specs.document import DEEPEST, Builder, Document, Unreadable

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]|[^\s{}\[\]:,"]+')
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def json_documents(text: str) -> Iterator[Document]:
    """Yields the one document of a JSON text. Raises `Unreadable` for a text that is not JSON."""
    _check(text)
    builder = Builder()
    try:
        _build(text, builder)
    except Unreadable as error:
        error.flaws = builder.document.flaws
        raise
    yield builder.finish()


def _build(text: str, builder: Builder) -> None:
    for token in _TOKEN.finditer(text):
        first, offset = token[0][0], token.start()
        if first == '"':
            builder.scalar(offset, _string(token[0], offset), False)
        elif first in "{[":
            builder.open(offset, {} if first == "{" else [])
        elif first in "}]":
            builder.close()
        else:
            builder.scalar(offset, token[0], True)


def _check(text: str) -> None:
    def refuse(name: str) -> NoReturn:  # NaN or an infinity, which Python accepts although JSON does not have them
        offset = next((token.start() for token in _TOKEN.finditer(text) if token[0] == name), 0)
        raise Unreadable(offset, f"{name} is not JSON", "syntax")

    try:
        # Numbers stay text here: Python refuses very long integers, and `_build` reads each token anyway.
        json.loads(text, parse_constant=refuse, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        raise Unreadable(error.pos, f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}", "syntax") from None
    except RecursionError:
        raise Unreadable(0, f"nested deeper than {DEEPEST} levels", "nesting") from None


def _string(token: str, offset: int) -> str:
    value: str = json.loads(token)
    if _LONE_SURROGATE.search(value):
        raise Unreadable(offset, "half of a surrogate pair is not a character", "character")
    return value
