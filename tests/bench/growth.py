"""Measures how the CPU time of single steps grows with the number of specs."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence

from tests.bench.measure import Goal, Report, Row
from tests.growth import SCENARIOS, Call

FEW, TIMES = 100, 4
MOST = 4.5
PAIRS = 9


def seconds(calls: Sequence[Call]) -> float:
    """Returns the processor time of calls, without the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        for call in calls:
            call()
        return time.process_time() - start
    finally:
        gc.enable()


def measure(report: Report) -> None:
    """Measures each scenario with few specs and with four times as many, and the ratio of both.

    Each pair of samples is for the same number of specs: four calls with few specs, and one call with many. This way,
    both use the same amount of memory. Each call has data of its own, because a second call with the same data is
    faster, above all if there is little data. There are many short pairs, because the speed of a shared processor can
    change by a factor of two within a second.
    """
    rows = []
    for name, scenario in SCENARIOS.items():
        few, many = Row(name, "CPU s"), Row(name, "CPU s")
        scenario(FEW)()  # so that modules are imported and caches are filled for both
        for _ in range(PAIRS):
            few.samples.append(seconds([scenario(FEW) for _ in range(TIMES)]) / TIMES)
            many.samples.append(seconds([scenario(TIMES * FEW)]))
        report.add(Goal(f"growth of {name}, {FEW} to {TIMES * FEW} specs: CPU", many.compare(few), MOST))
        rows.append(many)
    report.table(f"{TIMES * FEW} specs; ratio to the time for {FEW}", rows)
