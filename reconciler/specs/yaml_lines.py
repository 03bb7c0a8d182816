"""Reads YAML line by line if each line has one of the usual forms of `reconciler.specs.yaml_forms`.
`reconciler.specs.plain_yaml` reads other texts.

The specs of a project are similar: the lines of most of them have the same forms in the same order, and differ only in
their values. The structure of such texts is determined once, as a template into which the values are put. At the first
line with another form, or with an indentation that may be wrong, this reader gives up. It reports no problems.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Any, NamedTuple

from reconciler.specs.yaml_forms import (
    COMPACT,
    END,
    FLOW,
    IGNORED,
    LOCATED_LEVELS,
    NESTED,
    NEXT_DOCUMENT,
    OTHER,
    SCALAR,
    TEXT,
    Forms,
    Line,
    NotPlain,
    Records,
    in_brackets,
)
from reconciler.specs.yaml_nodes import DEEPEST, Document
from reconciler.values import regex

MOST_TEMPLATES = 256
"""The maximum number of structures that are counted or have a template. Beyond that, all of them are dropped, which
limits memory."""

LONGEST_TEMPLATE = 1000
"""The maximum number of lines of a text with a template, which limits memory too."""

WORTHWHILE = 6
"""The number of texts with the same structure after which a template is created for it. Creating a template takes about
as long as reading ten texts without one."""

_ODD = regex("[\x80-\xa0\ufeff]")
"""Characters that look like a space or a line break."""

_FORMS = Forms()
_TEMPLATES: dict[tuple[int, ...], "_Template | int | None"] = {}
"""For each structure, its template, the number of texts that had it, or `None` if there is no template for it."""

_SHAPE, _VALUE = itemgetter(Line._fields.index("shape")), itemgetter(Line._fields.index("value"))


def line_documents(text: str) -> Iterator[Document]:
    """Yields the documents of a text without tags and anchors. Raises `NotPlain` if a line does not have a usual
    form."""
    if "\t" in text or "\r" in text or "\x7f" in text or (not text.isascii() and _ODD.search(text)):
        raise NotPlain
    if _FORMS.forget() or len(_TEMPLATES) > MOST_TEMPLATES:
        _TEMPLATES.clear()
    texts = text.split("\n")
    forms = [*map(_FORMS.__getitem__, texts)]
    template = _template(texts, forms)
    if template is not None and (document := template.filled(texts, forms)) is not None:
        yield document
        return
    lines = _Lines(texts, forms)
    at = lines.first
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

    def __init__(self, texts: Sequence[str], forms: Sequence[Line]) -> None:
        self.texts = texts
        self.numbers = [number for number, form in enumerate(forms) if form is not IGNORED]
        self.forms = [*(form for form in forms if form is not IGNORED), END]
        self._starts = list(accumulate(map(len, self.texts), initial=0))
        self.first = 1 if self.forms[0] is NEXT_DOCUMENT else 0

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
            _, key, form, value, column, _ = line
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
            _, _, form, value, *_ = line
            if form == SCALAR:
                entries.append(value)
                at += 1
                continue
            if form == COMPACT:
                # The inner entry takes the place of its line, so that the following lines continue it.
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
        if level > DEEPEST:
            raise NotPlain
        return self._own_value(line, at, level, records)

    def _own_value(self, line: Line, at: int, level: int, records: Records) -> tuple[Any, int]:
        """Reads a value in brackets or a block of text."""
        if line.form == TEXT:
            value, end = _text(self.texts, self.numbers[at - 1], line)
            return value, bisect_left(self.numbers, end)
        return _bracketed(line, level, self.offset(at - 1), records), at


def _bracketed(line: Line, level: int, offset: int, records: Records) -> Any:  # noqa: ANN401 - a mapping or a list
    """Returns the value in brackets in a line that starts at an offset."""
    if line.form == FLOW:
        return in_brackets(line.value, line.column, level, offset, records)[0]
    value, columns = line.value
    # The cached form belongs to every text with this line, and `records` needs a mapping of this text only.
    value = value.copy()
    if columns is not None and level <= LOCATED_LEVELS:
        records[id(value)] = [offset + column for column in columns]
    return value


def _text(texts: Sequence[str], number: int, line: Line) -> tuple[str, int]:
    """Reads the block of text after a line with a number. Returns it and the number of the next line. Raises `NotPlain`
    if empty lines, indented lines or the end of the file affect its value."""
    start = number + 1
    first = texts[start] if start < len(texts) else ""
    indent, end = _indent(first), start
    while end < len(texts) and (_indent(texts[end]) >= indent or not texts[end].strip(" ")):
        end += 1
    block = texts[start:end]
    if indent <= line.indent or indent == len(first) or end == len(texts) or _indent(texts[end]) > line.indent:
        raise NotPlain
    if any(len(text) > indent and not text.strip(" ") for text in block):
        raise NotPlain
    joined = "\n".join(text[indent:] for text in block).rstrip("\n")
    if line.value[0] == ">":
        if "\n\n" in joined or "\n " in joined or joined[0] == " ":
            raise NotPlain
        joined = joined.replace("\n", " ")
    return joined + ("" if line.value[1:] else "\n"), end


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" "))


def _template(texts: Sequence[str], forms: Sequence[Line]) -> "_Template | None":
    """Returns the template of a text, if the text is not too long and enough texts with the same structure were
    read."""
    if len(forms) > LONGEST_TEMPLATE:
        return None
    structure = tuple(map(_SHAPE, forms))
    template = _TEMPLATES.get(structure, 0)
    if isinstance(template, int):
        template += 1
        _TEMPLATES[structure] = template = template if template < WORTHWHILE else _Outline(texts, forms).template()
    return None if isinstance(template, int) else template


class _Template(NamedTuple):
    """The structure of texts with one document. Values have numbers: those of their lines, then those of the mappings
    and lists, inner ones first.

    `parts` are the mappings and lists: the keys of a mapping (`None` for a list), and a function that returns its
    values from all values. `own` are the lines whose value is not their scalar, each with the level of the value and,
    for a block of text, the number of the next line. `records` maps mappings to the line and column of each of their
    offsets; `offset` is the offset of the document. Only the offsets of the first lines are needed, `located` in
    number.
    """

    parts: Sequence[tuple[Sequence[str] | None, Callable[[Sequence[Any]], Sequence[Any]]]]
    own: Sequence[tuple[int, int, int]]
    records: Sequence[tuple[int, Sequence[tuple[int, int]]]]
    offset: tuple[int, int]
    located: int

    def filled(self, texts: Sequence[str], forms: Sequence[Line]) -> Document | None:
        """Returns the document of a text with this structure, or `None` if a block of text has another length."""
        values, records = [*map(_VALUE, forms)], Records()
        starts = [*accumulate(map(len, texts[: self.located]), initial=0)]
        for number, level, end in self.own:
            line = forms[number]
            # `- - key: value` has an entry in an entry.
            while line.form == COMPACT:
                line = line.value
            if line.form == TEXT:
                values[number], after = _text(texts, number, line)
                if after != end:
                    return None
            else:
                at = starts[number] + number if level <= LOCATED_LEVELS else 0
                values[number] = line.value if line.form == SCALAR else _bracketed(line, level, at, records)
        for keys, inner in self.parts:
            # Both have the same length. The argument `strict` would take a third of the time.
            values.append([*inner(values)] if keys is None else dict(zip(keys, inner(values))))  # noqa: B905
        for number, offsets in self.records:
            records[id(values[number])] = [starts[row] + row + column for row, column in offsets]
        row, column = self.offset
        return Document(values[-1], starts[row] + row + column, records=records)


class _Value(NamedTuple):
    """The value of a line in the structure of a text."""

    number: int


class _Outline(_Lines):
    """Reads the structure of a text, with the numbers of lines in place of values and offsets."""

    LINE = 1 << 20  # more than the columns of any line

    def __init__(self, texts: Sequence[str], forms: Sequence[Line]) -> None:
        super().__init__(texts, forms)
        self._own: list[tuple[int, int, int]] = []
        self._parts: list[tuple[Sequence[str] | None, Callable[[Sequence[Any]], Sequence[Any]]]] = []
        self._located: list[tuple[int, Sequence[tuple[int, int]]]] = []
        self.forms[:-1] = [self._numbered(form, number) for form, number in zip(self.forms, self.numbers, strict=False)]

    def template(self) -> _Template | None:
        """Returns the template of the text, or `None` if it has several documents or an unusual line."""
        records: Records = {}
        try:
            value, end = self.mapping(self.first, 0, 1, records)
        except NotPlain:
            return None
        if self.forms[end] is not END:
            return None
        self._part(value, records)
        own = [number + 1 for number, level, _ in self._own if level <= LOCATED_LEVELS]
        located = max((*own, *(line for _, offsets in self._located for line, _ in offsets)))
        start = divmod(self.offset(self.first), self.LINE)
        return _Template(self._parts, self._own, self._located, start, located)

    def offset(self, at: int) -> int:
        """Returns the number of a line in a form to which a column can be added."""
        return self.LINE * (self.numbers[at] if at < len(self.numbers) else len(self.texts))

    def _numbered(self, form: Line, number: int) -> Line:
        if form.form == COMPACT:
            if form.value.form == SCALAR:
                self._own.append((number, DEEPEST, 0))
            return form._replace(value=self._numbered(form.value, number))
        return form._replace(value=_Value(number)) if form.form == SCALAR and form.shape >= 0 else form

    def _own_value(self, line: Line, at: int, level: int, records: Records) -> tuple[Any, int]:
        number, end = self.numbers[at - 1], 0
        if line.form == TEXT:
            _, end = _text(self.texts, number, line)
            at = bisect_left(self.numbers, end)
        self._own.append((number, level, end))
        return _Value(number), at

    def _part(self, value: Any, records: Records) -> int:  # noqa: ANN401 - a part of the structure
        """Adds a mapping or list after those inside it, and returns its number."""
        if isinstance(value, _Value):
            return value.number
        inner = [self._part(each, records) for each in (value.values() if isinstance(value, dict) else value)]
        number = len(self.texts) + len(self._parts)
        self._parts.append((tuple(value) if isinstance(value, dict) else None, _taken(inner)))
        if (record := records.get(id(value))) is not None:
            self._located.append((number, [divmod(offset, self.LINE) for offset in record]))
        return number


def _taken(numbers: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Returns a function that takes the values with these numbers."""
    first = numbers[0]
    return itemgetter(*numbers) if len(numbers) > 1 else itemgetter(slice(first, first + 1))
