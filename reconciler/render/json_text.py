r"""Writes JSON as indented text, whole or in parts.

Every invisible character is a ``\u`` escape, so the text is safe on a terminal and can always be encoded as UTF-8. The
text contains no commands for CI runners. Parsing the text returns the same value.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from typing import Any

from reconciler.model.base import JSON
from reconciler.redact.escape import BLANK_LETTERS, without_hash_commands
from reconciler.values import dataclass

INDENT = "  "
LINE = "\n" + INDENT
PLAIN = frozenset({str, int, float, bool, type(None)})
"""The types of values that need no further lines."""


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


def _text(value: Any, line: str) -> str:  # noqa: ANN401 - any JSON value
    """Returns the text that ``json.dumps`` returns for an indent of two. `line` is a line break with the indent of the
    value.

    The C encoder of ``json`` has no indent, and its Python encoder takes much longer than this function. With line
    breaks in its separators, the C encoder writes containers of plain values.
    """
    inner = line + INDENT
    if not value or type(value) in PLAIN:
        return _encoder("")(value)
    if isinstance(value, dict):
        if PLAIN.issuperset(map(type, value.values())):
            return f"{{{inner}{_encoder(inner)(value)[1:-1]}{line}}}"
        pairs = (f"{_key(key)}: {_text(entry, inner)}" for key, entry in value.items())
        return f"{{{inner}{f',{inner}'.join(pairs)}{line}}}"
    if isinstance(value, list | tuple):
        if PLAIN.issuperset(map(type, value)):
            return f"[{inner}{_encoder(inner)(value)[1:-1]}{line}]"
        return f"[{inner}{f',{inner}'.join(_text(entry, inner) for entry in value)}{line}]"
    return _encoder(inner)(value)


@lru_cache(maxsize=4096, typed=True)
def _key(key: object) -> str:
    """Returns a key as JSON. Numbers, booleans and null become strings, as in ``json.dumps``."""
    return _encoder("")(key) if isinstance(key, str) else _encoder("")({key: 0})[1:-4]


@cache
def _encoder(line: str) -> Callable[[Any], str]:
    """Returns the encoder that writes each entry of a container after `line`."""
    return json.JSONEncoder(ensure_ascii=False, separators=(f",{line}", ": ")).encode
