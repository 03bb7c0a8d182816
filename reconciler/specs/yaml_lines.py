"""Reads YAML line by line if each line has one of the usual forms: ``key: value``, ``- value``, a comment, a block of
text, or a mapping or list in brackets on one line. `reconciler.specs.plain_yaml` reads other texts.

Specs in a project have most lines in common, so the form of each line is cached. At the first line with another form,
or with an indentation that may be wrong, this reader gives up. It reports nothing.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from sys import intern
from typing import Any, NamedTuple

from reconciler.specs.plain_yaml import LOCATED_LEVELS, NotPlain, Records, is_key, scalar
from reconciler.specs.yaml_nodes import DEEPEST, PLAIN_KEY, Document
from reconciler.values import regex

MOST_FORMS = 4096
"""The number of different lines whose forms are cached. When it is reached, all are dropped, so that memory is
bounded."""

LONGEST_LINE = 1000  # YAML requires the colon of a key within 1,024 characters

_ODD = regex("[\x80-\xa0\ufeff]")
"""Characters that look like a space or a line break."""

_QUOTED = r"""(?P<quoted>"[^"\\]*"|'(?:[^']|'')*')"""
_KEY = r"""(?P<key>[A-Za-z0-9_](?:[A-Za-z0-9_./-]|:(?=[^ ]))*|"[^"\\]*"|'(?:[^']|'')*')[ ]*:"""
_PLAIN = r"(?P<plain>(?:[\w./$+(=<;^\\~]|-(?=[^ ]))(?:[^ :]|:(?=[^ ])|[ ]+(?=[^ #]))*)"
_END = r"[ ]*(?:(?<=[ ])#.*)?"
_VALUE = rf"(?:{_QUOTED}|{_PLAIN}|(?P<text>[|>]-?)|(?P<flow>[{{\[].*))?{_END}"
_NO_VALUE, _AFTER_DASH = {"", "#"}, {"", " "}
_PAIR = regex(rf"[ ]*{_KEY}(?:[ ]+|$){_VALUE}")
_ALONE = regex(_VALUE)

_IN_PLAIN = r"[A-Za-z0-9_./$+~@%=()*^;-]|:(?=[A-Za-z0-9_/])|[ ](?=[A-Za-z0-9])"
_FLOW_PLAIN = rf"(?P<plain>(?:[A-Za-z0-9_./$+~]|-(?=[A-Za-z0-9-]))(?:{_IN_PLAIN})*)"
_FLOW_SCALAR = regex(rf"(?:{_QUOTED}|{_FLOW_PLAIN})(?=[ ]*[,:\]}}])")
_FLOW_COLON = regex(r"[ ]*:[ ]+")
_FLOW_NEXT = regex(r"[ ]*(?:(?P<comma>,)[ ]*|(?=[\]}]))")
_FLOW_START = regex(r"[{\[][ ]*")
_FLOW_END = regex(_END)

SCALAR, NESTED, FLAT, FLOW, TEXT, COMPACT = range(6)
"""The forms of the value after a key or a dash: a scalar, the following lines, a mapping or list of scalars in
brackets, one that contains others, a block of text, and another entry on the same line, as in ``- key: value``."""

ENDS_ALL, GIVES_UP = -1, 1 << 30  # the indentation of lines without a value


class Line(NamedTuple):
    """The form of a line. `key` is `None` for an entry of a list. `value` is the scalar, the value in brackets with the
    columns of its keys and values, the line with the brackets, the header of a block of text, or the form of the inner
    entry. The value starts at `column`."""

    indent: int
    key: str | None = None
    form: int = SCALAR
    value: Any = None
    column: int = 0


IGNORED, OTHER, NEXT_DOCUMENT, END = Line(GIVES_UP), Line(GIVES_UP), Line(ENDS_ALL), Line(ENDS_ALL)


class _Forms(dict[str, Line]):
    """The form of each line. If the form of a line is not cached, it is determined and added."""

    def __missing__(self, line: str) -> Line:
        form = self[line] = _form(line)
        return form


_FORMS = _Forms()


def _form(line: str) -> Line:
    text = line.lstrip(" ")
    if text[:1] in _NO_VALUE:
        return IGNORED
    if line == "---":
        return NEXT_DOCUMENT
    is_entry = text[0] == "-"
    if len(line) > LONGEST_LINE or (is_entry and text[1:2] not in _AFTER_DASH):
        return OTHER
    try:
        if is_entry:
            return _entry(line, len(line) - len(text), len(line) - len(text[1:].lstrip(" ")))
        return _pair(line, pair) if (pair := _PAIR.fullmatch(line)) else OTHER
    except NotPlain:
        return OTHER


def _entry(line: str, indent: int, column: int) -> Line:
    """Returns the form of a line with a dash, which continues at `column`."""
    if line[column : column + 1] in _NO_VALUE:
        return Line(indent, None, NESTED)
    inner = _form(" " * column + line[column:])
    if inner is not OTHER:
        return Line(indent, None, COMPACT, inner, column)
    value = _ALONE.fullmatch(line, column)
    return Line(indent, None, *_value(line, value), column) if value else OTHER


def _pair(line: str, pair: re.Match[str]) -> Line:
    key, style = _unquoted(pair["key"])
    if (style or key[:1] not in PLAIN_KEY) and not is_key(key, style):
        return OTHER
    return Line(pair.start("key"), intern(key), *_value(line, pair), pair.start(pair.lastgroup or "key"))


def _value(line: str, match: re.Match[str]) -> tuple[int, Any]:
    """Returns the form and the value that the pattern `_VALUE` matched."""
    group = match.lastgroup
    if group in {"plain", "quoted"}:
        return SCALAR, _scalar(match)
    if group == "flow":
        columns: Records = {}
        value, end = _in_brackets(line, match.start("flow"), 1, 0, columns)
        if not _FLOW_END.fullmatch(line, end):
            raise NotPlain
        if not any(isinstance(each, dict | list) for each in (value.values() if isinstance(value, dict) else value)):
            return FLAT, (value, columns.get(id(value)))
        return FLOW, line
    return (TEXT, match["text"]) if group == "text" else (NESTED, None)


def _scalar(match: re.Match[str]) -> Any:  # noqa: ANN401 - any scalar
    return scalar(*_unquoted(match[match.lastgroup or 0]))


def _unquoted(text: str) -> tuple[str, str | None]:
    """Returns the text of a scalar, and its quotation mark."""
    if text[0] == "'":
        return text[1:-1].replace("''", "'"), "'"
    return (text[1:-1], '"') if text[0] == '"' else (text, None)


def line_documents(text: str) -> Iterator[Document]:
    """Yields the documents of a text without tags and anchors. Raises `NotPlain` if a line does not have a usual
    form."""
    if "\t" in text or "\r" in text or "\x7f" in text or (not text.isascii() and _ODD.search(text)):
        raise NotPlain
    if len(_FORMS) > MOST_FORMS:
        _FORMS.clear()
    lines = _Lines(text)
    at = 1 if lines.forms[0] is NEXT_DOCUMENT else 0
    while True:
        document = Document(offset=lines.offset(at))
        document.value, at = lines.mapping(at, 0, 1, document.records)
        yield document
        if lines.forms[at] is END:
            return
        at += 1


class _Lines:
    """The lines of a text that are neither empty nor comments, with the form of each. A method that reads a value takes
    the index of its first line, and returns the value and the index of the next line."""

    def __init__(self, text: str) -> None:
        self.texts = text.split("\n")
        forms = [*map(_FORMS.__getitem__, self.texts)]
        self.numbers = [number for number, form in enumerate(forms) if form is not IGNORED]
        self.forms = [*(form for form in forms if form is not IGNORED), END]
        self._starts = list(accumulate(map(len, self.texts), initial=0))

    def offset(self, at: int) -> int:
        """Returns the offset of a line in the text."""
        number = self.numbers[at] if at < len(self.numbers) else len(self.texts)
        return self._starts[number] + number

    def mapping(self, at: int, own: int, level: int, records: Records) -> tuple[dict[str, Any], int]:
        """Reads a mapping whose keys are indented by `own`."""
        if level > DEEPEST or self.forms[at].indent != own:
            raise NotPlain
        mapping: dict[str, Any] = {}
        record = [self.offset(at) + own] if level <= LOCATED_LEVELS else None
        forms = self.forms
        while (line := forms[at]).indent == own:
            _, key, form, value, column = line
            if key is None or key in mapping:
                raise NotPlain
            if record is not None:
                start = self.offset(at)
                record += (
                    start + own,
                    start + column if form != NESTED else self.offset(at + 1) + forms[at + 1].indent,
                )
            at += 1
            if form == SCALAR:
                mapping[key] = value
            else:
                mapping[key], at = self._value(line, at, level + 1, records)
        if line.indent > own:
            raise NotPlain
        if record is not None:
            records[id(mapping)] = record
        return mapping, at

    def _list(self, at: int, own: int, level: int, records: Records) -> tuple[list[Any], int]:
        """Reads a list whose dashes are indented by `own`."""
        if level > DEEPEST:
            raise NotPlain
        entries: list[Any] = []
        forms = self.forms
        while (line := forms[at]).indent == own and line.key is None:
            _, _, form, value, _ = line
            if form == SCALAR:
                entries.append(value)
                at += 1
                continue
            if form == COMPACT:
                forms[at] = value
                entry, at = self._block(at, level + 1, records)
            else:
                entry, at = self._value(line, at + 1, level + 1, records)
            entries.append(entry)
        if line.indent > own:
            raise NotPlain
        return entries, at

    def _block(self, at: int, level: int, records: Records) -> tuple[Any, int]:
        line = self.forms[at]
        if line.key is None:
            return self._list(at, line.indent, level, records)
        return self.mapping(at, line.indent, level, records)

    def _value(self, line: Line, at: int, level: int, records: Records) -> tuple[Any, int]:
        """Reads a value that is not a scalar and follows the key or the dash of a line. `at` is the next line."""
        if line.form == NESTED:
            inner = self.forms[at]
            same = inner.indent == line.indent and inner.key is None and line.key is not None
            if inner is OTHER or not (inner.indent > line.indent or same):
                raise NotPlain
            return self._block(at, level, records)
        if line.form == TEXT:
            return self._text(line, at)
        if line.form == FLOW:
            return _in_brackets(line.value, line.column, level, self.offset(at - 1), records)[0], at
        if level > DEEPEST:
            raise NotPlain
        value, columns = line.value
        value = value.copy()
        if columns is not None and level <= LOCATED_LEVELS:
            records[id(value)] = [self.offset(at - 1) + column for column in columns]
        return value, at

    def _text(self, line: Line, at: int) -> tuple[str, int]:
        """Reads a block of text. Raises `NotPlain` if empty lines, indented lines or the end of the file have a meaning
        in it."""
        start = self.numbers[at - 1] + 1
        first = self.texts[start] if start < len(self.texts) else ""
        indent, end = _indent(first), start
        while end < len(self.texts) and (_indent(self.texts[end]) >= indent or not self.texts[end].strip(" ")):
            end += 1
        block = self.texts[start:end]
        if (
            indent <= line.indent
            or indent == len(first)
            or end == len(self.texts)
            or (_indent(self.texts[end]) > line.indent)
        ):
            raise NotPlain
        if any(len(text) > indent and not text.strip(" ") for text in block):
            raise NotPlain
        joined = "\n".join(text[indent:] for text in block).rstrip("\n")
        if line.value[0] == ">":
            if "\n\n" in joined or "\n " in joined or joined[0] == " ":
                raise NotPlain
            joined = joined.replace("\n", " ")
        return joined + ("" if line.value[1:] else "\n"), bisect_left(self.numbers, end)


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" "))


def _in_brackets(line: str, at: int, level: int, start: int, records: Records) -> tuple[Any, int]:
    """Reads the mapping or list in brackets at a column of a line that starts at the offset `start`. Returns the value
    and the column after it."""
    if level > DEEPEST or not (opening := _FLOW_START.match(line, at)):
        raise NotPlain
    is_mapping = line[at] == "{"
    mapping, entries, record = dict[str, Any](), list[Any](), [start + at]
    at, closing, more = opening.end(), "}" if is_mapping else "]", False
    while more or line[at : at + 1] != closing:
        if is_mapping:
            key, colon = _flow_key(line, at)
            if key in mapping:
                raise NotPlain
            record += (start + at, start + colon)
            mapping[key], at = _flow_value(line, colon, level, start, records)
        else:
            entry, at = _flow_value(line, at, level, start, records)
            entries.append(entry)
        following = _FLOW_NEXT.match(line, at)
        if following is None:
            raise NotPlain
        at, more = following.end(), following["comma"] is not None
    if is_mapping and level <= LOCATED_LEVELS:
        records[id(mapping)] = record
    return (mapping if is_mapping else entries), at + 1


def _flow_key(line: str, at: int) -> tuple[str, int]:
    """Returns the key at a column, and the column of its value."""
    key = _FLOW_SCALAR.match(line, at)
    colon = _FLOW_COLON.match(line, key.end()) if key else None
    if key is None or colon is None:
        raise NotPlain
    text, style = _unquoted(key["quoted"] or key["plain"])
    if not is_key(text, style):
        raise NotPlain
    return intern(text), colon.end()


def _flow_value(line: str, at: int, level: int, start: int, records: Records) -> tuple[Any, int]:
    if line[at : at + 1] in {"{", "["}:
        return _in_brackets(line, at, level + 1, start, records)
    value = _FLOW_SCALAR.match(line, at)
    if value is None:
        raise NotPlain
    return _scalar(value), value.end()
