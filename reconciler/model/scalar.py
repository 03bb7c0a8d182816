"""Plain YAML scalars that are not what they look like, with the text they were written as.

The reader makes these where YAML would resolve a plain scalar to something other than text, an integer or a boolean.
Most places refuse them and ask for quotes; variables and Spark's `conf` take them by their text.
"""

from __future__ import annotations

from dataclasses import dataclass


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
