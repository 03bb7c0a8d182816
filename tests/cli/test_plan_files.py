"""Tests `plan --out` and `apply FILE`, which applies exactly the approved plan, or explains what has changed and does
nothing."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.events import Intended
from tests.cli.world import World, project_text, sealed


@pytest.fixture
def planned(world: World) -> Path:
    """A plan file for one new spec of each kind."""
    world.spark("orders")
    world.batch("clicks")
    file = world.folder.parent / "approved.plan"
    assert world.run("plan", "--out", file).code == 0
    return file


def _edited(file: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edits the file and recomputes its seal, which needs no key."""
    form = json.loads(file.read_text())
    edit(form)
    file.write_text(sealed(form))


def test_a_plan_file_is_applied_as_it_is(world: World, planned: Path):
    """Only the planned changes are submitted, without later changes."""
    world.batch("later")

    done = world.run("apply", planned, "--yes", "--format", "json")

    assert done.code == 0, done.err
    assert done.actions("name", "outcome") == [("clicks", "submitted"), ("orders", "submitted")]
    assert world.sent("clicks")[0]["containerOverrides"]["command"] == ["work", "A"]


def test_a_plan_file_brings_its_commit_and_target(world: World):
    """Without `-t` and with another commit checked out, the file's own target and commit are used."""
    world.git("init", "--quiet", "--initial-branch", "main")
    world.spark("orders")
    commit = world.commit("planned here")
    file = world.folder.parent / "p.plan"
    world.run("plan", "-t", "staging", "--out", file)
    world.write("reconciler.yaml", project_text(default="local"))
    world.commit("later")

    assert world.run("apply", "--yes", file).code == 0

    assert [event.commit for event in world.events() if isinstance(event, Intended)] == [commit]
    assert len(world.runs()) == 1


def test_uncommitted_changes_are_recorded_with_the_intent(world: World):
    """The plan warns that the commit does not contain the uncommitted changes."""
    world.git("init", "--quiet", "--initial-branch", "main")
    path = world.spark("orders")
    world.commit("first")
    path.write_text(path.read_text() + "# not committed\n")

    done = world.run("apply", "--yes", "--format", "json")

    assert "uncommitted changes" in done.json["warnings"][0]
    assert [event.uncommitted for event in world.events() if isinstance(event, Intended)] == [True]


@pytest.mark.parametrize(
    "edit",
    [
        lambda form: form["actions"][0].update(deletion_policy="Cancel"),
        lambda form: form["actions"][0]["request"].update(tags={"team": "other"}),
        lambda form: form.update(created_at="2026-11-22T02:00:00Z"),
    ],
    ids=["policy", "tags", "time"],
)
def test_any_edit_of_a_sealed_file_is_refused(world: World, planned: Path, edit: Callable[[dict[str, Any]], object]):
    """The edit is refused even if the parts of the file are consistent with each other."""
    form = json.loads(planned.read_text())
    edit(form)
    planned.write_text(json.dumps(form))

    done = world.run("apply", planned, "--yes")

    assert done.code == 1
    assert "was changed after it was created" in done.err
    assert world.runs() == []


def test_a_send_with_a_wrong_number_is_refused(world: World, planned: Path):
    """The attempt number in the file is checked against the ledger."""
    _edited(planned, lambda form: form["actions"][0].update(send=2))

    done = world.run("apply", planned, "--yes")

    assert done.code == 1
    assert "send 2 of clicks does not follow send 0" in done.err
    assert (world.runs(), [event.type for event in world.events()]) == ([], ["opened"])


def test_only_its_owner_can_read_a_plan_file(planned: Path):
    """Only the owner can read the file, because it contains complete requests."""
    assert stat.S_IMODE(planned.stat().st_mode) == 0o600


def test_a_plan_file_replaces_an_older_one_and_leaves_nothing_beside_it(world: World, planned: Path):
    """No temporary file remains."""
    before = planned.read_text()
    world.batch("third")

    assert world.run("plan", "--out", planned).code == 0

    assert planned.read_text() != before
    assert [path.name for path in planned.parent.iterdir() if path.is_file()] == ["approved.plan"]


def test_a_stale_plan_names_every_spec_that_changed(world: World, planned: Path):
    """If another apply submitted both specs, nothing is sent, and the error contains both specs and their ledger
    positions."""
    world.run("apply", "--yes")

    done = world.run("apply", "--yes", planned)

    assert done.code == 1
    assert "stale" in done.err
    assert "clicks: planned at ledger head 0, now " in done.err
    assert "orders: planned at ledger head 0, now " in done.err
    assert len(world.runs()) == 2


def test_applying_a_plan_file_twice_is_refused(world: World, planned: Path):
    """After its actions were performed, the plan file is stale, which is an error."""
    assert world.run("apply", "--yes", planned).code == 0

    again = world.run("apply", "--yes", planned)

    assert again.code == 1
    assert "stale" in again.err
    assert len(world.runs()) == 2


def test_progress_of_other_specs_does_not_matter(world: World, planned: Path):
    """Only the specs of the plan are checked."""
    world.spark("later")
    world.run("apply", "--yes", "--only", "later")

    done = world.run("apply", "--yes", planned)

    assert done.code == 0, done.err
    assert len(world.runs()) == 3


def _request(form: dict[str, Any]) -> None:
    form["actions"][0]["request"]["jobQueue"] = "another"


def _digest(form: dict[str, Any]) -> None:
    form["actions"][0]["digest"] = "sha256:" + "0" * 64


def _token(form: dict[str, Any]) -> None:
    form["actions"][0]["client_token"] = "r1-" + "0" * 48


def _generation(form: dict[str, Any]) -> None:
    form["actions"][0]["generation"] = 7


def _name(form: dict[str, Any]) -> None:
    form["actions"][0]["name"] = "another"


def _no_request(form: dict[str, Any]) -> None:
    form["actions"][0]["request"] = None


def _no_generation(form: dict[str, Any]) -> None:
    form["actions"][0]["generation"] = None


def _kind(form: dict[str, Any]) -> None:
    form["actions"][0]["kind"] = "GlueJob"


def _locate(form: dict[str, Any]) -> None:
    form["actions"][0]["locate"] = {"jobQueue": "another"}


EDITS = [_request, _digest, _token, _generation, _name, _no_request, _no_generation, _kind, _locate]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__.strip("_"))
def test_an_edited_plan_file_is_refused(world: World, planned: Path, edit: Callable[[dict[str, Any]], object]):
    """An edited part of a submit action contradicts the other parts, so nothing is sent."""
    _edited(planned, edit)

    done = world.run("apply", "--yes", planned)

    assert done.code == 1
    assert "changed after it was created" in done.err
    assert world.runs() == []


def test_an_action_about_an_unknown_run_is_refused(world: World, planned: Path):
    """The edited file cancels a run that is not in the ledger."""

    def cancel(form: dict[str, Any]) -> None:
        form["actions"][0] |= {"action": "cancel", "reason": "spec-removed", "run_id": "somebody-elses"}
        form["summary"] |= {"submit": 1, "cancel": 1}

    _edited(planned, cancel)

    done = world.run("apply", "--yes", planned)

    assert done.code == 1
    assert "the ledger has no such run of clicks" in done.err
    assert world.runs() == []


@pytest.mark.parametrize(("key", "value"), [("project", "other"), ("account", "999999999999"), ("region", "us-west-2")])
def test_a_plan_of_another_place_is_refused(world: World, planned: Path, key: str, value: str):
    """The message contains the project, target, account and region of both the plan and the command."""
    _edited(planned, lambda form: form.update({key: value}))

    done = world.run("apply", "--yes", planned)

    assert done.code == 1
    assert value in done.err
    assert world.runs() == []


def test_a_plan_for_another_target_than_the_chosen_one_is_refused(world: World, planned: Path):
    """If `-t` selects another target than the file's, this is an error."""
    done = world.run("apply", "--yes", "-t", "local", planned)

    assert done.code == 1
    assert "target staging" in done.err
    assert world.runs() == []


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format_version": "2.0"}', "[" * 100_000])
def test_a_file_that_is_no_plan_is_refused(world: World, content: str):
    """Other content, and plans of another major version, are refused with a message."""
    file = world.folder.parent / "bad.plan"
    file.write_text(content)

    done = world.run("apply", "--yes", file)

    assert done.code == 1
    assert "plan file" in done.err
    assert "internal error" not in done.err


def test_a_missing_plan_file_is_an_error(world: World):
    """A plan file that cannot be read or written is an error."""
    missing = world.run("apply", "--yes", "missing.plan")
    unwritable = world.run("plan", "--out", "no/such/folder/p.plan")

    assert (missing.code, unwritable.code) == (1, 1)
    assert "missing.plan cannot be read" in missing.err
    assert "p.plan cannot be written" in unwritable.err


def test_a_selection_with_a_plan_file_is_wrong_usage(world: World, planned: Path):
    """`apply FILE` accepts no selection, because the plan already contains it."""
    done = world.run("apply", "--yes", planned, "--only", "orders")

    assert done.code == 64
    assert world.runs() == []


def test_a_suspended_project_applies_no_plan_file(world: World, planned: Path):
    """After the project is suspended, plan files that were approved before are refused."""
    world.write("reconciler.yaml", project_text(more="\n  suspend: {reason: quarter end, owner: team}"))

    done = world.run("apply", "--yes", planned)

    assert done.code == 1
    assert "suspended (quarter end, by team)" in done.err
    assert world.runs() == []


def test_a_plan_beyond_the_limits_is_not_saved(world: World):
    """If the command raises the limit, the plan can be saved and applied."""
    world.write("reconciler.yaml", project_text(limits="\n      limits: {maxSubmissions: 1}"))
    world.spark("orders")
    world.batch("clicks")
    file = world.folder.parent / "p.plan"

    refused = world.run("plan", "--out", file)
    kept_nothing = not file.exists()
    allowed = world.run("plan", "--out", file, "--max-submissions", "2")
    applied = world.run("apply", "--yes", file)

    assert (refused.code, allowed.code, applied.code) == (1, 0, 0)
    assert kept_nothing
    assert len(world.runs()) == 2


def test_a_further_send_uses_the_request_of_the_first(world: World, tmp_path: Path):
    """A changed job name takes effect with the next run. The repeated request and its location are the same as in the
    first send."""
    world.spark("first")
    assert world.run("apply", "--yes").code == 0  # a ledger without intents causes a search in AWS
    path = world.batch("a")
    unreachable = {"AWS_ENDPOINT_URL_BATCH": "http://127.0.0.1:1"}
    reachable, world.env = world.env, world.env | unreachable
    assert world.run("apply", "--yes").code == 1
    world.env = reachable
    path.write_text(path.read_text().replace("jobQueue:", "jobName: renamed\n    jobQueue:"))
    file = tmp_path / "a.plan"
    assert world.run("plan", "--out", file).code == 0

    done = world.run("apply", "--yes", file)

    assert done.code == 0, done.err
    intents = [event for event in world.events() if isinstance(event, Intended) and event.name == "a"]
    assert [1, 2] == [intent.send for intent in intents]
    assert [{"jobQueue": "nightly", "jobName": "a"}] * 2 == [intent.content.location for intent in intents]
    assert ["a"] == [request["jobName"] for request in world.sent("a")]
