"""Measures how the processor time of single steps grows with the number of specs."""

from __future__ import annotations

import gc
import time

from tests.bench.measure import ROUNDS, Goal, Report, Row
from tests.growth import SCENARIOS, Call

FEW = 250
MOST = 4.5


def seconds(call: Call) -> float:
    """Returns the processor time of one call, without the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        call()
        return time.process_time() - start
    finally:
        gc.enable()


def measure(report: Report) -> None:
    """Measures each scenario with four times as many specs, and its ratio to the time with few specs."""
    rows = []
    for name, scenario in SCENARIOS.items():
        few, many = Row(name, "CPU s"), Row(name, "CPU s")
        scenario(FEW)()
        for _ in range(ROUNDS):
            few.samples.append(seconds(scenario(FEW)))
            many.samples.append(seconds(scenario(4 * FEW)))
        many.samples, few.samples = sorted(many.samples), sorted(few.samples)
        report.add(Goal(f"growth of {name}, {FEW} to {4 * FEW} specs: CPU", many.compare(few), MOST))
        rows.append(many)
    report.table(f"{4 * FEW} specs; ratio to the time for {FEW}", rows)
