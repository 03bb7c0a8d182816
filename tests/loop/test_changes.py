"""Runs one-offs for days: changes, replacements, restarts, dependencies, limits and backfills."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from reconciler.core import events as e
from reconciler.core.desired import DesiredSpec
from reconciler.core.plan import ActionType, Reason
from reconciler.core.times import parse_time, time_text
from reconciler.model.project import Limits
from reconciler.model.spec import Suspension
from tests.builders import spec
from tests.loop.world import RunEnd, World, contents, minutes, slots_of, well

START = datetime(2026, 11, 2, tzinfo=UTC)
Decision = tuple[ActionType, Reason]


def world(*specs: DesiredSpec, run_end: RunEnd | None = None, **more: Any) -> World:
    """Returns a target with these specs."""
    return World(START, list(specs), run_end or well(), extra=more)


def decision(where: World, name: str = "orders") -> list[Decision]:
    """Returns the action of a spec in the last plan."""
    assert where.last is not None
    return [(action.action, action.reason) for action in where.last.actions if action.name == name]


class TestEndings:
    """Tests the actions after a run failed or was cancelled."""

    def test_a_failed_run_is_attempted_again_and_then_held(self) -> None:
        """Each attempt is a new submission with a new token; the pause before it doubles each time, up to an hour."""
        where = world(
            spec(policy={"backoffLimit": 3, "backoffSeconds": 1500}), run_end=lambda _action, _now: (60, "failed")
        )
        minutes(where, 60 * 4)
        runs = where.of("orders")
        assert [(run.generation, run.attempt) for run in runs] == [(1, 1), (1, 2), (1, 3), (1, 4)]
        assert len({run.token for run in runs}) == 4
        waits = [(later.started - (earlier.ends or START)).total_seconds() / 60 for earlier, later in pairwise(runs)]
        assert waits == [25, 50, 60]
        assert decision(where) == [(ActionType.HOLD, Reason.RETRIES_EXHAUSTED)]

    def test_a_change_supersedes_the_attempts_that_wait(self) -> None:
        """The next generation runs at once, and its attempts are counted from 1."""
        policy = {"backoffLimit": 1, "backoffSeconds": 3600}
        where = world(spec("A", policy=policy), run_end=lambda _action, _now: (60, "failed"))
        minutes(where, 10)
        assert decision(where) == [(ActionType.WAIT, Reason.BACKOFF)]
        where.specs = [spec("B", policy=policy)]
        minutes(where, 70)
        assert [(run.generation, run.attempt) for run in where.of("orders")] == [(1, 1), (2, 1), (2, 2)]

    def test_an_operator_s_retry_is_one_more_attempt_with_a_new_limit(self) -> None:
        """A retry that an operator requests does not wait, and if it fails, it is retried as often as the first run."""
        where = world(
            spec(policy={"backoffLimit": 1, "backoffSeconds": 60}), run_end=lambda _action, _now: (30, "failed")
        )
        minutes(where, 20)
        assert len(where.of("orders")) == 2
        last = where.recorded.spec("orders").submissions[-1]
        where.write(e.RetryAsked(at="2026-11-02T00:30:00Z", name="orders", token=last.token, actor="tests"))
        minutes(where, 20)
        assert [run.attempt for run in where.of("orders")] == [1, 2, 3, 4]
        assert decision(where) == [(ActionType.HOLD, Reason.RETRIES_EXHAUSTED)]

    @pytest.mark.parametrize("restart", ["OnFailure", "Always"])
    def test_a_run_cancelled_by_others_is_held(self, restart: str) -> None:
        """A run that was cancelled, but not by reconciler, is not started again under any policy."""
        where = world(spec(policy={"restartPolicy": restart, "backoffLimit": 5}), run_end=well(3600))
        minutes(where, 5)
        where.end_soon(where.runs[0], "cancelled")
        minutes(where, 60)
        assert len(where.runs) == 1
        assert decision(where) == [(ActionType.HOLD, Reason.CANCELLED_OUTSIDE)]

    @pytest.mark.parametrize("end", ["cancelled", "failed", "succeeded"])
    def test_a_run_that_the_reconciler_cancelled_is_never_attempted_again(self, end: str) -> None:
        """This applies to every final state, because some services report a stopped run as failed."""
        where = world(spec(policy={"restartPolicy": "Always", "backoffLimit": 5}), run_end=well(36000))
        minutes(where, 5)
        run = where.runs[0]
        where.write(
            e.CancelAsked(
                at="2026-11-02T00:05:30Z", name="orders", token=run.token, run_id=run.run_id, reason="r", actor="tests"
            )
        )
        minutes(where, 1)
        assert where.runs[0].cancelled
        where.runs[0].end = end
        minutes(where, 60)
        assert len(where.runs) == 1
        assert decision(where) == [(ActionType.NONE, Reason.IN_SYNC)]

    def test_always_restarts_after_any_end_and_resets_the_wait_after_a_long_run(self) -> None:
        """The pause grows after short runs, and is reset after a run of ten minutes."""
        ends = iter([(60, "failed"), (60, "succeeded"), (60, "failed"), (700, "failed"), (60, "succeeded")])
        where = world(
            spec(policy={"restartPolicy": "Always", "backoffSeconds": 60}),
            run_end=lambda _action, _now: next(ends, (None, "succeeded")),
        )
        where.every(20, START + timedelta(hours=2))
        runs = where.of("orders")
        waits = [round((b.started - (a.ends or START)).total_seconds() / 60, 1) for a, b in pairwise(runs)]
        assert [int(wait) for wait in waits] == [1, 2, 4, 1, 2]
        assert decision(where) == [(ActionType.NONE, Reason.IN_SYNC)]

    def test_a_cancel_before_the_run_was_known(self) -> None:
        """The run is cancelled once its id is known."""
        where = world(spec(), run_end=well(36000))
        where.reconcile()
        asked = e.CancelAsked(
            at="2026-11-02T00:00:30Z", name="orders", token=where.runs[0].token, reason="wrong", actor="tests"
        )
        where.write(asked)
        where.reconcile()
        assert where.runs[0].cancelled
        assert decision(where) == [(ActionType.CANCEL, Reason.ASKED)]


class TestReplace:
    """Tests the actions after a change while a run is live."""

    def streaming(self, content: str, **policy: Any) -> DesiredSpec:
        """Returns a spec with the policies of a streaming job."""
        return spec(content, policy={"concurrencyPolicy": "Replace", "restartPolicy": "Always", **policy})

    def test_the_old_run_ends_before_the_new_one_begins(self) -> None:
        """The old run is cancelled once, and the new submission waits for its end."""
        where = world(self.streaming("A"), run_end=well(360000))
        minutes(where, 5)
        where.specs = [self.streaming("B")]
        where.reconcile()
        assert decision(where) == [(ActionType.REPLACE, Reason.SPEC_CHANGED)]
        where.reconcile()
        assert decision(where) == [(ActionType.WAIT, Reason.REPLACING)]
        minutes(where, 5)
        assert contents(where) == ["A", "B"]
        assert not where.runs[0].overlaps(where.runs[1])
        assert len([event for event in where.events if isinstance(event, e.CancelAsked)]) == 1

    def test_only_the_newest_content_is_submitted(self) -> None:
        """If B is changed to C while A is ending, only C is submitted."""
        where = world(self.streaming("A"), run_end=well(360000))
        minutes(where, 5)
        for content in ("B", "C"):
            where.specs = [self.streaming(content)]
            where.reconcile()
        minutes(where, 5)
        assert contents(where) == ["A", "C"]

    def test_back_to_the_content_that_is_being_stopped(self) -> None:
        """If A was cancelled for B and git returns to A, A runs again, because reconciler itself ended it."""
        where = world(self.streaming("A"), run_end=well(360000))
        minutes(where, 5)
        where.specs = [self.streaming("B")]
        where.reconcile()
        where.specs = [self.streaming("A")]
        minutes(where, 5)
        assert contents(where) == ["A", "A"]
        assert [run.generation for run in where.runs] == [1, 2]
        assert decision(where) == [(ActionType.NONE, Reason.IN_SYNC)]

    @pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
    def test_any_end_releases_the_submit(self, end: str) -> None:
        """The new content is submitted after any end of the old run, even if that was not a cancellation."""
        where = world(self.streaming("A"), run_end=well(360000))
        minutes(where, 5)
        where.specs = [self.streaming("B")]
        where.reconcile()
        where.runs[0].end = end
        minutes(where, 5)
        assert contents(where) == ["A", "B"]

    def test_a_suspended_spec_replaces_nothing(self) -> None:
        """A suspension stops submissions and cancellations."""
        where = world(self.streaming("A"), run_end=well(360000))
        minutes(where, 5)
        where.specs = [self.streaming("B", suspend=True)]
        minutes(where, 5)
        assert [run.cancelled for run in where.runs] == [False]

    def test_a_restart_never_replaces_a_newer_generation(self) -> None:
        """After B has run, the failed run of A is not retried."""
        ends = iter([(60, "failed")])
        where = world(self.streaming("A", backoffSeconds=600), run_end=lambda _a, _n: next(ends, (None, "succeeded")))
        minutes(where, 5)
        where.specs = [self.streaming("B", backoffSeconds=600)]
        minutes(where, 120)
        assert contents(where) == ["A", "B"]


class TestDependencies:
    """Tests how specs wait for each other."""

    def diamond(self, **late: Any) -> list[DesiredSpec]:
        """Returns the specs extract → (clean, enrich) → report."""
        on = lambda *names, **more: {"dependsOn": [{"name": name, **more} for name in names]}  # noqa: E731
        return [
            spec("A", "extract"),
            spec("A", "clean", policy=on("extract")),
            spec("A", "enrich", policy=on("extract")),
            spec("A", "report", policy=on("clean", "enrich", **late)),
        ]

    def test_a_diamond_runs_in_order(self) -> None:
        """Each spec runs after all its dependencies have succeeded."""
        where = world(*self.diamond(), run_end=well(200))
        minutes(where, 30)
        by_name = {run.name: run for run in where.runs}
        assert len(where.runs) == 4
        for earlier, later in (
            ("extract", "clean"), ("extract", "enrich"), ("clean", "report"), ("enrich", "report"),
        ):  # fmt: skip
            assert (by_name[earlier].ends or START) <= by_name[later].started

    def test_a_failed_dependency_is_named_and_never_passed(self) -> None:
        """The message contains the failed run, and the dependent never runs."""
        fate: RunEnd = lambda action, _now: (60, "failed" if action.name == "clean" else "succeeded")  # noqa: E731
        where = world(*self.diamond(), run_end=fate)
        minutes(where, 60)
        assert {run.name for run in where.runs} == {"extract", "clean", "enrich"}
        assert where.last is not None
        (report,) = [action for action in where.last.actions if action.name == "report"]
        assert (report.action, report.reason) == (ActionType.WAIT, Reason.DEPENDENCY)
        assert report.message == f"run {where.of('clean')[0].run_id} of clean (generation 1) failed"

    def test_a_dependency_completes_after_its_last_attempt(self) -> None:
        """A dependency that will be retried has not completed."""
        fate: RunEnd = lambda action, _now: (60, "failed" if action.name == "clean" else "succeeded")  # noqa: E731
        where = world(*self.diamond(condition="Completed"), run_end=fate)
        where.specs[1] = spec(
            "A", "clean", policy={"dependsOn": [{"name": "extract"}], "backoffLimit": 1, "backoffSeconds": 600}
        )
        minutes(where, 60)
        (report,) = where.of("report")
        assert report.started >= (where.of("clean")[1].ends or START)

    def test_an_older_success_is_not_enough_and_a_change_reruns_no_dependent(self) -> None:
        """If both specs change, the dependent waits for the new generation of its dependency. If only the dependency
        changes, the dependent does not run."""
        on = {"dependsOn": [{"name": "extract"}]}
        where = world(spec("A", "extract"), spec("A", "load", policy=on), run_end=well(300))
        minutes(where, 30)
        where.specs = [spec("B", "extract"), spec("B", "load", policy=on)]
        minutes(where, 30)
        assert (contents(where, "extract"), contents(where, "load")) == (["A", "B"], ["A", "B"])
        assert where.of("load")[1].started >= (where.of("extract")[1].ends or START)
        where.specs = [spec("C", "extract"), spec("B", "load", policy=on)]
        minutes(where, 30)
        assert (contents(where, "extract"), contents(where, "load")) == (["A", "B", "C"], ["A", "B"])

    def test_a_retry_waits_for_no_dependency_that_its_first_attempt_had_passed(self) -> None:
        """In a Batch request, a `dependsOn` with an ordinary job id does not refer to a spec. Only the first attempt
        waits for spec dependencies."""
        asked = {"jobName": "load", "jobQueue": "etl", "jobDefinition": "load:1", "dependsOn": [{"jobId": "job-0"}]}
        policy = {"dependsOn": [{"name": "extract"}], "backoffLimit": 1, "backoffSeconds": 300}
        fate: RunEnd = lambda action, _now: (60, "succeeded") if action.name == "extract" else (60, "failed")  # noqa: E731
        where = world(spec("A", "extract"), spec("A", "load", request=asked, policy=policy), run_end=fate)
        minutes(where, 4)
        where.specs[0] = spec("B", "extract")
        where.run_end = lambda _action, _now: (3600, "succeeded")
        minutes(where, 10)
        assert [run.state(where.now) for run in where.of("extract")] == ["succeeded", "running"]
        assert [(run.attempt, run.request["dependsOn"]) for run in where.of("load")] == [
            (1, [{"jobId": "job-0"}]),
            (2, [{"jobId": "job-0"}]),
        ]

    def test_two_schedules_meet_at_the_same_slot(self) -> None:
        """A slot of the dependent waits for the run of the same slot of its dependency, not for an earlier run."""
        on = {"schedule": "0 */2 * * *", "dependsOn": [{"name": "extract"}]}
        where = world(
            spec("A", "extract", policy={"schedule": "0 * * * *"}), spec("A", "load", policy=on), run_end=well(1500)
        )
        minutes(where, 60 * 9)
        extracts = {run.slot: run for run in where.of("extract")}
        assert slots_of(where.of("load")) == [f"2026-11-02T0{hour}:00:00Z" for hour in (2, 4, 6, 8)]
        for run in where.of("load"):
            assert run.started >= (extracts[run.slot].ends or START)

    def test_a_missed_slot_makes_the_dependent_s_slot_missed(self) -> None:
        """After an outage, only the newest slots run, and for both specs the others are recorded as missed."""
        on = {"schedule": "0 * * * *", "catchup": True, "dependsOn": [{"name": "extract"}]}
        where = world(
            spec("A", "extract", policy={"schedule": "0 * * * *"}), spec("A", "load", policy=on), run_end=well(60)
        )
        minutes(where, 130)
        where.now = START + timedelta(hours=6, minutes=5)
        minutes(where, 30)
        assert where.missed_slots("load") == [f"2026-11-02T0{hour}:00:00Z" for hour in (3, 4, 5)]
        assert {event.reason for event in where.missed("load")} == {"dependency"}
        assert slots_of(where.of("load"))[-1] == "2026-11-02T06:00:00Z"

    def test_a_slot_that_the_other_does_not_have_waits_for_its_newest_run(self) -> None:
        """If the dependency has no slot at the same time, the dependent waits for its newest run before that time."""
        ends = iter(["failed"])
        fate: RunEnd = lambda _action, _now: (60, next(ends, "succeeded"))  # noqa: E731
        on = {"schedule": "30 1 * * *", "dependsOn": [{"name": "extract"}]}
        where = world(
            spec("A", "extract", policy={"schedule": "0 1,2 * * *"}), spec("A", "load", policy=on), run_end=fate
        )
        minutes(where, 60 * 5)
        assert slots_of(where.of("extract")) == ["2026-11-02T01:00:00Z", "2026-11-02T02:00:00Z"]
        assert slots_of(where.of("load")) == ["2026-11-02T01:30:00Z"]
        assert where.missed("load") == []

    def test_a_missed_slot_is_backfilled_together_with_its_dependent(self) -> None:
        """If both slots are missed and backfilled together, they run in order."""
        hourly = {"schedule": "0 * * * *"}
        load = spec("A", "load", policy={**hourly, "dependsOn": [{"name": "extract"}]})
        where = world(spec("A", "extract", policy=hourly), load)
        where.reconcile()
        where.now = START + timedelta(hours=2, minutes=5)
        minutes(where, 10)
        for name in ("load", "extract"):
            asked = e.BackfillAsked(at=time_text(where.now), name=name, slots=("2026-11-02T01:00:00Z",), actor="tests")
            where.write(asked)
        minutes(where, 10)
        backfilled = [run.name for run in where.runs if run.slot == "2026-11-02T01:00:00Z"]
        assert backfilled == ["extract", "load"]

    def test_a_backfill_waits_for_a_slot_that_its_dependency_missed(self) -> None:
        """The message contains the missed slot, and the backfill runs after that slot is backfilled too."""
        hourly = {"schedule": "0 * * * *"}
        load = spec("A", "load", policy={**hourly, "dependsOn": [{"name": "extract"}]})
        where = world(spec("A", "extract", policy=hourly), load)
        where.reconcile()
        where.now = START + timedelta(hours=2, minutes=5)
        minutes(where, 10)
        for name in ("load", "extract"):
            asked = e.BackfillAsked(at=time_text(where.now), name=name, slots=("2026-11-02T01:00:00Z",), actor="tests")
            where.write(asked)
            where.reconcile()
            assert (ActionType.WAIT, Reason.DEPENDENCY) in decision(where, "load")
            assert where.missed_slots("load") == ["2026-11-02T01:00:00Z"]
        minutes(where, 10)
        assert slots_of(where.of("load")) == ["2026-11-02T02:00:00Z", "2026-11-02T01:00:00Z"]

    @pytest.mark.parametrize("catchup", [False, True])
    def test_a_suspended_dependency_is_not_met_by_an_older_slot(self, catchup: bool) -> None:
        """The slots of a suspended dependency do not run, and slots that wait for them are recorded as missed."""
        hourly: dict[str, Any] = {"schedule": "0 * * * *"}
        load = spec("A", "load", policy={**hourly, "catchup": catchup, "dependsOn": [{"name": "extract"}]})
        where = world(spec("A", "extract", policy=hourly), load)
        minutes(where, 90)
        where.specs = [spec("A", "extract", policy={**hourly, "suspend": True}), load]
        minutes(where, 120)
        assert slots_of(where.of("load")) == ["2026-11-02T01:00:00Z"]
        where.specs = [spec("A", "extract", policy=hourly), load]
        minutes(where, 60)
        assert slots_of(where.of("load")) == ["2026-11-02T01:00:00Z", "2026-11-02T04:00:00Z"]
        assert where.missed_slots("load") == ["2026-11-02T02:00:00Z", "2026-11-02T03:00:00Z"]

    def test_a_slot_missed_with_its_dependency_is_recorded_once(self) -> None:
        """A later suspension does not record them again."""
        hourly: dict[str, Any] = {"schedule": "0 * * * *", "catchup": True}
        on = {**hourly, "dependsOn": [{"name": "extract"}]}
        extract = spec("A", "extract", policy={"schedule": "0 * * * *"})
        where = world(extract, spec("A", "load", policy=on), run_end=well(1800))
        where.reconcile()
        where.now = START + timedelta(hours=2, minutes=5)
        minutes(where, 1)
        assert where.missed_slots("load") == ["2026-11-02T01:00:00Z"]
        where.specs = [extract, spec("A", "load", policy={**on, "suspend": True})]
        minutes(where, 10)
        where.specs = [extract, spec("A", "load", policy=on)]
        minutes(where, 10)
        assert where.missed_slots("load") == ["2026-11-02T01:00:00Z", "2026-11-02T02:00:00Z"]

    def test_a_request_names_the_run_it_waits_for(self) -> None:
        """In a Batch request, the name of a spec is replaced with its job id, as soon as the job id is known."""
        asked = {
            "jobName": "load", "jobQueue": "etl", "jobDefinition": "load:1", "dependsOn": [{"spec": "extract"}],
        }  # fmt: skip
        load = spec("A", "load", request=asked)
        where = world(spec("A", "extract"), load, run_end=well(3600))
        where.reconcile()
        assert decision(where, "load") == [(ActionType.WAIT, Reason.DEPENDENCY)]
        where.reconcile()
        assert where.of("load")[0].request["dependsOn"] == [{"jobId": where.of("extract")[0].run_id}]
        minutes(where, 90)
        assert len(where.of("load")) == 1


class TestLimits:
    """Tests how many submissions one pass may make."""

    def test_slots_beyond_the_limit_wait_for_the_next_pass(self) -> None:
        """The oldest slots are submitted first, and no slot is lost."""
        specs = [spec("A", f"s{number}", policy={"schedule": "0 * * * *"}) for number in range(5)]
        where = world(*specs, run_end=well(60), limits=Limits(maxSubmissions=2))
        where.reconcile()
        where.now = START + timedelta(hours=1)
        counts = []
        for _ in range(3):
            where.reconcile()
            counts.append(len(where.runs))
            assert (ActionType.WAIT, Reason.LIMIT) in decision(where, "s4") or counts[-1] == 5
        assert counts == [2, 4, 5]

    def test_changes_beyond_the_limit_leave_no_room(self) -> None:
        """Changes count before slots. If they exceed the limit, the whole plan is refused."""
        where = world(
            spec("A", "a"),
            spec("A", "z", policy={"schedule": "0 * * * *"}),
            run_end=well(60),
            limits=Limits(maxSubmissions=1),
        )
        where.specs, one_off = where.specs[1:], where.specs[0]
        where.reconcile()
        where.now = START + timedelta(hours=1)
        where.specs.append(one_off)
        where.reconcile()
        assert decision(where, "z") == [(ActionType.WAIT, Reason.LIMIT)]
        assert decision(where, "a") == [(ActionType.SUBMIT, Reason.NEW)]


class TestBackfill:
    """Tests how backfilled slots run."""

    def test_a_backfill_runs_in_order_once_more(self) -> None:
        """With Forbid, backfilled slots run one after the other. A slot that has already run gets another attempt.
        Regular slots run first."""
        daily = spec("A", policy={"schedule": "0 2 * * *"})
        where = world(daily, run_end=well(1800))
        where.every(600, START + timedelta(days=2))
        asked = tuple(f"2026-11-0{day}T02:00:00Z" for day in (1, 2, 3))
        where.write(e.BackfillAsked(at="2026-11-04T01:00:00Z", name="orders", slots=asked, actor="tests"))
        where.every(600, START + timedelta(days=2, hours=6))
        after = where.of("orders")[2:]
        assert [(run.slot, run.attempt) for run in after] == [
            ("2026-11-01T02:00:00Z", 1), ("2026-11-02T02:00:00Z", 2), ("2026-11-03T02:00:00Z", 2),
            ("2026-11-04T02:00:00Z", 1),
        ]  # fmt: skip
        runs = where.of("orders")
        assert not [(a, b) for a, b in pairwise(runs) if a.overlaps(b)]

    def test_a_suspended_project_backfills_nothing(self) -> None:
        """A backfill waits for the end of the suspension."""
        where = world(spec("A", policy={"schedule": "0 2 * * *"}), suspension=Suspension())
        asked = e.BackfillAsked(at="2026-11-02T00:00:00Z", name="orders", slots=("2026-11-01T02:00:00Z",), actor="t")
        where.write(asked)
        minutes(where, 5)
        assert where.runs == []


def test_a_project_that_is_suspended_too_long_needs_an_operator() -> None:
    """A suspension of the project that should have ended requires an operator, even if no spec waits."""
    where = world(spec(), run_end=well(60))
    minutes(where, 5)
    where.extra = {"suspension": Suspension(until="2026-11-02T00:00:00Z")}
    assert where.reconcile().overdue
    assert parse_time("2026-11-02T00:00:00Z") < where.now
