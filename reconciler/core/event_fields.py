"""Whether the JSON form of an event holds what its fields are for: a ledger can be damaged, or forged, and what is
built from it is trusted by everything above.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from reconciler.core.times import parse_time
from reconciler.model.base import nests_deeper

DEEPEST = 100  # levels of a request; a spec has at most 64
LARGEST = 2**53  # of a number: what JSON keeps exact everywhere
MOST_TIMES = 1_000_000  # attempts and sends: delays and tokens are computed from them

Check = Callable[[Any], bool]
"""Whether a value, which is not `None`, fits."""

TIMES = frozenset({"at", "not_after", "looked_at", "since", "started_at", "finished_at"})
SLOTS = frozenset({"slot", "first", "last", "settled", "settled_slots"})
FEW = frozenset({"attempt", "send", "backoff_limit"})


def invalid_field(event_type: type, form: Mapping[str, Any]) -> str | None:
    """The first field of a JSON form whose value no reconciler wrote, with what is due there; `None` where
    all fit. `event_type` is the dataclass of the event, and has `form`'s fields."""
    for name, optional, check, due in _checks(event_type):
        value = form.get(name)
        if value is None:
            if name in form and not optional:
                return f"{name}, which is null"
        elif not check(value):
            return f"{name}, which is not {due}"
    return None


@cache
def _checks(event_type: type) -> tuple[tuple[str, bool, Check, str], ...]:
    """Name, whether it may be null, check and what is due, for each field."""
    return tuple(
        (field.name, str(field.type).endswith("None"), *_check(field.name, str(field.type)))
        for field in fields(event_type)
    )


def _check(name: str, annotation: str) -> tuple[Check, str]:
    """What a field must hold, by its name and its annotation in `recorded.events`."""
    base = annotation.removesuffix(" | None")
    if name == "slots":
        return _is_slots, "a list of times"
    if name == "source":
        return _is_source, "a path and a line"
    if base == "str" and name in TIMES | SLOTS:
        return _is_time, "a time"
    if base == "int" and name in FEW:
        return (lambda value: type(value) is int and 0 <= value <= MOST_TIMES), "a number that is possible there"
    return _BY_ANNOTATION[base]


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and parse_time(value) is not None
    except (ValueError, OverflowError):
        return False


def _is_text(value: object) -> bool:
    """Text that can be written down again: half of a surrogate pair cannot."""
    if not isinstance(value, str):
        return False
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


def _is_slots(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_time, value))


def _is_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_text, value))


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value)) and all(map(_is_text, value.values()))


def _is_source(value: object) -> bool:
    """Empty, or where the spec was: both are printed and neither is opened."""
    if not isinstance(value, dict):
        return False
    return (
        _is_text(value.get("path", "")) and type(value.get("line", 1)) is int and ("path" in value) == ("line" in value)
    )


def _is_json(value: object) -> bool:
    return isinstance(value, dict) and not nests_deeper(value, DEEPEST)


_BY_ANNOTATION: dict[str, tuple[Check, str]] = {
    "str": (_is_text, "text"),
    "int": (lambda value: type(value) is int and abs(value) <= LARGEST, "a whole number"),
    "bool": (lambda value: type(value) is bool, "true or false"),
    "JSON": (_is_json, "a mapping"),
    "Mapping[str, str]": (_is_mapping, "a mapping of texts"),
    "tuple[str, ...]": (_is_texts, "a list of texts"),
}
