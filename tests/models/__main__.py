"""What `make model` runs: every check, two at a time, printed as a table."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.models.check import CHECKS, run_check

MISSING = """{} is needed to check the models and is not on PATH. Nothing was checked.
On Debian and Ubuntu: apt-get install spin gcc"""


def main() -> int:
    """The exit code: 1 where a tool is missing, or a result is not what it should be."""
    for tool in ("spin", "gcc"):
        if shutil.which(tool) is None:
            print(MISSING.format(tool), file=sys.stderr)
            return 1
    print(f"{'model':6} {'flag':24} {'should give':15} {'gave':15} {'states':>9} {'seconds':>7}")
    wrong = 0
    with ThreadPoolExecutor(2) as searches:  # each waits for programs of its own
        for check, found in zip(CHECKS, searches.map(run_check, CHECKS), strict=True):
            wrong += found.result != check.expected
            mark = "" if found.result == check.expected else "  WRONG"
            columns = f"{check.model:6} {check.flag or '(the protocol)':24} {check.expected:15} {found.result:15}"
            print(f"{columns} {found.states:9} {found.seconds:7.1f}{mark}", flush=True)
    print(f"{len(CHECKS)} checks, {wrong} of them not as they should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
