r"""Writes JSON as indented text, whole or in parts.

Every invisible character is a ``\u`` escape, so the text is safe on a terminal and can always be encoded as UTF-8. The
text contains no commands for CI runners. Parsing the text returns the same value.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from pydantic_core import to_json

from reconciler.model.base import JSON
from reconciler.redact.escape import BLANK_LETTERS, without_hash_commands
from reconciler.values import dataclass, regex

INDENT = "  "
LINE = "\n" + INDENT
NULL_KEY = '"None": '
"""The JSON text of a null key, which pydantic's encoder writes differently."""

SMALL_NUMBER, EXPONENT = "0.0000", regex(r"e-[0-9](?![0-9])")
"""Parts of the JSON text of small numbers, for which the standard library writes an exponent with two digits."""


@dataclass(frozen=True, slots=True)
class Each:
    """A list whose elements are generated while it is written, so that they are never all in memory."""

    make: Callable[[Any], JSON]
    of: Iterable[Any]

    def __iter__(self) -> Iterator[JSON]:
        return map(self.make, self.of)


def dumps(value: object) -> str:
    """Returns `value` as indented JSON without a final line break."""
    return _safe(_text(value, "\n"))


def dumped(form: JSON) -> Iterator[str]:
    """Yields the text that `dumps` returns, in parts that are not whole lines. The lists in `form` may be `Each`."""
    separator = "{"
    for key, value in form.items():
        yield _safe(f"{separator}{LINE}{_key(key)}: ")
        yield from _list(value) if isinstance(value, list | Each) else (_safe(_text(value, LINE)),)
        separator = ","
    yield "{}" if separator == "{" else "\n}"


def _list(entries: Iterable[Any]) -> Iterator[str]:
    inner, separator = LINE + INDENT, "["
    for entry in entries:
        yield _safe(f"{separator}{inner}{_text(entry, inner)}")
        separator = ","
    yield "[]" if separator == "[" else f"{LINE}]"


def _safe(text: str) -> str:
    text = without_hash_commands(text)
    if text.replace("\n", "").isprintable() and (text.isascii() or BLANK_LETTERS.isdisjoint(text)):
        return text
    return "".join(char if char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    visible = char.isprintable() and char not in BLANK_LETTERS
    return char if visible else json.dumps(char)[1:-1] if ord(char) != 0x7F else "\\u007f"


def _text(value: object, line: str) -> str:
    """Returns the text that ``json.dumps`` returns for an indent of two. `line` is a line break with the indent of the
    value.

    Pydantic's encoder, in Rust, writes the same layout in a tenth of the time. It writes a few values differently, or
    not at all; texts that may contain them are written by the standard library.
    """
    try:
        text = to_json(value, indent=len(INDENT), inf_nan_mode="constants").decode()
    except ValueError:  # a part of a surrogate pair, or a deeply nested value
        text = _standard(value)
    if NULL_KEY in text or SMALL_NUMBER in text or EXPONENT.search(text):
        text = _standard(value)
    return text.replace("\n", line)


def _standard(value: object) -> str:
    return json.dumps(value, indent=len(INDENT), ensure_ascii=False)


@lru_cache(maxsize=4096, typed=True)
def _key(key: object) -> str:
    """Returns a key as JSON. Numbers, booleans and null become strings, as in ``json.dumps``."""
    return _standard(key) if isinstance(key, str) else json.dumps({key: 0})[1:-4]
