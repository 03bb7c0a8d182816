"""Reads YAML fast if it has no unusual syntax, as almost all specs do. All other YAML is read by
`reconciler.specs.parse`.

Only the values are read, together with the offsets of the two outermost levels. The offsets of all other values are
read if a problem needs one of them. At the first sign of unusual syntax or a flaw, this reader gives up.
"""

from collections.abc import Callable, Iterator
from sys import intern
from typing import Any

from yaml import (
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from reconciler.specs.yaml_nodes import DEEPEST, NULLS, PLAIN_KEY, SUSPECT, Document, plain

LOCATED_LEVELS = 2
"""The number of levels of mappings whose offsets are kept: those of the document and of its metadata, for the location
of a spec's name."""

MAYBE = SUSPECT | {""}
"""The first characters of plain scalars that may not be strings."""

NO_VALUES = {StreamStartEvent, DocumentStartEvent, StreamEndEvent}
NextEvent = Callable[[], Any]
Records = dict[int, list[int]]


class NotPlain(Exception):
    """Raised for a text that the fast reader does not read, because it has a flaw or a rarely used form."""


def may_be_plain(text: str) -> bool:
    """Returns whether a text certainly has no tags and no anchors."""
    return "!" not in text and "&" not in text


def plain_documents(next_event: NextEvent) -> Iterator[Document]:
    """Yields the documents of a text without tags and anchors, from the events of the parser. Raises `NotPlain`, and
    the errors of the parser."""
    kind: type | None = None
    while kind is not StreamEndEvent:
        event = next_event()
        kind = type(event)
        if kind is MappingStartEvent:
            document = Document(offset=event.start_mark.index)
            document.value = _mapping(next_event, event, 1, document.records)
            next_event()  # the end of the document
            yield document
        elif kind not in NO_VALUES:
            raise NotPlain


def _mapping(next_event: NextEvent, start: Any, level: int, records: Records) -> dict[str, Any]:  # noqa: ANN401 - an event
    mapping: dict[str, Any] = {}
    record = [start.start_mark.index] if level <= LOCATED_LEVELS else None
    event: Any = next_event()
    while type(event) is ScalarEvent:
        key = event.value
        if key in mapping or ((event.style or key[:1] not in PLAIN_KEY) and not is_key(key, event.style)):
            raise NotPlain
        inner = next_event()
        if record is not None:
            record += (event.start_mark.index, inner.start_mark.index)  # type: ignore[union-attr]
        if type(inner) is ScalarEvent:
            text = inner.value
            mapping[intern(key)] = scalar(text, inner.style) if inner.style or text[:1] in MAYBE else text
        else:
            mapping[intern(key)] = _container(next_event, inner, level + 1, records)
        event = next_event()
    if type(event) is not MappingEndEvent:
        raise NotPlain
    if record is not None:
        records[id(mapping)] = record
    return mapping


def _list(next_event: NextEvent, level: int, records: Records) -> list[Any]:
    entries: list[Any] = []
    event = next_event()
    while (kind := type(event)) is not SequenceEndEvent:
        if kind is ScalarEvent:
            text = event.value
            entries.append(scalar(text, event.style) if event.style or text[:1] in MAYBE else text)
        else:
            entries.append(_container(next_event, event, level + 1, records))
        event = next_event()
    return entries


def _container(next_event: NextEvent, start: Any, level: int, records: Records) -> Any:  # noqa: ANN401 - an event
    if level > DEEPEST:
        raise NotPlain
    if type(start) is MappingStartEvent:
        return _mapping(next_event, start, level, records)
    if type(start) is SequenceStartEvent:
        return _list(next_event, level, records)
    raise NotPlain


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
