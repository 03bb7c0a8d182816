"""Tests specs that run together in one thread: what they share, and that a problem with one does not affect the
others."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from reconciler.apply import executor
from reconciler.apply.effects import Append, Effect
from reconciler.apply.groups import Steps, together
from reconciler.apply.intents import ApplyContext, Provenance
from reconciler.apply.interpreter import World as Ports
from reconciler.apply.interpreter import _append_in_turn, _perform_effect, drive
from reconciler.apply.recording import record_observations
from reconciler.aws.token_buckets import Buckets
from reconciler.core.decide import plan
from reconciler.core.events import Notified
from reconciler.core.plan import ActionOutcome, ActionResult, Plan
from reconciler.core.ports import Outcome, Quota, Refused, Wanted
from reconciler.core.unresolved import absences
from reconciler.errors import LedgerError, LedgerFull, LedgerUnreachable
from reconciler.ledger.log import Log
from reconciler.model.base import JSON
from reconciler.model.kind import TOKEN_TAG, Rate
from tests.apply.world import Aws, World, unclear
from tests.builders import NOW, PLACE, at, desired, spec
from tests.campaigns import in_one_test
from tests.ledger.builders import MemoryStore
from tests.waiting import eventually

NAMES = ("clicks", "orders", "users")
SPECS = desired(*(spec("A", name) for name in NAMES))
CLAIM, SETTLE = 30, 1500


def group(
    world: World, log: Log, made: Plan, results: list[ActionResult], quota: Quota | None = None, size: int = 8
) -> tuple[Steps, Ports]:
    """Returns the actions of a plan as one thread executes them."""
    ports = Ports(log, lambda _: world.aws, world.clock, quota or Buckets({}, world.clock), world.stop)
    context = ApplyContext(PLACE, ports, Provenance(None, "tests", "0", "here:1:x"), CLAIM, SETTLE)
    names = executor._by_name(made, {index for index, action in enumerate(made.actions) if action.effective})
    specs = (executor.steps(made, indexes, context, lambda done: results.append(done[1])) for indexes in names)
    return together(specs, size, CLAIM), ports


def run(world: World, quota: Quota | None = None) -> list[ActionResult]:
    """Runs one pass over the three specs in one thread."""
    log, results = world.ledger(), list[ActionResult]()
    drive(*group(world, log, plan(SPECS, log.recorded, NOW), results, quota))
    return results


def written(world: World) -> list[list[str]]:
    """Returns the types of the events in each batch."""
    log = world.ledger()
    return [[event.type for event in log.batch(position)] for position in range(1, log.recorded.position + 1)]


def test_intents_and_outcomes_of_a_group_share_appends() -> None:
    """Three submissions take two batches: all intents before the first call, all outcomes after the last one."""
    world = World()
    seen: list[int] = []
    world.aws.after = {name: [lambda _: seen.append(len(world.store.batches))] for name in NAMES}
    assert {result.outcome for result in run(world)} == {ActionOutcome.SUBMITTED}
    assert written(world) == [["opened", *["intended"] * 3], ["submitted"] * 3]
    assert seen == [1, 1, 1]


@in_one_test(("specs", "threads", "size"), [(1, 1, 1), (5, 5, 1), (16, 8, 2), (900, 8, 4), (900, 1, 8)])
def test_groups_leave_no_thread_idle_and_few_submissions_open(specs: int, threads: int, size: int) -> None:
    """A few specs are distributed over all threads. Of many specs, at most 32 are processed at a time."""
    assert executor._group_size(specs, threads) == size


def later_pass(world: World) -> None:
    """Runs a pass in another process: looks for runs, records evidence of absence, plans and applies."""
    now = datetime.fromtimestamp(world.clock.now(), UTC)
    log = Log(world.store, PLACE, "0.1.0", world.clock)
    recorded = log.refresh()
    for submission in recorded.unresolved():
        wanted = Wanted(submission.token, {}, submission.first_intent_at)
        recorded.runs_by_token[submission.token] = tuple(world.aws.find([wanted])[submission.token])
    record_observations(log, absences(recorded, now, SETTLE))
    drive(*group(world, log, plan(SPECS, recorded, now), []))


class Killed(BaseException):
    """Simulates the end of the process. Derives from `BaseException`, so that reconciler cannot catch it."""


def killed_before(steps: Steps, ports: Ports, number: int) -> bool:
    """Runs a group until its process is killed before the effect `number`. Returns whether it was killed."""
    answer: object = None
    failure: Exception | None = None
    for _ in range(number):
        try:
            effect: Effect = steps.send(answer) if failure is None else steps.throw(failure)
        except StopIteration:
            return False
        answer, failure = None, None
        try:
            answer = _perform_effect(effect, ports)
        except Exception as error:  # noqa: BLE001 - as `drive`
            failure = error
        except Killed:
            return True
    return True


def numbers() -> Iterator[tuple[int, bool]]:
    """Yields each number of an effect in the group, with and without the loss of the reply to the second call."""
    return ((number, lost) for number in range(1, 40) for lost in (False, True))


def test_a_group_may_be_killed_at_every_effect() -> None:
    """Wherever the process is killed, later passes end with one run for each spec and no unresolved submission."""
    completed = 0
    for number, lost in numbers():
        world = World(Aws(after={"orders": [unclear]} if lost else {}))
        log = world.ledger()
        completed += not killed_before(*group(world, log, plan(SPECS, log.recorded, NOW), []), number)
        for wait in (10, 1600, 100, 100):
            world.clock.moment += wait
            later_pass(world)
        tokens = [job["tags"][TOKEN_TAG] for job in world.aws.jobs.values()]
        assert sorted(job["jobName"] for job in world.aws.jobs.values()) == sorted(NAMES), (number, lost)
        assert len(set(tokens)) == len(NAMES)
        assert not list(world.ledger().recorded.unresolved())
    assert completed  # the last numbers are beyond the last effect of the group


def test_a_kill_inside_a_call_leaves_the_others_to_later_passes() -> None:
    """The process is killed between two calls of a group. The first job is adopted, and the others run once."""

    def killed(_: JSON) -> Outcome:
        raise Killed

    world = World(Aws(after={"orders": [killed]}))
    log = world.ledger()
    assert killed_before(*group(world, log, plan(SPECS, log.recorded, NOW), []), 100)
    assert len(world.aws.jobs) == 2
    for wait in (10, 1600, 100, 100):
        world.clock.moment += wait
        later_pass(world)
    assert sorted(job["jobName"] for job in world.aws.jobs.values()) == sorted(NAMES)


def test_a_spec_that_changed_since_the_plan_is_left_out() -> None:
    """Another pass submitted one of the specs after the plan was made. The other specs still share one append."""
    world = World()
    log = world.ledger()
    made = plan(SPECS, log.recorded, NOW)
    world.apply(desired(spec("A", "orders")))
    results: list[ActionResult] = []
    drive(*group(world, log, made, results))
    assert [result.outcome for result in results].count(ActionOutcome.SUBMITTED) == 2
    assert [result.error for result in results if result.outcome is ActionOutcome.NONE] == [
        "another pass submitted it: run job-1"
    ]
    assert written(world)[2:] == [["intended"] * 2, ["submitted"] * 2]


class Refusing(MemoryStore):
    """A store that raises an error for batches with more than one intent, or for every intent."""

    def __init__(self, error: LedgerError, least: int) -> None:
        super().__init__()
        self._error, self._least = error, least

    def append(self, position: int, batch: bytes) -> bytes:
        """Implements `ports.Store` but refuses some batches."""
        if batch.count(b'"type":"intended"') >= self._least:
            raise self._error
        return super().append(position, batch)


def test_a_batch_that_the_ledger_refuses_is_written_one_by_one() -> None:
    """The store refuses the batch and writes nothing, as for a batch that is too large. Each intent is then written in
    a batch of its own."""
    world = World(store=Refusing(LedgerFull("too large"), 2))
    assert {result.outcome for result in run(world)} == {ActionOutcome.SUBMITTED}
    assert written(world) == [["opened", "intended"], ["intended"], ["intended"], ["submitted"] * 3]


def test_threads_that_wait_for_an_append_share_the_next_one() -> None:
    """While one thread appends, the groups of the other threads wait in a queue. One of the waiting threads then
    appends the batches of all."""
    appending, released = Event(), Event()

    class Slow(MemoryStore):
        """A store whose second append waits until every other thread is waiting to append."""

        def append(self, position: int, batch: bytes) -> bytes:
            """Appends as `ports.Store` requires."""
            if position == 2:
                appending.set()
                assert released.wait(60)
            return super().append(position, batch)

    world = World(store=Slow())
    log = world.ledger()
    ports = Ports(log, lambda _: world.aws, world.clock, Buckets({}, world.clock), world.stop)
    log.append([Notified(at=at(), name="orders", key="founding", kinds=())], lambda _: None)
    events = [
        [Append([Notified(at=at(), name=f"{n}-{m}", key="k", kinds=())], lambda _: None) for m in "ab"]
        for n in range(4)
    ]
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(_append_in_turn, events[0], ports)
        assert appending.wait(60)
        others = [pool.submit(_append_in_turn, each, ports) for each in events[1:]]
        assert eventually(lambda: len(ports.groups) == 3)
        released.set()
        answers = [first.result(60), *(each.result(60) for each in others)]
    assert answers == [[2] * 2, *[[3] * 2] * 3]


def test_without_intents_nothing_is_sent() -> None:
    """The ledger refuses every intent with a different error."""
    world = World(store=Refusing(LedgerFull("no space"), 1))
    assert {(result.outcome, result.error) for result in run(world)} == {
        (ActionOutcome.UNSENT, "nothing was sent: no space")
    }
    assert not world.aws.jobs


def test_if_it_is_unknown_whether_intents_were_written_nothing_is_sent() -> None:
    """If the ledger is unreachable, the parts of the group are not appended separately, and no part is sent."""
    world = World(store=Refusing(LedgerUnreachable("no answer"), 1))
    results = run(world)
    assert {result.outcome for result in results} == {ActionOutcome.UNSENT}
    assert not world.aws.jobs
    assert world.clock.slept == [0.1, 0.2, 0.4, 0.8, 1.6]


def test_the_pauses_of_a_group_pass_at_the_same_time() -> None:
    """Three throttled specs wait for one second together, not for one second each."""
    throttled = Refused("ThrottlingException", "slow down", throttled=True)
    world = World(Aws(before={name: [lambda _: throttled] for name in NAMES}))
    assert {result.outcome for result in run(world)} == {ActionOutcome.SUBMITTED}
    assert sum(world.clock.slept) == pytest.approx(1.0)


def test_the_looks_of_a_group_do_not_wait_for_each_other() -> None:
    """Three lost requests are looked for during the same ten seconds."""
    world = World(Aws(before={name: [unclear] for name in NAMES}))
    assert {result.outcome for result in run(world)} == {ActionOutcome.UNKNOWN}
    assert sum(world.clock.slept) == pytest.approx(10.0)


def test_no_intent_waits_for_the_quota_of_another() -> None:
    """With a quota of one token per minute, each intent is recorded after its token was taken, and its call follows at
    once."""
    world = World()
    ages: list[timedelta] = []

    def age(_: JSON) -> None:
        newest = world.ledger().batch(max(world.store.batches))
        ages.append(datetime.fromtimestamp(world.clock.now(), UTC) - datetime.fromisoformat(newest[-1].at))

    world.aws.after = {name: [age] for name in NAMES}
    quota = Buckets({"SubmitJob": Rate(perSecond=1 / 60, burst=1)}, world.clock)
    assert {result.outcome for result in run(world, quota)} == {ActionOutcome.SUBMITTED}
    assert max(ages) < timedelta(seconds=1)
    assert sum(world.clock.slept) == pytest.approx(120, abs=1)
    assert written(world)[0] == ["opened", "intended"]


def test_slow_calls_make_groups_small() -> None:
    """If a send starts late within its claim, the next groups are smaller, so that no send misses its deadline."""
    names = [f"job-{number}" for number in range(8)]
    world = World()

    def slow(_: JSON) -> None:
        world.clock.moment += 10

    world.aws.after = {name: [slow] for name in names}
    log, results = world.ledger(), list[ActionResult]()
    drive(*group(world, log, plan(desired(*(spec("A", n) for n in names)), log.recorded, NOW), results, size=3))
    assert {result.outcome for result in results} == {ActionOutcome.SUBMITTED}
    assert written(world)[0] == ["opened", *["intended"] * 3]
    assert written(world)[2:4] == [["intended"], ["submitted"]]


def test_an_unexpected_failure_ends_one_spec_only() -> None:
    """A bug in the call of one service affects only that submission. The other specs are submitted."""

    class Broken(Log):
        """A ledger that raises an error when the outcome of one spec is appended."""

        def append(self, events, valid):
            if any(getattr(event, "name", "") == "orders" for event in events):
                raise RuntimeError("bug")
            return super().append(events, valid)

    world = World()
    log, results = Broken(world.store, PLACE, "0.1.0", world.clock), list[ActionResult]()
    log.refresh()
    drive(*group(world, log, plan(SPECS, log.recorded, NOW), results))
    assert sorted(result.outcome for result in results) == [
        ActionOutcome.SUBMITTED, ActionOutcome.SUBMITTED, ActionOutcome.UNKNOWN,
    ]  # fmt: skip
    assert sorted(job["jobName"] for job in world.aws.jobs.values()) == ["clicks", "users"]
