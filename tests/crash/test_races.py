"""Many processes start at the same time over the same new specs, and each spec gets one run."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable

import pytest

from tests.cli.world import forked_command
from tests.crash.world import CrashWorld, Verdict, verdict

Record = Callable[[str, object], None]


def race(world: CrashWorld, reconcilers: int, specs: int) -> Counter[int]:
    """Runs the processes until they end, and counts their exit codes."""
    world.prepare(claim_seconds=30, settle_seconds=60)
    for number in range(specs):
        write = world.batch if number % 2 else world.spark
        write(f"job-{number:03}", f"content-{number}")
    racing = [
        subprocess.Popen(
            [forked_command(), "reconcile"],
            cwd=world.folder,
            env=world.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(reconcilers)
    ]
    try:
        return Counter(process.wait() for process in racing)
    finally:
        for process in racing:
            process.kill()


def judged(world: CrashWorld, reconcilers: int, specs: int, record: Record) -> None:
    """Runs a race, and checks the conditions that must hold after it."""
    codes = race(world, reconcilers, specs)

    assert set(codes) <= {0, 3}  # 3 if another process is still sending the same submission
    assert verdict(world) == Verdict()
    owners = Counter(run.request["tags"]["reconciler:spec"] for run in world.runs())
    assert owners == {f"shop/staging/job-{number:03}": 1 for number in range(specs)}
    record("campaign", f"{reconcilers} reconcilers, {specs} specs, {world.ledger.partition(':')[0]}: {specs} runs")


@pytest.mark.campaign
def test_a_small_race(world: CrashWorld, record_property: Record):
    """Four processes race over twenty specs."""
    judged(world, 4, 20, record_property)


@pytest.mark.soak
@pytest.mark.parametrize("scheme", ["sqlite", "s3", "dynamodb"])
def test_a_large_race(scheme: str, over: Callable[[str], CrashWorld], record_property: Record):
    """Sixteen processes race over five hundred specs, with each store."""
    judged(over(scheme), 16, 500, record_property)
