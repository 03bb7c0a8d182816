"""Tests the exit codes of commands and the messages for wrong usage."""

from __future__ import annotations

from itertools import cycle

import pytest

from reconciler.cli import main
from tests.cli.world import ACCOUNT, World, batch_text, project_text

DETAILED = ("plan", "--detailed-exitcode")


def _in_sync(world: World) -> None:
    world.batch("clicks")
    world.run("apply", "--yes")


def _new(world: World) -> None:
    world.batch("clicks")


def _rejected(world: World) -> None:
    world.aws.configure(definitions=["other"])
    world.batch("clicks")
    world.run("apply", "--yes")


def _failed(world: World) -> None:
    world.aws.configure(run_seconds=0, outcome="failed")
    world.batch("clicks")
    world.run("apply", "--yes")


def _failed_and_new(world: World) -> None:
    _failed(world)
    world.spark("orders")


def _waiting(world: World) -> None:
    _in_sync(world)
    world.batch("clicks", "B")


def _scheduled(world: World) -> None:
    world.batch("clicks", schedule='"0 2 29 2 *"')


def _scheduled_since_long(world: World) -> None:
    _scheduled(world)
    assert world.run("reconcile").code == 0


def _overdue(world: World) -> None:
    _in_sync(world)
    world.batch("clicks", suspend='{until: "2020-01-01T00:00:00Z"}')


def _broken(world: World) -> None:
    world.write("clicks.yaml", batch_text("clicks").replace("jobQueue", "jobQueu"))


@pytest.mark.parametrize(
    ("given", "plan", "detailed", "status", "apply"),
    [
        (_in_sync, 0, 0, 0, 0),
        (_new, 0, 2, 0, 0),
        (_rejected, 0, 3, 3, 3),
        (_failed, 0, 3, 3, 3),
        (_failed_and_new, 0, 3, 3, 3),
        (_waiting, 0, 2, 0, 0),
        (_scheduled, 0, 2, 0, 0),
        (_scheduled_since_long, 0, 0, 0, 0),
        (_overdue, 0, 3, 3, 3),
        (_broken, 1, 1, 3, 1),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_exit_codes(world: World, given, plan: int, detailed: int, status: int, apply: int):
    """The exit code of each command depends on the state of the project."""
    given(world)

    ends = [world.run(*command).code for command in (["plan"], DETAILED, ["status"], ["apply", "--yes"])]

    assert ends == [plan, detailed, status, apply]


def test_reconcile_exits_as_apply_does(world: World):
    """`reconcile` acts without confirmation, with the same exit codes."""
    world.batch("clicks")

    first = world.run("reconcile")
    world.aws.finish(world.runs()[0].id, "failed")
    second = world.run("reconcile", "--format", "json")

    assert (first.code, second.code) == (0, 3)
    assert second.actions("action", "reason") == [("hold", "retries-exhausted")]
    assert first.err.endswith(" reconcile shop/staging: 1 submitted; ledger position 4\n")
    assert second.err.endswith(" reconcile shop/staging: 1 held; ledger position 5\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plam"], "Did you mean plan?"),
        (["plan", "--onyl", "x"], "--onyl"),
        (["plan", "-t", "stagin"], "Did you mean staging?"),
        (["plan", "--only", "click"], "Did you mean clicks?"),
        (["plan", "-l", "team=growht"], "team=growth"),
        (["plan", "-l", "team"], "LABEL=VALUE"),
        (["plan", "--at", "tomorow"], "tomorrow 02:00"),
        (["plan", "--at", "2026-01-01 02:00 CET"], "zone"),
        (["plan", "--format", "xml"], "xml"),
        (["apply", "--yes", "--expect", ""], "p- and 16 hex digits"),
        (["apply", "--yes", "--expect", "p-0123456789ABCDEF"], "p- and 16 hex digits"),
        (["-C", "nowhere", "plan"], "nowhere"),
        (["--only", "clicks", "schema"], "schema takes no --only"),
        (["completion", "tcsh"], "tcsh"),
        (["retry", "clicks", "--yes", "--slot", "11/12/2026"], "2026-11-12 or 2026-12-11"),
        (["retry", "clicks", "--yes", "--slot", "2026-11-22T02:00:00Z"], "has no schedule"),
        (["backfill", "clicks", "--yes", "--from", "5", "--to", "2026-11-22T03:00:00Z"], "unit"),
        (["resolve", "clicks"], "--abandon"),
        (["cancel", "klicks", "--yes"], "Did you mean clicks?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_64_with_a_hint(world: World, arguments: list[str], says: str):
    """Options and names that do not exist or cannot be combined exit 64 with a hint."""
    world.batch("clicks", labels="{team: growth}")

    done = world.run(*arguments)

    assert done.code == 64
    assert says in done.err
    assert done.out == ""


def test_no_project_is_wrong_usage(world: World):
    """Without a reconciler.yaml, the message explains how to select or create a project."""
    (world.folder / "reconciler.yaml").unlink()

    done = world.run("plan")

    assert done.code == 64
    assert "reconciler.yaml" in done.err


def test_no_target_chosen_is_wrong_usage(world: World):
    """Without a default target, the user must choose one. `-t` takes precedence over the environment variable."""
    world.write("reconciler.yaml", project_text().replace("  defaultTarget: staging\n", ""))
    world.batch("clicks")

    none = world.run("plan")
    world.env["RECONCILER_TARGET"] = "staging"
    by_variable = world.run("plan", "--format", "json")
    by_option = world.run("plan", "--format", "json", "-t", "local")

    assert none.code == 64
    assert by_variable.json["target"] == "staging"
    assert by_option.json["target"] == "local"


def test_a_bug_is_reported_in_one_masked_line(world: World, monkeypatch: pytest.MonkeyPatch):
    """A traceback is printed only with `-vv`."""

    def fault(*_: object, **__: object) -> None:
        raise ZeroDivisionError("with AKIAIOSFODNN7EXAMPLE inside")

    monkeypatch.setattr("reconciler.specs.files.find_files", fault)

    quiet = world.run("plan")
    loud = world.run("plan", "-vv")

    assert (quiet.code, loud.code) == (1, 1)
    assert "internal error: ZeroDivisionError" in quiet.err
    assert "Traceback" not in quiet.err
    assert "Traceback" in loud.err
    assert "AKIAIOSFODNN7EXAMPLE" not in quiet.err + loud.err


@pytest.mark.parametrize(
    "place", ["reconciler.apply.executor._procedure", "reconciler.app.service.reconcile"], ids=["action", "pass"]
)
def test_a_bug_in_a_pass_is_one_sentence(world: World, monkeypatch: pytest.MonkeyPatch, place: str):
    """If an action or a pass of a service fails unexpectedly, a traceback is logged only with -vv."""
    is_service = place.endswith("reconcile")
    errors = cycle([ZeroDivisionError("with AKIAIOSFODNN7EXAMPLE inside"), *([KeyboardInterrupt()] * is_service)])

    def fault(*_: object, **__: object) -> None:
        raise next(errors)

    monkeypatch.setattr(place, fault)
    world.batch("clicks")
    command = ["reconcile", *(["--every", "1s"] * is_service)]

    quiet = world.run(*command)
    loud = world.run(*command, "-vv")

    (line,) = [line for line in quiet.err.splitlines() if "-vv logs its traceback" in line][:1]
    assert "ZeroDivisionError" in line
    assert "Traceback" not in quiet.err
    assert "Traceback" in loud.err
    assert "AKIAIOSFODNN7EXAMPLE" not in quiet.err + loud.err


def test_account_mismatch_sends_nothing(world: World):
    """Credentials of another account are refused before anything is sent or recorded; both accounts are named."""
    world.aws.configure(account="999999999999")
    world.batch("clicks")

    done = world.run("apply", "--yes")

    assert done.code == 1
    assert ACCOUNT in done.err
    assert "999999999999" in done.err
    assert world.runs() == []
    assert [event.type for event in world.events()] == ["opened"]


def test_reading_with_another_account_is_refused(world: World):
    """In another account, every run would appear to be lost."""
    world.batch("clicks")
    world.run("apply", "--yes")
    world.aws.configure(account="999999999999")

    ends = [world.run(command).code for command in ("plan", "status", "reconcile")]

    assert ends == [1, 1, 1]


def test_help_of_every_command_has_an_example(capsys: pytest.CaptureFixture[str]):
    """`--help` of each command contains an example."""
    from reconciler.cli.program import COMMANDS

    for name in COMMANDS:
        assert main([name, "--help"]) == 0
        text = capsys.readouterr().out
        assert "Example" in text
        assert f"reconciler {name}" in text
