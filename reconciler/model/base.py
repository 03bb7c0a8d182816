"""Base classes and scalars of the models, and readers for requests of any shape."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from reconciler.values import dataclass, regex

_plugins = ModuleType("pydantic.plugin._loader")
vars(_plugins)["get_plugins"] = tuple
sys.modules.setdefault(_plugins.__name__, _plugins)
"""Plugins of pydantic must not change how specs are validated, and searching for them takes a twelfth of the start-up
time."""

JSON = dict[str, Any]
"""A JSON object as plain dicts, lists, strings, integers and booleans, in the order given."""


class Strict(BaseModel):
    """A frozen model that converts nothing and refuses unknown fields."""

    # A command builds only the models that it uses, which saves start-up time. Refused values may be secrets.
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


def nests_deeper(value: Any, levels: int) -> bool:  # noqa: ANN401 - any JSON value
    """Returns whether mappings and lists are nested deeper than `levels`. Recursion into them could exceed Python's
    limit."""
    layer = [value]
    for _ in range(levels + 1):
        inside = (each.values() if isinstance(each, dict) else each for each in layer if isinstance(each, dict | list))
        layer = [inner for container in inside for inner in container]
        if not layer:
            return False
    return True


Loc = tuple[str | int, ...]
"""A path inside a request: field names and list indexes, such as ``("jobDriver", "sparkSubmit", "entryPoint")``."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A message about one path of a request. `rule` is a stable identifier such as ``batch-share-identifier``.

    `word` is the part of a long text that the message is about, and `nth` is the number of earlier occurrences in that
    text. The message shows no other part of the text.
    """

    loc: Loc
    message: str
    rule: str
    word: str = ""
    nth: int = 0


class SourceFloat(float):
    """A number with a fraction or an exponent that keeps its text: ``0.60`` stays ``0.60``."""

    __slots__ = ("source",)

    source: str

    def __new__(cls, source: str) -> SourceFloat:
        """Parses `source` as a number. Raises `ValueError` if it is not one."""
        number = super().__new__(cls, source)
        number.source = source
        return number


@dataclass(frozen=True, slots=True)
class Unquoted:
    """The text of a plain scalar that YAML does not read as a string: ``on``, ``12:30``, a date, ``null``."""

    source: str


def source_text(value: object) -> str | None:
    """Returns the text of a scalar as written in a spec, or `None` for mappings, lists and ``None``.

    Booleans and integers have only one spelling in specs, so their text is not kept.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, SourceFloat | Unquoted):
        return value.source
    if isinstance(value, int | float):
        return str(value)
    return None


INTEGER_MAX = 2**31 - 1  # AWS's `integer` has 32 bits
LONG_MAX = 2**63 - 1  # and its `long` 64


EXACTLY_ONE: JSON = {"minProperties": 1, "maxProperties": 1}
"""Keywords for a union's JSON Schema. During validation, the rules of the request check the same condition and have
better messages.
"""


class Shape(Strict):
    """One structure of an AWS request. An absent field is `None`; an explicit null is an error."""


def required(description: str, **constraints: Any) -> Any:  # noqa: ANN401 - assigned to a field of any type
    """Declares a required field."""
    return Field(description=description, **constraints)


def optional(description: str, **constraints: Any) -> Any:  # noqa: ANN401 - assigned to a field of any type
    """Declares an optional field. If it is given, its value has the declared type and is never null."""
    return Field(default=None, description=description, **constraints)


PATTERN_HINTS: dict[str, str] = {}
"""Descriptions of valid values, by pattern. Every pattern of a request model has an entry."""


def hinted(pattern: str, hint: str) -> str:
    """Returns a pattern of a model, and adds the hint for values that do not match it to `PATTERN_HINTS`.

    A pattern is anchored if AWS's pattern matches the whole string, and uses only syntax that has the same meaning in
    Python, Rust and JavaScript, because pydantic, the tests and (through the JSON Schema) editors check it.
    """
    PATTERN_HINTS[pattern] = hint
    return pattern


def pattern_first(pattern: str) -> BeforeValidator:
    """Checks a pattern before the length limits, so that a role's name is reported as "not an ARN" and not as "too
    short"."""
    compiled = regex(pattern)

    def check(value: object) -> object:
        if isinstance(value, str) and not compiled.search(value):
            raise PydanticCustomError("string_pattern_mismatch", "must match {pattern}", {"pattern": pattern})
        return value

    return BeforeValidator(check)


def part(value: object, *path: str) -> JSON:
    """Returns the mapping at `path` below `value`, or an empty mapping if there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def entries(value: JSON, key: str, loc: Loc = ()) -> Iterator[tuple[Loc, JSON]]:
    """Yields each mapping in the list at `key` of `value`, with its path. Yields nothing if there is no list."""
    members = value.get(key)
    if isinstance(members, list):
        for index, member in enumerate(members):
            if isinstance(member, dict):
                yield (*loc, key, index), member


def texts(value: object, loc: Loc = ()) -> Iterator[tuple[Loc, str]]:
    """Yields every string of a value with its path. Keys are left out."""
    if isinstance(value, str):
        yield loc, value
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from texts(member, (*loc, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from texts(member, (*loc, index))


def text(value: JSON, key: str) -> str | None:
    """Returns the string at `key`, or `None`."""
    member = value.get(key)
    return member if isinstance(member, str) else None


def integer(value: JSON, key: str) -> int | None:
    """Returns the integer at `key`, or `None`."""
    member = value.get(key)
    return member if isinstance(member, int) and not isinstance(member, bool) else None


Rule = tuple[tuple[str, ...], Callable[[JSON], Iterable[Remark]]]
"""A rule, with its top-level fields. The rule applies if a request has at least one of these fields."""


def applied(rules: Iterable[Rule], request: JSON) -> list[Remark]:
    """Returns the remarks of the rules that apply to a request. Most requests have few fields, so most rules are
    skipped."""
    fields = request.keys()
    return [remark for triggers, rule in rules if not fields.isdisjoint(triggers) for remark in rule(request)]
