"""Tests `renamedFrom`: a renamed spec keeps its runs, and nothing runs twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.core.events import Intended, Missed, ScheduledSince, SpecRenamed
from reconciler.core.times import time_text
from tests.cli.doubt import in_doubt, write
from tests.cli.test_changes import change_of, decisions, planned
from tests.cli.test_lost_ledger import clone, lose
from tests.cli.world import World


def rename(world: World, old: str, new: str, argument: str = "A", **policy: str) -> Path:
    """Writes the spec under its new name, and removes the file with the former name."""
    (world.folder / f"{old}.yaml").unlink()
    path = world.batch(new, argument, **policy)
    path.write_text(path.read_text().replace("  labels:", f"  renamedFrom: {old}\n  labels:"))
    return path


def test_a_renamed_spec_keeps_its_run_and_nothing_runs(world: World):
    """The plan shows the rename in every format. `status`, `history` and `why` show the run under the new name."""
    world.batch("old")
    world.run("apply", "--yes")
    rename(world, "old", "new")
    run_id = world.runs()[0].id

    change, text = change_of(world), world.run("plan").out
    markdown, before = world.run("plan", "--format", "markdown").out, world.run("status").out
    applied = world.run("apply", "--yes")
    row = world.run("status", "--format", "json").json["specs"]

    assert (change["change"], change["renamed_from"], change["effect"]) == ("renamed", "old", "run-goes-on")
    assert f"takes over the record of old; run {run_id} keeps running" in text
    assert "# new is renamed from old" in text
    assert "is renamed from old" in markdown
    assert "Plan: 1 renamed. 0 in sync." in text
    assert run_id in before
    assert applied.code == 0, applied.err
    assert decisions(world) == [
        "opened",
        "intended",
        "submitted",
        "project-declared",
        "declared",
        "spec-renamed",
        "declared",
    ]
    assert [(spec["name"], spec["run_id"], spec["reason"]) for spec in row] == [("new", run_id, "in-sync")]
    assert planned(world) == (0, [])
    assert len(world.runs()) == 1
    history = world.run("history", "new").out
    assert run_id in history
    assert "renamed from old" in history
    assert world.run("history", "old").out == history
    why = world.run("why", run_id)
    assert "new (BatchJob), generation 1, submitted as old" in why.out


def test_a_rename_with_other_content_runs_as_the_next_generation(world: World):
    """The fields are compared with the fields recorded for the former name, before and after the rename is recorded."""
    world.batch("old", "A", deletionPolicy="Cancel")
    world.run("apply", "--yes")
    world.run("cancel", "old", "--yes")
    rename(world, "old", "new", "B", backoffLimit="2", deletionPolicy="Cancel")

    change = change_of(world)
    applied = world.run("apply", "--yes", "--format", "json")

    assert [field["path"] for field in change["fields"]] == [
        "backoffLimit",
        "request.containerOverrides.command[1]",
        "request.jobName",
    ]
    assert applied.actions("name", "action", "reason", "generation", "outcome") == [
        ("new", "submit", "spec-changed", 2, "submitted")
    ]
    assert [len(world.sent(name)) for name in ("old", "new")] == [1, 1]
    world.batch("new", "C", backoffLimit="2", deletionPolicy="Cancel")
    [field] = change_of(world)["fields"]
    assert (field["path"], field["before"], field["after"]) == ("request.containerOverrides.command[1]", "B", "C")


def test_a_submission_that_is_unknown_is_found_by_its_own_token(world: World):
    """The process died after recording the intent under the former name. The run appears after the rename."""
    doubt = in_doubt(world, "old")
    rename(world, "old", "new")
    waiting = world.run("apply", "--yes", "--format", "json")
    run_id = doubt.arrive()

    found = world.run("apply", "--yes", "--format", "json", "--only", "new")

    assert waiting.actions("name", "action", "client_token") == [("new", "wait", doubt.token)]
    assert found.actions("name", "action", "outcome", "run_id") == [("new", "adopt", "adopted", run_id)]
    assert [event.name for event in world.events() if isinstance(event, Intended)] == ["old"]
    assert len(world.runs()) == 1


def test_a_saved_plan_records_the_rename_once(world: World):
    """The plan file is applied twice, and a plan from an earlier state is refused."""
    world.batch("old")
    world.run("apply", "--yes")
    rename(world, "old", "new", "B", concurrencyPolicy="Allow")
    world.run("plan", "--out", "plan.json")

    first = world.run("apply", "plan.json", "--yes")
    second = world.run("apply", "plan.json", "--yes")

    assert first.code == 0, first.err
    assert second.code == 1
    assert "stale" in second.err
    assert len([event for event in world.events() if isinstance(event, SpecRenamed)]) == 1
    assert len(world.runs()) == 2


def test_an_old_checkout_neither_runs_the_former_name_nor_stops_the_new_one(world: World):
    """A checkout of the commit before the rename changes nothing, whatever the deletion policy is. A newer commit that
    reverts the rename takes effect."""
    world.git("init", "--quiet")
    world.batch("old", deletionPolicy="Cancel")
    before = world.commit("old")
    world.run("apply", "--yes")
    rename(world, "old", "new", deletionPolicy="Cancel")
    after = world.commit("new")
    world.run("apply", "--yes")

    world.git("checkout", "--quiet", before)
    stale = world.run("reconcile", "--format", "json")
    world.git("checkout", "--quiet", after)
    rest = world.run("plan", "--detailed-exitcode", "--format", "json")

    assert stale.code == 3
    assert stale.actions("name", "action", "reason") == [
        ("new", "hold", "stale-checkout"),
        ("old", "hold", "stale-checkout"),
    ]
    assert rest.code == 0, rest.out
    assert len(world.runs()) == 1
    assert decisions(world) == [
        "opened",
        "intended",
        "submitted",
        "project-declared",
        "declared",
        "spec-renamed",
        "declared",
    ]


def test_a_stale_checkout_does_not_rename(world: World):
    """A newer commit has changed the spec under its former name, so the branch that renames it must be rebased
    first."""
    world.git("init", "--quiet")
    world.batch("old")
    base = world.commit("old")
    world.run("apply", "--yes")
    rename(world, "old", "new")
    branch = world.commit("branch: new")
    world.git("checkout", "--quiet", base)
    world.batch("old", backoffLimit="3")
    world.commit("main: more attempts")
    world.run("apply", "--yes")

    world.git("checkout", "--quiet", branch)
    done = world.run("apply", "--yes", "--format", "json")

    assert done.code == 3
    assert done.actions("name", "action", "reason") == [("new", "hold", "stale-checkout")]
    assert "spec-renamed" not in decisions(world)
    assert len(world.runs()) == 1


def test_names_that_cannot_be_are_errors_with_their_location(world: World):
    """The former name still exists, two specs have the same former name, or a spec has its own name as its former
    name."""
    world.batch("old")
    world.run("apply", "--yes")
    text = rename(world, "old", "new").read_text()
    world.batch("old")
    world.write("twin.yaml", text.replace("name: new", "name: twin"))
    world.write("own.yaml", text.replace("name: new", "name: own").replace("From: old", "From: own"))

    done = world.run("validate")

    assert done.code == 1
    assert "new.yaml:5:16: error: metadata.renamedFrom: old is still in the project, at old.yaml:4:9" in done.err
    assert "own.yaml:5:16: error: metadata.renamedFrom: own is the name of this spec" in done.err
    (world.folder / "old.yaml").unlink()
    (world.folder / "own.yaml").unlink()
    twins = world.run("plan")
    assert twins.code == 1
    assert (
        "new.yaml:5:16: error: metadata.renamedFrom: old is also the former name of the spec at twin.yaml" in twins.err
    )
    assert (
        "twin.yaml:5:16: error: metadata.renamedFrom: old is also the former name of the spec at new.yaml" in twins.err
    )


def test_names_of_other_targets_are_no_conflict(world: World):
    """A spec is renamed in one target and unchanged in the other."""
    world.batch("old", targets="[staging, local]")
    world.run("apply", "--yes")
    rename(world, "old", "new", targets="[staging]")
    world.batch("old", targets="[local]")

    done = world.run("apply", "--yes", "--format", "json")

    assert done.code == 0, done.err
    assert done.actions("name", "action") == [("new", "none")]
    assert len(world.runs()) == 1


def test_an_unknown_former_name_is_noted_at_its_location(world: World):
    """The spec runs as a new spec."""
    world.batch("orders")
    world.batch("gone")
    rename(world, "gone", "new")

    done = world.run("plan")

    assert "Warning: new.yaml:5:16: renamedFrom: the ledger has no record of gone, so new is a new spec." in done.out
    assert "Plan: 2 to submit now" in done.out


def test_decisions_work_before_the_rename_is_applied(world: World):
    """A manual decision first records the rename. If the former name is given, the error message contains the current
    one."""
    world.batch("old")
    world.run("apply", "--yes")
    rename(world, "old", "new")

    old = world.run("cancel", "old", "--yes")
    done = world.run("cancel", "new", "--yes", "--reason", "wrong input")

    assert old.code == 64
    assert "old was renamed to new" in old.err
    assert done.code == 0, done.err
    assert decisions(world)[-3:] == ["spec-renamed", "cancel-asked", "cancel-accepted"]


def test_a_lost_ledger_finds_the_run_by_the_former_name(world: World):
    """The run is found by its tags, which contain the former name and the token of its submission."""
    world.batch("old")
    world.run("apply", "--yes")
    rename(world, "old", "new")
    world.run("apply", "--yes")
    lose(world)

    done = world.run("apply", "--yes", "--format", "json")

    assert done.actions("name", "action", "reason", "outcome") == [("new", "adopt", "found", "adopted")]
    assert len(world.runs()) == 1


def test_a_lost_ledger_is_rebuilt_under_the_new_name(world: World):
    """The runs of both generations are tagged with the former name. The token of the newer one identifies its
    content."""
    world.batch("old", "A", concurrencyPolicy="Allow")
    world.run("apply", "--yes")
    world.batch("old", "B", concurrencyPolicy="Allow")
    world.run("apply", "--yes")
    rename(world, "old", "new", "B", concurrencyPolicy="Allow")
    world.run("apply", "--yes")
    lose(world)

    done = world.run("fsck", "--adopt", "--yes")
    again = world.run("fsck")
    rest = world.run("apply", "--yes", "--format", "json")

    assert done.code == 0, done.out + done.err
    assert again.code == 0, again.out
    assert set(rest.actions("name", "action")) == {("new", "none")}
    assert len(world.runs()) == 2


def test_a_copied_run_of_a_renamed_spec_is_reported_under_the_new_name(world: World):
    """Both runs are tagged with the former name. Before the run was copied, `fsck` reports nothing."""
    world.batch("old")
    world.run("apply", "--yes")
    rename(world, "old", "new")
    world.run("apply", "--yes")

    clean = world.run("fsck")
    clone(world)
    second = world.run("fsck")

    assert clean.code == 0, clean.out
    assert second.code == 3
    assert "has the tag of new, generation 1" in second.out


def test_the_plan_suggests_the_former_name_and_no_command_that_fails(world: World):
    """This also applies to a spec with a schedule."""
    world.batch("old", schedule='"0 2 * * *"')
    world.run("apply", "--yes")
    (world.folder / "old.yaml").unlink()
    world.batch("new", schedule='"0 2 * * *"')

    done = world.run("plan")

    assert "If it was renamed, add `renamedFrom: old` to its metadata (new.yaml:1)" in done.out
    assert "reconciler adopt" not in done.out


@pytest.mark.parametrize(
    ("spec_leaves", "reason", "words"),
    [
        (True, "removed", "never run: the spec was removed before the slot ran"),
        (False, "rescheduled", "never run: due by the former schedule"),
    ],
)
def test_a_due_slot_that_a_schedule_loses_is_recorded_as_missed(
    world: World, spec_leaves: bool, reason: str, words: str
):
    """The plan lists the slots, and the ledger records them once, with the event that stops the schedule."""
    world.aws.configure(run_seconds=0)
    world.batch("other")
    world.batch("old", schedule='"* * * * *"', suspend="true")
    world.run("apply", "--yes")
    began = time_text(datetime.now(UTC) - timedelta(minutes=3))
    write(
        world,
        ScheduledSince(
            at=began, name="old", kind="BatchJob", since=began, schedule="* * * * *", time_zone="UTC", actor="tests"
        ),
    )
    if spec_leaves:
        (world.folder / "old.yaml").unlink()
    else:
        world.batch("old")

    shown = world.run("plan").out
    world.run("apply", "--yes")
    world.run("apply", "--yes")

    assert words in shown
    [missed] = [event for event in world.events() if isinstance(event, Missed)]
    assert (missed.name, missed.reason, missed.count) == ("old", reason, 3)
    assert "3 slots from" in world.run("history", "old").out
