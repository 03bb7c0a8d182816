"""Plays many stories, counts the events in them, and collects the stories that broke a promise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.simulation.light import light, threadless
from tests.simulation.mutant import Mutant
from tests.simulation.patches import all_applied
from tests.simulation.schedule import Story, play

MOST_STORIES = 10_000
"""The maximum number of stories, with any seeds, before a mutant must be detected."""


@dataclass(slots=True)
class Campaign:
    """The result of a campaign. `counts` contains how often each event happened, and `broken` contains the stories that
    broke a promise."""

    stories: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: list[Story] = field(default_factory=list)


def run(seeds: Iterable[int]) -> Campaign:
    """Plays the story of each seed."""
    campaign = Campaign()
    with threadless(), light():
        for seed in seeds:
            story = play(seed, campaign.counts)
            campaign.stories += 1
            if story.broken is not None:
                campaign.broken.append(story)
    return campaign


@dataclass(frozen=True, slots=True)
class Caught:
    """A detected mutant: the seed of the story that detected it, the number of stories until then, and the broken
    promise."""

    seed: int
    stories: int
    broken: str


def hunt(mutant: Mutant, seeds: Iterable[int]) -> Caught | None:
    """Plays stories with the patched code until one breaks a promise; returns `None` if none of them does."""
    counts: Counter[tuple[str, str]] = Counter()
    with threadless(), light(), all_applied(mutant.patches):
        for stories, seed in enumerate(seeds, 1):
            story = play(seed, counts, faults=mutant.faults)
            if story.broken is not None:
                return Caught(seed, stories, story.broken)
    return None
