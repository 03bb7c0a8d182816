"""Measures reads of a large ledger, with its snapshot and without: `make bench`. Arguments: number of events, store.

The ledger has three events for each submission of 10,000 specs: intended, submitted, succeeded. A SQLite ledger has one
event at each position. A ledger in a local S3 or DynamoDB has 32, as passes write them, because its server is slow.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from itertools import count, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from reconciler.app.session import SystemClock
from reconciler.core import events as e
from reconciler.core.identity import Content, Place, Source, SubmissionKey
from reconciler.core.ports import Store
from reconciler.core.state import Recorded
from reconciler.ledger.log import Log
from reconciler.ledger.open import open_store
from reconciler.ledger.sqlite import SqliteStore
from tests.bench.measure import RESULT, Row, save

DEFAULT_EVENTS = 100_000
SPECS = 10_000
PLACE = Place("bench", "prod", "111122223333", "eu-west-1")
ROWS: list[Row] = []
AT = "2026-11-22T02:00:00.000Z"
COMMAND = Path(sys.executable).parent / "reconciler"

PROJECT = """\
apiVersion: reconciler/v1
kind: Project
metadata: {{name: bench}}
spec:
  defaultTarget: prod
  targets:
    prod: {{account: "111122223333", region: eu-west-1, ledger: "{ledger}"}}
"""


def submission(number: int) -> list[e.Event]:
    """The life of one submission."""
    name, digits = f"job-{number % SPECS:05}", sha256(str(number).encode()).hexdigest()
    token, run_id = f"r1-{digits[:48]}", f"00{digits[48:]}"
    request = {
        "applicationId": "00f1abcdefg",
        "name": name,
        "jobDriver": {"sparkSubmit": {"entryPoint": f"s3://b/{name}"}},
    }
    intended = e.Intended(
        at=AT, token=token, kind="EmrServerlessJobRun", key=SubmissionKey(name, number // SPECS + 1), send=1,
        content=Content(
            f"sha256:{digits}", request=request, location={"applicationId": "00f1abcdefg"},
            source=Source(f"{name}.yaml", 1),
        ),
        not_after=AT, owner="bench:1:0", reason="spec-changed", commit=digits[:40], actor="bench", tool_version="0.1.0",
    )  # fmt: skip
    submitted = e.Submitted(at=AT, name=name, token=token, send=1, run_id=run_id)
    ended = e.Observed(
        at=AT,
        name=name,
        token=token,
        run_id=run_id,
        state="succeeded",
        aws_state="SUCCESS",
        started_at=AT,
        finished_at=AT,
    )
    return [intended, submitted, ended]


def always(_: Recorded) -> None:
    """Nobody else writes here."""


def fill(store: Store, number: int, at_once: int) -> None:
    """Writes the ledger, some events at each position. A file is flushed only in the last transaction."""
    log = Log(store, PLACE, "0.1.0", SystemClock())
    events = islice((event for index in count() for event in submission(index)), number)
    log.append([next(events)], always)
    _flush(store, "OFF")
    while some := list(islice(events, at_once)):
        log.append(some, always)
    _flush(store, "FULL")
    log.close()


def _flush(store: Store, how: str) -> None:
    if isinstance(store, SqliteStore):
        store._open_writer(2).execute(f"PRAGMA synchronous = {how}")


def read(address: str, folder: Path) -> tuple[int, Recorded]:
    """How many batches one read took, and what it gave."""
    store, batches = open_store(address, folder, PLACE), count()
    stored = store.read

    def counted(after: int) -> Iterator[tuple[int, bytes]]:
        for one in stored(after):
            next(batches)
            yield one

    store.read = counted  # type: ignore[method-assign]
    log = Log(store, PLACE, "0.1.0", SystemClock())
    recorded = log.refresh()
    log.close()
    return next(batches), recorded


def command(folder: Path, *arguments: str) -> None:
    """One whole command, which must succeed."""
    subprocess.run([COMMAND, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def measured(what: str) -> Iterator[list[str]]:
    """Prints what it took, by the clock and in CPU time, and what is added to the list. Keeps it in `ROWS`."""
    more: list[str] = []
    start, before = time.perf_counter(), os.times()
    yield more
    after = os.times()
    cpu = sum(after[:4]) - sum(before[:4])
    ROWS.append(Row(what, "CPU s", [cpu]))
    print(f"{what:40}{time.perf_counter() - start:8.2f} s{cpu:8.2f} s CPU  {', '.join(more)}".rstrip())


def main(number: int, scheme: str) -> None:
    """Prints one line for each measurement."""
    with tempfile.TemporaryDirectory() as name, ledger(scheme) as address:
        folder = Path(name)
        (folder / "reconciler.yaml").write_text(PROJECT.format(ledger=address))
        print(f"{scheme}:")
        store = open_store(address, folder, PLACE)
        with measured(f"write {number} events of {min(SPECS, number // 3)} specs"):
            fill(store, number, 1 if scheme == "sqlite" else 32)
        with measured("read with its snapshot") as more:
            batches, known = read(address, folder)
            more.append(f"{batches} batches")
        with measured("reconciler history, with it"):
            command(folder, "history", "job-00001")
        with measured("reconciler ledger verify"):
            command(folder, "ledger", "verify")
        if scheme != "sqlite":
            save(RESULT, {f"{number} events in {scheme}": ROWS}, add=True)
            return
        more = [f"the snapshot had {drop_snapshot(folder) / 1e6:.1f} MB"]
        with measured("read without") as told:
            batches, same = read(address, folder)
            told += [f"{batches} batches", *more]
        with measured("reconciler history, without"):
            command(folder, "history", "job-00001")
        if known != same:
            raise SystemExit("the two reads differ")
        save(RESULT, {f"{number} events in {scheme}": ROWS}, add=True)


@contextmanager
def ledger(scheme: str) -> Iterator[str]:
    """Yields the address of a new ledger, in a local server if it is not a file."""
    if scheme == "sqlite":
        yield "sqlite:///ledger.sqlite"
        return
    from tests.ledger.server import serving

    with serving() as server:
        os.environ.update(server.environment)
        yield server.address(scheme)


def drop_snapshot(folder: Path) -> int:
    """Takes the snapshot away and says how many bytes it had."""
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as connection, connection:
        (size,) = connection.execute("SELECT length(content) FROM snapshots").fetchone()
        connection.execute("DELETE FROM snapshots")
    return int(size)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_EVENTS, sys.argv[2] if len(sys.argv) > 2 else "sqlite")
