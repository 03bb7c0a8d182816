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

from reconciler.specs.yaml_forms import LOCATED_LEVELS, NotPlain, Records, is_key, scalar
from reconciler.specs.yaml_nodes import DEEPEST, PLAIN_KEY, SUSPECT, Document

MAYBE = SUSPECT | {""}
"""The first characters of plain scalars that may not be strings."""

NO_VALUES = {StreamStartEvent, DocumentStartEvent, StreamEndEvent}
NextEvent = Callable[[], Any]


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
