"""What racing and dying writers run, in processes of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from reconciler.app.session import SystemClock
from reconciler.core.ports import Store
from reconciler.ledger.log import Log
from reconciler.ledger.sqlite import SqliteStore
from tests.ledger.builders import PLACE, always, intended


def race(opened: Callable[[], Store], writer: int, positions: int) -> list[bytes]:
    """Appends its own batch at each position; returns what the store said is there."""
    store = opened()
    return [store.append(position, f"writer {writer} at {position}".encode()) for position in range(1, positions + 1)]


def write_on(path: str) -> None:
    """Appends intents until it is killed, and says after each one that it is written."""
    log = Log(SqliteStore(Path(path), "sqlite:///ledger"), PLACE, "0.1.0", SystemClock())
    log.refresh()
    while True:
        number = log.recorded.position + 1
        log.append([intended(f"job-{number}", f"r1-{number}")], always)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    write_on(sys.argv[1])
