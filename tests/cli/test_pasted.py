"""Tests that suggested commands work in the directory where they were printed, because they contain the folder, the
target and the ledger."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.identity import Place
from reconciler.ledger.chained_batches import checksum
from reconciler.ledger.open import open_store
from reconciler.ledger.snapshot import pack
from tests.cli.doubt import in_doubt, terminated_by_others
from tests.cli.test_fsck import _lose_the_ledger
from tests.cli.world import ACCOUNT, REGION, Done, World

ELSEWHERE = "my project"


@pytest.fixture
def above(world: World) -> World:
    """The parent folder of the project, whose name contains a space; another target is the default."""
    folder = world.folder.rename(world.folder.parent / ELSEWHERE)
    world.folder = folder
    world.env["RECONCILER_TARGET"] = "local"
    return replace(world, folder=folder.parent)


COMMAND = re.compile(r"(?:^[ #]*|: |then )reconciler ((?:-C|[a-z]).*?)(?=, then |$)", re.MULTILINE)


def printed(done: Done) -> list[list[str]]:
    """Returns every command in an output, split as by a shell, without the program's name."""
    return [shlex.split(each) for each in COMMAND.findall(f"{done.out}\n{done.err}")]


def inside(world: World, *arguments: str) -> Done:
    """Runs a command in the project folder against the target that is not the default."""
    return world.run(*arguments, "-t", "staging")


def failed(world: World) -> None:
    """Creates a failed run, which puts its spec on hold."""
    world.batch("clicks")
    inside(world, "apply", "--yes")
    world.aws.finish(world.runs()[0].id, "failed")
    inside(world, "apply", "--yes")


def stopped(world: World) -> None:
    """Stops a run as another user."""
    world.batch("clicks")
    inside(world, "apply", "--yes")
    terminated_by_others(world, world.runs()[0].id)
    inside(world, "apply", "--yes")


def unknown(world: World) -> None:
    """Creates a submission with an unknown outcome."""
    world.env["RECONCILER_TARGET"] = "staging"
    in_doubt(world, "clicks")
    world.env["RECONCILER_TARGET"] = "local"


def renamed(world: World) -> None:
    """Creates a spec that was renamed."""
    path = world.batch("clicks")
    inside(world, "apply", "--yes")
    path.unlink()
    world.batch("views")


def lost(world: World) -> None:
    """Creates a run that is missing from the ledger."""
    world.batch("clicks")
    inside(world, "apply", "--yes")
    _lose_the_ledger(world)
    world.batch("other")
    inside(world, "apply", "--yes", "--only", "other")


def renaming(world: World) -> None:
    """Creates runs that are missing from the ledger, for a spec that was then renamed in git. The rename has not been
    applied."""
    path = world.batch("clicks")
    inside(world, "apply", "--yes")
    (world.folder / "ledger.sqlite").rename(world.folder / "older.sqlite")
    shutil.copyfile(world.folder / "older.sqlite", world.folder / "ledger.sqlite")
    world.batch("clicks", "B", concurrencyPolicy="Allow")
    inside(world, "apply", "--yes")
    for file in world.folder.glob("ledger.sqlite*"):
        file.unlink()
    (world.folder / "older.sqlite").rename(world.folder / "ledger.sqlite")
    text = path.read_text()
    path.unlink()
    renamed = text.replace("name: clicks", "name: views", 1).replace("  labels:", "  renamedFrom: clicks\n  labels:")
    world.write("views.yaml", renamed)


@pytest.mark.parametrize(
    ("trouble", "command", "kinds"),
    [
        (failed, "plan", ["retry"]),
        (failed, "status", ["retry"]),
        (stopped, "plan", ["retry"]),
        (unknown, "plan", ["adopt", "resolve", "resolve"]),
        (unknown, "status", ["adopt", "resolve", "resolve"]),
        (lost, "fsck", ["adopt", "fsck"]),
        (renaming, "fsck", ["adopt", "fsck"]),
    ],
)
@pytest.mark.parametrize("which", [-1, pytest.param(0, marks=pytest.mark.soak)])
def test_a_suggested_command_works_from_another_folder(
    above: World, world: World, trouble: Callable[[World], None], command: str, kinds: list[str], which: int
):
    """Each suggested command contains the project folder and the target of the command that printed it, and works."""
    trouble(world)
    shown = above.run("-C", ELSEWHERE, command, "-t", "staging")
    commands = printed(shown)

    assert [words[2] for words in commands] == kinds
    assert all(words[:2] == ["-C", ELSEWHERE] for words in commands)
    chosen = ["RUN" if word == "RUN_ID" else word for word in commands[which]]
    done = above.run(*chosen, "--yes")
    if "RUN" in chosen:  # the operator must fill in the id of a run, and no run exists
        assert done.code == 1
        assert "RUN" in done.err
    else:
        assert done.code in {0, 3}, done.err
        assert any(word in done.out for word in ("Recorded", "clicks", "views"))


def test_runs_are_rebuilt_before_a_rename_is_applied(world: World):
    """The token of the lost run identifies its content under the former name, so the rename does not start a run."""
    world.env["RECONCILER_TARGET"] = "staging"
    renaming(world)

    rebuilt = world.run("fsck", "--adopt", "--yes")
    applied = world.run("apply", "--yes")

    assert (rebuilt.code, applied.code) == (0, 0), (rebuilt, applied)
    assert len(world.runs()) == 2


def test_commands_in_markdown_and_json_are_the_same(above: World, world: World):
    """Markdown and JSON contain the same commands as the text output."""
    failed(world)
    arguments = ("-C", ELSEWHERE, "plan", "-t", "staging", "--format")

    markdown = above.run(*arguments, "markdown")
    [action] = above.run(*arguments, "json").json["actions"]

    assert action["remedy"]["commands"] == ["reconciler -C 'my project' retry clicks -t staging --reason \"...\""]
    assert f"`{action['remedy']['commands'][0]}`" in markdown.out


def test_the_command_that_applies_a_saved_plan_works(above: World, world: World, tmp_path: Path):
    """The suggested command contains the folder, the target and the file."""
    world.batch("clicks")
    file = tmp_path / "a plan.json"
    saved = above.run("-C", ELSEWHERE, "plan", "-t", "staging", "--out", file)
    [words] = printed(saved)

    done = above.run(*words, "--yes")

    assert words == ["-C", ELSEWHERE, "apply", str(file), "-t", "staging"]
    assert done.code == 0, done.err
    assert len(world.runs()) == 1


def test_what_is_left_out_of_a_comment_can_be_seen(above: World, world: World):
    """The note in the shortened comment contains a command that prints the whole plan."""
    for number in range(60):
        world.batch(f"job-{number}", str(number))
    short = above.run("-C", ELSEWHERE, "plan", "-t", "staging", "--format", "markdown", "--max-bytes", "3000")
    [words] = printed(Done(0, short.out.replace("`reconciler", ": reconciler").replace("staging`", "staging"), ""))

    whole = above.run(*words)

    assert len(short.out.encode()) <= 3000
    assert re.search(r"\*\*Not shown here: \d+ of 60 changes", short.out)
    assert all(f"job-{number} " in whole.out for number in range(60))


def test_the_command_that_starts_a_project_works(world: World, tmp_path: Path):
    """A folder with a space in its name is quoted."""
    above = replace(world, folder=tmp_path)
    (tmp_path / "new one").mkdir()
    refused = above.run("-C", "new one", "plan")
    [words] = printed(refused)

    started = above.run(*words)
    validate, plan = printed(started)

    assert refused.code == 64
    assert started.code == 0, started.err
    assert above.run(*validate).code == above.run(*plan).code == 0


def test_a_local_ledger_in_ci_is_repeated(above: World, world: World):
    """The suggestion repeats --local-ledger, because the pasted command would otherwise be refused."""
    failed(world)
    above.env["CI"] = "true"
    shown = above.run("-C", ELSEWHERE, "plan", "-t", "staging", "--local-ledger")
    [words] = printed(shown)

    assert words[-3:] == ["--local-ledger", "--reason", "..."]
    assert above.run(*words, "--yes").code == 0


def test_the_command_that_replaces_a_changed_snapshot_works(above: World, world: World):
    """The command suggested by `ledger verify` contains the folder and the target, and the next verification finds
    nothing."""
    world.env["RECONCILER_TARGET"] = "staging"
    world.batch("clicks")
    inside(world, "apply", "--yes")
    inside(world, "ledger", "verify", "--new-snapshot")
    log = replace(world, target="staging").log()
    log.recorded.spec("clicks").submissions[0].reason = "another"
    store: Any = open_store(world.ledger, world.folder, Place("shop", "staging", ACCOUNT, REGION))
    [*_, (_, newest)] = store.read(0)
    store.keep_snapshot(log.recorded.position, pack(log.recorded, checksum(newest)))
    log.close()
    world.env["RECONCILER_TARGET"] = "local"

    wrong = above.run("-C", ELSEWHERE, "ledger", "verify", "-t", "staging")
    [words] = printed(wrong)
    above.run(*words)

    assert wrong.code == 1
    assert words == ["-C", ELSEWHERE, "ledger", "verify", "--new-snapshot", "-t", "staging"]
    assert above.run("-C", ELSEWHERE, "ledger", "verify", "-t", "staging").code == 0
