"""Tests that text from users, AWS and git never acts as a command to a terminal or a CI runner, whichever command
prints it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.apply import protocol
from reconciler.cli.output import out
from reconciler.emulator.http import Reply
from tests.campaigns import in_one_test
from tests.cli.conftest import _own_logs, empty_ledger, world
from tests.cli.world import Done, World, aws_environment
from tests.fuzz.targets import shown_safely
from tests.hostile.echo import OWN, echo_error, echoing

__all__ = ["_own_logs", "empty_ledger", "world"]

EVIL = (
    "\x1b]0;title\x07\x1b[2J\x1b[1A\u202egnp.exe\u200b\u2066\x9b31m\r\x08\n::error file=x::shown\n"
    "  ::set-output name=a::b\n"
    "##[error]shown ##vso[task.setvariable]x ##teamcity[message]\n"
    "| `a` ``b`` <details><img src=x> @team #1 [x](http://y.z) --> %0A"
)
PRINTABLE = "::error::a ##[error]b @team `c` <img src=x>"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips the pauses after an unclear outcome."""
    monkeypatch.setattr(protocol, "LOOK_PAUSES", (0.0,))


def run(world: World, *arguments: str | Path) -> Done:
    """Runs a command and checks that every printed line is harmless."""
    done = world.run(*arguments)
    shown_safely(done.out)
    shown_safely(done.err)
    assert "internal error" not in done.err, done.err
    return done


def document(name: str = "orders", argument: str = EVIL) -> str:
    """Returns a spec with hostile text wherever text is allowed."""
    request = {
        "jobQueue": "nightly",
        "jobDefinition": "worker:1",
        "parameters": {EVIL: argument, "a": EVIL},
        "containerOverrides": {"command": [argument, PRINTABLE], "environment": [{"name": EVIL, "value": argument}]},
    }
    labels = {"team": EVIL, PRINTABLE: "x"}
    form = {"apiVersion": "reconciler/v1", "kind": "BatchJob", "metadata": {"name": name, "labels": labels}}
    return json.dumps({**form, "spec": {"request": request}})


def everything(world: World) -> None:
    """Runs every command that shows a plan or runs, as text and as JSON."""
    for form in ("text", "markdown", "json", "junit"):
        run(world, "plan", "--format", form, "-vv")
    show_runs(world, (), ("--format", "json"))


def show_runs(world: World, *forms: tuple[str, ...]) -> None:
    """Runs every command that shows runs."""
    for more in forms:
        run(world, "status", *more)
        run(world, "history", "orders", *more)
        run(world, "why", "orders", *more)
        run(world, "runs", "orders", *more)
    run(world, "page", "--out", "site")
    for path in (world.folder / "site").rglob("*.html"):
        text = path.read_text()
        assert text.replace("\n", "").isprintable()
        assert "<img" not in text


def test_text_of_specs_is_not_a_command(world: World):
    """Names, labels, arguments, file names and git authors are hostile; specs are new, submitted and changed."""
    world.git("init", "--quiet", "--initial-branch", "main")
    world.git("config", "user.email", EVIL.replace("\n", " ").replace("\x1b", "e").replace("\x08", "b"))
    world.write(f"{PRINTABLE.replace('/', '')}.json", document())
    world.commit(EVIL)
    assert run(world, "validate", "-vv").code == 0
    assert run(world, "plan", "-vv").code == 0
    done = run(world, "apply", "--yes", "-vv")
    assert done.code == 0, done.err
    for accepted in world.runs():
        world.aws.finish(accepted.id)
    world.write(f"{PRINTABLE.replace('/', '')}.json", document(argument=EVIL + "changed"))
    everything(world)
    whole = world.run("plan", "--format", "json").json
    assert whole["actions"][0]["request"]["parameters"]["a"] == EVIL


def test_text_of_aws_is_not_a_command(world: World):
    """Messages, codes and run ids in replies from AWS, or from a gateway in front of it, are hostile."""
    world.write("orders.json", document())
    for answer in (
        echo_error(400, "ValidationException"),
        lambda _: Reply(400, OWN | {"x-amzn-ErrorType": "ClientException"}, json.dumps({"message": EVIL}).encode()),
        lambda _: Reply(200, OWN, json.dumps({"jobId": EVIL, "jobName": "orders", "jobArn": EVIL}).encode()),
    ):
        with echoing(answer) as url:
            world.env = aws_environment(url)
            run(world, "apply", "--yes", "-vv")
            show_runs(world, ())
        (world.folder / "ledger.sqlite").unlink()
        world.init()


def test_problems_in_files_are_not_commands(world: World):
    """Errors quote keys, values, names and lines in a harmless form."""
    spec = json.loads(document())
    spec["spec"][EVIL] = EVIL
    spec["spec"]["suspend"] = {"until": EVIL}
    spec["spec"]["schedule"] = EVIL
    spec["spec"]["timeZone"] = EVIL
    spec["spec"]["targets"] = [EVIL]
    spec["metadata"]["name"] = EVIL
    spec["kind"] = PRINTABLE
    world.write("a.json", json.dumps(spec))
    world.write("b.json", json.dumps(spec, indent=1, ensure_ascii=False))
    world.write("c.yaml", "::error::x: y\n##[error]: [\n")
    world.write("d.yaml", f"a: '{PRINTABLE}'\n? {PRINTABLE}\n: x\n")
    world.write("::e.yaml", "a: b\n")
    done = run(world, "validate", "-vv")
    assert done.code == 1
    assert "u001b" in done.err


@in_one_test(
    "arguments",
    [
        ("plan", "--only", EVIL), ("plan", "-t", EVIL), ("plan", "-l", EVIL), ("plan", "-l", f"a={EVIL}"),
        ("why", EVIL),
        ("history", EVIL), (EVIL,), ("plan", EVIL), ("plan", "--format", EVIL), ("plan", "--at", EVIL),
        ("plan", f"--{EVIL}"), ("apply", f"{EVIL.replace('/', '')}.plan"), ("validate", EVIL.replace("/", "")),
        ("-C", EVIL.replace("/", ""), "plan"), ("init", "\n::error::x\x1b[31m"),
        ("plan", "--out", "\n::error::x\x1b.plan"),
        ("adopt", "orders", EVIL, "--reason", EVIL), ("schema", EVIL), ("completion", EVIL),
        ("emulator", "--port", EVIL),
    ],
    ids=str,
)  # fmt: skip
def test_text_of_the_command_line_is_not_a_command(world: World, arguments):
    """In CI, names of files and branches may be part of the command line. Errors escape them."""
    world.batch("orders")
    run(world, *arguments)


def test_text_of_a_suspension_is_not_a_command(world: World):
    """Reasons and owners of suspensions are shown in a harmless form."""
    text = (world.folder / "reconciler.yaml").read_text()
    reason = json.dumps(EVIL)
    world.write(
        "reconciler.yaml", text.replace("spec:\n", f"spec:\n  suspend: {{reason: {reason}, owner: {reason}}}\n", 1)
    )
    world.batch("orders")
    run(world, "plan")
    run(world, "apply", "--yes")
    run(world, "status")


def test_an_export_is_not_a_command(world: World):
    """The escaped export contains the same events as `export --raw`, which prints the stored bytes. Other raw outputs
    are harmless too."""
    world.write("orders.json", document())
    run(world, "apply", "--yes")
    shown, raw = run(world, "ledger", "export").out, world.run("ledger", "export", "--raw").out
    assert [json.loads(line) for line in shown.splitlines()] == [json.loads(line) for line in raw.splitlines()]
    assert "##vso[task.setvariable]" in raw
    assert raw.replace("##", "#\\u0023") == shown.replace("##", "#\\u0023")
    for command in (
        ("ledger", "verify"),
        ("fsck",),
        ("graph",),
        ("graph", "--format", "dot"),
        ("schema",),
        ("status",),
    ):
        run(world, *command)


def test_no_result_is_a_command(capsys: pytest.CaptureFixture[str]):
    """Whatever text a result contains, no printed line is a command for a CI runner."""
    out("a\n::error::b\n  ::debug::c\n<a name='##teamcity[x]'/> ##vso[y]z ##[w]\n")
    shown_safely(capsys.readouterr().out)
    out("a\n\n", raw=True)
    assert capsys.readouterr().out == "a\n\n\n"
