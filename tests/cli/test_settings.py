"""Tests that commands show and record changes to reconciler.yaml, and do not apply them from a stale checkout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import plan as plan_command
from reconciler.core.declarations import ProjectDeclared
from tests.campaigns import in_soak
from tests.cli.world import World, aws_environment, project_text, sealed

SUSPENDED = '\n  suspend: {reason: "audit"}'
LIMITED = "\n      limits: {maxCancellations: 3}"


def with_project(world: World, **more: str) -> None:
    """Writes a project file with other settings."""
    world.write("reconciler.yaml", project_text(**more))


def settings_of(world: World) -> list[ProjectDeclared]:
    """Returns the settings that were recorded, in order."""
    return [event for event in world.events() if isinstance(event, ProjectDeclared)]


@pytest.fixture
def repository(world: World) -> World:
    """A repository with one spec that has run, and the branch feature checked out."""
    world.aws.configure(run_seconds=0)
    world.git("init", "--quiet", "--initial-branch", "main")
    world.batch("clicks", "A")
    world.commit()
    assert world.run("apply", "--yes").code == 0
    world.git("checkout", "--quiet", "-b", "feature")
    return world


def test_a_pull_request_that_edits_only_the_project_file_is_a_change(repository: World):
    """In every format, the plan shows the change first, and its id covers the change. `apply` records the change once;
    the next plan is empty."""
    world = repository
    before = world.run("plan", "--format", "json").json
    with_project(world, limits=LIMITED)
    world.commit()

    text = world.run("plan", "--detailed-exitcode")
    markdown = world.run("plan", "--format", "markdown").out
    planned = world.run("plan", "--base", "main", "--format", "json").json
    pending = world.run("plan", "--base", "feature", "--fail-on-pending")
    refused = world.run("apply", "--yes", "--expect", before["plan_id"])
    done = world.run("apply", "--yes", "--expect", planned["plan_id"])
    after = world.run("plan", "--detailed-exitcode")

    assert text.code == 2
    assert "~ targets.staging.limits.maxCancellations: 10 -> 3" in text.out
    assert "Plan: 1 setting changed. 1 in sync." in text.out
    assert markdown.index("`reconciler.yaml`") < markdown.index("- targets.staging.limits.maxCancellations: 10\n")
    assert "+ targets.staging.limits.maxCancellations: 3\n" in markdown
    [change] = planned["project_changes"]
    assert (change["name"], change["kind"], change["origin"]) == ("reconciler.yaml", "Project", "this-change")
    assert (planned["changes"], pending.code) == ([], 1)
    assert "reconciler.yaml" in pending.err
    assert (refused.code, "reconciler.yaml changed" in refused.err) == (1, True)
    assert (done.code, after.code, "No changes." in after.out) == (0, 0, True)
    assert [event.settings["targets"]["staging"]["limits"]["maxCancellations"] for event in settings_of(world)] == [
        10,
        3,
    ]


def clone(world: World, to: Path, *options: str) -> World:
    """Returns a clone whose commands use the same AWS account and the same ledger."""
    world.git("clone", "--quiet", *options, f"file://{world.folder}", str(to))
    return World(to, world.aws, env=aws_environment(world.aws.url), ledger=world.ledger)


@pytest.mark.parametrize("stale", in_soak(["older", "diverged", "shallow"], lambda stale: stale == "shallow"))
def test_a_stale_checkout_does_not_lift_a_suspension(world: World, tmp_path: Path, stale: str):
    """If main has suspended the project, a checkout without that commit submits nothing, whatever new content it
    has."""
    world.aws.configure(run_seconds=0)
    world.ledger = f"sqlite:///{tmp_path}/shared.sqlite"
    world.init()
    world.git("init", "--quiet", "--initial-branch", "main")
    with_project(world, ledger=world.ledger)
    world.batch("clicks", "A")
    old = world.commit()
    assert world.run("apply", "--yes").code == 0
    with_project(world, ledger=world.ledger, more=SUSPENDED)
    world.commit()
    assert world.run("reconcile").code == 0

    world.git("checkout", "--quiet", "-b", "feature", old)
    world.batch("views", "A")
    if stale != "older":
        world.commit()
    here = clone(world, tmp_path / "clone", "--depth", "1") if stale == "shallow" else world
    done = here.run("apply", "--yes", "--format", "json")
    text = here.run("plan", "--detailed-exitcode")
    junit = here.run("plan", "--format", "junit").out
    status = here.run("status")
    passed = here.run("reconcile")

    [change] = done.json["project_changes"]
    words = {"older": "is older than", "diverged": "diverged", "shallow": "shallow clone: fetch the whole history"}
    assert (change["stale"], words[stale] in change["message"]) == (True, True)
    assert ("views", "hold", "stale-checkout") in done.actions("name", "action", "reason")
    assert (done.code, text.code, passed.code) == (3, 3, 3)
    assert "reconciler.yaml is on hold: stale checkout" in text.out
    assert 'type="stale-checkout"' in junit
    assert (status.code, "reconciler.yaml is on hold: " in status.err) == (3, True)
    assert [len(settings_of(world)), len(world.runs())] == [2, 1]
    assert here.run("apply", "--yes", "--allow-rollback").code == 0
    assert [len(settings_of(world)), len(world.runs())] == [3, 2]


def test_a_plan_file_does_not_outlive_the_settings(repository: World, tmp_path: Path):
    """The plan file was made before another commit suspended the project, and the checkout that applies it lacks that
    commit."""
    world = repository
    world.batch("views", "A")
    world.commit()
    file = tmp_path / "a.plan"
    key = {"RECONCILER_PLAN_KEY": "k" * 32}
    world.env |= key
    assert world.run("plan", "--out", file).code == 0
    with_project(world, more=SUSPENDED)
    assert world.run("reconcile").code == 0
    with_project(world)

    for arguments in ([], ["--detached"]):
        done = world.run("apply", "--yes", file, *arguments)
        assert (done.code, "other settings of reconciler.yaml" in done.err) == (1, True)
    assert len(world.runs()) == 1


def test_a_plan_file_records_the_settings(repository: World, tmp_path: Path):
    """The plan file contains the settings. If they were edited, they differ from git, and the file is refused."""
    world = repository
    with_project(world, limits=LIMITED)
    world.batch("views", "A")
    world.commit()
    file = tmp_path / "a.plan"
    assert world.run("plan", "--out", file).code == 0
    form = json.loads(file.read_text())
    form["project_declaration"]["settings"]["suspend"] = True
    (tmp_path / "edited.plan").write_text(sealed(form))
    edited = world.run("apply", "--yes", tmp_path / "edited.plan")

    assert (edited.code, "reconciler.yaml: the plan declares settings" in edited.err) == (1, True)
    assert world.run("apply", "--yes", file).code == 0
    assert len(settings_of(world)) == 2
    assert "No changes." in world.run("plan").out


def test_other_settings_that_come_into_force_during_the_question_end_an_apply(
    repository: World, monkeypatch: pytest.MonkeyPatch
):
    """If another pass suspends the project before the user confirms, nothing is submitted."""
    world = repository
    world.batch("views", "A")

    def meanwhile(*_: Any, **__: Any) -> bool:
        with_project(world, more=SUSPENDED)
        assert world.run("reconcile").code == 0
        return True

    monkeypatch.setattr(plan_command, "confirm", meanwhile)
    done = world.run("apply")

    assert (done.code, "other settings of reconciler.yaml" in done.err) == (1, True)
    assert len(world.runs()) == 1


def test_a_webhook_address_is_nowhere(repository: World):
    """Neither the ledger nor a plan in any format contains the address; both only show that it changed."""
    world = repository
    for secret in ("s3cr3t-one", "s3cr3t-two"):
        with_project(world, limits=f'\n      notify: [{{url: "https://hooks.example.com/{secret}"}}]')
        shown = "".join(world.run("plan", "--format", form).out for form in ("text", "json", "markdown"))
        assert world.run("apply", "--yes").code == 0
        assert "s3cr3t" not in shown
    assert "(sensitive, changed)" in shown
    assert "s3cr3t" not in str(settings_of(world))


def test_an_earlier_ledger_is_compared_with_the_base(repository: World):
    """A ledger of an earlier version contains no settings. The plan notes this, and shows what the pull request itself
    changes."""
    world = repository
    with_project(world, more=SUSPENDED)
    world.commit()
    world.ledger = "sqlite:///earlier.sqlite"
    world.init()
    with_project(world, ledger=world.ledger, more=SUSPENDED)

    planned = world.run("plan", "--base", "main", "--format", "json").json

    [change] = planned["project_changes"]
    assert {field["path"] for field in change["fields"]} == {"suspend", "suspend.reason", "targets.staging.ledger"}
    assert change["origin"] == "this-change"
