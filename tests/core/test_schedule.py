"""Tests slots: their times, which of them are due, and the decisions about them for every short history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from reconciler.core import events as e
from reconciler.core.checkout import Ancestry, Checkout
from reconciler.core.cron import before, is_slot, newest_slot, next_slot, slots_between
from reconciler.core.decide import plan
from reconciler.core.desired import Desired
from reconciler.core.due_slots import due_slots, event_of
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.state import Recorded, Sighting
from reconciler.core.unresolved import lost_runs
from reconciler.model.spec import Policy, Suspension
from tests.builders import NOW, at, desired, intended, outcome, ran, recorded, scheduled, slot_intended, spec
from tests.campaigns import in_one_test

ONE, TWO, THREE = "2026-11-22T01:00:00Z", "2026-11-22T02:00:00Z", "2026-11-22T03:00:00Z"
HOURLY: dict[str, Any] = {"schedule": "0 * * * *"}


def hourly(content: str = "A", **policy: Any) -> Any:
    """Returns a spec that is due every full hour."""
    return spec(content, policy={**HOURLY, **policy})


def said(wanted: Desired, known: Recorded, now: datetime = NOW) -> list[tuple[str, str, str | None]]:
    """Returns the action, reason and slot of each action of `orders`."""
    made = plan(wanted, known, now)
    return [(str(a.action), str(a.reason), a.slot) for a in made.actions if a.name == "orders"]


class TestTime:
    """Tests the times of slots."""

    def test_next_and_newest_slot(self) -> None:
        """A period includes its end but not its start."""
        assert next_slot("0 * * * *", "UTC", NOW) == THREE
        assert newest_slot("0 * * * *", "UTC", NOW - timedelta(hours=1), NOW) == TWO
        assert newest_slot("0 * * * *", "UTC", NOW, NOW + timedelta(minutes=59)) is None
        assert before(TWO) == "2026-11-22T01:59:59Z"

    @pytest.mark.parametrize("schedule", ["* * * * *", "0 2 * * *", "0 2 29 2 *", "30 2 * * 1"])
    def test_the_newest_slot_is_the_last_one(self, schedule: str) -> None:
        """`newest_slot` returns the last of all slots."""
        until = datetime(2028, 3, 1, tzinfo=UTC)
        after = until - timedelta(days=2)
        walked = slots_between(schedule, "Europe/Madrid", after + timedelta(seconds=1), until, 10_000)
        assert newest_slot(schedule, "Europe/Madrid", after, until) == (walked[-1] if walked else None)
        far = newest_slot("0 2 29 2 *", "UTC", datetime(2020, 1, 1, tzinfo=UTC), until)
        assert far == "2028-02-29T02:00:00Z"

    def test_slots_within_an_hour_that_occurs_twice(self) -> None:
        """A slot at 02:30 runs when this local time occurs for the first time. During its second occurrence, the next
        slot is on the next day."""
        second = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
        assert next_slot("30 2 * * *", "Europe/Madrid", second) == "2026-10-26T01:30:00Z"
        assert newest_slot("30 2 * * *", "Europe/Madrid", second, second + timedelta(hours=1)) is None

    def test_a_schedule_that_never_fires(self) -> None:
        """A schedule that never fires has no slots."""
        assert is_slot("0 * * * *", "UTC", TWO)
        assert not is_slot("0 * * * *", "UTC", "2026-11-22T02:00:01Z")
        assert not is_slot("0 2 * * *", "Europe/Madrid", TWO)

    def test_slots_between_are_limited(self) -> None:
        """The first and the last time are included."""
        assert slots_between("0 * * * *", "UTC", NOW, NOW + timedelta(hours=1), 9) == (TWO, THREE)
        assert slots_between("0 * * * *", "UTC", NOW, NOW + timedelta(hours=1), 1) == (TWO,)


class TestDue:
    """Tests which slots are due."""

    def test_nothing_without_a_schedule_in_force(self) -> None:
        """Without a schedule in force, nothing is due."""
        policy = Policy(**HOURLY)
        for event in (scheduled(schedule="5 * * * *"), scheduled(time_zone="Europe/Madrid"), scheduled(stopped="x")):
            assert due_slots(recorded(event).spec("orders"), policy, NOW).waiting == ()
        assert due_slots(recorded().spec("orders"), policy, NOW).waiting == ()
        assert due_slots(recorded(scheduled()).spec("orders"), policy, NOW).waiting == (TWO,)

    def test_a_newer_slot_that_ran_ends_the_older(self) -> None:
        """Without catch-up, a slot that is earlier than a submitted slot never runs, even if it was not recorded as
        missed."""
        intent = slot_intended(TWO)
        known = recorded(scheduled(), intent, outcome("submitted", intent))
        due = due_slots(known.spec("orders"), Policy(**HOURLY), NOW)
        assert (due.waiting, [missed.slots for missed in due.missed]) == ((), [(ONE,)])
        assert due_slots(known.spec("orders"), Policy(**HOURLY, catchup=True), NOW).waiting == (ONE,)

    def test_a_slot_that_is_late_by_exactly_the_deadline_is_due(self) -> None:
        """One second later, the slot is missed."""
        record, policy = (
            recorded(scheduled()).spec("orders"),
            Policy(**HOURLY, catchup=True, startingDeadlineSeconds=3600),
        )
        assert due_slots(record, policy, NOW).waiting == (ONE, TWO)
        assert due_slots(record, policy, NOW + timedelta(seconds=1)).waiting == (TWO,)


class TestBeginsAndStops:
    """Tests when schedules start and stop."""

    def begins(self, wanted: Desired, known: Recorded) -> list[tuple[str, str | None]]:
        """Returns the schedules that the plan starts or stops."""
        return [(begin.schedule, begin.stopped) for begin in plan(wanted, known, NOW).schedule_changes]

    def test_each_change(self) -> None:
        """The cases: the schedule is new, unchanged, changed, suspended, removed from the spec, or removed with the
        spec."""
        other, known = spec("A", "z"), recorded(scheduled())
        assert self.begins(desired(hourly()), recorded()) == [("0 * * * *", None)]
        assert self.begins(desired(hourly()), known) == []
        assert self.begins(desired(spec(policy={"schedule": "5 * * * *"})), known) == [("5 * * * *", None)]
        assert self.begins(desired(hourly(suspend=True)), known) == [("0 * * * *", "suspended")]
        assert self.begins(desired(hourly(), suspension=Suspension()), known) == [("0 * * * *", "suspended")]
        assert self.begins(desired(spec("A")), known) == [("0 * * * *", "unscheduled")]
        assert self.begins(desired(other), known) == [("0 * * * *", "removed")]
        assert self.begins(desired(), known) == []  # an empty project changes nothing
        assert self.begins(desired(hourly(suspend=True)), recorded()) == []

    def test_an_old_checkout_changes_no_schedule(self) -> None:
        """An older checkout does not change the schedule."""
        intent = slot_intended(TWO, commit="new")
        known = recorded(scheduled(), intent, outcome("submitted", intent))
        old = Checkout("old", {"new": Ancestry.NEWER})
        assert self.begins(desired(spec(policy={"schedule": "5 * * * *"}), checkout=old), known) == []
        assert self.begins(desired(hourly(), suspension=Suspension(), checkout=old), known) == []

    def test_a_schedule_change_is_recorded_once(self) -> None:
        """A change that another pass recorded is not repeated. A schedule that stops keeps its start."""
        known = recorded(scheduled())
        (begin,) = plan(desired(hourly(suspend=True)), known, NOW).schedule_changes
        event = event_of(begin, known.spec("orders"), NOW, "tests")
        assert event is not None
        assert (event.since, event.stopped) == (at(-7200), "suspended")
        assert event_of(begin, recorded(scheduled(), event).spec("orders"), NOW, "tests") is None

    def test_a_schedule_for_a_one_off_runs_nothing_until_its_next_slot(self) -> None:
        """If the schedule is removed, the spec runs only if it differs from the newest submission."""
        known = recorded(*ran("A"))
        assert said(desired(hourly("B")), known) == [("none", "in-sync", None)]
        intent = slot_intended(ONE)
        known = recorded(scheduled(), intent, outcome("submitted", intent), outcome("succeeded", intent))
        assert said(desired(spec("A")), known) == [("none", "in-sync", ONE)]
        assert [pair[:2] for pair in said(desired(spec("B")), known)] == [("submit", "spec-changed")]


class TestLost:
    """Tests runs that AWS no longer has."""

    def live(self, *unseen: float) -> tuple[Recorded, str]:
        """Returns a live run that AWS did not return at some times."""
        intent = intended()
        looks = [outcome("unseen", intent, seconds=seconds) for seconds in unseen]
        return recorded(intent, outcome("submitted", intent), *looks), intent.token

    @in_one_test(
        ("unseen", "expected"),
        [((), ["unseen"]), ((-60,), []), ((-1499,), []), ((-1500,), ["observed"]), ((-3000, -60), ["observed"])],
    )
    def test_two_empty_answers_apart_mean_lost(self, unseen: tuple[float, ...], expected: list[str]) -> None:
        """The first empty reply is recorded. Another empty reply after the settling time means that the run is lost."""
        known, token = self.live(*unseen)
        found = lost_runs(known, [token], NOW, 1500)
        assert [event.type for event in found] == expected
        if expected == ["observed"]:
            assert isinstance(found[0], e.Observed)
            assert found[0].state == "lost"

    def test_a_run_that_has_ended_is_not_lost(self) -> None:
        """AWS deletes runs some time after their end, so an ended run is not lost."""
        known = recorded(*ran("A"))
        assert lost_runs(known, list(known.by_token), NOW, 1500) == ()


# The events of one slot after its intent; `missed` and `nothing` have no intent.
STORIES: Sequence[tuple[str, ...]] = (
    ("nothing",), ("missed",), (), ("unsent",), ("rejected",), ("submitted",), ("submitted", "running"),
    ("submitted", "succeeded"), ("submitted", "failed"), ("submitted", "cancelled"), ("submitted", "lost"),
    ("submitted", "cancel-asked"), ("submitted", "cancel-asked", "cancelled"), ("submitted", "failed", "retry-asked"),
    ("superseded",),
)  # fmt: skip


WITHOUT_RUN = {"unsent", "rejected", "superseded", "retry-asked"}


def told(slot: str, story: Sequence[str]) -> Iterator[e.Event]:
    """Returns the events of one slot."""
    if story == ("nothing",):
        return
    if story == ("missed",):
        yield e.Missed(at=at(), name="orders", first=slot, last=slot, count=1, slots=(slot,), reason="deadline")
        return
    intent = slot_intended(slot, backoff_limit=1)
    yield intent
    for kind in story:
        more: dict[str, Any] = {} if kind in WITHOUT_RUN else {"run_id": slot}
        yield outcome(kind, intent, **more)


def check(action: Action, wanted: Desired, known: Recorded) -> None:
    """Checks the invariants that every action must satisfy."""
    record, wish = known.spec("orders"), wanted.specs["orders"]
    policy = wish.policy
    if action.action in {ActionType.SUBMIT, ActionType.REPLACE}:
        assert action.slot is not None
        assert policy.suspend is False
        chain = [s for s in record.submissions if s.slot == action.slot]
        assert all(s.attempt != action.attempt for s in chain) or action.send > 1, "an attempt twice"
        assert not any(s.live or s.unresolved for s in chain if s.token != action.client_token), "beside its own run"
        assert not record.is_missed(action.slot) or any(s.retry_asked_at for s in chain), "a missed slot"
        ended = [s for s in chain if s.run_state and not s.live]
        for run in ended:
            asked = run.retry_asked_at is not None
            assert asked or run.cancel_asked_at is None, "what we cancelled"
            assert asked or run.run_state == "failed", "an end that is held, or good"
        if action.action is ActionType.SUBMIT and policy.concurrencyPolicy != "Allow":
            assert not record.live, "overlap"
        if action.action is ActionType.REPLACE:
            assert policy.concurrencyPolicy == "Replace"
            assert action.reason is Reason.SLOT_DUE, "an old attempt never replaces"
    if action.action is ActionType.SKIP and action.missed:
        for missed in action.missed:
            for slot in missed.slots or ():
                assert not any(s.slot == slot and s.counts for s in record.submissions), "missed though it ran"
                assert not record.is_missed(slot), "missed twice"


def look_at_all(wishes: Sequence[Desired], minutes: Sequence[int]) -> int:
    """Plans every short history for each desired state and time, and checks every action. Returns the number of
    plans."""
    count = 0
    for first, second in product(STORIES, repeat=2):
        known = recorded(scheduled(), *told(ONE, first), *told(TWO, second))
        for submission in known.unresolved():
            Sighting(runs_by_token={submission.token: ()}).lay_over(known)
        for wanted, later in product(wishes, minutes):
            made = plan(wanted, known, NOW + timedelta(minutes=later))
            assert made.actions
            submits = [a for a in made.actions if a.action is ActionType.SUBMIT and a.send == 1]
            assert len(submits) <= 1 or all(a.beside for a in submits), "several submits that are not side by side"
            for action in made.actions:
                check(action, wanted, known)
            count += 1
    return count


def every_policy(backoffs: Sequence[int], deadlines: Sequence[int | None]) -> Iterator[dict[str, Any]]:
    """Returns every policy that affects decisions about slots."""
    for concurrency, catchup, deadline, limit in product(
        ("Forbid", "Allow", "Replace"), (False, True), deadlines, backoffs
    ):
        yield {
            "concurrencyPolicy": concurrency, "catchup": catchup, "startingDeadlineSeconds": deadline,
            "backoffLimit": limit, "backoffSeconds": 0,
        }  # fmt: skip


def test_every_short_history_of_two_slots() -> None:
    """For all states of two slots and all policies, no action breaks an invariant."""
    wishes = [desired(hourly(**policy)) for policy in every_policy([1], [None])]
    assert look_at_all([*wishes, desired(hourly("B")), desired(hourly(suspend=True))], [30]) == 1800


@pytest.mark.soak
def test_every_short_history_of_two_slots_for_every_policy() -> None:
    """No action breaks an invariant for any policy, with changed content, at three different times."""
    policies = list(every_policy([0, 1], [None, 1800]))
    wishes = [desired(hourly(content, **policy)) for content, policy in product("AB", policies)]
    assert look_at_all(wishes, [-30, 0, 59]) > 30_000


def test_a_held_slot_blocks_no_later_slot() -> None:
    """If the outcome is unknown for more than a day, or there are several runs, an operator decides about that slot.
    Later slots still run."""
    intent = slot_intended(ONE, seconds=-90_000)
    known = recorded(scheduled(seconds=-100_000), intent)
    Sighting(runs_by_token={intent.token: ()}).lay_over(known)
    assert said(desired(hourly()), known)[0] == ("hold", "unknown", ONE)
    assert ("submit", "slot-due", TWO) in said(desired(hourly()), known)
    Sighting(runs_by_token={intent.token: ("a", "b")}).lay_over(known)
    assert ("submit", "slot-due", TWO) in said(desired(hourly()), known)


def test_the_slot_is_in_the_request_and_not_in_the_digest() -> None:
    """When a slot is planned, `${run.slot}` is rendered in the spec's time zone, also in the location of the run."""
    day = "${run.slot:%Y-%m-%d %H}"
    asked = {**spec().request, "jobName": "orders-${run.slot:%H}", "parameters": {"day": day, "slot": "${run.slot}"}}
    wanted = spec(policy={**HOURLY, "timeZone": "Asia/Tokyo"}, request=asked)
    known = recorded(scheduled(time_zone="Asia/Tokyo"))
    action = plan(desired(wanted), known, NOW).actions[-1]
    assert action.request is not None
    assert action.request["parameters"] == {"day": "2026-11-22 11", "slot": TWO}
    assert (action.content.location["jobName"], action.digest, action.template) == ("orders-11", wanted.digest, asked)
