"""Simulates days in which content is accepted without a run."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.core import events as e
from reconciler.core.desired import DesiredSpec
from reconciler.core.identity import SubmissionKey, client_token
from reconciler.core.plan import ActionType, Reason
from reconciler.core.times import time_text
from reconciler.model.spec import Dependency
from tests.builders import PLACE, spec
from tests.loop.world import RunEnd, World, contents, minutes, well

START = datetime(2026, 11, 2, 0, 30, tzinfo=UTC)


def world(*specs: DesiredSpec, run_end: RunEnd | None = None) -> World:
    """Returns a project and target with these specs, at half past midnight."""
    return World(START, list(specs), run_end or well())


def accept(where: World, one: DesiredSpec, *, run: bool) -> None:
    """Accepts the content of a spec as an operator does: as the content of its newest run, or as a generation
    without a run."""
    record = where.recorded.spec(one.name)
    generation = None if run else record.next_generation
    newest = record.newest
    token = (
        newest.token
        if run and newest is not None
        else client_token(PLACE, one.kind, SubmissionKey(one.name, generation or 1), one.digest)
    )
    where.write(
        e.ContentAccepted(
            at=time_text(where.now), name=one.name, token=token, kind=one.kind, generation=generation,
            digest=one.digest, revision=1, actor="tests", tool_version="0",
        )
    )  # fmt: skip


def test_accepted_content_does_not_run_and_later_content_does() -> None:
    """Going back to the content that ran before also counts as a later change."""
    where = world(spec("A"))
    minutes(where, 5)
    where.specs = [spec("B")]
    accept(where, spec("B"), run=True)
    minutes(where, 30)
    assert contents(where) == ["A"]
    where.specs = [spec("A")]
    minutes(where, 30)
    where.specs = [spec("B")]
    minutes(where, 30)
    assert contents(where) == ["A", "A", "B"]
    assert [run.generation for run in where.runs] == [1, 2, 3]


def test_attempts_go_on_with_the_accepted_content() -> None:
    """The run failed, and the spec's backoffLimit allows another attempt."""
    policy = {"backoffLimit": 1, "backoffSeconds": 600}
    where = world(spec("A", policy=policy), run_end=lambda _action, _now: (60, "failed"))
    minutes(where, 3)
    where.specs = [spec("B", policy=policy)]
    accept(where, where.specs[0], run=True)
    minutes(where, 60)
    assert contents(where) == ["A", "B"]
    assert [(run.generation, run.attempt) for run in where.runs] == [(1, 1), (1, 2)]


def test_a_stream_goes_on_and_restarts_with_the_accepted_content() -> None:
    """The live run of the streaming job is not replaced."""
    policy = {"concurrencyPolicy": "Replace", "restartPolicy": "Always", "backoffSeconds": 0}
    where = world(spec("A", policy=policy), run_end=well(3600))
    minutes(where, 5)
    where.specs = [spec("B", policy=policy)]
    accept(where, where.specs[0], run=True)
    minutes(where, 30)
    assert contents(where) == ["A"]
    minutes(where, 60)
    assert contents(where) == ["A", "B"]
    assert not any(run.cancelled for run in where.runs)


def test_a_generation_without_a_run_ends_a_hold_and_meets_dependencies() -> None:
    """The last attempt failed, so the operator did the work manually and accepted new content."""
    needs = {"dependsOn": (Dependency(name="orders", condition="Succeeded"),)}
    where = world(spec("A"), spec(name="reader", policy=needs), run_end=lambda _action, _now: (60, "failed"))
    minutes(where, 5)
    assert where.of("reader") == []
    where.specs[0] = spec("B")
    accept(where, spec("B"), run=False)
    minutes(where, 5)
    assert where.last is not None
    assert [(a.action, a.reason) for a in where.last.actions if a.name == "orders"] == [
        (ActionType.NONE, Reason.IN_SYNC)
    ]
    assert len(where.of("reader")) == 1
    where.specs[0] = spec("C")
    minutes(where, 5)
    assert [(run.generation, run.attempt) for run in where.of("orders")] == [(1, 1), (3, 1)]


def test_slots_run_the_accepted_content() -> None:
    """Every slot runs with the accepted content; after the schedule is removed, the spec does not run."""
    where = world(spec("A", policy={"schedule": "0 * * * *"}))
    minutes(where, 60)
    where.specs = [spec("B", policy={"schedule": "0 * * * *"})]
    accept(where, where.specs[0], run=False)
    minutes(where, 120)
    assert contents(where) == ["A", "B", "B"]
    where.specs = [spec("C", policy={"schedule": "0 * * * *"})]
    accept(where, where.specs[0], run=False)
    where.specs = [spec("C")]
    minutes(where, 120)
    assert contents(where) == ["A", "B", "B"]
