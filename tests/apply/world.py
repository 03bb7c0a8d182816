"""A small world for tests of apply: a fake AWS that creates each job that it accepts, a ledger in memory, and a clock
that only `sleep` advances."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock

from reconciler.apply.executor import execute
from reconciler.apply.intents import Provenance
from reconciler.aws.token_buckets import Buckets
from reconciler.core.decide import plan
from reconciler.core.desired import Desired
from reconciler.core.plan import ActionResult, Plan
from reconciler.core.ports import Accepted, Ambiguous, Instant, NotSent, Outcome, Quota, RunRef, RunReport, Wanted
from reconciler.errors import ServiceError
from reconciler.ledger.log import Log
from reconciler.model.base import JSON
from reconciler.model.kind import TOKEN_TAG
from tests.builders import NOW, PLACE
from tests.ledger.builders import MemoryStore, StandingClock

Answer = Callable[[JSON], Outcome | None]
"""A function that returns the answer to a submit, or `None` for the actual result. It may raise."""


@dataclass
class Aws:
    """Jobs by id. `answers` are used in order, per job name. `delivered_then` means that the job is created before the
    answer."""

    jobs: dict[str, JSON] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    grace: list[int | None] = field(default_factory=list)
    before: dict[str, list[Answer]] = field(default_factory=dict)
    after: dict[str, list[Answer]] = field(default_factory=dict)
    find_error: str | None = None
    cancel_error: ServiceError | None = None
    deadlines: list[Instant] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def submit(self, request: JSON, deadline: Instant) -> Outcome:
        """Creates a job, unless an answer is configured."""
        with self.lock:
            self.deadlines.append(deadline)
            early = self._next(self.before, request)
            if early is not None:
                return early
            run_id = f"job-{len(self.jobs) + 1}"
            self.jobs[run_id] = request
            return self._next(self.after, request) or Accepted(run_id)

    @staticmethod
    def _next(answers: Mapping[str, list[Answer]], request: JSON) -> Outcome | None:
        waiting = answers.get(request["jobName"])
        return waiting.pop(0)(request) if waiting else None

    def observe(self, runs: Sequence[RunRef]) -> Mapping[str, RunReport | str]:
        """Is never called by apply."""
        return {run.token: "not asked" for run in runs}

    def find(self, wanted: Sequence[Wanted]) -> Mapping[str, Sequence[str] | str]:
        """Returns the jobs that have the tag."""
        if self.find_error:
            return {want.token: self.find_error for want in wanted}
        return {
            want.token: [run_id for run_id, job in self.jobs.items() if job["tags"][TOKEN_TAG] == want.token]
            for want in wanted
        }

    def cancel(self, run: RunRef, reason: str) -> None:
        """Records which run was cancelled."""
        if self.cancel_error:
            raise self.cancel_error
        assert reason
        self.cancelled.append(run.run_id)
        self.grace.append(run.grace_seconds)


@dataclass
class World:
    """Contains one ledger, one fake AWS and one clock."""

    aws: Aws = field(default_factory=Aws)
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: StandingClock = field(default_factory=lambda: StandingClock(NOW.timestamp()))
    stop: Event = field(default_factory=Event)

    def ledger(self) -> Log:
        """Returns the ledger as a new process reads it."""
        log = Log(self.store, PLACE, "0.1.0", self.clock)
        log.refresh()
        return log

    def apply(
        self, wanted: Desired | Plan, ledger: Log | None = None, workers: int = 4, quota: Quota | None = None
    ) -> tuple[ActionResult, ...]:
        """Runs one pass with these specs, or with exactly this plan."""
        log = ledger or self.ledger()
        made = wanted if isinstance(wanted, Plan) else plan(wanted, log.recorded, NOW)
        return execute(
            made,
            ledger=log,
            services=lambda _: self.aws,
            clock=self.clock,
            provenance=Provenance("c0ffee", "tests", "0.1.0", "here:1:x"),
            claim_seconds=30,
            settle_seconds=1500,
            quota=quota or Buckets({}, self.clock),
            workers=workers,
            stop=self.stop,
        )

    def types(self, name: str = "orders") -> list[str]:
        """Returns the types of the events of a spec, in order."""
        log = self.ledger()
        found = []
        for position in range(1, log.recorded.position + 1):
            found += [event.type for event in log.batch(position) if getattr(event, "name", None) == name]
        return found


def unclear(_: JSON) -> Outcome:
    """Returns an outcome that does not show whether the job exists."""
    return Ambiguous("ReadTimeoutError", "no reply")


def unsent(_: JSON) -> Outcome:
    """Returns the outcome of a request that did not reach AWS."""
    return NotSent("EndpointConnectionError", "refused")
