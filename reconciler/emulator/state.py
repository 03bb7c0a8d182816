"""Keeps the state of the emulator in one SQLite file that several processes may use at once."""

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from reconciler.emulator.records import Records
from reconciler.emulator.settings import Settings
from reconciler.errors import ReconcilerError, UsageError

FORMAT = 1
BUSY_SECONDS = 30.0
"""Seconds that a process waits for another's transaction before it fails."""

_SCHEMA = (
    "CREATE TABLE settings (only INTEGER PRIMARY KEY CHECK (only = 1), text TEXT NOT NULL)",
    """CREATE TABLE runs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        service TEXT NOT NULL, id TEXT NOT NULL UNIQUE, place TEXT NOT NULL,
        name TEXT NOT NULL, name_key TEXT NOT NULL, definition TEXT NOT NULL, share TEXT NOT NULL, mode TEXT NOT NULL,
        token TEXT, fingerprint TEXT NOT NULL,
        accepted_at REAL NOT NULL, ended_at REAL, end_state TEXT,
        request TEXT NOT NULL, facts TEXT NOT NULL, tags TEXT NOT NULL)""",
    "CREATE UNIQUE INDEX runs_token ON runs (service, place, token) WHERE token IS NOT NULL",
    "CREATE INDEX runs_place ON runs (service, place, seq)",
    "CREATE INDEX runs_name ON runs (service, place, name_key, seq)",
    "CREATE TABLE waits (id TEXT NOT NULL, needs TEXT NOT NULL)",
    "CREATE INDEX waits_needs ON waits (needs)",
    "CREATE INDEX waits_id ON waits (id)",
    "CREATE TABLE tags (arn TEXT PRIMARY KEY, tags TEXT NOT NULL)",
)


class StateUnusable(ReconcilerError):
    """Raised if the state file cannot be opened or written, is another kind of file, or was written by a newer
    version."""


class State:
    """The state in a file, or in memory if `path` is `None`. Thread-safe: one connection is protected by one lock."""

    def __init__(self, path: Path | None) -> None:
        """Opens the file, and creates it and its folder if they are missing. Raises `StateUnusable`."""
        self.path = path
        self._lock = threading.Lock()
        self._settings = (
            "",
            Settings(),
        )  # text and value; parsed again only when the text has changed
        try:
            if path is not None:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.touch(mode=0o600)  # requests may contain secrets; side files get the same mode
            self._connection = sqlite3.connect(
                ":memory:" if path is None else path,
                timeout=BUSY_SECONDS,
                # Otherwise Python would begin transactions itself, and only before a write.
                isolation_level=None,
                check_same_thread=False,
            )
        except (OSError, sqlite3.Error) as error:
            raise StateUnusable(f"emulator state {path}: {error}") from error
        try:
            self._prepare()
        except (StateUnusable, sqlite3.Error) as error:
            self._connection.close()
            raise StateUnusable(f"emulator state {path}: {error}") from error

    def close(self) -> None:
        """Closes the file. Every change has been committed."""
        with self._lock:
            self._connection.close()

    def reading(self) -> contextlib.AbstractContextManager[Records]:
        """Opens a read transaction: one consistent view of the state."""
        return self._transaction("BEGIN")

    def writing(self) -> contextlib.AbstractContextManager[Records]:
        """Opens a write transaction, which is rolled back if the block raises."""
        return self._transaction("BEGIN IMMEDIATE")

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[Records]:
        """Yields records in a transaction. Raises `StateUnusable` if SQLite fails, for example on a full disk or a
        read-only or closed file."""
        with self._lock:
            try:
                self._connection.execute(begin)
                yield Records(self._connection, self._current_settings())
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._undo()
                raise StateUnusable(f"emulator state {self.path}: {error}") from error
            except BaseException:
                self._undo()
                raise

    def _undo(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    @property
    def settings(self) -> Settings:
        """The settings in the last transaction of this process."""
        return self._settings[1]

    def now(self) -> float:
        """Returns the service's clock in seconds since the epoch, using the settings of the last transaction. Opens no
        transaction, because every reply needs it."""
        return time.time() + self.settings.clock_offset_seconds

    def put_settings(self, settings: Settings) -> None:
        """Replaces the settings, for every process that uses this file."""
        self.change_settings(lambda _: settings)

    def change_settings(self, change: Callable[[Settings], Settings]) -> Settings:
        """Replaces the settings with the result of `change`, in one transaction, and returns them."""
        with self.writing() as records:
            text = json.dumps(change(records.settings).to_json(), sort_keys=True)
            records.execute("INSERT OR REPLACE INTO settings VALUES (1, ?)", [text])
        # Opening a transaction also updates what `settings` returns.
        with self.reading() as records:
            return records.settings

    def _current_settings(self) -> Settings:
        row = self._connection.execute("SELECT text FROM settings").fetchone()
        if row is not None and row[0] != self._settings[0]:
            self._settings = (row[0], Settings(**json.loads(row[0])))
        return self._settings[1]

    def _prepare(self) -> None:
        # Another process may be creating the file right now. It creates the tables and sets the format in one
        # transaction, so the format must be read after the tables were counted.
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        file_format = self._format()
        if file_format > FORMAT:
            raise StateUnusable(f"it has format {file_format}, this version reads up to {FORMAT}")
        if file_format == 0 and tables:
            raise StateUnusable("it is a database of something else")
        if self.path is not None:
            self._use_wal()
        self._connection.execute("PRAGMA synchronous=NORMAL")
        if file_format == 0:
            self._create()
        try:
            self._current_settings()
        except (UsageError, TypeError, ValueError) as error:
            raise StateUnusable(f"its settings cannot be read: {error}") from error

    def _format(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def _create(self) -> None:
        """Creates the tables, unless another process did so in the meantime."""
        self._connection.execute("BEGIN IMMEDIATE")
        if self._format() == 0:
            for statement in _SCHEMA:
                self._connection.execute(statement)
            text = json.dumps(Settings().to_json(), sort_keys=True)
            self._connection.execute("INSERT INTO settings VALUES (1, ?)", [text])
            self._connection.execute(f"PRAGMA user_version={FORMAT}")
        self._connection.execute("COMMIT")

    def _use_wal(self) -> None:
        """Switches to WAL."""
        # SQLite does not wait in this step for other processes that open the file.
        for attempt in range(100):
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or attempt == 99:
                    raise
                time.sleep(0.02)
            else:
                return
