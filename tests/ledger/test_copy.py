"""Tests copies of a ledger to another store, and moves to another project, target, account or region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.core.identity import Place
from reconciler.core.ledger_changes import MovedAway, MovedTo, Renamed
from reconciler.core.ports import Store
from reconciler.errors import LedgerCorrupt, LedgerError, LedgerMissing, LedgerMoved, LedgerUnreachable
from reconciler.ledger.chained_batches import checksum, decode
from reconciler.ledger.copy import Author, Copied, copy
from reconciler.ledger.log import Log
from reconciler.ledger.open import open_store
from reconciler.ledger.sqlite import SqliteStore
from reconciler.ledger.verify import verify
from tests.ledger.builders import AT, PLACE, LosingStore, MemoryStore, StandingClock, always, intended, submitted
from tests.ledger.server import Server

NEW = Place("shop", "live", "111122223333", "us-east-1")
OPS = Author("ops", "0.1.0")


def written(store: Store, rounds: int = 5, place: Place = PLACE) -> Log:
    """Returns a ledger in which every submission has a run."""
    log = Log(store, place, "0.1.0", StandingClock())
    for number in range(rounds):
        log.append([intended(f"job-{number}", f"r1-{number}")], always)
        log.append([submitted(f"r1-{number}", f"run-{number}", f"job-{number}")], always)
    return log


def copied(source: Store, target: Store, place: Place = PLACE, *, rename: bool = False) -> Copied:
    """Copies a ledger without reporting progress."""
    return copy(source, target, place, StandingClock(), author=OPS, rename=rename)


def unended(store: MemoryStore) -> dict[int, bytes]:
    """Returns the batches of a copied ledger without the final one, which only says that the ledger was moved."""
    last = max(store.batches)
    assert isinstance(decode(store.batches[last], last, store.address).events[-1], MovedAway)
    return {position: raw for position, raw in store.batches.items() if position < last}


@pytest.fixture
def source() -> MemoryStore:
    """Returns a ledger with ten positions."""
    store = MemoryStore()
    written(store)
    return store


def test_a_copy_is_the_same_byte_for_byte(source: MemoryStore, tmp_path: Path):
    """After a copy to a file and back, every batch and the chain are the same."""
    file, back = SqliteStore(tmp_path / "l.sqlite", "sqlite:///l.sqlite"), MemoryStore()
    assert Copied(10, 0) == copied(source, file)
    assert Copied(10, 0) == copied(file, back)
    assert unended(source) == back.batches
    assert verify(file, PLACE).wrong() == set()


def test_a_copy_goes_through_every_store(source: MemoryStore, tmp_path: Path, aws: Server):
    """A ledger that is copied from store to store does not change, and the verification of each copy finds no
    problem."""
    last: Store = source
    for url in (aws.address("s3"), aws.address("dynamodb"), "sqlite:///l.sqlite"):
        following = open_store(url, tmp_path, PLACE)
        assert Copied(10, 0) == copied(last, following)
        assert verify(following, PLACE).wrong() == set()
        last = following
    assert unended(source) == dict(last.read(0))


def test_progress_is_told(source: MemoryStore):
    """The copy reports each finished position, in order."""
    told: list[int] = []
    copy(source, MemoryStore(), PLACE, StandingClock(), author=OPS, progress=told.append)
    assert list(range(1, 11)) == told


@pytest.mark.parametrize("there", [0, 1, 7, 10])
def test_a_copy_goes_on_where_it_ended(source: MemoryStore, there: int):
    """Positions that were copied before are compared, and only the remaining ones are written."""
    target = MemoryStore()
    target.batches = {position: raw for position, raw in source.batches.items() if position <= there}
    assert Copied(10, there) == copied(source, target)
    assert unended(source) == target.batches


def test_a_lost_reply_is_asked_for_again(source: MemoryStore):
    """A write whose reply was lost is retried."""
    memory = MemoryStore()
    assert Copied(10, 0) == copied(source, LosingStore(memory, before=2, after=2))
    assert unended(source) == memory.batches


def test_an_interrupted_copy_can_be_run_again(source: MemoryStore):
    """If a target stops replying, the next copy continues from the batches in the target."""
    memory = MemoryStore()

    class Failing(LosingStore):
        def append(self, position: int, batch: bytes) -> bytes:
            if position == 6:
                raise LedgerUnreachable("gone")
            return super().append(position, batch)

    with pytest.raises(LedgerUnreachable):
        copied(source, Failing(memory))
    assert Copied(10, 5) == copied(source, memory)


def test_a_target_with_anything_else_is_refused(source: MemoryStore):
    """Nothing is overwritten: a target with a different ledger, a different history or a longer ledger is refused."""
    other, forked, longer = MemoryStore(), MemoryStore(), MemoryStore()
    written(other, 2)
    forked.batches = {position: raw for position, raw in source.batches.items() if position < 5}
    Log(forked, PLACE, "0.1.0", StandingClock()).append([intended("fork", "r1-ff")], always)
    longer.batches = dict(source.batches)
    Log(longer, PLACE, "0.1.0", StandingClock()).append([intended("more", "r1-ee")], always)
    for target, position in ((other, 1), (forked, 5), (longer, 11)):
        before = dict(target.batches)
        with pytest.raises(LedgerError, match=rf"differs from .* at position {position}\."):
            copied(source, target)
        assert before == target.batches


def test_somebody_who_writes_to_the_target_meanwhile_is_noticed(source: MemoryStore):
    """If another process writes a position in the target during the copy, the copy fails."""

    class Taken(MemoryStore):
        def append(self, position: int, batch: bytes) -> bytes:
            if position == 4:
                self.batches[4] = b"theirs"
            return super().append(position, batch)

    with pytest.raises(LedgerError, match=r"differs from .* at position 4\."):
        copied(source, Taken())


class Growing(MemoryStore):
    """A ledger that grows by one position after each read."""

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Implements `ports.Store`."""
        found = list(super().read(after))
        number = len(self.batches)
        if len(found) > 1:
            Log(_Bare(self), PLACE, "0.1.0", StandingClock()).append(
                [intended(f"new-{number}", f"r1-n{number}")], always
            )
        return iter(found)


class _Bare(MemoryStore):
    """A ledger with the same batches that does not grow."""

    def __init__(self, of: MemoryStore) -> None:
        super().__init__()
        self.batches = of.batches


def test_a_source_that_grows_is_told(source: MemoryStore):
    """The error contains the number of copied positions, and the next copy continues from there."""
    growing, target = Growing(), MemoryStore()
    growing.batches = dict(source.batches)
    with pytest.raises(LedgerError, match=r"grew to position 12 while it was copied.* Positions 1 to 10 are in"):
        copied(growing, target)
    assert source.batches == target.batches
    still = _Bare(growing)
    assert Copied(len(still.batches), 10) == copied(still, target)
    assert unended(still) == target.batches


@pytest.mark.parametrize("rename", [False, True])
def test_nothing_is_appended_to_a_ledger_that_was_copied(source: MemoryStore, rename: bool):
    """The error contains the new address, both for a writer that reads the ledger now and for one that read it before
    it was closed."""
    early, target = Log(source, PLACE, "0.1.0", StandingClock()), MemoryStore()
    early.refresh()
    copied(source, target, NEW if rename else PLACE, rename=rename)
    late, batches = Log(source, PLACE, "0.1.0", StandingClock()), dict(source.batches)

    for log in (early, late):
        with pytest.raises(LedgerMoved, match="ops copied it to memory://"):
            log.append([intended("more", "r1-more")], always)
    assert batches == source.batches
    assert late.refresh().specs.keys() == {f"job-{number}" for number in range(5)}
    assert verify(source, PLACE).wrong() == set()


@pytest.mark.parametrize("rename", [False, True])
def test_a_copy_that_was_interrupted_before_the_end_is_finished(source: MemoryStore, rename: bool):
    """The same command then appends the final event. If it is repeated, it changes nothing. A copy to another address
    is refused."""
    place, target = (NEW, MemoryStore()) if rename else (PLACE, MemoryStore())
    before = dict(source.batches)
    first = copied(source, target, place, rename=rename)
    source.batches = before

    again = copied(source, target, place, rename=rename)
    ended = dict(source.batches)
    once_more = copied(source, target, place, rename=rename)

    assert {each.positions for each in (first, again, once_more)} == {10 + rename}
    assert len(ended) == 11
    assert ended == source.batches
    elsewhere = SqliteStore(Path("/nowhere/l.sqlite"), "sqlite:///elsewhere.sqlite")
    with pytest.raises(LedgerMoved, match="it was copied to memory://"):
        copied(source, elsewhere, place, rename=rename)


def test_an_append_that_wins_against_the_end_is_noticed(source: MemoryStore):
    """If an event is appended between the last check and the final event, the copy fails, and the next copy includes
    that event."""

    class Raced(MemoryStore):
        def append(self, position: int, batch: bytes) -> bytes:
            if b'"type":"moved"' in batch and position == 11:
                Log(_Bare(self), PLACE, "0.1.0", StandingClock()).append([intended("new", "r1-new")], always)
            return super().append(position, batch)

    raced, target = Raced(), MemoryStore()
    raced.batches = dict(source.batches)
    with pytest.raises(LedgerError, match="grew to position 11 while it was copied"):
        copied(raced, target)
    assert Copied(11, 10) == copied(raced, target)
    assert unended(raced) == target.batches


def test_a_damaged_ledger_is_not_copied(source: MemoryStore):
    """The error contains the position of the damage, and nothing is written."""
    target = MemoryStore()
    source.batches[3] = source.batches[3].replace(b"orders.yaml", b"errors.yaml")
    with pytest.raises(LedgerError, match="not copied: does not follow position 3"):
        copied(source, target)
    assert target.batches == {}


def test_a_ledger_of_another_place_is_not_copied(source: MemoryStore):
    """Without `--rename`, the error contains both places, and nothing is written."""
    target = MemoryStore()
    with pytest.raises(LedgerError, match=r"belongs to project analytics.*this is project shop"):
        copied(source, target, NEW)
    assert target.batches == {}


def test_a_ledger_that_is_not_there():
    """A missing source is an error."""
    with pytest.raises(LedgerMissing):
        copied(MemoryStore(), MemoryStore())


# --- moves ------------------------------------------------------------------------------------------------------------


def test_a_move_rewrites_the_pin_and_the_chain(source: MemoryStore):
    """The whole history can be read at the new place, and the last event contains the old one."""
    target = MemoryStore()
    assert Copied(11, 0, PLACE) == copied(source, target, NEW, rename=True)
    log = Log(target, NEW, "0.1.0", StandingClock())
    before = verify(source, PLACE)
    assert before.recorded.moved == MovedTo("memory://", NEW, AT, "ops")
    after = log.refresh()
    assert before.recorded.specs == after.specs
    assert verify(target, NEW).wrong() == set()
    (renamed,) = log.batch(11)
    assert isinstance(renamed, Renamed)
    assert ("analytics", "prod", "memory://", 10, checksum(source.batches[10]), "ops") == (
        renamed.project, renamed.target, renamed.ledger, renamed.positions, renamed.head, renamed.actor,
    )  # fmt: skip
    assert [list(log.batch(position)) for position in range(2, 11)] == [
        list(Log(source, PLACE, "0", StandingClock()).batch(position)) for position in range(2, 11)
    ]


@pytest.mark.parametrize("there", [1, 6, 10, 11])
def test_a_move_goes_on_where_it_ended(source: MemoryStore, there: int):
    """A move that is interrupted anywhere leads to the same result when it is repeated. Repeating a complete move adds
    nothing."""
    whole, target = MemoryStore(), MemoryStore()
    copied(source, whole, NEW, rename=True)
    target.batches = {position: raw for position, raw in whole.batches.items() if position <= there}
    assert Copied(11, there, PLACE) == copy(
        source, target, NEW, StandingClock(1_800_000_000.0), author=OPS, rename=True
    )
    assert verify(target, NEW).wrong() == set()
    assert {**whole.batches, 11: b""} == {**target.batches, 11: b""}


def test_what_this_version_does_not_know_moves_too(source: MemoryStore):
    """Fields of a newer version are copied unchanged."""
    source.batches = {1: source.batches[1].replace(b'"events":', b'"later":[1],"events":')}
    source.batches[1] = source.batches[1].replace(b'"type":"opened"', b'"later":2,"type":"opened"')
    Log(source, PLACE, "0.1.0", StandingClock()).append([submitted("r1-0", "run-0", "job-0")], always)
    target = MemoryStore()
    copied(source, target, NEW, rename=True)
    assert b'"later":[1]' in target.batches[1]
    assert b'"later":2' in target.batches[1]


def test_a_ledger_with_something_unresolved_is_not_moved(source: MemoryStore):
    """The runs of unresolved submissions can only be found at the old place."""
    Log(source, PLACE, "0.1.0", StandingClock()).append([intended("open", "r1-open")], always)
    target = MemoryStore()
    with pytest.raises(LedgerError, match="outcome of submissions of open is unknown"):
        copied(source, target, NEW, rename=True)
    assert target.batches == {}
    assert Copied(11, 0) == copied(source, target)


def test_a_move_to_the_same_place_is_none(source: MemoryStore):
    """The error explains that `--rename` is not needed."""
    with pytest.raises(LedgerError, match="copy it without --rename"):
        copied(source, MemoryStore(), PLACE, rename=True)


@pytest.mark.parametrize("first", [None, "events"])
def test_a_ledger_that_does_not_say_whose_it_is_is_not_moved(source: MemoryStore, first: str | None):
    """Without a first batch, or without a pin in it, the old place cannot be determined."""
    if first is None:
        del source.batches[1]
    else:
        source.batches[1] = b'{"format":1,"nonce":"n","at":"%s","prev":null,"events":[]}' % AT.encode()
    with pytest.raises(LedgerCorrupt, match="damaged at position 1"):
        copied(source, MemoryStore(), NEW, rename=True)


def test_a_move_does_not_follow_a_source_that_went_on(source: MemoryStore):
    """After a complete move, nothing can be appended to the old ledger after the final event."""
    target = MemoryStore()
    before = dict(source.batches)
    copied(source, target, NEW, rename=True)
    source.batches = before
    Log(source, PLACE, "0.1.0", StandingClock()).append([submitted("r1-0", "run-0", "job-0")], always)
    with pytest.raises(LedgerError, match=r"differs from .* at position 11\."):
        copied(source, target, NEW, rename=True)


def test_a_target_of_another_move_is_refused(source: MemoryStore):
    """A ledger that was moved to a third place counts as a different ledger."""
    target = MemoryStore()
    other = MemoryStore()
    written(other)
    copied(other, target, replace(NEW, project="other"), rename=True)
    with pytest.raises(LedgerError, match=r"differs from .* at position 1\."):
        copied(source, target, NEW, rename=True)
