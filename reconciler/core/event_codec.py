"""Converts events to JSON objects and back. Ledgers contain these objects, so their keys and key order must not
change."""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from reconciler.core.events import Beginning, Event
from reconciler.core.identity import Source
from reconciler.errors import LedgerCorrupt, LedgerFormatNewer
from reconciler.model.base import JSON
from reconciler.model.kind import MODULES

NO_KIND = ""  # for events without a kind
_KINDS = frozenset({*MODULES, NO_KIND})

_KEY = ("name", "generation", "slot", "attempt")
_CONTENT = ("digest", "revision", "request", "deletion_policy", "streaming")
_REQUIRED = ("name", "digest", "revision", "request", "locate", "deletion_policy", "source")


@cache
def event_types() -> dict[str, type[Event]]:
    """Returns every event type by its name in the ledger."""
    by_name: dict[str, type[Event]] = {}
    pending = [Event]
    while pending:
        for child in pending.pop().__subclasses__():
            pending.append(child)
            if "type" in child.__dict__:
                by_name[child.type] = child
    return by_name


@cache
def _names(type_name: str) -> tuple[str, ...]:
    return tuple(field.name for field in fields(event_types()[type_name]))


@cache
def _adapter(type_name: str) -> TypeAdapter[Event]:
    return TypeAdapter(event_types()[type_name])


def encode(event: Event) -> JSON:
    """Returns the JSON form of an event, without fields that are `None`."""
    values = {name: getattr(event, name) for name in _names(event.type)}
    if isinstance(event, Beginning):
        values = _flat(event, values)
    if isinstance(values.get("source"), Source):
        values["source"] = _source(values["source"])
    return {"type": event.type, **{name: value for name, value in values.items() if value is not None}}


def _source(source: Source) -> JSON:
    return {"path": source.path, "line": source.line}


def _flat(event: Beginning, values: JSON) -> JSON:
    """Returns the values with key and content flattened, in the order of `wire`. Fields that are not in `wire` come
    last."""
    key, content = values.pop("key"), values.pop("content")
    values |= {
        **{name: getattr(key, name) for name in _KEY},
        **{name: getattr(content, name) for name in _CONTENT},
        "locate": dict(content.location),
        "source": _source(content.source) if content.source else {},
    }
    return {name: values[name] for name in (*event.wire, *(name for name in values if name not in event.wire))}


def decode(form: Mapping[str, Any]) -> Event:
    """Returns the event of a JSON form. Unknown fields are ignored, because a newer minor version may add some.

    Raises `LedgerFormatNewer` for an unknown type, `LedgerCorrupt` for a missing field or an invalid value.
    """
    event_type = event_types().get(form.get("type", ""))
    if event_type is None:
        raise _newer(f"an event of type {form.get('type')!r}")
    try:
        event = _adapter(event_type.type).validate_python(_nested(form) if issubclass(event_type, Beginning) else form)
    except ValidationError as error:
        raise LedgerCorrupt(f"a {event_type.type!r} event of the ledger {_problem(error)}") from None
    if form.get("kind", NO_KIND) not in _KINDS:
        raise _newer(f"an event of kind {form['kind']!r}")
    return event


def _newer(what: str) -> LedgerFormatNewer:
    return LedgerFormatNewer(
        f"the ledger holds {what}, which this version does not know: it was written by a newer reconciler. "
        "Upgrade to that version."
    )


def _nested(form: Mapping[str, Any]) -> JSON:
    """Returns the form with the fields of key and content grouped as in the event."""
    missing = [name for name in _REQUIRED if form.get(name) is None]
    if missing:
        raise LedgerCorrupt(f"a {form['type']!r} event of the ledger lacks {', '.join(missing)}")
    content = {name: form[name] for name in _CONTENT if name in form}
    content["location"] = form["locate"]
    if form["source"] != {}:
        content["source"] = form["source"]
    return {**form, "key": {name: form[name] for name in _KEY if name in form}, "content": content}


def _problem(error: ValidationError) -> str:
    """Describes the first problem without its value, because a forged ledger may contain any value."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = ".".join(str(part) for part in first["loc"] if part not in {"key", "content"})
    if first["type"] == "missing":
        return f"lacks {name}"
    return f"has an invalid {name}: {first['msg'].removeprefix('Value error, ').lower()}"
