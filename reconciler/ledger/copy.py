"""Copies a ledger to another store, batch by batch: byte for byte, or as another place's with a new chain.

An interrupted copy continues where the target ends, if the target holds exactly what the copy would have put there.
Nothing is ever replaced.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.core.events import Renamed
from reconciler.core.fsck import failures
from reconciler.core.identity import Place
from reconciler.core.ports import Clock, Store
from reconciler.core.times import time_text
from reconciler.errors import LedgerError, LedgerMissing
from reconciler.ledger.codec import Batch, checksum, corrupt, decode, encode, pin_of, walk
from reconciler.ledger.log import append_with_retries
from reconciler.ledger.verify import Report, verify

NAMED = 3
"""Specs that a message names at most."""


@dataclass(frozen=True, slots=True)
class Copied:
    """The result of a copy: positions of the target, how many of them were there before, and the former place of the
    ledger if it was another one."""

    positions: int
    already: int
    renamed_from: Place | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """Who moves a ledger to another place, and the version of the tool."""

    actor: str
    tool_version: str


def copy(
    source: Store, target: Store, place: Place, clock: Clock, *, move: Move | None, progress: Callable[[int], None]
) -> Copied:
    """Copies the ledger in `source` to `target` for `place`; with `move`, the source belongs to another place.

    `progress` is called with each finished position. Raises `LedgerError` if the source is damaged or of another place
    (then nothing is written), if it grew meanwhile, or if the target holds anything else.
    """
    origin = place if move is None else _origin(source, place)
    report = verify(source, origin)
    _check(report, moved=move is not None)
    copier = _Copier(source, target, clock)
    for position, raw, _ in walk(source, origin):
        if position > report.positions:
            break
        copier.add(position, raw if move is None else _rewritten(position, raw, copier.link, place))
        progress(position)
    copier.check_still()
    if move is not None:
        copier.add_renamed(_renamed(report, origin, move, clock))
    copier.check_end()
    return Copied(copier.position, copier.already, None if move is None else origin)


def _origin(source: Store, place: Place) -> Place:
    """The place that a ledger belongs to."""
    raw = source.get(1)
    pin = None if raw is None else pin_of(decode(raw, 1, source.address))
    if pin is None:
        raise corrupt(1, source.address, "its first event does not name the ledger's project and target")
    origin = Place(pin.project, pin.target, pin.account, pin.region)
    if origin == place:
        raise LedgerError(f"the ledger {source.address} belongs to this target already: copy it without --rename")
    return origin


def _check(report: Report, *, moved: bool) -> None:
    """Raises `LedgerError` for a damaged ledger, and for a move of one with unresolved submissions."""
    if failed := failures(report.findings):
        raise LedgerError(f"the ledger {report.address} is not copied: {failed[0].message}. {failed[0].advice}")
    unresolved = sorted({submission.name for submission in report.recorded.unresolved()})
    if moved and unresolved:
        names = ", ".join(unresolved[:NAMED]) + (" …" if len(unresolved) > NAMED else "")
        raise LedgerError(
            f"the ledger {report.address} is not moved: the outcome of submissions of {names} is unknown, and only the "
            "place that sent them can find it out. Run apply or resolve there first."
        )


def _rewritten(position: int, raw: bytes, link: str | None, place: Place) -> bytes:
    """The batch for the ledger of `place`: with another `prev` and, at position 1, another pin. Everything else stays,
    including fields that this version does not know."""
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


def _renamed(report: Report, origin: Place, move: Move, clock: Clock) -> Renamed:
    return Renamed(
        at=time_text(datetime.fromtimestamp(clock.now(), UTC)),
        project=origin.project,
        target=origin.target,
        account=origin.account,
        region=origin.region,
        ledger=report.address,
        positions=report.positions,
        head=report.head or "",
        actor=move.actor,
        tool_version=move.tool_version,
    )


class _Copier:
    """A copy in progress: positions up to `position` are done; `already` of them were there before."""

    def __init__(self, source: Store, target: Store, clock: Clock) -> None:
        self._source, self._target, self._clock = source, target, clock
        self._there: Iterator[tuple[int, bytes]] | None = self._held()
        self._head: bytes | None = None
        self.position = self.already = 0

    @property
    def link(self) -> str | None:
        """The checksum of the last batch that is done."""
        return None if self._head is None else checksum(self._head)

    def add(self, position: int, raw: bytes) -> None:
        """Puts a batch at a position, or finds it there. Raises `LedgerError` if something else is there."""
        entry = self._put(position, raw)
        if entry != (position, raw):
            raise self._refusal(entry[0])
        self.position, self._head = entry

    def add_renamed(self, event: Renamed) -> None:
        """Adds the event of the move at the end, unless it is there: then an earlier copy was complete."""
        position = self.position + 1
        batch = Batch(event.head[:32], event.at, self.link, (event,))
        entry = self._put(position, encode(batch))
        held = decode(entry[1], entry[0], self._target.address)
        if (entry[0], held.nonce, held.prev) != (position, batch.nonce, batch.prev):  # the time may differ
            raise self._refusal(entry[0])
        self.position, self._head = entry

    def check_still(self) -> None:
        """Raises `LedgerError` if the source has more than was copied."""
        last = max((position for position, _ in self._source.read(self.position)), default=self.position)
        if last > self.position:
            raise LedgerError(
                f"the ledger {self._source.address} grew to position {last} while it was copied: something still "
                f"writes to it. Positions 1 to {self.position} are in {self._target.address}. Stop what writes, then "
                "run the same command again: it continues from there."
            )

    def check_end(self) -> None:
        """Raises `LedgerError` if the target has more than was copied."""
        entry = self._next()
        if entry is not None:
            raise self._refusal(entry[0])

    def _held(self) -> Iterator[tuple[int, bytes]] | None:
        try:
            return self._target.read(0)
        except LedgerMissing:
            return None

    def _put(self, position: int, raw: bytes) -> tuple[int, bytes]:
        """What the target holds next, after putting the batch there if it holds nothing."""
        entry = self._next()
        if entry is None:
            return position, append_with_retries(self._target, self._clock, position, raw)
        self.already += 1
        return entry

    def _next(self) -> tuple[int, bytes] | None:
        """The next batch that the target held before this copy wrote to it."""
        entry = None if self._there is None else next(self._there, None)
        if entry is None:
            self._there = None
        return entry

    def _refusal(self, position: int) -> LedgerError:
        return LedgerError(
            f"the ledger {self._target.address} holds something at position {position} that {self._source.address} "
            f"does not hold there. Nothing there was changed: positions 1 to {self.position} are the same. "
            "Copy to an empty place."
        )
