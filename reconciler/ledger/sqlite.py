"""Stores a ledger in one SQLite file on a local disk.

There is one table with the position as its primary key, so only one writer can insert a batch at a position. Each
transaction starts with ``BEGIN IMMEDIATE`` and is fully flushed to disk when it commits. The file is created
atomically. A file that is empty or not a ledger is therefore damaged or belongs to another program, and is never used
as a new ledger.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import chain, pairwise, repeat
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from reconciler.errors import LedgerCorrupt, LedgerError, LedgerMissing, LedgerReadOnly
from reconciler.ledger import sqlite_file

if TYPE_CHECKING:
    from reconciler.core.identity import Place

BUSY_SECONDS = 5.0
"""The maximum number of seconds that a call waits for another process's transaction, which normally takes
milliseconds.
"""

PAGES = (8, 100, 1000)
"""The number of batches read in each transaction; the last number applies to all further ones. Small first pages make
reading a single batch fast. No transaction remains open while the caller processes batches.
"""

ROW = "SELECT batch FROM batches WHERE position = ?"
ROWS = "SELECT position, batch FROM batches WHERE position > ? ORDER BY position LIMIT ?"

Row = tuple[int, bytes]
Result = TypeVar("Result")


def open_store(url: str, root: Path, _place: Place) -> SqliteStore:
    """Returns the store at ``sqlite:///PATH``, as `store_at` does."""
    return store_at(url, root)


def store_at(url: str, root: Path) -> SqliteStore:
    """Returns the store at ``sqlite:///PATH``, relative to `root`, or absolute with four slashes."""
    path = url.removeprefix("sqlite://")
    if not path.startswith("/") or not path.strip("/"):
        raise LedgerError(f"the ledger {url} names no file: write sqlite:///PATH, relative to the project folder")
    return SqliteStore(root / path[1:], url)


class SqliteStore:
    """`ports.Store` and `ports.Snapshots` in a SQLite file. Thread-safe and process-safe on one machine.

    `address` is for messages. `busy_seconds` is the maximum time that a call waits for other writers before it raises
    `LedgerUnreachable`.
    """

    def __init__(self, path: Path, address: str, busy_seconds: float = BUSY_SECONDS) -> None:
        self._path, self._address, self._busy_seconds = path, address, busy_seconds
        self._lock = Lock()
        self._writer: sqlite3.Connection | None = None
        self._writer_of: tuple[int, tuple[int, int] | None] | None = None
        self._release: Callable[[], object] | None = None
        self._checked_file: tuple[int, int] | None = None

    @property
    def address(self) -> str:
        """The address as in the project file."""
        return self._address

    def append(self, position: int, batch: bytes) -> bytes:
        """Writes `batch` at `position` if the position is free. Returns the batch that is stored at the position
        afterwards. Raises the errors of `ports.Store`.
        """
        return self._blob(position, self._write(position, lambda writer: _insert(writer, position, batch)))

    def read(self, after: int) -> Iterator[Row]:
        """Yields the batches after a position, in order. Creates nothing, and leaves no side files."""
        return self._pages(self._page(after, PAGES[0]))

    def get(self, position: int) -> bytes | None:
        """Returns the batch at one position, or `None` if there is none. Creates nothing, and leaves no side files."""
        row = self._query(lambda connection: connection.execute(ROW, (position,)).fetchone())
        return None if row is None else self._blob(position, row[0])

    def newest_snapshot(self) -> Row | None:
        """Returns the stored snapshot, as `ports.Snapshots` requires."""
        return self._query(find_snapshot)

    def keep_snapshot(self, position: int, content: bytes) -> None:
        """Stores a snapshot, as `ports.Snapshots` requires, if the ledger is not empty."""
        # A position above 1, so that a snapshot never creates the file.
        self._write(position + 1, lambda writer: put_snapshot(writer, position, content))

    def close(self) -> None:
        """Closes the writing connection, if there is one. The next append opens it again."""
        with self._lock:
            self._close_writer()

    # --- reading ------------------------------------------------------------------------------------------------------

    def _pages(self, page: list[Row]) -> Iterator[Row]:
        sizes = chain(PAGES, repeat(PAGES[-1]))
        yield from page
        for size, following in pairwise(sizes):
            if len(page) < size:
                return
            page = self._page(page[-1][0], following)
            yield from page

    def _page(self, after: int, size: int) -> list[Row]:
        rows = self._query(lambda connection: connection.execute(ROWS, (after, size)).fetchall())
        return [(position, self._blob(position, batch)) for position, batch in rows]

    def _query(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        with sqlite_file.translate_file_errors(self._address, self._path):
            if not self._path.exists():
                raise LedgerMissing(f"there is no ledger at {self._address}")
            self._check_file()
            return self._query_file(query)

    def _check_file(self) -> None:
        """Raises `LedgerError` for a file that is not safe to use. Checks each file only once."""
        checked = _file_id(self._path)
        if checked != self._checked_file:
            sqlite_file.keep_private(self._path)
            sqlite_file.check_file(self._path, self._address)
            self._checked_file = checked

    def _query_file(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        """Runs a query. Opens the file for writing if that is allowed, because otherwise SQLite does not remove its
        side files when it closes the file.
        """
        if not _writable(self._path):
            return sqlite_file.read_readonly(
                self._path, self._address, lambda connection: query(self._checked(connection))
            )
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA query_only = ON")
            return query(self._checked(connection))

    def _blob(self, position: int, value: object) -> bytes:
        if not isinstance(value, bytes):
            raise LedgerCorrupt(
                f"the ledger {self._address} is damaged at position {position}: it does not contain bytes"
            )
        return value

    # --- writing ------------------------------------------------------------------------------------------------------

    def _write(self, position: int, call: Callable[[sqlite3.Connection], Result]) -> Result:
        with self._lock:
            try:
                with sqlite_file.translate_file_errors(self._address, self._path):
                    return call(self._open_writer(position))
            except LedgerError:
                self._close_writer()  # the state of the connection is unclear, so the next attempt opens the file again
                raise

    def _open_writer(self, position: int) -> sqlite3.Connection:
        # A connection must not be used after a fork, nor after the file was replaced: both can damage the ledger.
        # https://www.sqlite.org/howtocorrupt.html
        if self._writer is not None and self._writer_of == (os.getpid(), _file_id(self._path)):
            return self._writer
        self._close_writer()
        if not self._path.exists():
            # Only the first append may create the file. Otherwise the ledger was lost, and everything would run again.
            if position > 1:
                raise LedgerMissing(f"the ledger {self._address} is gone: there is no file {self._path}")
            sqlite_file.create(self._path, self._address)
        self._check_file()
        if not _writable(self._path):
            raise LedgerReadOnly(f"the ledger {self._address} can be read here but not written: {self._path}")
        connection = self._connect()
        try:
            self._checked(connection)
            # SQLite does not store this setting in the file.
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        self._writer, self._writer_of = connection, (os.getpid(), _file_id(self._path))
        self._release = weakref.finalize(self, _close, connection, os.getpid())
        return connection

    def _close_writer(self) -> None:
        release, self._release, self._writer = self._release, None, None
        if release is not None:
            release()

    def _connect(self) -> sqlite3.Connection:
        return sqlite_file.connect(self._path, "mode=rw", self._busy_seconds)

    def _checked(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        sqlite_file.check_identity(connection, self._address)
        return connection


_ORPHANS: list[sqlite3.Connection] = []
"""Connections inherited through a fork. They are never closed, because the child would remove side files that its
parent still uses.
"""


def _close(connection: sqlite3.Connection, pid: int) -> None:
    if pid == os.getpid():
        with suppress(sqlite3.Error):
            connection.close()
    else:
        _ORPHANS.append(connection)


def _insert(connection: sqlite3.Connection, position: int, batch: bytes) -> object:
    """Inserts a batch unless its position is taken, and returns the batch at the position."""
    with _transaction(connection):
        row = connection.execute(ROW, (position,)).fetchone()
        if row is None:
            connection.execute("INSERT INTO batches (position, batch) VALUES (?, ?)", (position, batch))
    sys.audit("reconciler.stored", position)
    return batch if row is None else row[0]


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commits the block, or rolls it back after an error. Uses ``BEGIN IMMEDIATE``, because upgrading a read lock to a
    write lock can deadlock.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite itself has already rolled back after some errors, such as a full disk
            connection.execute("ROLLBACK")
        raise


def _file_id(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return (status.st_dev, status.st_ino)


def _writable(path: Path) -> bool:
    """Returns whether this process may write the file and create side files next to it."""
    return sqlite_file.allowed(path, os.W_OK) and sqlite_file.allowed(path.parent, os.W_OK)


# --- snapshots --------------------------------------------------------------------------------------------------------

TABLE = "CREATE TABLE IF NOT EXISTS snapshots (position INTEGER PRIMARY KEY, content BLOB NOT NULL)"
NEWEST = "SELECT position, content FROM snapshots ORDER BY position DESC LIMIT 1"
KEEP = "INSERT OR REPLACE INTO snapshots (position, content) VALUES (?, ?)"
DELETE_OLDER = "DELETE FROM snapshots WHERE position < ?"


def find_snapshot(connection: sqlite3.Connection) -> tuple[int, bytes] | None:
    """Returns the snapshot at the highest position, or `None` if there is none. Raises `sqlite3.Error`."""
    table = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'snapshots'").fetchone()
    # The first snapshot creates the table.
    row = connection.execute(NEWEST).fetchone() if table is not None else None
    return None if row is None or not isinstance(row[1], bytes) else (int(row[0]), row[1])


def put_snapshot(connection: sqlite3.Connection, position: int, content: bytes) -> None:
    """Stores a snapshot and deletes older ones, in one transaction. Raises `sqlite3.Error`."""
    with _transaction(connection):
        connection.execute(TABLE)
        connection.execute(KEEP, (position, content))
        connection.execute(DELETE_OLDER, (position,))
