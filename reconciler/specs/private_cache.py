"""Private files in the user's cache folder. They can be deleted at any time, and are created again if they are damaged.

The cache is not in the project folder, because anyone who clones a project would then trust cached files that another
user wrote. The cache folder is used only if it belongs to the user and no other user can read or write it.
"""

import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path

FOLDER = "reconciler"
MOST_BYTES = 256 * 1024 * 1024  # the maximum size of one file, and of all files after a write
MOST_FILES = 200
CHECK = 32  # hex digits


@cache
def code_version() -> str:
    """Returns a digest of everything that determines the results of this program: its source files, the version of
    Python, the folders that libraries are imported from, and the time zones of the system. Every installation changes
    this digest."""
    package = Path(__file__).parents[1]
    parts = [sys.version, sys.executable]
    # The first entry is the folder of the script. An update of the time zones may move slots.
    for folder in (*sys.path[1:], "/usr/share/zoneinfo"):
        with suppress(OSError):
            status = os.stat(folder)
            parts.append(f"{folder} {status.st_mtime_ns} {status.st_ino}")
    for folder, folders, files in os.walk(package):
        folders[:] = [name for name in sorted(folders) if name != "__pycache__"]
        for name in sorted(files):
            status = os.stat(os.path.join(folder, name))
            parts.append(f"{folder}/{name} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}")
    return digest("\n".join(parts))


def digest(text: str) -> str:
    """Returns a digest of a text, in a form that can be part of a file name."""
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=CHECK // 2).hexdigest()


class PrivateCache:
    """The user's cache folder. No failure raises an error. Instead, a read returns nothing, and a write has no
    effect."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        chosen = environ.get("XDG_CACHE_HOME", "")
        home = environ.get("HOME", "")
        above = chosen if os.path.isabs(chosen) else os.path.join(home, ".cache") if os.path.isabs(home) else ""
        self._folder = os.path.join(above, FOLDER) if above else None

    def read(self, name: str) -> bytes | None:
        """Returns the content that was written under a name, or `None` if there is no such file or its content has
        changed."""
        if self._folder is None or not _is_private(self._folder):
            return None
        try:
            descriptor = os.open(os.path.join(self._folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not (stat.S_ISREG(status.st_mode) and _is_own(status) and status.st_size <= MOST_BYTES):
                return None
            with suppress(OSError, MemoryError):
                check, content = file.read(CHECK), file.read()
                return content if check == _check(content) else None
        return None

    def write(self, name: str, content: bytes) -> None:
        """Writes a file atomically, and removes the oldest files if there are too many files or they are too large."""
        if self._folder is None or len(content) > MOST_BYTES:
            return
        draft = os.path.join(self._folder, f".{name}.{os.urandom(8).hex()}")
        with suppress(OSError):
            os.makedirs(self._folder, 0o700, exist_ok=True)
            if not _is_private(self._folder):
                return
            # Before the write, so that the folder never exceeds its limits.
            self._remove_old(len(content))
            try:
                descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
                with open(descriptor, "wb") as file:
                    file.write(_check(content) + content)
                os.replace(draft, os.path.join(self._folder, name))
            except OSError:
                os.unlink(draft)

    def _remove_old(self, room: int) -> None:
        with os.scandir(self._folder or "") as entries:
            files = [(entry.stat(follow_symlinks=False), entry.path) for entry in entries]
        newest_first = sorted(files, key=lambda each: each[0].st_mtime_ns, reverse=True)
        total = room
        for number, (status, path) in enumerate(newest_first, start=1):
            total += status.st_size
            if number >= MOST_FILES or total > MOST_BYTES:
                with suppress(OSError):
                    os.unlink(path)


def _check(content: bytes) -> bytes:
    return blake2b(content, digest_size=CHECK // 2).hexdigest().encode("ascii")


def _is_own(status: os.stat_result) -> bool:
    """Returns whether only this user can use a file or folder."""
    return status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _is_private(path: str) -> bool:
    """Returns whether a path is a folder, and not a symlink, that only this user can use."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and _is_own(status)
