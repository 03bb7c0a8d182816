"""Runs all checks of the models, two at a time, and prints a table: `make model`."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.models.check import CHECKS, run_check

MISSING = """{} is needed to check the models and is not on PATH. Nothing was checked.
On Debian and Ubuntu: apt-get install spin gcc"""


def main() -> int:
    """Returns the exit code: 1 if a tool is missing or a result is not as expected."""
    for tool in ("spin", "gcc"):
        if shutil.which(tool) is None:
            print(MISSING.format(tool), file=sys.stderr)
            return 1
    print(f"{'model':6} {'flag':24} {'expected':15} {'result':15} {'states':>9} {'seconds':>7}")
    wrong = 0
    with ThreadPoolExecutor(2) as searches:  # the threads only wait for spin and gcc
        for check, outcome in zip(CHECKS, searches.map(run_check, CHECKS), strict=True):
            wrong += outcome.result != check.expected
            mark = "" if outcome.result == check.expected else "  WRONG"
            columns = f"{check.model:6} {check.flag or '(the protocol)':24} {check.expected:15} {outcome.result:15}"
            print(f"{columns} {outcome.states:9} {outcome.seconds:7.1f}{mark}", flush=True)
    print(f"{len(CHECKS)} checks, {wrong} of them with an unexpected result")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
