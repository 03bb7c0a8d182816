"""Reads plain scalars: strings, integers, booleans, fractions, and those that must be quoted to be strings.

YAML 1.1 and YAML 1.2 disagree about many plain scalars, and so do the people who write them. Here a scalar that either
version reads as anything but a string never becomes a string silently: it is a boolean or a number in its one plain
spelling, or an `Unquoted`, which every field refuses.
"""

from __future__ import annotations

import re

from reconciler.model.base import SourceFloat, Unquoted

Scalar = str | int | bool | SourceFloat | Unquoted

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
MERGE_KEY = "<<"
INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
FRACTION = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
LONGEST_NUMBER = 100  # characters: more than any field allows, less than Python's own limit for integers

_BOOLEANS = frozenset(
    spelling
    for word in ("true", "false", "yes", "no", "on", "off", "y", "n")
    for spelling in (word, word.capitalize(), word.upper())
) - {"true", "false"}
_OTHER_WORDS = (NULLS - {""}) | {MERGE_KEY, "="}
_WORDS: dict[str, bool | Unquoted] = {
    "true": True,
    "false": False,
    **{word: Unquoted(word) for word in _BOOLEANS | _OTHER_WORDS},
}

_FIRST_OF_NUMBER = frozenset("0123456789+-.")
SUSPECT = _FIRST_OF_NUMBER | {word[0] for word in _WORDS}
"""The first characters of plain scalars that may not be strings; all others are strings."""

_NUMBER = re.compile(
    r"""
      [-+]?0b[01_]+                                              # base 2, 1.1
    | [-+]?0o[0-7_]+                                             # base 8, 1.2
    | [-+]?0x[0-9a-fA-F_]+                                       # base 16
    | [-+]?[0-9][0-9_]*                                          # base 10, and base 8 in 1.1 with a leading zero
    | [-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?
    | [-+]?\.(?:inf|Inf|INF) | \.(?:nan|NaN|NAN)
    """,
    re.VERBOSE,
)
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?)?"
)


def plain(text: str) -> Scalar:
    """The value of a plain scalar that is not empty. Nulls are `Unquoted`: the caller decides about them."""
    word = _WORDS.get(text)
    if word is not None:
        return word
    if text[0] in _FIRST_OF_NUMBER:
        return _number(text)
    return text


def _number(text: str) -> Scalar:
    if len(text) <= LONGEST_NUMBER and text != "-0":
        if INTEGER.fullmatch(text):
            return int(text)
        if FRACTION.fullmatch(text):
            return SourceFloat(text)
    if _NUMBER.fullmatch(text) or _BASE_60.fullmatch(text) or _DATE.fullmatch(text):
        return Unquoted(text)
    return text


def meaning(text: str) -> str:
    """What YAML reads a plain scalar as, with its article: ``a number``, ``a boolean``, ``a date``."""
    if text in {"true", "false"} or text in _BOOLEANS:
        return "a boolean"
    if text in NULLS:
        return "null"
    if text in {MERGE_KEY, "="}:
        return "a special key"
    if _BASE_60.fullmatch(text):
        return "a number in base 60"
    if _DATE.fullmatch(text):
        return "a date"
    return "a number"
