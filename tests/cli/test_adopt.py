"""`adopt`: a run that exists becomes a spec's, and nothing is submitted."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.events import Adopted, CancelAsked, Conflicted, Event, Intended, ManuallyAdopted
from tests.builders import at
from tests.cli.doubt import Doubt, in_doubt, submitted_by_others, write
from tests.cli.world import World


@pytest.fixture
def doubt(world: World) -> Doubt:
    """A spec whose submission was lost an hour ago: AWS has no run of it, and nothing can still arrive."""
    return in_doubt(world, "clicks")


def _of_type(world: World, *types: type[Event]) -> list[Any]:
    return [event for event in world.events() if isinstance(event, types)]


def _renamed(world: World) -> str:
    """A spec that ran as `old` and is called `new` now; its run's id."""
    world.batch("old")
    world.run("apply", "--yes")
    text = (world.folder / "old.yaml").read_text()
    (world.folder / "old.yaml").unlink()
    world.write("new.yaml", text.replace("name: old", "name: new"))
    return world.runs()[0].id


def test_after_a_rename_the_new_name_goes_on_with_the_old_run(world: World):
    """The plan warns and names the command; after it nothing is submitted, and the run is the new name's."""
    run_id = _renamed(world)

    warned = world.run("plan")
    done = world.run("adopt", "new", run_id, "--yes", "--reason", "renamed")
    applied = world.run("apply", "--yes", "--format", "json")
    status = world.run("status", "--format", "json")

    assert f"reconciler adopt new {run_id} -t staging" in warned.out
    assert done.code == 0, done.err
    assert applied.code == 0
    assert applied.actions("name", "action", "reason") == [("new", "none", "in-sync"), ("old", "none", "retired")]
    assert [run.id for run in world.runs()] == [run_id]
    row = status.json["specs"][0]
    assert (row["name"], row["run_id"], row["state"]) == ("new", run_id, "running")
    assert (status.json["specs"][1]["state"], "given to new" in status.json["specs"][1]["reason"]) == ("none", True)
    assert [(event.name, event.run_id, event.reason) for event in _of_type(world, ManuallyAdopted)] == [
        ("new", run_id, "renamed")
    ]


def test_what_the_old_name_would_have_cancelled_goes_on(world: World):
    """`deletionPolicy: Cancel` of a name that is gone is of its own run: one that was given away goes on."""
    world.batch("old", deletionPolicy="Cancel")
    world.run("apply", "--yes")
    run_id = world.runs()[0].id
    (world.folder / "old.yaml").unlink()
    world.batch("new", deletionPolicy="Cancel")

    world.run("adopt", "new", run_id, "--yes")
    applied = world.run("apply", "--yes")

    assert applied.code == 0
    assert _of_type(world, CancelAsked) == []


def test_a_run_that_somebody_started_by_hand_counts(world: World):
    """No tag of ours: the run counts as what the spec asks for, and the next change is the next generation."""
    world.batch("clicks")
    request = {"jobName": "by-hand", "jobQueue": "urgent", "jobDefinition": "worker:7"}
    run_id = submitted_by_others(world, request)

    done = world.run("adopt", "clicks", run_id, "--yes", "--format", "json")
    quiet = world.run("apply", "--yes")
    world.batch("clicks", "B")
    changed = world.run("apply", "--yes", "--format", "json")

    assert done.code == 0, done.err
    assert (done.json["run_id"], done.json["generation"]) == (run_id, 1)
    assert [(each["action"], each["reason"]) for each in done.json["next"]] == [("none", "in-sync")]
    assert quiet.code == 0
    assert changed.actions("reason", "action") == [("concurrency", "wait")]
    assert len(world.runs()) == 1


def test_a_spark_run_is_read_from_its_application(world: World):
    """The same for EMR Serverless, by the application of the spec; `why` tells who took it."""
    world.spark("orders")
    world.run("apply", "--yes")
    run_id = world.runs()[0].id
    world.spark("orders", "B")

    done = world.run("adopt", "orders", run_id, "--yes", "--reason", "the change is cosmetic")
    applied = world.run("apply", "--yes", "--format", "json")
    told = world.run("why", run_id)

    assert done.code == 0, done.err
    assert applied.actions("action", "generation") == [("none", 2)]
    assert len(world.runs()) == 1
    assert told.code == 0
    assert "generation 2" in told.out
    assert "the change is cosmetic" in told.out


def test_the_run_of_a_spec_that_is_in_git_stays_its_own(world: World):
    """By the ledger as by the tag; the sentence names the spec."""
    world.batch("mine")
    world.batch("yours", "B")
    world.run("apply", "--yes", "--only", "yours")
    by_ledger = world.run("adopt", "mine", world.runs()[0].id, "--yes")
    tagged = {"reconciler:token": "r1-other", "reconciler:spec": "shop/staging/yours"}
    request = {"jobName": "yours", "jobQueue": "nightly", "jobDefinition": "worker:1", "tags": tagged}
    by_tag = world.run("adopt", "mine", submitted_by_others(world, request), "--yes", "--force")

    assert (by_ledger.code, by_tag.code) == (1, 1)
    assert "in this project and cannot be adopted" in by_ledger.err
    assert "is tagged as a run of yours" in by_tag.err
    assert _of_type(world, ManuallyAdopted, Adopted) == []


@pytest.mark.parametrize(("name", "run_id"), [("clicks", "00000000-1111-2222-3333-444444444444"), ("orders", "00gone")])
def test_a_run_that_aws_does_not_know_is_refused(world: World, name: str, run_id: str):
    """In either service: nothing is recorded, no ledger is made."""
    world.batch("clicks")
    world.spark("orders")

    done = world.run("adopt", name, run_id, "--yes")

    assert done.code == 1
    assert "AWS has no run" in done.err
    assert world.events() == []


def test_an_unknown_submission_gets_the_run_that_carries_its_tag(world: World, doubt: Doubt):
    """At any time, also long before it settles; it is recorded as decided by hand."""
    run_id = doubt.arrive()

    done = world.run("adopt", "clicks", run_id, "--yes", "--reason", "seen in the console")
    applied = world.run("apply", "--yes", "--format", "json")

    assert done.code == 0, done.err
    assert [(e.run_id, e.by, e.reason) for e in _of_type(world, Adopted)] == [(run_id, "hand", "seen in the console")]
    assert applied.actions("action", "reason", "run_id") == [("none", "in-sync", run_id)]


def test_an_unknown_submission_gets_a_run_without_its_tag(world: World):
    """Before it settles only with --force: what was sent may still become a second run."""
    in_doubt(world, "clicks", hours=1 / 60)
    run_id = submitted_by_others(world, {"jobName": "x", "jobQueue": "nightly", "jobDefinition": "worker:1"})

    refused = world.run("adopt", "clicks", run_id, "--yes")
    forced = world.run("adopt", "clicks", run_id, "--yes", "--force")

    assert refused.code == 1
    assert "may still arrive until" in refused.err
    assert forced.code == 0
    assert [event.run_id for event in _of_type(world, Adopted)] == [run_id]


@pytest.mark.parametrize("recorded", [False, True])
def test_of_several_runs_one_is_picked(world: World, doubt: Doubt, recorded: bool):
    """A conflict ends: the one that was named is followed, the other one is nobody's."""
    one, other = doubt.arrive(), doubt.arrive()
    if recorded:
        write(world, Conflicted(at=at(), name="clicks", token=doubt.token, run_ids=(one, other)))

    held = world.run("apply", "--yes", "--format", "json")
    done = world.run("adopt", "clicks", other, "--yes")
    applied = world.run("apply", "--yes", "--format", "json")

    assert held.actions("action", "reason") == [("hold", "conflict")]
    assert done.code == 0, done.err
    assert one in done.out
    assert applied.actions("action", "run_id") == [("none", other)]
    assert applied.code == 0


def test_two_runs_adopted_by_two_passes_are_decided_too(world: World, doubt: Doubt):
    """A submission that has a run already and was given a second one is a conflict that `adopt` ends."""
    one, other = doubt.arrive(), doubt.arrive()
    for run_id in (one, other):
        write(world, Adopted(at=at(), name="clicks", token=doubt.token, run_id=run_id))

    held = world.run("apply", "--yes", "--format", "json")
    done = world.run("adopt", "clicks", other, "--yes")
    applied = world.run("apply", "--yes", "--format", "json")

    assert held.actions("action", "reason") == [("hold", "conflict")]
    assert done.code == 0, done.err
    assert applied.actions("action", "reason", "run_id") == [("none", "in-sync", other)]


def test_what_moved_since_it_was_shown_is_not_adopted(world: World, monkeypatch: pytest.MonkeyPatch):
    """While the person reads, another pass submits the spec: the run is not taken."""
    from reconciler.cli import decisions

    world.batch("clicks")
    run_id = submitted_by_others(world, {"jobName": "x", "jobQueue": "nightly", "jobDefinition": "worker:1"})

    def meanwhile(*_: object, **_more: object) -> bool:
        assert world.run("apply", "--yes").code == 0
        return True

    monkeypatch.setattr(decisions, "confirm", meanwhile)
    done = world.run("adopt", "clicks", run_id)

    assert done.code == 1
    assert "changed since it was shown" in done.err
    assert _of_type(world, ManuallyAdopted) == []
    assert len(_of_type(world, Intended)) == 1


def test_an_old_checkout_adopts_nothing(world: World):
    """What it says of the spec is not what the newest intent came from."""
    world.git("init", "--quiet")
    world.batch("clicks")
    old = world.commit()
    world.batch("clicks", "B")
    world.commit()
    world.run("apply", "--yes")
    run_id = submitted_by_others(world, {"jobName": "x", "jobQueue": "nightly", "jobDefinition": "worker:1"})
    world.git("checkout", "--quiet", old)

    refused = world.run("adopt", "clicks", run_id, "--yes")
    allowed = world.run("adopt", "clicks", run_id, "--yes", "--allow-rollback")

    assert refused.code == 1
    assert "older than the newest intent" in refused.err
    assert allowed.code == 0
