"""What a service tells Prometheus, and whether it is well: ``/metrics`` and ``/healthz`` on one port."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Callable, Iterable, Sequence
from threading import Thread
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app
from werkzeug.serving import WSGIRequestHandler, make_server

from reconciler.core.submission import RunState
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.core.plan import ActionResult, Plan
    from reconciler.core.ports import Clock
    from reconciler.core.state import Recorded

PASS_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Upper bounds of the histogram of a pass's duration, seconds."""

HEALTHY_PAUSES = 3
"""How many pauses without a good pass are still well."""

HEALTHY_SECONDS = 120.0
"""The least time without a good pass that is still well."""


class Metrics:
    """The metrics of one service. Safe for threads. `every` is the pause between passes, seconds."""

    def __init__(self, clock: Clock, every: float) -> None:
        self._clock, self._patience = clock, max(HEALTHY_SECONDS, HEALTHY_PAUSES * every)
        self.registry = registry = CollectorRegistry()
        self._began = clock.now()
        self._last_good: float | None = None
        self._passes = Counter("reconciler_passes", "Passes, by how they ended.", ["result"], registry=registry)
        self._seconds = Histogram(
            "reconciler_pass_duration_seconds", "How long a pass took.", registry=registry, buckets=PASS_BUCKETS
        )
        self._actions = Counter(
            "reconciler_actions", "Actions carried out, by kind and outcome.", ["action", "outcome"], registry=registry
        )
        self._runs = Gauge("reconciler_runs", "Newest runs of the specs, by state.", ["state"], registry=registry)
        self._holds = Gauge("reconciler_holds", "Specs that need a person or an answer.", registry=registry)
        self._position = Gauge("reconciler_ledger_position", "Last position of the ledger.", registry=registry)
        self._calls = Counter("reconciler_api_calls", "Calls to AWS, by operation.", ["operation"], registry=registry)
        self._throttles = Counter(
            "reconciler_api_throttles", "Calls that AWS throttled, by operation.", ["operation"], registry=registry
        )
        age = Gauge(
            "reconciler_last_good_pass_age_seconds", "Time since the last pass that was good.", registry=registry
        )
        age.set_function(self.age)

    def age(self) -> float:
        """Seconds since the last good pass, or since the start where there was none."""
        return max(0.0, self._clock.now() - (self._began if self._last_good is None else self._last_good))

    def healthy(self) -> bool:
        """Whether the last good pass is recent enough."""
        return self.age() <= self._patience

    def called(self, operation: str, throttled: bool) -> None:
        """One call to AWS."""
        self._calls.labels(operation).inc()
        if throttled:
            self._throttles.labels(operation).inc()

    def passed(self, seconds: float, *, good: bool) -> None:
        """One pass ended; a failed one counts too."""
        self._seconds.observe(seconds)
        self._passes.labels("good" if good else "failed").inc()
        if good:
            self._last_good = self._clock.now()

    def told(self, plan: Plan, results: Sequence[ActionResult], recorded: Recorded) -> None:
        """What a pass did, and how things stand after it."""
        for action, result in zip(plan.actions, results, strict=True):
            if action.effective:
                self._actions.labels(str(action.action), str(result.outcome)).inc()
        self._holds.set(len({action.name for action in plan.held}))
        self._position.set(recorded.position)
        states = Count(newest.run_state for record in recorded.specs.values() if (newest := record.newest) is not None)
        for state in RunState:
            self._runs.labels(str(state)).set(states[state])


class Endpoint:
    """Serves the metrics of one service until it is closed."""

    def __init__(self, metrics: Metrics, host: str, port: int) -> None:
        """Listens at once. Raises `UsageError` where the port is taken."""
        try:
            self._server = make_server(host, port, _application(metrics), threaded=True, request_handler=_Quiet)
        except (OSError, SystemExit) as error:  # werkzeug leaves by the latter where the port is taken
            raise UsageError(
                f"metrics cannot be served on {host}:{port}: it is taken, or not of this machine"
            ) from error
        self.port = self._server.port
        self._thread = Thread(target=self._server.serve_forever, name="reconciler-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Quiet(WSGIRequestHandler):
    """Scrapes are not worth a line."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the name in werkzeug
        """Nothing."""


def _application(metrics: Metrics) -> Any:  # noqa: ANN401 - a WSGI application
    scrape = make_wsgi_app(metrics.registry)

    def respond(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            return scrape(environ, start)  # type: ignore[no-any-return]
        if path != "/healthz":
            return _plain(start, "404 Not Found", "there are /metrics and /healthz")
        if metrics.healthy():
            return _plain(start, "200 OK", "ok")
        return _plain(start, "503 Service Unavailable", f"no good pass for {metrics.age():.0f} s")

    return respond


def _plain(start: Callable[..., Any], status: str, text: str) -> Iterable[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode() + b"\n"]
