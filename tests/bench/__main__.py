"""Runs the benchmarks: `make bench`. With a git revision, compares that revision with this one: `make bench-compare
REF=v0.1.0`.

Every table has the minimum, median and maximum, and the ratios of pairs that were measured one after the other. The
last table has a line for each goal. All samples are written to `bench.json`. `--long` writes 500,000 submissions
instead of a week of history, and makes 10,000 passes of a service, which takes more than an hour.
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
from tests.bench.projects import settled, terraform

LIVE, PASSES, MOST_PASSES = 10_000, 1000, 10_000


@contextmanager
def prepared(report: Report, numbers: tuple[int, int]) -> Iterator[tuple[Trees, Path]]:
    """Prepares all projects and ledgers for the benchmarks of this run, two at a time, the longest first. Yields the
    projects, and the folder with the ledgers, which have the names of `history` and `ledger_reading`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "cache").mkdir(mode=0o700)
        trees = Trees(
            {number: folder / f"{number}" for number in (MOST, MANY, SOME, FEW)},
            folder / "terraform" if shutil.which("terraform") is not None else None,
            folder / "cache",
        )
        began = time.perf_counter()
        with ProcessPoolExecutor(2) as pool:
            jobs = [pool.submit(commands.settled_and_planned, trees, MOST)]
            jobs += [pool.submit(history.written, folder, number) for number in reversed(numbers)]
            jobs += [pool.submit(settled, trees.folders[number], number) for number in (MANY, SOME, FEW)]
            jobs.append(pool.submit(ledger_reading.written, folder))
            jobs.append(pool.submit(commands.new_project, trees))
            if trees.terraform is not None:
                jobs.append(pool.submit(terraform, trees.terraform, MANY))
            for job in jobs:
                job.result()
        report.say(f"made the projects and ledgers: {time.perf_counter() - began:.0f} s")
        yield trees, folder


def measure(report: Report, *, long: bool) -> None:
    """Measures everything."""
    numbers = (history.WEEK, history.YEARS) if long else (history.DAY, history.WEEK)
    passes = MOST_PASSES if long else PASSES
    with prepared(report, numbers) as (trees, folder):

        def project_benchmarks() -> None:
            commands.start(trees, report)
            plan = commands.cold(trees, report)
            at_rest.measure(report, trees.folders[MANY], trees.folders[FEW], trees.environ, plan, passes)
            commands.rendering(trees, report)

        parts: dict[str, Callable[[], None]] = {
            "commands": project_benchmarks,
            "observing": lambda: observing.measure(report, LIVE),
            "submitting": lambda: revisions.submissions(report),
            "growth": lambda: growth.measure(report),
            "ledger": lambda: ledger_reading.measure(report, history.STORES, folder),
            "history": lambda: history.measure(report, numbers, history.STORES, folder),
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
