"""Tests when a ledger is refused, with the same errors for every store: newer formats, other places, damage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from reconciler.core.ports import Store
from reconciler.core.state import Recorded
from reconciler.errors import LedgerCorrupt, LedgerError, LedgerFormatNewer, LedgerPinned
from reconciler.ledger.log import Log
from reconciler.ledger.sqlite import SqliteStore
from tests.ledger.builders import PLACE, MemoryStore, StandingClock, always, intended, submitted

LAST = 4


@dataclass
class Subject:
    """A ledger that can be opened, and changed while bypassing the log."""

    opened: Callable[[], Store]
    put: Callable[[Mapping[int, bytes]], None]

    def log(self) -> Log:
        """Returns a log of the default project and target."""
        return Log(self.opened(), PLACE, "0.1.0", StandingClock())

    def batches(self) -> dict[int, bytes]:
        """Returns the stored batches."""
        return dict(self.opened().read(0))


@pytest.fixture(params=["memory", "sqlite"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    """Yields a ledger with two submissions, with one event per position after the pin."""
    made = _memory() if request.param == "memory" else _sqlite(tmp_path / "ledger.sqlite")
    log = made.log()
    for number in range(LAST // 2):
        log.append([intended(f"job-{number}", f"r1-{number}")], always)
        log.append([submitted(f"r1-{number}", f"run-{number}", f"job-{number}")], always)
    log.close()
    return made


def _memory() -> Subject:
    store = MemoryStore()
    return Subject(lambda: store, lambda batches: setattr(store, "batches", dict(batches)))


def _sqlite(path: Path) -> Subject:
    def opened() -> SqliteStore:
        return SqliteStore(path, "sqlite:///ledger.sqlite")

    def put(batches: Mapping[int, bytes]) -> None:
        for file in path.parent.iterdir():
            file.unlink()
        store = opened()
        for position, raw in sorted(batches.items()):
            store.append(position, raw)
        store.close()

    return Subject(opened, put)


def changed(subject: Subject, position: int, old: str, new: str) -> None:
    """Replaces a text in one batch."""
    batches = subject.batches()
    assert old.encode() in batches[position]
    batches[position] = batches[position].replace(old.encode(), new.encode())
    subject.put(batches)


def refused(subject: Subject, kind: type[LedgerError], *said: str) -> None:
    """Checks that reading and appending both fail with this message, and that nothing is written."""
    before = subject.batches()
    for use in (lambda log: log.refresh(), lambda log: log.append([intended("x", "r1-x")], always)):
        with pytest.raises(kind) as caught:
            use(subject.log())
        assert [part for part in said if part not in str(caught.value)] == []
    assert before == subject.batches()


@pytest.mark.parametrize(
    ("position", "old", "new"),
    [
        (LAST, '{"format":1', '{"format":2'),
        (LAST, '"type":"submitted"', '"type":"teleported"'),
        (1, '"format":1,"tool_version"', '"format":2,"tool_version"'),
    ],
)
def test_a_newer_format_is_refused(subject: Subject, position: int, old: str, new: str):
    """If a batch, an event type or the pin is newer, the error tells the user to upgrade."""
    changed(subject, position, old, new)
    refused(subject, LedgerFormatNewer, "written by a newer reconciler", "Upgrade")


@pytest.mark.parametrize("field", ["project", "target", "account", "region"])
def test_another_place_is_refused_with_both_named(subject: Subject, field: str):
    """A ledger of another place is neither read nor written."""
    other = replace(PLACE, **{field: "other"})
    log = Log(subject.opened(), other, "0.1.0", StandingClock())
    with pytest.raises(LedgerPinned) as caught:
        log.refresh()
    for place in (PLACE, other):
        told = f"project {place.project}, target {place.target}, account {place.account}, region {place.region}"
        assert told in str(caught.value)
    assert Recorded() == log.recorded


DAMAGE = {
    "a changed byte": (lambda held: held | {2: held[2].replace(b"run-0", b"run-9")}, 3),
    "a missing position": (lambda held: {p: raw for p, raw in held.items() if p != 3}, 3),
    "what is not JSON": (lambda held: held | {LAST: b"\xff"}, LAST),
    "what is no batch": (lambda held: held | {LAST: b'{"format":1}'}, LAST),
    "a batch twice": (lambda held: held | {LAST + 1: held[LAST]}, LAST + 1),
    "an event without a field": (lambda held: held | {LAST: held[LAST].replace(b'"run_id"', b'"ran_id"')}, LAST),
    "an outcome of nothing": (lambda held: held | {LAST: held[LAST].replace(b"r1-1", b"r1-7")}, LAST),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_refused_with_its_position(subject: Subject, damage: str):
    """The error contains the position and the remedy, and every command fails."""
    change, position = DAMAGE[damage]
    subject.put(change(subject.batches()))
    refused(subject, LedgerCorrupt, f"position {position}")


@pytest.mark.parametrize("kept", range(LAST))
def test_a_ledger_that_lost_its_end_while_it_was_used(subject: Subject, kept: int):
    """If a ledger was rolled back or deleted, reading raises an error and the state does not change."""
    log = subject.log()
    log.refresh()
    subject.put({position: raw for position, raw in subject.batches().items() if position <= kept})
    with pytest.raises(LedgerCorrupt, match=r"existed before and is missing|had 4 positions and is gone"):
        log.refresh()
    assert (LAST, {"r1-0", "r1-1"}) == (log.recorded.position, set(log.recorded.by_token))


@pytest.mark.parametrize("kept", range(1, LAST))
def test_an_append_to_a_ledger_that_lost_its_end(subject: Subject, kept: int):
    """A log that has not noticed the loss appends after the gap, and no reader reads past the gap."""
    log = subject.log()
    log.refresh()
    subject.put({position: raw for position, raw in subject.batches().items() if position <= kept})
    assert LAST + 1 == log.append([intended("x", "r1-x")], always)
    refused(subject, LedgerCorrupt, f"position {kept + 1}: it is missing, but position {LAST + 1} exists")


def test_a_ledger_that_was_exchanged_while_it_was_used(subject: Subject):
    """A different ledger of the same project is detected by its last batch."""
    log = subject.log()
    log.refresh()
    changed(subject, LAST, "run-1", "run-2")
    with pytest.raises(LedgerCorrupt, match="differs from what was read before"):
        log.refresh()
