"""Simulates weeks of schedules, with outages, daylight saving time, slow and failing runs: no slot runs twice or is
dropped."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from reconciler.core.cron import slots_between
from reconciler.core.desired import DesiredSpec, InvalidSpec
from reconciler.core.events import CancelAsked, Intended
from reconciler.core.identity import Source
from reconciler.core.plan import ActionType, Reason
from reconciler.core.times import parse_time
from reconciler.errors import Problem
from reconciler.model.spec import Suspension
from tests.builders import spec
from tests.loop.world import World, slots_of, well

START = datetime(2026, 11, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def scheduled_spec(schedule: str = "*/15 * * * *", name: str = "orders", **policy: Any) -> DesiredSpec:
    """Returns a spec with a schedule."""
    return spec("A", name, policy={"schedule": schedule, **policy})


def due(schedule: str, zone: str, after: datetime, until: datetime) -> list[str]:
    """Returns every slot after the first time, up to the second."""
    return list(slots_between(schedule, zone, after + timedelta(seconds=1), until, 100_000))


def check(world: World, name: str, expected: list[str], *, forbid: bool = True) -> None:
    """Checks that every slot that came due either ran once per attempt or was recorded as missed once."""
    ran = [run.slot or "" for run in world.of(name) if run.attempt == 1]
    missed = world.missed_slots(name)
    assert sorted([*ran, *missed]) == expected
    assert not {slot for slot, number in Counter([(r.slot, r.attempt) for r in world.of(name)]).items() if number > 1}
    if forbid:
        runs = world.of(name)
        assert not [(a, b) for a, b in pairwise(runs) if a.overlaps(b)]


@pytest.mark.parametrize("catchup", [False, True])
def test_after_hours_of_a_broken_spec(catchup: bool) -> None:
    """After a broken spec is fixed, its slots are handled as after an outage. The other spec is not affected."""
    specs = [scheduled_spec(catchup=catchup), scheduled_spec(name="rates")]
    problem = Problem("orders.yaml", 7, 5, "unknown field spec.oops")
    world = World(START, list(specs), well(300))
    world.every(450, START + timedelta(hours=6))
    world.specs = specs[1:]
    broken = InvalidSpec("BatchJob", Source("orders.yaml", 4), (problem,))
    world.extra = {"invalid": {"orders": broken}, "names": frozenset({"orders", "rates"})}
    world.every(450, START + timedelta(hours=9))
    assert max(slots_of(world.of("orders"))) <= "2026-11-02T06:00:00Z"
    world.specs, world.extra = specs, {}
    world.every(450, START + timedelta(hours=16))

    expected = due("*/15 * * * *", "UTC", START, START + timedelta(hours=16))
    check(world, "orders", expected)
    check(world, "rates", expected)
    assert bool(world.missed("orders")) != catchup
    assert world.missed("rates") == []


HOURS = [pytest.param((12, 6, 30), id="a day"), pytest.param((72, 24, 168), id="a week", marks=pytest.mark.soak)]
"""The number of hours before an outage, of the outage, and in total."""


@pytest.mark.parametrize("hours", HOURS)
@pytest.mark.parametrize("catchup", [False, True])
@pytest.mark.parametrize("concurrency", ["Forbid", "Allow"])
def test_after_an_outage(hours: tuple[int, int, int], catchup: bool, concurrency: str) -> None:
    """Without catch-up, the newest slot runs and the others are recorded as missed; with catch-up, all run, oldest
    first."""
    before, outage, whole = (timedelta(hours=number) for number in hours)
    world = World(START, [scheduled_spec(catchup=catchup, concurrencyPolicy=concurrency)], well(300))
    world.every(900, START + before)
    world.now = START + before + outage + timedelta(minutes=7)
    world.every(450 if catchup else 900, START + whole)

    expected = due("*/15 * * * *", "UTC", START, START + whole)
    dealt = len(world.of("orders")) + len(world.missed_slots("orders"))
    check(world, "orders", expected[:dealt], forbid=concurrency == "Forbid")
    if catchup:
        assert world.missed("orders") == []
        assert slots_of(world.of("orders")) == sorted(slots_of(world.of("orders")))
    else:
        assert len(world.missed_slots("orders")) == outage // timedelta(minutes=15) - 1
        assert [event.reason for event in world.missed("orders")] == ["passed-over"]
    late = world.of("orders")[-1]
    assert world.now - parse_time(late.slot or "") < timedelta(minutes=31)


def test_a_new_spec_does_not_run_slots_before_its_first_pass() -> None:
    """The first pass records the start of the schedule, and the first slot is the next one after it."""
    world = World(START + timedelta(hours=12), [scheduled_spec("0 2 * * *")])
    world.every(600, START + 2 * DAY)
    assert slots_of(world.of("orders")) == ["2026-11-03T02:00:00Z"]
    assert world.missed("orders") == []


@pytest.mark.parametrize("seconds", [900, pytest.param(300, marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    ("schedule", "first", "expected"),
    [
        ("30 2 * * *", datetime(2026, 3, 28, tzinfo=UTC), ["28T01:30", "29T01:00", "30T00:30"]),
        ("30 2 * * *", datetime(2026, 10, 24, tzinfo=UTC), ["24T00:30", "25T00:30", "26T01:30"]),
        ("0 0 * * *", datetime(2026, 10, 24, tzinfo=UTC), ["24T22:00", "25T23:00", "26T23:00"]),
    ],
)
def test_daylight_saving_in_madrid(schedule: str, first: datetime, expected: list[str], seconds: int) -> None:
    """A slot at a fixed hour runs once a day, even if the clocks skip or repeat that hour."""
    world = World(first, [scheduled_spec(schedule, timeZone="Europe/Madrid")])
    world.every(seconds, first + 3 * DAY - timedelta(minutes=1))
    assert [(run.slot or "")[8:16] for run in world.of("orders")] == expected


@pytest.mark.parametrize("seconds", [900, pytest.param(300, marks=pytest.mark.soak)])
def test_every_half_hour_through_daylight_saving(seconds: int) -> None:
    """A schedule with a step of minutes runs every half hour, also while the clocks change."""
    first = datetime(2026, 10, 24, 20, tzinfo=UTC)
    world = World(first, [scheduled_spec("*/30 * * * *", timeZone="Europe/Madrid")])
    world.every(seconds, first + DAY)
    slots = [parse_time(slot) for slot in slots_of(world.of("orders"))]
    assert {b - a for a, b in pairwise(slots)} == {timedelta(minutes=30)}
    assert len(slots) == 48


@pytest.mark.parametrize("hours", [8, pytest.param(24, marks=pytest.mark.soak)])
@pytest.mark.parametrize("catchup", [False, True])
def test_slow_runs_never_overlap_with_forbid(catchup: bool, hours: int) -> None:
    """If runs take longer than the interval of the schedule, slots are missed or wait."""
    until = START + timedelta(hours=hours)
    world = World(START, [scheduled_spec(catchup=catchup)], well(40 * 60))
    world.every(300, until)
    runs = world.of("orders")
    assert not [(a, b) for a, b in pairwise(runs) if a.overlaps(b)]
    dealt = sorted([*slots_of(runs), *world.missed_slots("orders")])
    assert dealt == due("*/15 * * * *", "UTC", START, until)[: len(dealt)]
    assert len(runs) == hours * 60 // 40


def test_slow_runs_overlap_with_allow() -> None:
    """With Allow, each slot runs at its time."""
    world = World(START, [scheduled_spec(concurrencyPolicy="Allow")], well(40 * 60))
    world.every(300, START + DAY)
    check(world, "orders", due("*/15 * * * *", "UTC", START, START + DAY), forbid=False)


@pytest.mark.parametrize("hours", [8, pytest.param(24, marks=pytest.mark.soak)])
def test_replace_never_runs_two(hours: int) -> None:
    """With Replace, a new slot cancels the run of the previous slot, and runs after that run has ended."""
    world = World(START, [scheduled_spec("0 * * * *", concurrencyPolicy="Replace")], well(90 * 60))
    until = START + timedelta(hours=hours)
    world.every(60, until)
    runs = world.of("orders")
    assert not [(a, b) for a, b in pairwise(runs) if a.overlaps(b)]
    assert slots_of(runs) == due("0 * * * *", "UTC", START, until - timedelta(minutes=1))
    assert all(run.cancelled for run in runs[:-1])
    asked = [event.token for event in world.events if isinstance(event, CancelAsked)]
    assert len(asked) == len(set(asked))


def test_late_slots_are_missed_once() -> None:
    """A slot that is later than startingDeadlineSeconds never runs; retries have no deadline."""
    policy: dict[str, Any] = {
        "startingDeadlineSeconds": 3600,
        "catchup": True,
        "backoffLimit": 1,
        "backoffSeconds": 3600,
    }
    fate = lambda action, _now: (60, "failed" if action.attempt == 1 else "succeeded")  # noqa: E731
    world = World(START, [scheduled_spec("0 * * * *", **policy)], fate)
    world.every(300, START + timedelta(hours=6))
    world.now = START + timedelta(hours=18, minutes=3)
    world.every(300, START + DAY)
    check(world, "orders", due("0 * * * *", "UTC", START, START + DAY - timedelta(minutes=1)))
    assert {event.reason for event in world.missed("orders")} == {"deadline"}
    assert world.missed_slots("orders") == due(
        "0 * * * *", "UTC", START + timedelta(hours=6), START + timedelta(hours=17)
    )
    assert {run.attempt for run in world.of("orders")} == {1, 2}


def test_a_schedule_of_every_minute_after_a_year_away() -> None:
    """One event records half a million missed slots, and the newest slot runs."""
    world = World(START, [scheduled_spec("* * * * *", timeZone="Europe/Madrid")])
    world.every(60, START + timedelta(minutes=5))
    world.now = START + 365 * DAY
    before = len(world.events)
    world.every(60, world.now + timedelta(minutes=5))
    (missed,) = world.missed("orders")
    assert (missed.count, missed.slots) == (None, None)
    assert len(world.of("orders")) == 5 + 6
    assert len(world.events) - before < 40


def test_a_changed_schedule_starts_again() -> None:
    """Slots of the new schedule before the change do not run; pending slots of the old one are recorded as missed."""
    world = World(START, [scheduled_spec("0 * * * *", concurrencyPolicy="Forbid")], well(3 * 3600))
    world.every(300, START + timedelta(hours=2, minutes=30))
    world.specs = [scheduled_spec("*/10 * * * *")]
    world.reconcile()
    assert [(event.reason, event.slots) for event in world.missed("orders")] == [
        ("rescheduled", ("2026-11-02T02:00:00Z",))
    ]
    world.every(60, START + timedelta(hours=5))
    assert all(parse_time(slot) > START + timedelta(hours=2, minutes=30) for slot in slots_of(world.of("orders"))[1:])


@pytest.mark.parametrize("level", ["spec", "project"])
def test_a_suspension_runs_nothing_and_catches_up_nothing(level: str) -> None:
    """After a suspension, the schedule starts again, and the slots during it are recorded as missed."""
    running = scheduled_spec("0 * * * *", catchup=True)
    world = World(START, [running])
    world.every(300, START + timedelta(hours=3, minutes=30))
    world.specs = [scheduled_spec("0 * * * *", catchup=True, suspend=level == "spec")]
    world.extra = {"suspension": Suspension()} if level == "project" else {}
    world.every(300, START + timedelta(hours=8, minutes=30))
    assert len(world.of("orders")) == 3
    assert world.last is not None
    assert [(a.action, a.reason) for a in world.last.actions] == [(ActionType.WAIT, Reason.SUSPENDED)]
    world.specs, world.extra = [running], {}
    world.every(300, START + timedelta(hours=10, minutes=30))
    check(world, "orders", due("0 * * * *", "UTC", START, START + timedelta(hours=10, minutes=30)))
    assert {event.reason for event in world.missed("orders")} == {"suspended"}


def test_a_spec_that_was_removed_and_added_does_not_catch_up() -> None:
    """After a spec is removed and added again, its schedule starts again."""
    running = scheduled_spec("0 * * * *", catchup=True)
    other = spec("A", "other")
    world = World(START, [running, other])
    world.every(300, START + timedelta(hours=3, minutes=30))
    world.specs = [other]
    world.every(300, START + timedelta(hours=8, minutes=30))
    world.specs = [running, other]
    world.every(300, START + timedelta(hours=10, minutes=30))
    hours = [parse_time(slot).hour for slot in slots_of(world.of("orders"))]
    assert hours == [1, 2, 3, 9, 10]


def last_action(world: World, name: str) -> tuple[ActionType, Reason]:
    """Returns the newest action of a spec in the last plan."""
    assert world.last is not None
    action = [a for a in world.last.actions if a.name == name][-1]
    return action.action, action.reason


def test_failing_runs_back_off_to_a_hold_and_later_slots_run() -> None:
    """The pause between the attempts of a slot doubles; after the last attempt, the spec is on hold until the next
    slot."""
    failing = {"2026-11-02T02:00:00Z"}
    fate = lambda action, _now: (30, "failed" if action.slot in failing else "succeeded")  # noqa: E731
    world = World(START, [scheduled_spec("0 2 * * *", backoffLimit=3, backoffSeconds=600)], fate)
    world.every(60, START + timedelta(hours=5))
    world.every(900, START + timedelta(hours=20))
    attempts = world.of("orders")
    assert [run.attempt for run in attempts] == [1, 2, 3, 4]
    gaps = [later.started - earlier.ends for earlier, later in pairwise(attempts)]  # type: ignore[operator]
    assert [int(gap.total_seconds()) // 60 for gap in gaps] == [10, 20, 40]
    assert last_action(world, "orders") == (ActionType.HOLD, Reason.RETRIES_EXHAUSTED)
    assert len({run.token for run in attempts}) == 4
    world.every(900, START + timedelta(hours=25))
    world.every(60, START + timedelta(hours=27))
    assert slots_of(world.of("orders"))[4:] == ["2026-11-03T02:00:00Z"]
    assert last_action(world, "orders") == (ActionType.NONE, Reason.IN_SYNC)


@pytest.mark.parametrize("concurrency", ["Forbid", "Allow", "Replace"])
@pytest.mark.parametrize("catchup", [False, True])
@pytest.mark.parametrize("hours", [2, pytest.param(5, marks=pytest.mark.soak)])
def test_a_spec_that_always_fails_never_starves_new_slots(concurrency: str, catchup: bool, hours: int) -> None:
    """Every slot is attempted, and the number of attempts stays within the limit."""
    policy: dict[str, Any] = {
        "backoffLimit": 2,
        "backoffSeconds": 60,
        "concurrencyPolicy": concurrency,
        "catchup": catchup,
    }
    world = World(START, [scheduled_spec("*/15 * * * *", **policy)], lambda _action, _now: (100, "failed"))
    world.every(60, START + timedelta(hours=hours))
    check(world, "orders", due("*/15 * * * *", "UTC", START, world.now), forbid=concurrency != "Allow")
    assert max(run.attempt for run in world.of("orders")) == 3
    assert world.missed("orders") == []


def test_a_refused_submit_is_sent_again_until_the_next_slot() -> None:
    """A slot whose submission AWS refuses is sent again as the same submission, and is missed once the next slot is
    due."""
    refused = lambda _action, now: now.hour == 3 or (now.hour == 5 and now.minute < 30)  # noqa: E731
    world = World(START, [scheduled_spec("0 * * * *")], refuse=refused)
    world.every(300, START + timedelta(hours=6, minutes=30))
    check(world, "orders", due("0 * * * *", "UTC", START, START + timedelta(hours=6, minutes=30)))
    assert world.missed_slots("orders") == ["2026-11-02T03:00:00Z"]
    five = next(run for run in world.of("orders") if run.slot == "2026-11-02T05:00:00Z")
    assert (five.attempt, five.started.minute) == (1, 30)
    assert max(event.send for event in world.events if isinstance(event, Intended) and event.key.slot == five.slot) == 7
