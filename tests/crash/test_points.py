"""Tests that the list of points is complete, and that the stories reach every point."""

from __future__ import annotations

import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.ledger.open import STORES
from tests.crash.hook.sitecustomize import subjects_of
from tests.crash.points import POINTS, ROOT_NAME
from tests.crash.stories import CASES, FAULTY_CASES, MEETINGS, STORIES, Story
from tests.crash.world import CrashWorld

ROOT = Path(__file__).parents[2]

Heard = Counter[tuple[str, str | None]]
"""Counts how often a point was reached, by its name and subject. The subject `None` counts all subjects."""


class _Listener:
    """An audit hook that counts only while a counter is set, because Python cannot remove audit hooks."""

    def __init__(self) -> None:
        self.heard: Heard | None = None
        self._thread = threading.local()
        self._added = False

    @contextmanager
    def listening(self) -> Iterator[Heard]:
        """Counts how often this process reaches each point inside the block, in total and for each subject."""
        if not self._added:
            sys.addaudithook(self)
            self._added = True
        heard: Heard = Counter()
        self.heard = heard
        yield heard
        self.heard = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(ROOT_NAME) and self.heard is not None:
            name = event.removeprefix(ROOT_NAME)
            about = {None, *map(str, subjects_of(event, arguments, self._thread))}
            self.heard.update((name, what) for what in about)


LISTENER = _Listener()


def test_every_point_in_the_code_is_listed():
    """The audit events that the code raises are exactly the points of the list."""
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "reconciler").rglob("*.py"))

    assert set(re.findall(rf'sys\.audit\("{ROOT_NAME}([a-z-]+)"', code)) == set(POINTS)


def test_every_store_marks_when_it_has_a_batch():
    """Each store raises the event between a write and its reply."""
    for scheme, module in STORES.items():
        source = (ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8")
        assert f'sys.audit("{ROOT_NAME}stored"' in source, scheme


def test_every_point_is_stopped_at():
    """Each point in the list is reached in a pass of some story, so the enumeration stops there."""
    assert {case.point.name for case in (*CASES, *FAULTY_CASES)} == set(POINTS)


REHEARSED = (*STORIES, *(story for story in MEETINGS if story.name in {"batch-reply-lost", "spark-reply-lost"}))
"""The other faults reach the same points. The full enumeration contains each of them."""


@pytest.mark.parametrize("story", REHEARSED, ids=str)
def test_the_passes_of_a_story_reach_their_points(story: Story, world: CrashWorld):
    """Without a stop, each pass reaches the points that the story lists for it."""
    missed = []
    for points, _ in zip(story.points, story.tell(world), strict=True):
        with LISTENER.listening() as heard:
            assert world.run(*world.command).code in {0, 1, 3}
        missed += [str(point) for point in points if heard[point.name, point.about] < point.nth]

    assert missed == []
