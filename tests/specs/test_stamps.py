"""Tests that stamps change with every change of a file or folder. They are reliable only if they are old enough and
from a local file system."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import pytest

from reconciler.specs import stamps
from reconciler.specs.file_patterns import patterns
from reconciler.specs.files import find_files
from reconciler.specs.stamps import (
    FoundFolder,
    StampedTree,
    Start,
    has_unreliable_times,
    is_unchanged,
    stamp_of,
    stamped_tree,
)


@pytest.fixture(autouse=True)
def _no_racy_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treats recent stamps as reliable, because the files of these tests are only milliseconds old."""
    monkeypatch.setattr(stamps, "RACY_NS", 0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with files at two levels."""
    (tmp_path / "sub").mkdir()
    for name in ("a.yaml", "b.yaml", "sub/c.yaml"):
        (tmp_path / name).write_text(f"content of {name[-6]}")
    return tmp_path


def stamped(root: Path, start: Start | None = None) -> StampedTree | None:
    """Lists all YAML files as the reader does, and stamps them."""
    folders: list[FoundFolder] = []
    begun = start or Start.now()
    paths, _ = find_files(root, patterns(["**/*.yaml"]), folders)
    return stamped_tree(str(root), folders, paths, begun)


def test_a_block_of_stamps_has_the_stamp_of_each_file(root: Path):
    """The digest is computed from all stamps, sorted by name."""
    names = ["b.yaml", "a.yaml", "sub/c.yaml"]
    expected = array("q", [number for name in names for number in stamp_of((root / name).stat())])
    assert stamps._stamped_block(str(root), names).digest == blake2b(expected, digest_size=16).hexdigest()
    found = stamps.stamps_of(str(root), [*names, "missing.yaml"])
    assert found == {name: stamp_of((root / name).stat()) for name in names}


def swap(root: Path) -> None:
    """Swaps the names of two files."""
    (root / "a.yaml").rename(root / "x")
    (root / "b.yaml").rename(root / "a.yaml")
    (root / "x").rename(root / "b.yaml")


def edit_secretly(root: Path) -> None:
    """Changes one letter and restores the modification time."""
    path = root / "sub/c.yaml"
    before = path.stat()
    path.write_text("Content of c")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_by_folder(root: Path) -> None:
    """Replaces a file that is not a spec with a folder of the same name that contains a spec."""
    (root / "notes").unlink()
    (root / "notes").mkdir()
    (root / "notes/d.yaml").write_text("d")


def replace_by_symlink(root: Path) -> None:
    """Replaces a file by a symlink to it at another place."""
    (root / "a.yaml").rename(root / ".a")
    (root / "a.yaml").symlink_to(".a")


CHANGES: dict[str, Callable[[Path], object]] = {
    "edited with its time restored": edit_secretly,
    "two files swapped": swap,
    "added": lambda root: (root / "sub/d.yaml").write_text("d"),
    "removed": lambda root: (root / "a.yaml").unlink(),
    "renamed": lambda root: (root / "a.yaml").rename(root / "A.yaml"),
    "moved": lambda root: (root / "a.yaml").rename(root / "sub/a.yaml"),
    "replaced by a copy": lambda root: os.replace(root / "copy", root / "a.yaml"),
    "a file that became a folder": replace_by_folder,
    "a file that became a symlink": replace_by_symlink,
    "a folder that was removed": lambda root: (root / "sub").rename(root / ".sub"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_noticed(root: Path, change: Callable[[Path], object]):
    """The stamps of files that were edited, swapped, added, removed or moved no longer match."""
    (root / "notes").write_text("no spec")
    (root / "copy").write_bytes((root / "a.yaml").read_bytes())
    tree = stamped(root)
    assert tree is not None
    assert is_unchanged(str(root), tree)
    change(root)
    assert not is_unchanged(str(root), tree)


def test_other_files_in_a_folder_change_nothing(root: Path):
    """A hidden file that is created and deleted changes the time of its folder but not the specs in it."""
    tree = stamped(root)
    assert tree is not None
    (root / ".ledger-wal").write_text("")
    assert is_unchanged(str(root), tree)


def test_a_symlink_that_leads_elsewhere_is_noticed(root: Path):
    """The stamp describes the file to which the symlink points."""
    (root / "link.yaml").symlink_to("a.yaml")
    tree = stamped(root)
    assert tree is not None
    (root / "link.yaml").unlink()
    (root / "link.yaml").symlink_to("b.yaml")
    assert not is_unchanged(str(root), tree)


def replace_folder(root: Path) -> None:
    """Renames a folder, and another folder with files of the same names to its place."""
    (root / "sub").rename(root / ".old")
    (root / ".new").rename(root / "sub")


def replace_link(root: Path) -> None:
    """Replaces a symlink by one to another file."""
    (root / "link.yaml").unlink()
    (root / "link.yaml").symlink_to("b.yaml")


def replace_folder_of_link(root: Path) -> None:
    """Replaces a symlink in a hidden folder, to which another symlink leads."""
    (root / ".now").unlink()
    (root / ".now").symlink_to(".new")


@pytest.mark.parametrize("replace", [replace_folder, replace_link, replace_folder_of_link])
def test_files_that_take_the_place_of_others_while_they_are_read_are_not_stamped(
    root: Path, replace: Callable[[Path], None]
):
    """If a folder or the target of a symlink is replaced after the search for files, the stamps are those of files that
    may not have been read. These files may be old."""
    (root / ".new").mkdir()
    (root / ".new/c.yaml").write_text("another c")
    (root / ".now").symlink_to("sub")
    (root / "linked").symlink_to(".now")
    (root / "link.yaml").symlink_to("a.yaml")
    start, folders = Start.now(), list[FoundFolder]()
    paths, problems = find_files(root, patterns(["**/*.yaml"]), folders)
    replace(root)

    assert not problems
    assert stamped_tree(str(root), folders, paths, start) is None


def test_a_young_file_is_no_proof(root: Path, monkeypatch: pytest.MonkeyPatch):
    """A change less than two seconds before the start, or after it, may be followed by another change that leaves the
    stamp the same."""
    start = Start.now()
    monkeypatch.setattr(stamps, "RACY_NS", 2_000_000_000)
    assert stamped(root, start) is None
    later = Start(start.wall + 3_000_000_000, start.monotonic)
    assert later.trusts(start.wall)
    monkeypatch.setattr(stamps, "CLOCK_NS", 10_000_000_000)
    assert stamped(root, later) is not None


def test_a_file_from_the_future_is_no_proof(root: Path):
    """If the time of a file is after the start, another clock was used to write it."""
    os.utime(root / "a.yaml", (4e9, 4e9))
    assert stamped(root) is None


def test_stamps_are_no_proof_while_the_clock_is_set(root: Path):
    """If the clock was set after the start, a change may get the same time as an earlier one."""
    now = Start.now()
    assert stamped(root, Start(now.wall + 60_000_000_000, now.monotonic)) is None


def test_a_file_that_appears_while_files_are_read_is_noticed(root: Path):
    """The folder must have the same content as when its files were listed."""
    folders: list[FoundFolder] = []
    start = Start.now()
    paths, _ = find_files(root, patterns(["**/*.yaml"]), folders)
    (root / "sub/d.yaml").write_text("d")
    assert stamped_tree(str(root), folders, paths, start) is None


@pytest.mark.parametrize(
    ("kind", "unreliable"),
    [("ext4", False), ("nfs4", True), ("fuse.sshfs", True), ("vfat", True), ("fakeowner", True), ("new-fs", True)],
)
def test_file_systems_that_are_not_certainly_local_are_no_proof(tmp_path: Path, kind: str, unreliable: bool):
    """On these file systems, times may come from the clock of another machine. The type counts of the mount that has
    the project, and of mounts in the project."""
    mounts, project = tmp_path / "mountinfo", tmp_path / "my projects/jobs"
    other = "3 1 8:3 / /elsewhere rw - nfs host:/ rw\n"
    for above in (str(tmp_path), str(tmp_path / "my projects"), str(project / "sub folder"), str(project)):
        point = above.replace(" ", r"\040")
        mounts.write_text(
            f"1 1 8:1 / / rw - xfs /dev/sda rw\n2 1 8:2 / {point} rw shared:1 - {kind} host:/ rw\n{other}"
        )
        assert has_unreliable_times(str(project), str(mounts)) is unreliable
        mounts.write_text(f"{mounts.read_text()}4 1 8:4 / {point} rw - ext4 /dev/sdb rw\n")
        assert not has_unreliable_times(str(project), str(mounts))
