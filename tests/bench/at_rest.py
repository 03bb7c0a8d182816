"""Measures passes of a service while nothing changes.

Run as a program, it is the measured process: ``at_rest.py FOLDER PASSES``. It prints JSON.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

if TYPE_CHECKING:
    from tests.bench.measure import Report

FIRST = 20
"""The number of passes after which memory and files are compared."""


def main(folder: Path, passes: int) -> None:
    """Runs passes without the pauses between them."""
    from reconciler.app.options import CommandOptions
    from reconciler.app.service import Service

    logging.disable(logging.CRITICAL)
    options, stop = CommandOptions(directory=folder), Event()
    with Service(options, 60.0, max_checkout_age=None, metrics_address=None, report=lambda _: None) as service:
        for _ in range(FIRST):
            assert service._run_pass(stop)
        before = _held()
        start, used = time.perf_counter(), _cpu()
        for _ in range(passes):
            assert service._run_pass(stop)
        used, wall, after = _cpu() - used, time.perf_counter() - start, _held()
    print(json.dumps({"cpu": used / passes, "wall": wall / passes, "before": before, "after": after}))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _held() -> tuple[float, int]:
    """Returns the memory in MB that the process uses now, and the number of its open files."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6, len(os.listdir("/proc/self/fd"))


def measure(report: Report, many: Path, few: Path, environ: Mapping[str, str], plan: float, passes: int) -> None:
    """Measures a pass over many specs, compared with a warm plan that took `plan` CPU seconds, and many passes over
    few specs."""
    from tests.bench.measure import Goal, Row
    from tests.bench.stub_aws import serving

    with serving() as aws:
        environ = {**environ, **{name: value for name, value in aws.environ.items() if name.startswith("AWS_")}}
        one, rest = (
            json.loads(
                subprocess.run(
                    [sys.executable, __file__, str(folder), str(number)],
                    env=environ, stdout=subprocess.PIPE, text=True, check=True,
                ).stdout
            )
            for folder, number in ((many, 10), (few, passes))
        )  # fmt: skip
    (memory, files), (later, more) = rest["before"], rest["after"]
    report.table(
        "pass of a service at rest",
        [Row("pass over many specs", "CPU s", [one["cpu"]]), Row("pass over few specs", "CPU s", [rest["cpu"]])],
    )
    report.add(
        Goal("pass of a service at rest, against the warm plan: CPU", one["cpu"] / plan, 1.3),
        Goal(f"service, memory after {passes:,} passes at rest, against {FIRST}", later / memory, 1.05),
        Goal(f"service, open files after {passes:,} passes at rest", more, files, "files"),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
