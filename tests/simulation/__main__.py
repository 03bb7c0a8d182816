"""``python -m tests.simulation SEED [MUTANT]`` prints the story of one seed, with the shipped code or with one
broken rule.

``python -m tests.simulation mutants`` prints the table in docs/simulation.md.
"""

from __future__ import annotations

import sys

from tests.simulation.campaign import MOST_STORIES, hunt
from tests.simulation.light import threadless
from tests.simulation.mutants import BY_NAME, MUTANTS
from tests.simulation.patches import all_applied
from tests.simulation.schedule import play


def _tell(seed: int, mutants: list[str]) -> int:
    with threadless(), all_applied(tuple(patch for name in mutants for patch in BY_NAME[name].patches)):
        faults = {field: value for name in mutants for field, value in BY_NAME[name].faults.items()}
        story = play(seed, tell=True, faults=faults)
    print("\n".join(story.lines))
    return int(story.broken is not None)


def _table() -> int:
    print("| mutant | rule | what the patched code does | scenarios until caught |\n|---|---|---|---:|")
    for mutant in MUTANTS:
        caught = hunt(mutant, range(MOST_STORIES))
        found = str(caught.stories) if caught else "not caught"
        print(f"| `{mutant.name}` | {mutant.rule} | {mutant.says} | {found} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(_table() if sys.argv[1:2] == ["mutants"] else _tell(int(sys.argv[1]), sys.argv[2:]))
