"""One pass after another, until somebody stops it: when the next one is due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.core.ports import Clock

JITTER_PART = 0.1
"""How much earlier or later than asked a pass may begin, so that many services do not call AWS at once."""

LONGEST_PAUSE_SECONDS = 900.0
"""The longest pause after failed passes, unless the passes are further apart by themselves."""

STEP_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often. `jitter` gives a number from -1 to 1, anew for each pause."""

    seconds: float
    jitter: Callable[[], float]

    def pause(self, failures: int) -> float:
        """Seconds from the begin of a pass to that of the next one, after so many failed ones in a row."""
        longest = max(self.seconds, LONGEST_PAUSE_SECONDS)
        return min(self.seconds * 2.0 ** min(failures, 30), longest) * (1 + JITTER_PART * self.jitter())


def repeat(once: Callable[[], bool], cadence: Cadence, clock: Clock, stop: Event) -> None:
    """Calls `once`, which says whether all went well, again and again until `stop` is set. A pass that took longer than
    the pause is followed by the next one at once."""
    failures = 0
    while not stop.is_set():
        began = clock.boot()
        failures = 0 if once() else failures + 1
        _wait(cadence.pause(failures) - (clock.boot() - began), clock, stop)


def _wait(seconds: float, clock: Clock, stop: Event) -> None:
    """Waits in short steps, by what was slept: a clock that somebody moves makes no pause longer."""
    left = seconds
    while left > 0 and not stop.is_set():
        clock.sleep(min(left, STEP_SECONDS))
        left -= STEP_SECONDS
