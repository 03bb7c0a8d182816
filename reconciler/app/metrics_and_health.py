"""Metrics and health of a service: ``/metrics`` and ``/healthz`` on one port."""

from __future__ import annotations

import re
from collections import Counter as Count
from datetime import timedelta
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app

from reconciler.core.durations import billed
from reconciler.core.plan import ActionType
from reconciler.core.state import RunState
from reconciler.core.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from reconciler.core.plan import ActionResult, Plan
    from reconciler.core.ports import Clock
    from reconciler.core.state import Recorded, Submission
    from reconciler.model.project import Prices

PASS_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Upper bounds of the histogram of pass durations, in seconds."""

DAY = timedelta(days=1)

HEALTHY_PAUSES = 3
"""The number of intervals without a successful pass after which the service is unhealthy."""

HEALTHY_SECONDS = 120.0
"""The minimum number of seconds without a successful pass before the service is unhealthy."""


class _StateGauges:
    """The gauges of the state after a pass."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.runs = Gauge("reconciler_runs", "The newest run of each spec, by state.", ["state"], registry=registry)
        self.waiting = Gauge(
            "reconciler_runs_waiting",
            "Runs that AWS has accepted but not started, by the code in AWS's reason.",
            ["kind", "reason"],
            registry=registry,
        )
        self.late = Gauge(
            "reconciler_slots_late",
            "Slots that are due but not submitted, because they are waiting or on hold.",
            registry=registry,
        )
        self.cost = Gauge(
            "reconciler_cost_last_day",
            "The cost of the runs that ended in the last 24 hours, at the target's prices.",
            ["currency"],
            registry=registry,
        )
        self.holds = Gauge(
            "reconciler_holds", "Specs on hold: an action is required, or an outcome is unknown.", registry=registry
        )
        self.problems = Gauge("reconciler_project_problems", "Errors in the files of the project.", registry=registry)
        self.position = Gauge("reconciler_ledger_position", "Newest position of the ledger.", registry=registry)


class Metrics:
    """The metrics of one service. Thread-safe.

    `every` is the interval between passes in seconds. `max_checkout_age` is the maximum age in seconds of the last
    successful pull for a healthy service, or `None` if the service does not pull. All ages include the time for which
    the machine slept.
    """

    def __init__(self, clock: Clock, every: float, max_checkout_age: float | None = None) -> None:
        self._clock, self._patience = clock, max(HEALTHY_SECONDS, HEALTHY_PAUSES * every)
        self._max_checkout_age = max_checkout_age
        self.registry = registry = CollectorRegistry()
        self._began = clock.boot()
        self._last_pull = self._began
        self._last_good: float | None = None
        self._passes = Counter("reconciler_passes", "Passes, by result.", ["result"], registry=registry)
        self._seconds = Histogram(
            "reconciler_pass_duration_seconds", "How long a pass took.", registry=registry, buckets=PASS_BUCKETS
        )
        self._actions = Counter(
            "reconciler_actions", "Applied actions, by action and outcome.", ["action", "outcome"], registry=registry
        )
        self._state = _StateGauges(registry)
        self._calls = Counter("reconciler_api_calls", "Calls to AWS, by operation.", ["operation"], registry=registry)
        self._throttles = Counter(
            "reconciler_api_throttles", "Calls that AWS throttled, by operation.", ["operation"], registry=registry
        )
        age = Gauge("reconciler_last_good_pass_age_seconds", "Seconds since the last good pass.", registry=registry)
        age.set_function(self.age)
        if max_checkout_age is not None:
            self._pulls = Counter(
                "reconciler_pulls", "Pulls of the checkout, by result.", ["result"], registry=registry
            )
            pulled = Gauge("reconciler_checkout_age_seconds", "Seconds since the last good pull.", registry=registry)
            pulled.set_function(self.checkout_age)

    def age(self) -> float:
        """Returns the seconds since the last successful pass or, before the first one, since the start."""
        return max(0.0, self._clock.boot() - (self._began if self._last_good is None else self._last_good))

    def checkout_age(self) -> float:
        """Returns the seconds since the last successful pull or, before the first one, since the start."""
        return max(0.0, self._clock.boot() - self._last_pull)

    def illness(self) -> str | None:
        """Returns why the service is unhealthy, or `None` if it is healthy."""
        if self.age() > self._patience:
            return f"no good pass for {self.age():.0f} s"
        if self._max_checkout_age is not None and self.checkout_age() > self._max_checkout_age:
            return f"no good pull of the checkout for {self.checkout_age():.0f} s"
        return None

    def pulled(self, *, good: bool) -> None:
        """Counts a pull of the checkout, successful or failed."""
        self._pulls.labels("good" if good else "failed").inc()
        if good:
            self._last_pull = self._clock.boot()

    def called(self, operation: str, throttled: bool) -> None:
        """Counts one call to AWS."""
        self._calls.labels(operation).inc()
        if throttled:
            self._throttles.labels(operation).inc()

    def passed(self, seconds: float, *, good: bool) -> None:
        """Counts a pass that ended, successful or failed."""
        self._seconds.observe(seconds)
        self._passes.labels("good" if good else "failed").inc()
        if good:
            self._last_good = self._clock.boot()

    def applied(
        self, plan: Plan, results: Sequence[ActionResult], recorded: Recorded, prices: Prices | None = None
    ) -> None:
        """Counts the actions of a pass, and sets the gauges to the state after it. `prices` are the target's prices."""
        for action, result in zip(plan.actions, results, strict=True):
            if action.effective:
                self._actions.labels(str(action.action), str(result.outcome)).inc()
        self._state.holds.set(len({action.name for action in plan.held}))
        self._state.late.set(
            sum(a.slot is not None and a.action in {ActionType.WAIT, ActionType.HOLD} for a in plan.actions)
        )
        if prices is not None:
            self._state.cost.labels(prices.currency).set(cost_of_day(recorded, parse_time(plan.created_at), prices))
        self._state.problems.set(len(plan.problems))
        self._state.position.set(recorded.position)
        states = Count(newest.run_state for record in recorded.specs.values() if (newest := record.newest) is not None)
        # Otherwise a reason that no run has any more would keep its last number.
        self._state.waiting.clear()
        waiting = Count((run.kind, _code(run)) for run in recorded.live() if run.run_state is RunState.SUBMITTED)
        for (kind, reason), number in waiting.items():
            self._state.waiting.labels(kind, reason).set(number)
        for state in RunState:
            self._state.runs.labels(str(state)).set(states[state])


def cost_of_day(recorded: Recorded, now: datetime, prices: Prices) -> float:
    """Returns the cost of the runs that ended in the 24 hours before `now`. A run whose cost is unknown counts as 0."""
    ended = (run for record in recorded.specs.values() for run in record.submissions if run.finished_at is not None)
    recent = (run for run in ended if now - parse_time(run.finished_at or "") < DAY)
    return sum(prices.cost_of(run.kind, billed(run, now)) or 0.0 for run in recent)


REASON_CODE = re.compile(r"[A-Z]+:[A-Z_]+")
"""The format of AWS's codes for the reason why a job waits, such as ``CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY``."""


def _code(run: Submission) -> str:
    """Returns the code at the start of AWS's reason, ``other`` for a reason without a code, or ``none`` without a
    reason. Using the whole text as a label would create a new time series for each run."""
    if not run.detail:
        return "none"
    code = REASON_CODE.match(run.detail)
    return code[0] if code is not None else "other"


def application(metrics: Metrics) -> WSGIApplication:
    """Serves ``/metrics`` and ``/healthz``. The application of prometheus_client would return the metrics for every
    path."""
    scrape: WSGIApplication = make_wsgi_app(metrics.registry)

    def respond(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            return scrape(environ, start)
        if path != "/healthz":
            return _plain(start, "404 Not Found", "not found: use /metrics or /healthz")
        illness = metrics.illness()
        if illness is None:
            return _plain(start, "200 OK", "ok")
        return _plain(start, "503 Service Unavailable", illness)

    return respond


def _plain(start: StartResponse, status: str, text: str) -> Iterable[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode() + b"\n"]
