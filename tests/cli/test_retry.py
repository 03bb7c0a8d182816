"""Tests `retry`, with which an operator requests one more attempt."""

from __future__ import annotations

import pytest

from reconciler.core.events import RetryAsked
from tests.cli.doubt import terminated_by_others
from tests.cli.world import World, batch_text


def _asked(world: World) -> list[tuple[str | None, str]]:
    return [(event.reason, event.token) for event in world.events() if isinstance(event, RetryAsked)]


def _failed(world: World) -> None:
    """Runs a Batch spec whose run fails, and then a pass that observes the failure."""
    world.batch("clicks")
    world.run("apply", "--yes")
    world.aws.finish(world.runs()[0].id, "failed")
    world.run("apply", "--yes")


def test_a_failed_run_gets_one_more_attempt(world: World):
    """The spec is on hold after its last attempt. The retry is recorded, and the next pass submits a new token."""
    _failed(world)
    held = world.run("apply", "--yes", "--format", "json")

    done = world.run("retry", "clicks", "--yes", "--reason", "input mended", "--format", "json")
    applied = world.run("apply", "--yes", "--format", "json")

    assert held.actions("action", "reason") == [("hold", "retries-exhausted")]
    assert done.code == 0, done.err
    assert [(each["action"], each["reason"], each["attempt"]) for each in done.json["next"]] == [("submit", "retry", 2)]
    assert [reason for reason, _ in _asked(world)] == ["input mended"]
    assert applied.actions("outcome", "attempt") == [("submitted", 2)]
    assert len({run.token for run in world.runs()}) == 2


def test_a_run_cancelled_by_others_is_retried(world: World):
    """The spec is on hold until the retry."""
    world.batch("clicks")
    world.run("apply", "--yes")
    terminated_by_others(world, world.runs()[0].id)
    held = world.run("apply", "--yes", "--format", "json")

    done = world.run("retry", "clicks", "--yes")
    world.run("apply", "--yes")

    assert held.actions("reason") == [("cancelled-outside",)]
    assert done.code == 0, done.err
    assert len(world.runs()) == 2


def test_a_manually_cancelled_run_is_retried(world: World):
    """A run that an operator cancelled is retried only on request."""
    world.batch("clicks")
    world.run("apply", "--yes")
    world.run("cancel", "clicks", "--yes")
    world.run("apply", "--yes")

    done = world.run("retry", "clicks", "--yes")
    world.run("apply", "--yes")

    assert done.code == 0, done.err
    assert len(world.runs()) == 2


def test_a_rejected_submission_is_retried(world: World):
    """Once the cause is fixed, the same content is submitted as a new attempt."""
    world.aws.configure(definitions=["worker"])
    world.write("clicks.yaml", batch_text("clicks").replace("worker:1", "missing:1"))
    world.run("apply", "--yes")
    world.aws.configure(definitions=None)

    done = world.run("retry", "clicks", "--yes")
    applied = world.run("apply", "--yes", "--format", "json")

    assert done.code == 0, done.err
    assert applied.actions("outcome", "attempt") == [("submitted", 2)]


def test_two_operators_request_one_retry(world: World, monkeypatch: pytest.MonkeyPatch):
    """Before this operator confirms, another operator requests the retry and a pass submits it."""
    from reconciler.cli import decisions, output

    _failed(world)
    asks = output.confirm

    def meanwhile(*_: object, **_more: object) -> bool:
        monkeypatch.setattr(decisions, "confirm", asks)
        assert world.run("retry", "clicks", "--yes").code == 0
        assert world.run("apply", "--yes").code == 0
        return True

    monkeypatch.setattr(decisions, "confirm", meanwhile)
    done = world.run("retry", "clicks")

    assert done.code == 1
    assert "changed since it was shown" in done.err
    assert len(world.runs()) == 2
