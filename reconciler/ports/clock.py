"""Time."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> float:
        """Wall clock, seconds since the epoch."""
        ...

    def boot(self) -> float:
        """Boot-time clock, seconds since some fixed moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Waits."""
        ...
