"""Tests the progress lines of long operations."""

from __future__ import annotations

import pytest

from reconciler.progress import APART_SECONDS, FIRST_SECONDS, Progress
from tests.ledger.builders import StandingClock


class MovingClock(StandingClock):
    """A clock that the test sets."""

    seconds = 100.0

    def boot(self) -> float:
        """Implements `ports.Clock`."""
        return self.seconds


def test_quick_work_logs_nothing(caplog: pytest.LogCaptureFixture):
    """No progress line appears in the first ten seconds, however much is done."""
    clock = MovingClock()
    progress = Progress("reading", clock)
    clock.seconds += FIRST_SECONDS - 1
    for _ in range(1000):
        progress.step("positions")
    assert caplog.messages == []


def test_slow_work_logs_at_a_bounded_rate(caplog: pytest.LogCaptureFixture):
    """Each line contains all counts so far. Lines are fifteen seconds apart."""
    clock = MovingClock()
    progress = Progress("looking for runs", clock)
    for second in range(40):
        clock.seconds = 100.0 + second
        progress.step("ListJobRuns calls")
        progress.step("GetJobRun calls", 100)
    assert caplog.messages == [
        f"looking for runs: {n + 1} ListJobRuns calls, {n * 100:,} GetJobRun calls so far, in {n} s"
        for n in (int(FIRST_SECONDS), int(FIRST_SECONDS + APART_SECONDS))
    ]
