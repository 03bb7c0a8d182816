"""Tests the token buckets that keep calls within AWS's quotas."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event

from hypothesis import given
from hypothesis import strategies as st

from reconciler.aws.token_buckets import Buckets
from reconciler.model.kind import Rate


@dataclass
class Time:
    """A clock that advances only by sleeping."""

    at: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        """As `ports.Clock`."""
        return self.at

    def boot(self) -> float:
        """As `ports.Clock`."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """As `ports.Clock`."""
        self.at += seconds
        self.slept.append(seconds)


def test_a_burst_goes_at_once_and_the_rest_at_the_rate() -> None:
    """25 StartJobRun calls run immediately, followed by one call per second."""
    clock = Time()
    buckets = Buckets({"StartJobRun": Rate(perSecond=1, burst=25)}, clock)
    times = []
    for _ in range(30):
        assert buckets.acquire("StartJobRun")
        times.append(round(clock.at - 1000, 3))
    assert times == [0.0] * 25 + [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_pause_fills_the_bucket_up_to_its_burst() -> None:
    """After an hour without calls, 25 calls run immediately, not 3,600."""
    clock = Time()
    buckets = Buckets({"StartJobRun": Rate(perSecond=1, burst=25)}, clock)
    for _ in range(25):
        buckets.acquire("StartJobRun")
    clock.at += 3600
    before = clock.at
    for _ in range(25):
        buckets.acquire("StartJobRun")
    assert clock.at == before
    buckets.acquire("StartJobRun")
    assert clock.at > before


def test_an_operation_without_a_rate_is_not_limited() -> None:
    """AWS documents no quota for ListJobs of AWS Batch."""
    clock = Time()
    buckets = Buckets({"SubmitJob": Rate(perSecond=50, burst=50)}, clock)
    assert all(buckets.acquire("ListJobs") for _ in range(1000))
    assert clock.slept == []


def test_a_command_that_is_stopped_waits_no_longer_and_counts_nothing() -> None:
    """A reserved token that is not needed is returned to the bucket."""
    clock, stop = Time(), Event()
    buckets = Buckets({"StartJobRun": Rate(perSecond=1, burst=1)}, clock)
    buckets.acquire("StartJobRun")
    stop.set()
    assert not buckets.acquire("StartJobRun", stop)
    assert clock.slept == []
    clock.at += 1
    assert buckets.acquire("StartJobRun", stop)


def test_a_call_that_is_not_made_leaves_its_place_to_the_next() -> None:
    """A call that turns out to be unnecessary uses no token."""
    clock = Time()
    buckets = Buckets({"StartJobRun": Rate(perSecond=1, burst=2)}, clock)
    for _ in range(50):
        buckets.acquire("StartJobRun")
        buckets.release("StartJobRun")
    buckets.release("ListJobs")
    assert clock.slept == []


@given(st.lists(st.floats(0, 5), max_size=60), st.integers(1, 10), st.floats(0.2, 20))
def test_never_more_than_burst_and_rate_allow(gaps: list[float], burst: int, per_second: float) -> None:
    """In any period, the number of calls is at most the burst plus what the rate allows in that time."""
    clock = Time()
    buckets = Buckets({"x": Rate(perSecond=per_second, burst=burst)}, clock)
    went = []
    for gap in gaps:
        clock.at += gap
        buckets.acquire("x")
        went.append(clock.at)
    for start in range(len(went)):
        for end in range(start, len(went)):
            assert end - start + 1 <= burst + (went[end] - went[start]) * per_second + 1e-6 + 1
