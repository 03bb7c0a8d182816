"""Tests `adopt`, which assigns an existing run to a spec and submits nothing."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.events import Adopted, CancelAsked, Conflicted, Event, Intended, ManuallyAdopted
from tests.builders import at
from tests.cli.doubt import Doubt, in_doubt, submitted_by_others, terminated_by_others, write
from tests.cli.world import World


@pytest.fixture
def doubt(world: World) -> Doubt:
    """Returns a submission that was lost an hour ago. AWS has no run for it, and no run can appear any more."""
    return in_doubt(world, "clicks")


def _of_type(world: World, *types: type[Event]) -> list[Any]:
    return [event for event in world.events() if isinstance(event, types)]


def _renamed(world: World) -> str:
    """Runs a spec as `old`, renames it to `new`, and returns the id of its run."""
    world.batch("old")
    world.run("apply", "--yes")
    text = (world.folder / "old.yaml").read_text()
    (world.folder / "old.yaml").unlink()
    world.write("new.yaml", text.replace("name: old", "name: new"))
    return world.runs()[0].id


def test_after_a_rename_the_new_name_keeps_the_old_run(world: World):
    """Nothing is submitted, and the run now belongs to the new name."""
    run_id = _renamed(world)

    done = world.run("adopt", "new", run_id, "--yes", "--reason", "renamed")
    applied = world.run("apply", "--yes", "--format", "json")
    status = world.run("status", "--format", "json")

    assert done.code == 0, done.err
    assert applied.code == 0
    assert applied.actions("name", "action", "reason") == [("new", "none", "in-sync"), ("old", "none", "retired")]
    assert [run.id for run in world.runs()] == [run_id]
    row = status.json["specs"][0]
    assert (row["name"], row["run_id"], row["state"]) == ("new", run_id, "running")
    assert (status.json["specs"][1]["state"], "reassigned to new" in status.json["specs"][1]["reason"]) == (
        "none",
        True,
    )
    assert [(event.name, event.run_id, event.reason) for event in _of_type(world, ManuallyAdopted)] == [
        ("new", run_id, "renamed")
    ]


def test_the_old_name_does_not_cancel_a_run_that_was_adopted(world: World):
    """`deletionPolicy: Cancel` of a removed spec cancels only its own run."""
    world.batch("old", deletionPolicy="Cancel")
    world.run("apply", "--yes")
    run_id = world.runs()[0].id
    (world.folder / "old.yaml").unlink()
    world.batch("new", deletionPolicy="Cancel")

    world.run("adopt", "new", run_id, "--yes")
    applied = world.run("apply", "--yes")

    assert applied.code == 0
    assert _of_type(world, CancelAsked) == []


def test_a_manually_started_run_is_adopted(world: World):
    """A run without our tags counts as the run of the current content; the next change is the next generation."""
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


def test_an_emr_serverless_run_is_adopted(world: World):
    """The run is read from the spec's application, and `why` shows who adopted it."""
    world.spark("orders")
    world.run("apply", "--yes")
    run_id = world.runs()[0].id
    world.spark("orders", "B")

    done = world.run("adopt", "orders", run_id, "--yes", "--reason", "the change is cosmetic")
    applied = world.run("apply", "--yes", "--format", "json")
    why = world.run("why", run_id)

    assert done.code == 0, done.err
    assert applied.actions("action", "generation") == [("none", 2)]
    assert len(world.runs()) == 1
    assert why.code == 0
    assert "generation 2" in why.out
    assert "the change is cosmetic" in why.out


def test_a_run_of_another_spec_of_the_project_cannot_be_adopted(world: World):
    """The ledger or the run's tag shows that the run belongs to another spec, which the message names."""
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
    """For both services, nothing is recorded and no ledger is created."""
    world.batch("clicks")
    world.spark("orders")

    done = world.run("adopt", name, run_id, "--yes")

    assert done.code == 1
    assert "AWS has no run" in done.err
    assert [event.type for event in world.events()] == ["opened"]


def test_an_unknown_submission_adopts_the_run_with_its_tag(world: World, doubt: Doubt):
    """The run can be adopted even before the submission settles. The ledger records this as a manual decision."""
    run_id = doubt.arrive()

    done = world.run("adopt", "clicks", run_id, "--yes", "--reason", "seen in the console")
    applied = world.run("apply", "--yes", "--format", "json")

    assert done.code == 0, done.err
    assert [(e.run_id, e.by, e.reason) for e in _of_type(world, Adopted)] == [(run_id, "hand", "seen in the console")]
    assert applied.actions("action", "reason", "run_id") == [("none", "in-sync", run_id)]


def test_an_unknown_submission_adopts_a_run_without_its_tag_only_with_force(world: World):
    """Before the submission settles, its request may still start a second run."""
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
    """This resolves the conflict: reconciler follows the chosen run and ignores the other one."""
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


def test_a_conflict_of_two_adopted_runs_is_decided(world: World, doubt: Doubt):
    """A submission with two adopted runs is on hold until `adopt` picks one."""
    one, other = doubt.arrive(), doubt.arrive()
    for run_id in (one, other):
        write(world, Adopted(at=at(), name="clicks", token=doubt.token, run_id=run_id))

    held = world.run("apply", "--yes", "--format", "json")
    done = world.run("adopt", "clicks", other, "--yes")
    applied = world.run("apply", "--yes", "--format", "json")

    assert held.actions("action", "reason") == [("hold", "conflict")]
    assert done.code == 0, done.err
    assert applied.actions("action", "reason", "run_id") == [("none", "in-sync", other)]


def test_nothing_is_adopted_if_the_spec_changed_after_it_was_shown(world: World, monkeypatch: pytest.MonkeyPatch):
    """Another pass submits the spec before the confirmation."""
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
    """The run's content is older than the content of the newest intent. `--allow-rollback` permits the adoption."""
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
    assert "older than the commit applied last" in refused.err
    assert allowed.code == 0


def test_a_run_that_aws_has_forgotten_is_adopted_as_the_ledger_has_it(world: World):
    """The run of a removed spec ended long ago. Its name is shown as unknown, because the ledger does not contain
    it."""
    run_id = _renamed(world)
    terminated_by_others(world, run_id)
    world.run("apply", "--yes", "--only", "old")
    world.aws.reset()

    done = world.run("adopt", "new", run_id, "--yes", "--reason", "renamed")
    again = world.run("apply", "--yes", "--format", "json")
    unknown = world.run("adopt", "new", "no-such-run", "--yes")

    assert done.code == 0, done.err
    assert "name       unknown" in done.out
    assert "AWS no longer has the run. This is its state in the ledger." in done.out
    assert again.actions("name", "action", "reason")[0] == ("new", "hold", "cancelled-outside")
    assert len(world.runs()) == 0
    assert (unknown.code, "it is not in the ledger" in unknown.err) == (1, True)


def test_a_forgotten_run_that_was_live_is_not_taken_as_ended(world: World):
    """How the run ended is unknown. Later passes find that the run is lost."""
    run_id = _renamed(world)
    world.aws.reset()

    done = world.run("adopt", "new", run_id, "--yes")

    assert done.code == 0, done.err
    assert "unknown; last seen as" in done.out
    assert world.run("status", "--format", "json").json["specs"][0]["state"] == "submitted"


def test_the_run_of_a_renamed_spec_stays_where_it_was_started(world: World):
    """The new name has another queue, but the run is looked up in the queue that it was submitted to."""
    run_id = _renamed(world)
    world.write("new.yaml", (world.folder / "new.yaml").read_text().replace("nightly", "other"))

    assert world.run("adopt", "new", run_id, "--yes").code == 0

    (adopted,) = _of_type(world, ManuallyAdopted)
    assert adopted.content.location["jobQueue"] == "nightly"
