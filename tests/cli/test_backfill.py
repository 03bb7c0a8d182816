"""Tests `backfill` and the other manual decisions about a scheduled spec."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core.events import BackfillAsked, ManuallyAdopted
from reconciler.core.identity import Place, SubmissionKey, client_token
from reconciler.core.times import seconds_text, time_text
from tests.builders import intended
from tests.cli.doubt import submitted_by_others, write
from tests.cli.world import ACCOUNT, REGION, World


def _hour(ago: int) -> str:
    """Returns the full hour some hours ago."""
    return seconds_text(datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=ago))


def _hourly(world: World, policy: str = "Allow", **more: str) -> None:
    world.batch("clicks", "A", schedule='"0 * * * *"', concurrencyPolicy=policy, **more)


def _asked(world: World) -> list[tuple[str, ...]]:
    return [tuple(event.slots) for event in world.events() if isinstance(event, BackfillAsked)]


def _slots(world: World) -> list[str]:
    return [intent.slot or "" for intent in world.log().recorded.by_token.values()]


def test_past_slots_run_in_order(world: World):
    """The slots are listed, requested in one event, and submitted by the next pass."""
    _hourly(world)
    wanted = [_hour(ago) for ago in (4, 3, 2)]

    done = world.run("backfill", "clicks", "--from", wanted[0], "--to", wanted[-1], "--yes", "--reason", "outage")
    applied = world.run("apply", "--yes", "--format", "json")

    assert done.code == 0, done.err
    assert all(slot in done.out for slot in wanted)
    assert _asked(world) == [tuple(wanted)]
    assert applied.code == 0
    assert applied.actions("slot", "reason", "outcome") == [(slot, "backfill", "submitted") for slot in wanted]


def test_forbid_lets_one_run_at_a_time(world: World):
    """The oldest slot runs first; the others wait."""
    _hourly(world, "Forbid")

    world.run("backfill", "clicks", "--from", _hour(4), "--to", _hour(2), "--yes")
    world.run("apply", "--yes")
    world.run("apply", "--yes")

    assert len(world.runs()) == 1
    assert _slots(world) == [_hour(4)]


def test_slots_that_ran_are_left_out(world: World):
    """A slot that ran runs again only with --again."""
    _hourly(world)
    world.run("backfill", "clicks", "--from", _hour(3), "--to", _hour(3), "--yes")
    world.run("apply", "--yes")
    world.aws.finish(world.runs()[0].id, "succeeded")

    all_ran = world.run("backfill", "clicks", "--from", _hour(3), "--to", _hour(3), "--yes")
    rest = world.run("backfill", "clicks", "--from", _hour(3), "--to", _hour(2), "--yes", "--format", "json")
    again = world.run("backfill", "clicks", "--from", _hour(3), "--to", _hour(3), "--yes", "--again")
    world.run("apply", "--yes")

    assert all_ran.code == 1
    assert "--again" in all_ran.err
    assert rest.json["slots"] == [_hour(2)]
    assert again.code == 0
    assert len(world.runs()) == 3


def test_slots_are_requested_once_by_two_operators(world: World, monkeypatch: pytest.MonkeyPatch):
    """Another operator requests the same slots before the confirmation."""
    from reconciler.cli import decisions, output

    _hourly(world)
    asks = output.confirm

    def meanwhile(*_: object, **_more: object) -> bool:
        monkeypatch.setattr(decisions, "confirm", asks)
        assert world.run("backfill", "clicks", "--from", _hour(2), "--to", _hour(2), "--yes").code == 0
        return True

    monkeypatch.setattr(decisions, "confirm", meanwhile)
    done = world.run("backfill", "clicks", "--from", _hour(2), "--to", _hour(2))

    assert done.code == 1
    assert "changed since it was shown" in done.err
    assert len(_asked(world)) == 1


def test_the_run_of_a_slot_is_cancelled_and_retried_by_its_slot(world: World):
    """--slot selects the run. Runs for other slots continue."""
    _hourly(world)
    world.run("backfill", "clicks", "--from", _hour(3), "--to", _hour(2), "--yes")
    world.run("apply", "--yes")

    stopped = world.run("cancel", "clicks", "--slot", _hour(3), "--yes")
    world.run("apply", "--yes")
    retried = world.run("retry", "clicks", "--slot", _hour(3), "--yes")
    applied = world.run("apply", "--yes", "--format", "json")

    assert (stopped.code, retried.code) == (0, 0)
    assert ("submitted", _hour(3), 2) in applied.actions("outcome", "slot", "attempt")
    assert len(world.runs()) == 3


def test_a_run_is_adopted_for_a_slot(world: World):
    """A scheduled spec has no generations, so `--slot` selects the slot to abandon."""
    _hourly(world)
    run_id = submitted_by_others(world, {"jobName": "x", "jobQueue": "nightly", "jobDefinition": "worker:1"})

    without = world.run("adopt", "clicks", run_id, "--yes")
    wrong = world.run("adopt", "clicks", run_id, "--yes", "--slot", _hour(2).replace(":00:00Z", ":30:00Z"))
    done = world.run("adopt", "clicks", run_id, "--yes", "--slot", _hour(2))
    late = world.run("backfill", "clicks", "--from", _hour(2), "--to", _hour(2), "--yes")

    assert (without.code, wrong.code, done.code, late.code) == (1, 1, 0, 1)
    assert "--slot" in without.err
    assert "is not a past slot" in wrong.err
    assert [(e.key.slot, e.run_id) for e in world.events() if isinstance(e, ManuallyAdopted)] == [(_hour(2), run_id)]


@pytest.mark.parametrize(("decision", "ran"), [("--submit", True), ("--abandon", False)])
def test_an_unknown_slot_is_decided(world: World, decision: str, ran: bool):
    """After a day, the slot is on hold while later slots run. `--submit` runs it although its deadline has passed;
    `--abandon` drops it."""
    _hourly(world)
    slot, place = _hour(30), Place("shop", "staging", ACCOUNT, REGION)
    planned = world.run("plan", "--format", "json").json["actions"][0]
    key = SubmissionKey("clicks", slot=slot)
    token = client_token(place, "BatchJob", key, planned["digest"])
    sent = time_text(datetime.now(UTC) - timedelta(hours=30))
    where = {"jobQueue": "nightly", "jobName": "clicks"}
    intent = intended(at=sent, not_after=sent, location=where, name="clicks", digest=planned["digest"])
    write(world, replace(intent, key=key, token=token))
    held = world.run("apply", "--yes", "--format", "json")

    done = world.run("resolve", "clicks", decision, "--yes")
    world.run("apply", "--yes")
    idle = world.run("apply", "--yes")

    assert ("hold", "unknown") in held.actions("action", "reason")
    assert done.code == 0, done.err
    assert [_tagged(world, run.token) for run in world.runs()] == ([slot] if ran else [])
    assert idle.code == 0


def _tagged(world: World, token: str | None) -> str | None:
    """Returns the slot that a run belongs to."""
    return world.log().recorded.by_token[token or ""].slot


def test_fsck_finds_the_slots_of_runs_after_a_ledger_was_lost(world: World):
    """The tokens of the runs determine their slots."""
    _hourly(world)
    world.run("backfill", "clicks", "--from", _hour(3), "--to", _hour(2), "--yes")
    world.run("apply", "--yes")
    for path in world.folder.glob("ledger.sqlite*"):
        path.unlink()
    world.init()

    done = world.run("fsck", "--adopt", "--yes")

    assert done.code == 0, done.out
    assert sorted(e.key.slot or "" for e in world.events() if isinstance(e, ManuallyAdopted)) == [_hour(3), _hour(2)]


def test_too_many_slots_are_refused(world: World):
    """The slots of several months are not cut off silently at the largest number."""
    _hourly(world)
    done = world.run("backfill", "clicks", "--from", "2026-01-01", "--to", "2026-06-01", "--yes")
    assert (done.code, _asked(world)) == (1, [])
    assert "more than 1000 slots" in done.err
