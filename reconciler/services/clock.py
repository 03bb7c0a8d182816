"""The real clock, by the standard library's calls only, so that what stands in for them is seen everywhere."""

from __future__ import annotations

import time


class SystemClock:
    """`ports.Clock` on this machine's clocks."""

    def now(self) -> float:
        """Wall clock, seconds since the epoch."""
        return time.time()

    def boot(self) -> float:
        """Seconds since the machine started, suspension included where the system counts it (Linux), else monotonic."""
        boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
        return time.monotonic() if boot_clock is None else time.clock_gettime(boot_clock)

    def sleep(self, seconds: float) -> None:
        """Waits; no time at all for zero and less."""
        if seconds > 0:
            time.sleep(seconds)
