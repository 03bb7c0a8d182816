"""Tests the output of read-only commands, and that they change nothing."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.cli.world import COMMAND, World, batch_text, project_text


@pytest.mark.parametrize("target", ["staging", "local"])
def test_reading_commands_create_nothing(world: World, target: str):
    """Before the first apply, read-only commands create no file, neither a ledger nor the state of the emulator."""
    world.batch("clicks")
    before = world.files()

    for command in (["validate"], ["plan"], ["plan", "--format", "json"], ["status"], ["history", "x"], ["why", "x"]):
        world.run(*command, *([] if command == ["validate"] else ["-t", target]))

    assert world.files() == before
    assert not (world.folder / ".reconciler").exists()


def test_reading_commands_change_nothing(world: World):
    """`plan` and `status` show new states of runs but write nothing to the ledger."""
    world.batch("clicks")
    world.run("apply", "--yes")
    world.aws.finish(world.runs()[0].id, "failed")
    before = world.log().recorded.position

    plan = world.run("plan", "--format", "json")
    status = world.run("status", "--format", "json")
    recorded = world.run("status", "--no-refresh", "--format", "json")

    assert plan.actions("reason") == [("retries-exhausted",)]
    assert [spec["state"] for spec in status.json["specs"]] == ["failed"]
    assert [spec["state"] for spec in recorded.json["specs"]] == ["submitted"]
    assert world.log().recorded.position == before


def test_no_refresh_does_not_call_aws(world: World):
    """`plan` and `status` with `--no-refresh` work while AWS is unreachable; without the option, they fail."""
    world.batch("clicks")
    world.run("apply", "--yes")
    world.aws.stop()

    offline = [world.run("plan", "--no-refresh").code, world.run("status", "--no-refresh").code]

    assert offline == [0, 0]


@pytest.mark.parametrize(
    "command",
    [
        ["plan", "--format", "json"],
        ["status", "--format", "json"],
        ["apply", "--yes", "--format", "json"],
        ["reconcile", "--format", "json"],
        ["history", "clicks", "--format", "json"],
        ["why", "clicks", "--format", "json"],
        ["schema"],
    ],
    ids=" ".join,
)
def test_json_output_is_one_value_and_nothing_else(world: World, command: list[str]):
    """Standard output has one JSON value even with logging enabled."""
    world.batch("clicks")
    world.run("apply", "--yes")
    world.spark("later", schedule='"0 2 * * *"')

    done = world.run("-vv", *command)

    assert isinstance(json.loads(done.out), dict)


@pytest.mark.parametrize("command", [["plan"], ["apply", "--yes"]], ids=" ".join)
def test_with_json_an_error_leaves_standard_output_empty(world: World, command: list[str]):
    """All problems are printed to standard error with their locations."""
    world.write("clicks.yaml", batch_text("clicks").replace("jobQueue", "jobQueu"))
    world.write("orders.yaml", "metadata: {name: [}\n")

    done = world.run(*command, "--format", "json")

    assert done.code == 1
    assert done.out == ""
    assert "clicks.yaml:8:" in done.err
    assert "orders.yaml:1:" in done.err


def test_validate_counts_or_explains(world: World):
    """`validate` prints the number of valid specs, or each problem with its location, line and suggestion."""
    world.batch("clicks")
    world.spark("orders")

    fine = world.run("validate")
    one = world.run("validate", "orders.yaml", "-t", "local")
    world.write("clicks.yaml", batch_text("clicks").replace("jobQueue", "jobQueu"))
    wrong = world.run("validate")
    other = world.run("validate", "orders.yaml")

    assert (fine.code, fine.out) == (0, "2 specs valid\n")
    assert (one.code, one.out) == (0, "1 spec valid\n")
    assert wrong.code == 1
    assert "jobQueue" in wrong.err
    assert wrong.out == ""
    assert other.code == 0


def test_validate_is_offline(world: World):
    """It needs neither AWS nor a ledger."""
    world.aws.stop()
    world.write("ledger.sqlite", "not a database")
    world.batch("clicks")

    assert world.run("validate").code == 0
    assert world.run("plan").code == 1


def test_plan_shows_what_differs(world: World):
    """A changed argument is shown as one field, with the values before and after, in text, JSON and Markdown."""
    world.aws.configure(run_seconds=0)
    world.spark("orders", "2026-01-01")
    world.run("apply", "--yes")
    world.spark("orders", "2026-02-02")

    text = world.run("plan").out
    change = world.run("plan", "--format", "json").json["actions"][0]["changes"][0]
    markdown = world.run("plan", "--format", "markdown").out

    assert '~ jobDriver.sparkSubmit.entryPointArguments[0]: "2026-01-01" -> "2026-02-02"' in text
    assert change == {
        "path": "jobDriver.sparkSubmit.entryPointArguments[0]",
        "op": "change",
        "before": "2026-01-01",
        "after": "2026-02-02",
    }
    assert "2026-02-02" in markdown


def test_plan_at_another_time(world: World):
    """--at sets the time of the plan, in UTC."""
    world.batch("clicks")

    plan = world.run("plan", "--format", "json", "--at", "2026-12-01T02:00:00+01:00")

    assert plan.json["created_at"] == "2026-12-01T01:00:00Z"


def test_why_goes_from_run_to_commit_and_back(world: World):
    """A run id, a child of an array, a spec, a token and a token prefix all lead to the same commit."""
    world.git("init", "--quiet", "--initial-branch", "main")
    world.batch("clicks")
    commit = world.commit()
    world.run("apply", "--yes")
    run = world.runs()[0]
    token = run.token or ""

    asked = ["clicks", run.id, f"{run.id}:3", token, token[:9], token.removeprefix("r1-")[:6]]
    shown = [world.run("why", what, "--format", "json").json for what in asked]

    assert [(one["name"], one["run_id"], one["commit"]) for one in shown] == [("clicks", run.id, commit)] * len(asked)
    assert commit in world.run("why", run.id).out


def test_why_compares_with_the_previous_run(world: World):
    """`why` for a second generation shows what changed since the first."""
    world.aws.configure(run_seconds=0)
    for argument in ("A", "B"):
        world.batch("clicks", argument)
        world.run("apply", "--yes")

    shown = world.run("why", "clicks", "--format", "json").json
    text = world.run("why", "clicks").out

    assert shown["previous"]["generation"] == 1
    assert [(change["before"], change["after"]) for change in shown["changes"]] == [("A", "B")]
    assert '"A" -> "B"' in text


def test_why_and_history_of_an_unknown_name(world: World):
    """An unknown name, run or token is an error, with a suggestion if there is a similar one."""
    world.batch("clicks")
    world.run("apply", "--yes")

    unknown = [world.run(command, "clickz") for command in ("why", "history")]

    assert [done.code for done in unknown] == [1, 1]
    assert all("Did you mean clicks?" in done.err for done in unknown)
    assert world.run("why", "r1-12").code == 1


def test_history_prints_every_event(world: World):
    """`history` prints one line for each event of the spec, in order."""
    world.batch("clicks")
    world.spark("orders")
    world.run("apply", "--yes")
    world.aws.finish(next(run.id for run in world.runs() if run.service == "batch"))
    world.run("reconcile")

    shown = world.run("history", "clicks", "--format", "json").json["events"]

    assert [event["type"] for event in shown] == ["intended", "submitted", "declared", "observed"]
    assert {event["name"] for event in shown} == {"clicks"}
    assert len(world.run("history", "clicks").out.splitlines()) == 4


@pytest.mark.parametrize("command", ["plan", "status", "apply", "reconcile", "history", "why"])
def test_ci_with_a_local_ledger_is_refused(world: World, command: str):
    """If CI=true, a local ledger of a real account is refused."""
    world.batch("clicks")
    endpoints = {name: value for name, value in world.env.items() if "ENDPOINT" in name}
    world.env = {name: value for name, value in world.env.items() if name not in endpoints} | {"CI": "true"}
    arguments = [command, *(["clicks"] if command in {"history", "why"} else [])]

    refused = world.run(*arguments)

    assert refused.code == 1
    assert "--local-ledger" in refused.err


def test_ci_accepts_kept_emulated_or_overridden_ledgers(world: World):
    """The emulator, an overridden endpoint and `--local-ledger` are permitted."""
    world.batch("clicks")
    world.env["CI"] = "true"

    overridden = world.run("plan").code
    world.env = {"CI": "true"}
    kept = world.run("plan", "--local-ledger").code
    emulated = world.run("plan", "-t", "local").code

    assert (overridden, kept, emulated) == (0, 0, 0)


def test_secrets_are_masked_in_text_and_complete_in_json(world: World):
    """Text, Markdown, logs and errors mask values that look like secrets."""
    world.batch("clicks", "--password=hunter2hunter2")

    text = world.run("-vv", "plan")
    markdown = world.run("plan", "--format", "markdown")
    machine = world.run("plan", "--format", "json")

    assert "hunter2" not in text.out + text.err + markdown.out
    assert "hunter2" in machine.out


def test_a_reader_that_leaves_is_not_reported_as_a_bug(world: World):
    """If the output goes to a closed pipe, the command ends without a message."""
    world.batch("clicks")
    reading, writing = os.pipe()
    os.close(reading)

    process = subprocess.run(
        [COMMAND, "schema"],
        cwd=world.folder,
        env=world.environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)

    assert process.returncode == 1
    assert process.stderr == b""


def test_output_that_the_terminal_cannot_show_is_escaped(world: World):
    """A character that the terminal's encoding lacks does not make the command fail."""
    world.batch("clicks", "数")

    done = world.process("plan", PYTHONIOENCODING="latin-1")

    assert done.code == 0, done.err
    assert "\\u6570" in done.out


def test_a_project_may_be_elsewhere(world: World):
    """`-C` sets the project folder, before or after the command; the default is `./specs`."""
    world.batch("clicks")
    outer = World(world.folder.parent, world.aws, env=world.env)

    named = outer.run("-C", "project", "validate")
    after = outer.run("validate", "-C", "project")
    world.folder.rename(world.folder.parent / "specs")
    planned = outer.run("plan", "--format", "json")

    assert (named.code, after.code) == (0, 0)
    assert planned.actions("name") == [("clicks",)]


def test_the_ledger_is_relative_to_the_project(world: World):
    """A `sqlite:///` address is relative to the project folder, whatever the working directory is."""
    world.batch("clicks")
    outer = World(world.folder.parent, world.aws, env=world.env)

    assert outer.run("apply", "--yes", "-C", "project").code == 0

    assert (world.folder / "ledger.sqlite").exists()


def test_a_short_settling_time_is_refused_for_a_real_account(world: World):
    """A short settling time is allowed only if the endpoint of that service is overridden. Overriding the endpoint of
    another service is not sufficient."""
    world.write("reconciler.yaml", project_text(limits="\n      settleSeconds: 60"))
    world.batch("clicks")
    url = world.aws.url

    overridden = world.run("apply", "--yes")
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL_STS": url}
    world.env = keys | {"AWS_ENDPOINT_URL_EMR_SERVERLESS": url}
    other = world.run("apply", "--yes")
    world.env = keys | {"AWS_ENDPOINT_URL_BATCH": url}
    own = world.run("apply", "--yes")

    assert (overridden.code, other.code, own.code) == (0, 1, 0)
    assert "settleSeconds is 60" in other.err


def test_another_account_is_not_an_outage(world: World):
    """`why` shows the recorded state if AWS does not reply, but refuses credentials for another account."""
    world.batch("clicks")
    assert world.run("apply", "--yes").code == 0
    world.aws.configure(account="999988887777")

    done = world.run("why", "clicks")

    assert done.code == 1
    assert "999988887777" in done.err
