"""Measures how the processor time of single steps grows with the number of specs."""

from __future__ import annotations

import gc
import time

from tests.bench.measure import ROUNDS, Goal, Report, Row
from tests.growth import SCENARIOS, Call

FEW = 250
MOST = 4.5
LEAST = 0.05  # seconds


def seconds(call: Call) -> float:
    """Returns the processor time of one call, without the garbage collector. A short call is repeated, because a few
    milliseconds cannot be measured."""
    gc.collect()
    gc.disable()
    try:
        start, calls, spent = time.process_time(), 0, 0.0
        while spent < LEAST:
            call()
            calls, spent = calls + 1, time.process_time() - start
        return spent / calls
    finally:
        gc.enable()


def measure(report: Report) -> None:
    """Measures each scenario with four times as many specs, and its ratio to the time with few specs."""
    rows = []
    for name, scenario in SCENARIOS.items():
        few, many = Row(name, "CPU s"), Row(name, "CPU s")
        scenario(4 * FEW)()  # so that imports are made, and caches are filled for both
        for _ in range(ROUNDS):
            few.samples.append(seconds(scenario(FEW)))
            many.samples.append(seconds(scenario(4 * FEW)))
        many.samples, few.samples = sorted(many.samples), sorted(few.samples)
        report.add(Goal(f"growth of {name}, {FEW} to {4 * FEW} specs: CPU", many.compare(few), MOST))
        rows.append(many)
    report.table(f"{4 * FEW} specs; ratio to the time for {FEW}", rows)
