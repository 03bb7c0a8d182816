"""Tests `cancel`, with which an operator stops live runs and runs that may still appear."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core.events import Absent, CancelAccepted, CancelAsked
from reconciler.core.times import time_text
from tests.cli.doubt import in_doubt, write
from tests.cli.world import World


def _asked(world: World) -> list[tuple[str | None, str]]:
    return [(event.run_id, event.reason) for event in world.events() if isinstance(event, CancelAsked)]


def _status(world: World, name: str) -> tuple[str, str]:
    row = next(row for row in world.run("status", "--format", "json").json["specs"] if row["name"] == name)
    return row["state"], row["reason"].partition(":")[0]


@pytest.mark.parametrize("kind", ["batch", "spark"])
def test_a_manually_cancelled_run_is_not_on_hold(world: World, kind: str):
    """The ledger records the operator and the reason before AWS is called. The spec is then in sync and nothing
    runs."""
    getattr(world, kind)("clicks")
    world.run("apply", "--yes")
    run_id = world.runs()[0].id

    done = world.run("cancel", "clicks", "--yes", "--reason", "wrong input")
    applied = world.run("apply", "--yes")

    assert done.code == 0, done.err
    assert _asked(world) == [(run_id, "wrong input")]
    assert applied.code == 0
    assert _status(world, "clicks") == ("cancelled", "in-sync")
    assert len(world.runs()) == 1


def test_json_names_the_runs(world: World):
    """The JSON output contains an outcome for each run."""
    world.batch("clicks")
    world.run("apply", "--yes")
    run_id = world.runs()[0].id

    done = world.run("cancel", "clicks", "--yes", "--format", "json")

    assert done.json["command"] == "cancel"
    assert done.json["run_ids"] == [run_id]
    assert [(each["outcome"], each["run_id"]) for each in done.json["results"]] == [("cancelled", run_id)]


def test_an_unknown_submission_is_cancelled_once_its_run_is_found(world: World):
    """The cancel request is recorded first. Once a pass finds the run, it adopts it, and the next pass cancels it."""
    doubt = in_doubt(world, "clicks", hours=1 / 60)

    done = world.run("cancel", "clicks", "--yes", "--reason", "not today")
    run_id = doubt.arrive()
    world.run("apply", "--yes")
    world.run("apply", "--yes")
    world.run("apply", "--yes")

    assert done.code == 0, done.err
    assert _asked(world)[0] == (None, "not today")
    assert [event.run_id for event in world.events() if isinstance(event, CancelAccepted)] == [run_id]
    assert _status(world, "clicks") == ("cancelled", "in-sync")
    assert len(world.runs()) == 1


def test_a_cancelled_unknown_submission_is_not_sent_again(world: World):
    """Once the submission is proven absent, it is abandoned, although the spec still requires it."""
    doubt = in_doubt(world, "clicks")
    looked = [time_text(datetime.now(UTC) - timedelta(minutes=ago)) for ago in (20, 10)]
    write(world, *(Absent(at=at, name="clicks", token=doubt.token, looked_at=at) for at in looked))
    world.run("cancel", "clicks", "--yes", "--reason", "not today")
    again = world.run("resolve", "clicks", "--submit", "--yes")

    given_up = world.run("apply", "--yes", "--format", "json")
    idle = world.run("apply", "--yes", "--format", "json")

    assert again.code == 1
    assert "was requested at" in again.err
    assert given_up.actions("action", "outcome") == [("skip", "recorded")]
    assert idle.actions("action", "reason") == [("none", "in-sync")]
    assert idle.code == 0
    assert world.runs() == []


def test_the_run_of_a_removed_spec_can_be_cancelled(world: World):
    """With the deletion policy Orphan, the run continues until someone cancels it."""
    world.batch("clicks")
    world.batch("other")
    world.run("apply", "--yes")
    (world.folder / "clicks.yaml").unlink()

    done = world.run("cancel", "clicks", "--yes")

    assert done.code == 0, done.err
    assert len(_asked(world)) == 1


def test_without_a_terminal_it_needs_yes(world: World):
    """Without a terminal and without `--yes`, nothing is recorded."""
    world.batch("clicks")
    world.run("apply", "--yes")

    done = world.run("cancel", "clicks")

    assert done.code == 1
    assert "--yes" in done.err
    assert _asked(world) == []


def test_a_run_that_ended_meanwhile_is_not_cancelled(world: World, monkeypatch: pytest.MonkeyPatch):
    """Before the operator confirms, the run ends and another pass records it. AWS is not called, and the command exits
    1."""
    from reconciler.cli import decisions

    world.batch("clicks")
    world.run("apply", "--yes")

    def meanwhile(*_: object, **_more: object) -> bool:
        world.aws.finish(world.runs()[0].id, "succeeded")
        world.run("apply", "--yes")
        return True

    monkeypatch.setattr(decisions, "confirm", meanwhile)
    done = world.run("cancel", "clicks")

    assert done.code == 1
    assert "its run has ended" in done.out
    assert _asked(world) == []
