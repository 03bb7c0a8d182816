"""Tests that no command prints a secret from a spec, whatever goes wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.apply import protocol
from tests.campaigns import in_one_test
from tests.cli.conftest import _own_logs, empty_ledger, world
from tests.cli.world import Done, World, aws_environment
from tests.hostile.echo import Answer, echo_error, echoing
from tests.hostile.secrets import Canaries, documents

__all__ = ["_own_logs", "empty_ledger", "world"]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips the pauses before retries."""
    monkeypatch.setattr(protocol, "LOOK_PAUSES", (0.0,))
    monkeypatch.setattr(protocol, "RESEND_PAUSES", ())
    monkeypatch.setattr(protocol, "THROTTLE_PAUSES", ())


class CheckedCommands:
    """Runs commands and searches everything they print for secrets."""

    def __init__(self, world: World) -> None:
        self.world, self.canaries = world, Canaries()

    def write(self, **more: Any) -> None:
        """Writes a spec for every request, with new secrets."""
        for name, document in documents(self.canaries, **more).items():
            self.world.write(f"{name}.json", json.dumps(document, indent=1))

    def run(self, *arguments: str | Path) -> Done:
        """Runs a command and checks that it prints no secret."""
        done = self.world.run(*arguments)
        assert [] == self.canaries.found_in(done.out + done.err), (arguments, done)
        assert "Traceback" not in done.err or {"-vv", "-vvv"} & set(arguments)
        return done

    def everything(self) -> None:
        """Runs every command with text output, with verbose logs."""
        for form in ("text", "markdown", "junit"):
            self.run("plan", "--format", form, "-vvv")
        self.run("status", "-vvv")
        for name in ("spark", "container"):
            self.run("history", name, "-vv")
            self.run("why", name, "-vv")


@pytest.fixture
def commands(world: World) -> CheckedCommands:
    """A project whose specs have secrets in every usual position."""
    made = CheckedCommands(world)
    made.write()
    return made


def test_no_command_prints_a_secret(commands: CheckedCommands):
    """Specs are new, submitted, changed in every secret, submitted again, and removed."""
    assert commands.run("validate").code == 0
    assert commands.run("apply", "--yes", "-vvv").code == 0
    for run in commands.world.runs():
        commands.world.aws.finish(run.id)
    commands.write()
    changed = commands.run("plan", "-vvv")
    assert "(sensitive, changed)" in changed.out
    assert commands.run("reconcile", "-vvv").code in {0, 3}
    commands.everything()
    assert len(commands.world.runs()) >= len(documents(Canaries()))
    (commands.world.folder / "spark.json").unlink()
    commands.run("plan", "-vvv")


ANSWERS = {
    "rejected": (echo_error(400, "ValidationException"), 3),
    "a page": (echo_error(400, "", own=False, form=False), 3),
}
MORE_ANSWERS = {
    "conflict": (echo_error(409, "ConflictException"), 3),
    "rejected by Batch": (echo_error(400, "ClientException"), 3),
    "throttled": (echo_error(429, "TooManyRequestsException"), 1),
    "expired": (echo_error(403, "ExpiredTokenException"), 1),
    "inside AWS": (echo_error(500, "InternalServerException"), 3),
    "not from AWS itself": (echo_error(400, "ValidationException", own=False), 3),
    "a page from a gateway": (echo_error(502, "", own=False, form=False), 3),
    "a success that is a page": (echo_error(200, "", own=False, form=False), 3),
    "an unknown code": (echo_error(400, "Strange\x1b[31m Code"), 3),
}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        *(pytest.param(*each, id=name) for name, each in ANSWERS.items()),
        *(pytest.param(*each, id=name, marks=pytest.mark.soak) for name, each in MORE_ANSWERS.items()),
    ],
)
def test_answers_that_echo_the_request_reveal_no_secret(commands: CheckedCommands, answer: Answer, code: int):
    """After a rejected, refused or unclear submission, no output and no event contains a secret."""
    with echoing(answer) as url:
        commands.world.env = aws_environment(url)
        done = commands.run("apply", "--yes", "-vvv")
        assert code == done.code or done.code in {1, 3}
        commands.run("status", "-vvv")
        for name in ("spark", "container"):
            commands.run("history", name)
            commands.run("why", name)
        errors = [event.message for event in commands.world.events() if hasattr(event, "message")]
        assert [] == commands.canaries.found_in(" ".join(errors))
        as_json = commands.world.run("apply", "--yes", "--format", "json")
        errors = [action["error"] or "" for action in as_json.json["actions"]]
        assert [] == commands.canaries.found_in(" ".join(errors))


MISTAKES = {
    "unknown field": lambda request: {**request, "pasword": request.pop("parameters")},
    "number": lambda request: {**request, "parameters": {"password": 1234567, "x": 1}},
    "list": lambda request: {**request, "parameters": [request["parameters"]]},
    "name and value exchanged": lambda request: {
        **request,
        "containerOverrides": {"environment": [{"nmae": "DB_PASSWORD", "value": request["parameters"]["password"]}]},
    },
    "text for a list": lambda request: {
        **request,
        "containerOverrides": {"command": f"--password {request['parameters']['password']}"},
    },
    "unknown placeholder": lambda request: {**request, "parameters": {**request["parameters"], "x": "${var.nothing}"}},
    "too many tags": lambda request: {**request, "tags": {f"password{i}": "q" * 300 for i in range(60)}},
}


@in_one_test("mistake", MISTAKES.values(), ids=MISTAKES)
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_problems_in_files_reveal_no_secret(world: World, mistake, form):
    """The line of a problem is printed without its secrets, in JSON and in YAML."""
    import yaml

    commands = CheckedCommands(world)
    document = documents(commands.canaries)["container"]
    document["spec"]["request"] = mistake(document["spec"]["request"])
    text = json.dumps(document, indent=1) if form == "json" else yaml.safe_dump(document, width=10_000)
    world.write(f"a.{form}", text)
    done = commands.run("validate", "-vv")
    assert 1 == done.code
    commands.run("plan", "-vv")


BROKEN = {
    "a tag": "password: !{}",
    "an anchor": "password: &{}",
    "an alias": "password: *{}",
    "at sign": "password: @{}",
    "percent": "password: %{}",
    "backtick": "password: `{}",
    "no space": "password:{}\n      x: y",
    "a tab": "password:\t{}\n\t- x",
    "unclosed quote": "password: '{}",
    "twice": "password: {}\n      password: {}",
    "colon": "password: {}: x",
    "brace": "password: {{{}",
    "bracket": "password: [{}",
    "block": "password: |{}",
    "a comment": "x: y  # password: {}",
    "a number": "password: 0x{}",
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
def test_invalid_yaml_reveals_no_secret(world: World, line):
    """A password may break the YAML syntax: the problem is reported without the password."""
    commands = CheckedCommands(world)
    secret = commands.canaries.word()
    world.write(
        "a.yaml",
        "apiVersion: reconciler/v1\nkind: BatchJob\nmetadata: {name: a}\nspec:\n  request:\n    jobQueue: q\n"
        f"    jobDefinition: d\n    parameters:\n      {line.format(secret, secret)}\n      z: on\n",
    )
    commands.run("validate", "-vv")


def test_an_internal_error_reveals_no_secret(commands: CheckedCommands, monkeypatch: pytest.MonkeyPatch):
    """A traceback does not contain it either, if the exception quotes a request."""
    request = documents(commands.canaries)["container"]["spec"]["request"]

    def failing(*_: object, **__: object) -> None:
        raise KeyError(json.dumps(request), request)

    monkeypatch.setattr("reconciler.core.decide.plan", failing)
    for loud in ((), ("-vv",), ("-vvv",)):
        done = commands.run("plan", *loud)
        assert 1 == done.code
        assert "internal error" in done.err
    assert "Traceback" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--password=SECRET"),
        ("plan", "--only", "--password=SECRET"),
        ("plan", "-t", "postgresql://etl:SECRET@db/x"),
        ("why", "token=SECRET"),
        ("history", "password=SECRET"),
        ("plan", "-l", "password=SECRET"),
        ("--token=SECRET", "plan"),
        ("plan", "--at", "password=SECRET"),
    ],
)
def test_a_secret_on_the_command_line_is_not_echoed(commands: CheckedCommands, arguments: tuple[str, ...]):
    """A mistyped command may end up in a CI log, so its error message quotes the command line without the secret."""
    secret = commands.canaries.word()
    done = commands.run(*(argument.replace("SECRET", secret) for argument in arguments))
    assert done.code in {1, 64}
    assert done.err


def test_an_invalid_plan_file_reveals_no_secret(commands: CheckedCommands):
    """The error for a plan file contains the path of the wrong value but never the value."""
    file = commands.world.folder.parent / "p.plan"
    commands.run("plan", "--out", file)
    form = json.loads(file.read_text())
    del form["seal"]
    for key in ("digest", "client_token", "attempt", "kind", "request"):
        broken = json.loads(json.dumps(form))
        broken["actions"][0][key] = commands.canaries.word() if key not in {"digest"} else [commands.canaries.word()]
        file.write_text(json.dumps({**broken, "x": 1}))
        commands.run("apply", file, "--yes", "-vv")
    file.write_text(json.dumps(form)[:-40])
    commands.run("apply", file, "--yes", "-vv")


def test_the_emulator_logs_no_secret(commands: CheckedCommands):
    """The emulator runs in the same process, with verbose logs."""
    commands.world.write(
        "reconciler.yaml", (commands.world.folder / "reconciler.yaml").read_text().replace("staging", "other")
    )
    assert commands.run("apply", "-t", "local", "--yes", "-vvv").code in {0, 3}
    commands.run("status", "-t", "local", "-vvv")
