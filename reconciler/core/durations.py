"""Computes from recorded times how long runs wait and run, what is usual for a spec, and which live runs are stuck."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from reconciler.core.state import RunState, Submission
from reconciler.core.times import parse_time
from reconciler.model.kind import MODULES, Resources, kind_named
from reconciler.model.project import Prices
from reconciler.values import dataclass

LAST_RUNS = 20
"""The number of newest successful runs of a spec from which the usual durations are computed."""

LEAST_RUNS = 5
"""The minimum number of runs from which usual durations are reliable enough to call a run stuck."""

STUCK_FACTOR = 3
"""A run is stuck only if it waits or runs longer than the 90th percentile of its spec times this factor."""

STUCK_MARGIN = timedelta(minutes=15)
"""A run is stuck only if it exceeds the 90th percentile by more than this. Otherwise a run that usually takes seconds
would be stuck after a minute."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median and the 90th percentile of a set of durations in seconds, or of costs."""

    median: float
    p90: float


@dataclass(frozen=True, slots=True)
class Usual:
    """The usual values for a spec: how long its last `runs` successful runs waited and ran, and what they cost in
    `currency`. Each value is `None` if it is not known."""

    runs: int
    waited: Spread | None
    ran: Spread | None
    cost: Spread | None = None
    currency: str | None = None


def waited(run: Submission, now: datetime) -> timedelta | None:
    """Returns how long a run waited for its start, or has been waiting at `now`, or `None` if the submission has no
    run.

    The times are those that AWS reports. If AWS has not reported when it created the run, the time of the submission is
    used.
    """
    since = run.created_at or run.submitted_at
    if since is None:
        return None
    if run.started_at is None and run.run_state not in {RunState.SUBMITTED, RunState.CANCELLED}:
        return None  # as for an array, whose start AWS does not report
    if run.started_at is None and not run.live:
        return _between(since, run.finished_at)
    return _between(since, run.started_at or now)


def ran(run: Submission, now: datetime) -> timedelta | None:
    """Returns how long a run ran, or has been running at `now`, or `None` if it has not started, or a time is not
    known."""
    if run.started_at is None:
        return None
    return _between(run.started_at, now if run.live else run.finished_at)


def _between(since: str, until: str | datetime | None) -> timedelta | None:
    if until is None:
        return None
    end = until if isinstance(until, datetime) else parse_time(until)
    return max(timedelta(0), end - parse_time(since))


def usual(submissions: Sequence[Submission], now: datetime, prices: Prices | None = None) -> Usual | None:
    """Returns the usual values for one spec, computed from its newest `LAST_RUNS` successful runs, or `None` if it has
    none."""
    ended = [run for run in submissions if run.run_state is RunState.SUCCEEDED][-LAST_RUNS:]
    if not ended:
        return None
    costs = [prices.cost_of(run.kind, billed(run, now)) for run in ended] if prices is not None else []
    return Usual(
        len(ended),
        _spread(_seconds(waited(run, now)) for run in ended),
        _spread(_seconds(ran(run, now)) for run in ended),
        _spread(costs),
        prices.currency if prices is not None else None,
    )


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _spread(values: Iterable[float | None]) -> Spread | None:
    """Returns the median and the 90th percentile (nearest rank) of the known values, or `None` if there are none."""
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return None
    rank = -(-9 * len(ordered) // 10)  # the ceiling of 90 %
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return Spread(middle, ordered[rank - 1])


def stuck(run: Submission, typical: Usual | None, now: datetime) -> str | None:
    """Returns ``waiting`` or ``running`` if a live run has been doing so for much longer than usual; otherwise `None`.

    "Much longer" means longer than `STUCK_FACTOR` times the 90th percentile of the last runs of the spec, and by more
    than `STUCK_MARGIN`. Streaming runs and runs of specs with fewer than `LEAST_RUNS` successful runs are never stuck.
    """
    if not run.live or run.content.streaming or typical is None or typical.runs < LEAST_RUNS:
        return None
    waits = run.started_at is None and run.run_state is RunState.SUBMITTED
    taken, spread = (waited(run, now), typical.waited) if waits else (ran(run, now), typical.ran)
    if taken is None or spread is None:
        return None
    limit = max(STUCK_FACTOR * spread.p90, spread.p90 + STUCK_MARGIN.total_seconds())
    return ("waiting" if waits else "running") if taken.total_seconds() > limit else None


def billed(run: Submission, now: datetime) -> Resources | None:
    """Returns the resources that AWS bills for an ended run, or `None` if they are not known."""
    duration = ran(run, now)
    if run.live or run.kind not in MODULES:
        return None
    hours = duration.total_seconds() / 3600 if duration is not None else 0.0
    return kind_named(run.kind).billed(run.usage or {}, hours)
