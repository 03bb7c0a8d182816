"""The base of the request models, and reading requests that may not have the shape they should.

A request model only says whether a request is right: the request itself, as the user gave it, is what is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from reconciler.model.kind import Loc, Remark
from reconciler.model.strict import JSON, Strict

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
