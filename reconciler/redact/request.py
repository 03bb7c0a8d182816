"""Masks secrets in requests and other JSON values, and returns their paths."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import field
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from reconciler.redact.arguments import named_spans
from reconciler.redact.commands import argument_spans
from reconciler.redact.shapes import KEY_ID_STARTS, Span, harmless, has_access_key_id, secret_key
from reconciler.redact.text import (
    SENSITIVE,
    is_clean,
    is_option_value,
    is_secret_option,
    may_be_json,
    merged_spans,
    replaced,
    secret_spans,
)
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.core.plan import Change
    from reconciler.model.base import JSON, Loc

NAME_KEYS = ("name", "Name", "key", "Key")
NO_NAMES = frozenset(NAME_KEYS).isdisjoint
VALUE_KEYS = ("value", "Value")
LONGEST_EMBEDDED = 1_000_000
SHORTEST = 3  # a shorter secret would match almost any text


def masked(request: JSON) -> JSON:
    """Returns a copy of `request` in which secret values, and the secret parts of strings, are ``(sensitive)``.

    A value is a secret because of the name of its field, map key, environment variable or option (the argument before
    it), or because of its shape. Command strings, parameter strings and JSON embedded in strings are searched too.
    Keys, order and all other values are unchanged.
    """
    copy: JSON = _walked(request)[0]
    return copy


def secret_places(request: JSON) -> list[Loc]:
    """Returns the paths of all values that `masked` would change, in the order of the request."""
    return _walked(request)[1].places


def secrets_of(request: JSON) -> tuple[str, ...]:
    """Returns the secrets of a request as written, the longest first. AWS error messages may quote them without a name
    that shows that they are secrets. Secrets of fewer than three characters are left out."""
    secrets = {text for text in _walked(request)[1].secrets if len(text) >= SHORTEST}
    return tuple(sorted(secrets, key=lambda text: (-len(text), text)))


def masked_at(path_keys: Sequence[str | int], value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Masks `value` as `masked` would if it were at `path_keys`, but ignores the command-line arguments before it.

    `path_keys` are the field names, map keys and indexes from the request down to it. An entry of a list may be given
    by its name instead of its index, as in ``("containerOverrides", "environment", "DB_PASSWORD", "value")``.
    """
    return _walked(value, path_keys)[0]


def is_secret_at(path_keys: Sequence[str | int], value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Returns whether `value` at that path is a secret or contains one. Paths are as in `masked_at`."""
    return bool(_walked(value, path_keys)[1].places)


def _walked(value: Any, path_keys: Sequence[str | int] = ()) -> tuple[Any, _Walk]:  # noqa: ANN401 - any JSON value
    """Returns the masked copy of `value`, and the walk that made it."""
    # this search is much faster than checking each text
    whole = value if isinstance(value, str) else json.dumps(value, default=str)
    beside = any(start in whole for start in KEY_ID_STARTS) and any(map(has_access_key_id, _texts(value)))
    walk = _Walk(beside)
    return walk.value(value, tuple(path_keys), _governing(path_keys, value)), walk


def _governing(path_keys: Sequence[str | int], value: object) -> str | None:
    """Returns the secret-looking name that applies to `value`: the last name in the path. Indexes and the ``value`` of
    an entry are ignored."""
    names = [key for key in path_keys if isinstance(key, str)]
    if len(names) > 1 and path_keys[-1] in VALUE_KEYS:
        names.pop()
    if not names or not secret_key(names[-1]):
        return None
    entry = isinstance(value, dict) and names[-1] in {value.get(key) for key in NAME_KEYS if _is_text(value.get(key))}
    return None if entry else names[-1]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _texts(value: object) -> Iterator[str]:
    pending = [value]
    while pending:
        match pending.pop():
            case str() as text:
                yield text
            case dict() as mapping:
                pending.extend(mapping.values())
            case list() as entries:
                pending.extend(entries)
            case _:
                pass


@dataclass(slots=True)
class _Walk:
    """Copies a value without its secrets, and collects `places` and `secrets`. With `beside_key_id`, the value contains
    an AWS access key id, so the secret key may be near it."""

    beside_key_id: bool
    places: list[Loc] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)

    def value(self, value: Any, loc: Loc, governing: str | None) -> Any:  # noqa: ANN401 - any JSON value
        """Returns the masked copy of `value`. `governing` is the secret-looking name that applies to it, or `None`."""
        match value:
            case str():
                return self._text(value, loc, governing)
            case dict():
                return self._mapping(value, loc, governing)
            case list():
                return self._entries(value, loc, governing)
            case int() | float() if governing and not harmless(governing, value):
                return self._hidden(loc, value)
            case _:
                return value

    def _hidden(self, loc: Loc, value: object) -> str:
        self.places.append(loc)
        self.secrets.append(str(value))
        return SENSITIVE

    def _mapping(self, value: JSON, loc: Loc, governing: str | None) -> JSON:
        named = None if NO_NAMES(value) else next((value[k] for k in NAME_KEYS if _is_text(value.get(k))), None)
        copy: JSON = {}
        for key, entry in value.items():
            # The name itself is no secret, and shows which value is hidden.
            if named is not None and key in NAME_KEYS:
                name = None
            elif named is not None and key in VALUE_KEYS:
                name = _joined(governing, named)
            else:
                name = _joined(governing, str(key))
            clean = name is None and self._is_clean(entry)
            copy[key] = entry if clean else self.value(entry, (*loc, key), name)
        return copy

    def _entries(self, value: list[Any], loc: Loc, governing: str | None) -> list[Any]:
        copy: list[Any] = []
        before: object = None
        arguments = [str(entry) for entry in value if not isinstance(entry, dict | list)]
        # A list with mappings or lists in it is not a command line.
        arguments = arguments if len(arguments) == len(value) else []
        by_command = named_spans(arguments) | (argument_spans(arguments) if len(value) > 1 else {})
        for index, entry in enumerate(value):
            if _is_value_of(before, entry):
                copy.append(self._hidden((*loc, index), entry))
            elif index in by_command:
                copy.append(self._text(str(entry), (*loc, index), governing, by_command[index]))
            elif governing is None and self._is_clean(entry):
                copy.append(entry)
            else:
                copy.append(self.value(entry, (*loc, index), governing))
            before = entry
        return copy

    def _is_clean(self, value: object) -> bool:
        """Returns whether a value is a text without secrets, which most values are."""
        return isinstance(value, str) and is_clean(value, self.beside_key_id)

    def _text(self, value: str, loc: Loc, governing: str | None, by_command: Span | None = None) -> str:
        """Returns the masked text. `by_command` is the part that is a secret because of the arguments before it."""
        if governing and not harmless(governing, value):
            return self._hidden(loc, value)
        text = None if by_command else self._embedded(value)
        if text is None:
            spans = secret_spans(value, beside_key_id=self.beside_key_id)
            spans = merged_spans([*spans, by_command]) if by_command else spans
            if not spans:
                return value
            # Without quotes, because AWS may quote the value in another way.
            self.secrets += [value[start:end].strip("\\\"'") for start, end in spans]
            text = replaced(value, spans)
        if text != value:
            self.places.append(loc)
        return text

    def _embedded(self, value: str) -> str | None:
        """Returns a JSON text without its secrets, or `None` if `value` is not JSON, or if no name in it shows a
        secret."""
        if not may_be_json(value) or len(value) > LONGEST_EMBEDDED:
            return None
        try:
            inner = json.loads(value)
            walk = _Walk(self.beside_key_id)
            copy = walk.value(inner, (), None)
        except (ValueError, RecursionError):
            return None
        self.secrets += walk.secrets
        return None if copy == inner else json.dumps(copy, ensure_ascii=False)


def _joined(governing: str | None, name: str) -> str | None:
    """Returns the secret-looking name for the values under `name`, which may itself be under one."""
    if governing:
        return f"{governing}.{name}"
    return name if secret_key(name) else None


def _is_value_of(before: object, entry: object) -> bool:
    """Returns whether `entry` is the secret value of the option `before`."""
    if not isinstance(before, str) or not isinstance(entry, str | int | float):
        return False
    return is_secret_option(before) and is_option_value(before, str(entry))


SENSITIVE_CHANGED = "(sensitive, changed)"


@cache
def _steps() -> re.Pattern[str]:
    """Returns the pattern of one step of a path: an index, a quoted key or a field name."""
    return re.compile(r"\[(?P<index>\d+)\]|\[(?P<quoted>\"(?:[^\"\\]|\\.)*\")\]|\.?(?P<plain>[A-Za-z_][A-Za-z0-9_]*)")


@lru_cache(maxsize=4096)
def path_keys(path: str) -> tuple[str | int, ...]:
    """Returns the keys of a path such as ``containerOverrides.environment["STAGE"].value``. Names of entries are
    strings.

    Any other text is a single key, because a plan file may contain any text.
    """
    keys: list[str | int] = []
    position = 0
    while position < len(path):
        step = _steps().match(path, position)
        if step is None:
            return (path,)
        keys.append(_key(step))
        position = step.end()
    return tuple(keys)


def _key(step: re.Match[str]) -> str | int:
    if step["index"] is not None:
        return int(step["index"])
    if step["quoted"] is None:
        return step["plain"]
    try:
        return str(json.loads(step["quoted"]))
    except ValueError:
        return step["quoted"]


def masked_change(change: Change) -> tuple[Any, Any]:
    """Returns `before` and `after` of a change, masked.

    If either is a secret, or they differ only in a secret, both become ``(sensitive, changed)``. For an addition or
    removal, the missing side is `None` and the other is ``(sensitive)``. If only a part is a secret, the rest is shown.
    """
    keys = path_keys(change.path)
    before, after = masked_at(keys, change.before), masked_at(keys, change.after)
    hidden = change.sensitive or SENSITIVE in {_text(before), _text(after)}
    if change.op == "add":
        return None, SENSITIVE if change.sensitive else after
    if change.op == "remove":
        return SENSITIVE if change.sensitive else before, None
    if hidden or _same(before, after):
        return SENSITIVE_CHANGED, SENSITIVE_CHANGED
    return before, after


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _same(before: object, after: object) -> bool:
    if isinstance(before, str) and isinstance(after, str):
        return before == after
    return json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)
