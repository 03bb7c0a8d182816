"""The list of points is complete, and the stories lead past every one of them."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.crash.hook.sitecustomize import told_of
from tests.crash.points import POINTS, ROOT_NAME, Point
from tests.crash.stories import CASES, STORIES, Story
from tests.crash.world import CrashWorld

ROOT = Path(__file__).parents[2]


class _Listener:
    """An audit hook cannot be taken away again: this one listens only while somebody gives it a set."""

    def __init__(self) -> None:
        self.heard: set[Point] | None = None
        self._thread = threading.local()
        self._added = False

    @contextmanager
    def listening(self) -> Iterator[set[Point]]:
        """The points that this process passes in the block, with everything that each is about."""
        if not self._added:
            sys.addaudithook(self)
            self._added = True
        heard: set[Point] = set()
        self.heard = heard
        yield heard
        self.heard = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(ROOT_NAME) and self.heard is not None:
            name = event.removeprefix(ROOT_NAME)
            self.heard |= {Point(name), *(Point(name, str(about)) for about in told_of(event, arguments, self._thread))}


LISTENER = _Listener()


def test_every_point_in_the_code_is_listed():
    """The audit events that the code raises are the points of the list, no more and no fewer."""
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "reconciler").rglob("*.py"))

    assert set(re.findall(rf'sys\.audit\("{ROOT_NAME}([a-z-]+)"', code)) == set(POINTS)


def test_every_point_is_stopped_at():
    """Each point of the list lies in a pass of some story, so the enumeration stops there."""
    assert {case.point.name for case in CASES} == set(POINTS)


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_the_passes_of_a_story_reach_their_points(story: Story, world: CrashWorld):
    """Run without a stop, each pass reaches the points that are said to lie in it."""
    reached = []
    for points, _ in zip(story.points, story.tell(world), strict=True):
        with LISTENER.listening() as heard:
            assert world.run("reconcile").code in {0, 1, 3}
        reached.append(tuple(point for point in points if point in heard))

    assert tuple(reached) == story.points
