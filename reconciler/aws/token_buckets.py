"""Delays calls by token buckets, so that AWS's request quotas are not exceeded.

Each operation of an account and region has its own bucket. Processes do not share buckets, so AWS can still throttle
calls if several processes run at the same time. A throttled call is treated as a refusal, and the process pauses after
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event, Lock

from reconciler.core.ports import Clock, pause
from reconciler.model.kind import Rate


class Buckets:
    """Implements `ports.Quota`: a bucket for each operation that has a rate. Other operations are not limited. Safe for
    threads.

    A caller first reserves a token and then waits for it, so tokens are granted in the order of the calls.
    """

    def __init__(self, rates: Mapping[str, Rate], clock: Clock) -> None:
        self._rates, self._clock = dict(rates), clock
        self._lock = Lock()
        self._left = {operation: float(rate.burst) for operation, rate in rates.items()}
        self._seen = dict.fromkeys(rates, clock.boot())

    def acquire(self, operation: str, stop: Event | None = None) -> bool:
        """Waits for a token, as `ports.Quota` specifies."""
        if pause(self._clock, self._reserve(operation), stop):
            return True
        self.release(operation)
        return False

    def take(self, operation: str) -> bool:
        """Takes a token that is available now, as `ports.Quota` specifies."""
        # Two threads cannot take the same token, because it is reserved before the check.
        if self._reserve(operation) == 0:
            return True
        self.release(operation)
        return False

    def release(self, operation: str) -> None:
        """Puts a token back, as `ports.Quota` specifies."""
        with self._lock:
            if operation in self._left:
                self._left[operation] += 1

    def _reserve(self, operation: str) -> float:
        """Reserves a token and returns the seconds until it is available."""
        rate = self._rates.get(operation)
        if rate is None:
            return 0.0
        with self._lock:
            now = self._clock.boot()
            refilled = self._left[operation] + (now - self._seen[operation]) * rate.perSecond
            self._left[operation] = min(float(rate.burst), refilled) - 1
            self._seen[operation] = now
            return max(0.0, -self._left[operation] / rate.perSecond)
