"""Tests how a pass applies slots, replacements and schedules: the events in the ledger and the jobs in AWS."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.apply import recording
from reconciler.apply.recording import record_schedule_changes
from reconciler.core import events as e
from reconciler.core.decide import plan
from reconciler.core.due_slots import event_of
from reconciler.core.plan import ActionOutcome, ActionType, ScheduleChange
from reconciler.core.ports import NotSent
from tests.apply.world import World
from tests.builders import NOW, at, desired, recorded, scheduled, spec
from tests.core.test_changes import declared

ONE, TWO = "2026-11-22T01:00:00Z", "2026-11-22T02:00:00Z"


def hourly(**policy: Any) -> Any:
    """Returns a spec that is due every full hour."""
    return spec("A", policy={"schedule": "0 * * * *", **policy})


def begun(*events: e.Event) -> World:
    """Returns a world whose ledger contains a two-hour-old schedule and the given events."""
    world = World()
    world.ledger().append([scheduled(), *events], lambda _: None)
    return world


def test_missed_slots_and_the_due_one_in_one_pass() -> None:
    """The submission is executed first, because it requires the ledger head of the plan. The skip is recorded
    afterwards."""
    world = begun()
    results = world.apply(desired(hourly()))
    assert [result.outcome for result in results] == [ActionOutcome.RECORDED, ActionOutcome.SUBMITTED]
    assert world.types() == ["scheduled-since", "intended", "submitted", "missed"]
    assert plan(desired(hourly()), world.ledger().recorded, NOW).pending == ()


def test_slots_side_by_side() -> None:
    """Each of two submissions changes the ledger head that the other one was planned with. Both are still submitted
    once."""
    world = begun()
    wanted = desired(hourly(catchup=True, concurrencyPolicy="Allow"))
    results = world.apply(wanted)
    assert [result.outcome for result in results] == [ActionOutcome.SUBMITTED] * 2
    assert len(world.aws.jobs) == 2


def test_a_slot_that_another_pass_gave_up_is_not_submitted() -> None:
    """A slot that was recorded as missed after the plan was made never runs."""
    world = begun()
    made = plan(desired(hourly(catchup=True, concurrencyPolicy="Allow")), world.ledger().recorded, NOW)
    gone = e.Missed(at=at(), name="orders", first=ONE, last=ONE, count=1, slots=(ONE,), reason="deadline")
    world.ledger().append([gone], lambda _: None)
    outcomes = [result.outcome for result in world.apply(made)]
    assert outcomes == [ActionOutcome.NONE, ActionOutcome.SUBMITTED]
    assert [s.slot for s in world.ledger().recorded.spec("orders").submissions] == [TWO]


@pytest.mark.parametrize("sent", [False, True], ids=["new", "unsent"])
@pytest.mark.parametrize("case", ["restarted", "stopped", "missed and restarted"])
def test_a_slot_of_a_schedule_that_another_pass_ended_is_not_submitted(case: str, sent: bool) -> None:
    """A slot that was due when the plan was made is not submitted after another pass has stopped or restarted the
    schedule, so no slot is both missed and submitted."""
    world = begun()
    if sent:
        world.aws.before["orders"] = [lambda _: NotSent("EndpointConnectionError", "refused")]
        assert world.apply(desired(hourly()))[1].outcome == ActionOutcome.UNSENT
    made = plan(desired(hourly()), world.ledger().recorded, NOW)
    stop = scheduled(stopped="suspended") if case == "stopped" else scheduled(seconds=0)
    ends: list[e.Event] = [stop]
    if case.startswith("missed"):
        lost = e.Missed(at=at(), name="orders", first=TWO, last=TWO, count=1, slots=(TWO,), reason="rescheduled")
        ends.insert(0, lost)
    world.ledger().append(ends, lambda _: None)

    results = [(action.action, result) for action, result in zip(made.actions, world.apply(made), strict=True)]

    (result,) = [result for action, result in results if action is ActionType.SUBMIT]
    assert (result.outcome, world.aws.jobs) == (ActionOutcome.NONE, {})
    assert "plan again" in (result.error or "")


def test_missed_slots_are_recorded_once() -> None:
    """A second pass with the same plan finds that the missed slots are recorded."""
    world = begun()
    made = plan(desired(hourly()), world.ledger().recorded, NOW)
    world.apply(made)
    (skip, submit) = world.apply(made)
    assert (skip.outcome, submit.outcome) == (ActionOutcome.NONE, ActionOutcome.NONE)
    assert world.types().count("missed") == 1
    assert len(world.aws.jobs) == 1


def test_slots_that_another_pass_missed_before_it_restarted_the_schedule_are_recorded_once() -> None:
    """A slot that another pass recorded as missed under the former schedule is not recorded as missed again."""
    world = begun()
    made = plan(desired(hourly()), world.ledger().recorded, NOW)
    lost = e.Missed(at=at(), name="orders", first=ONE, last=TWO, count=2, slots=(ONE, TWO), reason="rescheduled")
    world.ledger().append([lost, scheduled(seconds=0, schedule="30 * * * *")], lambda _: None)
    results = world.apply(made)
    assert [result.outcome for result in results] == [ActionOutcome.NONE] * 2
    assert world.types() == ["scheduled-since", "missed", "scheduled-since"]


def test_a_replacement_asks_for_the_end_of_the_old_run() -> None:
    """The cancel request is recorded, as a replacement, before AWS is called. Nothing is submitted yet."""
    world = World()
    world.apply(desired(spec("A")))
    wanted = desired(spec("B", policy={"concurrencyPolicy": "Replace"}))
    (result,) = world.apply(wanted)
    assert (result.outcome, result.run_id) == (ActionOutcome.CANCELLED, "job-1")
    assert world.types() == ["intended", "submitted", "cancel-asked", "cancel-accepted"]
    assert world.ledger().recorded.spec("orders").submissions[0].replaced
    assert world.aws.cancelled == ["job-1"]
    assert len(world.aws.jobs) == 1
    (action,) = plan(wanted, world.ledger().recorded, NOW).actions
    assert action.action is ActionType.WAIT


def test_a_schedule_is_written_down_once() -> None:
    """If two passes find the same new schedule, only one of them records its start."""
    world = World()
    made = plan(desired(hourly()), recorded(), NOW)
    for _ in range(2):
        record_schedule_changes(world.ledger(), made, made.schedule_changes, NOW, "tests")
    assert world.types() == ["scheduled-since"]


def test_schedules_are_compared_once_for_each_append(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work grows linearly with the number of new schedules."""
    computed: list[str] = []

    def counted(change: ScheduleChange, *inputs: Any) -> Any:
        computed.append(change.name)
        return event_of(change, *inputs)

    monkeypatch.setattr(recording, "event_of", counted)
    world, names = World(), [f"orders-{number}" for number in range(20)]
    made = plan(desired(*(replace(hourly(), name=name) for name in names)), recorded(), NOW)
    record_schedule_changes(world.ledger(), made, made.schedule_changes, NOW, "tests")
    assert all(world.ledger().recorded.spec(name).schedule is not None for name in names)
    assert len(computed) <= 3 * len(names)


def test_a_schedule_that_another_pass_replaced_does_not_start() -> None:
    """After another pass has started and declared another schedule, a slow pass does not start the one of its plan, so
    no slot of the newer schedule is lost."""
    world = World()
    made = plan(desired(hourly()), recorded(), NOW)
    newer = hourly(schedule="30 * * * *")
    world.ledger().append([scheduled(seconds=0, schedule="30 * * * *"), declared(newer)], lambda _: None)
    record_schedule_changes(world.ledger(), made, made.schedule_changes, NOW, "tests")
    assert world.types() == ["scheduled-since", "declared"]
    assert plan(desired(newer), world.ledger().recorded, NOW).schedule_changes == ()
