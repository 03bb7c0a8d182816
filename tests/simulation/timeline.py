"""Virtual time: what happens when, and nothing that is left to chance."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

EPOCH = 1_795_312_800.0
"""What the wall clock shows at the beginning: 2026-11-22T02:00:00Z."""


class Timeline:
    """Things to happen, in order of time, then of asking. `now` is seconds since the beginning: the true time.

    A command that waits inside a call (a write to the ledger, a transmission) lets the others go on from there, so
    waits nest: the one that began last ends first. All other interleavings come from commands that wait between calls.
    """

    __slots__ = ("_asked", "_coming", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        self._asked = 0

    def at(self, when: float, act: Callable[[], None]) -> None:
        """Lets `act` happen then."""
        self._asked += 1
        heappush(self._coming, (when, self._asked, act))

    def advance(self, until: float) -> None:
        """Goes on to a time, with everything that happens before."""
        coming = self._coming
        while coming and coming[0][0] <= until:
            self._next()
        self.now = max(self.now, until)

    def await_answer(self, until: float, answered: Callable[[], bool]) -> None:
        """Goes on to a time, or until there is an answer."""
        coming = self._coming
        while not answered():
            if not coming or coming[0][0] > until:
                self.now = max(self.now, until)
                return
            self._next()

    def drain(self) -> None:
        """Goes on until nothing more is to happen."""
        while self._coming:
            self._next()

    def _next(self) -> None:
        when, _, act = heappop(self._coming)
        self.now = max(self.now, when)
        act()
