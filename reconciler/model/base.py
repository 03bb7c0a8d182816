"""Base classes and scalar types of the models that users write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

JSON = dict[str, Any]
"""A JSON object as plain dicts, lists, strings, integers and booleans, in the order given."""


class Strict(BaseModel):
    """A frozen model that converts nothing and accepts no field it does not know."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


def nests_deeper(value: Any, levels: int) -> bool:  # noqa: ANN401 - any JSON value
    """Whether mappings and lists stand inside each other on more than `levels` levels: what walks down a value would
    end at Python's own limit, somewhere."""
    layer = [value]
    for _ in range(levels + 1):
        inside = (each.values() if isinstance(each, dict) else each for each in layer if isinstance(each, dict | list))
        layer = [inner for container in inside for inner in container]
        if not layer:
            return False
    return True


Loc = tuple[str | int, ...]
"""A place inside a request: field names and list indexes, as in ``("jobDriver", "sparkSubmit", "entryPoint")``."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something said about one place of a request. `rule` is a stable identifier such as ``batch-share-identifier``."""

    loc: Loc
    message: str
    rule: str


class SourceFloat(float):
    """A number with a fraction or an exponent, together with its text: ``0.60`` stays ``0.60``."""

    __slots__ = ("source",)

    source: str

    def __new__(cls, source: str) -> SourceFloat:
        """The number that `source` says. Raises `ValueError` where it says none."""
        number = super().__new__(cls, source)
        number.source = source
        return number


@dataclass(frozen=True, slots=True)
class Unquoted:
    """A plain scalar that YAML takes for something else than text (``on``, ``12:30``, a date, ``null``): its text."""

    source: str


def source_text(value: object) -> str | None:
    """The text of a scalar as a spec wrote it; `None` for what is no scalar (mappings, lists, ``None``).

    Booleans and integers have one spelling only in specs, so theirs needs no keeping.
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

Integer = Annotated[int, Field(ge=-INTEGER_MAX - 1, le=INTEGER_MAX)]


def _without_null_defaults(schema: JSON) -> None:
    """A field that is left out is absent, not null: the JSON Schema must not offer null as its default."""
    for field in schema.get("properties", {}).values():
        if field.get("default", 0) is None:
            del field["default"]


def exactly_one(schema: JSON) -> None:
    """For a union: tells editors that one member is given, no more and no fewer. Its rules say so on validation."""
    _without_null_defaults(schema)
    schema.update(minProperties=1, maxProperties=1)


class Shape(Strict):
    """One structure of an AWS request. A field left out reads as `None` here; null given for it is an error."""

    model_config = ConfigDict(json_schema_extra=_without_null_defaults)


def required(description: str, **constraints: Any) -> Any:  # noqa: ANN401 - stands for the field's own type
    """A field that must be given."""
    return Field(description=description, **constraints)


def optional(description: str, **constraints: Any) -> Any:  # noqa: ANN401 - stands for the field's own type
    """A field that may be left out; if given it has its type and is never null."""
    return Field(default=None, description=description, **constraints)


def part(value: object, *path: str) -> JSON:
    """The mapping at `path` below `value`; an empty one where there is none, or something that is no mapping."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def entries(value: JSON, key: str, loc: Loc = ()) -> Iterator[tuple[Loc, JSON]]:
    """Each mapping in the list at `key` of `value`, with its place; nothing where there is no list."""
    members = value.get(key)
    if isinstance(members, list):
        for index, member in enumerate(members):
            if isinstance(member, dict):
                yield (*loc, key, index), member


def text(value: JSON, key: str) -> str | None:
    """The string at `key`; `None` where there is none."""
    member = value.get(key)
    return member if isinstance(member, str) else None


def integer(value: JSON, key: str) -> int | None:
    """The integer at `key`; `None` where there is none."""
    member = value.get(key)
    return member if isinstance(member, int) and not isinstance(member, bool) else None


Rule = tuple[tuple[str, ...], Callable[[JSON], Iterable[Remark]]]
"""Top-level fields, and a rule that has something to say only where a request has one of them."""


def applied(rules: Iterable[Rule], request: JSON) -> list[Remark]:
    """What the rules say about a request. Most requests have few fields, so most rules never start."""
    fields = request.keys()
    return [remark for triggers, rule in rules if not fields.isdisjoint(triggers) for remark in rule(request)]
