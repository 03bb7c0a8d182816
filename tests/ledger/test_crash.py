"""Killed writers: confirmed batches are there, and the log is intact."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from reconciler.app.session import SystemClock
from reconciler.ledger.log import Log
from reconciler.ledger.sqlite import SqliteStore
from tests.ledger.builders import PLACE, always, intended

ROOT = Path(__file__).parents[2]
KILLS = 8


def confirmed_before_kill(path: Path, lines: int) -> int:
    """The last position that a writer confirmed before it was killed, after so many lines."""
    command = [sys.executable, "-m", "tests.ledger.racing", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(lines)]
        os.kill(writer.pid, signal.SIGKILL)
        said += writer.stdout.readlines()
    return int([line for line in said if line.endswith("\n")][-1])


def test_killed_writers_leave_a_readable_log(tmp_path: Path):
    """After each SIGKILL every confirmed batch is there in an unbroken chain, and writing continues."""
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
