"""Simulates days in which specs are renamed: nothing runs twice, and no slot is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.core import events as e
from reconciler.core.desired import DesiredSpec, RenamedFrom
from reconciler.core.plan import ActionType, ChangeType, Effect, Reason
from reconciler.core.times import seconds_text, time_text
from reconciler.model.spec import Dependency
from tests.builders import spec
from tests.campaigns import pairs
from tests.loop.world import RunEnd, World, minutes, slots_of, well

START = datetime(2026, 11, 2, 0, 30, tzinfo=UTC)
HOURLY = {"schedule": "0 * * * *"}


def world(*specs: DesiredSpec, run_end: RunEnd | None = None) -> World:
    """Returns a target with these specs, at half past midnight."""
    return World(START, list(specs), run_end or well())


def renamed(one: DesiredSpec, old: str) -> DesiredSpec:
    """Returns the spec with its former name."""
    return replace(one, renamed_from=RenamedFrom(old, f"{one.name}.yaml:4:16"))


def hours(first: int, last: int) -> list[str]:
    """Returns the full hours of a day from one to another, inclusive."""
    return [seconds_text(START.replace(hour=hour, minute=0)) for hour in range(first, last + 1)]


def names_of(where: World) -> list[str]:
    """Returns the names under which runs were submitted, oldest first."""
    return [run.name for run in where.runs]


class TestOneOffs:
    """Tests specs that run once for each generation."""

    @pytest.mark.parametrize("seconds", [60, None])
    def test_a_renamed_spec_does_not_run_again(self, seconds: float | None) -> None:
        """The renamed spec does not run again, whether its run has ended or is live. The plan shows what happens to the
        ledger record."""
        where = world(spec(name="old"), run_end=lambda _action, _now: (seconds, "succeeded"))
        minutes(where, 5)
        where.specs = [renamed(spec(name="new"), "old")]
        made = where.reconcile()
        [change] = made.changes
        assert (change.change, change.renamed_from) == (ChangeType.RENAMED, "old")
        assert change.effect is (Effect.NO_RUN if seconds else Effect.RUN_GOES_ON)
        assert change.message.startswith("takes over the record of old; ")
        assert {action.name for action in made.actions} == {"new"}
        minutes(where, 60)
        assert names_of(where) == ["old"]
        assert list(where.recorded.specs) == ["new"]

    def test_changed_content_runs_as_the_next_generation(self) -> None:
        """The run gets the generation that follows the last one of the former name."""
        where = world(spec("A", "old"))
        minutes(where, 5)
        where.specs = [renamed(spec("B", "new"), "old")]
        [change] = where.reconcile().changes
        assert (change.change, change.effect) == (ChangeType.RENAMED, Effect.RUNS_NOW)
        minutes(where, 5)
        assert [(run.name, run.generation) for run in where.runs] == [("old", 1), ("new", 2)]

    def test_attempts_go_on_under_the_new_name(self) -> None:
        """The attempts and the pause before the next one continue from the values of the former name."""
        policy = {"backoffLimit": 2, "backoffSeconds": 600}
        where = world(spec(name="old", policy=policy), run_end=lambda _action, _now: (60, "failed"))
        minutes(where, 3)
        where.specs = [renamed(spec(name="new", policy=policy), "old")]
        minutes(where, 120)
        assert [(run.name, run.attempt) for run in where.runs] == [("old", 1), ("new", 2), ("new", 3)]
        assert where.last is not None
        assert [(a.name, a.reason) for a in where.last.actions] == [("new", Reason.RETRIES_EXHAUSTED)]

    def test_a_live_run_is_waited_for(self) -> None:
        """With Forbid, changed content under the new name waits for the run of the former name."""
        where = world(spec("A", "old"), run_end=well(3600))
        minutes(where, 5)
        where.specs = [renamed(spec("B", "new"), "old")]
        [change] = where.reconcile().changes
        assert (change.effect, change.message) == (
            Effect.WAITS,
            "takes over the record of old; waits for run run-1 (Forbid)",
        )
        minutes(where, 90)
        assert names_of(where) == ["old", "new"]
        assert not where.runs[0].overlaps(where.runs[1])

    def test_a_stream_is_replaced_by_its_new_content_only(self) -> None:
        """A rename alone does not replace the live run of a streaming job. A later change replaces that run."""
        policy = {"concurrencyPolicy": "Replace", "restartPolicy": "Always"}
        where = world(spec("A", "old", policy=policy), run_end=lambda _action, _now: (None, ""))
        minutes(where, 5)
        where.specs = [renamed(spec("A", "new", policy=policy), "old")]
        minutes(where, 30)
        assert names_of(where) == ["old"]
        where.specs = [renamed(spec("B", "new", policy=policy), "old")]
        minutes(where, 5)
        assert [(run.name, run.cancelled) for run in where.runs] == [("old", True), ("new", False)]

    def test_dependants_see_the_runs_of_the_former_name(self) -> None:
        """A spec that depends on the new name runs after that run has ended."""
        where = world(spec(name="old"), run_end=well(1200))
        minutes(where, 5)
        needs = {"dependsOn": (Dependency(name="new", condition="Succeeded"),)}
        where.specs = [renamed(spec(name="new"), "old"), spec(name="reader", policy=needs)]
        minutes(where, 5)
        assert names_of(where) == ["old"]
        minutes(where, 20)
        assert names_of(where) == ["old", "reader"]

    def test_the_run_of_a_spec_that_left_git_is_not_cancelled_by_a_later_rename(self) -> None:
        """`deletionPolicy: Cancel` applies to a removed spec, not to a renamed one."""
        policy = {"deletionPolicy": "Cancel"}
        where = world(spec(name="old", policy=policy), spec(name="other"), run_end=well(7200))
        minutes(where, 5)
        where.specs = [renamed(spec(name="new", policy=policy), "old"), spec(name="other")]
        minutes(where, 30)
        assert [run.cancelled for run in where.runs if run.name == "old"] == [False]
        where.specs = [spec(name="other")]
        minutes(where, 5)
        assert [run.cancelled for run in where.runs if run.name == "old"] == [True]


class TestChains:
    """Tests several renames in a row, and reused names."""

    def test_each_rename_of_a_chain_takes_over(self) -> None:
        """The spec is renamed from a to b to c and back to a, while `renamedFrom` remains in the files."""
        where = world(spec(name="a"))
        minutes(where, 5)
        for new, old in (("b", "a"), ("c", "b"), ("a", "c")):
            where.specs = [renamed(spec(name=new), old)]
            minutes(where, 5)
            assert list(where.recorded.specs) == [new]
        where.specs = [renamed(spec("B", "a"), "c")]
        minutes(where, 5)
        assert [(run.name, run.generation) for run in where.runs] == [("a", 1), ("a", 2)]

    def test_the_oldest_name_finds_the_record_after_several_renames(self) -> None:
        """The same file works for a target that missed the rename to b and for one that did not."""
        where = world(spec(name="a"))
        minutes(where, 5)
        where.specs = [renamed(spec(name="b"), "a")]
        minutes(where, 5)
        where.specs = [renamed(spec(name="c"), "a")]
        minutes(where, 5)
        assert names_of(where) == ["a"]
        assert list(where.recorded.specs) == ["c"]

    def test_a_new_spec_with_a_former_name_runs_under_tokens_of_its_own(self) -> None:
        """Even with the same content, the token differs, because it depends on the name and the generation, and
        generations continue."""
        where = world(spec(name="old"))
        minutes(where, 5)
        where.specs = [renamed(spec(name="new"), "old")]
        minutes(where, 5)
        where.specs = [spec(name="new"), spec(name="old")]
        minutes(where, 5)
        assert [(run.name, run.generation) for run in where.runs] == [("old", 1), ("old", 2)]
        assert len({run.token for run in where.runs}) == 2

    def test_what_stays_in_the_file_does_not_take_over_a_second_time(self) -> None:
        """A later spec that reused the former name and was removed again counts as another spec."""
        where = world(spec(name="old"))
        minutes(where, 5)
        where.specs = [renamed(spec(name="new"), "old")]
        minutes(where, 5)
        where.specs = [spec(name="new"), spec("B", "old")]
        minutes(where, 5)
        where.specs = [renamed(spec(name="new"), "old")]
        made = where.reconcile()
        assert [(a.name, a.reason) for a in made.actions] == [("new", Reason.IN_SYNC), ("old", Reason.RETIRED)]

    def test_backfilled_slots_of_a_reused_name_are_other_submissions(self) -> None:
        """An earlier spec with this name ran the same slot with the same content."""
        where = world(spec(name="old", policy=HOURLY))
        minutes(where, 60)
        where.specs = [renamed(spec(name="new", policy=HOURLY), "old")]
        minutes(where, 5)
        where.specs = [spec(name="new", policy=HOURLY), spec(name="old", policy=HOURLY)]
        minutes(where, 5)
        [slot] = hours(1, 1)
        where.write(e.BackfillAsked(at=time_text(where.now), name="old", slots=(slot,), actor="tests"))
        minutes(where, 5)
        assert [(run.name, run.slot, run.attempt) for run in where.runs] == [("old", slot, 1), ("old", slot, 2)]


class TestSchedules:
    """Tests specs that run for each slot."""

    @pytest.mark.parametrize(
        ("at", "policy"),
        pairs([0, 1, 29, 30, 31, 59], [{}, {"concurrencyPolicy": "Allow"}, {"catchup": True}]),
    )
    def test_no_slot_is_lost_and_none_runs_twice(self, policy: dict[str, Any], at: int) -> None:
        """This is tested with renames before, at and after a slot, and with passes at any time."""
        where = world(spec(name="old", policy={**HOURLY, **policy}))
        minutes(where, 60 + at)
        where.now += timedelta(minutes=25)
        where.specs = [renamed(spec(name="new", policy={**HOURLY, **policy}), "old")]
        minutes(where, 150)
        slots = slots_of(where.runs)
        assert len(slots) == len(set(slots))
        assert slots == hours(1, 1 + len(slots) - 1)
        assert where.missed_slots("old") == where.missed_slots("new") == []

    def test_the_slot_that_is_due_at_the_rename_runs_under_the_new_name(self) -> None:
        """The slot runs in the first pass that reads the new name."""
        where = world(spec(name="old", policy=HOURLY))
        minutes(where, 10)
        where.now = START.replace(hour=1, minute=5)
        where.specs = [renamed(spec(name="new", policy=HOURLY), "old")]
        [change] = where.reconcile().changes
        assert (change.effect, change.effect_at) == (Effect.NEXT_SLOT, hours(1, 1)[0])
        assert [(run.name, run.slot) for run in where.runs] == [("new", hours(1, 1)[0])]

    def test_a_suspended_spec_stays_suspended(self) -> None:
        """Slots during the suspension are recorded as missed when it ends, as without a rename."""
        where = world(spec(name="old", policy=HOURLY))
        minutes(where, 10)
        where.specs = [spec(name="old", policy={**HOURLY, "suspend": True})]
        minutes(where, 100)
        where.specs = [renamed(spec(name="new", policy={**HOURLY, "suspend": True}), "old")]
        minutes(where, 10)
        where.specs = [renamed(spec(name="new", policy=HOURLY), "old")]
        minutes(where, 90)
        assert slots_of(where.runs) == hours(3, 4)[: len(where.runs)]
        assert where.missed("new")[0].reason == "suspended"

    def test_without_the_former_name_a_lost_slot_is_recorded_as_missed(self) -> None:
        """The old spec was removed before its due slot ran, and the new schedule starts after that slot."""
        where = world(spec(name="old", policy=HOURLY))
        minutes(where, 10)
        where.now = START.replace(hour=1, minute=5)
        where.specs = [spec(name="new", policy=HOURLY)]
        removed = next(change for change in where.reconcile().changes if change.name == "old")
        assert f"slot {hours(1, 1)[0]} never runs: the spec was removed before the slot ran" in removed.message
        assert where.missed_slots("old") == hours(1, 1)
        assert where.missed("old")[0].reason == "removed"
        minutes(where, 60)
        assert [(run.name, run.slot) for run in where.runs] == [("new", hours(2, 2)[0])]
        assert len(where.missed("old")) == 1

    def test_the_hint_names_the_field_for_a_scheduled_spec(self) -> None:
        """The hint appears for a new scheduled spec that has the content of a removed one."""
        where = world(spec(name="old", policy=HOURLY))
        minutes(where, 60)
        where.specs = [spec(name="new", policy=HOURLY)]
        [warning] = where.reconcile().warnings
        assert "If it was renamed, add `renamedFrom: old`" in warning
        assert "adopt" not in warning


class TestConflicts:
    """Tests renames that are not possible."""

    def test_a_new_name_with_submissions_of_its_own_is_held(self) -> None:
        """Neither name runs, and no run is cancelled, until `renamedFrom` is removed."""
        policy = {"deletionPolicy": "Cancel"}
        where = world(spec(name="old", policy=policy), run_end=well(36000))
        minutes(where, 5)
        where.specs = [spec(name="new"), spec(name="old", policy=policy)]
        minutes(where, 5)
        where.specs = [renamed(spec("B", "new"), "old")]
        minutes(where, 5)
        assert where.last is not None
        assert [(a.name, a.action, a.reason) for a in where.last.actions] == [
            ("new", ActionType.HOLD, Reason.RENAME_CONFLICT),
            ("old", ActionType.HOLD, Reason.RENAME_CONFLICT),
        ]
        assert "Remove renamedFrom at new.yaml:4:16" in where.last.actions[0].message
        assert len(where.runs) == 2
        where.specs = [spec("B", "new")]
        minutes(where, 5)
        assert [run.cancelled for run in where.runs if run.name == "old"] == [True]

    def test_a_new_name_that_has_only_a_schedule_takes_over(self) -> None:
        """`renamedFrom` was forgotten at first, and was added before the first slot of the new name."""
        where = world(spec(name="old", policy=HOURLY))
        minutes(where, 60)
        where.specs = [spec(name="new", policy=HOURLY)]
        minutes(where, 5)
        where.specs = [renamed(spec(name="new", policy=HOURLY), "old")]
        minutes(where, 60)
        assert slots_of(where.runs) == hours(1, 2)
        assert list(where.recorded.specs) == ["new"]

    def test_an_unknown_former_name_is_noted_at_its_location(self) -> None:
        """The spec runs as a new spec, and the note then disappears."""
        where = world(spec(name="orders"))
        minutes(where, 5)
        where.specs = [spec(name="orders"), renamed(spec(name="new"), "oders")]
        [note] = where.reconcile().warnings
        assert note == (
            "new.yaml:4:16: renamedFrom: the ledger has no record of oders, so new is a new spec. Did you mean orders?"
        )
        assert where.reconcile().warnings == ()

    def test_a_record_is_taken_over_by_one_spec_only(self) -> None:
        """Two specs refer to the same record through different former names."""
        where = world(spec(name="a"))
        minutes(where, 5)
        where.specs = [renamed(spec(name="b"), "a")]
        minutes(where, 5)
        where.specs = [renamed(spec(name="c"), "b"), renamed(spec(name="d"), "a")]
        made = where.reconcile()
        assert [(a.name, a.reason) for a in made.actions] == [("c", Reason.IN_SYNC), ("d", Reason.RENAME_CONFLICT)]
