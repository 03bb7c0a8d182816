"""Checks invariants of schedules and one-offs under random policies, runs, outages and refusals."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.cron import slots_between
from reconciler.core.events import CancelAsked
from reconciler.core.plan import ActionType
from reconciler.model.project import Limits
from tests.builders import spec
from tests.campaigns import examples
from tests.loop.world import World

START = datetime(2026, 10, 24, 20, tzinfo=UTC)  # daylight saving time ends during the night
MINUTE = timedelta(minutes=1)

POLICIES = st.fixed_dictionaries(
    {
        "schedule": st.sampled_from(["*/15 * * * *", "0 * * * *", "30 2 * * *", "7,38 * * * *"]),
        "timeZone": st.sampled_from(["UTC", "Europe/Madrid"]),
        "concurrencyPolicy": st.sampled_from(["Forbid", "Allow", "Replace"]),
        "catchup": st.booleans(),
        "startingDeadlineSeconds": st.sampled_from([None, 0, 1200, 7200]),
        "backoffLimit": st.integers(0, 2),
        "backoffSeconds": st.sampled_from([0, 60, 1800]),
    }
)
RUNS = st.lists(
    st.tuples(st.sampled_from([0, 30, 600, 2000, 5000]), st.sampled_from(["succeeded", "failed", "cancelled"])),
    min_size=1, max_size=6,
)  # fmt: skip
OUTAGES = st.lists(st.tuples(st.integers(0, 60), st.sampled_from([40, 200, 700])), max_size=2)
REFUSALS = st.sets(st.integers(0, 24), max_size=4)


@settings(max_examples=examples(8))
@given(policy=POLICIES, runs=RUNS, outages=OUTAGES, refusals=REFUSALS, limit=st.sampled_from([None, None, 1]))
def test_no_slot_twice_and_none_dropped(
    policy: dict[str, Any], runs: list[Any], outages: list[Any], refusals: set[int], limit: int | None
) -> None:
    """Within fourteen hours, every slot of a spec runs, is missed, or still waits, and attempts do not exceed the
    limit.

    With Forbid and Replace, two runs are never live at once, and cancelled runs are never retried.
    """
    world = World(START, [spec("A", policy=policy)], lambda _a, _n: runs[len(world.runs) % len(runs)])
    world.refuse = lambda _action, _now: len(world.events) % 25 in refusals
    world.extra = {"limits": Limits(maxSubmissions=limit)}
    away = dict(outages)
    for step in range(110):
        world.reconcile()
        world.now += MINUTE * away.get(step, 7)
    end = world.now - MINUTE * away.get(109, 7)
    ran = Counter((run.slot, run.attempt) for run in world.runs)
    assert set(ran.values()) <= {1}, "a submission that ran twice"
    first = [run.slot or "" for run in world.runs if run.attempt == 1]
    missed = world.missed_slots("orders")
    assert not set(first) & set(missed), "a slot that ran and is missed"
    assert len(missed) == len(set(missed)), "missed twice"
    expected = slots_between(policy["schedule"], policy["timeZone"], START + timedelta(seconds=1), end, 10_000)
    left = [slot for slot in expected if slot not in {*first, *missed}]
    assert set(first) | set(missed) <= set(expected)
    waits = [a for a in (world.last.actions if world.last else ()) if a.action is not ActionType.NONE]
    assert not left or waits, "dropped silently"
    assert policy["catchup"] or len(left) <= 1
    assert max((run.attempt for run in world.runs), default=0) <= policy["backoffLimit"] + 1
    if policy["concurrencyPolicy"] != "Allow":
        assert not [(a, b) for a in world.runs for b in world.runs if a is not b and a.overlaps(b)], "two at once"
    _check_cancellations(world)


def _check_cancellations(world: World) -> None:
    asked = [event.token for event in world.events if isinstance(event, CancelAsked)]
    assert len(asked) == len(set(asked)), "cancelled twice"
    for run in world.runs:
        later = [other for other in world.runs if other.slot == run.slot and other.attempt > run.attempt]
        if later and run.ends is not None:
            assert run.end == "failed", "attempted again though it did not fail"
            assert not run.cancelled, "attempted again though we cancelled it"


CHANGES = st.lists(st.tuples(st.integers(1, 12), st.sampled_from("ABC")), max_size=8)


@settings(max_examples=examples(15))
@given(
    changes=CHANGES,
    runs=RUNS,
    concurrency=st.sampled_from(["Forbid", "Allow", "Replace"]),
    restart=st.sampled_from(["OnFailure", "Always"]),
    limit=st.integers(0, 2),
)
def test_changes_of_a_one_off(changes: list[Any], runs: list[Any], concurrency: str, restart: str, limit: int) -> None:
    """After any sequence of changes, each generation was submitted once per attempt, and the last content ran.

    With Forbid and Replace, two runs are never live at once.
    """
    policy = {
        "concurrencyPolicy": concurrency, "restartPolicy": restart, "backoffLimit": limit, "backoffSeconds": 60,
    }  # fmt: skip
    world = World(START, [spec("A", policy=policy)], lambda _a, _n: runs[len(world.runs) % len(runs)])
    for passes, content in changes:
        for _ in range(passes):
            world.reconcile()
            world.now += MINUTE * 3
        world.specs = [spec(content, policy=policy)]
    for _ in range(60):
        world.reconcile()
        world.now += MINUTE * 5
    assert set(Counter((run.generation, run.attempt) for run in world.runs).values()) <= {1}
    wanted = world.specs[0].request["containerOverrides"]["command"][1]
    assert world.runs[-1].request["containerOverrides"]["command"][1] == wanted
    if concurrency != "Allow":
        assert not [(a, b) for a in world.runs for b in world.runs if a is not b and a.overlaps(b)], "two at once"
    if restart == "OnFailure":
        assert max(run.attempt for run in world.runs) <= limit + 1
    asked = [event.token for event in world.events if isinstance(event, CancelAsked)]
    assert len(asked) == len(set(asked))
