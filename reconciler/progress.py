"""Logs the progress of long operations, so that a command that waits for AWS, or reads a long ledger, does not seem to
hang. The lines are written to standard error, whether or not it is a terminal."""

from __future__ import annotations

import logging
from collections import Counter
from threading import Lock

from reconciler.core.ports import Clock

logger = logging.getLogger(__name__)

FIRST_SECONDS = 10.0
"""The number of seconds after which the first line is logged. Most commands take less."""

APART_SECONDS = 15.0
"""The number of seconds between two lines."""


class Progress:
    """Tracks the progress of one operation. `what` describes the operation at the beginning of each line.
    Thread-safe."""

    def __init__(self, what: str, clock: Clock) -> None:
        self._what, self._clock = what, clock
        self._begun = clock.boot()
        self._next = self._begun + FIRST_SECONDS
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def step(self, unit: str, number: int = 1) -> None:
        """Counts `number` items of a type, such as ``positions``, and logs all counts if the last line is old
        enough."""
        with self._lock:
            self._counts[unit] += number
            now = self._clock.boot()
            if now < self._next:
                return
            self._next = now + APART_SECONDS
            counts = ", ".join(f"{count:,} {each}" for each, count in self._counts.items())
        logger.warning("%s: %s so far, in %d s", self._what, counts, now - self._begun)
