"""Reads YAML documents from parser events, with places and within bounds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from reconciler.model.base import Loc, Unquoted
from reconciler.specs.scalars import MERGE_KEY, NULLS, SUSPECT, Scalar, meaning, plain

DEEPEST = 64
MOST_EXPANDED = 20_000
MOST_CHARACTERS = 1024 * 1024  # as many as a file may hold
TOO_MANY = "more than 1,000 problems up to here: mend the first ones, and the others are told"
MOST_PROBLEMS = 1000  # of one document: nobody reads more, and a file can hold hundreds of thousands

# Where the next node goes, where that is not the entry of a mapping under its key:
_AT_ROOT = object()
_IN_LIST = object()
_NO_KEY = object()  # a mapping that awaits a key: a scalar becomes it
_AS_KEY = object()  # a mapping or list that stands where a key is due
_DROPPED = object()  # the value of a key that is refused


class Flaw(NamedTuple):
    """Something that the text itself has wrong, whatever it means: at which offset, under which path."""

    offset: int
    loc: Loc
    message: str
    rule: str


class Unreadable(Exception):
    """The text cannot be read on from an offset; `flaws` are those of the unfinished document before it."""

    def __init__(self, offset: int, message: str, rule: str) -> None:
        super().__init__(message)
        self.offset, self.message, self.rule = offset, message, rule
        self.flaws: list[Flaw] = []


@dataclass(slots=True)
class Document:
    """One document: its value as plain dicts, lists and scalars, and where each of its nodes is written.

    `records` has one list for each mapping and list, by `id`: the offset of its start, then for a list the offset of
    each entry, for a mapping those of each key and its value, in order. It is valid while `value` is alive.
    """

    value: Any = None
    offset: int = 0
    flaws: list[Flaw] = field(default_factory=list)
    records: dict[int, list[int]] = field(default_factory=dict)
    orders: dict[int, dict[str, int]] = field(default_factory=dict)

    def order(self, mapping: dict[str, Any]) -> dict[str, int]:
        """The number of each key of a mapping of this document, from 0."""
        if id(mapping) not in self.orders:
            self.orders[id(mapping)] = {key: number for number, key in enumerate(mapping)}
        return self.orders[id(mapping)]


class _Frame(NamedTuple):
    """What is put aside while an inner mapping or list is read."""

    container: Any
    record: list[int]
    key: Any
    offset: int
    anchor: str | None
    nodes: int
    deepest: int
    characters: int


class _Anchored(NamedTuple):
    value: Any
    offset: int
    nodes: int
    height: int
    characters: int


class Builder:
    """Builds one document after the other: `scalar`, `open`, `close` and `alias` in the order of the text, `finish`."""

    def __init__(self) -> None:
        self._restart()

    def finish(self) -> Document:
        """The document that was built; what follows is another one."""
        document = self.document
        self._restart()
        return document

    def _restart(self) -> None:
        self.document = Document()
        self._stack: list[_Frame] = []
        self._container: Any = None
        self._record: list[int] = []
        self._key: Any = _AT_ROOT
        self._nodes = 0
        self._characters = 0
        self._expanded = 0
        self._expanded_characters = 0
        self._deepest = 0
        self._anchors: dict[str, _Anchored] = {}

    def flaw(self, offset: int, message: str, rule: str) -> None:
        """Notes something wrong at an offset, under the path that is being read."""
        if len(self.document.flaws) >= MOST_PROBLEMS:
            raise Unreadable(offset, TOO_MANY, "too-many")
        self.document.flaws.append(Flaw(offset, self._loc(), message, rule))

    def scalar(self, offset: int, text: str, is_plain: bool, anchor: str | None = None) -> None:
        """A scalar. `is_plain`: written without quotes, so that it may be something else than text."""
        self._nodes += 1
        self._characters += len(text)
        if self._key is _NO_KEY:
            self._begin_entry(offset, text, is_plain)
            if anchor:
                self._anchor(anchor, _Anchored(text, offset, 1, 0, len(text)))
            return
        value: Any = text
        if is_plain:
            if not text or text[0] in SUSPECT:
                value = self._plain(offset, text)
        elif "\0" in text:
            self.flaw(offset, "NUL characters are not allowed", "control-character")
        if anchor:
            self._anchor(anchor, _Anchored(value, offset, 1, 0, len(text)))
        self._add(offset, value)

    def open(self, offset: int, container: dict[str, Any] | list[Any], anchor: str | None = None) -> None:
        """The start of a mapping (an empty dict is given) or of a list."""
        if len(self._stack) >= DEEPEST:
            raise Unreadable(offset, f"nested deeper than {DEEPEST} levels", "nesting")
        if self._key is _NO_KEY:
            self.flaw(offset, "a key is text, not a mapping or a list", "key")
            self._key = _AS_KEY
        before = (self._nodes, self._deepest, self._characters)
        self._stack.append(_Frame(self._container, self._record, self._key, offset, anchor, *before))
        self._nodes += 1
        self._deepest = len(self._stack)
        self._container, self._record = container, [offset]
        self._key = _NO_KEY if type(container) is dict else _IN_LIST
        self.document.records[id(container)] = self._record

    def close(self) -> None:
        """The end of the innermost mapping or list."""
        value, depth, deepest = self._container, len(self._stack), self._deepest
        frame = self._stack.pop()
        self._container, self._record, self._key = frame.container, frame.record, frame.key
        self._deepest = max(frame.deepest, deepest)
        if frame.anchor:
            nodes, characters = self._nodes - frame.nodes, self._characters - frame.characters
            self._anchor(frame.anchor, _Anchored(value, frame.offset, nodes, deepest - depth + 1, characters))
        self._add(frame.offset, value)

    def alias(self, offset: int, name: str) -> None:
        """A reference to an anchor: the anchored value itself, at the place where that is written."""
        known = self._anchors.get(name)
        if known is None:
            inside = any(frame.anchor == name for frame in self._stack)
            raise Unreadable(offset, f"*{name} is inside its own anchor" if inside else f"no anchor &{name}", "alias")
        self._nodes += known.nodes
        self._expanded += known.nodes
        if self._expanded > MOST_EXPANDED:
            raise Unreadable(offset, f"aliases expand to more than {MOST_EXPANDED:,} nodes", "alias")
        self._characters += known.characters
        self._expanded_characters += known.characters
        if self._expanded_characters > MOST_CHARACTERS:
            raise Unreadable(offset, f"aliases expand to more than {MOST_CHARACTERS:,} characters", "alias")
        if len(self._stack) + known.height > DEEPEST:
            raise Unreadable(offset, f"*{name} nests deeper than {DEEPEST} levels", "nesting")
        self._deepest = max(self._deepest, len(self._stack) + known.height)
        if self._key is _NO_KEY:
            self.flaw(offset, f"write the key out: *{name} cannot be one", "key")
            self._key = _DROPPED
            return
        self._add(known.offset, known.value)

    def _begin_entry(self, offset: int, text: str, is_plain: bool) -> None:
        """Takes a scalar as the key of the next entry, or drops that entry."""
        self._key = _DROPPED
        if is_plain and text == MERGE_KEY:
            self.flaw(offset, "merge keys (<<) are not allowed: write the fields out", "merge-key")
        elif is_plain and text in NULLS:
            self.flaw(offset, f"a key is missing here{f', or should be in quotes: {text}' if text else ''}", "key")
        elif is_plain and text[0] in SUSPECT and not isinstance(plain(text), str):
            self.flaw(offset, f'the key {text} is {meaning(text)}: write "{text}" in quotes', "quotes")
        elif text in self._container:
            self.flaw(offset, f"the key {text} is here twice", "duplicate-key")
        elif "\0" in text:
            self.flaw(offset, "NUL characters are not allowed", "control-character")
        else:
            self._key = text
            self._record.append(offset)

    def _add(self, offset: int, value: Any) -> None:  # noqa: ANN401 - any value of a document
        key = self._key
        if type(key) is str:
            self._container[key] = value
            self._record.append(offset)
            self._key = _NO_KEY
        elif key is _IN_LIST:
            self._container.append(value)
            self._record.append(offset)
        elif key is _AS_KEY:
            self._key = _DROPPED
        elif key is _DROPPED:
            self._key = _NO_KEY
        else:
            self.document.value = value
            if value != Unquoted(""):  # an empty document is where it begins, not where it ends
                self.document.offset = offset

    def _plain(self, offset: int, text: str) -> Scalar:
        if text not in NULLS:
            return plain(text)
        if self._stack:
            said = f'{text} is null here: remove it, or write "{text}" in quotes if you mean the text'
            self.flaw(offset, said if text else "has no value: remove it or give a value", "null")
        return Unquoted(text)

    def _anchor(self, name: str, anchored: _Anchored) -> None:
        if name in self._anchors:
            self.flaw(anchored.offset, f"the anchor &{name} is defined twice", "anchor")
        self._anchors[name] = anchored

    def _loc(self) -> Loc:
        """The path of what is being read: the keys and indexes that lead to it, as far as they are known."""
        levels = [(frame.container, frame.key) for frame in self._stack] + [(self._container, self._key)]
        loc: list[str | int] = []
        for container, key in levels:
            if type(container) is list:
                loc.append(len(container))
            elif isinstance(key, str):
                loc.append(key)
        return tuple(loc)


LOADER: Any = getattr(yaml, "CLoader", yaml.Loader)  # libyaml's parser where PyYAML was built with it

MOST_DIRECTIVES = 100

_UNREADABLE_CHARACTER = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029]")
_CLEARER = {
    "mapping values are not allowed in this context": "a second ': ' in this value: put the value in quotes",
    "found character that cannot start any token": "this character cannot start a value: put the value in quotes",
    "did not find expected key": "a key was expected here: look at the indentation and the quotes above",
    "did not find expected '-' indicator": "a list entry was expected here: look at the indentation",
    "did not find expected ',' or ']'": "',' or ']' was expected here: put values that hold {, }, [, ] or , in quotes",
    "did not find expected ',' or '}'": "',' or '}' was expected here: put values that hold {, }, [, ] or , in quotes",
    "did not find expected node content": "a value was expected here",
    "found unexpected end of stream": "the file ends inside a quoted text",
    "found incompatible YAML document": "only YAML 1.1 and 1.2 can be read",
    "found unknown escape character": r"an unknown escape: write \\ for a backslash, or use single quotes",
}


def yaml_documents(text: str) -> Iterator[Document]:
    """The documents of a YAML text, one at a time. Raises `Unreadable` where it cannot be read on."""
    found = _UNREADABLE_CHARACTER.search(text)
    if found:
        raise Unreadable(found.start(), f"the character U+{ord(found[0]):04X} is not allowed in YAML", "character")
    if text.count("\n%TAG") > MOST_DIRECTIVES:  # the parser compares each with all before it
        raise Unreadable(text.index("\n%TAG") + 1, "tags are not allowed: remove the %TAG directives", "tag")
    builder = Builder()
    try:
        yield from _documents(yaml.parse(text, Loader=LOADER), builder)
    except (yaml.YAMLError, RecursionError, ValueError, Unreadable) as error:
        unreadable = _unreadable(error, len(text))
        unreadable.flaws = builder.document.flaws
        raise unreadable from None


def _documents(events: Iterator[Any], builder: Builder) -> Iterator[Document]:
    for event in events:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            if event.tag is not None:
                _tag(builder, event)
            builder.scalar(event.start_mark.index, event.value, not event.style, event.anchor)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            builder.close()
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            if event.tag is not None:
                _tag(builder, event)
            builder.open(event.start_mark.index, {} if kind is yaml.MappingStartEvent else [], event.anchor)
        elif kind is yaml.AliasEvent:
            builder.alias(event.start_mark.index, event.anchor)
        elif kind is yaml.DocumentStartEvent:
            builder.document.offset = event.start_mark.index
        elif kind is yaml.DocumentEndEvent:
            yield builder.finish()


def _tag(builder: Builder, event: Any) -> None:  # noqa: ANN401 - an event of the parser, C or Python
    tag = event.tag.replace("tag:yaml.org,2002:", "!!")
    builder.flaw(event.start_mark.index, f"tags ({tag}) are not allowed: write the value as it is", "tag")


def _unreadable(error: Exception, end: int) -> Unreadable:
    if isinstance(error, Unreadable):
        return error
    if not isinstance(error, yaml.MarkedYAMLError):
        return Unreadable(0, f"not YAML: {error}", "syntax")
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "not YAML"
    message = _CLEARER.get(problem, problem)
    if mark and error.context_mark and error.context_mark.line < mark.line:
        message += f" (in what begins at line {error.context_mark.line + 1})"
    return Unreadable(min(mark.index, end) if mark else 0, message, "syntax")
