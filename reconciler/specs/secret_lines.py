"""Lines of a document as they may be shown: without the values that only the document tells to be secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from reconciler.model.base import Loc, source_text
from reconciler.redact.keys import NOT_SECRET, harmless, secret_key, words
from reconciler.redact.request import NAME_KEYS, VALUE_KEYS, secret_places
from reconciler.redact.text import SENSITIVE, secret_spans
from reconciler.specs.locations import SourceText, find
from reconciler.specs.yaml_reader import Document

Span = tuple[int, int]

REQUEST: Loc = ("spec", "request")
SHORTEST_SECRET = 3  # shorter ones are not looked for in messages: they would be found everywhere
SECRET_WORDS = (
    "secret", "password", "passwd", "passphrase", "passcode", "credential", "credentials", "token", "authorization",
    "bearer", "apikey", "accesskey", "secretkey", "privatekey",
)  # fmt: skip
_OF_LENGTH: dict[int, list[str]] = {}
for _word in (*SECRET_WORDS, "passwords", "secrets", "tokens"):
    _OF_LENGTH.setdefault(len(_word), []).append(_word)
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)|\'(?:[^\']|\'\')*(?:\'|\Z)', re.DOTALL)
IN_FLOW = re.compile(r"(?:\$\{[^}\s]*\}|[^\n\r,\[\]{}])*")


def secret_spans_in(source: SourceText, document: Document) -> list[Span]:
    """Where in the file the document's secrets are written, as offsets; sorted, quotes included."""
    value = document.value
    places = {*secret_places(_plain(value)), *_misspelt(value, ())} if isinstance(value, dict) else set()
    return sorted(written(source, document, loc) for loc in places)


def written(source: SourceText, document: Document, loc: Loc) -> Span:
    """From where to where the scalar at a path is written."""
    found = find(document, loc)
    text, start = source.text, found.offset
    if isinstance(found.value, dict | list):
        return start, start
    quoted = QUOTED.match(text, start)
    if quoted is not None:
        return quoted.span()
    around = find(document, found.loc[:-1]).offset
    if text[around : around + 1] in {"{", "["}:
        plain = IN_FLOW.match(text, start)
        return start, start + len(plain[0].rstrip()) if plain else start
    return start, _block_end(text, start)


def _block_end(text: str, start: int) -> int:
    """The end of a plain scalar or block: the lines after it that are indented deeper belong to it."""
    first = text.rfind("\n", 0, start) + 1
    indent = len(text[first:start]) - len(text[first:start].lstrip(" "))
    end = _line_end(text, start)
    while end < len(text):
        following = text[end + 1 : _line_end(text, end + 1)]
        if following.strip() and len(following) - len(following.lstrip(" ")) <= indent:
            break
        end = _line_end(text, end + 1)
    return end


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end


def hidden_line(line: str, start: int, column: int, spans: Sequence[Span]) -> str:
    """The line that begins at offset `start`, without the parts in `spans`.

    What is hidden before `column` (from 0) keeps its width, so that the column still points at what it did.
    """
    shown, position = "", 0
    for span in spans:
        begin, end = max(span[0] - start, position), min(span[1] - start, len(line))
        if begin < end:
            shown += line[position:begin] + _mark(end - begin, keep_width=begin < column)
            position = end
    return shown + line[position:]


def _mark(width: int, *, keep_width: bool) -> str:
    if not keep_width:
        return SENSITIVE
    return SENSITIVE.ljust(width) if width >= len(SENSITIVE) else "*" * width


def hidden_message(message: str, line: str, start: int, spans: Sequence[Span]) -> str:
    """A message about the line that begins at offset `start`, where it repeats what is hidden in the line."""
    for begin, end in spans:
        value = line[max(begin - start, 0) : max(end - start, 0)]
        parts = [
            value,
            value.strip("\"'"),
            value.lstrip("&*!"),
            *(value[first:last] for first, last in secret_spans(value)),
        ]
        for secret in parts:
            if len(secret) >= SHORTEST_SECRET:
                message = message.replace(secret, SENSITIVE)
    return message


def _plain(value: Any) -> Any:  # noqa: ANN401 - any document
    """The value with every scalar as the text it is written as: what is not quoted may be a secret too."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, bool) else source_text(value)


def _misspelt(value: Any, loc: Loc, governing: str | None = None) -> Iterator[Loc]:  # noqa: ANN401 - any document
    """The places of values that would be secrets if a key were spelt as it was meant; `governing` is that key."""
    if isinstance(value, dict):
        entry = loc[:2] == REQUEST and _names_secret(value)
        for key, inner in value.items():
            slip = nearly_secret(key) or (entry and _holds(key, value))
            yield from _misspelt(inner, (*loc, key), key if slip else governing)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _misspelt(inner, (*loc, index), governing)
    elif governing is not None and not harmless(governing, source_text(value) or ""):
        yield loc


def _names_secret(entry: dict[str, Any]) -> bool:
    """Whether the mapping has a name, however its key is spelt, that is one of a secret."""
    return any(isinstance(name, str) and secret_key(name) and _like(key, NAME_KEYS) for key, name in entry.items())


def _holds(key: str, entry: dict[str, Any]) -> bool:
    """Whether a key of a named mapping is its value, or is the only one that can be meant as its value."""
    scalar = not isinstance(entry[key], dict | list)
    return scalar and not _like(key, NAME_KEYS) and (_like(key, VALUE_KEYS) or len(entry) == 2)


def _like(key: str, known: tuple[str, ...]) -> bool:
    return any(one_edit(key.lower(), name) for name in known)


@lru_cache(maxsize=4096)
def nearly_secret(key: str) -> bool:
    """Whether a key is one edit away from one that says that its value is a secret, such as ``pasword``."""
    parts = words(key)
    if secret_key(key) or key.lower() in NOT_SECRET:
        return False  # spelt as it is meant
    return any(
        one_edit(word, secret)
        for word in (*parts, "".join(parts))
        for length in (len(word) - 1, len(word), len(word) + 1)
        for secret in _OF_LENGTH.get(length, ())
    )


def one_edit(word: str, other: str) -> bool:
    """Whether the words are the same, or but for one letter: left out, added, another one, or swapped."""
    if abs(len(word) - len(other)) > 1:
        return False
    same = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
    left, right = word[same:], other[same:]
    swapped = left[:2] == right[:2][::-1] and left[2:] == right[2:]
    return left[1:] == right[1:] or left[1:] == right or left == right[1:] or swapped
