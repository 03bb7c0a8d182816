"""Reading a ledger where it cannot be written, as on a read-only disk: without SQLite's side files."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from reconciler.errors import LedgerReadOnly, LedgerUnreachable
from reconciler.ledger.sqlite_file import connect

TRIES = 3
BUSY_SECONDS = 5.0

Result = TypeVar("Result")
Stamp = tuple[int, int, int]


def read_still(path: Path, address: str, query: Callable[[sqlite3.Connection], Result]) -> Result:
    """What `query` gives, for a file that cannot be written here.

    Where nothing waits in the write-ahead log the file alone is the ledger, and it is read without locks; it must not
    change meanwhile, since others may be allowed to write it. Else it can only be read through the side files that
    are there. Raises `LedgerReadOnly` where they cannot be used, `LedgerUnreachable` where the file kept changing.
    """
    for _ in range(TRIES):
        before = _stamp(path)
        if before is None:
            return _read_through(path, address, query)
        with closing(connect(path, "mode=ro&immutable=1", 0)) as connection:
            result = query(connection)
        if _stamp(path) == before:
            return result
    raise LedgerUnreachable(f"the ledger {address} is being written while it is read without locks: {path}.")


def _stamp(path: Path) -> Stamp | None:
    """What changes when the file is written; `None` where its write-ahead log holds something."""
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        return None
    status = path.stat()
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _read_through(path: Path, address: str, query: Callable[[sqlite3.Connection], Result]) -> Result:
    try:
        with closing(connect(path, "mode=ro", BUSY_SECONDS)) as connection:
            return query(connection)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
            raise
        raise LedgerReadOnly(
            f"the ledger {address} has writes that were not merged yet, in {path.name}-wal, and they cannot be read "
            "from a read-only place: copy both files to a folder that can be written."
        ) from error
