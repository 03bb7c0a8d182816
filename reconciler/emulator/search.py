"""Which runs a listing is about, as SQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reconciler.emulator.lifecycle import ENDED

_LAST = "\U0010ffff"
"""Sorts after every character: the upper end of a range of texts with one beginning."""

Condition = tuple[str, list[Any]]
"""SQL with question marks, and the values for them."""


@dataclass(frozen=True, slots=True)
class Search:
    """A selection of runs. Empty text and `None` do not restrict.

    `name` ignores case; with `name_prefix` it matches what begins with it. `definition` without a revision matches
    every revision. `states` are AWS's. `accepted_after` and `accepted_before` include their moment. `before` is a
    `seq`, where an earlier page ended.
    """

    service: str
    place: str = ""
    name: str = ""
    name_prefix: bool = False
    definition: str = ""
    share: str = ""
    mode: str = ""
    states: frozenset[str] = frozenset()
    accepted_after: float | None = None
    accepted_before: float | None = None
    before: int | None = None

    def conditions(self, now: float) -> Iterator[Condition]:
        """The conditions, all of which must hold; exact but for `states`, where telling live ones apart is left to
        the caller."""
        wanted: list[tuple[str, Any]] = [
            ("service = ?", self.service),
            ("place = ?", self.place or None),
            ("share = ?", self.share or None),
            ("mode = ?", self.mode or None),
            ("accepted_at >= ?", self.accepted_after),
            ("accepted_at <= ?", self.accepted_before),
            ("seq < ?", self.before),
        ]
        yield from ((text, [value]) for text, value in wanted if value is not None)
        if self.name_prefix:
            yield "name_key >= ? AND name_key < ?", [self.name.lower(), self.name.lower() + _LAST]
        elif self.name:
            yield "name_key = ?", [self.name.lower()]
        if self.definition:
            yield _definition(self.definition)
        if self.states:
            yield _states(self.states, now)


def _definition(definition: str) -> Condition:
    if ":" in definition:
        return "definition = ?", [definition]
    return "definition >= ? AND definition < ?", [f"{definition}:", f"{definition}:{_LAST}"]


def _states(states: frozenset[str], now: float) -> Condition:
    ended = sorted(states & ENDED)
    matches = f"(ended_at <= ? AND end_state IN ({', '.join('?' * len(ended))}))"
    if states <= ENDED:
        return matches, [now, *ended]
    return f"(ended_at IS NULL OR ended_at > ? OR {matches})", [now, now, *ended]
