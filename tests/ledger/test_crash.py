"""Tests writers that are killed: confirmed batches are stored, and the log is intact."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from reconciler.app.session import SystemClock
from reconciler.ledger.log import Log
from reconciler.ledger.sqlite import SqliteStore
from tests.ledger.builders import PLACE, always, intended
from tests.ledger.racing import endless_writer

KILLS = 8


def confirmed_before_kill(path: Path, count: int) -> int:
    """Returns the last position that a writer confirmed before it was killed. It is killed after this many
    confirmations."""
    with endless_writer(path) as (process, confirmed):
        for _ in range(count):
            last: int = confirmed.recv()
        process.kill()
        with suppress(EOFError):
            while True:
                last = confirmed.recv()
    return last


def test_killed_writers_leave_a_readable_log(tmp_path: Path):
    """After each SIGKILL, every confirmed batch is stored in an unbroken chain, and writing can continue."""
    path = tmp_path / "l.sqlite"
    for kill in range(KILLS):
        confirmed = confirmed_before_kill(path, 3 + 7 * kill)
        recorded = Log(SqliteStore(path, "sqlite:///l.sqlite"), PLACE, "0.1.0", SystemClock()).refresh()
        assert confirmed <= recorded.position <= confirmed + 1
        assert {f"r1-{number}" for number in range(1, recorded.position + 1)} == set(recorded.by_token)
    log = Log(SqliteStore(path, "sqlite:///l.sqlite"), PLACE, "0.1.0", SystemClock())
    log.append([intended("last", "r1-last")], always)
    log.close()
    assert [path] == list(tmp_path.iterdir())
