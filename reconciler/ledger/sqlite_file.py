"""What makes a SQLite file a ledger: its marks, its one table, and how it comes into being."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote

from reconciler.errors import LedgerCorrupt, LedgerError, LedgerFormatNewer

APPLICATION_ID = 0x52434E4C
"""``RCNL``: says in the file's header whose it is (`PRAGMA application_id`)."""

FORMAT = 1
"""Version of the table, in the header (`PRAGMA user_version`); a higher one is refused."""

SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE batches (
    position INTEGER PRIMARY KEY CHECK (position >= 1),
    batch BLOB NOT NULL CHECK (typeof(batch) = 'blob')
);
CREATE TRIGGER batches_are_never_changed BEFORE UPDATE ON batches
BEGIN SELECT RAISE(ABORT, 'a ledger is only ever appended to'); END;
CREATE TRIGGER batches_are_never_deleted BEFORE DELETE ON batches
BEGIN SELECT RAISE(ABORT, 'a ledger is only ever appended to'); END;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
COMMIT;
"""


def connect(path: Path, mode: str, busy_seconds: float) -> sqlite3.Connection:
    """A connection without implicit transactions. `mode` is the URI's query, such as ``mode=rw``."""
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{mode}",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
    )


def check_identity(connection: sqlite3.Connection, address: str) -> None:
    """Raises `LedgerCorrupt` for a file that is empty or another program's, `LedgerFormatNewer` for a newer table."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        what = "is empty or was cut short" if empty else "is a SQLite database of another program"
        raise LedgerCorrupt(
            f"the ledger {address} {what}. Nothing was changed. If it was a ledger before, restore it from a copy; "
            "if not, use another path."
        )
    if version > FORMAT:
        raise LedgerFormatNewer(
            f"the ledger {address} has table format {version}, this version reads {FORMAT}: "
            "it was written by a newer reconciler. Upgrade to that version."
        )


def create(path: Path, address: str) -> None:
    """Makes an empty ledger at `path`, with its folder, readable and writable by its owner only.

    It is made beside its place and linked there when it is complete: whoever sees the path sees a whole ledger, and
    of several that try at once one wins and the others find it there. Raises `OSError` and `sqlite3.Error`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{token_hex(8)}.new")
    try:
        _write_draft(draft)
        _link(draft, path, address)
        sys.audit("reconciler.ledger-created")
    finally:
        for name in (draft, draft.with_name(draft.name + "-wal"), draft.with_name(draft.name + "-shm")):
            with suppress(FileNotFoundError):
                name.unlink()
    _flush_folder(path.parent)


def _write_draft(draft: Path) -> None:
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        os.fchmod(descriptor, 0o600)  # SQLite gives its side files the same mode
    finally:
        os.close(descriptor)
    with closing(connect(draft, "mode=rw", 0)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(SCHEMA)


def _link(draft: Path, path: Path, address: str) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return  # another process was faster: its ledger is as good
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise
        raise LedgerError(
            f"the ledger {address} cannot be made in {path.parent}: this file system has no hard links. "
            "Put it on a local disk."
        ) from error


def _flush_folder(folder: Path) -> None:
    """Makes the new name durable, not only the file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
