"""Processes are killed and frozen at any moment while AWS fails: nothing runs twice, is lost or gets stuck."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.crash.kill_loop import KillLoop
from tests.crash.world import CrashWorld, Verdict

SECONDS = 120.0
SEEDS = (1, 2)

Record = Callable[[str, object], None]


def judged(loop: KillLoop, seconds: float, record: Record) -> None:
    """Runs a loop, records its events, and checks the conditions that must hold at its end."""
    assert loop.run(seconds) == Verdict(), loop.counts

    happened = ", ".join(f"{loop.counts[what]} {what}" for what in ("passes", "kills", "freezes", "edits"))
    record(
        "campaign",
        f"seed {loop.seed}, {loop.world.ledger.partition(':')[0]}: {happened}, {len(loop.world.runs())} runs",
    )
    assert loop.runs_of_wanted() == dict.fromkeys(loop.wanted, 1)
    assert loop.most_runs_of_any() == 1
    assert b"Traceback" not in loop.errors.read_bytes()


@pytest.mark.campaign
def test_a_short_loop(world: CrashWorld, record_property: Record):
    """Runs two processes over three specs, until at least one was killed and one was frozen."""
    judged(KillLoop(world, seed=7, reconcilers=2, specs=3), 0.0, record_property)


@pytest.mark.soak
@pytest.mark.parametrize("scheme", ["sqlite", "s3", "dynamodb"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_long_loop(seed: int, scheme: str, over: Callable[[str], CrashWorld], record_property: Record):
    """Runs four processes over a dozen specs for minutes, with each store."""
    judged(KillLoop(over(scheme), seed=seed, reconcilers=4, specs=12), SECONDS, record_property)
