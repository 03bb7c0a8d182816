"""Tests that snapshots make reads short, and that snapshots are checked against the log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.events import Observed
from reconciler.core.fold import overlay
from reconciler.core.identity import Place
from reconciler.core.state import Recorded, RunState
from reconciler.errors import LedgerCorrupt, LedgerError, LedgerPinned, LedgerRolledBack
from reconciler.ledger import snapshot as snapshot_module
from reconciler.ledger import snapshot_codec
from reconciler.ledger.chained_batches import checksum
from reconciler.ledger.log import Log
from reconciler.ledger.open import open_store
from reconciler.ledger.snapshot import AT_THE_END, EVERY, SHARE, pack, unpack
from reconciler.ledger.snapshot_codec import fold_version, to_json
from reconciler.ledger.sqlite import SqliteStore
from reconciler.ledger.verify import verify
from tests.campaigns import in_soak
from tests.ledger.builders import AT, PLACE, MemoryStore, StandingClock, always, intended, submitted
from tests.ledger.server import Server

ROUNDS = EVERY // 2 + 20
"""The number of submissions in the sample ledger, with two positions each: enough for one snapshot and some positions
after it."""


class CountingStore(MemoryStore):
    """A store that counts calls."""

    def __init__(self) -> None:
        super().__init__()
        self.batches_read = self.reads = 0

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Implements `ports.Store`."""
        self.reads += 1
        for found in super().read(after):
            self.batches_read += 1
            yield found


def log_over(store: MemoryStore | SqliteStore, place: Place = PLACE, clock: StandingClock | None = None) -> Log:
    """Returns a log of the default place."""
    return Log(store, place, "0.1.0", clock or StandingClock())


def write(log: Log, rounds: int, first: int = 0) -> None:
    """Appends intents and their outcomes, one per position."""
    for number in range(first, first + rounds):
        log.append([intended(f"job-{number % 7}", f"r1-{number}", generation=number)], always)
        log.append([submitted(f"r1-{number}", f"run-{number}", f"job-{number % 7}")], always)


@pytest.fixture(scope="module")
def written() -> MemoryStore:
    """Returns a ledger with a snapshot and some positions after it."""
    store = MemoryStore()
    log = log_over(store)
    write(log, ROUNDS - 1)
    log.append([intended("job-9", "r1-9999")], always)
    log.append([submitted("r1-0", "run-0", "job-0"), submitted("r1-9999", "run-9999", "job-9")], always)
    assert store.snapshot is not None
    return store


@pytest.fixture
def store(written: MemoryStore) -> CountingStore:
    """Returns a copy of the ledger above, which counts calls."""
    copy = CountingStore()
    copy.batches, copy.snapshot = dict(written.batches), written.snapshot
    return copy


def fully_read(store: MemoryStore) -> Recorded:
    """Returns the state computed from all batches."""
    bare = MemoryStore()
    bare.batches = dict(store.batches)
    return log_over(bare).refresh()


def test_a_snapshot_makes_a_read_short(store: CountingStore):
    """Only the batch at the snapshot's position and the batches after it are read, in one call. The state is the same
    as without a snapshot."""
    assert store.snapshot is not None
    (position, _) = store.snapshot
    assert position == EVERY
    assert fully_read(store) == log_over(store).refresh()
    assert (1, 2 * ROUNDS - EVERY + 1) == (store.reads, store.batches_read)


def test_a_log_goes_on_from_a_snapshot(store: CountingStore):
    """Appends after a start from a snapshot continue the chain, and other logs read the same state."""
    log = log_over(store)
    log.refresh()
    write(log, 3, ROUNDS)
    assert fully_read(store) == log.recorded == log_over(store).refresh()


def test_every_so_many_positions_there_is_another(store: CountingStore):
    """A writer stores further snapshots at a fixed distance from the newest one."""
    log = log_over(store)
    write(log, EVERY // 2, ROUNDS)
    assert store.snapshot is not None
    assert store.snapshot[0] == 2 * EVERY
    assert fully_read(store) == log_over(store).refresh()


def test_no_send_waits_for_a_snapshot():
    """No snapshot is stored directly after an intent, because the deadline of its send is running."""
    store = MemoryStore()
    log = log_over(store)
    for number in range(EVERY + 3):
        log.append([intended(f"job-{number}", f"r1-{number}")], always)
    assert store.snapshot is None
    log.append([submitted("r1-0", "run-0", "job-0")], always)
    assert store.snapshot is not None


class SlowClock(StandingClock):
    """A clock by which every call takes one second."""

    def boot(self) -> float:
        """Advances the clock and returns the time."""
        self.moment += 1
        return self.moment


def test_snapshots_take_a_small_part_of_the_time():
    """If storing a snapshot takes long, the next one is stored later."""
    clock, store = SlowClock(), MemoryStore()
    log = log_over(store, clock=clock)
    write(log, EVERY // 2)
    assert store.snapshot is not None
    assert store.snapshot[0] == EVERY
    frozen = StandingClock(clock.moment)
    log._cache._clock = frozen
    write(log, EVERY, EVERY)
    assert store.snapshot[0] == EVERY
    frozen.moment += SHARE
    write(log, 1, 2 * EVERY)
    assert store.snapshot[0] == 3 * EVERY + 2


@pytest.mark.parametrize(("rounds", "kept"), [(AT_THE_END // 2, True), (AT_THE_END // 2 - 1, False)])
def test_a_writer_that_ends_leaves_a_snapshot(rounds: int, kept: bool):
    """A writer with enough appends stores a snapshot when it ends, so the next command reads almost nothing."""
    store = MemoryStore()
    log = log_over(store)
    write(log, rounds)
    assert store.snapshot is None
    log.close()
    assert kept == (store.snapshot is not None)


def test_who_only_reads_leaves_nothing(store: CountingStore):
    """A command that appends nothing writes nothing."""
    store.snapshot = None
    log = log_over(store)
    log.refresh()
    log.close()
    assert store.snapshot is None


def test_a_sqlite_ledger_keeps_one(tmp_path: Path):
    """A SQLite ledger contains a snapshot too, and older versions can still read the file."""
    opened = SqliteStore(tmp_path / "ledger.sqlite", "sqlite:///ledger.sqlite")
    log = log_over(opened)
    write(log, AT_THE_END)
    log.close()
    found = opened.newest_snapshot()
    assert found is not None
    assert found[0] == 2 * AT_THE_END
    assert log.recorded == log_over(opened).refresh()


@pytest.mark.parametrize(("scheme", "most"), [("s3", 4), ("dynamodb", 4)])
def test_a_read_in_aws_takes_a_few_requests(scheme: str, most: int, aws: Server, tmp_path: Path):
    """Only the snapshot and the batches from its position on are read."""
    url = aws.address(scheme)
    log = Log(open_store(url, tmp_path, PLACE), PLACE, "0.1.0", StandingClock())
    write(log, AT_THE_END)
    log.close()
    store: Any = open_store(url, tmp_path, PLACE)
    clients = store if scheme == "s3" else store.table
    requests: list[str] = []
    clients.reader.meta.events.register("before-send", lambda request, **_: requests.append(request.url))
    assert log.recorded == Log(store, PLACE, "0.1.0", StandingClock()).refresh()
    assert 0 < len(requests) <= most
    store.close()


def test_what_was_only_seen_is_never_kept(store: CountingStore):
    """If the state contains observations that are not recorded, no snapshot is stored."""
    before = store.snapshot
    log = log_over(store)
    overlay(log.refresh(), [Observed(at=AT, name="job-0", token="r1-0", run_id="run-0", state="failed", aws_state="X")])
    write(log, EVERY, ROUNDS)
    log.close()
    assert before == store.snapshot
    assert log_over(store).refresh().by_token["r1-0"].run_state is RunState.SUBMITTED


# --- never the truth --------------------------------------------------------------------------------------------------


def sealed(rest: bytes) -> bytes:
    """Returns content with a correct checksum."""
    return sha256(rest).hexdigest().encode() + b"\n" + rest


def with_header(content: bytes, **changes: object) -> bytes:
    """Returns the snapshot with another header and a correct checksum."""
    _, header, body = content.split(b"\n", 2)
    return sealed(json.dumps({**json.loads(header), **changes}).encode() + b"\n" + body)


def with_body(content: bytes, body: bytes) -> bytes:
    """Returns the snapshot with another body, the same header and a correct checksum."""
    return sealed(content.split(b"\n", 2)[1] + b"\n" + body)


def emptied(content: bytes) -> bytes:
    """Returns a state without specs, with a header and a correct checksum."""
    _, snapshot = unpack(content)
    assert snapshot is not None
    form = to_json(replace(snapshot.recorded, specs={}, by_token={}))
    return with_body(content, zlib.compress(json.dumps(form).encode()))


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "text": lambda _: b"no snapshot at all\n\n",
    "cut at the start": lambda content: content[1:],
    "cut in the middle": lambda content: content[: len(content) // 2],
    "cut by one byte": lambda content: content[:-1],
    "longer by one byte": lambda content: content + b"\0",
    "a flipped bit in the checksum": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "a flipped bit in the header": lambda content: content[:80] + bytes([content[80] ^ 1]) + content[81:],
    "a flipped bit in the body": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "another format": lambda content: with_header(content, format=2),
    "another fold": lambda content: with_header(content, fold="0" * 32),
    "no fold": lambda content: with_header(content, fold=None),
    "no batch": lambda content: with_header(content, batch=None),
    "a header that is none": lambda content: sealed(b"[]\n" + content.split(b"\n", 2)[2]),
    "a body that is not packed": lambda content: with_body(content, b"{}"),
    "a body that is not JSON": lambda content: with_body(content, zlib.compress(b"{")),
    "a body of another shape": lambda content: with_body(content, zlib.compress(b'{"submissions": [[1]]}')),
    "a body that is too deep": lambda content: with_body(content, zlib.compress(b"[" * 100_000)),
    "a state that the rest cannot follow": emptied,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_or_forged_snapshot_changes_nothing(store: CountingStore, damage: Callable[[bytes], bytes]):
    """The snapshot is ignored, the state is read from the batches, and the next writer replaces the snapshot."""
    assert store.snapshot is not None
    before = store.snapshot[1]
    store.snapshot = (store.snapshot[0], damage(before))
    log = log_over(store)
    assert fully_read(store) == log.refresh()
    log.append([submitted("r1-0", "run-0", "job-0")], always)
    assert unpack(store.snapshot[1])[1] is not None
    assert fully_read(store) == log_over(store).refresh()


def cut_back(store: CountingStore) -> None:
    """Restores the ledger from before the snapshot."""
    store.batches = {position: raw for position, raw in store.batches.items() if position < EVERY}


def written_again(store: CountingStore) -> None:
    """Restores that ledger, to which other writers have appended since."""
    store.batches = {position: raw for position, raw in store.batches.items() if position < EVERY // 2}
    snapshot, store.snapshot = store.snapshot, None
    write(log_over(store), EVERY // 2, 5000)
    store.snapshot = snapshot


def replaced_whole(store: CountingStore) -> None:
    """Replaces the ledger with another one of the same project and target."""
    store.batches, snapshot, store.snapshot = {}, store.snapshot, None
    write(log_over(store), ROUNDS, 7000)
    store.snapshot = snapshot


def deleted(store: CountingStore) -> None:
    """Deletes all batches, but not the snapshot."""
    store.batches = {}


def of_another_version(store: CountingStore) -> None:
    """Restores an earlier ledger, with a snapshot that another version of the program wrote."""
    cut_back(store)
    assert store.snapshot is not None
    store.snapshot = (store.snapshot[0], with_header(store.snapshot[1], fold="0" * 32))


ROLLBACKS = (cut_back, written_again, replaced_whole, deleted, of_another_version)


@pytest.mark.parametrize("founds", [True, False])
@pytest.mark.parametrize("rollback", ROLLBACKS)
def test_a_ledger_that_was_rolled_back_is_refused(
    store: CountingStore, rollback: Callable[[CountingStore], None], founds: bool
):
    """Reading, writing and creating the ledger raise errors, and nothing is written."""
    rollback(store)
    before = dict(store.batches)

    def anew() -> Log:
        return Log(store, PLACE, "0.1.0", StandingClock(), founds=founds)

    for use in (
        lambda: anew().refresh(),
        lambda: anew().append([intended("more", "r1-more")], always),
        lambda: anew().create(),
    ):
        with pytest.raises(LedgerRolledBack, match=r"accept-rollback -t prod --reason"):
            use()
    assert store.batches == before
    assert anew().refresh(rolled_back=True).position == len(before)


@pytest.mark.parametrize("rollback", in_soak(ROLLBACKS, {cut_back, written_again, deleted}.__contains__))
def test_a_rollback_that_was_accepted_is_recorded(store: CountingStore, rollback: Callable[[CountingStore], None]):
    """All readers can use the ledger again. Once the log is longer than the old snapshot's position, the snapshot is
    replaced."""
    rollback(store)
    log = log_over(store)
    log.accept_rollback("the backup is all that is left", "ops")

    assert log.recorded.rollbacks[-1].lost_position == EVERY
    assert fully_read(store) == log_over(store).refresh()
    write(log_over(store), EVERY, 9000)
    assert fully_read(store) == log_over(store).refresh()
    assert verify(store, PLACE).wrong() == set()
    assert store.snapshot is not None
    assert unpack(store.snapshot[1])[1] is not None


def test_a_second_rollback_is_refused_too(store: CountingStore):
    """An operator accepts a single rollback. The next rollback needs another decision."""
    cut_back(store)
    log_over(store).accept_rollback("the backup is all that is left", "ops")
    write(log_over(store), EVERY, 9000)
    cut_back(store)
    with pytest.raises(LedgerRolledBack):
        log_over(store).refresh()


@pytest.mark.parametrize("change", [{"position": EVERY - 1}, {"batch": checksum(b"other")}])
def test_a_forged_snapshot_can_only_stop_a_ledger(store: CountingStore, change: dict[str, Any]):
    """A snapshot that contains the checksum of another batch counts as evidence of a rollback. It never changes what is
    read."""
    assert store.snapshot is not None
    store.snapshot = (store.snapshot[0], with_header(store.snapshot[1], **change))
    with pytest.raises(LedgerRolledBack):
        log_over(store).refresh()


@pytest.mark.parametrize("size", [10**6, 10**8])
def test_a_snapshot_that_would_unpack_without_bound_is_ignored(store: CountingStore, size: int):
    """A snapshot is decompressed to at most a hundred times its compressed size. If it is larger, the ledger is read
    from its beginning."""
    assert store.snapshot is not None
    bomb = with_body(store.snapshot[1], zlib.compress(b"[" + b" " * size + b"]", 9))
    store.snapshot = (store.snapshot[0], bomb)
    tracemalloc.start()
    try:
        recorded = log_over(store).refresh()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert fully_read(store) == recorded
    assert most < 64_000_000


def test_a_state_that_compresses_too_well_is_not_kept(monkeypatch: pytest.MonkeyPatch, store: CountingStore):
    """A snapshot that could not be read again is not stored."""
    monkeypatch.setattr(snapshot_module, "MOST_BYTES", 1000)
    assert store.snapshot is not None
    assert unpack(store.snapshot[1])[1] is None
    assert pack(log_over(store).refresh(), "0") is None


def test_an_old_snapshot_is_only_a_longer_read(store: CountingStore):
    """A ledger with an older snapshot gives the same state."""
    snapshot = store.snapshot
    write(log_over(store), EVERY, ROUNDS)
    store.snapshot = snapshot
    assert fully_read(store) == log_over(store).refresh()


@pytest.mark.parametrize(
    "place", [replace(PLACE, project="billing"), replace(PLACE, account="1"), replace(PLACE, target="t")]
)
def test_the_snapshot_of_another_place_is_passed_over(store: CountingStore, place: Place):
    """A snapshot of another project is ignored."""
    other = CountingStore()
    write(log_over(other, place), ROUNDS)
    store.snapshot, other.snapshot = other.snapshot, store.snapshot
    assert fully_read(store) == log_over(store).refresh()
    with pytest.raises(LedgerPinned):
        log_over(other).refresh()


def test_damage_after_the_snapshot_is_told_as_ever(store: CountingStore):
    """Damage in the batches after a snapshot is reported as it is without a snapshot."""
    store.batches[2 * ROUNDS - 2] = store.batches[2 * ROUNDS - 3]
    with pytest.raises(LedgerCorrupt, match=f"position {2 * ROUNDS - 2}"):
        log_over(store).refresh()


class Broken(MemoryStore):
    """A store that fails to read and write snapshots."""

    def newest_snapshot(self) -> tuple[int, bytes] | None:
        """Raises an error."""
        raise LedgerError("denied")

    def keep_snapshot(self, position: int, content: bytes) -> None:
        """Raises an error."""
        raise LedgerError("denied")


def test_a_store_that_fails_with_snapshots_is_as_good_as_one_without():
    """Reading and writing batches still succeeds."""
    store = Broken()
    write(log_over(store), ROUNDS)
    log = log_over(store)
    write(log, 1, ROUNDS)
    log.close()
    assert fully_read(store) == log.recorded


def test_a_snapshot_is_used_after_an_upgrade_that_folds_alike(monkeypatch: pytest.MonkeyPatch):
    """The version of a snapshot does not depend on the version of the program, only on that of the fold."""
    version = fold_version.__wrapped__
    monkeypatch.setattr("reconciler.__version__", "99")
    assert version() == fold_version()
    monkeypatch.setattr(snapshot_codec, "FOLD", snapshot_codec.FOLD + 1)
    assert version() != fold_version()


def test_every_process_computes_the_same_version():
    """Another process, with other memory addresses and hashes, computes the same version, so it can use the snapshots
    of this one."""
    code = "from reconciler.ledger.snapshot_codec import fold_version; print(fold_version())"
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)

    assert done.stdout.strip() == fold_version()
