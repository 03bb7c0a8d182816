"""Base classes and scalars of the models, and readers for requests of any shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

JSON = dict[str, Any]
"""A JSON object as plain dicts, lists, strings, integers and booleans, in the order given."""


class Strict(BaseModel):
    """A frozen model that converts nothing and refuses unknown fields."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


def nests_deeper(value: Any, levels: int) -> bool:  # noqa: ANN401 - any JSON value
    """Whether mappings and lists are nested deeper than `levels`; recursion over them could exceed Python's limit."""
    layer = [value]
    for _ in range(levels + 1):
        inside = (each.values() if isinstance(each, dict) else each for each in layer if isinstance(each, dict | list))
        layer = [inner for container in inside for inner in container]
        if not layer:
            return False
    return True


Loc = tuple[str | int, ...]
"""A path inside a request: field names and list indexes, as in ``("jobDriver", "sparkSubmit", "entryPoint")``."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A message about one path of a request. `rule` is a stable identifier such as ``batch-share-identifier``.

    `word` is the part of a long text that the message is about, and `nth` how often that text has it before. It is the
    only part that the message shows.
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
        """The number that `source` spells. Raises `ValueError` if it spells none."""
        number = super().__new__(cls, source)
        number.source = source
        return number


@dataclass(frozen=True, slots=True)
class Unquoted:
    """The text of a plain scalar that YAML does not read as a string: ``on``, ``12:30``, a date, ``null``."""

    source: str


def source_text(value: object) -> str | None:
    """The text of a scalar as a spec wrote it; `None` for mappings, lists and ``None``.

    Booleans and integers have only one spelling in specs, so they do not keep it.
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


EXACTLY_ONE: JSON = {"minProperties": 1, "maxProperties": 1}
"""Keywords for a union's JSON Schema. On validation the rules of the request say the same, in words."""


class Shape(Strict):
    """One structure of an AWS request. An absent field is `None`; an explicit null is an error."""


def required(description: str, **constraints: Any) -> Any:  # noqa: ANN401 - assigned to a field of any type
    """A required field."""
    return Field(description=description, **constraints)


def optional(description: str, **constraints: Any) -> Any:  # noqa: ANN401 - assigned to a field of any type
    """An optional field; if given, it has its type and is never null."""
    return Field(default=None, description=description, **constraints)


def part(value: object, *path: str) -> JSON:
    """The mapping at `path` below `value`; an empty one if there is no mapping."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def entries(value: JSON, key: str, loc: Loc = ()) -> Iterator[tuple[Loc, JSON]]:
    """Each mapping in the list at `key` of `value`, with its path; nothing if there is no list."""
    members = value.get(key)
    if isinstance(members, list):
        for index, member in enumerate(members):
            if isinstance(member, dict):
                yield (*loc, key, index), member


def texts(value: object, loc: Loc = ()) -> Iterator[tuple[Loc, str]]:
    """Every string of a value, keys aside, with its path."""
    if isinstance(value, str):
        yield loc, value
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from texts(member, (*loc, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from texts(member, (*loc, index))


def text(value: JSON, key: str) -> str | None:
    """The string at `key`; `None` if there is none."""
    member = value.get(key)
    return member if isinstance(member, str) else None


def integer(value: JSON, key: str) -> int | None:
    """The integer at `key`; `None` if there is none."""
    member = value.get(key)
    return member if isinstance(member, int) and not isinstance(member, bool) else None


Rule = tuple[tuple[str, ...], Callable[[JSON], Iterable[Remark]]]
"""Top-level fields, and a rule that applies only if a request has one of them."""


def applied(rules: Iterable[Rule], request: JSON) -> list[Remark]:
    """The remarks of the rules that apply to a request. Most requests have few fields, so most rules never run."""
    fields = request.keys()
    return [remark for triggers, rule in rules if not fields.isdisjoint(triggers) for remark in rule(request)]
