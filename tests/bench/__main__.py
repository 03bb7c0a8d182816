"""Runs the benchmarks: `make bench`. With a git revision, compares it with this one: `make bench-compare REF=v0.1.0`.

Every table has minimum, median and maximum, and ratios of pairs that were measured one after the other. The last table
has a line for each goal. All samples are written to `bench.json`. `--long` writes 500,000 submissions instead of a week
of history, and makes 10,000 passes of a service, which takes more than an hour.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.bench import at_rest, commands, growth, history, ledger_reading, observing, revisions
from tests.bench.commands import FEW, MANY, MOST, SOME, Trees
from tests.bench.measure import RESULT, Report
from tests.bench.projects import prepare

LIVE, PASSES, MOST_PASSES = 10_000, 1000, 10_000


@contextmanager
def prepared(report: Report) -> Iterator[Trees]:
    """Makes all projects, two at a time, for all benchmarks of this run."""
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(2) as pool:
        folder = Path(name)
        jobs = [("settled", str(folder / f"{number}"), number) for number in (MOST, MANY, SOME, FEW)]
        if shutil.which("terraform") is not None:
            jobs.append(("terraform", str(folder / "terraform"), MANY))
        began = time.perf_counter()
        list(pool.map(prepare, *zip(*jobs, strict=True)))
        report.say(f"made the projects: {time.perf_counter() - began:.0f} s")
        (folder / "cache").mkdir(mode=0o700)
        terraform = folder / "terraform"
        yield Trees(
            {number: folder / f"{number}" for number in (MOST, MANY, SOME, FEW)},
            terraform if terraform.exists() else None,
            folder / "cache",
        )


def measure(report: Report, *, long: bool) -> None:
    """Measures everything."""
    numbers = (history.WEEK, history.YEARS) if long else (history.DAY, history.WEEK)
    passes = MOST_PASSES if long else PASSES

    def project_benchmarks() -> None:
        with prepared(report) as trees:
            commands.start(trees, report)
            plan = commands.cold(trees, report)
            at_rest.measure(report, trees.folders[MANY], trees.folders[FEW], trees.environ, plan, passes)
            commands.rendering(trees, report)

    parts: dict[str, Callable[[], None]] = {
        "commands": project_benchmarks,
        "observing": lambda: observing.measure(report, LIVE),
        "submitting": lambda: revisions.submissions(report),
        "growth": lambda: growth.measure(report),
        "ledger": lambda: ledger_reading.measure(report, history.STORES),
        "history": lambda: history.measure(report, numbers, history.STORES),
    }
    for name, part in parts.items():
        began = time.perf_counter()
        part()
        report.say(f"{name}: {time.perf_counter() - began:.0f} s")


def main(reference: str | None, *, long: bool) -> None:
    """Prints the tables and saves the samples."""
    report, began = Report(), time.perf_counter()
    if reference is not None:
        revisions.compare(report, reference)
    else:
        measure(report, long=long)
        report.say(f"\n{report.summary()}")
        if not long:
            report.say("Not measured here: 500,000 submissions and 10,000 passes (make bench LONG=1).")
    report.save(RESULT)
    report.say(f"{time.perf_counter() - began:.0f} s. All samples are in {RESULT.name}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", nargs="?")
    parser.add_argument("--long", action="store_true")
    chosen = parser.parse_args()
    main(chosen.reference, long=chosen.long)
