"""The names that a model knows at a path, for suggestions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from reconciler.model.base import Loc, SourceFloat, Strict, Unquoted, source_text
from reconciler.model.patterns import PATTERN_HINTS
from reconciler.model.project import ACCOUNT_PATTERN, LEDGER_PATTERN, REGION_PATTERN, VARIABLE_PATTERN
from reconciler.model.spec import NAME_PATTERN
from reconciler.specs.scalars import INTEGER, meaning


def known_fields(model: type[Strict], loc: Loc) -> tuple[str, ...]:
    """The fields that `model` knows inside the mapping at `loc`; empty where that is no model."""
    models: list[type[Strict]] = [model]
    for element in loc:
        if isinstance(element, int):
            continue
        inner = [found for outer in models if element in outer.model_fields for found in _inside(outer, element)]
        if inner:
            models = inner
    return tuple(dict.fromkeys(name for found in models for name in found.model_fields))


def _inside(model: type[Strict], name: str) -> list[type[Strict]]:
    return _models(model.model_fields[name].annotation)


def _models(annotation: Any) -> list[type[Strict]]:  # noqa: ANN401 - a type annotation
    """The models that an annotation mentions: as itself, in a list or mapping, or as a branch of a union."""
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


Context = Mapping[str, Any]
HINTS = {
    **PATTERN_HINTS,
    NAME_PATTERN: "a name is 1 to 63 lower-case letters, digits and '-', with a letter or digit at both ends",
    ACCOUNT_PATTERN: 'an account is 12 digits in quotes, such as "111122223333"',
    REGION_PATTERN: "a region is written as in eu-west-1",
    LEDGER_PATTERN: "a ledger is sqlite:///PATH, s3://BUCKET/PREFIX or dynamodb://TABLE",
    VARIABLE_PATTERN: "a variable's name is letters, digits, '_' and '-', not beginning with a digit",
}
LONGEST_SHOWN = 60  # characters of a value; longer ones are not repeated


def said(kind: str, message: str, value: object, context: Context) -> str:
    """A sentence about one of pydantic's errors: its type, its message, the refused value and its context."""
    speak = _BY_TYPE.get(kind)
    if speak is not None:
        return speak(value, context)
    if kind == "value_error":
        return str(context.get("error", message))
    return message[:1].lower() + message[1:]


def near(word: str, known: Sequence[str]) -> str:
    """``; did you mean X?`` where one of the known words is close, else nothing."""
    lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    return f"; did you mean {lower[found[0]]}?" if found else ""


def _what(value: object) -> str:
    """A refused value, with its kind."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = source_text(value)
    if text is None:
        return "nothing"
    shown = text if len(text) <= LONGEST_SHOWN and text.isprintable() else ""
    if isinstance(value, str):
        return f'the text "{shown}"' if shown else "text"
    return f"{shown} ({meaning(text)})" if shown else meaning(text)


def _text(value: object, _: Context) -> str:
    if isinstance(value, dict | list):
        return f"text is due here, not {_what(value)}"
    text = source_text(value) or ""
    if not text:
        return "text is due here"
    return f'{text} is {meaning(text)}, and text is due here: write "{text}" in quotes'


def _integer(value: object, _: Context) -> str:
    if isinstance(value, str) and INTEGER.fullmatch(value):
        return f"an integer is due here: write {value} without quotes"
    return f"an integer is due here, not {_what(value)}{_plainly(value)}"


def _plainly(value: object) -> str:
    """How an integer in another spelling is written plainly, where that is certain."""
    if not isinstance(value, Unquoted):
        return ""
    try:
        number = int(value.source.lower().replace("_", ""), 0)
    except ValueError:
        return ""
    return f": write {number}"


def _boolean(value: object, _: Context) -> str:
    text = (source_text(value) or "").lower()
    meant = "true" if text in {"yes", "on", "y", "true", "1"} else "false"
    if text in {"yes", "on", "y", "true", "no", "off", "n", "false", "0", "1"}:
        return f"a boolean is true or false: write {meant}, without quotes"
    return f"true or false is due here, not {_what(value)}"


def _number(value: object, _: Context) -> str:
    return f"a number is due here, not {_what(value)}"


def _mapping(value: object, _: Context) -> str:
    return f"a mapping is due here, not {_what(value)}"


def _list(value: object, _: Context) -> str:
    return f"a list is due here, not {_what(value)}"


def _choice(value: object, context: Context) -> str:
    expected = str(context.get("expected", "")).replace("'", "")
    choices = expected.replace(" or ", ", ").split(", ")
    if isinstance(value, Unquoted | SourceFloat | int):
        return f"{_what(value)} is none of these: {expected}"
    return f"{_what(value)} is not {expected}{near(value, choices) if isinstance(value, str) else ''}"


def _pattern(value: object, context: Context) -> str:
    pattern = str(context.get("pattern"))
    what = _what(value)
    instead = "" if what == "text" else f", not {what}"
    return f"{HINTS.get(pattern) or f'must match {pattern}'}{instead}{_evaluated(value)}"


def _evaluated(value: object) -> str:
    if isinstance(value, str) and "${" in value:
        return "; placeholders are evaluated only in spec.request"
    return ""


def _length(value: object, context: Context) -> str:
    one, many = ("character", "characters") if isinstance(value, str) else ("entry", "entries")
    key, bound = ("max_length", "at most") if "max_length" in context else ("min_length", "at least")
    limit = context[key]
    given = f", not {len(value):,}" if isinstance(value, str | dict | list | tuple) else ""
    return f"must have {bound} {limit:,} {one if limit == 1 else many}{given}"


def _range(_: object, context: Context) -> str:
    for key, words in (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than")):
        if key in context:
            return f"must be {words} {context[key]}"
    return "is out of range"


_BY_TYPE: dict[str, Callable[[object, Context], str]] = {
    "string_type": _text,
    "int_type": _integer,
    "int_from_float": _integer,
    "bool_type": _boolean,
    "float_type": _number,
    "dict_type": _mapping,
    "model_type": _mapping,
    "model_attributes_type": _mapping,
    "list_type": _list,
    "tuple_type": _list,
    "literal_error": _choice,
    "enum": _choice,
    "string_pattern_mismatch": _pattern,
    "string_too_short": _length,
    "string_too_long": _length,
    "too_short": _length,
    "too_long": _length,
    "greater_than": _range,
    "greater_than_equal": _range,
    "less_than": _range,
    "less_than_equal": _range,
}
