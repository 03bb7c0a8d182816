"""Repeated intents: an intent that differs little from an earlier one of its spec is stored as the difference, because
a schedule sends almost the same request thousands of times."""

import json
from hashlib import sha256
from typing import Any, ClassVar

from reconciler.core.event_codec import decode, encode
from reconciler.core.event_fields import Number, Request, Text, Texts
from reconciler.core.events import Intended, SubmissionEvent
from reconciler.core.identity import TOKEN_PREFIX
from reconciler.model.base import JSON
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IntendedAs(SubmissionEvent):
    """An intent that is stored as its difference from a base: the intent of the same spec at the position `base`, whose
    token begins with the digits `like`.

    `fields` are the fields of its JSON form that differ; `absent` are the fields that only the base has. The request is
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


def request_digest(request: JSON, token: str) -> str:
    """Returns a digest of the exact request without the token. The token is replaced with NUL, which JSON text cannot
    contain."""
    return sha256(json.dumps(request).replace(token, "\0").encode()).hexdigest()[:DIGITS]


def as_difference(event: Intended, base: Intended, position: int) -> IntendedAs | None:
    """Returns an intent as its difference from `base`, the intent at `position`; `None` if their requests have too
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
        digest=request_digest(event.request, event.token),
        fields={name: value for name, value in form.items() if name not in OWN and before.get(name) != value},
        absent=absent or None,
        changes=changes or None,
    )


def like(token: str) -> str:
    """Returns the first digits of a token, as in `IntendedAs.like`."""
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
    return request if request_digest(request, event.token) == event.digest else None


def _with_token(request: JSON, before: str, after: str) -> JSON:
    changed: JSON = json.loads(json.dumps(request).replace(before, after)) if before else request
    return changed


def _compare(before: Any, after: Any, pointer: str, changes: dict[str, Any]) -> None:  # noqa: ANN401 - JSON values
    """Adds the smallest parts of `after` that differ from `before` to `changes`, by JSON pointer."""
    if type(before) is type(after) and isinstance(after, dict) and list(before) == list(after):
        parts = [(name.replace("~", "~0").replace("/", "~1"), before[name], after[name]) for name in after]
    elif type(before) is type(after) and isinstance(after, list) and len(before) == len(after):
        parts = [(str(number), *both) for number, both in enumerate(zip(before, after, strict=True))]
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
