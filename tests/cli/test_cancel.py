"""`cancel`: a person stops what is live, and what may be."""

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
def test_what_a_person_stops_is_not_held_as_cancelled_by_others(world: World, kind: str):
    """AWS is asked, the ledger says who and why before that, and the spec is quiet: exit 0, nothing runs again."""
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
    """One value, with an outcome for each run."""
    world.batch("clicks")
    world.run("apply", "--yes")
    run_id = world.runs()[0].id

    done = world.run("cancel", "clicks", "--yes", "--format", "json")

    assert done.json["command"] == "cancel"
    assert done.json["run_ids"] == [run_id]
    assert [(each["outcome"], each["run_id"]) for each in done.json["results"]] == [("cancelled", run_id)]


def test_what_is_unknown_is_stopped_once_it_is_found(world: World):
    """Nothing is live yet: the wish is recorded, and the pass that adopts the run is followed by one that stops it."""
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


def test_what_is_to_be_stopped_is_not_sent_again(world: World):
    """It never arrived, and its end was asked for: proven absent, it is given up, whatever the spec still says."""
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


def test_a_run_of_a_name_that_left_git_can_be_stopped(world: World):
    """Its deletion policy was Orphan, so it goes on until somebody stops it."""
    world.batch("clicks")
    world.batch("other")
    world.run("apply", "--yes")
    (world.folder / "clicks.yaml").unlink()

    done = world.run("cancel", "clicks", "--yes")

    assert done.code == 0, done.err
    assert len(_asked(world)) == 1


def test_without_a_terminal_it_needs_yes(world: World):
    """Where nobody can be asked nothing is stopped."""
    world.batch("clicks")
    world.run("apply", "--yes")

    done = world.run("cancel", "clicks")

    assert done.code == 1
    assert "--yes" in done.err
    assert _asked(world) == []


def test_what_ended_meanwhile_is_told(world: World, monkeypatch: pytest.MonkeyPatch):
    """While the person reads, the run ends and another pass records it: nothing is asked of AWS, exit 1."""
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
    assert "its run ended meanwhile" in done.out
    assert _asked(world) == []
