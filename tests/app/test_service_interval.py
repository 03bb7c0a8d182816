"""Tests when a service starts its next pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event

import pytest

from reconciler.app.service import ServiceInterval, repeat


@dataclass
class Passes:
    """Simulates passes that take `seconds` each. `stop` is set after `count` passes."""

    count: int
    seconds: float = 0.0
    good: bool = True
    time: float = 0.0
    began: list[float] = field(default_factory=list)
    stop: Event = field(default_factory=Event)

    def now(self) -> float:
        """Implements `ports.Clock`."""
        return self.time

    def boot(self) -> float:
        """As in `ports.Clock`."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """As in `ports.Clock`."""
        self.time += seconds

    def once(self) -> bool:
        """Runs one pass."""
        self.began.append(round(self.time, 3))
        self.time += self.seconds
        if len(self.began) == self.count:
            self.stop.set()
        return self.good


def even() -> float:
    """Returns no jitter."""
    return 0.0


def test_passes_start_one_interval_apart() -> None:
    """The interval is measured from the start of one pass to the start of the next, however long a pass takes."""
    passes = Passes(4, seconds=15)
    repeat(passes.once, ServiceInterval(60, even), passes, passes.stop)
    assert passes.began == [0, 60, 120, 180]


def test_a_long_pass_is_followed_at_once() -> None:
    """Two passes never overlap."""
    passes = Passes(3, seconds=90)
    repeat(passes.once, ServiceInterval(60, even), passes, passes.stop)
    assert passes.began == [0, 90, 180]


def test_failed_passes_back_off() -> None:
    """After each failed pass the pause doubles, up to 15 minutes."""
    passes = Passes(7, good=False)
    repeat(passes.once, ServiceInterval(60, even), passes, passes.stop)
    assert [b - a for a, b in zip(passes.began, passes.began[1:], strict=False)] == [120, 240, 480, 900, 900, 900]


def test_back_off_never_shortens_a_long_interval() -> None:
    """The longest pause is never shorter than the interval."""
    assert ServiceInterval(3600, even).pause(1) == 3600


@pytest.mark.parametrize(("draw", "seconds"), [(-1, 54), (0, 60), (1, 66)])
def test_jitter_is_a_tenth(draw: float, seconds: float) -> None:
    """A random part makes each pause up to a tenth shorter or longer."""
    assert ServiceInterval(60, lambda: draw).pause(0) == pytest.approx(seconds)


def test_a_stopped_service_runs_no_pass() -> None:
    """If the stop event is set before the start, no pass runs."""
    passes = Passes(1)
    passes.stop.set()
    repeat(passes.once, ServiceInterval(60, even), passes, passes.stop)
    assert passes.began == []
