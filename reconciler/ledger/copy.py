"""Copies a ledger to another store, batch by batch: byte for byte, or for another place with a new chain.

The last event of the source then names the target, so that writers cannot continue in both ledgers. An interrupted copy
can be resumed if the target contains exactly the batches that the copy would have written. Nothing is ever overwritten.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from uuid import uuid4

from reconciler.core.fsck import failures
from reconciler.core.identity import Place
from reconciler.core.ledger_changes import MovedAway, Renamed
from reconciler.core.ports import Clock, Store
from reconciler.core.times import time_text
from reconciler.errors import LedgerError, LedgerMissing, LedgerMoved
from reconciler.ledger.append import append_with_retries
from reconciler.ledger.chained_batches import Batch, checksum, corrupt, decode, encode, pin_of, walk
from reconciler.ledger.verify import Report, verify
from reconciler.values import dataclass

NAMED = 3
"""The maximum number of specs that a message names."""


@dataclass(frozen=True, slots=True)
class Copied:
    """The result of a copy: the number of positions in the target, how many of them existed before, and the place that
    the ledger was moved from, if any.
    """

    positions: int
    already: int
    renamed_from: Place | None = None


@dataclass(frozen=True, slots=True)
class Author:
    """The user who copies a ledger, and the version of the tool."""

    actor: str
    tool_version: str


def copy(
    source: Store,
    target: Store,
    place: Place,
    clock: Clock,
    *,
    author: Author,
    rename: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Copied:
    """Copies the ledger in `source` to `target` for `place`, and closes the source with a final event. With `rename`,
    the source belongs to another place.

    `progress` is called with each finished position. Raises `LedgerError` if the source is damaged or belongs to
    another place (then nothing is written), if another writer appended to it during the copy, if its final event cannot
    be written, or if the target contains other batches.
    """
    origin = _origin(source, place) if rename else place
    report = verify(source, origin)
    _check(report, target.address, place, moved=rename)
    ended = report.recorded.moved is not None
    # The final event of a source that an earlier copy closed belongs only to the source.
    last, head = report.positions - ended, ""
    copier = _Copier(source, target, clock)
    for position, raw, _ in walk(source, origin):
        if position > last:
            break
        copier.add(position, _rewritten(position, raw, copier.link, place) if rename else raw)
        head = checksum(raw)
        progress(position)
    # Before the target is completed. `_end` finds batches that are appended after this.
    if not ended:
        copier.check_still()
    at = time_text(datetime.fromtimestamp(clock.now(), UTC))
    if rename:
        former = _about(origin, author, at)
        copier.add_renamed(Renamed(**former, ledger=report.address, positions=last, head=head))
    copier.check_end()
    if not ended:
        event = MovedAway(**_about(place, author, at), ledger=target.address, positions=last)
        _end(source, clock, head, event)
    return Copied(copier.position, copier.already, origin if rename else None)


def _end(source: Store, clock: Clock, head: str, event: MovedAway) -> None:
    """Appends the final event to the source. Raises `LedgerError` if another writer appended to it during the copy, and
    the errors of an append.
    """
    last = event.positions
    batch = Batch(uuid4().hex, event.at, head, (event,))
    raw = encode(batch)
    held = append_with_retries(source, clock, last + 1, raw)
    if held != raw:
        raise _grew(source.address, last + 1, last, event.ledger)


def _grew(source: str, position: int, copied: int, target: str) -> LedgerError:
    return LedgerError(
        f"the ledger {source} grew to position {position} while it was copied: something still writes to it. Positions "
        f"1 to {copied} are in {target}. Stop the writers, then run the same command again: it continues from there."
    )


def _about(place: Place, author: Author, at: str) -> dict[str, str]:
    """Returns the fields that are the same in all events of a copy."""
    return {
        "at": at,
        "project": place.project,
        "target": place.target,
        "account": place.account,
        "region": place.region,
        "actor": author.actor,
        "tool_version": author.tool_version,
    }


def _origin(source: Store, place: Place) -> Place:
    """Returns the place that a ledger belongs to."""
    raw = source.get(1)
    pin = None if raw is None else pin_of(decode(raw, 1, source.address))
    if pin is None:
        raise corrupt(1, source.address, "its first event does not name the ledger's project and target")
    origin = Place(pin.project, pin.target, pin.account, pin.region)
    if origin == place:
        raise LedgerError(f"the ledger {source.address} belongs to this target already: copy it without --rename")
    return origin


def _check(report: Report, target: str, place: Place, *, moved: bool) -> None:
    """Raises `LedgerError` for a damaged ledger, for one that was copied elsewhere, and for a move of a ledger with
    unresolved submissions."""
    if failed := failures(report.findings):
        raise LedgerError(f"the ledger {report.address} is not copied: {failed[0].message}. {failed[0].advice}")
    gone = report.recorded.moved
    if gone is not None and (gone.ledger, gone.place) != (target, place):
        raise LedgerMoved(
            f"the ledger {report.address} ended: it was copied to {gone.ledger}, as the ledger of {gone.place}. "
            "Nothing was written. Copy that one instead"
        )
    unresolved = sorted({submission.name for submission in report.recorded.unresolved()})
    if moved and unresolved:
        names = ", ".join(unresolved[:NAMED]) + (" …" if len(unresolved) > NAMED else "")
        raise LedgerError(
            f"the ledger {report.address} is not moved: the outcome of submissions of {names} is unknown, and can only "
            "be determined at the old place. Run apply or resolve there first."
        )


def _rewritten(position: int, raw: bytes, link: str | None, place: Place) -> bytes:
    """Returns the batch with a new `prev` and, at position 1, with `place` as its place. Everything else is unchanged,
    including unknown fields.
    """
    form = json.loads(raw)
    form["prev"] = link
    if position == 1:
        form["events"][0] |= {
            "project": place.project,
            "target": place.target,
            "account": place.account,
            "region": place.region,
        }
    return json.dumps(form, separators=(",", ":")).encode("ascii")


class _Copier:
    """A copy in progress. Positions up to `position` have been copied; `already` of them were in the target before."""

    def __init__(self, source: Store, target: Store, clock: Clock) -> None:
        self._source, self._target, self._clock = source, target, clock
        self._there: Iterator[tuple[int, bytes]] | None = self._held()
        self._head: bytes | None = None
        self.position = self.already = 0

    @property
    def link(self) -> str | None:
        """The checksum of the last copied batch."""
        return None if self._head is None else checksum(self._head)

    def add(self, position: int, raw: bytes) -> None:
        """Writes a batch at a position unless the target already contains it. Raises `LedgerError` if the target has
        another batch at the position.
        """
        entry = self._put(position, raw)
        if entry != (position, raw):
            raise self._refusal(entry[0])
        self.position, self._head = entry

    def add_renamed(self, event: Renamed) -> None:
        """Appends the event that records the move, unless an earlier complete copy has appended it."""
        position = self.position + 1
        # The nonce depends only on the source, so that a repeated copy recognizes this batch.
        batch = Batch(event.head[:32], event.at, self.link, (event,))
        entry = self._put(position, encode(batch))
        held = decode(entry[1], entry[0], self._target.address)
        if (entry[0], held.nonce, held.prev) != (position, batch.nonce, batch.prev):  # the time may differ
            raise self._refusal(entry[0])
        self.position, self._head = entry

    def check_still(self) -> None:
        """Raises `LedgerError` if the source has more batches than were copied."""
        last = max((position for position, _ in self._source.read(self.position)), default=self.position)
        if last > self.position:
            raise _grew(self._source.address, last, self.position, self._target.address)

    def check_end(self) -> None:
        """Raises `LedgerError` if the target has more batches than were copied."""
        entry = self._next()
        if entry is not None:
            raise self._refusal(entry[0])

    def _held(self) -> Iterator[tuple[int, bytes]] | None:
        try:
            return self._target.read(0)
        except LedgerMissing:
            return None

    def _put(self, position: int, raw: bytes) -> tuple[int, bytes]:
        """Returns the next batch of the target. If there is none, writes the given batch first."""
        entry = self._next()
        if entry is None:
            return position, append_with_retries(self._target, self._clock, position, raw)
        self.already += 1
        return entry

    def _next(self) -> tuple[int, bytes] | None:
        """Returns the next batch that the target had before this copy wrote to it."""
        entry = None if self._there is None else next(self._there, None)
        if entry is None:
            self._there = None
        return entry

    def _refusal(self, position: int) -> LedgerError:
        return LedgerError(
            f"the ledger {self._target.address} is not empty and differs from {self._source.address} at position "
            f"{position}. Nothing was changed there: positions 1 to {self.position} are the same. "
            "Copy to an empty address."
        )
