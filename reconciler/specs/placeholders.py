"""``${…}`` in the strings of a request: what may stand there, and what it is for one spec in one target.

A string is split once into pieces and put together once for each target. In a one-off spec everything is put together.
In a scheduled spec ``${run.slot}`` stays, and with it the escape ``$${`` wherever the text itself holds ``${``, so that
what is stored can still be read in one way only; `render_slot` finishes it for one slot.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from reconciler.identity.instant import parse
from reconciler.model.kind import Loc
from reconciler.model.strict import JSON
from reconciler.specs.builder import MOST_CHARACTERS

OPENING, ESCAPED = "${", "$${"
SLOT = "run.slot"

_PIECE = re.compile(r"\$\$\{|\$\{(?P<inner>[^{}]*)\}|\$\{")
_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)
_FORMATS: dict[str, Callable[[datetime], str]] = {
    "Y": lambda t: f"{t.year:04}",
    "y": lambda t: f"{t.year % 100:02}",
    "m": lambda t: f"{t.month:02}",
    "d": lambda t: f"{t.day:02}",
    "H": lambda t: f"{t.hour:02}",
    "M": lambda t: f"{t.minute:02}",
    "S": lambda t: f"{t.second:02}",
    "j": lambda t: f"{t.timetuple().tm_yday:03}",
    "G": lambda t: f"{t.isocalendar().year:04}",
    "V": lambda t: f"{t.isocalendar().week:02}",
    "u": lambda t: f"{t.isoweekday()}",
    "w": lambda t: f"{t.isoweekday() % 7}",
    "s": lambda t: f"{int(t.timestamp())}",
    "%": lambda _: "%",
}
"""The numeric directives of strftime, which no locale changes, done here so that no platform changes them either."""


class Piece(NamedTuple):
    """Either literal text (`name` is None), or a placeholder by its name with the format given after a colon."""

    text: str
    name: str | None = None
    slot_format: str | None = None


class PlaceholderProblem(ValueError):
    """A placeholder that cannot be read or is not known; `offset` is that of its ``${`` in the string."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset, self.message = offset, message


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


@lru_cache(maxsize=4096)
def pieces(text: str) -> tuple[tuple[int, Piece], ...]:
    """The pieces of a string with their offsets, literal ones unescaped. Raises `PlaceholderProblem`."""
    found: list[tuple[int, Piece]] = []
    end = 0
    for match in _PIECE.finditer(text):
        if match.start() > end:
            found.append((end, Piece(text[end : match.start()])))
        end = match.end()
        if match[0] == ESCAPED:
            found.append((match.start(), Piece(OPENING)))
        elif match["inner"] is None:
            raise PlaceholderProblem(match.start(), "a placeholder without its closing }: write $${ for a literal ${")
        else:
            found.append((match.start(), _placeholder(match.start(), match["inner"])))
    if end < len(text):
        found.append((end, Piece(text[end:])))
    return tuple(found)


def _placeholder(offset: int, inner: str) -> Piece:
    name, colon, slot_format = inner.partition(":")
    if not colon:
        return Piece("", name)
    if name != SLOT:
        raise PlaceholderProblem(offset, f"only ${{{SLOT}}} takes a format: ${{{inner}}}")
    _check_format(offset, slot_format)
    return Piece("", name, slot_format)


def _check_format(offset: int, slot_format: str) -> None:
    if not slot_format:
        raise PlaceholderProblem(offset, f"an empty format: write ${{{SLOT}}}, or ${{{SLOT}:%Y-%m-%d}}")
    for directive in _DIRECTIVE.finditer(slot_format):
        if directive[1] not in _FORMATS:
            known = " ".join(f"%{letter}" for letter in _FORMATS)
            raise PlaceholderProblem(offset, f"%{directive[1]} is not a numeric date directive; these are: {known}")


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


def render_slot(request: JSON, slot: str, time_zone: str) -> JSON:
    """The request of one slot (``2026-11-22T02:00:00Z``), from the template that a scheduled spec's request is.

    ``${run.slot}`` alone is the slot as it is, in UTC; with a format it is the slot's time in `time_zone`.
    """
    moment = parse(slot).astimezone(ZoneInfo(time_zone))

    def fill(text: str) -> str:
        return "".join(_slot_text(piece, slot, moment) for _, piece in pieces(text))

    filled: JSON = mapped(request, fill)
    return filled


def _slot_text(piece: Piece, slot: str, moment: datetime) -> str:
    if piece.name is None:
        return piece.text
    if piece.slot_format is None:
        return slot
    return _DIRECTIVE.sub(lambda directive: _FORMATS[directive[1]](moment), piece.slot_format)


def mapped(value: Any, change: Callable[[str], str]) -> Any:  # noqa: ANN401 - any JSON value
    """A value with every string that holds a ``${`` changed; parts without any are the same objects as before."""
    if isinstance(value, str):
        return change(value) if OPENING in value else value
    if isinstance(value, dict):
        return {key: mapped(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [mapped(inner, change) for inner in value]
    return value
