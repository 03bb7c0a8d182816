"""Encodes batches of events as bytes, and checks the chain of checksums that links them."""

import json
from collections.abc import Container, Iterator, Sequence
from hashlib import sha256
from typing import Any

from reconciler.core import event_codec
from reconciler.core import events as e
from reconciler.core.events import Event
from reconciler.core.identity import Place
from reconciler.core.ports import Store
from reconciler.errors import LedgerCorrupt, LedgerError, LedgerFormatNewer, LedgerPinned
from reconciler.values import dataclass

FORMAT = 1
"""The version of the batch format. A higher version is refused."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The batch that a writer stored at one position. `at` is the time on the writer's clock, in ISO 8601. `prev` is
    the checksum of the batch before, or `None` at position 1.
    """

    nonce: str
    at: str
    prev: str | None
    events: tuple[Event, ...]


def checksum(raw: bytes) -> str:
    """Returns the sha256 of a batch's bytes, in hex. It is the `prev` of the next batch."""
    return sha256(raw).hexdigest()


def encode(batch: Batch) -> bytes:
    """Returns the bytes of a batch: ASCII JSON without white space. Raises `ValueError` for values that JSON cannot
    represent."""
    form = {
        "format": FORMAT,
        "nonce": batch.nonce,
        "at": batch.at,
        "prev": batch.prev,
        "events": [event_codec.encode(event) for event in batch.events],
    }
    return json.dumps(form, separators=(",", ":"), allow_nan=False).encode("ascii")


def decode(raw: bytes, position: int, address: str, names: Container[str] | None = None) -> Batch:
    """Returns the batch in `raw`; `position` and `address` are for messages. With `names`, the result contains only the
    events about specs with these names, because a batch may contain events about hundreds of specs.

    Raises `LedgerFormatNewer` for a batch or event of a newer version, and `LedgerCorrupt` for content that reconciler
    never writes.
    """
    form = _object(raw, position, address)
    if form["format"] > FORMAT:
        raise LedgerFormatNewer(
            f"position {position} of the ledger {address} has format {form['format']}, this version reads {FORMAT}: "
            "it was written by a newer reconciler. Upgrade to that version."
        )
    if not _well_formed(form):
        raise corrupt(position, address, "its fields are not those of a batch")
    try:
        decoded = tuple(
            event_codec.decode(event) for event in form["events"] if names is None or str(event.get("name")) in names
        )
    except LedgerError as error:
        raise type(error)(f"position {position} of {address}: {error}") from error
    return Batch(form["nonce"], form["at"], form["prev"], decoded)


def corrupt(position: int, address: str, why: str) -> LedgerCorrupt:
    """Returns the error for a position with content that reconciler never writes."""
    return LedgerCorrupt(
        f"the ledger {address} is damaged at position {position}: {why}. Nothing was changed. "
        "Restore it from a copy. Never continue with a new, empty one: everything would run again."
    )


def _object(raw: bytes, position: int, address: str) -> dict[str, Any]:
    try:
        form = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise corrupt(position, address, "it is not JSON") from error
    # `isinstance` would accept true as a number.
    if not isinstance(form, dict) or type(form.get("format")) is not int or form["format"] < 1:
        raise corrupt(position, address, "it is not a batch")
    return form


def _well_formed(form: dict[str, Any]) -> bool:
    listed: Sequence[object] | None = form.get("events") if isinstance(form.get("events"), list) else None
    return (
        isinstance(form.get("nonce"), str)
        and isinstance(form.get("at"), str)
        and "prev" in form
        and isinstance(form["prev"], str | None)
        and listed is not None
        and all(isinstance(event, dict) and isinstance(event.get("type"), str) for event in listed)
    )


@dataclass(slots=True)
class Chain:
    """The progress of reading a log in order. `head` is the batch at `position`, or `None` at position 0. `place` is
    the place (project, target, account and region) that the ledger must belong to.
    """

    address: str
    place: Place
    position: int = 0
    head: bytes | None = None

    @property
    def link(self) -> str | None:
        """The `prev` that the next batch must have."""
        return None if self.head is None else checksum(self.head)

    def accept(self, position: int, raw: bytes) -> Batch:
        """Checks and returns the next batch, without moving to it.

        Raises `LedgerCorrupt` for a gap, a broken chain or bytes that are not a batch, `LedgerPinned` if the ledger
        belongs to another place, and `LedgerFormatNewer` as `decode` does.
        """
        self.check_gap(position)
        batch = decode(raw, position, self.address)
        self.check_link(position, batch.prev)
        if position == 1:
            self.check_pin(batch)
        return batch

    def move(self, position: int, raw: bytes) -> None:
        """Moves to a batch that was accepted, or that this process appended."""
        self.position, self.head = position, raw

    def check_gap(self, position: int) -> None:
        """Raises `LedgerCorrupt` if `position` is not the next position."""
        if position != self.position + 1:
            raise corrupt(self.position + 1, self.address, f"it is missing, but position {position} exists")

    def check_link(self, position: int, prev: object) -> None:
        """Raises `LedgerCorrupt` if a batch with this `prev` does not follow the head."""
        if prev != self.link:
            raise corrupt(position, self.address, "it does not follow the batch before it (the hash chain is broken)")

    def check_pin(self, first: Batch) -> None:
        """Raises `LedgerPinned` if the first batch belongs to another place, and `LedgerCorrupt` if it contains no
        place."""
        theirs = pin_of(first)
        if theirs is None:
            raise corrupt(1, self.address, "its first event does not name the ledger's project and target")
        if theirs != self.place:
            raise LedgerPinned(
                f"the ledger {self.address} belongs to {theirs}, and this is {self.place}: "
                "nothing was read or written. Use another ledger, or the project and target that it belongs to."
            )


def walk(store: Store, place: Place, after: int = 0) -> Iterator[tuple[int, bytes, Batch]]:
    """Yields every batch after position `after` with its bytes, checked by `Chain.accept`. Uses no snapshot.

    Raises the errors of `Chain.accept`, and `LedgerMissing`. The batch at `after` itself is checked too.
    """
    chain = Chain(store.address, place, max(after - 1, 0))
    for position, raw in store.read(chain.position):
        if position == after:
            chain.check_gap(position)
        else:
            yield position, raw, chain.accept(position, raw)
        chain.move(position, raw)


def pin_of(first: Batch) -> Place | None:
    """Returns the place in the batch at position 1, or `None` if it has none."""
    opened = first.events[0] if first.events else None
    if not isinstance(opened, e.Opened):
        return None
    return Place(opened.project, opened.target, opened.account, opened.region)
