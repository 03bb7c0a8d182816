"""Tests the minor commands: init, schema, completion, emulator, version, help."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from reconciler import __version__
from reconciler.cli import main
from reconciler.cli.program import COMMANDS
from tests.cli.world import COMMAND, World, aws_environment, standin
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[World]:
    """An empty folder."""
    aws = standin()
    yield World(tmp_path, aws)
    aws.stop()


def test_init_creates_a_project_that_validates_plans_and_applies(empty: World):
    """The new project runs on the emulator without an account. A second `init` changes nothing."""
    made = empty.run("init", "specs", "--name", "analytics")
    files = empty.files()
    again = empty.run("init", "specs")

    assert made.code == 0, made.err
    assert "created specs/reconciler.yaml" in made.out
    assert "Next: reconciler validate" in made.out
    assert empty.run("validate").code == 0
    assert empty.run("plan").code == 0
    assert empty.run("apply", "--yes").code == 0
    assert again.code != 0
    assert {name: content for name, content in empty.files().items() if name in files} == files


def test_schema_describes_project_and_kinds(empty: World):
    """One JSON Schema describes the project file and both kinds."""
    text = empty.run("schema").out

    assert json.loads(text)["$schema"]
    assert all(word in text for word in ("Project", "EmrServerlessJobRun", "BatchJob", "settleSeconds"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(empty: World, shell: str):
    """The completion script contains the program's name and its variable."""
    script = empty.run("completion", shell).out

    assert "_RECONCILER_COMPLETE" in script
    assert "reconciler" in script


def test_completion_completes_commands(empty: World):
    """The installed command completes the names of commands."""
    done = empty.process(_RECONCILER_COMPLETE="bash_complete", COMP_WORDS="reconciler va", COMP_CWORD="1")

    assert "validate" in done.out
    assert "plan" not in done.out


PROJECT = """\
apiVersion: reconciler/v1
kind: Project
metadata: {name: shop}
spec:
  targets:
    local: {emulator: true}
    prod-eu: {account: "444455556666", region: eu-west-1, ledger: "s3://ledger/shop"}
"""


@pytest.fixture
def project(empty: World) -> World:
    """A project with two targets, an emulator and one whose name has a dash, and three specs."""
    empty.write("reconciler.yaml", PROJECT)
    empty.spark("orders-daily")
    empty.batch("orders-late")
    empty.write("clicks.json", '{"apiVersion": "reconciler/v1", "metadata": {"labels": {"a": "b"}, "name": "clicks"}}')
    return empty


COMPLETED = {
    "reconciler retry orders": ["orders-daily", "orders-late"],
    "reconciler plan --only cl": ["clicks"],
    "reconciler plan -t p": ["prod-eu"],
    "reconciler -C elsewhere retry orders": [],
}


@pytest.mark.parametrize(("line", "names"), COMPLETED.items(), ids=COMPLETED)
def test_completion_completes_names_of_specs_and_targets(project: World, line: str, names: list[str]):
    """The names of specs and targets are completed from the files. In a folder without a project, nothing is completed
    and no error is printed."""
    last = str(len(line.split()) - 1)

    done = project.process(_RECONCILER_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=last)

    assert [word.partition(",")[2] for word in done.out.split()] == names
    assert done.err == ""


def test_completion_reads_names_in_broken_projects(project: World):
    """A spec that is not valid is completed as well. With a broken project file, nothing is completed and no error is
    printed."""
    project.write("broken.yaml", "metadata:\n  labels: {a: b}\n  name: orders-new\nspec: [\n")
    words = {"_RECONCILER_COMPLETE": "bash_complete", "COMP_WORDS": "reconciler retry orders-n", "COMP_CWORD": "2"}
    with_broken_spec = project.process(**words)
    project.write("reconciler.yaml", "kind: [")
    with_broken_project = project.process(**words)

    assert with_broken_spec.out == "plain,orders-new\n"
    assert (with_broken_project.out.strip(), with_broken_project.err) == ("", "")


def test_targets_are_printed_from_the_project_file(project: World):
    """The text output has one line per target. The JSON output also contains the account, the region, and whether the
    target is an emulator."""
    text, form = project.run("targets"), project.run("targets", "--format", "json").json

    assert text.out == "local    emulator\nprod-eu  444455556666 eu-west-1\n"
    assert form["targets"][1] == {
        "name": "prod-eu", "account": "444455556666", "region": "eu-west-1", "emulator": False, "default": False,
    }  # fmt: skip
    assert [target["emulator"] for target in form["targets"]] == [True, False]


SUSPENDED = {"reason": "quarter end", "owner": "ops", "until": "2026-01-01T00:00:00Z"}


def test_suspensions_are_shown_with_reason_owner_and_end(project: World):
    """The output says that nothing is suspended, or lists each suspended spec with its reason. If a suspension has not
    ended at its planned time, the command exits 3."""
    (project.folder / "clicks.json").unlink()
    before = project.run("suspensions", "-t", "prod-eu")
    project.batch("orders-late", suspend=json.dumps(SUSPENDED))
    text = project.run("suspensions", "-t", "prod-eu")
    form = project.run("suspensions", "-t", "prod-eu", "--format", "json").json

    assert (before.code, before.out) == (0, "Nothing is suspended.\n")
    assert text.code == 3
    assert text.out.startswith(
        "orders-late is suspended (quarter end, by ops, until 2026-01-01T00:00:00Z, which has passed"
    )
    assert form == {"suspensions": [{"name": "orders-late", **SUSPENDED, "overdue": True}]}


def test_strict_validation_fails_for_a_warning(project: World):
    """A value that looks like a secret is a warning, and an error with --strict."""
    for other in ("clicks.json", "orders-daily.yaml"):
        (project.folder / other).unlink()
    before = project.run("validate", "--strict")
    project.batch("orders-late", "--password=correct-horse-battery")
    lenient, strict = project.run("validate"), project.run("validate", "--strict")

    assert (before.code, lenient.code, strict.code) == (0, 0, 1)
    assert "1 warning, and --strict allows none" in strict.err
    assert strict.out == lenient.out == "1 spec valid\n"


def test_validate_prints_json_for_valid_and_for_invalid_files(project: World):
    """Standard output is one JSON value in both cases, and masks secrets."""
    for other in ("clicks.json", "orders-daily.yaml"):
        (project.folder / other).unlink()
    project.batch("orders-late", "--password=correct-horse-battery")
    valid = project.run("validate", "--format", "json")
    project.write("broken.yaml", "apiVersion: reconciler/v1\nkind: BatchJob\nmetadata: {name: broken}\nspec: 1\n")
    invalid = project.run("validate", "--format", "json")

    (warning,) = valid.json["problems"]
    assert (valid.code, valid.json["valid"], warning["severity"], warning["rule"]) == (0, True, "warning", "secret")
    assert valid.json["specs"] == [{"name": "orders-late", "path": "orders-late.yaml", "line": 1}]
    assert (invalid.code, invalid.json["valid"]) == (1, False)
    assert [(each["path"], each["line"], each["col"]) for each in invalid.json["problems"]] == [
        ("broken.yaml", 4, 7),
        (warning["path"], warning["line"], warning["col"]),
    ]
    assert "correct-horse" not in valid.out + invalid.out


def test_version_and_module(empty: World):
    """--version prints the version; `python -m reconciler` is the same program."""
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "--version"], capture_output=True, text=True, check=False, cwd=empty.folder
    )

    assert done.returncode == 0
    assert done.stdout.startswith(f"reconciler {__version__}")


def test_every_command_is_in_the_help(empty: World):
    """The program's help lists each command with its short help."""
    text = " ".join(empty.run("--help").out.partition("Commands:")[2].split())

    assert all(f"{name} {line}" in text for name, (_, line) in COMMANDS.items())


def test_emulator_serves_until_interrupted(empty: World):
    """`emulator --port` prints its address, serves boto3, stores its runs in a file, and exits 0 on a signal."""
    process = empty.start("emulator", "--port", "0", "--state", "aws.sqlite", "--account", "111122223333")
    assert process.stdout is not None
    url = process.stdout.readline().split()[2].rstrip(".")
    client = boto3.client(
        "sts", endpoint_url=url, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )

    account = client.get_caller_identity()["Account"]
    client.close()
    process.send_signal(signal.SIGTERM)
    out = process.stdout.read()
    err = process.communicate(timeout=PATIENCE_SECONDS)[1]

    assert account == "111122223333"
    assert process.returncode == 0, err
    assert f"export AWS_ENDPOINT_URL_BATCH={url}" in out
    assert (empty.folder / "aws.sqlite").exists()


def test_emulator_uses_a_fault_plan(empty: World):
    """The fault plan applies to all calls, from the first one on."""
    empty.write("faults.yaml", "rules: [{service: sts, request: lost, answer: error, status: 403, count: 1}]")
    process = empty.start("emulator", "--port", "0", "--faults", "faults.yaml")
    assert process.stdout is not None
    url = process.stdout.readline().split()[2].rstrip(".")
    client = boto3.client(
        "sts", endpoint_url=url, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )

    with pytest.raises(ClientError, match="AccessDenied"):
        client.get_caller_identity()
    account = client.get_caller_identity()["Account"]
    client.close()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_SECONDS)

    assert (process.returncode, account) == (0, "000000000000")


def test_emulator_refuses_an_invalid_fault_plan(empty: World):
    """Every problem is reported with the name of the file, and the emulator does not start."""
    empty.write("faults.yaml", "rules: [{request: lots}, {request: lost}]")

    done = empty.run("emulator", "--port", "0", "--faults", "faults.yaml")

    assert (done.code, done.out) == (64, "")
    assert "faults.yaml" in done.err
    assert "rules[0]: request must be one of processed, lost, late, twice" in done.err
    assert "rules[1]: a lost request has no answer of AWS to be given" in done.err


def test_emulator_on_a_port_that_is_taken(world: World):
    """The error message contains the port."""
    port = world.aws.url.rpartition(":")[2]

    done = world.run("emulator", "--port", port)

    assert done.code == 64
    assert port in done.err


def test_no_arguments_shows_the_help(empty: World):
    """Without a command, the program prints its help and exits 64."""
    done = empty.run()

    assert done.code == 64
    assert "Commands:" in done.out + done.err


def test_logs_go_to_standard_error_and_say_more_with_each_v(world: World):
    """By default, nothing is logged. `-v` logs the account."""
    world.batch("clicks", "not-for-logs")
    world.run("plan", "--no-refresh")  # a relative ledger address causes one warning per process

    quiet = world.run("apply", "--yes")
    again = world.run("-v", "apply", "--yes")

    assert quiet.err == ""
    assert "account 111122223333" in again.err
    assert "botocore" not in again.err


def test_logs_contain_no_bodies(world: World):
    """Bodies are not logged even with -vvvv."""
    world.batch("clicks", "not-for-logs")

    done = world.run("-vvvv", "apply", "--yes")

    assert done.code == 0
    assert "not-for-logs" not in done.err


def test_main_takes_the_arguments_of_the_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Without arguments, `main` reads them from the command line."""
    monkeypatch.setattr(sys, "argv", ["reconciler", "--version"])

    assert main() == 0
    assert capsys.readouterr().out.startswith(f"reconciler {__version__}")


def test_two_targets_have_two_emulators(empty: World):
    """Each emulator target has separate runs and a separate ledger."""
    text = (
        "apiVersion: reconciler/v1\nkind: Project\nmetadata: {name: shop}\nspec:\n"
        "  targets: {a: {emulator: true}, b: {emulator: {runSeconds: 0, outcomes: {clicks: Failed}}}}\n"
    )
    empty.write("reconciler.yaml", text)
    empty.batch("clicks")
    empty.spark("orders")

    for target in ("a", "b"):
        assert empty.run("apply", "--yes", "-t", target).code == 0
    status = empty.run("status", "-t", "b", "--format", "json")

    assert [spec["state"] for spec in status.json["specs"]] == ["failed", "succeeded"]
    names = {path.name for path in (empty.folder / ".reconciler").iterdir()}
    assert {"a.sqlite", "b.sqlite", "emulator-a.sqlite", "emulator-b.sqlite"} <= names


def test_environment_of_the_user_is_left_alone(world: World):
    """boto3's own variables work as usual; AWS_ENDPOINT_URL alone is enough."""
    url = world.aws.url
    world.env = {name: value for name, value in aws_environment(url).items() if "ENDPOINT" not in name}
    world.env["AWS_ENDPOINT_URL"] = url
    world.batch("clicks")

    assert world.run("apply", "--yes").code == 0
    assert len(world.runs()) == 1
    assert os.environ.get("AWS_ENDPOINT_URL") is None
    assert COMMAND.exists()
