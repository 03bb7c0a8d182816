"""Tests the verification of a whole ledger. Every problem is reported with its position."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.fsck import Severity, failures
from reconciler.core.ports import Store
from reconciler.errors import LedgerMissing, LedgerUnreachable
from reconciler.ledger.chained_batches import checksum, encode
from reconciler.ledger.chained_batches import decode as decode_batch
from reconciler.ledger.log import Log
from reconciler.ledger.snapshot import pack
from reconciler.ledger.sqlite import SqliteStore
from reconciler.ledger.verify import LedgerCheck, Report, verify
from tests.ledger.builders import PLACE, MemoryStore, StandingClock, always, intended, submitted

LAST = 12


def written(store: Store) -> Log:
    """Returns a ledger with six submissions, with one event per position after the first."""
    log = Log(store, PLACE, "0.1.0", StandingClock())
    for number in range(LAST // 2):
        log.append([intended(f"job-{number}", f"r1-{number}")], always)
        log.append([submitted(f"r1-{number}", f"run-{number}", f"job-{number}")], always)
    return log


@pytest.fixture
def store() -> MemoryStore:
    """Returns an undamaged ledger with a snapshot at position 10."""
    made = MemoryStore()
    half = MemoryStore()
    written(made)
    half.batches = {position: raw for position, raw in made.batches.items() if position <= 10}
    log = Log(half, PLACE, "0.1.0", StandingClock())
    content = pack(log.refresh(), checksum(half.batches[10]))
    assert content is not None
    made.snapshot = (10, content)
    return made


def wrong(verdict: Report) -> list[tuple[str, int | None]]:
    """Returns the failed checks and their positions."""
    return [(str(finding.check), finding.position) for finding in failures(verdict.findings)]


def test_a_sound_ledger(store: MemoryStore):
    """Every check is reported once, and none fails."""
    verdict = verify(store, PLACE)
    assert list(LedgerCheck) == [finding.check for finding in verdict.findings]
    assert {Severity.OK} == {finding.severity for finding in verdict.findings}
    assert (LAST, LAST + 1, checksum(store.batches[LAST])) == (verdict.positions, verdict.events, verdict.head)
    assert Log(store, PLACE, "0", StandingClock()).refresh() == verdict.recorded


def test_a_sound_ledger_in_a_file(tmp_path: Path):
    """A ledger in SQLite without a snapshot passes."""
    store = SqliteStore(tmp_path / "ledger.sqlite", "sqlite:///ledger.sqlite")
    written(store)
    verdict = verify(store, PLACE)
    assert verdict.wrong() == set()
    assert Severity.WARN is verdict.findings[-1].severity
    assert verdict.positions == LAST


def test_a_ledger_that_is_not_there_is_missing():
    """A missing ledger is an error."""
    with pytest.raises(LedgerMissing):
        verify(MemoryStore(), PLACE)


def test_a_store_that_does_not_answer_gives_no_verdict(store: MemoryStore):
    """A store that does not reply is not reported as damage."""

    class Silent(MemoryStore):
        def read(self, after: int):
            yield from list(super().read(after))[:3]
            raise LedgerUnreachable("no answer")

    silent = Silent()
    silent.batches = store.batches
    with pytest.raises(LedgerUnreachable):
        verify(silent, PLACE)


def changed(store: MemoryStore, position: int, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes one batch, as a person could with an editor."""
    form = json.loads(store.batches[position])
    change(form)
    store.batches[position] = json.dumps(form, separators=(",", ":")).encode()


def relinked(store: MemoryStore, first: int) -> None:
    """Recomputes the chain from a position on, as a careful forger would."""
    for position in range(first, LAST + 1):
        batch = decode_batch(store.batches[position], position, store.address)
        store.batches[position] = encode(replace(batch, prev=checksum(store.batches[position - 1])))


def drop(store: MemoryStore) -> None:
    """Deletes two positions."""
    del store.batches[4], store.batches[5]


def edit(store: MemoryStore) -> None:
    """Changes one byte of an old batch."""
    store.batches[3] = store.batches[3].replace(b"orders.yaml", b"errors.yaml")


def swap(store: MemoryStore) -> None:
    """Swaps two batches."""
    store.batches[5], store.batches[6] = store.batches[6], store.batches[5]


def garbage(store: MemoryStore) -> None:
    """Replaces a batch with text that is not JSON."""
    store.batches[6] = b"\xff\xfe"


def newer(store: MemoryStore) -> None:
    """Replaces a batch with one of a newer format, in an intact chain."""
    changed(store, LAST, lambda form: form.update(format=2))


def headless(store: MemoryStore) -> None:
    """Deletes the beginning."""
    del store.batches[1]


def orphan(store: MemoryStore) -> None:
    """Adds the outcome of a submission that has no intent, in an intact chain."""
    changed(store, 8, lambda form: form["events"][0].update(token="r1-zz"))
    relinked(store, 9)


def twice(store: MemoryStore) -> None:
    """Adds a second intent for a submission under another token, in an intact chain."""
    changed(store, 9, lambda form: form["events"][0].update(token="r1-zz", name="job-0"))
    relinked(store, 10)


def reopened(store: MemoryStore) -> None:
    """Adds a second event with the ledger's project and target, in an intact chain."""
    opened = json.loads(store.batches[1])["events"][0]
    changed(store, 7, lambda form: form["events"].insert(0, opened))
    relinked(store, 8)


def nobodys(store: MemoryStore) -> None:
    """Removes the ledger's project and target from the first event, in an intact chain."""
    changed(store, 1, lambda form: form["events"].pop(0))
    relinked(store, 2)


def several(store: MemoryStore) -> None:
    """Causes two kinds of damage, both of which are reported."""
    edit(store)
    del store.batches[9]


DAMAGE: list[tuple[Callable[[MemoryStore], None], list[tuple[str, int]]]] = [
    (drop, [("positions", 4)]),
    (edit, [("chain", 4)]),
    (swap, [("chain", 5), ("chain", 6), ("chain", 7), ("events", 5)]),
    (garbage, [("chain", 7), ("batches", 6)]),
    (newer, [("batches", LAST)]),
    (headless, [("positions", 1)]),
    (orphan, [("events", 8)]),
    (twice, [("events", 9)]),
    (reopened, [("pin", 7)]),
    (nobodys, [("pin", 1)]),
    (several, [("positions", 9), ("chain", 4)]),
]


@pytest.mark.parametrize(("damage", "found"), DAMAGE, ids=lambda value: getattr(value, "__name__", ""))
def test_damage_is_found_where_it_is(
    store: MemoryStore, damage: Callable[[MemoryStore], None], found: list[tuple[str, int]]
):
    """Each kind of damage is reported with its position and advice. Checks that the damage makes impossible are
    reported as skipped."""
    store.snapshot = None
    damage(store)
    verdict = verify(store, PLACE)
    assert found == wrong(verdict)
    assert all(finding.advice for finding in failures(verdict.findings))
    assert set(LedgerCheck) == {finding.check for finding in verdict.findings}


def test_the_same_damage_in_a_file(tmp_path: Path, store: MemoryStore):
    """The same problems are reported for damage in SQLite."""
    edit(store)
    file = SqliteStore(tmp_path / "ledger.sqlite", "sqlite:///ledger.sqlite")
    for position, raw in store.batches.items():
        file.append(position, raw)
    assert [("chain", 4)] == wrong(verify(file, PLACE))


@pytest.mark.parametrize("field", ["project", "target", "account", "region"])
def test_a_ledger_of_another_place(store: MemoryStore, field: str):
    """The report contains both places, and the remaining checks still run."""
    verdict = verify(store, replace(PLACE, **{field: "other"}))
    assert [("pin", 1)] == wrong(verdict)
    message = next(finding.message for finding in verdict.findings if finding.check is LedgerCheck.PIN)
    assert "other" in message
    assert "project analytics, target prod, account 444455556666, region eu-west-1" in message


def test_a_file_that_is_damaged_itself(tmp_path: Path):
    """If a store cannot be read, this is reported as a failed check."""
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database" * 100)
    assert [("store", 1)] == wrong(verify(SqliteStore(path, "sqlite:///ledger.sqlite"), PLACE))


def test_a_forged_snapshot_is_found(store: MemoryStore):
    """A snapshot that belongs to the batches but contains a different state is detected, although no reader notices
    it."""
    recorded = verify(store, PLACE).recorded
    recorded.specs.pop("job-0")
    recorded.by_token.pop("r1-0")
    content = pack(recorded, checksum(store.batches[LAST]))
    assert content is not None
    store.snapshot = (LAST, content)
    verdict = verify(store, PLACE)
    assert [("snapshot", LAST)] == wrong(verdict)
    assert "r1-0" in verdict.recorded.by_token


def test_a_ledger_that_was_rolled_back(store: MemoryStore):
    """A snapshot at a position past the end proves that the ledger was longer."""
    store.batches = {position: raw for position, raw in store.batches.items() if position < 8}
    assert [("snapshot", 8)] == wrong(verify(store, PLACE))


def test_a_ledger_that_was_rolled_back_and_written_again(store: MemoryStore):
    """A snapshot whose batch has changed also proves that the ledger was rolled back."""
    store.batches = {position: raw for position, raw in store.batches.items() if position < 10}
    log = Log(store, PLACE, "0.1.0", StandingClock())
    snapshot, store.snapshot = store.snapshot, None
    for number in range(10, 15):
        log.append([intended(f"other-{number}", f"r1-{number}")], always)
    store.snapshot = snapshot
    assert [("snapshot", 10)] == wrong(verify(store, PLACE))


def test_a_snapshot_of_no_use_is_no_damage(store: MemoryStore):
    """A snapshot that is damaged, or from another version, is ignored and reported."""
    store.snapshot = (10, b"x")
    verdict = verify(store, PLACE)
    assert wrong(verdict) == []
    assert Severity.WARN is verdict.findings[-1].severity
