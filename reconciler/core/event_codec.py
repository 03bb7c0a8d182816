"""Events as JSON objects and back. The ledger keeps these objects: names, order and meaning of their keys stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from reconciler.core.events import Beginning, Event
from reconciler.errors import LedgerCorrupt, LedgerFormatNewer
from reconciler.model.base import JSON
from reconciler.model.kind import MODULES

NO_KIND = ""  # of events that have none
_KINDS = frozenset({*MODULES, NO_KIND})

_KEY = ("name", "generation", "slot", "attempt")
_CONTENT = ("digest", "revision", "request", "deletion_policy", "streaming")
_REQUIRED = ("name", "digest", "revision", "request", "locate", "deletion_policy", "source")


@cache
def event_types() -> dict[str, type[Event]]:
    """Every type that the ledger can hold, by its name there; `events` has them."""
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
    """The JSON form of an event. Fields that are `None` are left out."""
    form: JSON = {"type": event.type}
    values = {name: getattr(event, name) for name in _names(event.type)}
    if isinstance(event, Beginning):
        values |= _flat(event)
    for name in event.wire if isinstance(event, Beginning) else values:
        if values[name] is not None:
            form[name] = values[name]
    return form


def _flat(event: Beginning) -> JSON:
    key, content = event.key, event.content
    return {
        **{name: getattr(key, name) for name in _KEY},
        **{name: getattr(content, name) for name in _CONTENT},
        "locate": dict(content.location),
        "source": asdict(content.source) if content.source else {},
    }


def decode(form: Mapping[str, Any]) -> Event:
    """The event that a JSON form holds.

    Unknown optional fields of a known type are passed over. Raises `LedgerFormatNewer` for a type that is not known,
    `LedgerCorrupt` for a missing field, and for a value that its field cannot hold.
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
    """The form with the parts of key and content put together, as the event has them."""
    missing = [name for name in _REQUIRED if form.get(name) is None]
    if missing:
        raise LedgerCorrupt(f"a {form['type']!r} event of the ledger lacks {', '.join(missing)}")
    content = {name: form[name] for name in _CONTENT if name in form}
    content["location"] = form["locate"]
    if form["source"] != {}:
        content["source"] = form["source"]
    return {**form, "key": {name: form[name] for name in _KEY if name in form}, "content": content}


def _problem(error: ValidationError) -> str:
    """The first thing that is wrong, without the value: that may be anything."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = ".".join(str(part) for part in first["loc"] if part not in {"key", "content"})
    if first["type"] == "missing":
        return f"lacks {name}"
    return f"has an invalid {name}: {first['msg'].removeprefix('Value error, ').lower()}"
