"""Tests the cache folder of the user: it is private, bounded and atomic, and never causes an error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.specs import private_cache
from reconciler.specs.private_cache import PrivateCache, code_version


@pytest.fixture
def cache(tmp_path: Path) -> PrivateCache:
    """Returns the cache of a user with a cache folder."""
    return PrivateCache({"XDG_CACHE_HOME": str(tmp_path)})


def file(tmp_path: Path, name: str = "name") -> Path:
    """Returns the path of an entry."""
    return tmp_path / "reconciler" / name


def flip(path: Path) -> None:
    """Flips one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def link(path: Path) -> None:
    """Replaces a file with a symlink to it."""
    path.rename(path.with_name("target"))
    path.symlink_to("target")


def pipe(path: Path) -> None:
    """Replaces a file with a pipe."""
    path.unlink()
    os.mkfifo(path, 0o600)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut short": lambda path: os.truncate(path, 40),
    "empty": lambda path: os.truncate(path, 0),
    "a flipped bit": flip,
    "readable by others": lambda path: path.chmod(0o644),
    "writable by the group": lambda path: path.chmod(0o660),
    "a folder that others can enter": lambda path: path.parent.chmod(0o755),
    "a symlink": link,
    "a pipe": pipe,
    "gone": Path.unlink,
}


def test_what_was_written_is_read_and_private(cache: PrivateCache, tmp_path: Path):
    """No other user can read an entry or its folder."""
    cache.write("name", b"content")
    assert cache.read("name") == b"content"
    assert file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert file(tmp_path).parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_or_foreign_entry_counts_as_missing(
    cache: PrivateCache, tmp_path: Path, damage: Callable[[Path], object]
):
    """An entry with any kind of damage is treated as missing."""
    cache.write("name", b"content " * 10)
    damage(file(tmp_path))
    assert cache.read("name") is None


def test_an_entry_of_another_user_counts_as_missing(cache: PrivateCache, monkeypatch: pytest.MonkeyPatch):
    """A folder that belongs to another user is neither read nor written, as with sudo and another user's home."""
    cache.write("name", b"content")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert cache.read("name") is None
    cache.write("name", b"other")
    monkeypatch.undo()
    assert cache.read("name") == b"content"


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative"}, {"XDG_CACHE_HOME": "/dev/null"}])
def test_without_a_usable_folder_nothing_is_remembered(environ: dict[str, str]):
    """A missing or read-only home folder is not an error."""
    cache = PrivateCache(environ)
    cache.write("name", b"content")
    assert cache.read("name") is None


def test_a_full_disk_leaves_no_draft(cache: PrivateCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """If an entry cannot be moved to its final name, its temporary file is removed."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    cache.write("name", b"content")
    assert list(file(tmp_path).parent.iterdir()) == []


def test_writers_at_the_same_time_leave_a_whole_entry(cache: PrivateCache):
    """A reader gets the content of one writer and never a mixture."""
    contents = [bytes([number]) * 50_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: cache.write("name", content), contents))
        assert {cache.read("name") for _ in range(20)} <= set(contents)


def test_the_oldest_entries_make_room(cache: PrivateCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The number and the size of all entries are bounded."""
    monkeypatch.setattr(private_cache, "MOST_FILES", 3)
    for number in range(6):
        cache.write(f"entry-{number}", b"content")
        os.utime(file(tmp_path, f"entry-{number}"), (number, number))
    assert sorted(path.name for path in file(tmp_path).parent.iterdir()) == ["entry-3", "entry-4", "entry-5"]
    monkeypatch.setattr(private_cache, "MOST_BYTES", 100)
    cache.write("larger", b"x" * 80)
    assert [path.name for path in file(tmp_path).parent.iterdir()] == ["larger"]
    cache.write("too-large", b"x" * 101)
    assert cache.read("too-large") is None


def test_another_installation_has_another_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Entries of another version of the program, of Python or of a library are not used."""
    # Processes that measure coverage write files into the checkout, which is in the path of the tests.
    monkeypatch.setattr(sys, "path", ["", str(tmp_path)])
    code_version.cache_clear()
    version = code_version()
    for name, value in (("version", "3.99"), ("path", ["", "/usr"])):
        code_version.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(sys, name, value)
            assert code_version() != version
    code_version.cache_clear()
    assert code_version() == version
    code_version.cache_clear()  # later tests need the version with the usual path
