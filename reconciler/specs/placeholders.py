"""``${…}`` in the strings of a request: what may stand there, and what it is for one spec in one target.

A string is split once into pieces and put together once for each target. In a one-off spec everything is put together.
In a scheduled spec ``${run.slot}`` stays, and with it the escape ``$${`` wherever the text itself holds ``${``, so that
what is stored can still be read in one way only; `render_slot` of `reconciler.model.template` finishes it for one slot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from reconciler.model.base import Loc
from reconciler.model.template import ESCAPED, OPENING, SLOT, PlaceholderProblem, pieces
from reconciler.specs.yaml_reader import MOST_CHARACTERS


class TooLarge(PlaceholderProblem):
    """What placeholders stand for makes the request larger than any request can be."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What placeholders may name for one spec in one target, by their full name (``var.bucket``).

    `slots`: whether the spec has slots. `elsewhere`: the names that any target defines, each with one that does.
    """

    target: str
    values: Mapping[str, str]
    slots: bool
    elsewhere: Mapping[str, str] = field(default_factory=dict)


def strings(value: Any) -> list[tuple[Loc, str]]:  # noqa: ANN401 - any JSON value
    """Every string of a value that holds a ``${``, with its path; keys are not among them."""
    found: list[tuple[Loc, str]] = []
    _walk(value, (), found, [])
    return found


def keys(value: Any) -> list[Loc]:  # noqa: ANN401 - any JSON value
    """The path of every key that holds a ``${``."""
    found: list[Loc] = []
    _walk(value, (), [], found)
    return found


def _walk(value: Any, loc: Loc, texts: list[tuple[Loc, str]], names: list[Loc]) -> None:  # noqa: ANN401 - as above
    if isinstance(value, str):
        if OPENING in value:
            texts.append((loc, value))
    elif isinstance(value, dict):
        for key, inner in value.items():
            if OPENING in key:
                names.append((*loc, key))
            _walk(inner, (*loc, key), texts, names)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _walk(inner, (*loc, index), texts, names)


def render(text: str, scope: Scope, room: int = MOST_CHARACTERS) -> str:
    """A string with its placeholders filled in; where the spec has slots, as a template for `render_slot`.

    Raises `PlaceholderProblem`, also where what is filled in takes more than `room` characters.
    """
    done: list[str] = []
    literal = ""
    for offset, piece in pieces(text):
        if piece.name == SLOT and scope.slots:
            if literal.endswith("$"):
                raise PlaceholderProblem(offset, f"a $ directly before ${{{SLOT}}} cannot be told from an escape")
            inner = SLOT if piece.slot_format is None else f"{SLOT}:{piece.slot_format}"
            done += [escape(literal), f"${{{inner}}}"]
            literal = ""
        else:
            literal += piece.text if piece.name is None else _value(offset, piece.name, scope)
            if len(literal) > room:
                raise TooLarge(offset, "what placeholders stand for makes the request larger than 1 MiB")
    done.append(escape(literal) if scope.slots else literal)
    return "".join(done)


def escape(text: str) -> str:
    """Text as it must be written to be taken literally."""
    return text.replace(OPENING, ESCAPED)


def _value(offset: int, name: str, scope: Scope) -> str:
    value = scope.values.get(name)
    if value is not None:
        return value
    if name == SLOT:
        raise PlaceholderProblem(offset, f"${{{SLOT}}} is only for specs with a schedule")
    if name in scope.elsewhere:
        other = scope.elsewhere[name]
        raise PlaceholderProblem(
            offset, f"{name} is not defined in target {scope.target}, only in others such as {other}"
        )
    known = list(dict.fromkeys([*scope.values, *scope.elsewhere, *([SLOT] if scope.slots else [])]))
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean ${{{near[0]}}}?" if near else f"known are {', '.join(sorted(known))}."
    raise PlaceholderProblem(offset, f"unknown placeholder ${{{name}}}; {hint} A literal ${{ is written $${{")
