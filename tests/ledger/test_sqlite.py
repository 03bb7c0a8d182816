"""Tests what only the SQLite store has: a file, damage to it, permissions, disk space."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from reconciler.errors import (
    LedgerCorrupt,
    LedgerError,
    LedgerFormatNewer,
    LedgerFull,
    LedgerMissing,
    LedgerReadOnly,
    LedgerStoreInvalid,
    LedgerUnreachable,
)
from reconciler.ledger.sqlite import SqliteStore
from reconciler.ledger.sqlite_file import check_file, create, read_readonly, translate_file_errors

ADDRESS = "sqlite:///l.sqlite"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Returns the path of a ledger."""
    return tmp_path / "l.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """Returns a closed ledger with three batches, stored in a single file."""
    store = SqliteStore(path, ADDRESS, busy_seconds=0.05)
    for position in (1, 2, 3):
        store.append(position, b"batch" * 100)
    store.close()
    assert [path] == list(path.parent.iterdir())
    yield store
    store.close()


def positions(store: SqliteStore) -> list[int]:
    """Returns the positions that can be read."""
    return [position for position, _ in store.read(0)]


def test_reading_makes_no_folder(tmp_path: Path):
    """Reading a missing ledger creates nothing."""
    with pytest.raises(LedgerMissing, match=ADDRESS):
        SqliteStore(tmp_path / "a" / "l.sqlite", ADDRESS).read(0)
    assert list(tmp_path.iterdir()) == []


def test_reading_leaves_nothing_behind(store: SqliteStore, path: Path):
    """The side files that a read creates are removed afterwards."""
    assert positions(store) == [1, 2, 3]
    assert [path] == list(path.parent.iterdir())


def test_reading_while_a_writer_is_open(store: SqliteStore, path: Path):
    """A reader does not interfere with a writer."""
    store.append(4, b"x")
    assert positions(SqliteStore(path, ADDRESS)) == [1, 2, 3, 4]
    store.append(5, b"x")
    assert positions(store) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_only_the_owner_may_read_it(tmp_path: Path, umask: int):
    """The file and its side files have mode 0600, whatever the umask is."""
    before = os.umask(umask)
    try:
        store = SqliteStore(tmp_path / "l.sqlite", ADDRESS)
        store.append(1, b"x")
        assert {0o600} == {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
        store.close()


def test_it_is_flushed_and_logged_ahead(store: SqliteStore, path: Path):
    """The file uses a write-ahead log, and the connection that writes flushes fully to disk."""
    store.append(4, b"x")
    writer = store._writer
    assert writer is not None
    assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert writer.execute("PRAGMA synchronous").fetchone() == (2,)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA application_id").fetchone() == (0x52434E4C,)
        assert other.execute("PRAGMA user_version").fetchone() == (1,)


@pytest.mark.parametrize("statement", ["UPDATE batches SET batch = x'00'", "DELETE FROM batches"])
def test_nothing_is_ever_changed(store: SqliteStore, path: Path, statement: str):
    """Triggers in the file itself refuse changes, whichever program makes them."""
    with closing(sqlite3.connect(path)) as other, pytest.raises(sqlite3.IntegrityError, match="only ever appended"):
        other.execute(statement)
    assert positions(store) == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"not a database, and long enough to have a header\n" * 9, "no SQLite database"),
        (b"x", "truncated"),
    ],
)
def test_what_is_not_a_database_is_damage(path: Path, content: bytes, said: str):
    """A file that is empty or not a database is never treated as a new ledger, and is not changed."""
    path.write_bytes(content)
    store = SqliteStore(path, ADDRESS)
    for use in (lambda: store.read(0), lambda: store.append(1, b"x")):
        with pytest.raises(LedgerCorrupt, match=said):
            use()
    assert content == path.read_bytes()


def test_the_database_of_another_program_is_left_alone(path: Path):
    """Reading and writing refuse the database of another program and do not change it."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE users (name)")
    before = path.read_bytes()
    store = SqliteStore(path, ADDRESS)
    for use in (lambda: store.read(0), lambda: store.append(1, b"x")):
        with pytest.raises(LedgerCorrupt, match="another program"):
            use()
    assert before == path.read_bytes()


def test_a_newer_table_is_refused(store: SqliteStore, path: Path):
    """If the table has a newer version, the error tells the user to upgrade."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 2")
    for use in (lambda: store.read(0), lambda: store.append(4, b"x")):
        with pytest.raises(LedgerFormatNewer, match="format 2"):
            use()


def test_a_ledger_without_its_table_is_damage(store: SqliteStore, path: Path):
    """A file with our application id but without our table counts as damaged."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE batches")
    with pytest.raises(LedgerCorrupt, match="no such table"):
        store.read(0)


def test_text_in_place_of_bytes_is_damage(store: SqliteStore, path: Path):
    """The error contains the position of a batch that was inserted as text."""
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("PRAGMA ignore_check_constraints = ON")
        other.execute("INSERT INTO batches VALUES (4, 'text')")
    for use in (lambda: store.read(0), lambda: store.append(4, b"x")):
        with pytest.raises(LedgerCorrupt, match="position 4"):
            use()


@pytest.mark.parametrize("pages", [1, 2])
def test_a_file_that_was_cut_short_is_damage(store: SqliteStore, path: Path, pages: int):
    """Reading and writing refuse a file whose end is missing."""
    store.append(4, b"long" * 20_000)
    store.close()
    os.truncate(path, 4096 * pages)
    for use in (lambda: list(store.read(0)), lambda: store.append(5, b"x")):
        with pytest.raises(LedgerCorrupt, match="Nothing was changed"):
            use()


def test_pages_of_garbage_are_damage(store: SqliteStore, path: Path):
    """A file with overwritten pages is refused."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))
    with pytest.raises(LedgerCorrupt):
        list(store.read(0))


def test_a_folder_in_its_place(path: Path):
    """The error says that the path is a folder."""
    path.mkdir()
    store = SqliteStore(path, ADDRESS)
    for use in (lambda: store.read(0), lambda: store.append(1, b"x")):
        with pytest.raises(LedgerError, match="is a folder"):
            use()


def test_a_file_where_its_folder_should_be(tmp_path: Path):
    """A ledger cannot be created below a path that is a file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be used"):
        SqliteStore(tmp_path / "file" / "l.sqlite", ADDRESS).append(1, b"x")


def test_a_lock_that_others_keep(store: SqliteStore, path: Path):
    """A call waits for another process's transaction, and then raises `LedgerUnreachable`."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnreachable, match="busy"):
            store.append(4, b"x")
        assert positions(store) == [1, 2, 3]
        other.execute("COMMIT")
    assert store.append(4, b"x") == b"x"


def test_a_ledger_that_is_gone_is_not_begun_anew(store: SqliteStore, path: Path):
    """Only an append at position 1 creates the file. At a later position, the ledger must already exist."""
    store.append(4, b"x")
    for file in path.parent.iterdir():
        file.unlink()
    with pytest.raises(LedgerMissing, match="is gone"):
        store.append(5, b"x")
    assert list(path.parent.iterdir()) == []


def test_a_ledger_that_was_put_back_is_opened_again(store: SqliteStore, path: Path):
    """If the file at the path was replaced, a writer opens it again."""
    copy = path.read_bytes()
    store.append(4, b"lost")
    store.close()
    store.append(5, b"lost")
    for file in path.parent.iterdir():
        file.unlink()
    path.write_bytes(copy)
    assert store.append(4, b"x") == b"x"
    assert positions(SqliteStore(path, ADDRESS)) == [1, 2, 3, 4]


def test_a_full_disk(store: SqliteStore, path: Path):
    """If SQLite has no space, no part of the batch is stored, and earlier batches can still be read."""
    store.append(4, b"x")
    assert store._writer is not None
    store._writer.execute("PRAGMA max_page_count = 1")
    with pytest.raises(LedgerFull, match="Nothing was written"):
        store.append(5, b"long" * 20_000)
    assert positions(store) == [1, 2, 3, 4]
    assert store.append(5, b"x") == b"x"


def run_apart(program: str, path: Path, limit: int | None = None) -> str:
    """Returns the output of a program that runs in a separate process, optionally with a maximum file size in bytes."""

    def restrict() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    prelude = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\nfrom reconciler.errors import LedgerError\n"
        "from reconciler.ledger.sqlite import SqliteStore\n"
        f"store = SqliteStore(Path({str(path)!r}), {ADDRESS!r})\n"
        "def told(use):\n    try: print(use())\n    except LedgerError as error: print(type(error).__name__, error)\n"
    )
    command = [sys.executable, "-c", prelude + program]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # it writes files
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=restrict, env=environment)
    assert done.stderr == ""
    return done.stdout


@contextmanager
def as_nobody() -> Iterator[None]:
    """Runs the block as a user without permissions. Only root has to switch to another user for this."""
    if os.getuid() != 0:
        yield
        return
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def test_a_quota(store: SqliteStore, path: Path):
    """If the system refuses a write because of the size, `LedgerFull` is raised, and nothing is lost."""
    program = "told(lambda: store.append(4, b'long' * 100_000))\ntold(lambda: len(list(store.read(0))))\n"
    said = run_apart(program, path, limit=100_000).splitlines()
    assert said[0].startswith("LedgerFull")
    assert said[1] == "3"
    assert positions(store) == [1, 2, 3]
    assert store.append(4, b"x") == b"x"


def test_no_room_for_the_first_batch(tmp_path: Path):
    """If a ledger cannot be created, no file is left behind."""
    said = run_apart("told(lambda: store.append(1, b'x'))", tmp_path / "new" / "l.sqlite", limit=5000)
    assert said.startswith("LedgerFull")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.fixture
def outsider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Returns a folder with a ledger of three batches that a user without permissions can read but not write."""
    folder = tmp_path_factory.mktemp("read-only")
    closed = [above for above in folder.parents if not above.stat().st_mode & 0o001]  # only the owner may enter
    for above in closed:
        above.chmod(0o711)
    store = SqliteStore(folder / "l.sqlite", ADDRESS)
    for position in (1, 2, 3):
        store.append(position, b"batch")
    store.close()
    folder.chmod(0o555)
    (folder / "l.sqlite").chmod(0o444)
    yield folder / "l.sqlite"
    folder.chmod(0o755)
    for above in closed:
        above.chmod(0o700)


def test_a_read_only_place_is_read(outsider: Path):
    """A ledger in a read-only folder can be read and does not change."""
    with as_nobody():
        assert positions(SqliteStore(outsider, ADDRESS)) == [1, 2, 3]
    assert [outsider] == list(outsider.parent.iterdir())


def test_a_read_only_place_is_not_written(outsider: Path):
    """Writing raises `LedgerReadOnly`."""
    with as_nobody(), pytest.raises(LedgerReadOnly, match="not written"):
        SqliteStore(outsider, ADDRESS).append(4, b"x")


def share(path: Path) -> None:
    """Makes a ledger and its side files readable by other users. Writers make them private again."""
    for file in path.parent.glob(f"{path.name}*"):
        file.chmod(0o644)


def test_a_read_only_place_with_a_live_writer(outsider: Path):
    """Writes of a live writer that are only in the write-ahead log are read through the side files."""
    outsider.parent.chmod(0o755)
    writer = SqliteStore(outsider, ADDRESS)
    writer.append(4, b"new")
    share(outsider)
    with as_nobody():
        assert positions(SqliteStore(outsider, ADDRESS)) == [1, 2, 3, 4]
    writer.close()


def with_unmerged_writes(path: Path) -> None:
    """Leaves a ledger in the state after its writer was killed and the index of its write-ahead log was lost."""
    path.parent.chmod(0o755)
    path.chmod(0o644)
    log = path.with_name(path.name + "-wal")
    writer = SqliteStore(path, ADDRESS)
    writer.append(4, b"new")
    unmerged = log.read_bytes()
    writer.close()
    log.write_bytes(unmerged)


def test_a_read_only_place_with_writes_that_cannot_be_merged(outsider: Path):
    """A write-ahead log without its index cannot be read in a read-only folder, which is an error."""
    with_unmerged_writes(outsider)
    outsider.parent.chmod(0o555)
    outsider.chmod(0o444)
    with as_nobody(), pytest.raises(LedgerReadOnly, match="not merged"):
        SqliteStore(outsider, ADDRESS).read(0)


def test_damage_in_a_read_only_place(outsider: Path):
    """Damage is also detected when a file is read through the side files."""
    outsider.parent.chmod(0o755)
    writer = SqliteStore(outsider, ADDRESS)
    writer.append(4, b"new")
    share(outsider)
    with outsider.open("r+b") as file:
        file.write(b"not a database at all" * 10)
    outsider.chmod(0o444)
    with as_nobody(), pytest.raises(LedgerCorrupt):
        SqliteStore(outsider, ADDRESS).read(0)
    writer.close()


def test_a_place_that_may_not_be_entered(outsider: Path):
    """If a folder has no permissions, readers and writers get an error."""
    outsider.parent.chmod(0o000)
    store = SqliteStore(outsider, ADDRESS)
    for use in (lambda: store.read(0), lambda: store.append(4, b"x")):
        with as_nobody(), pytest.raises(LedgerReadOnly, match="cannot be created or opened"):
            use()


def test_a_file_that_may_not_be_read(outsider: Path):
    """A file without permissions is not treated as missing."""
    outsider.chmod(0o000)
    with as_nobody(), pytest.raises(LedgerError, match="permission denied"):
        SqliteStore(outsider, ADDRESS).read(0)


def test_a_read_only_folder_without_a_ledger(outsider: Path):
    """A ledger cannot be created in a read-only folder, and the error says so."""
    store = SqliteStore(outsider.with_name("other.sqlite"), ADDRESS)
    with as_nobody():
        with pytest.raises(LedgerReadOnly):
            store.append(1, b"x")
        with pytest.raises(LedgerMissing):
            store.read(0)


@pytest.mark.parametrize(("code", "said"), [(errno.EPERM, "no hard links"), (errno.EIO, "cannot be used")])
def test_a_place_where_a_ledger_cannot_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, said: str):
    """A file system without hard links causes an error, and no files are left."""

    def link(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(LedgerError, match=said):
        SqliteStore(tmp_path / "l.sqlite", ADDRESS).append(1, b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_another_process_makes_at_the_same_time(store: SqliteStore, path: Path):
    """The second process uses the file that the first one created."""
    create(path, ADDRESS)
    assert positions(store) == [1, 2, 3]
    assert [path] == list(path.parent.iterdir())


@pytest.mark.parametrize(
    ("room", "code", "expected"),
    [
        (True, sqlite3.SQLITE_IOERR_WRITE, LedgerUnreachable),
        (False, sqlite3.SQLITE_IOERR_FSYNC, LedgerUnreachable),
        (False, sqlite3.SQLITE_IOERR_WRITE, LedgerFull),
        (True, sqlite3.SQLITE_READONLY_DBMOVED, LedgerReadOnly),
        (True, sqlite3.SQLITE_PROTOCOL, LedgerUnreachable),
        (True, sqlite3.SQLITE_CANTOPEN, LedgerError),
        (True, sqlite3.SQLITE_TOOBIG, LedgerCorrupt),
    ],
)
def test_what_sqlite_says_in_our_words(path: Path, room: bool, code: int, expected: type[LedgerError]):
    """A failed write is reported as a full disk only if there is no space. After a failed flush, the outcome is
    unknown."""
    path.touch()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    error = sqlite3.OperationalError("said by SQLite")
    error.sqlite_errorcode = code
    if not room:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(LedgerError) as caught, translate_file_errors(ADDRESS, path):
            raise error
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert expected is type(caught.value)
    assert [path] == list(path.parent.iterdir())


def test_a_file_that_changes_while_it_is_read_without_locks(store: SqliteStore, path: Path):
    """A read without locks is repeated until the file does not change, and fails after a few attempts."""

    def touch(connection: sqlite3.Connection) -> None:
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))

    with pytest.raises(LedgerUnreachable, match="is being written"):
        read_readonly(path, ADDRESS, touch)


def test_a_forked_child_uses_a_connection_of_its_own(store: SqliteStore, path: Path):
    """A child process neither writes through its parent's connection nor closes it."""
    program = (
        "import os\nstore.append(4, b'parent')\n"
        "child = os.fork()\n"
        "if child == 0:\n    store.append(5, b'child'); store.close(); os._exit(0)\n"
        "os.waitpid(child, 0)\nstore.append(6, b'parent')\ntold(lambda: [batch for _, batch in store.read(3)])\n"
    )
    assert run_apart(program, path) == "[b'parent', b'child', b'parent']\n"


MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
21 22 254:1 / {folder}/shared rw - ext4 /dev/vdb rw
23 22 0:31 / {folder}/shared rw shared:1 - {kind} server:/export rw
24 22 254:0 /kept/ledger.sqlite {folder}/alone/led\\040ger.sqlite rw - ext4 /dev/vda rw
"""


@pytest.mark.parametrize("kind", ["nfs4", "nfs", "cifs", "smb3", "9p", "fuse.sshfs", "vboxsf", "ext4"])
def test_a_file_on_a_network_file_system_is_refused(tmp_path: Path, kind: str):
    """The file system that contains the file is checked, not that of a folder above it or of an older mount below
    it."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(folder=tmp_path, kind=kind))
    for name in ("shared/in/ledger.sqlite", "shared-not/ledger.sqlite"):
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        file.write_bytes(b"")

    check_file(tmp_path / "shared-not/ledger.sqlite", ADDRESS, mounts)
    if kind == "ext4":
        check_file(tmp_path / "shared/in/ledger.sqlite", ADDRESS, mounts)
        return
    with pytest.raises(LedgerStoreInvalid, match=rf"network file system \({kind}\)"):
        check_file(tmp_path / "shared/in/ledger.sqlite", ADDRESS, mounts)


def test_a_file_that_is_mounted_alone_is_refused(tmp_path: Path):
    """If only the file is mounted, its write-ahead log stays next to the original file, so its writes would be
    missed."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(folder=tmp_path, kind="ext4"))
    file = tmp_path / "alone/led ger.sqlite"
    file.parent.mkdir()
    file.write_bytes(b"")

    with pytest.raises(LedgerStoreInvalid, match="is mounted alone"):
        check_file(file, ADDRESS, mounts)
    check_file(file, ADDRESS, tmp_path / "no list of mounts")


def test_a_name_that_a_killed_process_left_is_removed(path: Path):
    """The file name that a killed process left does not count as a second name of the ledger. The next use of the
    ledger removes this name and no other file."""
    SqliteStore(path, ADDRESS).append(1, b"x")
    left, other = path.with_name(f".{path.name}.0123456789abcdef.new"), path.with_name(f".{path.name}.other.new")
    os.link(path, left)
    other.write_bytes(b"")

    assert list(SqliteStore(path, ADDRESS).read(0)) == [(1, b"x")]
    assert not left.exists()
    assert other.exists()
