"""Implements virtual time with a deterministic order of actions."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

EPOCH = 1_795_312_800.0
"""The time of the wall clock at the start: 2026-11-22T02:00:00Z."""


class Timeline:
    """Holds scheduled actions, sorted by time and then by the order in which they were scheduled. `now` is the true
    time in seconds since the start.

    If a command waits inside a call, such as a write to the ledger or a transmission, other commands continue inside
    that wait. Waits are therefore nested: the newest wait ends first. All other interleavings arise from waits between
    calls.
    """

    __slots__ = ("_asked", "_coming", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        self._asked = 0

    def at(self, when: float, act: Callable[[], None]) -> None:
        """Schedules `act` for a time."""
        self._asked += 1
        heappush(self._coming, (when, self._asked, act))

    def advance(self, until: float) -> None:
        """Advances to a time, and runs every action before it."""
        coming = self._coming
        while coming and coming[0][0] <= until:
            self._next()
        self.now = max(self.now, until)

    def await_answer(self, until: float, answered: Callable[[], bool]) -> None:
        """Advances to a time, or until there is a reply."""
        coming = self._coming
        while not answered():
            if not coming or coming[0][0] > until:
                self.now = max(self.now, until)
                return
            self._next()

    def drain(self) -> None:
        """Advances until no scheduled action is left."""
        while self._coming:
            self._next()

    def _next(self) -> None:
        when, _, act = heappop(self._coming)
        self.now = max(self.now, when)
        act()
