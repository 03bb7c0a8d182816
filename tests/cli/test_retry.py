"""`retry`: one more attempt, because a person says so."""

from __future__ import annotations

import pytest

from reconciler.core.events import RetryAsked
from tests.cli.doubt import terminated_by_others
from tests.cli.world import World, batch_text


def _asked(world: World) -> list[tuple[str | None, str]]:
    return [(event.reason, event.token) for event in world.events() if isinstance(event, RetryAsked)]


def _failed(world: World) -> None:
    """A Batch spec whose run failed, which a pass has seen."""
    world.batch("clicks")
    world.run("apply", "--yes")
    world.aws.finish(world.runs()[0].id, "failed")
    world.run("apply", "--yes")


def test_a_failed_run_gets_one_more_attempt(world: World):
    """Held after its last attempt; the retry is recorded with who and why, and the next pass submits a new token."""
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


def test_what_others_cancelled_is_retried(world: World):
    """Held until a person says so."""
    world.batch("clicks")
    world.run("apply", "--yes")
    terminated_by_others(world, world.runs()[0].id)
    held = world.run("apply", "--yes", "--format", "json")

    done = world.run("retry", "clicks", "--yes")
    world.run("apply", "--yes")

    assert held.actions("reason") == [("cancelled-outside",)]
    assert done.code == 0, done.err
    assert len(world.runs()) == 2


def test_what_a_person_stopped_is_retried_when_a_person_says_so(world: World):
    """Never by itself."""
    world.batch("clicks")
    world.run("apply", "--yes")
    world.run("cancel", "clicks", "--yes")
    world.run("apply", "--yes")

    done = world.run("retry", "clicks", "--yes")
    world.run("apply", "--yes")

    assert done.code == 0, done.err
    assert len(world.runs()) == 2


def test_what_aws_rejected_is_tried_again(world: World):
    """Somebody mended what AWS said no to: the same content goes again, as a new attempt."""
    world.aws.configure(definitions=["worker"])
    world.write("clicks.yaml", batch_text("clicks").replace("worker:1", "missing:1"))
    world.run("apply", "--yes")
    world.aws.configure(definitions=None)

    done = world.run("retry", "clicks", "--yes")
    applied = world.run("apply", "--yes", "--format", "json")

    assert done.code == 0, done.err
    assert applied.actions("outcome", "attempt") == [("submitted", 2)]


def test_what_moved_since_it_was_shown_is_not_retried(world: World, monkeypatch: pytest.MonkeyPatch):
    """While the person reads, somebody else asks for the retry and a pass submits it: no second one."""
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
