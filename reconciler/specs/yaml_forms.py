"""Finds the form of one line of YAML: ``key: value``, ``- value``, a comment, a block of text, or a mapping or list in
brackets. `reconciler.specs.yaml_lines` reads texts of such lines.

Specs in a project have most lines in common, so the form of each line is cached. The rules for scalars and keys also
apply to `reconciler.specs.plain_yaml`, which reads texts with other lines.
"""

import re
from sys import intern
from typing import Any, NamedTuple

from reconciler.specs.yaml_nodes import DEEPEST, NULLS, PLAIN_KEY, plain
from reconciler.values import regex

Records = dict[int, list[int]]

LOCATED_LEVELS = 2
"""The number of levels of mappings whose offsets are kept: those of the document and of its metadata, for the location
of a spec's name."""

MOST_FORMS = 4096
"""The number of different lines whose forms are cached. When this number is exceeded, the whole cache is cleared, which
limits its memory."""

LONGEST_LINE = 1000  # YAML requires the colon of a key within 1,024 characters

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


class NotPlain(Exception):
    """Raised for a text that the fast reader does not read, because it has a flaw or a rarely used form."""


def may_be_plain(text: str) -> bool:
    """Returns whether a text certainly has no tags and no anchors."""
    return "!" not in text and "&" not in text


class Line(NamedTuple):
    """The form of a line. `key` is `None` for an entry of a list. `value` is the scalar, the value in brackets with the
    columns of its keys and values, the line with the brackets, the header of a block of text, or the form of the inner
    entry. The value starts at `column`. Lines with the same number in `shape` differ only in their values."""

    indent: int
    key: str | None = None
    form: int = SCALAR
    value: Any = None
    column: int = 0
    shape: int = 0


IGNORED, OTHER = Line(GIVES_UP, shape=-1), Line(GIVES_UP, shape=-2)
NEXT_DOCUMENT, END = Line(ENDS_ALL, shape=-3), Line(ENDS_ALL, shape=-4)


class Forms(dict[str, Line]):
    """The form of each line. If the form of a line is not cached, it is determined and added."""

    def __init__(self) -> None:
        super().__init__()
        self._shapes: dict[tuple[object, ...], int] = {}

    def __missing__(self, line: str) -> Line:
        form = _form(line)
        if not form.shape:
            form = form._replace(shape=self._shapes.setdefault(_outline(form), len(self._shapes) + 1))
        self[line] = form
        return form

    def forget(self) -> bool:
        """Clears the cached lines if there are too many. Returns whether the shapes were cleared too, because there
        were too many of them."""
        if len(self) > MOST_FORMS:
            self.clear()
        if len(self._shapes) <= MOST_FORMS:
            return False
        self.clear()
        self._shapes.clear()
        return True


def _outline(form: Line) -> tuple[object, ...]:
    """Returns everything in a form except its values."""
    inner = _outline(form.value) if form.form == COMPACT else None
    return form.indent, form.key, form.form, form.column, inner


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
    # The dash becomes a space, so that the columns of the inner entry stay the same.
    inner = _form(" " * column + line[column:])
    if inner is not OTHER:
        return Line(indent, None, COMPACT, inner, column)
    value = _ALONE.fullmatch(line, column)
    return Line(indent, None, *_value(line, value), column) if value else OTHER


def _pair(line: str, pair: re.Match[str]) -> Line:
    key, style = _unquoted(pair["key"])
    if (style or key[:1] not in PLAIN_KEY) and not is_key(key, style):
        return OTHER
    # Keys repeat in every spec, so one object for each of them saves memory.
    return Line(pair.start("key"), intern(key), *_value(line, pair), pair.start(pair.lastgroup or "key"))


def _value(line: str, match: re.Match[str]) -> tuple[int, Any]:
    """Returns the form and the value that the pattern `_VALUE` matched."""
    group = match.lastgroup
    if group in {"plain", "quoted"}:
        return SCALAR, _scalar(match)
    if group == "flow":
        columns: Records = {}
        value, end = in_brackets(line, match.start("flow"), 1, 0, columns)
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


def in_brackets(line: str, at: int, level: int, start: int, records: Records) -> tuple[Any, int]:
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
        return in_brackets(line, at, level + 1, start, records)
    value = _FLOW_SCALAR.match(line, at)
    if value is None:
        raise NotPlain
    return _scalar(value), value.end()


def is_key(text: str, style: str | None) -> bool:
    """Returns whether a scalar can be a key. A plain scalar must be a string in both versions of YAML, and must not
    start with a Unicode space."""
    if style:
        return "\0" not in text
    return text != "" and not text[0].isspace() and type(plain(text)) is str


def scalar(text: str, style: str | None) -> Any:  # noqa: ANN401 - any scalar
    """Returns the value of a scalar that is quoted or that may not be a string."""
    if style:
        if "\0" in text:
            raise NotPlain
        return text
    if text in NULLS:
        raise NotPlain
    return plain(text)
