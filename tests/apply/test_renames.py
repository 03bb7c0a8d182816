"""Renames as a pass carries them out: recorded first and once, whoever else is at work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.apply.declare import record_renames
from reconciler.apply.intents import Provenance
from reconciler.core import events as e
from reconciler.core.decide import plan
from reconciler.core.desired import DesiredSpec, RenamedFrom
from reconciler.core.plan import ActionOutcome, ActionType, Plan
from reconciler.errors import RenameMoved
from reconciler.model.kind import SPEC_TAG, TOKEN_TAG
from tests.apply.world import World, unsent
from tests.builders import NOW, at, desired, intended, outcome, ran, scheduled, spec

PASS = Provenance("c0ffee", "tests", "0.1.0", "here:1:x")
CATCH_UP = {"schedule": "0 * * * *", "catchup": True, "concurrencyPolicy": "Allow"}


def new(content: str = "A", **more: Any) -> DesiredSpec:
    """The spec `new`, which was `old`."""
    return replace(spec(content, "new", **more), renamed_from=RenamedFrom("old", "new.yaml:4:16"))


def holding(*events: e.Event) -> World:
    """A world whose ledger holds these events."""
    world = World()
    world.ledger().append(events, lambda _: None)
    return world


def planned(world: World, *specs: DesiredSpec) -> Plan:
    """A plan of these specs."""
    return plan(desired(*specs), world.ledger().recorded, NOW)


def test_a_rename_is_recorded_once_by_two_passes() -> None:
    """The second finds it done, and both go on."""
    world = holding(*ran(name="old"))
    made, log, other = planned(world, new("B")), world.ledger(), world.ledger()

    record_renames(other, made, at(), PASS)
    record_renames(log, made, at(), PASS)
    results = world.apply(made)

    assert world.types("new") == ["spec-renamed", "intended", "submitted"]
    assert [result.outcome for result in results] == [ActionOutcome.SUBMITTED]


@pytest.mark.parametrize("name", ["old", "new"])
def test_a_rename_that_rests_on_another_state_is_refused(name: str) -> None:
    """The new name was submitted meanwhile, or the former one was applied again."""
    world = holding(*ran(name="old"))
    made = planned(world, new())
    if name == "new":
        world.ledger().append(ran(name="new"), lambda _: None)
    else:
        other = planned(world, spec(name="old"))
        from reconciler.apply.declare import record_declarations

        record_declarations(world.ledger(), other.declarations, (), at(), PASS)

    with pytest.raises(RenameMoved, match="nothing was sent"):
        record_renames(world.ledger(), made, at(), PASS)

    assert "spec-renamed" not in world.types("new")


@pytest.mark.parametrize("renamed_first", [True, False])
def test_a_slot_of_two_checkouts_runs_once(renamed_first: bool) -> None:
    """One has the former name and one the new one; both planned the same slots before either acted."""
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
    """It never reached AWS; AWS and the tags know it by the name that it was intended under."""
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
    """The reply was lost before the rename, and two looks found nothing."""
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
    """The rename comes between the intent and the answer of AWS."""
    intent = intended(name="old")
    world = holding(intent)
    record_renames(world.ledger(), planned(world, new()), at(), PASS)

    world.ledger().append([outcome("submitted", intent)], lambda _: None)

    recorded = world.ledger().recorded
    assert list(recorded.specs) == ["new"]
    assert [(s.name, s.run_id) for s in recorded.spec("new").submissions] == [("new", "run-1")]
