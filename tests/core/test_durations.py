"""Tests the durations of runs, the usual durations of a spec, and stuck runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from reconciler.core import events as e
from reconciler.core.durations import LAST_RUNS, LEAST_RUNS, Spread, billed, ran, stuck, usual, waited
from reconciler.core.state import Submission
from reconciler.model.kind import Resources
from reconciler.model.project import PriceList, Prices
from tests.builders import NOW, at, intended, outcome, recorded

DAY = 86_400


def ended(number: int, waits: float = 60, runs: float = 600, state: str = "succeeded", **more: Any) -> list[e.Event]:
    """Returns the events of a run that AWS created `number` days ago, and that waited and ran for some seconds."""
    start = -number * DAY
    intent = intended(generation=100 - number, seconds=start)
    observed = e.Observed(
        at=at(start + waits + runs),
        name="orders",
        token=intent.token,
        run_id=f"run-{number}",
        state=state,
        aws_state=state.upper(),
        created_at=at(start),
        started_at=at(start + waits),
        finished_at=at(start + waits + runs),
        **more,
    )
    return [intent, outcome("submitted", intent, run_id=f"run-{number}", seconds=start + 5), observed]


def live(state: str, *, created: float, started: float | None = None) -> Submission:
    """Returns a live run of the same spec."""
    intent = intended(generation=200, seconds=created)
    begun: dict[str, Any] = {"started_at": at(started)} if started is not None else {}
    of: dict[str, Any] = {"name": "orders", "token": intent.token, "run_id": "run-200", "state": state}
    observed = e.Observed(at=at(0), aws_state=state, created_at=at(created), **of, **begun)
    submitted = outcome("submitted", intent, run_id="run-200", seconds=created + 5)
    return recorded(intent, submitted, observed).by_token[intent.token]


def runs(*several: list[e.Event]) -> list[Submission]:
    """Returns the submissions of these runs, oldest first."""
    return recorded(*(event for events in reversed(several) for event in events)).specs["orders"].submissions


def test_durations_are_by_the_clock_of_aws():
    """A run waits from its creation to its start and runs from its start to its end, at the times that AWS reports."""
    (run,) = runs(ended(1, 90, 900))
    assert (waited(run, NOW), ran(run, NOW)) == (timedelta(seconds=90), timedelta(seconds=900))


def test_live_runs_wait_and_run_until_now():
    """Both durations increase until the state changes."""
    waiting, running = live("submitted", created=-300), live("running", created=-300, started=-100)
    assert (waited(waiting, NOW), ran(waiting, NOW)) == (timedelta(seconds=300), None)
    assert (waited(running, NOW), ran(running, NOW)) == (timedelta(seconds=200), timedelta(seconds=100))


def test_the_usual_is_that_of_the_last_twenty_that_succeeded():
    """The usual values are the median and the 90th percentile (nearest rank) of the last twenty runs that succeeded.
    Failed and older runs are ignored."""
    several = [ended(number, runs=number * 10) for number in range(1, 26)]
    failed = ended(30, runs=99_999, state="failed")
    typical = usual(runs(*several, failed), NOW)
    assert typical is not None
    assert (typical.runs, typical.ran) == (LAST_RUNS, Spread(105.0, 180.0))
    assert usual(runs(failed), NOW) is None


@pytest.mark.parametrize(
    ("run", "what"),
    [
        (live("submitted", created=-900), None),  # not longer than the usual minute and 15 minutes
        (live("submitted", created=-1000), "waiting"),
        (live("running", created=-2000, started=-1700), None),  # not longer than three times ten minutes
        (live("running", created=-2000, started=-1801), "running"),
    ],
)
def test_a_run_is_stuck_far_beyond_the_usual(run: Submission, what: str | None):
    """A run is stuck if its duration is more than three times the 90th percentile, and more than 15 minutes above
    it."""
    typical = usual(runs(*(ended(number) for number in range(1, LEAST_RUNS + 1))), NOW)
    assert stuck(run, typical, NOW) == what


def test_few_runs_are_no_usual():
    """With four runs or fewer, no run is stuck."""
    typical = usual(runs(*(ended(number) for number in range(1, LEAST_RUNS))), NOW)
    assert stuck(live("running", created=-DAY, started=-DAY), typical, NOW) is None
    assert stuck(live("running", created=-DAY, started=-DAY), None, NOW) is None


def test_costs_follow_from_prices_and_what_was_used():
    """The cost of a job with one container is the cost of its vCPUs and memory while it ran, at the prices for its
    kind."""
    usage = {"resources": {"vcpu": 2.0, "memory_gb": 4.0}}
    several = runs(*(ended(number, runs=1800, usage=usage) for number in (1, 2)))
    prices = Prices(vCPUHour=9, kinds={"BatchJob": PriceList(vCPUHour=0.04, memoryGBHour=0.005)}, currency="EUR")
    typical = usual(several, NOW, prices)
    assert billed(several[0], NOW) == Resources(1.0, 2.0)
    assert typical is not None
    assert typical.cost is not None
    assert (round(typical.cost.median, 4), typical.currency) == (0.05, "EUR")
    assert billed(runs(ended(1))[0], NOW) is None
