"""What SQLite and the operating system say, in the words of the ledger's errors."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from reconciler.errors import (
    LedgerCorrupt,
    LedgerError,
    LedgerFull,
    LedgerReadOnly,
    LedgerUnreachable,
)

BUSY = (LedgerUnreachable, "the ledger {address} is busy: another process holds it ({error}).")
SILENT = (LedgerUnreachable, "the ledger {address} did not answer: {path}: {error}.")
NOT_ALLOWED = (LedgerReadOnly, "the ledger {address} can be read here and not written: {path} ({error})")
DAMAGED = (
    LedgerCorrupt,
    "the ledger {address} cannot be read: {path} is damaged or is no SQLite database ({error}). "
    "Nothing was changed. Restore it from a copy.",
)

SENTENCES: dict[int, tuple[type[LedgerError], str]] = {
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_PROTOCOL: BUSY,
    sqlite3.SQLITE_IOERR: SILENT,
    sqlite3.SQLITE_READONLY: NOT_ALLOWED,
    sqlite3.SQLITE_PERM: NOT_ALLOWED,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
    sqlite3.SQLITE_ERROR: DAMAGED,  # such as a missing table, in a file that bears our mark
}
"""By SQLite's primary result code: which error it is, and its sentence."""

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}

WRITING = {sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}
"""Codes of writes that failed before anything counted. A failed flush is not among them: it may have been in time."""

PROBE_BYTES = 1 << 17
"""More than SQLite needs at once for a usual batch and the pages around it."""


@contextmanager
def translated(address: str, path: Path) -> Iterator[None]:
    """Raises the `LedgerError` that a foreign error inside the block stands for, with the cause kept.

    Where nothing was written for certain it is anything but `LedgerUnreachable`.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _from_sqlite(error, address, path) from error
    except OSError as error:
        raise _from_system(error, address, path) from error


def allowed(path: Path, mode: int) -> bool:
    """Whether this process may use `path` as `mode` says (`os.R_OK`, `os.W_OK`), as the user it acts as."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _from_sqlite(error: sqlite3.Error, address: str, path: Path) -> LedgerError:
    extended = getattr(error, "sqlite_errorcode", None)
    code = sqlite3.SQLITE_ERROR if extended is None else extended & 0xFF
    if code == sqlite3.SQLITE_FULL or (extended in WRITING and _no_room(path.parent)):
        return _full(address, path, str(error))
    if code == sqlite3.SQLITE_CANTOPEN:
        return _cannot_open(address, path)
    found, sentence = SENTENCES.get(code, (LedgerError, "the ledger {address} cannot be used: {path}: {error}"))
    return found(sentence.format(address=address, path=path, error=error))


def _from_system(error: OSError, address: str, path: Path) -> LedgerError:
    if error.errno in NO_ROOM:
        return _full(address, path, str(error.strerror))
    if error.errno in NO_PERMISSION:
        return LedgerReadOnly(f"the ledger {address} cannot be made or reached here: {error.strerror}: {path}")
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
    """Whether writing fails here for want of room: a quota or a size limit looks like a broken disk to SQLite."""
    probe = folder / f".{token_hex(8)}.probe"
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
