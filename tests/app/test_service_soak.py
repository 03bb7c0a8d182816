"""Tests that a service that runs for weeks uses no more memory and no more open files than after its first passes."""

from __future__ import annotations

import gc
import logging
import os
import resource
from pathlib import Path
from threading import Event

import pytest

from reconciler.app.options import CommandOptions
from reconciler.app.reconcile import Pass
from reconciler.app.service import Service
from reconciler.app.stored_output import QuietPass
from tests.cli.world import World, project_text
from tests.ledger.server import Server

FIRST = 200
"""The number of passes after which memory and open files must no longer grow."""

MOST_KIB = 4096
"""The growth of memory that counts as noise: fragmentation, and the tables of the allocator."""


@pytest.mark.soak
@pytest.mark.parametrize(
    ("store", "resting", "passes"),
    [("sqlite", True, 10_000), ("sqlite", False, 1000), ("s3", True, 600), ("dynamodb", True, 600)],
)
def test_memory_and_files_of_a_service_do_not_grow(
    store: str, resting: bool, passes: int, world: World, aws: Server, monkeypatch: pytest.MonkeyPatch
):
    """No spec changes while all runs have ended. Tests passes that reuse the result of the previous pass, and complete
    passes."""
    if store != "sqlite":
        world.ledger = aws.address(store)
        world.write("reconciler.yaml", project_text(ledger=world.ledger))
        world.init()
    world.aws.configure(run_seconds=0)
    for number in range(20):
        world.batch(f"job-{number}")
    for name, value in {**world.env, **aws.environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)  # else pytest keeps every record
    done: list[Pass] = []

    def report(each: Pass) -> None:
        done[:] = [each]

    with Service(
        CommandOptions(directory=world.folder), 60.0, max_checkout_age=None, metrics_address=("127.0.0.1", 0),
        report=report,
    ) as service:  # fmt: skip
        stop = Event()
        assert _passes(service, stop, FIRST, resting=resting)
        before = _use()
        assert _passes(service, stop, passes - FIRST, resting=resting)
        after = _use()
    print(f"{store}: {before} KiB and files after {FIRST} passes, {after} after {passes}")
    assert done
    assert after[0] <= before[0] + MOST_KIB, (before, after)
    assert after[1] <= before[1], (before, after)


def _passes(service: Service, stop: Event, number: int, *, resting: bool) -> bool:
    """Runs passes without the pauses between them. Returns whether all succeeded."""
    good = True
    for _ in range(number):
        if not resting:
            service._quiet_pass = QuietPass()  # discards the result of the previous pass
        good = service._run_pass(stop) and good
    return good


def _use() -> tuple[int, int]:
    """Returns the memory in KiB that the process uses now, and the number of its open files."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024, len(os.listdir("/proc/self/fd"))
