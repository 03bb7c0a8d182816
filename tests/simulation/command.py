"""Simulates one reconciler process, which starts, observes, plans and applies. The process can be stopped between any
two steps."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING

from reconciler.apply import effects, groups
from reconciler.apply import executor as execute
from reconciler.apply import interpreter as driver
from reconciler.apply.intents import ApplyContext, Provenance
from reconciler.apply.recording import record_observations
from reconciler.aws import batch, emr_serverless
from reconciler.aws.observe import find_previous_runs, observe
from reconciler.aws.token_buckets import Buckets
from reconciler.core import safety_checks
from reconciler.core.decide import plan
from reconciler.core.desired import Desired
from reconciler.core.plan import ActionResult, Plan
from reconciler.core.ports import Moved, Service
from reconciler.core.state import Recorded
from reconciler.core.unresolved import absences, conflicts, lost_runs
from reconciler.errors import ReconcilerError
from reconciler.ledger.log import Log
from tests.builders import PLACE
from tests.simulation.clients import SimulatedAws
from tests.simulation.desired import EMR, Wanted, desired
from tests.simulation.faults import FREEZES
from tests.simulation.store import FaultyStore
from tests.simulation.timeline import EPOCH

if TYPE_CHECKING:
    from tests.simulation.schedule import World

CLAIM, SETTLE = 30, 1500
CALLS = {"submit", "replace", "cancel"}


class Killed(BaseException):
    """Raised when the process is killed, as by SIGKILL. It does not derive from `Exception`, so that the shipped code
    cannot catch it."""


class LocalClock:
    """The clocks of one machine. The wall clock is wrong by a few seconds, and the boot-time clock may stop while the
    machine sleeps."""

    def __init__(self, command: Command, offset: float) -> None:
        self._command, self._timeline = command, command.world.timeline
        self.offset, self.asleep = offset, 0.0

    def now(self) -> float:
        """Returns the time of the wall clock."""
        return EPOCH + self._timeline.now + self.offset

    def boot(self) -> float:
        """Returns the time of the boot-time clock."""
        return self._timeline.now - self.asleep

    def sleep(self, seconds: float) -> None:
        """Waits while other processes continue."""
        self._command.away("waiting", seconds)


class Command:
    """One `reconcile` command, with a single pass or, as with ``--every``, with several. `wanted` is the desired state
    that it read from git."""

    def __init__(self, world: World, number: int, passes: int = 1) -> None:
        self.world, self.who, self.owner = world, f"command {number}", f"host:{number}"
        self.clock = LocalClock(self, world.offset())
        self.wanted: Wanted = world.wanted
        self.made: Plan | None = None
        self.stop = Event()
        self.stopped_before_transmit = False
        self._passes = passes
        self._service: Service | None = None
        self._life = self._run()

    def start(self) -> None:
        """Starts the process now."""
        self.world.timeline.at(self.world.timeline.now, self._step)

    # --- being stopped ------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        try:
            delay = next(self._life)
        except StopIteration:
            self.world.oracle.record(self.who, "ends")
        except Killed as killed:
            self.world.oracle.record("killed", str(killed))
        except ReconcilerError as error:
            self.world.oracle.record("failed", type(error).__name__)
        else:
            self.world.timeline.at(self.world.timeline.now + delay, self._step)

    def pace(self, point: str) -> float:
        """Lets the duration of the step before this point pass. The process can be killed or frozen at this point."""
        world = self.world
        faults, roll = world.faults, world.dice.random()
        if world.oracle.lines is not None:
            world.oracle.record(self.who, point)
        aimed = point == faults.aim and roll < 0.5
        if roll < faults.crash or (aimed and not faults.freezing):
            raise Killed(point)
        if roll < faults.crash + faults.freeze or aimed:
            return self._frozen(point)
        if faults.stopping and roll > 1 - faults.stopping:
            self._asked_to_stop()
        return roll * 0.4

    def _frozen(self, point: str) -> float:
        """Freezes the process. The process is stopped, or the machine sleeps and its boot-time clock stops, or the
        virtual machine is paused and its wall clock stops, which is corrected some time later."""
        dice, timeline, clock = self.world.dice, self.world.timeline, self.clock
        seconds = dice.choice(FREEZES)
        self.world.oracle.record("frozen", point)
        roll = dice.random()
        if roll < 0.3:
            clock.asleep += seconds
        if roll < 0.12:
            clock.offset -= seconds
            until = timeline.now + seconds + dice.choice((0.05, 1.0, 40.0, 5000.0))

            def set_right() -> None:
                clock.offset += seconds

            timeline.at(until, set_right)
        return seconds

    def _asked_to_stop(self) -> None:
        """Sends SIGTERM. Ends the process after some seconds."""
        if not self.stop.is_set():
            self.world.oracle.record("asked to stop", "")
            self.stop.set()

    def away(self, point: str, seconds: float = 0.0, until: Callable[[], bool] | None = None) -> None:
        """Waits inside a call while other processes continue."""
        timeline = self.world.timeline
        delay = self.pace(point)
        if until is None:
            timeline.advance(timeline.now + seconds + delay)
        else:
            timeline.await_answer(timeline.now + seconds, until)
            if delay > 1:
                timeline.advance(timeline.now + delay)

    # --- one pass -----------------------------------------------------------------------------------------------------

    def _run(self) -> Generator[float, None, None]:
        """Runs the process through the same steps as `app.reconcile` and `app.service`."""
        yield self.pace("start")
        log = Log(FaultyStore(self.world.store, self), PLACE, "0", self.clock, self.world.nonce)
        ahead = self.clock.offset + self.world.dice.random()  # AWS's `Date` has whole seconds; it is read once
        for number in range(self._passes):
            if number:
                yield self.world.dice.choice((5.0, 61.0, 1500.0))
            self.wanted = self.world.wanted
            recorded = log.refresh()
            recorded.forget_findings()
            yield self.pace("read")
            if any(recorded.unresolved()) or any(recorded.live()):
                yield from self._look(log, recorded, ahead)
            elif not recorded.position:
                yield self.pace("look")
                specs = desired(self.world.faults.kind, self.wanted, self.world.faults.on_unknown).specs.values()
                find_previous_runs(specs, recorded, PLACE, self.service, self._now()).lay_over(recorded)
            wanted = desired(self.world.faults.kind, self.wanted, self.world.faults.on_unknown)
            yield from self._apply(log, wanted, ahead)

    def _look(self, log: Log, recorded: Recorded, ahead: float) -> Generator[float, None, None]:
        yield self.pace("look")
        looked_at = self._now()
        observed, sighting = observe(recorded, self.service, None, looked_at)
        yield self.pace("looked")
        sighting.lay_over(recorded)
        absent = absences(recorded, looked_at, SETTLE)
        gone = lost_runs(recorded, sighting.unseen, looked_at, SETTLE)
        if absent or gone:
            safety_checks.check_clock(ahead)
        record_observations(log, (*observed, *conflicts(recorded, looked_at), *absent, *gone))
        yield self.pace("recorded looks")

    def _apply(self, log: Log, wanted: Desired, ahead: float) -> Generator[float, None, None]:
        made = self.made = plan(wanted, log.recorded, self._now())
        for action in made.actions:
            self.world.oracle.record("plan", f"{action.action} {action.reason}")
        yield self.pace("planned")
        if any(action.action in CALLS for action in made.actions):
            safety_checks.check_clock(ahead)
        quota = Buckets(self.world.faults.rates, self.clock)
        world = driver.World(log, self.service, self.clock, quota, self.stop)
        context = ApplyContext(PLACE, world, Provenance(None, "sim", "0", self.owner), CLAIM, SETTLE)
        pending = {index for index, action in enumerate(made.actions) if action.effective}
        names = execute._by_name(made, pending)
        specs = (execute.steps(made, indexes, context, self._done) for indexes in names)
        yield from self._drive(groups.together(specs, execute._group_size(len(names), 1), CLAIM), context.world)

    def _done(self, result: tuple[int, ActionResult]) -> None:
        self.world.oracle.record("result", str(result[1].outcome))

    def _drive(self, steps: groups.Steps, world: driver.World) -> Generator[float, None, None]:
        """Executes the effects as `apply.interpreter` does, but lets other processes continue before every effect."""
        answer: object = None
        failure: Exception | None = None
        while True:
            try:
                effect = steps.send(answer) if failure is None else steps.throw(failure)
            except StopIteration:
                return
            answer, failure = None, None
            yield self.pace(_point(effect))
            if isinstance(effect, effects.Pause):
                yield effect.seconds
                answer = not self.stop.is_set()
                continue
            self.stopped_before_transmit = self.stop.is_set()
            try:
                answer = driver._perform_effect(effect, world)
            except Exception as error:  # noqa: BLE001 - as `drive`
                failure = error
            for part, reply in zip(_appended(effect), answer if isinstance(answer, list) else [answer], strict=False):
                if isinstance(reply, Moved) and _point(part) == "append intended":
                    self.world.oracle.record("lost", "the race for an intent")

    # --- parts of a process -------------------------------------------------------------------------------------------

    def service(self, kind: str) -> Service:
        """Returns the shipped adapter of a kind, connected to the simulated cloud."""
        if self._service is None:
            aws = SimulatedAws(self)
            self._service = emr_serverless.connect(aws) if kind == EMR else batch.connect(aws)
        return self._service

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now(), UTC)


_POINTS = {
    effects.Acquire: "quota",
    effects.ReadClock: "read clock",
    effects.Transmit: "transmit",
    effects.Look: "look again",
    effects.Cancel: "cancel",
    effects.Pause: "pause",
}


def _appended(effect: effects.Effect) -> Sequence[effects.Append]:
    """Returns the events that an effect appends."""
    if isinstance(effect, effects.AppendGroup):
        return effect.parts
    return [effect] if isinstance(effect, effects.Append) else []


def _point(effect: effects.Effect) -> str:
    """Returns the name of the point before an effect."""
    if parts := _appended(effect):
        return f"append {parts[0].events[0].type}"
    return _POINTS.get(type(effect)) or type(effect).__name__.lower()
