"""The chain of batches: each position follows the one before it, and the first says whose ledger it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.errors import LedgerPinned
from reconciler.identity.digest import Place
from reconciler.ledger.batch import Batch, checksum, corrupt, decode
from reconciler.ports import Store
from reconciler.recorded import events as e
from reconciler.recorded.state import Pin


@dataclass(slots=True)
class Chain:
    """How far a log has been followed: `head` is what is at `position`, `None` at 0. `place` is whose it must be."""

    address: str
    place: Place
    position: int = 0
    head: bytes | None = None

    @property
    def link(self) -> str | None:
        """What the next batch must carry as `prev`."""
        return None if self.head is None else checksum(self.head)

    def accept(self, position: int, raw: bytes) -> Batch:
        """The next batch, if it is that: nothing moves before `move`.

        Raises `LedgerCorrupt` for a gap, a broken chain or what is no batch, `LedgerPinned` for a ledger of another
        place, `LedgerFormatNewer` as `decode` does.
        """
        self.check_gap(position)
        batch = decode(raw, position, self.address)
        self.check_link(position, batch.prev)
        if position == 1:
            self.check_pin(batch)
        return batch

    def move(self, position: int, raw: bytes) -> None:
        """Goes on to a batch that was accepted, or that this process appended."""
        self.position, self.head = position, raw

    def check_gap(self, position: int) -> None:
        """Raises `LedgerCorrupt` where `position` is not the next one."""
        if position != self.position + 1:
            raise corrupt(self.position + 1, self.address, f"it is missing, and position {position} is there")

    def check_link(self, position: int, prev: object) -> None:
        """Raises `LedgerCorrupt` where a batch that carries `prev` does not follow the head."""
        if prev != self.link:
            raise corrupt(position, self.address, "it does not follow the batch before it (the hash chain is broken)")

    def check_pin(self, first: Batch) -> None:
        """Raises `LedgerPinned` where the first batch is of another place, `LedgerCorrupt` where it says nothing."""
        theirs = pin_of(first)
        if theirs is None:
            raise corrupt(1, self.address, "it does not begin by saying what the ledger belongs to")
        ours = pin_at(self.place)
        if ours != theirs:
            raise LedgerPinned(
                f"the ledger {self.address} belongs to {described(theirs)}, and this is {described(ours)}: "
                "nothing was read or written. Use another ledger, or the project and target it belongs to."
            )


def walk(store: Store, place: Place, after: int = 0) -> Iterator[tuple[int, bytes, Batch]]:
    """Every batch after a position with its bytes, checked as `Chain.accept` does, and nothing taken from a snapshot.

    Raises what it raises, and `LedgerMissing`. The chain is checked from `after` on, the batch there included.
    """
    chain = Chain(store.address, place, max(after - 1, 0))
    for position, raw in store.read(chain.position):
        if position == after:
            chain.check_gap(position)
        else:
            yield position, raw, chain.accept(position, raw)
        chain.move(position, raw)


def pin_at(place: Place) -> Pin:
    """What a ledger of this place is pinned to."""
    return Pin(place.project, place.target, place.account, place.region)


def pin_of(first: Batch) -> Pin | None:
    """What the batch at position 1 says that the ledger belongs to; `None` where it says nothing."""
    opened = first.events[0] if first.events else None
    if not isinstance(opened, e.Opened):
        return None
    return Pin(opened.project, opened.target, opened.account, opened.region)


def described(pin: Pin) -> str:
    """A pin in words."""
    return f"project {pin.project}, target {pin.target}, account {pin.account}, region {pin.region}"
