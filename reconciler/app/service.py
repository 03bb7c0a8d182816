"""`reconcile --every`: runs passes at an interval, with one reusable session, until the service is stopped."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from contextlib import ExitStack
from threading import Event
from typing import TYPE_CHECKING

from reconciler.app.reconcile import reconcile
from reconciler.app.session import ReusableSession, SystemClock
from reconciler.app.stored_output import QuietPass
from reconciler.app.webhooks import notify
from reconciler.core.ports import pause
from reconciler.core.settings import change_of_settings
from reconciler.errors import ReconcilerError
from reconciler.render.results import action_line
from reconciler.specs.git_pull import pull
from reconciler.values import dataclass

if TYPE_CHECKING:
    from types import TracebackType

    from reconciler.app.metrics_and_health import Metrics
    from reconciler.app.options import CommandOptions
    from reconciler.app.page import LivePage
    from reconciler.app.reconcile import Pass
    from reconciler.app.session import Session
    from reconciler.core.ports import Clock

JITTER_PART = 0.1
"""The fraction of the interval by which a pass may start earlier or later, so that many services do not call AWS at the
same time."""

LONGEST_PAUSE_SECONDS = 900.0
"""The longest pause after failed passes, in seconds, unless the interval itself is longer."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServiceInterval:
    """How often passes start. `jitter` returns a new number from -1 to 1 for each pause."""

    seconds: float
    jitter: Callable[[], float]

    def pause(self, failures: int) -> float:
        """Returns the seconds from the start of one pass to the start of the next, after `failures` failed passes in a
        row."""
        longest = max(self.seconds, LONGEST_PAUSE_SECONDS)
        # Without a limit, the power of two would overflow after about a thousand failures.
        return min(self.seconds * 2.0 ** min(failures, 30), longest) * (1 + JITTER_PART * self.jitter())


def repeat(once: Callable[[], bool], interval: ServiceInterval, clock: Clock, stop: Event) -> None:
    """Calls `once` at intervals until `stop` is set. `once` returns whether its pass succeeded. If a pass takes longer
    than the interval, the next one follows immediately."""
    failures = 0
    while not stop.is_set():
        began = clock.boot()
        failures = 0 if once() else failures + 1
        pause(clock, interval.pause(failures) - (clock.boot() - began), stop)


class Service:
    """Runs a pass every `every` seconds. Use it as a context manager.

    If `max_checkout_age` (in seconds) is set, the checkout is updated before each pass, and the service is unhealthy if
    the last successful pull is older than that. Metrics are served at `metrics_address` and the page at `page_address`,
    unless they are `None`. `report` is called with each pass that was applied.

    Raises `ReconcilerError` for problems at the start: no project, an unknown target, or a port that is taken.
    """

    def __init__(
        self,
        options: CommandOptions,
        every: float,
        *,
        max_checkout_age: float | None,
        metrics_address: tuple[str, int] | None,
        page_address: tuple[str, int] | None = None,
        report: Callable[[Pass], None],
    ) -> None:
        self._every, self._max_checkout_age, self._report = every, max_checkout_age, report
        self._clock, self._sessions, self._stack = SystemClock(), ReusableSession(options), ExitStack()
        self._quiet_pass = QuietPass()
        self._metrics: Metrics | None = None
        self._page: LivePage | None = None
        # If a port is taken, everything that was opened before is closed. `pop_all` keeps it open otherwise.
        with ExitStack() as stack:
            stack.callback(self._sessions.close)
            # A wrong target must end the command. Found in a pass, it would only be a failed pass, which is repeated.
            self._sessions.session()
            if metrics_address is not None:
                self._metrics = self._serve_metrics(metrics_address, stack)
            if page_address is not None:
                self._page = self._serve_page(page_address, stack)
            self._stack = stack.pop_all()

    def _serve_metrics(self, address: tuple[str, int], stack: ExitStack) -> Metrics:
        from reconciler.app.http_server import Endpoint
        from reconciler.app.metrics_and_health import Metrics, application

        metrics = Metrics(self._clock, self._every, self._max_checkout_age)
        endpoint = Endpoint(application(metrics), *address, "metrics")
        stack.callback(endpoint.close)
        log.info("metrics on port %d", endpoint.port)
        return metrics

    def _serve_page(self, address: tuple[str, int], stack: ExitStack) -> LivePage:
        from reconciler.app.http_server import Endpoint
        from reconciler.app.page import LivePage, allowed_hosts

        page = LivePage(allowed_hosts(address[0]))
        endpoint = Endpoint(page.respond, *address, "the page")
        stack.callback(endpoint.close)
        log.info("page on port %d", endpoint.port)
        return page

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(self, stop: Event) -> None:
        """Runs passes until `stop` is set. Then records the calls in progress and returns."""
        interval = ServiceInterval(self._every, lambda: random.uniform(-1, 1))  # noqa: S311 - spreads load, no secret
        repeat(lambda: self._run_pass(stop), interval, self._clock, stop)

    def _run_pass(self, stop: Event) -> bool:
        """Runs one pass and returns whether it succeeded. A failure is logged, and the next pass starts with a new
        session."""
        began, good = self._clock.boot(), False
        try:
            self._pull_and_reconcile(stop)
            good = True
        except ReconcilerError as error:
            log.error("the pass failed: %s", error)
        except Exception as error:  # a bug in one pass must not end the service
            log.exception("the pass failed: internal error: %s; -vv logs its traceback", type(error).__name__)
        # The failure may have left the ledger or a connection in a bad state.
        if not good:
            self._sessions.close()
        if self._metrics is not None:
            self._metrics.passed(self._clock.boot() - began, good=good)
        return good

    def _pull_and_reconcile(self, stop: Event) -> None:
        if self._max_checkout_age is not None:
            self._pull()
        session = self._sessions.session()
        if self._metrics is not None:
            # Set in each pass, because after a failure the session has new connections.
            session.aws.on_call = self._metrics.called
        done = self._pass(session, stop)
        if done is None:
            return
        settings = change_of_settings(done.plan)
        if settings is not None and settings.stale:
            log.error("%s is on hold: %s", settings.name, settings.message)
        for problem in done.plan.problems:
            log.error("not valid: %s", problem)
        for action, result in zip(done.plan.actions, done.results, strict=True):
            if action.effective:
                log.info("%s", action_line(action, result))
        self._report(done)
        if self._metrics is not None:
            self._metrics.applied(done.plan, done.results, done.recorded, session.target.prices)
        if self._page is not None:
            self._show(self._page, session, done)

    def _pass(self, session: Session, stop: Event) -> Pass | None:
        """Runs a pass, or repeats the last one if it was quiet and nothing has changed since."""
        done = self._quiet_pass.again(session)
        if done is not None:
            # Notifications that a webhook did not accept become due although nothing else changes.
            notify(session, done.plan, done.results)
        elif (done := reconcile(session, stop)) is not None:
            self._quiet_pass.keep(session, done)
        return done

    @staticmethod
    def _show(page: LivePage, session: Session, done: Pass) -> None:
        """Updates the page with the state after a pass. If that fails, the page is not changed, and the pass still
        succeeds."""
        from reconciler.app.page import content_of

        try:
            page.show(content_of(session, done.plan, done.recorded, done.specs, page.missed))
        except ReconcilerError as error:
            log.error("the page is not up to date: %s", error)

    def _pull(self) -> None:
        """Updates the checkout. A failure is logged, and the pass then uses the current checkout."""
        good = False
        try:
            log.info("checkout at %s", pull(self._sessions.root)[:12])
            good = True
        except ReconcilerError as error:
            log.error("the checkout is not up to date: %s", error)
        if self._metrics is not None:
            self._metrics.pulled(good=good)
