"""Tests `apply FILE` with a file from an attacker who knows everything except the key. Only changes that are in git are
sent."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.identity import Place, SubmissionKey, client_token, digest
from tests.campaigns import pairs
from tests.cli.doubt import in_doubt
from tests.cli.world import ACCOUNT, REGION, Done, World, sealed

PLACE = Place("shop", "staging", ACCOUNT, REGION)
Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def checkout(world: World) -> World:
    """A clean checkout with one spec of each kind."""
    world.write(".gitignore", "ledger.sqlite*\n*.plan\n")
    world.git("init", "--quiet", "--initial-branch", "main")
    world.spark("orders")
    world.batch("clicks")
    world.commit("first")
    return world


def saved(world: World, *options: str) -> dict[str, Any]:
    """Saves a plan in `a.plan`, and returns it."""
    done = world.run("plan", "--out", "a.plan", *options)
    assert done.code == 0, done.err
    form: dict[str, Any] = json.loads((world.folder / "a.plan").read_text())
    return form


def forged(world: World, form: dict[str, Any], name: str, edit: Edit) -> None:
    """Writes the plan file with an edited action, and recomputes the digest, location, client token and seal."""
    action = next(action for action in form["actions"] if action["name"] == name)
    edit(action)
    if action["request"] is not None:
        action["digest"] = digest(action["kind"], action["revision"], action["request"])
        action["client_token"] = client_token(
            PLACE, action["kind"], SubmissionKey(name, action["generation"], None, action["attempt"]), action["digest"]
        )
    (world.folder / "a.plan").write_text(sealed(form))


def applied(world: World, *options: str) -> Done:
    """Applies `a.plan`."""
    return world.run("apply", "a.plan", "--yes", *options)


def refused(world: World, *words: str) -> None:
    """Applies `a.plan` and asserts that it is refused with this message and without an effect on AWS or the ledger."""
    before = len(world.runs()), len(world.events())
    done = applied(world)
    assert done.code == 1, done.out
    for word in (*words, "othing was sent"):
        assert word in done.err
    assert (len(world.runs()), len(world.events())) == before


def _role(action: dict[str, Any]) -> None:
    action["request"]["executionRoleArn"] = f"arn:aws:iam::{ACCOUNT}:role/admin"


def _code(action: dict[str, Any]) -> None:
    action["request"]["jobDriver"]["sparkSubmit"]["entryPoint"] = "s3://elsewhere/evil.py"


def _tags(action: dict[str, Any]) -> None:
    action["request"]["tags"] = {"cost-center": "another"}


FORGERIES: list[tuple[Edit, str]] = [
    (_role, "request.executionRoleArn"),
    (_code, "request.jobDriver.sparkSubmit.entryPoint"),
    (_tags, "request.tags"),
    (
        lambda action: action.update(generation=7),
        "submit of generation 7, but the specs require submit of generation 1",
    ),
    (lambda action: action.update(revision=2), "revision"),
    (lambda action: action.update(deletion_policy="Cancel"), "deletion_policy"),
    (lambda action: action.update(backoff_limit=9), "backoff_limit"),
    (lambda action: action.update(reason="retry"), "reason"),
]


PLACES = ["git", "edited", "later", "outside"]


@pytest.mark.parametrize(
    ("edit", "word", "place"),
    pairs(FORGERIES, PLACES),
    ids=lambda value: getattr(value, "__name__", str(value)[:12]),
)
def test_an_edited_plan_with_a_new_seal_is_refused(checkout: World, edit: Edit, word: str, place: str):
    """The error shows the difference, whether the specs of the commit are in the work tree, only in git, or in a folder
    without git."""
    if place == "outside":
        shutil.rmtree(checkout.folder / ".git")
    form = saved(checkout)
    if place == "edited":
        checkout.batch("views", "not committed")
    if place == "later":
        checkout.spark("orders", "later")
        checkout.commit("later")
    forged(checkout, form, "orders", edit)

    refused(checkout, "orders: ", word)


def test_a_plan_is_applied_from_its_commit_whatever_the_files_are_now(checkout: World):
    """The specs of a clean commit are read from git, so later commits and edits have no effect."""
    saved(checkout)
    checkout.batch("clicks", "later")
    checkout.commit("later")
    checkout.batch("clicks", "not committed")

    done = applied(checkout)

    assert done.code == 0, done.err
    assert checkout.sent("clicks")[0]["containerOverrides"]["command"] == ["work", "A"]


@pytest.mark.parametrize("in_git", [True, False])
def test_a_plan_without_a_commit_is_compared_with_the_files(checkout: World, in_git: bool):
    """A plan from uncommitted changes or outside git is refused once the files have changed."""
    if not in_git:
        shutil.rmtree(checkout.folder / ".git")
    checkout.batch("clicks", "SECRET-B")
    saved(checkout)
    checkout.batch("clicks", "SECRET-C")
    refused(checkout, "the files of the project", "clicks: ", "request.containerOverrides.command[1]")
    assert "SECRET" not in applied(checkout).err
    checkout.batch("clicks", "SECRET-B")

    assert applied(checkout).code == 0
    assert len(checkout.runs()) == 2


def test_a_commit_that_was_not_merged_asks_for_nothing(checkout: World):
    """The file matches a commit of another branch, which this clone contains."""
    checkout.git("switch", "--quiet", "--create", "proposed")
    checkout.spark("orders", "proposed")
    checkout.commit("proposed")
    saved(checkout)
    checkout.git("switch", "--quiet", "main")

    refused(checkout, "older than that")
    checkout.batch("clicks", "B")
    checkout.commit("second")
    refused(checkout, "does not contain that commit")


def test_a_plan_without_a_commit_is_refused_in_git(checkout: World):
    """The commit was removed from the file, so the intents would not record the commit that caused the runs."""
    form = saved(checkout)
    (checkout.folder / "a.plan").write_text(sealed({**form, "commit": None}))

    refused(checkout, "contains no commit")


def test_a_commit_without_git_is_refused(checkout: World):
    """Outside git, the specs of the commit cannot be read. The error explains how to apply the plan anyway."""
    saved(checkout)
    shutil.rmtree(checkout.folder / ".git")

    refused(checkout, "is not a git checkout", "--detached")


def test_a_run_that_git_keeps_is_not_cancelled(checkout: World):
    """The forged file also cancels or replaces a live run in the ledger."""
    assert checkout.run("apply", "--yes").code == 0
    form = saved(checkout)
    form["summary"] |= {"none": form["summary"]["none"] - 1, "cancel": 1}
    forged(checkout, form, "orders", lambda action: action.update(action="cancel", reason="spec-removed"))

    refused(
        checkout, "orders: the plan has cancel of generation 1, but the specs require none of generation 1 (in-sync)"
    )


def test_what_ran_does_not_run_again(checkout: World):
    """The forged file also submits unchanged content as the next generation."""
    form = saved(checkout)
    assert checkout.run("apply", "--yes").code == 0
    _, heads = saved(checkout)["actions"]
    _, submit = form["actions"]
    form |= {"actions": [submit], "changes": [], "declarations": [], "summary": {**form["summary"], "submit": 1}}
    forged(checkout, form, "orders", lambda action: action.update(generation=2, ledger_head=heads["ledger_head"]))

    refused(checkout, "orders: the plan has submit of generation 2, but the specs require none of generation 1")


def test_schedules_and_declarations_are_compared(checkout: World):
    """A forged schedule would start runs later, and a forged declaration would hide a change from the next plan."""
    checkout.batch("nightly", schedule='"0 3 * * *"')
    checkout.commit("nightly")
    form = saved(checkout)
    form["schedules"][0]["schedule"] = "* * * * *"
    (checkout.folder / "a.plan").write_text(sealed(form))
    refused(checkout, "nightly: the plan starts a schedule")

    form = saved(checkout)
    form["declarations"][0]["policy"]["concurrencyPolicy"] = "Allow"
    (checkout.folder / "a.plan").write_text(sealed(form))
    refused(checkout, "clicks: the plan declares different content or a different policy")


def test_a_rename_that_git_does_not_ask_for_is_refused(checkout: World):
    """The forged rename would assign the runs of one spec to a new spec."""
    form = saved(checkout, "--only", "clicks")
    assert checkout.run("apply", "--yes", "--only", "orders").code == 0
    form["changes"][0] |= {"change": "renamed", "renamed_from": "orders"}
    (checkout.folder / "a.plan").write_text(sealed(form))

    refused(checkout, "clicks")


def test_a_rename_of_git_is_applied(checkout: World):
    """The specs of the commit still contain the former name."""
    assert checkout.run("apply", "--yes").code == 0
    text = checkout.folder.joinpath("clicks.yaml").read_text()
    checkout.write("views.yaml", text.replace("name: clicks", "name: views\n  renamedFrom: clicks"))
    (checkout.folder / "clicks.yaml").unlink()
    checkout.commit("renamed")
    assert saved(checkout)["changes"][0]["renamed_from"] == "clicks"

    done = applied(checkout)

    assert done.code == 0, done.err
    assert len(checkout.runs()) == 2


def test_a_time_in_the_future_is_refused(checkout: World):
    """Tomorrow's slots are not due, even if the file contains a later time."""
    form = saved(checkout)
    form["created_at"] = "2099-01-01T00:00:00Z"
    (checkout.folder / "a.plan").write_text(sealed(form))

    refused(checkout, "a time in the future")


def test_a_retry_is_asked_for_by_the_state_of_the_run(checkout: World):
    """The ledger does not contain the failure of the run yet, so `apply` reads its state from AWS, as `plan` did."""
    checkout.aws.configure(run_seconds=0, outcome="failed")
    checkout.spark("orders", backoffLimit="1", backoffSeconds="0")
    checkout.commit("retries")
    checkout.run("apply", "--yes", "--only", "orders")
    form = saved(checkout, "--only", "orders")
    assert form["actions"][0]["reason"] == "retry"

    done = applied(checkout, "--format", "json")

    assert done.actions("reason", "outcome") == [("retry", "submitted")], done.err
    assert len(checkout.sent("orders")) == 2


@pytest.mark.parametrize("gone", [True, False], ids=["removed", "replaced"])
def test_a_run_that_ended_since_does_not_refuse_its_cancellation(checkout: World, gone: bool):
    """A run may end while the plan waits for approval. If it is still live in the ledger, its cancellation is
    allowed."""
    policy = {"concurrencyPolicy": "Replace", "deletionPolicy": "Cancel"}
    path = checkout.batch("clicks", "A", **policy)
    checkout.commit("policies")
    checkout.run("apply", "--yes")
    if gone:
        path.unlink()
    else:
        checkout.batch("clicks", "B", **policy)
    checkout.commit("changed")
    saved(checkout)
    checkout.aws.configure(run_seconds=0)

    done = applied(checkout, "--format", "json")

    assert done.actions("action", "outcome")[0] == ("cancel" if gone else "replace", "cancelled"), done.err


def test_a_run_that_was_lost_from_view_is_adopted(checkout: World):
    """`apply` checks in AWS that the run has the tag of the submission, and refuses any other run."""
    run_id = in_doubt(checkout, "clicks").arrive()
    form = saved(checkout, "--only", "clicks")
    assert [(action["action"], action["run_id"]) for action in form["actions"]] == [("adopt", run_id)]
    forged(checkout, form, "clicks", lambda action: action.update(run_id="somebody-elses"))
    refused(checkout, "clicks: ", "adopt of generation 1")
    saved(checkout, "--only", "clicks")

    done = applied(checkout, "--format", "json")

    assert done.actions("action", "outcome") == [("adopt", "adopted")], done.err


def test_a_rollback_is_allowed_by_the_command_that_applies_it(checkout: World):
    """The plan file does not grant the permission, because anyone could add it there."""
    checkout.batch("clicks", "A", concurrencyPolicy="Allow")
    old = checkout.commit("at the same time")
    checkout.batch("clicks", "B", concurrencyPolicy="Allow")
    checkout.commit("second")
    checkout.run("apply", "--yes")
    checkout.git("checkout", "--quiet", old)
    saved(checkout, "--allow-rollback")

    refused(checkout, "clicks: ", "--allow-rollback overrides")
    assert applied(checkout, "--allow-rollback").code == 0
    assert len(checkout.sent("clicks")) == 2


def test_a_file_that_names_an_older_commit_is_refused(checkout: World):
    """The current run comes from a newer commit, and submitting the older content as the next generation would undo
    that commit."""
    checkout.batch("clicks", "A", concurrencyPolicy="Allow")
    checkout.commit("at the same time")
    form = saved(checkout, "--only", "clicks")
    checkout.batch("clicks", "B", concurrencyPolicy="Allow")
    checkout.commit("second")
    assert checkout.run("apply", "--yes").code == 0
    (head,) = {action["ledger_head"] for action in saved(checkout, "--only", "clicks")["actions"]}
    form |= {"declarations": [], "changes": [], "schedules": []}
    edit = {"generation": 2, "ledger_head": head, "reason": "spec-changed"}
    forged(checkout, form, "clicks", lambda action: action.update(edit))

    refused(checkout, "clicks: ", "is older than the commit applied last")


def test_a_file_without_its_seal_is_refused(checkout: World):
    """Nothing except the seal has changed."""
    form = saved(checkout)
    del form["seal"]
    (checkout.folder / "a.plan").write_text(json.dumps(form))

    refused(checkout, "has no seal")


KEY = "RECONCILER_PLAN_KEY"


@pytest.fixture
def alone(checkout: World, tmp_path: Path) -> World:
    """A folder with only the project file and a plan that was made with a key, without specs or git."""
    checkout.env |= {KEY: "key of the team"}
    saved(checkout)
    folder = tmp_path / "alone"
    folder.mkdir()
    for name in ("reconciler.yaml", "a.plan"):
        shutil.copy(checkout.folder / name, folder)
    made = World(folder, checkout.aws, env=checkout.env)
    made.init()
    return made


def test_a_detached_plan_needs_no_checkout(alone: World):
    """The HMAC proves that somebody with the key created the plan."""
    done = applied(alone, "--detached")

    assert done.code == 0, done.err
    assert len(alone.runs()) == 2


def test_a_key_alone_does_not_detach(alone: World):
    """Without the option, the plan must be compared with the checkout."""
    refused(alone, "is not a git checkout")


@pytest.mark.parametrize("key", ["", "key of others"])
def test_a_detached_plan_needs_the_same_key(alone: World, key: str):
    """A wrong key and a missing key are refused, and the key is not printed."""
    alone.env |= {KEY: key}

    done = applied(alone, "--detached")

    assert (done.code, alone.runs()) == (1, [])
    assert KEY in done.err
    assert "key of" not in done.err


def test_a_detached_plan_needs_an_hmac(alone: World):
    """A file is refused if it was created without a key, or if its HMAC was removed or is not a string."""
    form = json.loads((alone.folder / "a.plan").read_text())
    for hmac in ({}, {"hmac": None}, {"hmac": ["ä"]}):
        rest = {name: value for name, value in form.items() if name != "hmac"}
        (alone.folder / "a.plan").write_text(sealed({**rest, **hmac}))
        done = applied(alone, "--detached")
        assert (done.code, alone.runs()) == (1, [])
        assert "HMAC" in done.err


def test_an_edited_detached_plan_is_refused(alone: World):
    """The digest, token and seal of the edited file match, but its HMAC does not."""
    form = json.loads((alone.folder / "a.plan").read_text())
    forged(alone, form, "orders", _role)

    done = applied(alone, "--detached")

    assert (done.code, alone.runs()) == (1, [])
    assert "does not have the HMAC" in done.err


def test_detached_without_a_file_is_wrong_usage(checkout: World):
    """Without a file, there is no HMAC to verify."""
    assert checkout.run("apply", "--yes", "--detached").code == 64
