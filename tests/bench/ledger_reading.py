"""Measures reads of a large ledger, with its snapshot and without: `make bench`.

The ledger has three events for each submission of 10,000 specs: intended, submitted, succeeded. It is written in
SQLite, and copied batch by batch to a local S3 and DynamoDB. Run as a program, it is the measured process:
``ledger_reading.py ADDRESS FOLDER``. It reads the state once and prints JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from hashlib import sha256
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

from reconciler.app.session import SystemClock
from reconciler.core import events as e
from reconciler.core.identity import Content, Place, Source, SubmissionKey
from reconciler.core.ports import Store
from reconciler.ledger.log import Log
from reconciler.ledger.open import open_store

if TYPE_CHECKING:
    from tests.bench.measure import Report

EVENTS = 100_000
SPECS = 10_000
AT_ONCE = 50
"""The number of events at each position. Passes write the events of up to 32 submissions at once."""

PLACE = Place("bench", "prod", "111122223333", "eu-west-1")
AT = "2026-11-22T02:00:00.000Z"
ADDRESS = "sqlite:///ledger.sqlite"
NAME = "events"
ROUNDS = 3


def submission(number: int) -> list[e.Event]:
    """Returns the events of one submission."""
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


def fill(store: Store, number: int) -> None:
    """Writes the ledger."""
    from tests.bench.projects import always, do_not_flush

    with closing(Log(store, PLACE, "0.1.0", SystemClock())) as log:
        events = islice((event for index in count() for event in submission(index)), number)
        log.append([next(events)], always)
        do_not_flush(store)
        while some := list(islice(events, AT_ONCE)):
            log.append(some, always)


def read(address: str, folder: Path) -> dict[str, float]:
    """Reads the state once. Returns the seconds and CPU seconds that it took, and the number of submissions."""
    before, start = _cpu(), time.perf_counter()
    with closing(Log(open_store(address, folder, PLACE), PLACE, "0.1.0", SystemClock())) as log:
        recorded = log.refresh()
        return {"cpu": _cpu() - before, "wall": time.perf_counter() - start, "submissions": recorded.number}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _read(address: str, folder: Path, environ: Mapping[str, str], number: int) -> float:
    """Reads the state in a separate process, and returns the CPU seconds of the read."""
    program = [sys.executable, __file__, address, str(folder)]
    done = subprocess.run(program, env=dict(environ), stdout=subprocess.PIPE, text=True, check=True)
    used = dict(json.loads(done.stdout))
    assert used["submissions"] == number
    return float(used["cpu"])


def written(folder: Path) -> None:
    """Writes the ledger in a folder, in which `measure` reads it."""
    (folder / NAME).mkdir()
    fill(open_store(ADDRESS, folder / NAME, PLACE), EVENTS)


def measure(report: Report, stores: Sequence[str], prepared: Path) -> None:
    """Measures reads of the ledger in each store, with the snapshot and once without."""
    from tests.bench.history import copy, environments
    from tests.bench.measure import Goal, Row

    folder, number = prepared / NAME, (EVENTS + 2) // 3
    rows = []
    for scheme in stores:
        with environments(scheme) as (address, environ):
            chosen = ADDRESS if scheme == "sqlite" else address()
            if scheme != "sqlite":
                copy(open_store(ADDRESS, folder, PLACE), open_store(chosen, folder, PLACE))
            samples = [_read(chosen, folder, environ, number) for _ in range(ROUNDS)]
        rows.append(Row(scheme, "CPU s", samples))
        report.add(Goal(f"state of {EVENTS:,} events in {scheme}, cold", rows[-1].median, 1, "CPU s"))
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as connection, connection:
        connection.execute("DELETE FROM snapshots")
    rows.append(Row("sqlite, without a snapshot", "CPU s", [_read(ADDRESS, folder, dict(os.environ), number)]))
    report.table(f"read of {EVENTS:,} events", rows)


if __name__ == "__main__":
    print(json.dumps(read(sys.argv[1], Path(sys.argv[2]))))
