"""Tests that commands show every difference from the last-applied content, and when each takes effect."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.declarations import Declared, Undeclared
from reconciler.core.events import Observed
from reconciler.emulator import Plan, Rule
from tests.campaigns import in_soak
from tests.cli.world import Done, World

NIGHTLY = '"0 2 * * *"'


def planned(world: World, *arguments: str) -> tuple[int, list[Any]]:
    """Returns the exit code and the changes of a plan."""
    done = world.run("plan", "--detailed-exitcode", "--format", "json", *arguments)
    assert done.out, done.err
    return done.code, done.json["changes"]


def change_of(world: World, *arguments: str) -> Any:
    """Returns the only change of a plan whose exit code reports changes."""
    code, changes = planned(world, *arguments)
    assert code in {2, 3}
    [change] = changes
    return change


def paths(change: Any) -> list[str]:
    """Returns the paths of a change's fields."""
    return [field["path"] for field in change["fields"]]


def applied(world: World) -> Done:
    """Runs an apply that succeeds and leaves no change in the plan."""
    done = world.run("apply", "--yes")
    assert done.code in {0, 3}, done.err
    assert planned(world)[1] == []
    return done


def declared(world: World) -> list[str]:
    """Returns the names of the specs that were declared and withdrawn, in order."""
    return [
        event.name if isinstance(event, Declared) else f"-{event.name}"
        for event in world.events()
        if isinstance(event, Declared | Undeclared)
    ]


def decisions(world: World) -> list[str]:
    """Returns the types of all events except observations of runs, in order."""
    return [event.type for event in world.events() if not isinstance(event, Observed)]


def test_editing_a_scheduled_job_is_shown_with_the_slot(world: World):
    """The plan shows the request and the schedule in text, JSON and Markdown. The second pass does nothing."""
    world.batch("clicks", "A", schedule=NIGHTLY)
    applied(world)
    world.batch("clicks", "B", schedule='"0 3 * * *"', timeZone="Europe/Madrid")

    change = change_of(world)
    text = world.run("plan").out
    markdown = world.run("plan", "--format", "markdown").out

    assert paths(change) == ["schedule", "timeZone", "request.containerOverrides.command[1]"]
    assert (change["change"], change["effect"]) == ("changed", "next-slot")
    assert change["effect_at"].endswith(":00:00Z")
    assert '~ containerOverrides.command[1]: "A" -> "B"' in text
    assert '~ schedule: "0 2 * * *" -> "0 3 * * *"' in text
    assert '- containerOverrides.command[1]: "A"\n+ containerOverrides.command[1]: "B"' in markdown
    assert '- schedule: "0 2 * * *"\n+ schedule: "0 3 * * *"' in markdown
    for shown in (text, markdown):
        assert f"takes effect with the slot {change['effect_at'][:16]}Z" in shown.replace("`", "")
        assert "Plan: 1 change takes effect later. 0 in sync." in shown
    assert world.run("apply", "--yes").out.endswith("\nApply complete: 1 change recorded, nothing to run.\n")
    assert "No changes. 1 in sync." in world.run("plan").out


def test_editing_a_job_whose_run_is_live_waits_for_it(world: World):
    """With concurrencyPolicy Forbid, the new content waits; the plan contains the live run and the changed field."""
    world.batch("clicks", "A")
    applied(world)
    world.batch("clicks", "B")
    run_id = world.runs()[0].id

    change = change_of(world)

    assert (change["effect"], change["message"]) == ("waits", f"waits for run {run_id} (Forbid)")
    assert f"waits for run {run_id} (Forbid)" in world.run("plan").out
    applied(world)
    assert len(world.runs()) == 1


def test_editing_a_suspended_job_waits_for_the_end_of_the_suspension(world: World):
    """Nothing is sent, and the plan shows the whole edit."""
    world.batch("clicks", "A", suspend="{reason: audit}")
    applied(world)
    world.batch("clicks", "B", suspend="{reason: quarter end}")

    change = change_of(world)

    assert paths(change) == ["suspend.reason", "request.containerOverrides.command[1]"]
    assert change["effect"] == "waits"
    assert "quarter end" in change["message"]


@pytest.mark.parametrize(
    ("field", "value", "path"),  # tests/core/test_changes.py tests every field
    in_soak(
        [
            ("backoffLimit", "3", "backoffLimit"),
            ("backoffSeconds", "5", "backoffSeconds"),
            ("concurrencyPolicy", "Allow", "concurrencyPolicy"),
            ("deletionPolicy", "Cancel", "deletionPolicy"),
            ("restartPolicy", "Always", "restartPolicy"),
            ("startingDeadlineSeconds", "60", "startingDeadlineSeconds"),
            ("targets", "[staging]", "targets"),
            ("suspend", "true", "suspend"),
            ("schedule", NIGHTLY, "schedule"),
        ],
        lambda case: case[0] in {"backoffLimit", "schedule"},
    ),
)
def test_every_policy_field_is_shown_by_its_name(world: World, field: str, value: str, path: str):
    """This applies also to a job that has run and would not run again."""
    world.batch("clicks", "A")
    applied(world)
    world.batch("clicks", "A", **{field: value})

    change = change_of(world)

    assert paths(change) == [path]
    assert path in world.run("plan").out


def test_removing_the_spec_of_a_live_run_says_that_it_keeps_running(world: World):
    """With the deletion policy Cancel, the plan shows that the run will be cancelled. Each spec is withdrawn once."""
    world.batch("clicks", "A")
    world.batch("views", "A", deletionPolicy="Cancel", schedule=NIGHTLY)
    world.batch("other", "A")
    applied(world)
    (world.folder / "clicks.yaml").unlink()
    (world.folder / "views.yaml").unlink()
    run_id = next(run.id for run in world.runs() if run.request["jobName"] == "clicks")

    code, changes = planned(world)
    text = world.run("plan").out

    assert code == 2
    assert [(c["name"], c["change"], c["effect"]) for c in changes] == [
        ("clicks", "removed", "run-goes-on"),
        ("views", "removed", "no-run"),
    ]
    assert f"run {run_id} keeps running (deletionPolicy Orphan)" in text
    assert "schedule stops: 0 2 * * *" in text
    assert "Plan: 2 removed. 1 in sync." in text
    applied(world)
    assert declared(world)[-2:] == ["-clicks", "-views"]


def test_a_removal_names_every_run_and_a_suspended_schedule(world: World):
    """One run is cancelled and another keeps running. The plan names both in text, Markdown and JSON."""
    world.batch("clicks", "A", concurrencyPolicy="Allow", deletionPolicy="Cancel")
    world.batch("nightly", "A", schedule=NIGHTLY, suspend="true")
    world.batch("other", "A")
    applied(world)
    world.batch("clicks", "B", concurrencyPolicy="Allow")
    applied(world)
    (world.folder / "clicks.yaml").unlink()
    (world.folder / "nightly.yaml").unlink()
    first, second = (run.id for run in world.runs() if run.request["jobName"] == "clicks")

    _, [clicks, nightly] = planned(world)
    text, markdown = world.run("plan").out, world.run("plan", "--format", "markdown").out

    message = f"run {first} is cancelled (deletionPolicy Cancel); run {second} keeps running (deletionPolicy Orphan)"
    assert (clicks["effect"], clicks["message"]) == ("run-is-cancelled", message)
    assert nightly["message"] == "schedule stops: 0 2 * * * (it was suspended)"
    for shown in (text, markdown.replace("`", "")):
        assert message in shown
        assert nightly["message"] in shown


def test_a_replaced_run_has_its_own_generation(world: World):
    """The plan shows that the next pass submits the new run, and the results show both runs."""
    world.spark("clicks", "A", concurrencyPolicy="Replace")
    applied(world)
    world.spark("clicks", "B", concurrencyPolicy="Replace")
    run_id = world.runs()[0].id

    shown = world.run("plan").out
    done = world.run("apply", "--yes").out
    again = world.run("apply", "--yes").out

    message = f"run {run_id} (generation 1) is cancelled now; the next pass after its end submits generation 2"
    assert message in shown
    assert f"cancelled  {run_id}  (generation 1; the next pass after its end submits generation 2)" in done
    assert "(generation 2)" in again
    assert [request["jobDriver"]["sparkSubmit"]["entryPointArguments"] for request in world.sent("clicks")] == [
        ["A"],
        ["B"],
    ]


@pytest.mark.parametrize("way", ["spec", "retry"])
def test_a_rejected_job_is_given_an_advice_for_each_cause(world: World, way: str):
    """After a rejection, either a changed spec or a retry is enough; neither needs the other."""
    world.aws.inject(Plan([Rule("lost", "error", operation="SubmitJob", code="ClientException", count=1)]))
    world.batch("clicks", "A")
    world.run("apply", "--yes")
    held = world.run("plan").out

    if way == "spec":
        world.batch("clicks", "B")
    else:
        assert world.run("retry", "clicks", "--yes").code == 0
    done = world.run("apply", "--yes")

    assert "If the spec is wrong, change it: the next apply submits that. If the cause is in AWS, then retry" in held
    assert "reconciler retry clicks" in held
    assert "revision" not in held
    assert done.code == 0, done.err
    assert len(world.runs()) == 1


def test_a_new_spec_behind_a_dependency_shows_its_content(world: World):
    """The plan shows reviewers what will run, long before it runs."""
    world.batch("first", "A")
    applied(world)
    world.batch("second", "B", dependsOn="[{name: first}]")

    change = change_of(world)

    assert (change["change"], change["effect"]) == ("added", "waits")
    assert "request.containerOverrides.command" in paths(change)
    assert '+ containerOverrides.command: ["work", "B"]' in world.run("plan").out


def test_a_plan_file_declares_what_it_carried(world: World, tmp_path: Path):
    """Applying the file reads no specs, and the next plan has no change."""
    file = tmp_path / "plan.json"
    world.batch("clicks", "A", schedule=NIGHTLY)
    world.batch("views", "A")

    world.run("plan", "--out", str(file))
    done = world.run("apply", str(file), "--yes")

    assert done.code == 0, done.err
    assert declared(world) == ["clicks", "views"]
    assert planned(world) == (0, [])


def test_a_plan_file_does_not_undo_what_was_applied_since(world: World, tmp_path: Path):
    """Applying an older plan file does not revert a schedule that a later apply changed."""
    file = tmp_path / "plan.json"
    world.batch("clicks", "A", schedule=NIGHTLY)
    world.run("plan", "--out", str(file))
    world.batch("clicks", "A", schedule='"0 3 * * *"')
    applied(world)

    done = world.run("apply", str(file), "--yes")

    assert done.code == 1
    assert "clicks" in done.err
    assert declared(world) == ["clicks"]
    assert planned(world) == (0, [])


def test_a_request_is_stored_once(world: World):
    """A request is stored in the intent that sent it, or in the first declaration that contained it."""
    world.batch("clicks", "A")
    world.batch("views", "A", schedule=NIGHTLY)
    applied(world)
    world.batch("clicks", "A", backoffLimit="1")
    world.batch("views", "A", schedule=NIGHTLY, backoffLimit="1")
    applied(world)

    events = [event for event in world.events() if isinstance(event, Declared)]

    assert [(e.name, e.request is None, e.token is None) for e in events] == [
        ("clicks", True, False),
        ("views", False, True),
        ("clicks", True, False),
        ("views", True, True),
    ]
    assert events[3].request_at is not None


def test_status_says_that_a_change_is_pending(world: World):
    """The current run matches the ledger, but git contains different content for the next run."""
    world.batch("clicks", "A", schedule=NIGHTLY)
    applied(world)
    world.batch("clicks", "B", schedule=NIGHTLY)

    assert "in sync, change pending" in world.run("status").out


def test_a_spec_that_waits_for_its_first_run_is_not_stale(world: World):
    """A later commit that changes another spec does not put a waiting spec on hold."""
    world.git("init", "--quiet")
    world.write(".gitignore", "*.sqlite*\n")
    world.batch("clicks")
    world.batch("report", dependsOn="[{name: clicks}]")
    world.commit()
    applied(world)
    world.batch("clicks", "B")
    world.commit()
    applied(world)

    actions = world.run("plan", "--format", "json").actions("name", "action")

    assert ("report", "wait") in actions


@pytest.mark.parametrize(
    "edit", in_soak(["schedule", "suspend", "removal", "request"], {"schedule", "removal"}.__contains__)
)
def test_an_old_checkout_undoes_nothing(world: World, edit: str):
    """Content that a newer commit applied is not replaced. The spec has one hold and no schedule event, whichever field
    differs."""
    world.git("init", "--quiet")
    world.write(".gitignore", "*.sqlite*\n")
    world.batch("clicks", "A", schedule=NIGHTLY)
    world.batch("other", "A")
    old = world.commit()
    if edit == "removal":
        world.batch("views", "A", schedule=NIGHTLY)
    newer = {"schedule": {"schedule": '"0 3 * * *"'}, "suspend": {"schedule": NIGHTLY, "suspend": "true"}}
    world.batch("clicks", "B" if edit == "request" else "A", **newer.get(edit, {"schedule": NIGHTLY}))
    new = world.commit()
    applied(world)
    before = decisions(world)
    world.git("checkout", "--quiet", old)

    done = world.run("apply", "--yes", "--format", "json")

    assert done.code == 3
    held = "views" if edit == "removal" else "clicks"
    assert (held, "hold", "stale-checkout") in done.actions("name", "action", "reason")
    assert done.json["schedules"] == []
    assert f"older than the commit applied last ({new[:12]})" in done.out
    assert decisions(world) == before
    assert world.run("apply", "--yes", "--allow-rollback").code == 0
    assert len(decisions(world)) > len(before)


def test_an_approval_holds_for_the_same_meaning_only(world: World):
    """`apply --expect` applies the plan if its id is the approved one. If the plan has another id, the command shows
    the differences."""
    world.batch("clicks", "A", schedule=NIGHTLY)
    world.batch("views", "A")
    approved = world.run("plan", "--format", "json").json["plan_id"]

    again = world.run("plan", "--format", "json", "--at", "2030-01-01T00:00:00Z").json["plan_id"]
    world.batch("views", "B")
    refused = world.run("apply", "--yes", "--expect", approved)
    world.batch("views", "A")
    done = world.run("apply", "--yes", "--expect", approved)

    assert re.fullmatch("p-[0-9a-f]{16}", approved)
    assert again == approved
    assert refused.code == 1
    assert "views added (runs-now)" in refused.err
    assert done.code == 0, done.err
    assert len(world.runs()) == 1
