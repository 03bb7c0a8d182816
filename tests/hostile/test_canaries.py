"""A secret in a spec is told by no command, whatever goes wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.apply import protocol
from tests.cli.conftest import _own_logs, world
from tests.cli.world import Done, World, aws_environment
from tests.hostile.echo import Says, echoing, says
from tests.hostile.secrets import Canaries, documents

__all__ = ["_own_logs", "world"]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not clear, or refused for a passing reason, is not waited for here."""
    monkeypatch.setattr(protocol, "LOOK_PAUSES", (0.0,))
    monkeypatch.setattr(protocol, "RESEND_PAUSES", ())
    monkeypatch.setattr(protocol, "THROTTLE_PAUSES", ())


class Told:
    """Runs commands and looks through everything they print."""

    def __init__(self, world: World) -> None:
        self.world, self.canaries = world, Canaries()

    def write(self, **more: Any) -> None:
        """Writes a spec for every request, with new secrets."""
        for name, document in documents(self.canaries, **more).items():
            self.world.write(f"{name}.json", json.dumps(document, indent=1))

    def run(self, *arguments: str | Path) -> Done:
        """Runs a command, which must tell no secret."""
        done = self.world.run(*arguments)
        assert [] == self.canaries.found_in(done.out + done.err), (arguments, done)
        assert "Traceback" not in done.err or {"-vv", "-vvv"} & set(arguments)
        return done

    def everything(self) -> None:
        """Every command that tells something for people, at every level of logging."""
        for form in ("text", "markdown"):
            self.run("plan", "--format", form, "-vvv")
        self.run("status", "-vvv")
        for name in ("spark", "container"):
            self.run("history", name, "-vv")
            self.run("why", name, "-vv")


@pytest.fixture
def told(world: World) -> Told:
    """A project whose specs hold secrets in every usual place."""
    made = Told(world)
    made.write()
    return made


def test_secrets_are_told_by_no_command(told: Told):
    """New, submitted, changed in every secret, submitted again, and removed."""
    assert told.run("validate").code == 0
    assert told.run("apply", "--yes", "-vvv").code == 0
    for run in told.world.runs():
        told.world.aws.finish(run.id)
    told.write()
    changed = told.run("plan", "-vvv")
    assert "(sensitive, changed)" in changed.out
    assert told.run("reconcile", "-vvv").code in {0, 3}
    told.everything()
    assert len(told.world.runs()) >= len(documents(Canaries()))
    (told.world.folder / "spark.json").unlink()
    told.run("plan", "-vvv")


ANSWERS = {
    "rejected": (says(400, "ValidationException"), 3),
    "a page": (says(400, "", own=False, form=False), 3),
}
MORE_ANSWERS = {
    "conflict": (says(409, "ConflictException"), 3),
    "rejected by Batch": (says(400, "ClientException"), 3),
    "throttled": (says(429, "TooManyRequestsException"), 1),
    "expired": (says(403, "ExpiredTokenException"), 1),
    "inside AWS": (says(500, "InternalServerException"), 3),
    "not of AWS's own": (says(400, "ValidationException", own=False), 3),
    "a page of a gateway": (says(502, "", own=False, form=False), 3),
    "a success that is a page": (says(200, "", own=False, form=False), 3),
    "a code that nobody knows": (says(400, "Strange\x1b[31m Code"), 3),
}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        *(pytest.param(*each, id=name) for name, each in ANSWERS.items()),
        *(pytest.param(*each, id=name, marks=pytest.mark.soak) for name, each in MORE_ANSWERS.items()),
    ],
)
def test_answers_that_say_the_request_back_tell_no_secret(told: Told, answer: Says, code: int):
    """Rejected, refused or unclear: neither then nor later, in text nor in what is written down of it."""
    with echoing(answer) as url:
        told.world.env = aws_environment(url)
        done = told.run("apply", "--yes", "-vvv")
        assert code == done.code or done.code in {1, 3}
        told.run("status", "-vvv")
        for name in ("spark", "container"):
            told.run("history", name)
            told.run("why", name)
        errors = [event.message for event in told.world.events() if hasattr(event, "message")]
        assert [] == told.canaries.found_in(" ".join(errors))
        as_json = told.world.run("apply", "--yes", "--format", "json")
        said = [action["error"] or "" for action in as_json.json["actions"]]
        assert [] == told.canaries.found_in(" ".join(said))


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


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_problems_in_files_tell_no_secret(world: World, mistake, form):
    """A line is shown with what is wrong in it, and never with a secret; in both syntaxes."""
    import yaml

    told = Told(world)
    document = documents(told.canaries)["container"]
    document["spec"]["request"] = mistake(document["spec"]["request"])
    text = json.dumps(document, indent=1) if form == "json" else yaml.safe_dump(document, width=10_000)
    world.write(f"a.{form}", text)
    done = told.run("validate", "-vv")
    assert 1 == done.code
    told.run("plan", "-vv")


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
def test_text_that_is_no_yaml_tells_no_secret(world: World, line):
    """Passwords hold the very characters that YAML gives a meaning: what is wrong with them is told without them."""
    told = Told(world)
    secret = told.canaries.word()
    world.write(
        "a.yaml",
        "apiVersion: reconciler/v1\nkind: BatchJob\nmetadata: {name: a}\nspec:\n  request:\n    jobQueue: q\n"
        f"    jobDefinition: d\n    parameters:\n      {line.format(secret, secret)}\n      z: on\n",
    )
    told.run("validate", "-vv")


def test_an_internal_error_tells_no_secret(told: Told, monkeypatch: pytest.MonkeyPatch):
    """Not even with its traceback, where the exception quotes a request."""
    request = documents(told.canaries)["container"]["spec"]["request"]

    def failing(*_: object, **__: object) -> None:
        raise KeyError(json.dumps(request), request)

    monkeypatch.setattr("reconciler.app.reconcile.plan", failing)
    for loud in ((), ("-vv",), ("-vvv",)):
        done = told.run("plan", *loud)
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
def test_a_secret_on_the_command_line_is_not_said_back(told: Told, arguments: tuple[str, ...]):
    """A command that was typed wrongly ends in a log, and what it quotes of the line is without the secret."""
    secret = told.canaries.word()
    done = told.run(*(argument.replace("SECRET", secret) for argument in arguments))
    assert done.code in {1, 64}
    assert done.err


def test_a_spoilt_plan_file_tells_no_secret(told: Told):
    """What is wrong with a plan file is told by its place, never by its values."""
    file = told.world.folder.parent / "p.plan"
    told.run("plan", "--out", file)
    form = json.loads(file.read_text())
    del form["seal"]
    for key in ("digest", "client_token", "attempt", "kind", "request"):
        spoilt = json.loads(json.dumps(form))
        spoilt["actions"][0][key] = told.canaries.word() if key not in {"digest"} else [told.canaries.word()]
        file.write_text(json.dumps({**spoilt, "x": 1}))
        told.run("apply", file, "--yes", "-vv")
    file.write_text(json.dumps(form)[:-40])
    told.run("apply", file, "--yes", "-vv")


def test_the_emulator_logs_no_secret(told: Told):
    """Served in the same process, with its logs at the highest level."""
    told.world.write("reconciler.yaml", (told.world.folder / "reconciler.yaml").read_text().replace("staging", "other"))
    assert told.run("apply", "-t", "local", "--yes", "-vvv").code in {0, 3}
    told.run("status", "-t", "local", "-vvv")
