"""Creates, opens and identifies the SQLite file of a ledger, and translates errors of SQLite and the operating
system."""

import errno
import glob
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from reconciler.errors import (
    LedgerCorrupt,
    LedgerError,
    LedgerFormatNewer,
    LedgerFull,
    LedgerReadOnly,
    LedgerStoreInvalid,
    LedgerUnreachable,
)
from reconciler.ledger import MOST_BYTES, too_large
from reconciler.model import STATE_FOLDER

BUSY = (LedgerUnreachable, "the ledger {address} is busy: another process has locked it ({error}).")
NO_ANSWER = (LedgerUnreachable, "the ledger {address} did not answer: {path}: {error}.")
NOT_ALLOWED = (LedgerReadOnly, "the ledger {address} can be read here but not written: {path} ({error})")
DAMAGED = (
    LedgerCorrupt,
    "the ledger {address} cannot be read: {path} is damaged or is no SQLite database ({error}). "
    "Nothing was changed. Restore it from a copy.",
)

SENTENCES: dict[int, tuple[type[LedgerError], str]] = {
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_PROTOCOL: BUSY,
    sqlite3.SQLITE_IOERR: NO_ANSWER,
    sqlite3.SQLITE_READONLY: NOT_ALLOWED,
    sqlite3.SQLITE_PERM: NOT_ALLOWED,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
    sqlite3.SQLITE_ERROR: DAMAGED,  # for example, if a table is missing in a file with our application id
}
"""The error class and message for each primary result code of SQLite."""

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}

WRITING = {sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}
"""Result codes of writes that failed before the commit. A failed flush is not one of them, because its data may be on
disk."""

PROBE_BYTES = 1 << 17
"""The size of a test write in bytes: more than SQLite writes at once for a typical batch and the pages around it."""


@contextmanager
def translate_file_errors(address: str, path: Path) -> Iterator[None]:
    """Converts errors of SQLite and the operating system inside the block to `LedgerError`, with the original error as
    the cause. After any error other than `LedgerUnreachable`, nothing was written.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _from_sqlite(error, address, path) from error
    except OSError as error:
        raise _from_system(error, address, path) from error


def allowed(path: Path, mode: int) -> bool:
    """Returns whether the effective user of this process may access `path` with `mode` (`os.R_OK`, `os.W_OK`)."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _from_sqlite(error: sqlite3.Error, address: str, path: Path) -> LedgerError:
    extended = getattr(error, "sqlite_errorcode", None)
    if extended == sqlite3.SQLITE_TOOBIG:
        return too_large(address)
    code = sqlite3.SQLITE_ERROR if extended is None else extended & 0xFF
    if code == sqlite3.SQLITE_FULL or (extended in WRITING and _no_room(path.parent)):
        return _full(address, path, str(error))
    if code == sqlite3.SQLITE_CANTOPEN:
        return _cannot_open(address, path)
    kind, sentence = SENTENCES.get(code, (LedgerError, "the ledger {address} cannot be used: {path}: {error}"))
    return kind(sentence.format(address=address, path=path, error=error))


def _from_system(error: OSError, address: str, path: Path) -> LedgerError:
    if error.errno in NO_ROOM:
        return _full(address, path, str(error.strerror))
    if error.errno in NO_PERMISSION:
        return LedgerReadOnly(f"the ledger {address} cannot be created or opened here: {error.strerror}: {path}")
    return LedgerError(f"the ledger {address} cannot be used: {error.strerror}: {path}")


def _full(address: str, path: Path, why: str) -> LedgerFull:
    return LedgerFull(f"the ledger {address} has no room left to write: {path}: {why}. Nothing was written.")


def _cannot_open(address: str, path: Path) -> LedgerError:
    if path.is_dir():
        return LedgerError(f"the ledger {address} is a folder: {path}")
    if not allowed(path, os.R_OK):
        return LedgerError(f"the ledger {address} cannot be opened: permission denied: {path}")
    return LedgerError(f"the ledger {address} cannot be opened: {path}")


def _no_room(folder: Path) -> bool:
    """Returns whether writes to the folder fail for lack of space. SQLite reports a full quota or a size limit as a
    disk error.
    """
    probe = folder / f".{os.urandom(8).hex()}.probe"
    try:
        with probe.open("xb") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno in NO_ROOM
    finally:
        with suppress(OSError):
            probe.unlink()
    return False


def keep_private(path: Path) -> None:
    """Makes a file, its side files and, if it is reconciler's own state folder, the folder around them accessible only
    to their owner, whichever program created them. Files of other users are not changed.
    """
    modes = {path.with_name(path.name + end): 0o600 for end in ("", "-wal", "-shm")}
    if path.parent.name == STATE_FOLDER:
        modes[path.parent] = 0o700
    for each, mode in modes.items():
        with suppress(OSError):
            if each.stat().st_mode & 0o077:
                each.chmod(mode)


NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "fakeowner", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs",
    "nfs4", "ocfs2", "orangefs", "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs",
}  # fmt: skip
"""Types of file systems that several machines share. Locks and the write-ahead log do not work on them."""

MOUNTS = Path("/proc/self/mountinfo")
"""The file in which Linux lists mounts; proc(5) has its format."""


def check_file(path: Path, address: str, mounts: Path = MOUNTS) -> None:
    """Raises `LedgerError` if, as far as the system reports, other processes may use the file under another name or on
    another machine. They would use a different write-ahead log, and the two logs would contain different batches for
    the same position.
    """
    if not path.is_file():
        return  # opening the file raises the correct error
    _remove_drafts(path)
    names = path.stat().st_nlink
    whole = path.resolve()
    # Of two mounts at the same point, the newer one is on top.
    inside = [mount for mount in reversed(_mounts(mounts)) if whole.is_relative_to(mount[0])]
    point, kind = max(inside, key=lambda mount: len(mount[0].parts), default=(Path("/"), ""))
    if names > 1:
        why = f"has {names} names (hard links), each with a write-ahead log of its own. Remove the other names"
    elif point == whole:
        why = "is mounted alone, without the write-ahead log beside it. Mount its folder"
    elif kind in NETWORK or kind.startswith("fuse"):
        why = (
            f"is on a network file system ({kind}), where several machines would write it at once. Put it on a local "
            "disk, or use s3:// or dynamodb://"
        )
    else:
        return
    raise LedgerStoreInvalid(f"the ledger {address} cannot be used: {path} {why}")


def _mounts(mounts: Path) -> list[tuple[Path, str]]:
    """Returns each mount point with the type of its file system, oldest first. Returns nothing if the system has no
    such list."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    return [(Path(_unescaped(line.split()[4])), line.partition(" - ")[2].partition(" ")[0]) for line in lines]


def _unescaped(text: str) -> str:
    """Decodes a path from proc(5), in which white space and backslashes are written as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _remove_drafts(path: Path) -> None:
    """Removes other hard links to this file, left behind by a process that was killed while it created the ledger."""
    if path.stat().st_nlink > 1:
        for draft in path.parent.glob(f".{glob.escape(path.name)}.*.new"):
            with suppress(FileNotFoundError):
                if draft.samefile(path):
                    draft.unlink()


APPLICATION_ID = 0x52434E4C
"""``RCNL`` in the file's header marks it as a ledger (`PRAGMA application_id`)."""

FORMAT = 1
"""The version of the table, in the header (`PRAGMA user_version`). A higher version is refused."""

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
    """Returns a connection without implicit transactions. `mode` is the query of the URI, such as ``mode=rw``."""
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{mode}",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,  # `SqliteStore` uses a connection in one thread at a time
    )
    # A damaged or forged file could otherwise fill the memory.
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
    return connection


def check_identity(connection: sqlite3.Connection, address: str) -> None:
    """Raises `LedgerCorrupt` for a file that is empty or belongs to another program, `LedgerFormatNewer` for a newer
    table."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        what = "is empty or truncated" if empty else "is a SQLite database that belongs to another program"
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
    """Creates an empty ledger at `path`, with its folder, readable and writable only by its owner.

    If several processes do this at the same time, the first one creates the file and the others use it. Raises
    `OSError` and `sqlite3.Error`.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The file is linked to its name when it is complete, so that no process sees a partial ledger.
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}.new")
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
        os.fchmod(descriptor, 0o600)  # SQLite gives its side files the same mode, independent of the umask
    finally:
        os.close(descriptor)
    with closing(connect(draft, "mode=rw", 0)) as connection:
        # With a rollback journal, writes take four times as long (docs/adr/0015).
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(SCHEMA)


def _link(draft: Path, path: Path, address: str) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return  # another process was faster, so its ledger is used
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise
        raise LedgerError(
            f"the ledger {address} cannot be created in {path.parent}: this file system has no hard links. "
            "Put it on a local disk."
        ) from error


def _flush_folder(folder: Path) -> None:
    """Flushes the folder, so that the new name of the file is durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- reading a file that cannot be written ----------------------------------------------------------------------------

TRIES = 3
"""The maximum number of reads without locks. If the file changes during each of them, the read fails."""
READONLY_BUSY_SECONDS = 5.0

Result = TypeVar("Result")
Stamp = tuple[int, int, int]


def read_readonly(path: Path, address: str, query: Callable[[sqlite3.Connection], Result]) -> Result:
    """Returns the result of `query` on a file that this process cannot write, without creating side files.

    If the write-ahead log is empty, the file alone is the ledger, and it is read without locks. Because other processes
    may write to it in the meantime, the read is repeated if the file has changed. If the write-ahead log is not empty,
    the existing side files are used. Raises `LedgerReadOnly` if they cannot be used, `LedgerUnreachable` if the file
    kept changing.
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
    """Returns properties of the file that change with every write, or `None` if its write-ahead log is not empty."""
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        return None
    status = path.stat()
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _read_through(path: Path, address: str, query: Callable[[sqlite3.Connection], Result]) -> Result:
    try:
        with closing(connect(path, "mode=ro", READONLY_BUSY_SECONDS)) as connection:
            return query(connection)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
            raise
        raise LedgerReadOnly(
            f"the ledger {address} has writes in {path.name}-wal that are not merged yet and cannot be read from a "
            "read-only place: copy both files to a folder that can be written."
        ) from error
