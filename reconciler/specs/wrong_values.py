"""Describes a value that a model refused, and suggests what to write instead: the right type, or the right structure,
such as a list instead of a string, or a list of named entries instead of a mapping."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from reconciler.model.arns import region_problem
from reconciler.model.base import PATTERN_HINTS, Loc, SourceFloat, Unquoted, source_text
from reconciler.model.project import LEDGER_PATTERN, REGION_PATTERN
from reconciler.specs.parse import A_SPACE_AFTER_THE_COLON
from reconciler.specs.yaml_nodes import FRACTION, INTEGER, meaning

Context = Mapping[str, Any]
ARN_WITH_PATH = re.compile(r"arn:(?:[^:]*:){4}.*/([\w-]+)")
OTHER_VALUES = {
    "never": "OnFailure",
    "delete": "Cancel",
    "terminate": "Cancel",
    "retain": "Orphan",
    "keep": "Orphan",
    "queue": "Forbid",
    "skip": "Forbid",
}
"""The values that other tools have for one of ours, in lower case."""
LONGEST_SHOWN = 60  # characters of a value; longer values are not shown


def error_message(kind: str, message: str, value: object, context: Context) -> str:
    """Returns a sentence that describes a pydantic error, given its type, its message, the refused value and its
    context."""
    if kind in _BY_TYPE:
        return _BY_TYPE[kind](value, context)
    if kind in EXPECTED:
        return f"expected {EXPECTED[kind]}, got {_shown(value)}"
    if kind == "value_error":
        return str(context.get("error", message))
    return message[:1].lower() + message[1:]


def suggestion(word: str, names: Iterable[str], otherwise: str = "") -> str:
    """Returns ``; did you mean X?`` if one of `names` is similar to `word`. Otherwise returns `otherwise`, if given,
    followed by the names.
    """
    lower = {name.lower(): name for name in names}
    close = get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {lower[close[0]]}?"
    return f"; {otherwise} {', '.join(lower.values())}" if otherwise and lower else ""


def _shown(value: object) -> str:
    """Formats a refused value for a message."""
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
    """Returns the decimal spelling of an integer such as ``0x1F`` or ``1.0``, or an empty string if its value is not
    certain."""
    text = source_text(value) if isinstance(value, Unquoted | SourceFloat) else ""
    if whole := re.fullmatch(r"(-?[1-9][0-9]*|0)\.0+", text or ""):
        return f": write {whole[1]}"
    try:
        return f": write {int(value.source.lower().replace('_', ''), 0)}" if isinstance(value, Unquoted) else ""
    except ValueError:
        return ""


def _number(value: object, _: Context) -> str:
    if isinstance(value, str) and (INTEGER.fullmatch(value) or FRACTION.fullmatch(value)):
        return f"expected a number: write {value} without quotes"
    decimal = ""
    if isinstance(value, Unquoted) and re.fullmatch(r"[0-9.]+[eE][-+]?[0-9]{1,2}", value.source):
        decimal = f": write {float(value.source):.12f}".rstrip("0").rstrip(".")
    return f"expected a number, got {_shown(value)}{decimal}"


def _boolean(value: object, _: Context) -> str:
    text = (source_text(value) or "").lower()
    for meant, spellings in (("true", {"yes", "on", "y", "true", "1"}), ("false", {"no", "off", "n", "false", "0"})):
        if text in spellings:
            return f"expected true or false: write {meant}, without quotes"
    return f"expected true or false, got {_shown(value)}"


def _choice(value: object, context: Context) -> str:
    expected = str(context.get("expected", "")).replace("'", "")
    words = expected.replace(" or ", ", ").split(", ")
    other = OTHER_VALUES.get(value.lower()) if isinstance(value, str) else None
    if other in words:
        return f"expected {expected}, got {_shown(value)}; did you mean {other}?"
    close = suggestion(value, words) if isinstance(value, str) else ""
    return f"expected {expected}, got {_shown(value)}{close}"


def _pattern(value: object, context: Context) -> str:
    pattern, shown = str(context.get("pattern")), _shown(value)
    message = PATTERN_HINTS.get(pattern) or f"must match {pattern}"
    if pattern == REGION_PATTERN and isinstance(value, str) and (problem := region_problem(value)):
        return problem if problem.endswith("?") else f"{problem}: {message}"
    meant = _ledger(value) if pattern == LEDGER_PATTERN and isinstance(value, str) else ""
    return message + (f"; got {shown}" if shown != "a string" else "") + meant


def _ledger(value: str) -> str:
    """Returns ``; did you mean sqlite:///ledger.db?`` for a path, the ARN of a table or a bucket, or an address with
    the wrong number of slashes."""
    arn = re.fullmatch(r"arn:[^:]+:(?:dynamodb:[^:]*:\d*:table/(?P<table>[^/]+).*|s3:::(?P<place>.+))", value)
    scheme = re.fullmatch(r"(?P<scheme>s3|dynamodb|sqlite):/{0,2}(?P<rest>[^/].*)", value)
    if arn:
        meant = f"dynamodb://{arn['table']}" if arn["table"] else f"s3://{arn['place']}"
    elif scheme:
        meant = f"{scheme['scheme']}://{'/' if scheme['scheme'] == 'sqlite' else ''}{scheme['rest']}"
    else:
        meant = f"sqlite:///{value.removeprefix('./')}" if re.fullmatch(r"[\w./-]+", value) else ""
    return f"; did you mean {meant}?" if meant != value and re.fullmatch(LEDGER_PATTERN, meant) else ""


def _length(value: object, context: Context) -> str:
    one, many = ("character", "characters") if isinstance(value, str) else ("entry", "entries")
    key, bound = ("max_length", "at most") if "max_length" in context else ("min_length", "at least")
    limit = context[key]
    length = f", got {len(value):,}" if isinstance(value, str | dict | list | tuple) else ""
    arn = (
        isinstance(value, str) and key == "max_length" and re.match(r"arn:[^:]*:[^:]*:[^:]*:[^:]*:.*/([\w-]+)$", value)
    )
    short = f": it is an ARN, and only its last part is expected: write {arn[1]}" if arn else ""
    return f"must have {bound} {limit:,} {one if limit == 1 else many}{length}{short}"


def _range(_: object, context: Context) -> str:
    bounds = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    return next((f"must be {bounds[key]} {context[key]}" for key in bounds if key in context), "is out of range")


EXPECTED = {
    **dict.fromkeys(("int_type", "int_from_float", "float_type"), "a number"),
    "bool_type": "a boolean",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "a mapping"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
}
INSIDE = {
    "model_type": "it has",
    "bool_type": "a mapping has",
    "dict_type": "each value has",
    **dict.fromkeys(("list_type", "tuple_type"), "each entry has"),
}
"""How to introduce the fields inside a refused value, by the type of the error."""
NOT_TEXT = frozenset(EXPECTED)
"""The types of errors about values that cannot be strings and therefore cannot contain a placeholder."""


def no_placeholder(kind: str, loc: Loc, value: object) -> str:
    """Returns advice about a placeholder at a path that cannot have one, or an empty string if there is no such
    placeholder."""
    if not isinstance(value, str) or "${" not in value.replace("$${", ""):
        return ""
    if "vars" in loc:
        return ""  # the error itself mentions placeholders
    if loc[:2] != ("spec", "request"):
        of_project = loc[:2] == ("spec", "targets") and all(isinstance(each, str) for each in loc[2:]) and len(loc) > 2
        what = "a policy field" if loc[:1] == ("spec",) and not of_project else "outside of it"
        return f"; placeholders are for text of the request; this is {what}: write the value itself"
    if kind not in EXPECTED:
        return ""
    return (
        f"; placeholders are for text of the request; this is {EXPECTED[kind]}: write the value itself; if it "
        "differs between targets, write a spec for each (spec.targets)"
    )


_BY_TYPE: dict[str, Callable[[object, Context], str]] = {
    "string_type": _string,
    **dict.fromkeys(("int_type", "int_from_float"), _integer),
    "float_type": _number,
    "bool_type": _boolean,
    **dict.fromkeys(("literal_error", "enum"), _choice),
    "string_pattern_mismatch": _pattern,
    **dict.fromkeys(("string_too_short", "string_too_long", "too_short", "too_long"), _length),
    **dict.fromkeys(("greater_than", "greater_than_equal", "less_than", "less_than_equal"), _range),
}


# --- shapes -----------------------------------------------------------------------------------------------------------

MOST_FIELDS = 7  # of a mapping in which a single value is likely meant for the first field
PAIRS = (("name", "value"), ("type", "value"), ("Key", "Value"), ("key", "value"), ("Name", "Value"))
ASSIGNED = re.compile(r"(?P<key>[\w.:/-]+)=(?P<value>[^=]*)")


def proposal(expected: str, value: object, fields: Sequence[str] = ()) -> str:
    """Returns what to write instead of a value if `expected` was required: ``a list``, ``a mapping`` or ``a string``.
    `fields` are the fields of the mapping, or of the entries of the list. Returns an empty string if that is not
    certain."""
    if isinstance(value, str) and ("${" in value or len(value) > LONGEST_SHOWN):
        return ""
    meant = SHAPES[expected](value, fields)
    return f": {meant}" if meant and len(meant) <= 2 * LONGEST_SHOWN else ""


def _list(value: object, fields: Sequence[str]) -> str:
    if isinstance(value, dict) and fields:
        if value and value.keys() <= set(fields):
            return "put - before its first field, so that it is an entry of a list"
        return _write(_entries(value, fields))
    if not isinstance(value, str) or not value.isprintable():
        return ""
    if fields:
        return _write([entry]) if (entry := _entry(value, fields)) else ""
    try:
        entries = json.loads(value)
    except ValueError:
        entries = [] if re.search("[\"'\\\\]", value) else value.split()
    texts = isinstance(entries, list) and all(isinstance(entry, str) for entry in entries)
    return _write(entries if texts else None)


def _mapping(value: object, fields: Sequence[str]) -> str:
    if not fields:
        pairs = _pairs(value if isinstance(value, list) else [value])
        return _write(pairs)
    if isinstance(value, str) and re.match(r"[\w.-]+ *[:：](?!//)\S", value):
        return A_SPACE_AFTER_THE_COLON
    return _write(_entry(value, fields))


def _one_text(value: object, _: Sequence[str]) -> str:
    if isinstance(value, dict) and len(value) == 1 and (text := source_text(next(iter(value.values())))):
        return f"if it is one text, write {json.dumps(f'{next(iter(value))}: {text}', ensure_ascii=False)} in quotes"
    if not isinstance(value, list) or not value or not all(isinstance(entry, str) for entry in value):
        return ""
    if len(value) > 1 and any(" " in entry for entry in value):
        return ""  # several texts, such as schedules, and not the words of one
    return f"write {json.dumps(' '.join(value), ensure_ascii=False)}{', without brackets' if len(value) == 1 else ''}"


def _entries(value: dict[str, Any], fields: Sequence[str]) -> list[dict[str, Any]] | None:
    """Returns ``[{"name": "A", "value": "b"}]`` for ``{"A": "b"}``, and entries with their key as the first field for
    mappings of mappings."""
    if value and all(isinstance(inner, dict) for inner in value.values()):
        return _named_entries(value, fields)
    pair = next((pair for pair in PAIRS if set(pair) <= set(fields)), None)
    texts = {key: source_text(inner) for key, inner in value.items()}
    if pair is None or not texts or None in texts.values():
        return None
    return [{pair[0]: key, pair[1]: text or ""} for key, text in texts.items()]


def _named_entries(value: dict[str, Any], fields: Sequence[str]) -> list[dict[str, Any]] | None:
    """Returns ``[{name: "a", condition: "Completed"}]`` for ``{a: {condition: Completed}}``. Values of a mapping with
    other keys are the second field."""
    key = "name" if "name" in fields else fields[0]
    if all(inner.keys() <= set(fields) - {key} for inner in value.values()):
        return [{key: name, **inner} for name, inner in value.items()]
    if key == "name" or len(fields) == 1:
        return None
    texts = {name: {each: source_text(text) for each, text in inner.items()} for name, inner in value.items()}
    if any(None in inner.values() for inner in texts.values()):
        return None
    return [{key: name, fields[1]: inner} for name, inner in texts.items()]


def _entry(value: object, fields: Sequence[str]) -> dict[str, Any] | None:
    """Returns a mapping with the value in its most likely field, or `None`."""
    if isinstance(value, dict | list) or source_text(value) in {None, ""} or len(fields) > MOST_FIELDS:
        return None
    pair = next((pair for pair in PAIRS if set(pair) <= set(fields)), None)
    if pair is not None:
        assigned = ASSIGNED.fullmatch(value) if isinstance(value, str) else None
        return {pair[0]: assigned["key"], pair[1]: assigned["value"]} if assigned else None
    if isinstance(value, bool) and "enabled" not in fields:
        return None
    return {"spec" if "spec" in fields else fields[0]: value}


def _pairs(entries: Sequence[object]) -> dict[str, str] | None:
    """Returns ``{"a": "b"}`` for ``[{"Key": "a", "Value": "b"}]`` and for ``["a=b"]``."""
    pairs: dict[str, str] = {}
    for entry in entries:
        assigned = ASSIGNED.fullmatch(entry) if isinstance(entry, str) else None
        keys = next((pair for pair in PAIRS if isinstance(entry, dict) and entry.keys() == set(pair)), None)
        if assigned:
            pairs[assigned["key"]] = assigned["value"]
        elif keys and isinstance(entry, dict) and isinstance(entry[keys[0]], str):
            pairs[entry[keys[0]]] = source_text(entry[keys[1]]) or ""
        else:
            return None
    return pairs


def _write(meant: object) -> str:
    return f"write {_flow(meant)}" if meant else ""


def _flow(value: object) -> str:
    """Returns a value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow_key(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else source_text(value) or ""


def _flow_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{3,}|[A-Z]", key) else json.dumps(key, ensure_ascii=False)


SHAPES: Mapping[str, Callable[[object, Sequence[str]], str]] = {
    "a list": _list,
    "a mapping": _mapping,
    "a string": _one_text,
}
SHAPES_BY_ERROR = {kind: name for kind, name in (*EXPECTED.items(), ("string_type", "a string")) if name in SHAPES}
