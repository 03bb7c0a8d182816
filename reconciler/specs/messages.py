"""Words pydantic's validation errors as users read them, with suggestions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from reconciler.model.base import Loc, Strict, Unquoted, source_text
from reconciler.model.patterns import PATTERN_HINTS
from reconciler.model.project import ACCOUNT_PATTERN, LEDGER_PATTERN, REGION_PATTERN, VARIABLE_PATTERN
from reconciler.model.spec import NAME_PATTERN
from reconciler.specs.scalars import INTEGER, meaning

Context = Mapping[str, Any]
HINTS = {
    **PATTERN_HINTS,
    NAME_PATTERN: "a name is 1 to 63 lower-case letters, digits and '-', with a letter or digit at both ends",
    ACCOUNT_PATTERN: 'an account is 12 digits in quotes, such as "111122223333"',
    REGION_PATTERN: "a region looks like eu-west-1",
    LEDGER_PATTERN: "a ledger is sqlite:///PATH, s3://BUCKET/PREFIX or dynamodb://TABLE",
    VARIABLE_PATTERN: "a variable's name is letters, digits, '_' and '-', and does not start with a digit",
}
LONGEST_SHOWN = 60  # characters of a value; longer ones are not repeated


def error_message(kind: str, message: str, value: object, context: Context) -> str:
    """A sentence about one of pydantic's errors, from its type, its message, the refused value and its context."""
    if kind in _BY_TYPE:
        return _BY_TYPE[kind](value, context)
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {_shown(value)}"
    if kind == "value_error":
        return str(context.get("error", message))
    return message[:1].lower() + message[1:]


def suggestion(word: str, names: Iterable[str], otherwise: str = "") -> str:
    """``; did you mean X?`` if one of the names is close; else the names after `otherwise`, if that is given."""
    lower = {name.lower(): name for name in names}
    close = get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {lower[close[0]]}?"
    return f"; {otherwise} {', '.join(lower.values())}" if otherwise and lower else ""


def known_fields(model: type[Strict], loc: Loc) -> tuple[str, ...]:
    """The fields that `model` has inside the mapping at `loc`; empty if that is no model."""
    models: list[type[Strict]] = [model]
    for element in loc:
        if isinstance(element, int):
            continue
        annotations = [outer.model_fields[element].annotation for outer in models if element in outer.model_fields]
        models = [inner for annotation in annotations for inner in _models(annotation)] or models
    return tuple(dict.fromkeys(name for each in models for name in each.model_fields))


def _models(annotation: Any) -> list[type[Strict]]:  # noqa: ANN401 - a type annotation
    """The models that an annotation mentions: as itself, in a list or mapping, or as a branch of a union."""
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _shown(value: object) -> str:
    """A refused value as a message may repeat it."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = source_text(value)
    if text is None:
        return "nothing"
    shown = text if len(text) <= LONGEST_SHOWN and text.isprintable() else ""
    if isinstance(value, str):
        return f'"{shown}"' if shown else "a string"
    return f"{shown} ({meaning(text)})" if shown else meaning(text)


def _string(value: object, _: Context) -> str:
    text = source_text(value)
    if isinstance(value, dict | list):
        return f"expected a string, got {_shown(value)}"
    return f'expected a string, got {text} ({meaning(text)}): write "{text}" in quotes' if text else "expected a string"


def _integer(value: object, _: Context) -> str:
    if isinstance(value, str) and INTEGER.fullmatch(value):
        return f"expected an integer: write {value} without quotes"
    return f"expected an integer, got {_shown(value)}{_plainly(value)}"


def _plainly(value: object) -> str:
    """The plain spelling of an integer in another one, such as ``0x1F``; empty unless that is certain."""
    try:
        return f": write {int(value.source.lower().replace('_', ''), 0)}" if isinstance(value, Unquoted) else ""
    except ValueError:
        return ""


def _boolean(value: object, _: Context) -> str:
    text = (source_text(value) or "").lower()
    for meant, spellings in (("true", {"yes", "on", "y", "true", "1"}), ("false", {"no", "off", "n", "false", "0"})):
        if text in spellings:
            return f"expected true or false: write {meant}, without quotes"
    return f"expected true or false, got {_shown(value)}"


def _choice(value: object, context: Context) -> str:
    expected = str(context.get("expected", "")).replace("'", "")
    close = suggestion(value, expected.replace(" or ", ", ").split(", ")) if isinstance(value, str) else ""
    return f"expected {expected}, got {_shown(value)}{close}"


def _pattern(value: object, context: Context) -> str:
    pattern, shown = str(context.get("pattern")), _shown(value)
    message = HINTS.get(pattern) or f"must match {pattern}"
    evaluated = isinstance(value, str) and "${" in value
    return (
        message
        + (f"; got {shown}" if shown != "a string" else "")
        + ("; placeholders are replaced only in spec.request" if evaluated else "")
    )


def _length(value: object, context: Context) -> str:
    one, many = ("character", "characters") if isinstance(value, str) else ("entry", "entries")
    key, bound = ("max_length", "at most") if "max_length" in context else ("min_length", "at least")
    limit = context[key]
    length = f", got {len(value):,}" if isinstance(value, str | dict | list | tuple) else ""
    return f"must have {bound} {limit:,} {one if limit == 1 else many}{length}"


def _range(_: object, context: Context) -> str:
    bounds = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    return next((f"must be {bounds[key]} {context[key]}" for key in bounds if key in context), "is out of range")


_EXPECTED = {
    "float_type": "a number",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "a mapping"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
}
_BY_TYPE: dict[str, Callable[[object, Context], str]] = {
    "string_type": _string,
    **dict.fromkeys(("int_type", "int_from_float"), _integer),
    "bool_type": _boolean,
    **dict.fromkeys(("literal_error", "enum"), _choice),
    "string_pattern_mismatch": _pattern,
    **dict.fromkeys(("string_too_short", "string_too_long", "too_short", "too_long"), _length),
    **dict.fromkeys(("greater_than", "greater_than_equal", "less_than", "less_than_equal"), _range),
}
