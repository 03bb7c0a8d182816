"""Tests how a pass applies renames. Renames are recorded first and only once, whatever other passes do."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from reconciler.apply import executor, interpreter
from reconciler.apply.intents import ApplyContext, Provenance
from reconciler.apply.recording import record_declarations, record_renames
from reconciler.aws.token_buckets import Buckets
from reconciler.core import events as e
from reconciler.core.decide import plan
from reconciler.core.desired import DesiredSpec, RenamedFrom
from reconciler.core.plan import ActionOutcome, ActionType, Plan
from reconciler.core.ports import Wanted
from reconciler.errors import RenameMoved
from reconciler.ledger.log import Log
from reconciler.model.kind import SPEC_TAG, TOKEN_TAG
from tests.apply.world import World, unsent
from tests.builders import NOW, PLACE, at, desired, intended, outcome, ran, scheduled, spec
from tests.ledger.builders import MemoryStore

PASS = Provenance("c0ffee", "tests", "0.1.0", "here:1:x")
CATCH_UP = {"schedule": "0 * * * *", "catchup": True, "concurrencyPolicy": "Allow"}


def new(content: str = "A", **more: Any) -> DesiredSpec:
    """Returns the spec `new`, which was named `old` before."""
    return replace(spec(content, "new", **more), renamed_from=RenamedFrom("old", "new.yaml:4:16"))


def holding(*events: e.Event) -> World:
    """Returns a world whose ledger contains these events."""
    world = World()
    world.ledger().append(events, lambda _: None)
    return world


def planned(world: World, *specs: DesiredSpec) -> Plan:
    """Returns a plan for these specs."""
    return plan(desired(*specs), world.ledger().recorded, NOW)


def test_a_rename_is_recorded_once_by_two_passes() -> None:
    """The second pass finds that the rename is already recorded, and both passes continue."""
    world = holding(*ran(name="old"))
    made, log, other = planned(world, new("B")), world.ledger(), world.ledger()

    record_renames(other, made, at(), PASS)
    record_renames(log, made, at(), PASS)
    results = world.apply(made)

    assert world.types("new") == ["spec-renamed", "intended", "submitted"]
    assert [result.outcome for result in results] == [ActionOutcome.SUBMITTED]


@pytest.mark.parametrize("name", ["old", "new"])
def test_a_rename_that_rests_on_another_state_is_refused(name: str) -> None:
    """The plan is stale because another pass submitted the new name, or applied the former name again."""
    world = holding(*ran(name="old"))
    made = planned(world, new())
    if name == "new":
        world.ledger().append(ran(name="new"), lambda _: None)
    else:
        other = planned(world, spec(name="old"))
        record_declarations(world.ledger(), other.declarations, (), at(), PASS)

    with pytest.raises(RenameMoved, match="nothing was sent"):
        record_renames(world.ledger(), made, at(), PASS)

    assert "spec-renamed" not in world.types("new")


@pytest.mark.parametrize("renamed_first", [True, False])
def test_a_slot_of_two_checkouts_runs_once(renamed_first: bool) -> None:
    """One checkout has the former name, and the other has the new name. Both passes planned the same slots before
    either acted."""
    world = holding(scheduled("old"))
    before = planned(world, spec(name="old", policy=CATCH_UP))
    after = planned(world, new(policy=CATCH_UP))
    assert len(before.pending) == len(after.pending) == 2

    if renamed_first:
        record_renames(world.ledger(), after, at(), PASS)
        late = [world.apply(after), world.apply(before)][1]
    else:
        world.apply(before)
        record_renames(world.ledger(), after, at(), PASS)
        late = world.apply(after)

    assert [result.outcome for result in late] == [ActionOutcome.NONE] * 2
    assert len(world.aws.jobs) == 2
    assert [submission.slot for submission in world.ledger().recorded.spec("new").submissions] == [
        "2026-11-22T01:00:00Z",
        "2026-11-22T02:00:00Z",
    ]


def test_another_send_has_the_token_and_the_bytes_of_the_former_name() -> None:
    """The request never reached AWS before the rename. Its token and tags still contain the former name."""
    world = World()
    world.aws.before["old"] = [unsent] * 9
    world.apply(desired(spec(name="old")))
    [intent] = world.ledger().recorded.by_token.values()
    world.aws.before.clear()

    made = planned(world, new())
    record_renames(world.ledger(), made, at(), PASS)
    [result] = world.apply(made)

    assert result.outcome is ActionOutcome.SUBMITTED
    [job] = world.aws.jobs.values()
    assert (job["jobName"], job["tags"][TOKEN_TAG]) == ("old", intent.token)
    assert job["tags"][SPEC_TAG] == "analytics/prod/old"
    assert planned(world, new()).pending == ()


def test_a_proven_absent_submission_is_sent_again_under_its_token() -> None:
    """The reply was lost before the rename, and two lookups found nothing."""
    intent = intended(name="old", seconds=-4000)
    world = holding(
        intent,
        outcome("unclear", intent, seconds=-3990),
        outcome("absent", intent, seconds=-2000),
        outcome("absent", intent, seconds=-1900),
    )

    made = planned(world, new())

    [action] = made.actions
    assert (action.name, action.action, action.client_token, action.send) == ("new", ActionType.SUBMIT, intent.token, 2)
    record_renames(world.ledger(), made, at(), PASS)
    assert [result.outcome for result in world.apply(made)] == [ActionOutcome.SUBMITTED]
    assert [s.phase for s in world.ledger().recorded.spec("new").submissions] == ["submitted"]


def test_a_pass_of_the_former_name_records_its_outcome_under_the_new_one() -> None:
    """The rename is recorded between the intent and AWS's reply."""
    intent = intended(name="old")
    world = holding(intent)
    record_renames(world.ledger(), planned(world, new()), at(), PASS)

    world.ledger().append([outcome("submitted", intent)], lambda _: None)

    recorded = world.ledger().recorded
    assert list(recorded.specs) == ["new"]
    assert [(s.name, s.run_id) for s in recorded.spec("new").submissions] == [("new", "run-1")]


class Killed(BaseException):
    """Simulates the end of the process. Not an `Exception`, so that reconciler cannot catch it."""


class MortalStore(MemoryStore):
    """A store whose process is killed at an append, before or after the batch is durable."""

    def __init__(self, store: MemoryStore, number: int, *, durable: bool) -> None:
        super().__init__()
        self.batches = store.batches
        self._left, self._durable = number, durable

    def append(self, position: int, batch: bytes) -> bytes:
        """Appends the batch, and kills the process at the chosen append."""
        self._left -= 1
        if self._left == 0 and not self._durable:
            raise Killed
        held = super().append(position, batch)
        if self._left == 0:
            raise Killed
        return held


def run_pass(world: World, store: MemoryStore, *specs: DesiredSpec) -> None:
    """Runs one pass in this thread: looks for runs, plans, and records renames, actions and declarations."""
    log = Log(store, PLACE, "0.1.0", world.clock)
    recorded = log.refresh()
    for submission in recorded.unresolved():
        wanted = Wanted(submission.token, {}, submission.first_intent_at)
        recorded.runs_by_token[submission.token] = tuple(world.aws.find([wanted])[submission.token])
    made = plan(desired(*specs), recorded, NOW)
    record_renames(log, made, at(), PASS)
    ports = interpreter.World(log, lambda _: world.aws, world.clock, Buckets({}, world.clock), world.stop)
    context = ApplyContext(PLACE, ports, PASS, 30, 1500)
    for action in made.pending:
        interpreter.drive(executor._procedure(action, context), ports)
    record_declarations(log, made.declarations, made.actions, at(), PASS)


@pytest.mark.parametrize("content", ["A", "B"])
@pytest.mark.parametrize("known", ["ended", "unresolved", "slots"])
def test_a_pass_with_a_rename_may_be_killed_at_every_append(content: str, known: str) -> None:
    """Wherever the process is killed, the next passes end with the same runs, each started once. A submission that was
    intended but possibly not sent must settle before it is sent again, and other slots wait for it."""
    policy = CATCH_UP if known == "slots" else {"concurrencyPolicy": "Allow"}
    for number, durable in product(range(1, 9), [False, True]):
        world = World()
        if known == "slots":
            world.ledger().append([scheduled("old")], lambda _: None)
        else:
            world.apply(desired(spec(name="old", policy=policy)))
        if known == "unresolved":  # AWS's reply was not recorded
            world.store.batches.pop(2)
        wanted = new(content, policy=policy)
        with suppress(Killed):
            run_pass(world, MortalStore(world.store, number, durable=durable), wanted)
        for _ in range(3):
            run_pass(world, world.store, wanted)

        recorded = world.ledger().recorded
        assert list(recorded.specs) == ["new"]
        expected = 2 if known == "slots" or content == "B" else 1
        tokens = [job["tags"][TOKEN_TAG] for job in world.aws.jobs.values()]
        settling = [submission.token for submission in recorded.unresolved()]
        assert len(set(tokens)) == len(tokens)
        assert len({*tokens, *settling}) <= expected, (number, durable)
        assert settling or len(tokens) == expected, (number, durable)
        assert set(tokens).isdisjoint(settling)
        assert planned(world, wanted).pending == ()
        assert planned(world, wanted).changes == ()
