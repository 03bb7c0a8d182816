"""Measures how the processor time of single steps grows with the number of specs."""

from __future__ import annotations

import gc
import time

from tests.bench.measure import Row
from tests.growth import SCENARIOS, Call

FEW = 250


def seconds(call: Call) -> float:
    """The processor time of one call, without the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        call()
        return time.process_time() - start
    finally:
        gc.enable()


def growth(rounds: int) -> list[Row]:
    """The time of each scenario for four times as many specs, and its ratio to the time for a few."""
    rows = []
    for name, scenario in SCENARIOS.items():
        few, many = Row(name, "s"), Row(f"{name} × 4", "s")
        scenario(FEW)()
        for _ in range(rounds):
            few.samples.append(seconds(scenario(FEW)))
            many.samples.append(seconds(scenario(4 * FEW)))
        many.samples, few.samples = sorted(many.samples), sorted(few.samples)
        many.compare(few)
        rows.append(many)
    return rows
