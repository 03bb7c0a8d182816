"""Samples of measurements, as a table with minimum, median and maximum, and as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

RESULT = Path(__file__).parents[2] / "bench.json"
HEADER = f"{'':44}{'min':>9}{'median':>9}{'max':>9}{'ratio':>8}"


@dataclass
class Row:
    """The samples of one measurement. `ratio` is the median of the ratios to the samples of another row, pair by
    pair, because the speed of a machine changes during a run; `None` without another row."""

    name: str
    unit: str
    samples: list[float] = field(default_factory=list)
    ratio: float | None = None

    def compare(self, other: Row, *, inverse: bool = False) -> None:
        """Sets the ratio to the samples of `other`. `inverse` divides the other way round."""
        pairs = zip(self.samples, other.samples, strict=True)
        self.ratio = median(theirs / mine if inverse else mine / theirs for mine, theirs in pairs)

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:8.2f}"
        values = "".join(f"{each:9.3f}" for each in (min(self.samples), median(self.samples), max(self.samples)))
        return f"{self.name + ', ' + self.unit:44.44}{values}{ratio}"


def show(title: str, rows: Sequence[Row]) -> None:
    """Prints a table."""
    print(f"\n{title}\n{HEADER}", flush=True)
    print("\n".join(map(str, rows)), flush=True)


def save(file: Path, tables: Mapping[str, Sequence[Row]], *, add: bool = False) -> None:
    """Writes all samples as JSON, or adds them to those in the file."""
    form = json.loads(file.read_text("utf-8")) if add and file.exists() else {}
    form |= {title: [asdict(row) for row in rows] for title, rows in tables.items()}
    file.write_text(json.dumps(form, indent=2) + "\n", "utf-8")


@dataclass(frozen=True)
class Usage:
    """What one process used: processor seconds, seconds by the clock, and its largest memory in MB."""

    cpu: float
    wall: float
    memory: float


def run(
    arguments: Sequence[str | Path],
    folder: Path,
    environ: Mapping[str, str] | None = None,
    *,
    codes: Sequence[int] = (0,),
    quiet: bool = False,
) -> Usage:
    """Runs one command, which must end with one of these exit codes, and returns what it used."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [*map(str, arguments)],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if quiet else None,
        env=None if environ is None else dict(environ),
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        raise SystemExit(f"{' '.join(map(str, arguments))} failed")
    return Usage(usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss / 1024)
