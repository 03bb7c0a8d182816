"""Tests `resolve`, with which an operator decides how to treat a submission whose outcome is unknown."""

from __future__ import annotations

import sys

import pytest

from reconciler.core.events import Intended, Resolved, Unclear
from tests.builders import at
from tests.cli.doubt import Doubt, in_doubt, write
from tests.cli.test_apply import Typed
from tests.cli.world import World, all_finished


@pytest.fixture
def doubt(world: World) -> Doubt:
    """A project with a spec whose submission was lost an hour ago. AWS has no run for it, and none can appear any
    more."""
    return in_doubt(world, "clicks")


def _resolved(world: World) -> list[Resolved]:
    return [event for event in world.events() if isinstance(event, Resolved)]


def test_submit_sends_the_same_submission_again(world: World, doubt: Doubt):
    """The ledger records the operator and the reason, and the next pass sends the same token again."""
    done = world.run("resolve", "clicks", "--submit", "--yes", "--reason", "no output")
    applied = world.run("apply", "--yes")

    assert done.code == 0, done.err
    assert [(event.decision, event.reason, event.send) for event in _resolved(world)] == [("submit", "no output", 1)]
    assert applied.code == 0
    assert [run.token for run in world.runs()] == [doubt.token]
    assert [(e.token, e.send) for e in world.events() if isinstance(e, Intended)] == [
        (doubt.token, 1),
        (doubt.token, 2),
    ]


def test_an_abandoned_submission_is_never_sent(world: World, doubt: Doubt):
    """The abandoned content does not run, and the plan shows why. Other content runs as the next generation."""
    done = world.run("resolve", "clicks", "--abandon", "--yes")
    quiet = world.run("apply", "--yes", "--format", "json")
    world.batch("clicks", "B")
    changed = world.run("apply", "--yes", "--format", "json")

    assert (done.code, quiet.code, changed.code) == (0, 0, 0)
    assert quiet.actions("action", "outcome") == [("none", "none")]
    assert "abandoned" in quiet.json["actions"][0]["message"]
    assert changed.actions("action", "generation") == [("submit", 2)]
    assert doubt.token not in {run.token for run in world.runs()}


def test_json_is_one_value(world: World, doubt: Doubt):
    """The JSON contains the operator, the reason, and what the next pass does."""
    done = world.run("resolve", "clicks", "--submit", "--yes", "--reason", "lost", "--format", "json")

    value = done.json
    assert (value["command"], value["name"], value["decision"], value["reason"]) == (
        "resolve",
        "clicks",
        "submit",
        "lost",
    )
    assert (value["client_token"], value["send"], value["forced"]) == (doubt.token, 1, False)
    assert value["actor"]
    assert [result["outcome"] for result in value["results"]] == ["recorded"]
    assert [(each["action"], each["generation"]) for each in value["next"]] == [("submit", 1)]


def test_an_existing_run_is_adopted_whatever_the_decision(world: World, doubt: Doubt):
    """Neither decision is accepted, even with `--force`. The message explains what to do."""
    run_id = doubt.arrive()

    refused = [
        world.run("resolve", "clicks", decision, *force, "--yes")
        for decision in ("--submit", "--abandon")
        for force in ((), ("--force",))
    ]

    assert {done.code for done in refused} == {1}
    assert all(f"reconciler adopt clicks {run_id}" in done.err for done in refused)
    assert _resolved(world) == []


def test_before_settling_only_force_decides(world: World):
    """A recent request may still arrive at AWS. The message contains the time until which it may arrive, and the
    risk."""
    in_doubt(world, "clicks", hours=1 / 60)

    refused = world.run("resolve", "clicks", "--submit", "--yes")
    forced = world.run("resolve", "clicks", "--submit", "--yes", "--force")

    assert refused.code == 1
    assert "may still arrive until" in refused.err
    assert "the job runs twice" in refused.err
    assert "--force" in refused.err
    assert forced.code == 0
    assert "Warning: " in forced.out
    assert [event.forced for event in _resolved(world)] == [True]


def test_without_a_terminal_it_needs_yes(world: World, doubt: Doubt):
    """Without a terminal and --yes, nothing is recorded."""
    done = world.run("resolve", "clicks", "--submit")

    assert done.code == 1
    assert "--yes" in done.err
    assert _resolved(world) == []


def test_a_terminal_shows_the_submission_and_asks(world: World, doubt: Doubt, monkeypatch: pytest.MonkeyPatch):
    """The decision is printed on standard output before the prompt, and only `yes` records it."""
    monkeypatch.setattr(sys, "stdin", Typed("no\n"))

    done = world.run("resolve", "clicks", "--submit")

    assert done.code == 1
    assert "unknown since" in done.out
    assert "Only 'yes' will be accepted" in done.err
    assert _resolved(world) == []


def test_nothing_is_decided_if_the_spec_changed_after_it_was_shown(
    world: World, doubt: Doubt, monkeypatch: pytest.MonkeyPatch
):
    """Another pass records an event before the user confirms."""
    from reconciler.cli import decisions

    def meanwhile(*_: object, **_more: object) -> bool:
        unclear = Unclear(at=at(), name="clicks", token=doubt.token, send=1, code="ReadTimeoutError", message="")
        write(world, unclear)
        return True

    monkeypatch.setattr(decisions, "confirm", meanwhile)
    done = world.run("resolve", "clicks", "--submit")

    assert done.code == 1
    assert "changed since it was shown" in done.err
    assert _resolved(world) == []


def test_two_operators_decide_once(world: World, doubt: Doubt, monkeypatch: pytest.MonkeyPatch):
    """The first decision is recorded, and the second operator gets an error."""
    from reconciler.cli import decisions, output

    asks = output.confirm

    def meanwhile(*_: object, **_more: object) -> bool:
        monkeypatch.setattr(decisions, "confirm", asks)
        assert world.run("resolve", "clicks", "--abandon", "--yes").code == 0
        return True

    monkeypatch.setattr(decisions, "confirm", meanwhile)
    done = world.run("resolve", "clicks", "--submit")

    assert done.code == 1
    assert "it was intended and is abandoned now" in done.err
    assert [event.decision for event in _resolved(world)] == ["abandon"]


def test_history_shows_the_decision(world: World, doubt: Doubt):
    """The history shows the decision with its reason."""
    world.run("resolve", "clicks", "--submit", "--yes", "--reason", "gone", "--force")

    line = world.run("history", "clicks").out.splitlines()[-1]

    assert "resolved" in line
    assert "gone" in line
    assert "decision: submit" in line


@pytest.mark.parametrize("command", [("resolve", "clicks", "--submit"), ("cancel", "clicks"), ("adopt", "clicks", "x")])
def test_in_another_account_nothing_is_decided(world: World, doubt: Doubt, command: tuple[str, ...]):
    """An empty lookup in another account does not prove absence, so the command is refused."""
    before = world.events()
    world.aws.configure(account="999988887777")

    done = world.run(*command, "--yes", *(("--force",) if command[0] != "cancel" else ()))

    assert done.code == 1
    assert "999988887777" in done.err
    assert world.events() == before


@pytest.mark.soak
def test_many_operators_decide_once(world: World, doubt: Doubt):
    """Of four concurrent processes, one records its decision and the others exit 1."""
    decisions = ["--submit", "--abandon"] * 2
    ended = all_finished([world.start("resolve", "clicks", decision, "--yes") for decision in decisions])

    assert sorted(done.code for done in ended) == [0, 1, 1, 1]
    assert len(_resolved(world)) == 1
