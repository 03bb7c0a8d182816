"""Contains code that competing or killed writers run in separate processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from reconciler.app.session import SystemClock
from reconciler.core.ports import Store
from reconciler.ledger.log import Log
from reconciler.ledger.sqlite import SqliteStore
from tests.ledger.builders import PLACE, always, intended


def writers(count: int) -> ProcessPoolExecutor:
    """Returns a pool of processes with the environment of this one."""
    environment = (dict(os.environ),)
    return ProcessPoolExecutor(count, mp_context=_forking(), initializer=_set_environment, initargs=environment)


def _set_environment(environment: Mapping[str, str]) -> None:
    os.environ.update(environment)


def _forking() -> ForkServerContext:
    """Returns a context that forks processes from one that has already imported the stores, because the import takes
    longer than a race."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "reconciler.ledger.dynamodb", "reconciler.ledger.s3"])
    return context


def race(opened: Callable[[], Store], writer: int, positions: int) -> list[bytes]:
    """Tries to append this writer's batch at each position. Returns the batches that the store has at these
    positions."""
    store = opened()
    return [store.append(position, f"writer {writer} at {position}".encode()) for position in range(1, positions + 1)]


@contextmanager
def endless_writer(path: Path) -> Iterator[tuple[BaseProcess, Connection]]:
    """Starts a process that appends intents, and yields it with the connection over which it confirms each position."""
    context = _forking()
    confirmed, confirming = context.Pipe(duplex=False)
    process = context.Process(target=_write_on, args=(path, confirming))
    process.start()
    confirming.close()
    with confirmed:
        yield process, confirmed
    process.join()


def _write_on(path: Path, confirming: Connection) -> None:
    log = Log(SqliteStore(path, "sqlite:///ledger"), PLACE, "0.1.0", SystemClock())
    log.refresh()
    while True:
        number = log.recorded.position + 1
        log.append([intended(f"job-{number}", f"r1-{number}")], always)
        confirming.send(number)
