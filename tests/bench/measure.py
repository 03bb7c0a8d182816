"""Contains samples of measurements and the goals for them, and prints them as tables and JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

RESULT = Path(__file__).parents[2] / "bench.json"
HEADER = f"{'':52}{'min':>9}{'median':>9}{'max':>9}{'ratio':>8}"
ROUNDS = 3


@dataclass
class Row:
    """The samples of one measurement. `ratio` is the median of the ratios of its samples to those of another row,
    pair by pair, because the speed of a machine changes during a run. It is `None` without another row."""

    name: str
    unit: str
    samples: list[float] = field(default_factory=list)
    ratio: float | None = None

    def compare(self, other: Row, *, inverse: bool = False) -> float:
        """Sets and returns the ratio to the samples of `other`. With `inverse`, the ratio is inverted. If one of the
        rows has fewer samples, only as many pairs are compared."""
        pairs = zip(self.samples, other.samples, strict=False)
        self.ratio = median(theirs / mine if inverse else mine / theirs for mine, theirs in pairs)
        return self.ratio

    @property
    def median(self) -> float:
        """Returns the median of the samples."""
        return median(self.samples)

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:8.2f}"
        values = "".join(f"{each:9.3f}" for each in (min(self.samples), self.median, max(self.samples)))
        return f"{self.name + ', ' + self.unit:52.52}{values}{ratio}"


@dataclass(frozen=True)
class Goal:
    """A goal and the measured value. The value is `None` if it was not measured, for the reason in `note`. It must
    be at most the goal or, with `at_least`, at least the goal."""

    what: str
    measured: float | None
    goal: float
    unit: str = "x"
    at_least: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        """Returns whether the goal is met."""
        if self.measured is None:
            return "not measured"
        return "met" if (self.measured >= self.goal if self.at_least else self.measured <= self.goal) else "NOT MET"

    def __str__(self) -> str:
        measured = "-" if self.measured is None else f"{self.measured:.4g} {self.unit}"
        bound = f"{'>=' if self.at_least else '<='} {self.goal:g} {self.unit}"
        note = f"  ({self.note})" if self.note else ""
        return f"{self.what:72}{measured:>14}{bound:>14}  {self.verdict}{note}"


@dataclass
class Report:
    """All tables and goals of one run. `say` prints them as they are measured."""

    tables: dict[str, list[Row]] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)
    say: Callable[[str], None] = lambda text: print(text, flush=True)

    def table(self, title: str, rows: Sequence[Row]) -> None:
        """Prints a table and keeps it for the report."""
        self.tables[title] = [*rows]
        self.say("\n".join((f"\n{title}", HEADER, *map(str, rows))))

    def add(self, *goals: Goal) -> None:
        """Keeps goals."""
        self.goals += goals

    def summary(self) -> str:
        """Returns the table of the goals, with the numbers of goals that were not met and not measured in its last
        line."""
        counts = {verdict: sum(goal.verdict == verdict for goal in self.goals) for verdict in ("met", "NOT MET")}
        rest = len(self.goals) - sum(counts.values())
        head = f"{'goal':72}{'measured':>14}{'goal':>14}"
        last = f"{counts['met']} goals met, {counts['NOT MET']} not met, {rest} not measured"
        return "\n".join((head, *map(str, self.goals), last))

    def save(self, file: Path) -> None:
        """Writes all samples and goals as JSON."""
        form = {
            "goals": [{**asdict(goal), "verdict": goal.verdict} for goal in self.goals],
            "tables": {title: [asdict(row) for row in rows] for title, rows in self.tables.items()},
        }
        file.write_text(json.dumps(form, indent=2) + "\n", "utf-8")


@dataclass(frozen=True)
class Usage:
    """The resources that one process used: processor seconds, elapsed seconds, and peak memory in MB."""

    cpu: float
    wall: float
    memory: float


LAUNCHER = """\
import os, sys, time
start = time.perf_counter()
process = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(process, 0)
seconds = time.perf_counter() - start
print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, seconds, used.ru_maxrss / 1024)
"""
"""A small process starts each command, because the memory of a command is at least that of the process that starts
it."""


def run(
    arguments: Sequence[str | Path],
    folder: Path,
    environ: Mapping[str, str] | None = None,
    *,
    codes: Collection[int] = (0,),
    one_core: bool = False,
) -> Usage:
    """Runs one command, which must end with one of these exit codes, and returns the resources that it and its children
    used."""
    pinned = ("taskset", "-c", "0") if one_core else ()
    command = [sys.executable, "-I", "-S", "-c", LAUNCHER, *pinned, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=folder, env=None if environ is None else dict(environ), capture_output=True, text=True, check=False
    )
    code, *used = done.stdout.splitlines()[-1].split() if done.stdout else ("none",)
    if code not in map(str, codes):
        raise SystemExit(f"{' '.join(map(str, arguments))} exited {code}:\n{done.stderr[-2000:]}")
    return Usage(*map(float, used))
