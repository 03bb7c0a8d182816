"""A ledger in one SQLite file on a local disk.

One table keyed by position, so that the primary key decides who was first; a transaction is begun IMMEDIATE and
flushed in full before it counts. The file appears complete in one step or not at all: a file that is empty, or not
ours, was damaged or is somebody else's, and is never taken for a new ledger.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import chain, pairwise, repeat
from pathlib import Path
from threading import Lock
from typing import TypeVar

from reconciler.core.findings import Finding, ok
from reconciler.core.identity import Place
from reconciler.errors import LedgerCorrupt, LedgerError, LedgerMissing, LedgerReadOnly, LedgerUnreachable
from reconciler.ledger.open import Policy, standing
from reconciler.ledger.sqlite_file import allowed, check_identity, connect, create, translated

BUSY_SECONDS = 5.0
"""How long a call waits for another process to finish its transaction; each one takes milliseconds."""

PAGES = (8, 100, 1000)
"""Batches read in one transaction, the last number from then on: who wants one batch does not wait for a thousand.
No transaction is held open while the caller works on them."""

ROW = "SELECT batch FROM batches WHERE position = ?"
ROWS = "SELECT position, batch FROM batches WHERE position > ? ORDER BY position LIMIT ?"

Row = tuple[int, bytes]
Result = TypeVar("Result")


def open_store(url: str, root: Path, _place: Place) -> SqliteStore:
    """The store at ``sqlite:///PATH``, relative to `root`, or absolute with four slashes."""
    path = url.removeprefix("sqlite://")
    if not path.startswith("/") or not path.strip("/"):
        raise LedgerError(f"the ledger {url} names no file: write sqlite:///PATH, relative to the project folder")
    return SqliteStore(root / path[1:], url)


class SqliteStore:
    """`ports.Store` in a SQLite file. Safe for threads and processes of one machine.

    `address` is what messages call it. `busy_seconds` is how long a call waits for other writers before it raises
    `LedgerUnreachable`.
    """

    def __init__(self, path: Path, address: str, busy_seconds: float = BUSY_SECONDS) -> None:
        self._path, self._address, self._busy_seconds = path, address, busy_seconds
        self._lock = Lock()
        self._writer: sqlite3.Connection | None = None
        self._writer_of: tuple[int, tuple[int, int] | None] | None = None
        self._release: Callable[[], object] | None = None

    @property
    def address(self) -> str:
        """As it is written in the project file."""
        return self._address

    def append(self, position: int, batch: bytes) -> bytes:
        """Puts `batch` at `position` if nothing is there; returns what is there. Errors as `ports.Store` says."""
        with self._lock:
            try:
                with translated(self._address, self._path):
                    held = _insert(self._open_writer(position), position, batch)
            except LedgerError:
                self._close_writer()  # whatever went wrong, the next try starts from the file as it is
                raise
        return self._blob(position, held)

    def read(self, after: int) -> Iterator[Row]:
        """The batches after a position, in order. Creates nothing, and leaves nothing behind."""
        return self._pages(self._page(after, PAGES[0]))

    def get(self, position: int) -> bytes | None:
        """The batch at one position, `None` where nothing is there. Creates nothing, and leaves nothing behind."""
        row = self._query(lambda connection: connection.execute(ROW, (position,)).fetchone())
        return None if row is None else self._blob(position, row[0])

    def newest_snapshot(self) -> Row | None:
        """As `ports.Snapshots`."""
        return self._query(find_snapshot)

    def keep_snapshot(self, position: int, content: bytes) -> None:
        """As `ports.Snapshots`; only for a ledger that holds something."""
        with self._lock:
            try:
                with translated(self._address, self._path):
                    put_snapshot(self._open_writer(position + 1), position, content)
            except LedgerError:
                self._close_writer()
                raise

    def close(self) -> None:
        """Closes the connection that writes, if there is one; the next append opens it again."""
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
        with translated(self._address, self._path):
            if not self._path.exists():
                raise LedgerMissing(f"there is no ledger at {self._address}")
            return self._look(query)

    def _look(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        """Opened for writing where that is allowed: only then does SQLite clear its side files away on closing."""
        if not _writable(self._path):
            return read_readonly(self._path, self._address, lambda connection: query(self._checked(connection)))
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA query_only = ON")
            return query(self._checked(connection))

    def _blob(self, position: int, value: object) -> bytes:
        if not isinstance(value, bytes):
            raise LedgerCorrupt(f"the ledger {self._address} is damaged at position {position}: it does not hold bytes")
        return value

    # --- writing ------------------------------------------------------------------------------------------------------

    def _open_writer(self, position: int) -> sqlite3.Connection:
        if self._writer is not None and self._writer_of == (os.getpid(), _file_id(self._path)):
            return self._writer
        self._close_writer()
        if not self._path.exists():
            if position > 1:
                raise LedgerMissing(f"the ledger {self._address} is gone: there is no file {self._path}")
            create(self._path, self._address)
        if not _writable(self._path):
            raise LedgerReadOnly(f"the ledger {self._address} can be read here and not written: {self._path}")
        connection = self._connect()
        try:
            self._checked(connection)
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
        return connect(self._path, "mode=rw", self._busy_seconds)

    def _checked(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        check_identity(connection, self._address)
        return connection


_ORPHANS: list[sqlite3.Connection] = []
"""Connections inherited over a fork: a child that closed one would clear side files its parent still uses."""


def _close(connection: sqlite3.Connection, pid: int) -> None:
    if pid == os.getpid():
        with suppress(sqlite3.Error):
            connection.close()
    else:
        _ORPHANS.append(connection)


def _insert(connection: sqlite3.Connection, position: int, batch: bytes) -> object:
    connection.execute("BEGIN IMMEDIATE")
    try:
        row = connection.execute(ROW, (position,)).fetchone()
        if row is None:
            connection.execute("INSERT INTO batches (position, batch) VALUES (?, ?)", (position, batch))
        connection.execute("COMMIT")
        sys.audit("reconciler.stored", position)
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise
    return batch if row is None else row[0]


def _file_id(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return (status.st_dev, status.st_ino)


def _writable(path: Path) -> bool:
    """SQLite needs to write the file and to put its side files next to it."""
    return allowed(path, os.W_OK) and allowed(path.parent, os.W_OK)


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


TRIES = 3
READONLY_BUSY_SECONDS = 5.0

ReadResult = TypeVar("ReadResult")
Stamp = tuple[int, int, int]


def read_readonly(path: Path, address: str, query: Callable[[sqlite3.Connection], ReadResult]) -> ReadResult:
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


def _read_through(path: Path, address: str, query: Callable[[sqlite3.Connection], ReadResult]) -> ReadResult:
    try:
        with closing(connect(path, "mode=ro", READONLY_BUSY_SECONDS)) as connection:
            return query(connection)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
            raise
        raise LedgerReadOnly(
            f"the ledger {address} has writes that were not merged yet, in {path.name}-wal, and they cannot be read "
            "from a read-only place: copy both files to a folder that can be written."
        ) from error


def prepare(url: str, root: Path, place: Place) -> Iterator[Finding | Policy]:
    """Creates nothing. Raises `LedgerError` for a file that is no ledger."""
    store = open_store(url, root, place)
    yield standing(store)
    yield ok("a file needs no preparation; keep it on a local disk that stays")
