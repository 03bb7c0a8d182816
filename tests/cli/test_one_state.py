"""Tests that files, commit and ledger are read in one consistent state, so that a checkout that changes during the read
does not undo newer content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.app import inputs, reconcile
from reconciler.app.options import CommandOptions
from reconciler.app.session import Session, opened
from reconciler.core.events import SubmissionEvent
from reconciler.specs import git
from reconciler.specs.usable import UsableSpecs
from tests.cli.world import World, project_text

AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.org")


@contextmanager
def after_reading(monkeypatch: pytest.MonkeyPatch, *happenings: Callable[[], object]) -> Iterator[list[str]]:
    """Calls a function each time a pass has read the spec files, before it reads anything else. Yields the list of
    reads."""
    left, reads = list(happenings), list[str]()
    real = inputs._usable

    def usable(session: object, *, tolerant: bool, at_rest: None = None) -> UsableSpecs:
        try:
            return real(session, tolerant=tolerant, at_rest=at_rest)  # type: ignore[arg-type]
        finally:
            reads.append("read")
            if left:
                left.pop(0)()

    monkeypatch.setattr(inputs, "_usable", usable)
    yield reads
    assert not left


def contents(world: World, name: str) -> list[str]:
    """Returns the argument of each run of a spec, oldest first."""
    return [sent["containerOverrides"]["command"][1] for sent in world.sent(name)]


@pytest.fixture
def repository(world: World) -> World:
    """A repository whose first commit, with content A, has run."""
    world.aws.configure(run_seconds=0)
    world.git("init", "--quiet", "--initial-branch=main")
    world.batch("clicks", "A")
    world.commit()
    assert world.run("apply", "--yes").code == 0
    return world


@pytest.mark.parametrize("command", ["reconcile", "apply --yes"])
def test_a_slow_pass_does_not_undo_a_newer_commit(repository: World, monkeypatch: pytest.MonkeyPatch, command: str):
    """While a pass reads content A, the checkout changes to B, and B runs. The slow pass then plans with B, and sends
    nothing."""

    def newer() -> None:
        repository.batch("clicks", "B")
        repository.commit()
        assert repository.run("apply", "--yes").code == 0

    with after_reading(monkeypatch, newer):
        assert repository.run(*command.split()).code == 0
    assert contents(repository, "clicks") == ["A", "B"]


def test_a_checkout_that_moves_without_a_run_is_read_again(repository: World, monkeypatch: pytest.MonkeyPatch):
    """The submitted content is the content of the commit in the intent."""

    def newer() -> None:
        repository.batch("clicks", "B")
        repository.commit()

    with after_reading(monkeypatch, newer):
        done = repository.run("reconcile", "--format", "json")
    assert done.code == 0
    assert done.json["commit"] == repository.git("rev-parse", "HEAD")
    assert contents(repository, "clicks") == ["A", "B"]


@pytest.mark.parametrize("command", ["reconcile", "apply --yes"])
def test_a_file_that_is_broken_while_the_checkout_moves_is_read_again(
    repository: World, monkeypatch: pytest.MonkeyPatch, command: str
):
    """A file that is only half written during a pull is not reported as an error in the project."""
    repository.write("clicks.yaml", "apiVersion: [")

    def mended() -> None:
        repository.batch("clicks", "B")
        repository.commit()

    with after_reading(monkeypatch, mended):
        assert repository.run(*command.split()).code == 0
    assert contents(repository, "clicks") == ["A", "B"]


def test_a_checkout_that_never_rests_ends_with_an_error(repository: World, monkeypatch: pytest.MonkeyPatch):
    """After three reads, the pass gives up, explains why, and sends nothing."""

    def moves() -> None:
        repository.git(
            "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--allow-empty", "-m", "more"
        )

    repository.batch("clicks", "B")
    with after_reading(monkeypatch, moves, moves, moves):
        done = repository.run("reconcile")
    assert done.code == 1
    assert "changed while it was read" in done.err
    assert contents(repository, "clicks") == ["A"]


def test_a_shared_folder_without_git_undoes_nothing(world: World, monkeypatch: pytest.MonkeyPatch):
    """Outside git, the ledger shows that another pass has applied newer files in the meantime, and the files are read
    again."""
    world.aws.configure(run_seconds=0)
    world.batch("clicks", "A")
    assert world.run("apply", "--yes").code == 0

    def newer() -> None:
        world.batch("clicks", "B")
        assert world.run("apply", "--yes").code == 0

    with after_reading(monkeypatch, newer) as reads:
        assert world.run("reconcile").code == 0
    assert contents(world, "clicks") == ["A", "B"]
    assert len(reads) == 3  # the newer files once, and the files of the slow pass twice


@pytest.mark.parametrize("command", ["reconcile", "apply --yes"])
def test_a_project_file_that_changes_meanwhile_is_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch, command: str
):
    """Variables of one version are never combined with specs of another version, and the limits are those of the newest
    version."""
    world.batch("clicks", "${var.day}")
    world.write("reconciler.yaml", project_text(more="\n  vars: {day: monday}"))

    def newer() -> None:
        world.write("reconciler.yaml", project_text(more="\n  vars: {day: tuesday}"))

    def strict() -> None:
        limits = "\n      limits: {maxSubmissions: 0}"
        world.write("reconciler.yaml", project_text(more="\n  vars: {day: sunday}", limits=limits))

    with after_reading(monkeypatch, strict):
        refused = world.run(*command.split())
    assert (refused.code, "maxSubmissions" in refused.err, contents(world, "clicks")) == (1, True, [])
    with after_reading(monkeypatch, newer) as reads:
        assert world.run(*command.split()).code == 0
    assert (contents(world, "clicks"), len(reads)) == (["tuesday"], 2)


@pytest.mark.parametrize("other", [{"ledger": "sqlite:///other.sqlite"}, {"default": "local"}])
def test_a_project_file_with_another_ledger_ends_the_pass(
    world: World, monkeypatch: pytest.MonkeyPatch, other: dict[str, str]
):
    """The session is connected to the ledger of the former project file, so nothing is sent unless the target is
    unchanged."""
    world.batch("clicks", "A")

    def moved() -> None:
        world.write("reconciler.yaml", project_text(**other))

    with after_reading(monkeypatch, moved):
        done = world.run("apply", "--yes")
    expected = (1, []) if "ledger" in other else (0, ["A"])
    assert (done.code, contents(world, "clicks")) == expected


def test_a_pass_asks_git_twice_for_the_commit(repository: World, monkeypatch: pytest.MonkeyPatch):
    """git is called once before and once after the files are read. If nothing has changed, another call would return
    nothing new."""
    asked = list[Sequence[str]]()
    real = git.run

    def run(root: Path, arguments: Sequence[str], *more: Any, **options: Any) -> Any:
        asked.append(arguments)
        return real(root, arguments, *more, **options)

    monkeypatch.setattr(git, "run", run)
    assert repository.run("reconcile").code == 0
    assert sum("HEAD^{commit}" in arguments for arguments in asked) == 2


def test_a_pass_that_is_frozen_after_reading_undoes_nothing(world: World, monkeypatch: pytest.MonkeyPatch):
    """Another pass applies newer files after a slow pass has read its files and before it observes runs; the slow pass
    then reads its files again, although the end of a run, which it records, made it read the newer ledger."""
    world.batch("clicks", "A", concurrencyPolicy="Allow")
    world.batch("other")
    assert world.run("apply", "--yes").code == 0
    for run in world.runs():
        world.aws.finish(run.id, "succeeded")
    left, real = [True], reconcile.observe

    def observe(session: Session, read: inputs.PassInputs) -> Sequence[SubmissionEvent]:
        if left:
            left.pop()
            world.batch("clicks", "B", concurrencyPolicy="Allow")
            assert world.run("apply", "--yes").code == 0
        return real(session, read)

    monkeypatch.setattr(reconcile, "observe", observe)
    assert world.run("reconcile").code == 0
    assert contents(world, "clicks") == ["A", "B"]


def test_another_pass_with_the_same_files_is_no_conflict(world: World, monkeypatch: pytest.MonkeyPatch):
    """If another pass submits a spec from the same files, a pass that has already read these files does not read
    them again."""
    world.aws.configure(run_seconds=0)
    for name in ("clicks", "other"):
        world.batch(name, "A")
    assert world.run("apply", "--yes").code == 0
    for name in ("clicks", "other"):
        world.batch(name, "B")

    def same() -> None:
        assert world.run("apply", "--yes", "--only", "clicks").code == 0

    with after_reading(monkeypatch, same) as reads:
        assert world.run("reconcile").code == 0
    assert (contents(world, "clicks"), contents(world, "other")) == (["A", "B"], ["A", "B"])
    assert reads == ["read", "read"]  # one from each pass


def test_a_pass_forgets_what_an_earlier_pass_found(world: World, monkeypatch: pytest.MonkeyPatch):
    """A failed lookup affects only its own pass, although a service keeps the state of the ledger between passes."""
    world.batch("clicks")
    assert world.run("apply", "--yes").code == 0
    for name, value in world.env.items():
        monkeypatch.setenv(name, value)
    with opened(CommandOptions(directory=world.folder)) as session:
        inputs.read(session).recorded.look_errors["r1-0"] = "AWS did not reply"
        assert not inputs.read(session).recorded.look_errors
