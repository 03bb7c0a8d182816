"""An empty ledger is new, or it was lost: then AWS still has the runs."""

from __future__ import annotations

import boto3

from reconciler.core.events import Conflicted, ManuallyAdopted
from tests.cli.world import REGION, World


def lose(world: World) -> None:
    """Removes the ledger, as on a CI runner without a persistent disk."""
    for path in world.folder.glob("ledger.sqlite*"):
        path.unlink()


def clone(world: World) -> None:
    """Submits the first job again with its tags, as the button of the console does."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("batch", endpoint_url=world.aws.url, region_name=REGION, **keys)
    client.submit_job(**world.runs()[0].request)
    client.close()


def test_runs_of_the_same_content_are_adopted_and_not_started_again(world: World):
    """The tag contains the token, and the same content gives the same token again."""
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


def test_an_interrupted_recovery_continues(world: World):
    """Until the first intent, other runs are still looked up: a selection or a kill starts nothing twice."""
    world.batch("orders")
    world.batch("clicks")
    world.run("apply", "--yes")
    lose(world)

    assert world.run("apply", "--yes", "--only", "clicks").code == 0
    done = world.run("apply", "--yes", "--format", "json")

    assert done.actions("name", "action", "outcome") == [("clicks", "none", "none"), ("orders", "adopt", "adopted")]
    assert len(world.runs()) == 2


def test_the_generation_is_the_one_that_ran(world: World):
    """A run of generation 2 is adopted as generation 2, so that a change is the third, with a new token."""
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


def test_a_failed_search_for_previous_runs_is_a_warning(world: World):
    """A new ledger needs no permission to list runs, so the spec is submitted, with a warning."""
    world.aws.configure(queues=["other"])
    world.batch("clicks")
    done = world.run("apply", "--yes")
    assert "could not check whether AWS has a run of clicks from before this ledger" in done.out
    assert done.code == 3  # AWS rejects a job for a queue that it does not have
    lose(world)
    applied = world.run("apply", "--yes", "--format", "json")
    assert "Warning: could not check whether AWS has a run of clicks from before this ledger" in applied.err


def test_a_plan_file_that_did_not_see_the_runs_is_stale(world: World):
    """A plan that was created without a ledger is refused if AWS has runs of it."""
    world.batch("clicks")
    world.run("apply", "--yes")
    lose(world)
    assert world.run("plan", "--out", "kept.plan").code == 0
    done = world.run("apply", "--yes", "kept.plan")
    assert done.code == 1
    assert "clicks" in done.err
    assert len(world.runs()) == 1


def test_several_runs_with_one_token_are_a_conflict(world: World):
    """An operator picks the run that counts, and nothing is started."""
    world.batch("clicks")
    world.run("apply", "--yes")
    lose(world)
    clone(world)
    done = world.run("apply", "--yes", "--format", "json")
    assert (done.code, done.actions("action", "reason")) == (3, [("hold", "conflict")])
    assert len(world.runs()) == 2


def test_a_conflict_is_recorded(world: World):
    """Two runs with the tag of an unresolved submission are recorded, even if AWS forgets them later."""
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
