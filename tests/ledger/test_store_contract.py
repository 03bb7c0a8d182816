"""Tests the contract of stores, for every store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from reconciler.core.ports import Snapshots, Store
from reconciler.errors import LedgerCorrupt, LedgerMissing
from reconciler.ledger import dynamodb, s3, sqlite_file
from reconciler.ledger.dynamodb import DynamoStore
from reconciler.ledger.s3 import S3Store
from reconciler.ledger.sqlite import SqliteStore
from tests.ledger.builders import PLACE, MemoryStore
from tests.ledger.conftest import Opening
from tests.ledger.racing import race, writers
from tests.ledger.server import Server


@dataclass
class Subject:
    """One ledger in one implementation of the contract. `factory` opens a handle for it, and `shared` tells whether
    several processes can use it.

    A read returns `page` positions at a time and must continue after them. `threads` and `processes` contain the number
    of writers and of positions; they are smaller for stores whose operations need requests.
    """

    factory: Callable[[], Store]
    shared: bool = True
    page: int = 1000
    threads: tuple[int, int] = (4, 20)
    processes: tuple[int, int] = (2, 30)
    made: list[Store] = field(default_factory=list)

    def opened(self) -> Store:
        """Returns a new handle, which is closed at the end of the test."""
        self.made.append(self.factory())
        return self.made[-1]


@pytest.fixture(params=["memory", "sqlite", "s3", "dynamodb"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """Yields the address of a ledger that does not exist yet."""
    made = _subject(request, tmp_path)
    yield made
    for store in made.made:
        getattr(store, "close", lambda: None)()


def _subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    if request.param == "memory":
        store = MemoryStore()
        return Subject(lambda: store, shared=False, threads=(8, 50))
    if request.param == "sqlite":
        path = tmp_path / "folder" / "ledger.sqlite"
        return Subject(
            partial(SqliteStore, path, "sqlite:///folder/ledger.sqlite"), threads=(8, 50), processes=(8, 100)
        )
    url = request.getfixturevalue("aws").address(request.param)
    if request.param == "s3":
        return Subject(partial(S3Store, url, PLACE, page=20), page=20)
    return Subject(partial(DynamoStore, url, PLACE, pages=(8, 20)), page=20)


def test_a_ledger_that_is_not_there_is_missing(subject: Subject, tmp_path: Path):
    """Reading a missing ledger raises an error at once and creates nothing."""
    store = subject.opened()
    for _ in range(2):
        with pytest.raises(LedgerMissing):
            store.read(0)
        with pytest.raises(LedgerMissing):
            store.get(1)
    assert list(tmp_path.iterdir()) == []


def test_what_is_appended_is_read_in_order(subject: Subject):
    """Every handle reads the same bytes at each position."""
    batches = [bytes([n]) * n for n in range(1, 6)]
    store = subject.opened()
    for position, batch in enumerate(batches, 1):
        assert batch == store.append(position, batch)
    assert list(enumerate(batches, 1)) == list(subject.opened().read(0))
    assert list(enumerate(batches, 1))[3:] == list(store.read(3))
    assert list(store.read(5)) == []


def test_one_batch_is_got_by_itself(subject: Subject):
    """A single batch in the middle can be read. Past the end, there is no batch."""
    store = subject.opened()
    for position in range(1, 4):
        store.append(position, str(position).encode())
    assert [b"2", b"3", None] == [subject.opened().get(position) for position in (2, 3, 4)]


def test_a_snapshot_is_kept_beside_the_batches(subject: Subject):
    """The newest snapshot is read byte for byte, even if it is several megabytes long, and does not affect the
    batches."""
    store = subject.opened()
    if not isinstance(store, Snapshots):
        pytest.skip("this store keeps no snapshots")
    store.append(1, b"first")
    assert store.newest_snapshot() is None
    store.keep_snapshot(1, b"one")
    store.append(2, b"second")
    content = bytes(range(256)) * 20_000
    store.keep_snapshot(2, content)
    reader = subject.opened()
    assert isinstance(reader, Snapshots)
    assert (2, content) == reader.newest_snapshot()
    store.keep_snapshot(2, b"again")
    assert (2, b"again") == reader.newest_snapshot()
    assert [(1, b"first"), (2, b"second")] == list(reader.read(0))


def test_more_than_anything_has_is_not_read(subject: Subject, monkeypatch: pytest.MonkeyPatch):
    """A batch larger than the limit is an error, and a snapshot larger than the limit is ignored. Content below the
    limit can be read."""
    store = subject.opened()
    if isinstance(store, MemoryStore):
        pytest.skip("it holds what the test gives it")
    assert isinstance(store, Snapshots)
    store.append(1, bytes(700_000))
    store.append(2, bytes(3_000_000))
    store.keep_snapshot(2, bytes(3_000_000))
    for module in (sqlite_file, s3, dynamodb):
        monkeypatch.setattr(module, "MOST_BYTES", 1_000_000)
    reader = subject.opened()
    assert isinstance(reader, Snapshots)

    assert reader.get(1) == bytes(700_000)
    for read in (lambda: reader.get(2), lambda: list(reader.read(1))):
        with pytest.raises(LedgerCorrupt):
            read()
    with suppress(LedgerCorrupt):
        assert reader.newest_snapshot() is None


@pytest.mark.parametrize("number", ["1E+20", "-1", "9" * 38, "1.5"])
def test_numbers_of_a_forged_item_are_no_numbers_of_ours(aws: Server, number: str):
    """An invalid number of parts in a batch is an error; a snapshot with an invalid position is ignored."""
    url = aws.address("dynamodb")
    store = DynamoStore(url, PLACE)
    head = {"parts": {"S": "x"}, "count": {"N": number}, "sha256": {"S": "x"}, "at": {"N": number}}
    for partition, position in ((store.ledger, "1"), (f"{store.ledger}#snapshot/0", "0")):
        keys = {"ledger": {"S": partition}, "position": {"N": position}}
        aws.dynamodb.put_item(TableName=url.removeprefix("dynamodb://"), Item={**keys, **head})

    with pytest.raises(LedgerCorrupt, match="position 1"):
        store.get(1)
    assert store.newest_snapshot() is None
    store.close()


def test_the_second_writer_gets_what_the_first_has_put_there(subject: Subject):
    """Nothing that was written is ever overwritten."""
    first, second = subject.opened(), subject.opened()
    assert first.append(1, b"first") == b"first"
    assert second.append(1, b"second") == b"first"
    assert first.append(1, b"third") == b"first"
    assert list(second.read(0)) == [(1, b"first")]


def test_the_same_bytes_again_are_the_same_append(subject: Subject):
    """A writer that received no reply may try again, and then reads its own batch."""
    store = subject.opened()
    store.append(1, b"mine")
    assert store.append(1, b"mine") == b"mine"
    assert list(store.read(0)) == [(1, b"mine")]


def test_others_are_seen_after_each_append(subject: Subject):
    """A read returns every append that has completed, whichever writer made it."""
    writer, reader = subject.opened(), subject.opened()
    for position in range(1, 20):
        writer.append(position, str(position).encode())
        assert [(position, str(position).encode())] == list(reader.read(position - 1))


def test_more_batches_than_a_page_are_read_whole(subject: Subject):
    """Reading continues past the first page."""
    store, last = subject.opened(), 2 * subject.page + 1
    for position in range(1, last + 1):
        store.append(position, b"batch")
    assert list(range(1, last + 1)) == [position for position, _ in store.read(0)]
    assert [last] == [position for position, _ in store.read(last - 1)]


def test_big_batches_and_every_byte(subject: Subject):
    """A batch of several megabytes that contains every byte value is read unchanged."""
    batch = bytes(range(256)) * 20_000
    store = subject.opened()
    assert batch == store.append(1, batch)
    assert [(1, batch)] == list(store.read(0))


def test_many_threads_have_one_winner_at_each_position(subject: Subject):
    """If many threads use one handle, exactly one of them wins each position, and all of them receive the same
    batch."""
    store, (racers, positions) = subject.opened(), subject.threads
    with ThreadPoolExecutor(racers) as pool:
        told = list(pool.map(lambda writer: race(lambda: store, writer, positions), range(racers)))
    stored = [batch for _, batch in store.read(0)]
    assert len(stored) == positions
    assert [stored] * racers == told


def test_many_processes_have_one_winner_at_each_position(subject: Subject):
    """Of many processes, exactly one wins each position, and all of them receive the same batch, including that of the
    first position."""
    if not subject.shared:
        pytest.skip("this store lives in one process")
    racers, positions = subject.processes
    with writers(racers) as pool:
        told = list(pool.map(partial(race, subject.factory, positions=positions), range(racers)))
    stored = [batch for _, batch in subject.opened().read(0)]
    assert len(stored) == positions
    assert [stored] * racers == told


@pytest.mark.soak
@pytest.mark.parametrize("scheme", ["s3", "dynamodb"])
def test_thousands_of_batches_are_read_whole_from_aws(scheme: str, aws: Server, opening: Opening):
    """Reading continues past the pages of S3 (1,000 keys) and DynamoDB (1 MB of items)."""
    store = opening(aws.address(scheme))
    for position in range(1, 2502):
        store.append(position, f"{position} ".encode() * 200)
    assert list(range(1, 2502)) == [int(batch.split()[0]) for _, batch in store.read(0)]


@pytest.mark.parametrize("scheme", ["s3", "dynamodb"])
def test_a_newer_snapshot_is_not_given_up_for_an_older_one(scheme: str, aws: Server, opening: Opening):
    """A slow writer with an older snapshot does not replace a newer one."""
    store = opening(aws.address(scheme))
    store.keep_snapshot(5, b"newer")
    store.keep_snapshot(3, b"older")
    assert store.newest_snapshot() == (5, b"newer")
    store.keep_snapshot(6, b"newest")
    assert store.newest_snapshot() == (6, b"newest")


def test_a_snapshot_in_pieces_of_two_writers_is_passed_over(aws: Server, opening: Opening):
    """A DynamoDB snapshot that contains parts of another writer's snapshot is ignored, and the previous snapshot is
    used."""
    url = aws.address("dynamodb")
    store = opening(url)
    assert store.newest_snapshot() is None
    store.keep_snapshot(1, b"first")
    store.keep_snapshot(2, b"second" * 100_000)
    table, another = url.removeprefix("dynamodb://"), {"batch": {"B": b"another's"}}

    for place, expected in (("1", (1, b"first")), ("0", None)):
        keys = {"ledger": {"S": f"analytics/prod#snapshot/{place}"}, "position": {"N": "1"}}
        aws.dynamodb.put_item(TableName=table, Item={**keys, **another})
        assert store.newest_snapshot() == expected
