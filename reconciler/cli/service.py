"""`reconciler reconcile --every`: passes until somebody stops it, each told in one line."""

from __future__ import annotations

import logging
import random
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.cli.passes import summary
from reconciler.cli.stopping import serving
from reconciler.cli.terminal import echo_error
from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from threading import Event

    from reconciler.app.metrics import Metrics
    from reconciler.app.options import CommandOptions
    from reconciler.app.reconcile import Pass
    from reconciler.app.session import ReusableSession
    from reconciler.core.ports import Clock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """How a service goes about its passes: how many seconds apart, whether the checkout is brought up to date first,
    where metrics are served (`None`: nowhere), and whether its lines are JSON."""

    every: float
    git_pull: bool = False
    metrics_at: tuple[str, int] | None = None
    json: bool = False


@dataclass(frozen=True, slots=True)
class _World:
    """What all passes share."""

    service: Service
    kept: ReusableSession
    clock: Clock
    metrics: Metrics | None
    stop: Event


def serve(choice: CommandOptions, service: Service) -> int:
    """Passes until a signal comes; then what is under way is recorded, and the code is 0. Raises `ReconcilerError` for
    what is wrong from the start: no project, no such target, a port that is taken."""
    from reconciler.app.cadence import Cadence, repeat
    from reconciler.app.session import ReusableSession, SystemClock

    clock, kept = SystemClock(), ReusableSession(choice)
    with ExitStack() as stack, serving(_stopping) as stop:
        stack.callback(kept.close)
        kept.session()
        metrics = _metrics(service, clock, stack)
        world = _World(service, kept, clock, metrics, stop)
        repeat(lambda: _pass(world), Cadence(service.every, lambda: random.uniform(-1, 1)), clock, stop)  # noqa: S311
    return 0


def _stopping() -> None:
    echo_error("Stopping: nothing new is sent, and what is under way gets a few seconds to be recorded.")


def _metrics(service: Service, clock: Clock, stack: ExitStack) -> Metrics | None:
    if service.metrics_at is None:
        return None
    from reconciler.app.metrics import Endpoint, Metrics

    metrics = Metrics(clock, service.every)
    endpoint = Endpoint(metrics, *service.metrics_at)
    stack.callback(endpoint.close)
    log.info("metrics on port %d", endpoint.port)
    return metrics


def _pass(world: _World) -> bool:
    """One pass; whatever goes wrong in it is told, and the next one starts from nothing. Says whether all went well."""
    began = world.clock.boot()
    try:
        good = _observe_plan_apply(world)
    except ReconcilerError as error:
        log.error("the pass failed: %s", error)
        good = False
    except Exception as error:  # a service outlives a fault of one pass
        log.exception("the pass failed: internal error: %s", type(error).__name__)
        good = False
    if not good:
        world.kept.close()
    if world.metrics is not None:
        world.metrics.passed(world.clock.boot() - began, good=good)
    return good


def _observe_plan_apply(world: _World) -> bool:
    from reconciler.app.reconcile import reconcile

    if world.service.git_pull:
        _pull(world.kept)
    session = world.kept.session()
    if world.metrics is not None:
        session.aws.on_call = world.metrics.called
    done = reconcile(session, world.stop)
    if done is not None:
        _report(world, done)
    return True


def _pull(kept: ReusableSession) -> None:
    """Brings the checkout up to date. Where that fails, the pass goes on with what is checked out, and says so."""
    from reconciler.specs.git import pull

    try:
        log.info("checkout at %s", pull(kept.root)[:12])
    except ReconcilerError as error:
        log.error("the checkout is not up to date: %s", error)


def _report(world: _World, done: Pass) -> None:
    """One line for the pass; more of it with -v; the metrics."""
    from reconciler.render.results import action_line

    plan, results, recorded = done.plan, done.results, done.recorded
    for action, result in zip(plan.actions, results, strict=True):
        if action.effective:
            log.info("%s", action_line(action, result))
    echo_error(summary("reconcile", plan, results, recorded.position, as_json=world.service.json))
    if world.metrics is not None:
        world.metrics.told(plan, results, recorded)
