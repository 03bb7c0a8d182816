"""Tests `accept`, which records the content of a spec as applied and submits nothing."""

from __future__ import annotations

import pytest

from reconciler.cli import decisions as commands
from reconciler.core.events import ContentAccepted
from tests.cli.doubt import in_doubt, terminated_by_others
from tests.cli.test_changes import decisions, planned
from tests.cli.world import World


def test_accepted_content_is_in_sync_and_a_later_change_runs(world: World):
    """The live run is recorded as the run of the content. The next change is compared with the accepted content."""
    world.batch("clicks", "A")
    world.run("apply", "--yes")
    world.batch("clicks", "B", concurrencyPolicy="Allow")

    done = world.run("accept", "clicks", "--yes", "--reason", "only a flag")

    assert done.code == 0, done.err
    assert f"Warning: run {world.runs()[0].id} keeps running" in done.out
    assert planned(world) == (0, [])
    assert world.run("apply", "--yes").code == 0
    assert len(world.runs()) == 1
    assert [(event.reason, event.generation) for event in world.events() if isinstance(event, ContentAccepted)] == [
        ("only a flag", None)
    ]
    assert decisions(world)[-2:] == ["accepted", "declared"]
    world.batch("clicks", "C", concurrencyPolicy="Allow")
    [change] = planned(world)[1]
    assert [(field["before"], field["after"]) for field in change["fields"]] == [("B", "C")]
    applied = world.run("apply", "--yes", "--format", "json")
    assert applied.actions("generation", "reason", "outcome") == [(2, "spec-changed", "submitted")]
    assert "only a flag" in world.run("history", "clicks").out


def test_content_that_never_ran_counts_as_a_generation(world: World):
    """Specs that depend on this spec then run. A change after that is generation 2. `fsck` searches for no run of
    generation 1."""
    world.batch("first")
    world.batch("second", dependsOn="[{name: first, condition: Succeeded}]")

    shown = world.run("accept", "first", "--yes", "--reason", "ran manually")
    applied = world.run("apply", "--yes", "--format", "json")
    why = world.run("why", "first")
    status = world.run("status", "--format", "json").json["specs"]

    assert "second depend on first, and treat it as succeeded" in shown.out
    assert applied.actions("name", "action", "outcome") == [
        ("first", "none", "none"),
        ("second", "submit", "submitted"),
    ]
    assert [(row["name"], row["state"], row["in_sync"]) for row in status] == [
        ("first", "none", True),
        ("second", "running", True),
    ]
    assert (why.code, "never submitted: an operator accepted its content as applied" in why.err) == (1, True)
    assert "generation 1" in world.run("history", "first").out
    assert world.run("fsck").code == 0
    world.batch("first", "B")
    changed = world.run("apply", "--yes", "--format", "json", "--only", "first")
    assert changed.actions("generation", "reason") == [(2, "spec-changed")]
    assert world.run("ledger", "verify").code == 0


def test_a_bad_end_is_over_with_accepted_content(world: World):
    """The hold was caused by the failed run of the former content, so accepting the new content ends it."""
    world.batch("clicks", "A")
    world.run("apply", "--yes")
    terminated_by_others(world, world.runs()[0].id)
    held = world.run("apply", "--yes")
    world.batch("clicks", "B")

    done = world.run("accept", "clicks", "--yes")

    assert held.code == 3
    assert done.code == 0, done.err
    assert planned(world) == (0, [])
    assert world.run("retry", "clicks", "--yes").code == 1
    assert len(world.runs()) == 1


def test_unchanged_content_can_be_accepted_to_end_a_hold(world: World):
    """The content is recorded as a generation without a run, and a later change runs."""
    world.batch("clicks", "A")
    world.run("apply", "--yes")
    terminated_by_others(world, world.runs()[0].id)
    held = world.run("apply", "--yes")

    done = world.run("accept", "clicks", "--yes")

    assert held.code == 3
    assert done.code == 0, done.err
    assert "as generation 2, without a run" in done.out
    assert planned(world) == (0, [])
    assert len(world.runs()) == 1
    world.batch("clicks", "B")
    assert world.run("apply", "--yes", "--format", "json").actions("generation", "reason") == [(3, "spec-changed")]
    assert world.run("fsck").code == 0


def test_content_of_a_scheduled_spec_waits_for_its_slot(world: World):
    """The plan no longer contains a change to the spec."""
    world.batch("clicks", "A", schedule='"0 2 * * *"')
    world.run("apply", "--yes")
    world.batch("clicks", "B", schedule='"0 2 * * *"')

    done = world.run("accept", "clicks", "--yes")

    assert "the next slot runs this content" in done.out
    assert planned(world) == (0, [])


def test_nothing_to_accept(world: World):
    """Content that is already applied cannot be accepted, and nothing is recorded."""
    world.batch("clicks")
    world.run("apply", "--yes")

    done = world.run("accept", "clicks", "--yes", "--format", "json")

    assert done.code == 0
    assert done.json["results"] == []
    assert "accepted" not in decisions(world)


def test_an_unknown_submission_is_decided_first(world: World):
    """The submission is unresolved, so its run may have either content."""
    in_doubt(world, "clicks")
    world.batch("clicks", "B")

    done = world.run("accept", "clicks", "--yes")

    assert done.code == 1
    assert "the outcome of generation 1 is unknown" in done.err


def test_an_old_checkout_accepts_nothing(world: World):
    """The content of an old checkout is not the current content in git."""
    world.git("init", "--quiet")
    world.batch("clicks", "A")
    old = world.commit()
    world.batch("clicks", "B")
    world.commit()
    world.run("apply", "--yes")
    world.git("checkout", "--quiet", old)

    done = world.run("accept", "clicks", "--yes")

    assert done.code == 1
    assert "older than the commit applied last" in done.err
    assert "accepted" not in decisions(world)


def test_nothing_is_accepted_if_the_spec_was_applied_after_it_was_shown(world: World, monkeypatch: pytest.MonkeyPatch):
    """Another pass submits the content while the operator reads the question."""
    world.batch("clicks", "A")
    world.run("apply", "--yes")
    world.batch("clicks", "B", concurrencyPolicy="Allow")

    def meanwhile(*_: object, **__: object) -> bool:
        world.run("apply", "--yes")
        return True

    monkeypatch.setattr(commands, "confirm", meanwhile)
    done = world.run("accept", "clicks")

    assert done.code == 1
    assert "changed since it was shown" in done.err
    assert "accepted" not in decisions(world)


def test_a_spec_that_left_git_has_nothing_to_accept(world: World):
    """A spec that is not in git has no content."""
    world.batch("clicks")
    world.run("apply", "--yes")
    (world.folder / "clicks.yaml").unlink()
    world.batch("other")

    done = world.run("accept", "clicks", "--yes")

    assert (done.code, "no longer in the project" in done.err) == (1, True)
