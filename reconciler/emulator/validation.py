"""Whether a request is what its botocore shape says: types, required, unknown members, ranges, enums, patterns, unions.

botocore's own `ParamValidator` looks at types, required members and minima only, since the services check the rest.
Here the rest is checked too, in one walk. No message repeats a value: they end up in logs.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from botocore.model import Shape

Rule = Callable[[Shape, Any, str, bool], Iterator[str]]


def problems(shape: Shape | None, value: Mapping[str, Any], *, strict_enums: bool = True) -> list[str]:
    """Everything wrong in a request, each as ``place: what is due``; empty for a good one.

    `strict_enums` false takes enum values in any case, as AWS Batch does.
    """
    if shape is None:
        return []
    return list(_problems(shape, value, "", strict_enums))


def _problems(shape: Shape, value: Any, place: str, strict: bool) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    rule, types = _RULES[shape.type_name]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        yield f"{place or 'request'}: must be {_TYPE_WORDS[shape.type_name]}"
        return
    yield from rule(shape, value, place, strict)


def _structure(shape: Shape, value: Mapping[str, Any], place: str, strict: bool) -> Iterator[str]:
    prefix = f"{place}." if place else ""
    for name in shape.required_members:
        if name not in value:
            yield f"{prefix}{name}: is required"
    for name, member in value.items():
        if name not in shape.members:
            yield f"{prefix}{name}: is not a member of {shape.name}"
        else:
            yield from _problems(shape.members[name], member, prefix + name, strict)
    if shape.metadata.get("union") and len(value) != 1:
        yield f"{place}: exactly one of {', '.join(shape.members)} must be set"


def _list(shape: Shape, value: list[Any], place: str, strict: bool) -> Iterator[str]:
    yield from _size(shape, len(value), place, "items")
    for index, item in enumerate(value):
        yield from _problems(shape.member, item, f"{place}[{index}]", strict)


def _map(shape: Shape, value: Mapping[str, Any], place: str, strict: bool) -> Iterator[str]:
    yield from _size(shape, len(value), place, "entries")
    for key, item in value.items():
        yield from _problems(shape.key, key, f"{place} (key)", strict)
        yield from _problems(shape.value, item, f"{place}.{key}", strict)


def _string(shape: Shape, value: str, place: str, strict: bool) -> Iterator[str]:
    yield from _size(shape, len(value), place, "characters")
    if shape.enum and not _in_enum(shape.enum, value, strict):
        yield f"{place}: must be one of {', '.join(shape.enum)}"
    pattern = shape.metadata.get("pattern")
    if pattern and not _pattern(pattern).fullmatch(value):
        yield f"{place}: does not match {pattern}"


def _number(shape: Shape, value: float, place: str, _: bool) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and value < low:
        yield f"{place}: must be at least {low}"
    if high is not None and value > high:
        yield f"{place}: must be at most {high}"


def _anything(_shape: Shape, _value: object, _place: str, _strict: bool) -> Iterator[str]:
    return iter(())


def _size(shape: Shape, size: int, place: str, what: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield f"{place}: must have at least {low} {what}"
    if high is not None and size > high:
        yield f"{place}: must have at most {high} {what}"


def _in_enum(enum: list[str], value: str, strict: bool) -> bool:
    return value in enum or (not strict and value.lower() in {allowed.lower() for allowed in enum})


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """The models' patterns are Java's: ASCII classes. They hold for the whole value, of several lines too."""
    return re.compile(pattern, re.ASCII | re.DOTALL)


_RULES: Mapping[str, tuple[Rule, tuple[type, ...]]] = {
    "structure": (_structure, (dict,)),
    "list": (_list, (list,)),
    "map": (_map, (dict,)),
    "string": (_string, (str,)),
    "integer": (_number, (int,)),
    "long": (_number, (int,)),
    "float": (_number, (int, float)),
    "double": (_number, (int, float)),
    "boolean": (_anything, (bool,)),
    "timestamp": (_anything, (datetime,)),
}
_TYPE_WORDS = {
    "structure": "an object",
    "list": "a list",
    "map": "an object",
    "string": "a string",
    "integer": "an integer",
    "long": "an integer",
    "float": "a number",
    "double": "a number",
    "boolean": "true or false",
    "timestamp": "a time",
}
