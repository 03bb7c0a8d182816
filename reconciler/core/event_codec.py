"""Converts events to JSON objects and back. Ledgers contain these objects, so their keys and key order must not
change.

An intent that differs little from an earlier one of its spec is stored as the difference, because a schedule sends
almost the same request thousands of times.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from hashlib import sha256
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError

from reconciler.core.event_fields import Number, Request, Text, Texts
from reconciler.core.events import Beginning, Event, Intended, SubmissionEvent
from reconciler.core.identity import TOKEN_PREFIX, Source
from reconciler.errors import LedgerCorrupt, LedgerFormatNewer
from reconciler.model.base import JSON
from reconciler.model.kind import MODULES
from reconciler.values import dataclass

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
    """Returns the values with key and content flattened, in the order of `wire`. Other fields come last."""
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
    kind = getattr(event, "kind", NO_KIND)  # not from `form`, in which an unknown field may have any value
    if kind not in _KINDS:
        raise _newer(f"an event of kind {kind!r}")
    return event


def _newer(what: str) -> LedgerFormatNewer:
    return LedgerFormatNewer(
        f"the ledger contains {what}, which this version does not support: it was written by a newer reconciler. "
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


@dataclass(frozen=True, slots=True, kw_only=True)
class IntendedAs(SubmissionEvent):
    """An intent that is stored as its difference from a base: the intent of the same spec at the position `base`, whose
    token begins with the digits `like`.

    `fields` are the differing fields of its JSON form; `absent` are the fields that only the base has. The request is
    that of the base, with the base's token replaced with the token of this submission, and with `changes`, which maps
    JSON pointers to values. `digest` is computed from the request without the token.
    """

    type: ClassVar[str] = "intended-as"
    base: Number
    like: Text
    digest: Text
    fields: Request
    absent: Texts | None = None
    changes: Request | None = None


OWN = ("type", "at", "name", "token", "request")
"""The fields that are not compared with the base."""

DIGITS = 32
LIKE_DIGITS = 8
"""The number of digits of a digest, and of the token of a base. Few are enough, because there are few intents at one
position."""


def digest_without_token(request: JSON, token: str) -> str:
    """Returns a digest of the exact request without the token. The token is replaced with NUL, which JSON text cannot
    contain."""
    return sha256(json.dumps(request).replace(token, "\0").encode()).hexdigest()[:DIGITS]


def as_difference(event: Intended, base: Intended, position: int) -> IntendedAs | None:
    """Returns an intent as its difference from `base`, the intent at `position`, or `None` if their requests have too
    little in common."""
    form, before, changes = encode(event), encode(base), dict[str, Any]()
    _compare(_with_token(base.request, base.token, event.token), event.request, "", changes)
    if 2 * len(json.dumps(changes)) > len(json.dumps(event.request)):
        return None
    absent = tuple(name for name in before if name not in form)
    return IntendedAs(
        at=event.at,
        name=event.name,
        token=event.token,
        base=position,
        like=like(base.token),
        digest=digest_without_token(event.request, event.token),
        fields={name: value for name, value in form.items() if name not in OWN and before.get(name) != value},
        absent=absent or None,
        changes=changes or None,
    )


def like(token: str) -> str:
    """Returns the first digits of a token, which `IntendedAs.like` contains."""
    return token.removeprefix(TOKEN_PREFIX)[:LIKE_DIGITS]


def restored(event: IntendedAs, base: Intended, *, request: bool = True) -> Intended | None:
    """Restores the whole intent from a difference. Without `request`, its request is empty. Returns `None` if `base` is
    not the base of the difference."""
    content = _request(event, base) if request else {}
    if content is None or like(base.token) != event.like:
        return None
    form = {name: value for name, value in encode(base).items() if name not in (event.absent or ())}
    own = {"type": Intended.type, "at": event.at, "name": event.name, "token": event.token, "request": content}
    intent = decode({**form, **event.fields, **own})
    return intent if isinstance(intent, Intended) else None


def _request(event: IntendedAs, base: Intended) -> JSON | None:
    request = _with_token(base.request, base.token, event.token)
    try:
        for pointer, value in (event.changes or {}).items():
            request = _changed(request, pointer.split("/")[1:], value)
    except (LookupError, ValueError, TypeError):
        return None
    return request if digest_without_token(request, event.token) == event.digest else None


def _with_token(request: JSON, before: str, after: str) -> JSON:
    changed: JSON = json.loads(json.dumps(request).replace(before, after)) if before else request
    return changed


def _compare(before: Any, after: Any, pointer: str, changes: dict[str, Any]) -> None:  # noqa: ANN401 - JSON values
    """Adds the smallest parts of `after` that differ from `before` to `changes`, by JSON pointer."""
    # The order of keys is part of the bytes that are sent, so it is compared too.
    if type(before) is type(after) and isinstance(after, dict) and list(before) == list(after):
        parts = [(name.replace("~", "~0").replace("/", "~1"), before[name], after[name]) for name in after]
    elif type(before) is type(after) and isinstance(after, list) and len(before) == len(after):
        parts = [(str(number), *both) for number, both in enumerate(zip(before, after, strict=True))]
    # `==` would treat 1, 1.0 and true as the same value.
    elif json.dumps(before) != json.dumps(after):
        changes[pointer] = after
        return
    else:
        return
    for name, old, new in parts:
        _compare(old, new, f"{pointer}/{name}", changes)


def _changed(value: Any, path: list[str], new: Any) -> Any:  # noqa: ANN401 - JSON values
    """Returns a JSON value in which the part at `path` is `new`."""
    if not path:
        return new
    if isinstance(value, list):
        number = int(path[0])
        return [*value[:number], _changed(value[number], path[1:], new), *value[number + 1 :]]
    name = path[0].replace("~1", "/").replace("~0", "~")
    return {**value, name: _changed(value[name], path[1:], new)}
