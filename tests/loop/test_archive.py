"""Compares a state that archives ended submissions with one that keeps all of them: every plan and notification is the
same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from reconciler.core import durations, retention
from reconciler.core import events as e
from reconciler.core.archive import where_of
from reconciler.core.cron import slots_between
from reconciler.core.decide import plan
from reconciler.core.decide_scheduled import archived_slots
from reconciler.core.desired import Desired
from reconciler.core.fold import fold
from reconciler.core.notifications import new_notifications
from reconciler.core.plan import Action
from reconciler.core.state import Recorded, SpecRecord, Submission
from reconciler.core.times import time_text
from tests.builders import spec
from tests.campaigns import examples
from tests.loop.world import World

START = datetime(2026, 10, 24, 20, tzinfo=UTC)  # daylight saving ends in the night
MINUTE = timedelta(minutes=1)


@contextmanager
def usual_of_the_last(runs: int) -> Iterator[None]:
    """Limits the number of runs that determine the usual durations of a spec."""
    before, durations.LAST_RUNS = durations.LAST_RUNS, runs
    try:
        yield
    finally:
        durations.LAST_RUNS = before


def test_enough_runs_are_kept():
    """The state keeps at least the runs that determine the usual durations of a spec."""
    assert retention.ENDED_RUNS >= durations.LAST_RUNS


@contextmanager
def keeping(ended: int, slack: int) -> Iterator[None]:
    """Changes the number of ended submissions that the state keeps."""
    before = retention.ENDED_RUNS, retention.SLACK
    retention.ENDED_RUNS, retention.SLACK = ended, slack
    try:
        yield
    finally:
        retention.ENDED_RUNS, retention.SLACK = before


@dataclass
class Whole:
    """Implements `archive.Recall` by reading archived submissions from a state that keeps all of them."""

    recorded: Recorded
    recalls: int = 0

    def of_group(self, recorded: Recorded, record: SpecRecord, where: str) -> Sequence[Submission]:
        """Returns copies of those attempts of a slot or generation that the other state has archived."""
        self.recalls += 1
        attempts = self.recorded.spec(record.name).submissions
        return deepcopy([s for s in attempts if where_of(s.key) == where and s.token not in recorded.by_token])

    def whole(self, event: e.Event, *, request: bool = True) -> e.Event:
        """Returns the event unchanged, because this world stores no differences."""
        return event

    def of_token(self, recorded: Recorded, token: str) -> Sequence[Submission]:
        """Returns copies of the attempts of the slot or generation that a token belongs to."""
        submission = self.recorded.by_token.get(token)
        if submission is None:
            return ()
        return self.of_group(recorded, self.recorded.spec(submission.name), where_of(submission.key))


@dataclass
class ComparingWorld(World):
    """A world that plans from a state with an archive, and compares each plan with the plan from the complete state."""

    whole: Recorded = field(default_factory=Recorded)
    recall: Whole = field(default_factory=lambda: Whole(Recorded()))
    most: int = 0

    def write(self, *events: e.Event) -> None:
        """Appends one batch of events to both states."""
        self.recall.recorded = self.whole
        with keeping(2, 1):
            fold(self.recorded, self.recorded.position + 1, events, self.recall)
        with keeping(10**9, 0):
            fold(self.whole, self.whole.position + 1, events)
        self.events += events
        self.most = max(self.most, *(len(record.submissions) for record in self.recorded.specs.values()), 0)

    def wanted(self) -> Desired:
        """Returns the desired state, after comparing the plans and notifications from both states."""
        wanted = super().wanted()
        self.recorded.forget_findings()
        for name, slots in archived_slots(wanted, self.recorded, self.now).items():
            attempts = {
                slot: list(self.recall.of_group(self.recorded, self.recorded.spec(name), slot)) for slot in slots
            }
            self.recorded.recalled.setdefault(name, {}).update(attempts)
        small, large = (plan(wanted, each, self.now) for each in (self.recorded, self.whole))
        assert small == large
        news = [new_notifications(made, each, self.now) for made, each in ((small, self.recorded), (large, self.whole))]
        assert news[0] == news[1]
        assert self.recorded.number == len(self.whole.by_token)
        return wanted

    def submit(self, action: Action) -> None:
        """Submits, unless an earlier action of the same plan already has, because a retry and a backfill may request
        the same attempt."""
        if action.send > 1 or action.client_token not in self.whole.by_token:
            super().submit(action)

    def tell(self) -> None:
        """Records the notifications for the last plan, as a pass does at its end."""
        assert self.last is not None
        for each in new_notifications(self.last, self.whole, self.now):
            self.write(e.Notified(at=time_text(self.now), name=each.name, key=each.key, kinds=tuple(each.kinds)))


POLICIES = st.fixed_dictionaries(
    {
        "schedule": st.sampled_from(["*/15 * * * *", "*/10 * * * *", "7,38 * * * *"]),
        "timeZone": st.sampled_from(["UTC", "Europe/Madrid"]),
        "concurrencyPolicy": st.sampled_from(["Forbid", "Allow", "Replace"]),
        "catchup": st.booleans(),
        "startingDeadlineSeconds": st.sampled_from([None, 7200]),
        "backoffLimit": st.integers(0, 2),
        "backoffSeconds": st.sampled_from([0, 1800]),
    }
)
RUNS = st.lists(
    st.tuples(st.sampled_from([30, 600, 2000]), st.sampled_from(["succeeded", "succeeded", "failed", "cancelled"])),
    min_size=1, max_size=9,
)  # fmt: skip
DECISIONS = st.lists(
    st.tuples(st.integers(50, 130), st.sampled_from(["backfill", "retry", "late", "again", "policy"]), st.integers(0)),
    max_size=8,
)


def decide(world: ComparingWorld, what: str, number: int, policies: Sequence[Mapping[str, Any]]) -> None:
    """Records an event about an old slot, as an operator or an interrupted pass would."""
    at, old = time_text(world.now), sorted(world.whole.by_token.values(), key=lambda s: s.positions[0])
    one = old[number % len(old)]
    match what:
        case "backfill":
            slots = slots_between(policies[0]["schedule"], policies[0]["timeZone"], START, world.now, 10_000)
            chosen = slots[number % len(slots) :][:3]
            world.write(e.BackfillAsked(at=at, name="orders", slots=tuple(chosen), actor="tests"))
        case "retry" if not one.live and not one.unresolved:
            world.write(e.RetryAsked(at=at, name=one.name, token=one.token, actor="tests"))
        case "late" if one.run_id is not None:
            seen: dict[str, Any] = {"run_id": one.run_id, "state": "succeeded", "aws_state": "SUCCEEDED"}
            world.write(e.Observed(at=at, name=one.name, token=one.token, **seen))
        case "again":
            world.write(e.Submitted(at=at, name=one.name, token=one.token, send=1, run_id=f"other-{number}"))
        case "policy":
            changed = dict(policies[0]) | {"concurrencyPolicy": "Allow", "catchup": True}
            world.specs[0] = spec("A", "orders", policy=changed)
        case _:
            pass


@settings(max_examples=examples(1, soak=50), phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(first=POLICIES, second=POLICIES, runs=RUNS, decisions=DECISIONS, away=st.sampled_from([0, 0, 45, 600]))
def test_plans_are_the_same_with_an_archive(
    first: dict[str, Any], second: dict[str, Any], runs: list[Any], decisions: list[Any], away: int
) -> None:
    """Over several days of two specs, one of which depends on the other, the archive changes no plan and no
    notification, whatever operators and late passes record about old slots, and no submission is intended twice."""
    dependent = {**second, "dependsOn": [{"name": "orders", "condition": "Completed"}]}
    specs = [spec("A", "orders", policy=first), spec("A", "views", policy=dependent)]
    world = ComparingWorld(START, specs, lambda _a, _n: runs[len(world.runs) % len(runs)])
    todo: dict[int, list[tuple[str, int]]] = {}
    for step, what, number in decisions:
        todo.setdefault(step, []).append((what, number))
    with usual_of_the_last(2):
        for step in range(140):
            world.reconcile()
            world.tell()
            for what, number in todo.get(step, []):
                decide(world, what, number, [first, second])
            world.now += MINUTE * (away if step == 60 and away else 17)
    assert len({(run.name, run.slot, run.attempt) for run in world.runs}) == len(world.runs)
