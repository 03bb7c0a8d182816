"""Tests the plan's warnings about specs that will run but are not in a commit."""

from __future__ import annotations

import pytest

from tests.cli.world import World


def warnings(world: World, *command: str) -> list[str]:
    """Returns the warnings of a plan."""
    done = world.run(*command, "--format", "json")
    assert done.code == 0, done.err
    return list(done.json["warnings"])


@pytest.mark.parametrize("command", [("plan",), ("apply", "--yes")], ids=["plan", "apply"])
def test_a_repository_without_a_commit_is_warned_of(world: World, command: tuple[str, ...]):
    """Before the first commit, `plan` and `apply` warn that runs cannot be traced to a commit, as long as a run is
    pending."""
    world.git("init", "--quiet", "--initial-branch", "main")
    world.spark("orders")

    (first,) = warnings(world, *command)

    assert "has no commit yet" in first
    world.run("apply", "--yes")
    assert warnings(world, "plan") == []


@pytest.mark.parametrize("command", [("plan",), ("apply", "--yes")], ids=["plan", "apply"])
def test_specs_that_git_does_not_track_are_warned_of(world: World, command: tuple[str, ...]):
    """A new spec, or a spec that a .gitignore excludes, is listed before it runs. A committed spec is not listed."""
    world.git("init", "--quiet", "--initial-branch", "main")
    world.spark("orders")
    world.commit("first")
    ignored = world.spark("clicks")
    (world.folder / ".gitignore").write_text(f"{ignored.name}\n")

    texts = [each for each in warnings(world, *command) if "git does not track" in each]

    assert [each.partition(":")[0] for each in texts] == [f"git does not track {ignored.name}"]


def test_outside_git_nothing_is_warned_of(world: World):
    """Without a repository there is no warning about tracking."""
    world.spark("orders")

    assert warnings(world, "plan") == []
