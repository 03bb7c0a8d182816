"""A ledger put into another store, batch by batch: byte for byte, or as another place's with its chain made anew.

What was copied stays: a copy that was interrupted goes on where the target ends, if all that is there is what it would
put there. Nothing is ever replaced.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.core.events import Renamed
from reconciler.core.findings import failures
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
    """What a copy did: positions of the target now, how many of them were there before, and the place that the ledger
    was of, where that is another one."""

    positions: int
    already: int
    renamed_from: Place | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """Who moves a ledger to another place, with which version."""

    actor: str
    tool_version: str


def copy(
    source: Store, target: Store, place: Place, clock: Clock, *, move: Move | None, progress: Callable[[int], None]
) -> Copied:
    """Copies the ledger in `source` to `target`, where it belongs to `place`; with `move` it was another place's.

    `progress` is told each position that is done. Raises `LedgerError` where the source is damaged or of another place
    (nothing is written then), where it grew meanwhile, and where the target holds anything else.
    """
    origin = place if move is None else _origin(source, place)
    verdict = verify(source, origin)
    _check(verdict, moved=move is not None)
    copier = _Copier(source, target, clock)
    for position, raw, _ in walk(source, origin):
        if position > verdict.positions:
            break
        copier.add(position, raw if move is None else _rewritten(position, raw, copier.link, place))
        progress(position)
    copier.check_still()
    if move is not None:
        copier.add_renamed(_renamed(verdict, origin, move, clock))
    copier.check_end()
    return Copied(copier.position, copier.already, None if move is None else origin)


def _origin(source: Store, place: Place) -> Place:
    """The place that a ledger belongs to, whichever it is."""
    raw = source.get(1)
    pin = None if raw is None else pin_of(decode(raw, 1, source.address))
    if pin is None:
        raise corrupt(1, source.address, "it does not begin by saying what the ledger belongs to")
    origin = Place(pin.project, pin.target, pin.account, pin.region)
    if origin == place:
        raise LedgerError(f"the ledger {source.address} belongs to this target already: copy it without --rename")
    return origin


def _check(verdict: Report, *, moved: bool) -> None:
    """Raises `LedgerError` for a ledger that is damaged, or that has something open that only its place can close."""
    wrong = failures(verdict.findings)
    if wrong:
        raise LedgerError(f"the ledger {verdict.address} is not copied: {wrong[0].message}. {wrong[0].advice}")
    unresolved = sorted({submission.name for submission in verdict.recorded.unresolved()})
    if moved and unresolved:
        names = ", ".join(unresolved[:NAMED]) + (" …" if len(unresolved) > NAMED else "")
        raise LedgerError(
            f"the ledger {verdict.address} is not moved: what became of submissions of {names} is not known yet, and "
            "only where they were sent can that be learnt. Run apply or resolve there first."
        )


def _rewritten(position: int, raw: bytes, link: str | None, place: Place) -> bytes:
    """The batch as it is in the ledger of `place`: another chain and, at position 1, another pin. All else stays, what
    this version does not know included."""
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


def _renamed(verdict: Report, origin: Place, move: Move, clock: Clock) -> Renamed:
    return Renamed(
        at=time_text(datetime.fromtimestamp(clock.now(), UTC)),
        project=origin.project,
        target=origin.target,
        account=origin.account,
        region=origin.region,
        ledger=verdict.address,
        positions=verdict.positions,
        head=verdict.head or "",
        actor=move.actor,
        tool_version=move.tool_version,
    )


class _Copier:
    """A copy under way: `position` is done, of which `already` were there."""

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
        """Puts a batch at a position, or finds it there. Raises `LedgerError` where something else is there."""
        found = self._next()
        if found is None:
            found = (position, append_with_retries(self._target, self._clock, position, raw))
        else:
            self.already += 1
        if found != (position, raw):
            raise self._refusal(found[0])
        self.position, self._head = position, raw

    def add_renamed(self, event: Renamed) -> None:
        """Says at the end what was done, unless that is said there: then the copy was complete before."""
        position = self.position + 1
        batch = Batch(event.head[:32], event.at, self.link, (event,))
        found = self._next()
        if found is None:
            found = (position, append_with_retries(self._target, self._clock, position, encode(batch)))
        else:
            self.already += 1
        held = decode(found[1], found[0], self._target.address)
        if (found[0], held.nonce, held.prev) != (position, batch.nonce, batch.prev):
            raise self._refusal(found[0])
        self.position, self._head = position, found[1]

    def check_still(self) -> None:
        """Raises `LedgerError` where the source goes on after what was copied."""
        last = max((position for position, _ in self._source.read(self.position)), default=self.position)
        if last > self.position:
            raise LedgerError(
                f"the ledger {self._source.address} grew to position {last} while it was copied: something still "
                f"writes to it. Positions 1 to {self.position} are in {self._target.address}. Stop what writes, then "
                "run the same command again: it goes on from there."
            )

    def check_end(self) -> None:
        """Raises `LedgerError` where the target goes on after all that was to be there."""
        found = self._next()
        if found is not None:
            raise self._refusal(found[0])

    def _held(self) -> Iterator[tuple[int, bytes]] | None:
        try:
            return self._target.read(0)
        except LedgerMissing:
            return None

    def _next(self) -> tuple[int, bytes] | None:
        """What the target held next before this copy began to write."""
        found = None if self._there is None else next(self._there, None)
        if found is None:
            self._there = None
        return found

    def _refusal(self, position: int) -> LedgerError:
        return LedgerError(
            f"the ledger {self._target.address} holds something at position {position} that {self._source.address} "
            f"does not hold there. Nothing there was changed: positions 1 to {self.position} are the same. "
            "Copy to an empty place."
        )
