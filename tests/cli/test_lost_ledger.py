"""A ledger that holds nothing: it is new, or it was lost, and then AWS still knows what ran."""

from __future__ import annotations

import boto3

from reconciler.core.events import Conflicted, ManuallyAdopted
from tests.cli.world import REGION, World


def lose(world: World) -> None:
    """Removes the ledger, as a runner does that keeps no disk."""
    for path in world.folder.glob("ledger.sqlite*"):
        path.unlink()


def clone(world: World) -> None:
    """Submits the first job again, tags and all, as the console's button does."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("batch", endpoint_url=world.aws.url, region_name=REGION, **keys)
    client.submit_job(**world.runs()[0].request)
    client.close()


def test_runs_of_the_same_content_are_adopted_and_not_started_again(world: World):
    """Both services: the tag names the token, and the token is the same whoever computes it."""
    world.spark("orders")
    world.batch("clicks")
    assert world.run("apply", "--yes").code == 0
    lose(world)
    world.batch("fresh")

    done = world.run("apply", "--yes", "--format", "json")

    assert done.code == 0, done.err
    assert done.actions("name", "action", "reason", "outcome") == [
        ("clicks", "adopt", "found", "adopted"),
        ("fresh", "submit", "new", "submitted"),
        ("orders", "adopt", "found", "adopted"),
    ]
    assert len(world.runs()) == 3
    assert {event.name for event in world.events() if isinstance(event, ManuallyAdopted)} == {"clicks", "orders"}
    again = world.run("apply", "--yes", "--format", "json")
    assert {action for (action,) in again.actions("action")} == {"none"}


def test_a_recovery_that_adopted_only_some_is_gone_on_with(world: World):
    """Until something is sent the others are still looked for: a selection, or a kill, starts nothing twice."""
    world.batch("orders")
    world.batch("clicks")
    world.run("apply", "--yes")
    lose(world)

    assert world.run("apply", "--yes", "--only", "clicks").code == 0
    done = world.run("apply", "--yes", "--format", "json")

    assert done.actions("name", "action", "outcome") == [("clicks", "none", "none"), ("orders", "adopt", "adopted")]
    assert len(world.runs()) == 2


def test_the_generation_is_the_one_that_ran(world: World):
    """What ran as generation 2 is generation 2 again, so that a change is the third and nothing has its token."""
    world.batch("clicks", "A")
    world.run("apply", "--yes")
    world.aws.finish(world.runs()[-1].id, "succeeded")
    world.batch("clicks", "B")
    world.run("apply", "--yes")
    world.aws.finish(world.runs()[-1].id, "succeeded")
    lose(world)
    assert world.run("apply", "--yes", "--format", "json").actions("action", "generation") == [("adopt", 2)]
    world.batch("clicks", "C")
    assert world.run("apply", "--yes", "--format", "json").actions("action", "generation") == [("submit", 3)]
    assert len(world.runs()) == 3


def test_a_look_that_fails_is_said_and_stops_nothing(world: World):
    """Nothing is promised for a lost ledger, and a new one needs no more rights than it uses: it goes on, loudly."""
    world.aws.configure(queues=["other"])
    world.batch("clicks")
    done = world.run("apply", "--yes")
    assert "whether AWS has a run of clicks from before this ledger is not known" in done.out
    assert done.code == 3  # AWS rejects a job for a queue that it does not have
    lose(world)
    told = world.run("apply", "--yes", "--format", "json")
    assert "Warning: whether AWS has a run of clicks from before this ledger is not known" in told.err


def test_a_plan_file_that_did_not_see_the_runs_is_stale(world: World):
    """A plan made without a ledger is not carried out over runs that AWS has."""
    world.batch("clicks")
    world.run("apply", "--yes")
    lose(world)
    assert world.run("plan", "--out", "kept.plan").code == 0
    done = world.run("apply", "--yes", "kept.plan")
    assert done.code == 1
    assert "clicks" in done.err
    assert len(world.runs()) == 1


def test_several_runs_with_one_token_are_left_to_a_person(world: World):
    """Which of them counts is not guessed, and nothing is started."""
    world.batch("clicks")
    world.run("apply", "--yes")
    lose(world)
    clone(world)
    done = world.run("apply", "--yes", "--format", "json")
    assert (done.code, done.actions("action", "reason")) == (3, [("hold", "conflict")])
    assert len(world.runs()) == 2


def test_a_conflict_is_recorded(world: World):
    """Two runs with the tag of an unresolved submission: the ledger keeps that, whatever AWS forgets later."""
    world.batch("clicks")
    world.run("apply", "--yes")
    submitted = world.log().batch(1)
    lose(world)
    log = world.log()
    log.append(submitted[1:], lambda _: None)
    log.close()
    clone(world)
    for _ in range(2):
        assert world.run("reconcile").code == 3
    assert [len(event.run_ids) for event in world.events() if isinstance(event, Conflicted)] == [2]
