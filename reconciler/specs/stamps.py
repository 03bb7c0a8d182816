"""Stamps files and folders, so that a later command can detect without reading any file that a project has not changed.

A stamp consists of the size, the modification time, the change time, the inode and the device. Every change of a file
sets its change time from the kernel's clock, and no program can set it back. An equal stamp therefore proves that the
file is unchanged, with three exceptions: the file changed a moment ago, because several changes may get the same clock
tick; the clock was set; or the file system is not certainly a local one, and its times may come from other machines.
"""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from reconciler.specs.processes import in_processes, processes_for

RACY_NS = 2_000_000_000
"""How long before the start of a command a file must have changed, in nanoseconds, for its stamp to be reliable."""

CLOCK_NS = 500_000_000
"""How far the wall clock and the monotonic clock may drift apart during a command."""

FIELDS = 5
BLOCK = 4096  # files whose stamps have one digest
INTEGER = 0x7FFF_FFFF_FFFF_FFFF  # inodes and devices have up to 64 bits
LOCAL = {
    "aufs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "overlay", "ramfs", "reiserfs",
    "rootfs", "tmpfs", "ubifs", "xfs", "zfs",
}  # fmt: skip
"""Types of file systems on which this machine's kernel sets the change time of every changed file. On all others, files
may be changed by another machine or by the host of a container, or may have no change time of their own (FAT)."""

OCTAL = 4  # characters of a backslash and three digits, as which proc(5) writes white space and backslashes in a path

Stamp = tuple[int, int, int, int, int]
_STAMP = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_dev")


def stamp_of(status: os.stat_result) -> Stamp:
    """Returns the stamp of a file or folder."""
    return (
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino & INTEGER,
        status.st_dev & INTEGER,
    )


class Start(NamedTuple):
    """The time at which a command started to read, on the wall clock and on the monotonic clock, in nanoseconds."""

    wall: int
    monotonic: int

    @classmethod
    def now(cls) -> Start:
        """Returns the time now."""
        return cls(time.time_ns(), time.monotonic_ns())

    def trusts(self, *changes: int) -> bool:
        """Returns whether changes at these times certainly happened before the start."""
        return max(changes) < self.wall - RACY_NS

    @property
    def clock_was_set(self) -> bool:
        """Whether the wall clock was set since the start."""
        return abs((time.time_ns() - self.wall) - (time.monotonic_ns() - self.monotonic)) > CLOCK_NS


class FoundFolder(NamedTuple):
    """A folder that was searched for files: its path relative to the project, the digest of its entries other than
    files that are read, and its inode and device, which show later whether another folder has taken its path."""

    path: str
    entries: str
    inode: tuple[int, int]


def stamps_of(root: str, paths: Iterable[str]) -> dict[str, Stamp]:
    """Returns the stamps of the files that can be found, which are none if the folder cannot be read. Symlinks are
    followed."""
    stamps: dict[str, Stamp] = {}
    try:
        descriptor = os.open(root, os.O_RDONLY)
    except OSError:
        return stamps
    try:
        for path in paths:
            with suppress(OSError):
                stamps[path] = _STAMP(os.stat(path, dir_fd=descriptor))
    finally:
        os.close(descriptor)
    return stamps


def inode_of(status: os.stat_result) -> tuple[int, int]:
    """Returns the inode and the device of a folder."""
    return status.st_ino & INTEGER, status.st_dev & INTEGER


def entries_digest(entries: Iterable[os.DirEntry[str]]) -> str:
    """Returns a digest of the names and types of the entries that are not hidden, and of the targets of symlinks."""
    lines = [f"{entry.name}\0{_type(entry)}" for entry in entries if not entry.name.startswith(".")]
    lines.sort()
    return blake2b("\n".join(lines).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _type(entry: os.DirEntry[str]) -> str:
    if entry.is_file(follow_symlinks=False):  # most entries are files, whose type one call returns
        return "f"
    if entry.is_symlink():
        return f"l{os.path.realpath(entry.path)}"
    return "d" if entry.is_dir(follow_symlinks=False) else "f"


class StampedFolder(NamedTuple):
    """A folder, and those of its files that were read. If the folder changed too recently, `stamp` is `None`, and only
    the entries are compared: `entries` is the digest of the other entries, as in `FoundFolder`."""

    path: str
    stamp: Stamp | None
    entries: str
    names: Sequence[str]


class StampedTree(NamedTuple):
    """The folders of a project, and the digest of the stamps of all their files."""

    folders: Sequence[StampedFolder]
    digest: str


def stamped_tree(root: str, folders: Sequence[FoundFolder], paths: Iterable[str], start: Start) -> StampedTree | None:
    """Returns the stamps of files that were read since `start`, or `None` if the stamps cannot prove that the files are
    still as they were read."""
    if start.clock_was_set or has_unreliable_times(root):
        return None
    names: dict[str, list[str]] = {folder.path: [] for folder in folders}
    for path in paths:
        folder, _, name = path.rpartition("/")
        names.setdefault(folder, []).append(name)
    found = {folder.path: folder for folder in folders}
    if names.keys() != found.keys():
        return None
    try:
        stamps = _stamps(root, names.items())
        statuses = {path: os.stat(os.path.join(root, path)) for path in names}
    except (OSError, OverflowError):
        return None
    if not start.trusts(stamps.newest) or any(inode_of(statuses[path]) != found[path].inode for path in found):
        return None
    stamped = [
        StampedFolder(
            path,
            stamp_of(status) if start.trusts(status.st_mtime_ns, status.st_ctime_ns) else None,
            found[path].entries,
            names[path],
        )
        for path, status in statuses.items()
    ]
    tree = StampedTree(stamped, stamps.digest)
    # Compared at the end, because entries may have changed since they were listed.
    return tree if all(_same_entries(root, folder) for folder in stamped) else None


def is_unchanged(root: str, tree: StampedTree) -> bool:
    """Returns whether the files and folders are unchanged since they were stamped."""
    try:
        for folder in tree.folders:
            if folder.stamp != stamp_of(os.stat(os.path.join(root, folder.path))) and not _same_entries(root, folder):
                return False
        return _stamps(root, ((folder.path, folder.names) for folder in tree.folders)).digest == tree.digest
    except (OSError, OverflowError):
        return False


class _Stamps(NamedTuple):
    """The digest of the stamps of many files, and the time of the newest change of any of them."""

    digest: str
    newest: int


_Block = tuple[str, Sequence[str]]  # a folder, and at most `BLOCK` names in it


def _stamps(root: str, folders: Iterable[_Block]) -> _Stamps:
    """Stamps the files in some folders, in several processes if there are many. Raises `OSError`."""
    blocks = [
        (os.path.join(root, path), names[at : at + BLOCK])
        for path, names in folders
        for at in range(0, len(names), BLOCK)
    ]
    processes = processes_for(sum(len(names) for _, names in blocks), 2 * BLOCK)
    size = max(1, -(-len(blocks) // processes))
    parts = [blocks[start : start + size] for start in range(0, len(blocks), size)]
    done = [each for part in in_processes(_stamped_blocks, parts) for each in part]
    digest = blake2b("".join(each.digest for each in done).encode(), digest_size=16).hexdigest()
    return _Stamps(digest, max((each.newest for each in done), default=0))


def _stamped_blocks(blocks: Sequence[_Block]) -> list[_Stamps]:
    return [_stamped_block(folder, names) for folder, names in blocks]


def _stamped_block(folder: str, names: Sequence[str]) -> _Stamps:
    """Stamps files in a folder. Symlinks are followed."""
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        # Each step is a function of C, because Python's own steps would take a quarter of the time.
        stamps = array("Q", chain.from_iterable(map(_STAMP, map(partial(os.stat, dir_fd=descriptor), names))))
    finally:
        os.close(descriptor)
    newest = max(map(max, (stamps[1::FIELDS], stamps[2::FIELDS])))
    return _Stamps(blake2b(stamps, digest_size=16).hexdigest(), newest)


def _same_entries(root: str, folder: StampedFolder) -> bool:
    # Files that are read have stamps, which show that they still exist.
    names = frozenset(folder.names)
    with os.scandir(os.path.join(root, folder.path)) as entries:
        others = [each for each in entries if each.name not in names or not each.is_file(follow_symlinks=False)]
    return entries_digest(others) == folder.entries


def has_unreliable_times(root: str, mounts: str = "/proc/self/mountinfo") -> bool:
    """Returns whether a folder or a mount inside it is on a file system that is not certainly local, according to
    Linux's list of mounts (proc(5)). On a system without this list, all file systems count as local."""
    inside, best, kinds = (os.path.realpath(root) + "/").replace("//", "/"), "", dict[str, str]()
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                point, _, rest = line.split(" ", 4)[4].partition(" ")
                folder = _unescaped(point).rstrip("/") + "/"
                if inside.startswith(folder):
                    best = max(best, folder, key=len)
                elif not folder.startswith(inside):
                    continue
                # Of two mounts at the same point, the later line is on top.
                kinds[folder] = rest.partition(" - ")[2].partition(" ")[0]
    except OSError:
        return False
    return any(kind not in LOCAL for folder, kind in kinds.items() if folder == best or folder.startswith(inside))


def _unescaped(path: str) -> str:
    first, *parts = path.split("\\")
    return first + "".join(chr(int(part[: OCTAL - 1], 8)) + part[OCTAL - 1 :] for part in parts)
