"""Hides a document's secrets in the lines and messages of its problems.

A single line is often not enough to detect a secret, because the key may be on another line or in another part of a
mapping. Therefore the secrets are first located in the whole document.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from reconciler.errors import Problem
from reconciler.model.base import JSON, Loc, source_text
from reconciler.model.project import webhook_secrets
from reconciler.redact.request import NAME_KEYS, secret_places
from reconciler.redact.shapes import harmless, secret_key
from reconciler.redact.text import SENSITIVE, secret_spans
from reconciler.specs.parse import Node, SourceText, find
from reconciler.specs.yaml_nodes import Document
from reconciler.values import regex

Span = tuple[int, int]

SHORTEST_SECRET = 3  # shorter secrets are not replaced in messages, because they would match too often
QUOTED = regex(r'"(?:[^"\\]|\\.)*(?:"|\Z)|\'(?:[^\']|\'\')*(?:\'|\Z)', re.DOTALL)
IN_FLOW = regex(r"(?:\$\{[^}\s]*\}|[^\n\r,\[\]{}])*")


class SecretLines:
    """The offsets of the secrets in one document, located when they are first needed."""

    def __init__(self, source: SourceText, document: Document) -> None:
        self._source, self._document = source, document

    @cached_property
    def _spans(self) -> list[Span]:
        value = self._document.value
        if not isinstance(value, dict):
            return []
        places = {*secret_places(_as_text(value)), *_beside_names(value, ()), *webhook_secrets(value)}
        return sorted(self._span(loc) for loc in places)

    def hide(self, loc: Loc) -> None:
        """Marks the value at a path as a secret of the document, because a model refused the value as a secret."""
        span = self._span(loc)
        index = bisect_left(self._spans, span)
        if self._spans[index : index + 1] != [span]:
            self._spans.insert(index, span)

    def hides(self, node: Node) -> bool:
        """Returns whether a scalar of the document is a secret."""
        index = bisect_left(self._spans, node.offset, key=_start)
        is_scalar = not isinstance(node.value, dict | list)
        return is_scalar and self._spans[index : index + 1] != [] and self._spans[index][0] == node.offset

    def end(self, node: Node) -> int:
        """Returns the offset at which the scalar of a node ends in the file."""
        return self._span(node.loc)[1]

    def hidden(self, problem: Problem, offset: int) -> Problem:
        """Returns the problem at `offset` with the secrets in its line and message hidden."""
        column, line = problem.col - 1, problem.source_line
        start, text = (offset - column, line) if line is not None else self._source.around(offset)
        first = bisect_left(self._spans, start, key=_end)
        spans = self._spans[first : bisect_right(self._spans, start + len(text), key=_start)]
        message = hidden_message(problem.message, text, start, spans)
        shown = None if line is None else hidden_line(line, start, column, spans)
        return replace(problem, message=message, source_line=shown)

    def _span(self, loc: Loc) -> Span:
        """Returns the start and the end of the scalar at a path, including its quotes, as offsets in the file."""
        node, text = find(self._document, loc), self._source.text
        start = node.offset
        if isinstance(node.value, dict | list):
            return start, start
        if (quoted := QUOTED.match(text, start)) is not None:
            return quoted.span()
        around = find(self._document, node.loc[:-1]).offset
        if text[around : around + 1] in {"{", "["}:
            plain = IN_FLOW.match(text, start)
            return start, start + len(plain[0].rstrip()) if plain else start
        return start, _block_end(text, start)


def hidden_line(line: str, start: int, column: int, spans: Sequence[Span]) -> str:
    """Returns the line that starts at offset `start`, without the parts in `spans`.

    A part that is hidden before `column` (counted from 0) keeps its width, so that the caret still points at the right
    column.
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
    """Returns the message about a line that starts at offset `start`, without the text that is hidden in the line."""
    for begin, end in spans:
        value = line[max(begin - start, 0) : max(end - start, 0)]
        inner = [value[first:last] for first, last in secret_spans(value)]
        # A secret may start like an anchor, an alias or a tag, which messages quote without its mark.
        for secret in (value, value.strip("\"'"), value.lstrip("&*!"), *inner):
            if len(secret) >= SHORTEST_SECRET:
                message = message.replace(secret, SENSITIVE)
    return message


def _block_end(text: str, start: int) -> int:
    """Returns the end of a plain scalar or block, including the following lines with deeper indentation."""
    first = text.rfind("\n", 0, start) + 1
    indent = _indent(text[first:start])
    end = _line_end(text, start)
    while end < len(text):
        following = text[end + 1 : _line_end(text, end + 1)]
        if following.strip() and _indent(following) <= indent:
            break
        end = _line_end(text, end + 1)
    return end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end


def _as_text(value: Any) -> Any:  # noqa: ANN401 - any document
    """Returns the value with all its scalars as the text in the file, because a secret may be an unquoted number or
    date."""
    if isinstance(value, dict):
        return {key: _as_text(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_as_text(inner) for inner in value]
    return value if isinstance(value, bool) else source_text(value)


def _beside_names(value: Any, loc: Loc) -> Iterator[Loc]:  # noqa: ANN401 - any document
    """Yields the paths of the scalars in each list entry that contains the name of a secret, whatever their keys are.

    The value of an environment variable is therefore hidden even if its key is misspelt: ``{nmae: DB_PASSWORD, …}``.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _beside_names(inner, (*loc, key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _beside_names(entry, (*loc, index))
            if isinstance(entry, dict):
                yield from ((*loc, index, key) for key in _beside_name(entry))


def _beside_name(entry: JSON) -> Iterator[str]:
    names = [key for key, value in entry.items() if isinstance(value, str) and secret_key(value)]
    shown = {*names, *NAME_KEYS} if len(names) == 1 else NAME_KEYS  # either of two names may be the secret
    for key in entry if names else ():
        text = source_text(entry[key])
        if text is not None and key not in shown and not harmless(entry[names[0]], text):
            yield key


def _start(span: Span) -> int:
    return span[0]


def _end(span: Span) -> int:
    return span[1]
