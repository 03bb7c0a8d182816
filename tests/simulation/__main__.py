"""``python -m tests.simulation SEED``: the story of one seed, told."""

from __future__ import annotations

import sys

from tests.simulation.light import threadless
from tests.simulation.schedule import play

if __name__ == "__main__":
    with threadless():
        story = play(int(sys.argv[1]), tell=True)
    print("\n".join(story.lines))
    sys.exit(story.broken is not None)
