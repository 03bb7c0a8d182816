"""Tests that the output of a command that found nothing to do is cached, and is reused only until something changes."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from threading import Event
from typing import Self

import pytest

from reconciler.app import session, stored_output
from reconciler.app.options import CommandOptions
from reconciler.app.reconcile import reconcile
from reconciler.app.stored_output import AgedLine, QuietPass, StoredOutput, with_ages
from reconciler.core import observations
from reconciler.core.events import Notified
from reconciler.specs import stamps
from reconciler.specs.private_cache import PrivateCache, digest
from tests.cli.world import Done, World, project_text

COMMANDS = ("plan", "plan --format json", "status", "status --format json", "validate")


@pytest.fixture
def found(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Records, for each command, whether it found a cached output. All file stamps are treated as reliable, and one
    spec has run."""
    answers: list[bool] = []
    real = StoredOutput.find

    def find(self: StoredOutput) -> str | None:
        answer = real(self)
        answers.append(answer is not None)
        return answer

    monkeypatch.setattr(StoredOutput, "find", find)
    monkeypatch.setattr(stamps, "RACY_NS", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    world.aws.configure(run_seconds=0)
    world.batch("clicks", "A")
    world.batch("orders", "A")
    assert world.run("apply", "--yes").code == 0
    assert world.run("reconcile").code == 0  # records the ends
    assert answers == []  # apply and reconcile do not use the cache
    return answers


@pytest.mark.parametrize("command", COMMANDS)
def test_the_second_command_answers_from_memory(world: World, found: list[bool], command: str):
    """The second command prints the same output, including the warning about the ledger. With `--no-cache`, the command
    makes a new plan."""
    dones = []
    for more in ((), (), ("--no-cache",)):
        session._warn_once.cache_clear()  # a new process would print the warning again
        dones.append(world.run(*command.split(), *more))
    first, second, anew = dones
    assert found == [False, True, False]
    assert first.code == second.code == anew.code == 0
    assert [words(done) for done in (second, anew)] == [words(first)] * 2
    assert ["is relative to the project folder" in done.err for done in dones] == [command != "validate"] * 3


def words(done: Done) -> list[list[str]]:
    """Returns the output of a command without the ages, the padding of columns, and the time of a plan."""
    aged = r'\d+[smh]|"20\d\d-.{14}Z",'
    return [[word for word in line.split() if not re.fullmatch(aged, word)] for line in done.out.splitlines()]


def edit_within_a_second(world: World) -> None:
    """Changes one letter in a file and restores its modification time."""
    path = world.folder / "clicks.yaml"
    before = path.stat()
    path.write_text(path.read_text().replace('"A"', '"B"'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def swap(world: World) -> None:
    """Swaps the names of two files."""
    one, other, aside = (world.folder / name for name in ("clicks.yaml", "orders.yaml", "aside"))
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def edit_project(world: World) -> None:
    """Changes a value of the project file."""
    path = world.folder / "reconciler.yaml"
    path.write_text(path.read_text() + "\n# changed\n")


def notified(world: World) -> None:
    """Appends an event that changes no plan."""
    log = world.log()
    log.append([Notified(at="2026-11-29T00:00:00.000Z", name="clicks", key="k", kinds=("failed",))], lambda _: None)
    log.close()


CHANGES: tuple[Callable[[World], object], ...] = (
    edit_within_a_second,
    swap,
    lambda world: world.batch("visits", "A"),
    lambda world: (world.folder / "clicks.yaml").unlink(),
    edit_project,
    lambda world: world.write("broken.yaml", "kind: BatchJob\n"),
    notified,
    lambda world: world.env.update(RECONCILER_TARGET="local"),
)


def test_after_a_change_the_plan_is_made_anew(world: World, found: list[bool]):
    """A cached output is not used once a file, the project, the ledger or the chosen target has changed."""
    files = {path: path.read_bytes() for path in world.folder.glob("*.yaml")}
    for change in CHANGES:
        world.run("plan")
        change(world)
        after, anew = world.run("plan"), world.run("plan", "--no-cache")
        assert found[-3:] == [False] * 3
        assert (after.code, after.out) == (anew.code, anew.out)
        for path in world.folder.glob("*.yaml"):
            path.unlink()
        for path, content in files.items():
            path.write_bytes(content)


def test_a_ledger_that_a_ci_service_must_not_use_is_refused(world: World, found: list[bool]):
    """The refusal depends on variables of the CI service and on AWS's endpoints, so they are part of the key."""
    for endpoints, code in ((world.env, 0), ({}, 1)):
        world.env = dict(endpoints)
        assert world.run("plan", "--no-refresh").code == 0
        world.env["TF_BUILD"] = "True"
        done = world.run("plan", "--no-refresh")
        assert (done.code, "--local-ledger" in done.err) == (code, code == 1)
    assert found == [False] * 4


def test_a_checkout_of_another_branch_is_read(world: World, found: list[bool]):
    """After a return to the first branch, nothing is pending again."""
    world.git("init", "--quiet", "--initial-branch=main")
    world.commit()
    world.run("plan")
    world.git("checkout", "--quiet", "-b", "other")
    world.batch("clicks", "B")
    world.commit()
    assert "clicks" in world.run("plan").out
    world.git("checkout", "--quiet", "main")
    assert "clicks" not in world.run("plan").out
    assert not any(found)


def test_a_plan_as_json_has_the_time_and_the_checkout_of_now(
    world: World, found: list[bool], monkeypatch: pytest.MonkeyPatch
):
    """The stored plan is used until the commit changes, or another file of the project is not committed."""
    world.git("init", "--quiet", "--initial-branch=main")
    world.commit()
    command = ("plan", "--no-refresh", "--format", "json")
    real, plans = time.time, [world.run(*command).json]

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(days=1)

    for change in (
        lambda: None,
        lambda: world.git("commit", "--quiet", "--allow-empty", "-m", "empty"),
        lambda: world.write(".github/new.yaml", "a: 1\n"),
    ):
        change()
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: real() + 86400)
            patch.setattr(stored_output, "datetime", Later)
            plans.append(world.run(*command).json)
        anew = world.run(*command, "--no-cache").json
        assert {**plans[-1], "created_at": ""} == {**anew, "created_at": ""}
        assert plans[-1]["created_at"] > plans[0]["created_at"][:10] + "T24"
    assert found == [False, True, False, False, False, False, False]
    assert "uncommitted" in plans[-1]


def test_files_that_have_just_changed_are_read_again(world: World, found: list[bool], monkeypatch: pytest.MonkeyPatch):
    """A file that was edited less than two seconds before a command could be edited again without a new stamp."""
    monkeypatch.setattr(stamps, "RACY_NS", 3_600_000_000_000)
    world.run("plan")
    world.run("plan")
    assert found == [False, False]


@pytest.mark.parametrize("hours", [-1, 24], ids=["set back", "at the next slot"])
def test_an_answer_holds_from_its_plan_to_the_next_slot(
    world: World, found: list[bool], monkeypatch: pytest.MonkeyPatch, hours: int
):
    """A time before the plan means that the clock was set back. From the next slot on, a run is due."""
    world.batch("daily", "A", schedule="0 0 * * *")
    assert world.run("apply", "--yes").code == 0
    assert world.run("reconcile").code == 0
    world.run("plan")
    world.run("plan")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * hours)
    world.run("plan")
    assert found == [False, True, False]


@pytest.mark.parametrize("spec", ["clicks", None], ids=["of a spec", "of the project"])
def test_an_answer_ends_with_a_suspension(
    world: World, found: list[bool], monkeypatch: pytest.MonkeyPatch, spec: str | None
):
    """A suspension that should have ended is shown as overdue, and the command exits 3."""
    suspend = f'{{until: "{datetime.now(UTC) + timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}"}}'
    if spec is None:
        world.write("reconciler.yaml", project_text(more=f"\n  suspend: {suspend}"))
    else:
        world.batch(spec, "A", suspend=suspend)
    assert world.run("apply", "--yes").code == 0  # records that the change was applied
    command = ("plan", "--detailed-exitcode")
    assert [world.run(*command).code for _ in range(2)] == [0, 0]
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3 * 3600)
    assert [world.run(*command).code for _ in range(2)] == [3, 3]
    assert found == [False, True, False, False]


def entry() -> Path:
    """Returns the only entry in the cache."""
    (path,) = (Path(os.environ["XDG_CACHE_HOME"]) / "reconciler").glob("quiet-*")
    return path


def test_a_forged_answer_changes_what_is_shown_and_never_what_runs(world: World, found: list[bool]):
    """A forged entry that claims to match the changed file does not stop `apply` or `reconcile` from submitting."""
    world.run("plan")
    cache, name = PrivateCache(os.environ), entry().name
    edit_within_a_second(world)
    form = json.loads(cache.read(name) or b"")
    blocks = [(path, names) for path, _, _, names in form["folders"]]
    forged = stamps._stamps(str(world.folder), blocks).digest
    cache.write(name, json.dumps({**form, "digest": forged}).encode())
    assert "No changes" in world.run("plan").out
    assert found[-1]
    assert "1 submitted" in world.run("apply", "--yes").out
    edit_within_a_second(world)
    assert len(world.sent("clicks")) == 2


FORGED = ("", "[]", "{}", '{"format": 1}', '{"format": 1, "since": "", "until": []}', "\xff", "[" * 100_000)


def test_an_answer_that_this_version_never_writes_is_no_error(world: World, found: list[bool]):
    """The output is computed again, and the entry is replaced."""
    world.run("plan")
    for content in FORGED:
        PrivateCache(os.environ).write(entry().name, content.encode("latin-1"))
        assert "No changes" in world.run("plan").out
    world.run("plan")
    assert found == [False, *[False] * len(FORGED), True]


def test_what_another_version_remembered_is_not_used(world: World, found: list[bool], monkeypatch: pytest.MonkeyPatch):
    """The name of an entry contains the program's version."""
    world.run("plan")
    monkeypatch.setattr(stored_output, "code_version", lambda: digest("another"))
    world.run("plan")
    assert found == [False, False]


def test_a_live_run_a_hold_and_a_change_are_not_remembered(world: World, found: list[bool]):
    """If a spec waits or runs, each command makes a new plan."""
    world.aws.configure(run_seconds=3600)
    world.batch("clicks", "B")
    changed, again = world.run("plan", "--no-refresh"), world.run("plan", "--no-refresh")
    world.run("apply", "--yes")
    live = [world.run("plan", "--no-refresh") for _ in range(2)]
    assert found == [False] * 4
    assert changed.out == again.out
    assert live[0].out == live[1].out


def test_warnings_are_reported_each_time(world: World, found: list[bool]):
    """If a spec has a warning or a problem, its validity is not cached."""
    world.batch("clicks", "A", catchup="true")
    first, second = world.run("validate"), world.run("validate")
    assert "no effect without a schedule" in first.err
    assert first.err == second.err
    assert found == [False, False]


def test_ages_are_those_of_now():
    """The age column is as wide as the longest age."""
    lines: list[AgedLine] = [
        ("NAME  ", "AGE", "  ID"),
        ("one   ", 0.0, "  x"),
        ("two   ", "-", "  y"),
        ("2 of 2", "", ""),
    ]
    assert with_ages(lines, 7200.0) == "NAME  AGE  ID\none   2h   x\ntwo   -    y\n2 of 2"
    assert with_ages(lines, 86400.0 * 1000) == "NAME  AGE    ID\none   1000d  x\ntwo   -      y\n2 of 2"


def test_a_service_at_rest_repeats_its_last_pass(world: World, found: list[bool], monkeypatch: pytest.MonkeyPatch):
    """As long as nothing changes, a pass reads no specs and does not call AWS. After a change, it does both."""
    for name, value in world.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(observations, "LATE", timedelta())  # the emulator reports no usage
    rest = QuietPass()
    with session.opened(CommandOptions(directory=world.folder)) as opened:
        assert rest.again(opened) is None
        done = reconcile(opened, Event())
        assert done is not None
        rest.keep(opened, done)
        for _ in range(2):
            again = rest.again(opened)
            assert again is not None
            assert (again.results, again.plan.actions) == (done.results, done.plan.actions)
        notified(world)
        assert rest.again(opened) is None
        rest.keep(opened, done)  # made at another position of the ledger
        assert rest.again(opened) is None
    assert found == []


@pytest.mark.parametrize("cause", ["edit", "slot", "clock set back", "commit"])
def test_a_service_at_rest_notices_a_file_and_a_slot(
    world: World, found: list[bool], monkeypatch: pytest.MonkeyPatch, cause: str
):
    """After an edit, a due slot, a clock that is set back, or a commit without changes, the service runs a full pass
    again."""
    monkeypatch.setattr(observations, "LATE", timedelta())
    for name, value in world.env.items():
        monkeypatch.setenv(name, value)
    world.batch("daily", "A", schedule="0 0 * * *")
    if cause == "commit":
        world.git("init", "--quiet")
        world.commit()
    assert world.run("reconcile").code == 0
    rest, real = QuietPass(), time.time_ns
    with session.opened(CommandOptions(directory=world.folder)) as opened:
        rest.again(opened)
        done = reconcile(opened, Event())
        assert done is not None
        rest.keep(opened, done)
        assert rest.again(opened) is not None
        if cause == "edit":
            edit_within_a_second(world)
        elif cause == "commit":
            world.commit()
        else:
            hours = 25 if cause == "slot" else -1
            monkeypatch.setattr(time, "time_ns", lambda: real() + hours * 3_600_000_000_000)
        assert rest.again(opened) is None
    assert found == []
