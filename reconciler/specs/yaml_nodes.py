"""Builds one document of a file from the parser's calls. Records the location of every value, and limits the document's
size.

YAML 1.1 and YAML 1.2 read many plain scalars differently, and users may expect either version. A scalar becomes a
string only if both versions read it as a string. It becomes a boolean or a number only in the usual spelling. Every
other scalar becomes an `Unquoted`, which every field refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import field
from typing import Any, NamedTuple

from reconciler.model.base import Loc, SourceFloat, Unquoted
from reconciler.values import dataclass, regex

Scalar = str | int | bool | SourceFloat | Unquoted

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
MERGE_KEY = "<<"
INTEGER = regex(r"-?(?:0|[1-9][0-9]*)")
FRACTION = regex(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
LONGEST_NUMBER = 100  # characters: more than any field allows, and fewer than Python's own limit for integers

_BOOLEANS = frozenset(
    spelling
    for word in ("true", "false", "yes", "no", "on", "off", "y", "n")
    for spelling in (word, word.capitalize(), word.upper())
) - {"true", "false"}
_OTHER_WORDS = (NULLS - {""}) | {MERGE_KEY, "="}
_WORDS: dict[str, bool | Unquoted] = {
    "true": True,
    "false": False,
    **{word: Unquoted(word) for word in _BOOLEANS | _OTHER_WORDS},
}

_FIRST_OF_NUMBER = frozenset("0123456789+-.")
SUSPECT = _FIRST_OF_NUMBER | {word[0] for word in _WORDS}
"""The first characters of plain scalars that may not be strings. Scalars that start with any other character are
strings.
"""

PLAIN_KEY = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_") - SUSPECT
"""If a plain key starts with one of these characters, it is certainly a string."""

_MAYBE_NUMBER = regex(r"[-+]?\.?[0-9]|[-+]?\.[inIN]")
_NUMBER = regex(
    r"""
      [-+]?0b[01_]+                                              # base 2, 1.1
    | [-+]?0o[0-7_]+                                             # base 8, 1.2
    | [-+]?0x[0-9a-fA-F_]+                                       # base 16
    | [-+]?[0-9][0-9_]*                                          # base 10, and base 8 in 1.1 with a leading zero
    | [-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?
    | [-+]?\.(?:inf|Inf|INF) | \.(?:nan|NaN|NAN)
    """,
    re.VERBOSE,
)
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_DATE = regex(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?)?"
)


def plain(text: str) -> Scalar:
    """Returns the value of a plain scalar that is not empty. Nulls become `Unquoted`; the caller decides whether to
    accept them.
    """
    word = _WORDS.get(text)
    if word is not None:
        return word
    if text[0] in _FIRST_OF_NUMBER and _MAYBE_NUMBER.match(text):
        return _number(text)
    return text


def _number(text: str) -> Scalar:
    # `int` would read -0 as 0, and the sign would be lost.
    if len(text) <= LONGEST_NUMBER and text != "-0":
        if INTEGER.fullmatch(text):
            return int(text)
        if FRACTION.fullmatch(text):
            return SourceFloat(text)
    if _NUMBER.fullmatch(text) or _BASE_60.fullmatch(text) or _DATE.fullmatch(text):
        return Unquoted(text)
    return text


def meaning(text: str) -> str:
    """Returns the type that YAML reads a plain scalar as, with its article: ``a number``, ``a boolean``, ``a date``."""
    if text in {"true", "false"} or text in _BOOLEANS:
        return "a boolean"
    if text in NULLS:
        return "null"
    if text in {MERGE_KEY, "="}:
        return "a special key"
    if _BASE_60.fullmatch(text):
        return "a number in base 60"
    if _DATE.fullmatch(text):
        return "a date"
    return "a number"


DEEPEST = 64
MOST_EXPANDED = 20_000
MOST_CHARACTERS = 1024 * 1024  # the same as the largest file
TOO_MANY = "more than 1,000 problems; fix these first, then run again"
MOST_PROBLEMS = 1000  # in one document; a file can contain hundreds of thousands of flaws, which nobody reads

# Values of `Builder._key` if the next node is not the value of a mapping's key:
_AT_ROOT = object()
_IN_LIST = object()
_NO_KEY = object()  # a mapping that expects a key next
_AS_KEY = object()  # a mapping or list in the position of a key
_DROPPED = object()  # the value of a refused key


class Flaw(NamedTuple):
    """A syntactic fault of the text: its offset, its path, the message, and the rule. For a duplicate, `first` is the
    offset of the original."""

    offset: int
    loc: Loc
    message: str
    rule: str
    first: int | None = None


class Unreadable(Exception):
    """Raised if reading stops at an offset. `flaws` are the flaws that were found before that offset in the unfinished
    document.
    """

    def __init__(self, offset: int, message: str, rule: str) -> None:
        super().__init__(message)
        self.offset, self.message, self.rule = offset, message, rule
        self.flaws: list[Flaw] = []


@dataclass(slots=True)
class Document:
    """One document: its value as plain dicts, lists and scalars, and the location of each of its nodes.

    `records` contains one list of offsets for each mapping and list, keyed by its `id`. The first offset is the start
    of the mapping or list. The other offsets belong to a list's entries, or to a mapping's keys and values, in order.
    `records` is valid as long as `value` exists. If it is incomplete, `read_again` reads the same document with all its
    records.
    """

    value: Any = None
    offset: int = 0
    flaws: list[Flaw] = field(default_factory=list)
    records: dict[int, list[int]] = field(default_factory=dict)
    orders: dict[int, dict[str, int]] = field(default_factory=dict)
    read_again: Callable[[], Document] | None = None

    def complete(self, value: object) -> None:
        """Adds the records that are missing, if the record of `value`, a part of this document, is missing."""
        if self.read_again is None or id(value) in self.records or not isinstance(value, dict | list):
            return
        again = self.read_again()
        self.read_again = None
        pairs = [(self.value, again.value)]
        # The loop reads the pairs that it adds.
        for mine, other in pairs:
            if isinstance(mine, dict):
                pairs += zip(mine.values(), other.values(), strict=True)
            elif isinstance(mine, list):
                pairs += zip(mine, other, strict=True)
            else:
                continue
            self.records[id(mine)] = again.records[id(other)]

    def order(self, mapping: dict[str, Any]) -> dict[str, int]:
        """Returns the index of each key in a mapping of this document."""
        if id(mapping) not in self.orders:
            self.orders[id(mapping)] = {key: number for number, key in enumerate(mapping)}
        return self.orders[id(mapping)]


class _Frame(NamedTuple):
    """The state of an outer mapping or list while an inner one is read."""

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
    """Builds documents one by one: call `scalar`, `open`, `close`, `alias` in the order of the text, then `finish`."""

    def __init__(self) -> None:
        self._restart()

    def finish(self) -> Document:
        """Returns the built document and starts the next one."""
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
        self._template: int | None = None  # the number of mappings and lists around the template that is being read

    def flaw(self, offset: int, message: str, rule: str, first: int | None = None) -> None:
        """Records a fault at an offset, under the path of the node that is being read. Faults inside a template such as
        ``{{ x }}`` are not recorded."""
        if self._template is not None and len(self._stack) > self._template:
            return
        if len(self.document.flaws) >= MOST_PROBLEMS:
            raise Unreadable(offset, TOO_MANY, "too-many")
        self.document.flaws.append(Flaw(offset, self._loc(), message, rule, first))

    def scalar(self, offset: int, text: str, is_plain: bool, anchor: str | None = None) -> None:
        """Adds a scalar. `is_plain` means that it is written without quotes, so it may be a number, a boolean or
        null.
        """
        self._nodes += 1
        self._characters += len(text)
        if self._key is _NO_KEY:
            if is_plain and text[:1] in PLAIN_KEY and text not in self._container:
                self._key = text
                self._record.append(offset)
            else:
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
        """Starts a mapping (if `container` is an empty dict) or a list."""
        if len(self._stack) >= DEEPEST:
            raise Unreadable(offset, f"nested deeper than {DEEPEST} levels", "nesting")
        if self._key is _NO_KEY:
            self._refuse_key(offset)
        before = (self._nodes, self._deepest, self._characters)
        self._stack.append(_Frame(self._container, self._record, self._key, offset, anchor, *before))
        self._nodes += 1
        self._deepest = len(self._stack)
        self._container, self._record = container, [offset]
        self._key = _NO_KEY if type(container) is dict else _IN_LIST
        self.document.records[id(container)] = self._record

    def _refuse_key(self, offset: int) -> None:
        """Records that a mapping or a list is in the position of a key."""
        is_template = offset == self._record[0] + 1 and not self._container  # {{
        message = "a key must be a string, not a mapping or a list; if {{ or [[ begins a text, put it in quotes"
        if is_template:
            message = "a text that begins with {{ must be in quotes; templates are not evaluated here"
        self.flaw(self._record[0] if is_template else offset, message, "key")
        if is_template and self._template is None:
            self._template = len(self._stack) - 1
        self._key = _AS_KEY

    def close(self) -> None:
        """Ends the innermost mapping or list."""
        value, depth, deepest = self._container, len(self._stack), self._deepest
        if self._template == depth - 1:
            self._template, value = None, Unquoted("{{")
        frame = self._stack.pop()
        self._container, self._record, self._key = frame.container, frame.record, frame.key
        self._deepest = max(frame.deepest, deepest)
        if frame.anchor:
            nodes, characters = self._nodes - frame.nodes, self._characters - frame.characters
            self._anchor(frame.anchor, _Anchored(value, frame.offset, nodes, deepest - depth + 1, characters))
        self._add(frame.offset, value)

    def alias(self, offset: int, name: str) -> None:
        """Adds the value of the anchor `name`."""
        anchored = self._anchors.get(name)
        if anchored is None:
            if any(frame.anchor == name for frame in self._stack):
                raise Unreadable(offset, f"*{name} is inside its own anchor: write the value out", "alias")
            raise Unreadable(offset, f"undefined alias *{name}: put a text that starts with * in quotes", "alias")
        self._nodes += anchored.nodes
        self._expanded += anchored.nodes
        if self._expanded > MOST_EXPANDED:
            raise Unreadable(offset, f"aliases expand to more than {MOST_EXPANDED:,} nodes", "alias")
        self._characters += anchored.characters
        self._expanded_characters += anchored.characters
        if self._expanded_characters > MOST_CHARACTERS:
            raise Unreadable(offset, f"aliases expand to more than {MOST_CHARACTERS:,} characters", "alias")
        if len(self._stack) + anchored.height > DEEPEST:
            raise Unreadable(offset, f"*{name} nests deeper than {DEEPEST} levels", "nesting")
        self._deepest = max(self._deepest, len(self._stack) + anchored.height)
        if self._key is _NO_KEY:
            self.flaw(offset, f"an alias cannot be a key: write the key instead of *{name}", "key")
            self._key = _DROPPED
            return
        self._add(anchored.offset, anchored.value)  # not a copy, so that it has the location of the anchor

    def _begin_entry(self, offset: int, text: str, is_plain: bool) -> None:
        """Uses a scalar as the key of the next entry, or drops the entry if the key is refused."""
        self._key = _DROPPED
        if is_plain and text == MERGE_KEY:
            self.flaw(offset, "merge keys (<<) are not allowed: write the fields out", "merge-key")
        elif is_plain and text in NULLS:
            self.flaw(offset, f"missing key{f'; if {text} is the key, write it in quotes' if text else ''}", "key")
        elif is_plain and text[0] in SUSPECT and not isinstance(plain(text), str):
            self.flaw(offset, f'the key {text} is {meaning(text)}: write "{text}" in quotes', "quotes")
        elif text in self._container:
            first = self._record[1 + 2 * list(self._container).index(text)]
            self.flaw(offset, f"duplicate key {text}: remove one of them", "duplicate-key", first)
        elif "\0" in text:
            self.flaw(offset, "NUL characters are not allowed", "control-character")
        elif is_plain and text[0].isspace():
            self.flaw(
                offset,
                f"the character U+{ord(text[0]):04X} in the indentation is not a space: use spaces",
                "indentation",
            )
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
            if value != Unquoted(""):  # an empty document is located at its start, not at its end
                self.document.offset = offset

    def _plain(self, offset: int, text: str) -> Scalar:
        if text not in NULLS:
            return plain(text)
        if self._stack:
            message = f'null is not allowed: remove it, or write "{text}" in quotes if you mean the string'
            self.flaw(offset, message if text else "has no value: remove it, or add a value", "null")
        return Unquoted(text)

    def _anchor(self, name: str, anchored: _Anchored) -> None:
        if name in self._anchors:
            self.flaw(anchored.offset, f"the anchor &{name} is defined twice", "anchor")
        self._anchors[name] = anchored

    def _loc(self) -> Loc:
        """Returns the path of the node that is being read: the keys and indexes from the root to the node, without
        refused keys."""
        levels = [(frame.container, frame.key) for frame in self._stack] + [(self._container, self._key)]
        loc: list[str | int] = []
        for container, key in levels:
            if type(container) is list:
                loc.append(len(container))
            elif isinstance(key, str):
                loc.append(key)
        return tuple(loc)
