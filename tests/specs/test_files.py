"""Tests how the files of a project are listed and read."""

import os
import socket
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest

from reconciler.errors import ReconcilerError, UsageError
from reconciler.specs.file_patterns import expanded, matches, may_hold, patterns
from reconciler.specs.files import MOST_BYTES
from reconciler.specs.project import find_root
from reconciler.specs.stamps import stamps_of
from tests.campaigns import in_one_test
from tests.specs.builders import PROJECT, batch, load, problems, write

NOBODY = 65534


@contextmanager
def as_somebody_else():
    """Runs tests about permissions as the user nobody if possible, because permissions do not restrict root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_root():
    """A folder that every user can access, unlike pytest's folders."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@in_one_test(
    ("pattern", "path", "expected"),
    [
        ("**/*.{yaml,yml,json}", "a.yaml", True),
        ("**/*.{yaml,yml,json}", "a/b/c.json", True),
        ("**/*.{yaml,yml,json}", "a.yam", False),
        ("jobs/*.yaml", "jobs/a.yaml", True),
        ("./jobs/*.yaml", "jobs/a.yaml", True),
        ("jobs/*.yaml", "jobs/b/a.yaml", False),
        ("jobs/**/a.yaml", "jobs/a.yaml", True),
        ("{a,b/{c,d}}/?.y[a]ml", "b/d/x.yaml", True),
        ("{a,b}/x.yaml", "c/x.yaml", False),
        ("[ab].yaml", "c.yaml", False),
    ],
)
def test_patterns(pattern, path, expected):
    """Stars, question marks, sets, `**` and alternatives match files as in a shell."""
    assert expected == any(matches(segments, tuple(path.split("/"))) for segments in expanded(pattern))


FOLDERS = [(), ("a",), ("a", "b")]
SELECTIONS = ("*.y", "**/*.y", "a/*", "a/**", "**", "a/**/x.y", "**/b/*", "a", "{a/*,x}.y")


@in_one_test(("included", "excluded"), product(SELECTIONS, ["", *SELECTIONS]))
def test_a_folder_selects_the_files_that_the_patterns_match(included, excluded):
    """For a single folder, comparing only file names with the patterns selects the same files as comparing whole
    paths."""
    chosen = patterns([included, *(["!" + excluded] if excluded else [])])
    for folder in FOLDERS:
        selects = chosen.in_folder(folder)
        for name in ("a", "b", "x.y", "a.y"):
            assert selects(name) == chosen.match((*folder, name))


@in_one_test(
    ("pattern", "folder", "expected"),
    [
        ("**/*.yaml", "a/b", True),
        ("jobs/*.yaml", "jobs", True),
        ("jobs/*.yaml", "other", False),
        ("jobs/*.yaml", "jobs/deep", False),
        ("jobs/**/x/*.yaml", "jobs/deep", True),
        ("*.yaml", "a", False),
    ],
)
def test_folders_that_cannot_hold_a_match_are_not_read(pattern, folder, expected):
    """Only folders that can contain a match are searched."""
    assert expected == any(may_hold(segments, tuple(folder.split("/"))) for segments in expanded(pattern))


@in_one_test("pattern", ["", "/a", "../a", "a/../b", "a/", "{a,}", "{a,b}" * 20])
def test_invalid_patterns(pattern):
    """A pattern is invalid if it is absolute, leaves the project, can match no file, or expands to thousands."""
    with pytest.raises(ValueError, match="pattern"):
        expanded(pattern)


def test_hidden_files_and_the_project_file_are_skipped(tmp_path):
    """Hidden files and reconciler.yaml in the project folder are not specs."""
    files = {".a.yaml": "x", ".b/c.yaml": "x", "d/.e/f.yaml": "x", "notes.txt": "x", "g.yml": batch("g")}
    assert ["g"] == list(load(write(tmp_path, files)).specs["local"])


def test_a_project_file_in_a_subfolder_is_an_error(tmp_path):
    """A project within a project is an error."""
    (line,) = problems(write(tmp_path, {"sub/reconciler.yaml": PROJECT}))
    assert line.startswith("sub/reconciler.yaml:2:7: kind: a Project is allowed only in reconciler.yaml")


def test_symlinks_inside_the_project_are_followed(tmp_path):
    """A symlink to a file or folder of the project is read as its target."""
    root = write(tmp_path, {".versions/2/a.yaml": batch("a"), ".versions/2/deep/b.yaml": batch("b")})
    (root / "a.yaml").symlink_to(".versions/2/a.yaml")
    (root / "deep").symlink_to(".versions/2/deep")
    assert ["a", "b"] == list(load(root).specs["local"])
    assert 1 == load(root, only_paths=[root / "deep" / "b.yaml"]).count


def test_symlinks_out_of_the_project_are_errors(tmp_path):
    """Symlinks to files or folders outside the project are errors and are not read."""
    write(tmp_path / "other", {"x.yaml": batch("x")})
    root = write(tmp_path / "project", {"a.yaml": batch("a")})
    (root / "b.yaml").symlink_to(tmp_path / "other" / "x.yaml")
    (root / "c").symlink_to(tmp_path / "other")
    (root / "d.txt").symlink_to(tmp_path / "other" / "x.yaml")
    (root / "e.yaml").symlink_to("nowhere.yaml")
    (root / "f").symlink_to(".")
    assert [
        "b.yaml:1:1: symlink out of the project: its target is not part of the review",
        "c:1:1: symlink out of the project: its target is not part of the review",
        "e.yaml:1:1: broken symlink",
        "f:1:1: symlink to a folder that contains it",
    ] == problems(root)


def test_a_pipe_is_an_error(tmp_path):
    """A pipe is refused without waiting for a writer."""
    root = write(tmp_path)
    os.mkfifo(root / "a.yaml")
    assert ["a.yaml:1:1: not a regular file"] == problems(root)


def test_unreadable_files_and_folders_are_errors(open_root):
    """A file or folder without permission is an error, never ignored."""
    root = write(open_root, {"a.yaml": batch("a"), "b/c.yaml": batch("c")})
    (root / "a.yaml").chmod(0)
    (root / "b").chmod(0)
    with as_somebody_else():
        lines = problems(root)
    (root / "b").chmod(0o755)
    assert [
        "a.yaml:1:1: cannot read this file: permission denied",
        "b:1:1: cannot read this folder: permission denied",
    ] == lines


def test_a_project_folder_without_permission_is_an_error(open_root):
    """The message is about the permission, and not about a missing project. No command raises another error."""
    root = write(open_root / "specs", {"a.yaml": batch("a")})
    root.chmod(0)
    with as_somebody_else():
        for chosen, cwd in ((None, open_root), (root, open_root), (None, root)):
            with pytest.raises(ReconcilerError, match=r"^the folder .*specs cannot be read: permission denied$"):
                find_root(chosen, cwd)
        assert stamps_of(str(root), ["a.yaml"]) == {}
    root.chmod(0o755)


def test_files_left_out_only_because_of_their_spelling_are_warnings(tmp_path):
    """A spec in such a file would otherwise never run, without any message."""
    names = ("A.YAML", "b.yaml ", "sub/C.Yml", "notes.txt", "d.yaml.orig", ".E.YAML")
    root = write(tmp_path, {"f.yaml": batch("f"), **{name: batch("x") for name in names}})
    start = "this file is not read: no pattern in spec.specs of reconciler.yaml matches its name. Rename it to"
    assert [
        f"A.YAML:1:1: {start} a.yaml, or exclude it with !A.YAML",
        f"b.yaml :1:1: {start} b.yaml, or exclude it with !b.yaml ",
        f"sub/C.Yml:1:1: {start} c.yml, or exclude it with !sub/C.Yml",
    ] == [str(warning) for warning in load(root).warnings]
    (root / "reconciler.yaml").write_text(PROJECT.replace("spec:", 'spec:\n  specs: ["!A.YAML", "!b.yaml ", "!sub"]'))
    assert not load(root).warnings


def test_a_given_file_that_no_pattern_matches_is_a_warning(tmp_path):
    """Otherwise, `0 specs valid` would look as if the file was checked. The project file and folders may be given."""
    root = write(tmp_path, {"f.yaml": batch("f"), "README.md": "text"})
    given = [root / name for name in ("README.md", "f.yaml", "reconciler.yaml", ".")]
    message = "this file is not read: no pattern in spec.specs of reconciler.yaml matches its name"
    assert [f"README.md:1:1: {message}"] == [str(warning) for warning in load(root, only_paths=given).warnings]


def test_a_file_of_more_than_1_mib_is_an_error(tmp_path):
    """A file larger than 1 MiB is an error."""
    text = batch("a")
    files = {"a.yaml": text + "#" * (MOST_BYTES - len(text)), "b.yaml": "#" * (MOST_BYTES + 1)}
    assert ["b.yaml:1:1: larger than 1 MiB: split the file"] == problems(write(tmp_path, files))


ENCODINGS = {
    "latin-1": (b"a: b\n\xc3\xa9c: \xe9\n", "2:5"),
    "utf-16": (batch().encode("utf-16"), "1:1"),
    "utf-16 without mark": (batch().encode("utf-16-le"), "1:2"),
    "surrogate": (b"a: \xed\xa0\x80\n", "1:4"),
}


@pytest.mark.parametrize(("content", "location"), ENCODINGS.values(), ids=ENCODINGS)
def test_other_encodings_are_errors(tmp_path, content, location):
    """A file that is not UTF-8 is an error at the first wrong byte."""
    (line,) = problems(write(tmp_path, {"a.yaml": content}))
    assert line.startswith(f"a.yaml:{location}: ")


def test_a_byte_order_mark_is_skipped(tmp_path):
    """A byte order mark, as editors on Windows write it, is skipped, and columns are counted after it."""
    assert 1 == load(write(tmp_path, {"a.yaml": b"\xef\xbb\xbf" + batch().encode()})).count
    (line,) = problems(write(tmp_path, {"a.yaml": b"\xef\xbb\xbfa: 1\n"}))
    assert line.startswith("a.yaml:1:1: ")


@pytest.mark.parametrize("name", [b"a\xff.yaml", b"a\nb.yaml", b"a\x1b[31m.yaml"])
def test_file_names_that_cannot_be_printed_are_errors(tmp_path, name):
    """A file name with control characters or invalid bytes is an error."""
    root = write(tmp_path)
    try:
        (root / os.fsdecode(name)).write_text(batch())
    except OSError:
        pytest.skip("this file system has no such names")
    (line,) = problems(root)
    assert line.endswith(": the file name contains characters that cannot be printed")
    assert line.isprintable()


def test_a_missing_project_file_is_explained(tmp_path):
    """A file instead of the folder, another extension, and a folder below the project each have their own message."""
    below = tmp_path / "jobs"
    below.mkdir()
    (tmp_path / "reconciler.yml").write_text("")
    with pytest.raises(UsageError, match=r"is called reconciler\.yaml: rename reconciler\.yml"):
        find_root(None, tmp_path)
    (tmp_path / "reconciler.yml").rename(tmp_path / "reconciler.yaml")
    with pytest.raises(UsageError, match=r"no reconciler\.yaml here, but in .*: name the project folder, -C "):
        find_root(None, below)
    with pytest.raises(UsageError, match=r"-C takes the project folder, not a file: -C \.\."):
        find_root(type(below)("../reconciler.yaml"), below)


def test_the_project_folder(tmp_path):
    """The project folder is the given folder; by default, it is the current folder or ./specs."""
    here = write(tmp_path / "here")
    above = tmp_path / "above"
    below = write(above / "specs")
    assert here == find_root(None, here)
    assert below == find_root(None, above)
    assert here == find_root(here, above)
    assert below.samefile(find_root(type(above)("../above/specs"), here))


def test_no_project_folder(tmp_path):
    """Without a project file, the error explains how to select or start a project."""
    with pytest.raises(UsageError, match="reconciler init"):
        find_root(None, tmp_path)
    with pytest.raises(UsageError, match=r"no reconciler\.yaml in .*nowhere"):
        find_root(tmp_path / "nowhere", tmp_path)


def swapped(path: Path, make: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces a file after it was listed, just before it is opened."""
    real_open = os.open

    def opening(asked, flags, *more, **options):
        if Path(asked) == path:
            monkeypatch.undo()
            path.unlink()
            make(path)
        return real_open(asked, flags, *more, **options)

    monkeypatch.setattr(os, "open", opening)


def listen(path: Path) -> None:
    """Creates a socket as a file. Its path must be short."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


SWAPS = {
    "a link out of the project": (
        lambda path: path.symlink_to("/etc/hostname"),
        "symlink out of the project: its target is not part of the review",
    ),
    "a link to memory": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    "a pipe": (os.mkfifo, "not a regular file"),
    "a folder": (lambda path: path.mkdir(), "not a regular file"),
    "nothing": (lambda _: None, "cannot read this file: no such file or directory"),
    "a link to itself": (
        lambda path: path.symlink_to(path.name),
        "cannot read this file: too many levels of symbolic links",
    ),
}


@pytest.mark.parametrize(("make", "message"), SWAPS.values(), ids=SWAPS)
def test_a_file_replaced_before_opening_is_checked_again(tmp_path, monkeypatch, make, message):
    """If a file is replaced between listing and opening, the file that was opened is checked."""
    root = write(tmp_path, {"a.yaml": batch("a")})
    swapped(root / "a.yaml", make, monkeypatch)
    assert [f"a.yaml:1:1: {message}"] == problems(root)


def test_a_folder_replaced_by_a_symlink_is_not_followed(tmp_path, monkeypatch):
    """If a folder on the path is replaced with a symlink out of the project, the symlink is not followed."""
    other = write(tmp_path / "other", {"a.yaml": batch("stolen")})
    root = write(tmp_path / "project", {"jobs/a.yaml": batch("a")})
    path = root / "jobs" / "a.yaml"

    def elsewhere(_: Path) -> None:
        path.parent.rmdir()
        path.parent.symlink_to(other)

    swapped(path, elsewhere, monkeypatch)
    assert ["jobs/a.yaml:1:1: symlink out of the project: its target is not part of the review"] == problems(root)


def test_replaced_files_are_noticed_without_proc(tmp_path, monkeypatch):
    """Without /proc, the symlinks in the path and the identity of the file are checked."""
    monkeypatch.setattr(os, "readlink", lambda _: (_ for _ in ()).throw(OSError()))
    root = write(tmp_path, {"a.yaml": batch("a")})
    assert 1 == load(root).count
    swapped(root / "a.yaml", lambda path: path.symlink_to("/etc/hostname"), monkeypatch)
    assert ["a.yaml:1:1: symlink out of the project: its target is not part of the review"] == problems(root)


@pytest.mark.parametrize("make", [os.mkfifo, listen], ids=["pipe", "socket"])
def test_devices_and_sockets_are_never_opened(tmp_path, monkeypatch, make):
    """Devices and sockets, also behind symlinks, are refused without being opened."""
    root = write(tmp_path)
    monkeypatch.chdir(root)
    make(root / "a.yaml")
    (root / "b.yaml").symlink_to("a.yaml")
    opened: list[Path] = []
    real_open = os.open

    def opening(path, *more, **options):
        opened.append(Path(path))
        return real_open(path, *more, **options)

    monkeypatch.setattr(os, "open", opening)
    assert ["a.yaml:1:1: not a regular file", "b.yaml:1:1: not a regular file"] == problems(root)
    assert [root / "reconciler.yaml"] == opened


def test_a_project_file_outside_the_project_is_an_error(tmp_path):
    """A project file that is a symlink out of the project is an error."""
    write(tmp_path / "other")
    root = write(tmp_path / "project", {"a.yaml": batch("a"), "files/project.yml.txt": PROJECT})
    (root / "reconciler.yaml").unlink()
    (root / "reconciler.yaml").symlink_to("../other/reconciler.yaml")
    assert ["reconciler.yaml:1:1: symlink out of the project: its target is not part of the review"] == problems(root)
    (root / "reconciler.yaml").unlink()
    (root / "reconciler.yaml").symlink_to("files/project.yml.txt")
    assert 1 == load(root).count


@pytest.mark.parametrize("target", ["reconciler.yaml", "nowhere", "/dev/zero"])
def test_an_unreadable_project_file_is_an_error(tmp_path, target):
    """A project file that is a symlink loop, a broken symlink or a device is an error, and reading it does not hang."""
    (tmp_path / "reconciler.yaml").symlink_to(target)
    (line,) = problems(find_root(None, tmp_path))
    assert line.startswith("reconciler.yaml:1:1: ")


def test_the_project_folder_may_be_a_symlink(tmp_path):
    """The project folder may be a symlink, as created by tools that sync a branch."""
    root = write(tmp_path / "v1", {"a.yaml": batch("a"), "b/c.yaml": batch("c")})
    (tmp_path / "current").symlink_to(root)
    assert 2 == load(tmp_path / "current").count
    assert 1 == load(tmp_path / "current", only_paths=[tmp_path / "current" / "b"]).count


def test_a_file_that_grows_while_it_is_read_is_bounded(tmp_path, monkeypatch):
    """If a file grows while it is read, it is read only up to the limit."""
    root = write(tmp_path, {"a.yaml": batch("a")})
    path = root / "a.yaml"

    def huge(made: Path) -> None:
        made.touch()
        os.truncate(made, 1 << 40)

    swapped(path, huge, monkeypatch)
    assert ["a.yaml:1:1: larger than 1 MiB: split the file"] == problems(root)
