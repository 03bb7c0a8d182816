"""Every point where the program can stop, one after the other: killed there, and frozen there and woken later."""

from __future__ import annotations

import pytest

from tests.crash.stories import CASES, Case, told
from tests.crash.world import CrashWorld, Verdict, verdict

EVERY_DAY = {
    "submitting-0-ledger-created",
    "submitting-0-stored-intended",
    "submitting-0-answered",
    "sending-again-1-sending",
    "superseding-1-stored-superseded",
    "cancelling-0-cancelled",
}
"""A cross-section; the whole is a campaign of `make soak`."""


def _marked(every_day: set[str]) -> list[object]:
    return [
        pytest.param(case, id=str(case), marks=() if str(case) in every_day else pytest.mark.soak) for case in CASES
    ]


@pytest.mark.parametrize("case", _marked(EVERY_DAY))
def test_killed(case: Case, world: CrashWorld):
    """Killed at the point, each submission has one run in the end, which the ledger knows, or is held."""
    told(case, world, world.crash)

    assert verdict(world) == Verdict(held=list(case.story.held))


@pytest.mark.parametrize("case", _marked(set()))
def test_frozen_and_woken(case: Case, world: CrashWorld):
    """Frozen at the point until others have come to rest, then woken: still one run for each submission."""
    frozen = told(case, world, world.freeze)
    world.rest()
    world.thaw(frozen)

    assert verdict(world) == Verdict(held=list(case.story.held))
