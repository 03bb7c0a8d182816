"""The newest snapshot of a SQLite ledger, in a table of its own that comes into being with the first one.

Files without the table are as good, since it holds nothing that the batches do not; versions that do not know it pass
over it.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress

TABLE = "CREATE TABLE IF NOT EXISTS snapshots (position INTEGER PRIMARY KEY, content BLOB NOT NULL)"
NEWEST = "SELECT position, content FROM snapshots ORDER BY position DESC LIMIT 1"
KEEP = "INSERT OR REPLACE INTO snapshots (position, content) VALUES (?, ?)"
GIVE_UP = "DELETE FROM snapshots WHERE position < ?"


def find_snapshot(connection: sqlite3.Connection) -> tuple[int, bytes] | None:
    """The snapshot of the highest position, `None` where there is none. Raises `sqlite3.Error`."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'snapshots'").fetchone()
    row = connection.execute(NEWEST).fetchone() if known is not None else None
    return None if row is None or not isinstance(row[1], bytes) else (int(row[0]), row[1])


def put_snapshot(connection: sqlite3.Connection, position: int, content: bytes) -> None:
    """Keeps a snapshot and gives up older ones, in one transaction. Raises `sqlite3.Error`."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(TABLE)
        connection.execute(KEEP, (position, content))
        connection.execute(GIVE_UP, (position,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise
