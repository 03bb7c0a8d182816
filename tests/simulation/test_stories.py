"""Tests that the shipped protocol keeps its promises in every story, under every fault."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.campaign import Campaign, run
from tests.simulation.events import EVERYTHING, OFTEN, unmet
from tests.simulation.light import light, threadless
from tests.simulation.mutants_recording import QUEUED
from tests.simulation.schedule import Story, play

ROOT = Path(__file__).parents[2]

SHARDS, STORIES = 16, 250
"""4,000 stories: `make test` plays 250, and `make soak` the others. Every event in `OFTEN` occurs in each shard."""

EVERYDAY_SHARDS = 1

SOAK_SHARDS, SOAK_STORIES = 10, 100_000
"""`make soak` plays another million stories."""


def _report(story: Story) -> str:
    with threadless():
        again = play(story.seed, tell=True)
    command = f"replay it with: python -m tests.simulation {story.seed}"
    return "\n".join([f"seed {story.seed}: {story.broken}", command, *again.lines])


def _check(campaign: Campaign, stories: int, wanted: tuple[tuple[str, str], ...]) -> None:
    assert stories == campaign.stories
    if campaign.broken:
        pytest.fail(f"{len(campaign.broken)} stories broke a promise; the first:\n{_report(campaign.broken[0])}")
    assert [] == unmet(campaign.counts, wanted)


@pytest.mark.campaign
@pytest.mark.parametrize(
    "shard",
    [*range(EVERYDAY_SHARDS), *(pytest.param(n, marks=pytest.mark.soak) for n in range(EVERYDAY_SHARDS, SHARDS))],
)
def test_every_promise_is_kept(shard: int) -> None:
    """No story breaks a promise, although every fault occurs in at least one story."""
    _check(run(range(shard * STORIES, (shard + 1) * STORIES)), STORIES, OFTEN)


@pytest.mark.soak
@pytest.mark.parametrize("shard", range(SOAK_SHARDS))
def test_every_promise_is_kept_in_a_million_stories(shard: int) -> None:
    """A million other stories break no promise either."""
    first = 1_000_000 + shard * SOAK_STORIES
    _check(run(range(first, first + SOAK_STORIES)), SOAK_STORIES, EVERYTHING)


@pytest.mark.parametrize("seeds", [range(60), pytest.param(range(60, 2000), marks=pytest.mark.soak)], ids=str)
def test_runs_that_start_late_are_given_up_and_attempted_again(seeds: range) -> None:
    """No promise is broken if runs start late or never, or if the queue cancels them first."""
    counts: Counter[tuple[str, str]] = Counter()
    with threadless(), light():
        broken = [play(seed, counts, faults={**QUEUED, "queue_seconds": 300.0 * (seed % 4)}).broken for seed in seeds]
    assert [None] * len(seeds) == broken
    wanted = (
        ("plan", "cancel not-started"),
        ("cancelled", "a run that had not started"),
        ("attempt", "a further one"),
        ("plan", "hold retries-exhausted"),
    )
    assert [] == unmet(counts, wanted)


@pytest.mark.parametrize("seeds", [range(10), pytest.param(range(10, 60), marks=pytest.mark.soak)], ids=str)
def test_quick_stories_are_the_same_stories(seeds: range) -> None:
    """The shortcuts of a campaign do not change its result: a story with them has the same counts and lines."""
    slow: Counter[tuple[str, str]] = Counter()
    quick: Counter[tuple[str, str]] = Counter()
    with threadless():
        first = [play(seed, slow, tell=True) for seed in seeds]
        with light():
            again = [play(seed, quick, tell=True) for seed in seeds]
    assert first == again
    assert slow == quick


def test_a_seed_always_gives_the_same_story() -> None:
    """A seed leads to the same story in another process."""
    with threadless():
        first = play(11, tell=True)
    command = [sys.executable, "-m", "tests.simulation", "11"]
    environ = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    assert list(first.lines) == done.stdout.splitlines()
