"""The log of one place in memory, over any store: reads, checks and appends, one batch at one position."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from datetime import UTC, datetime
from threading import RLock
from uuid import uuid4

from reconciler.core import events as e
from reconciler.core.fold import fold
from reconciler.core.identity import Place
from reconciler.core.ports import Appended, Clock, Moved, Precondition, Store
from reconciler.core.state import Recorded, SpecRecord
from reconciler.core.times import time_text
from reconciler.errors import (
    LedgerCorrupt,
    LedgerError,
    LedgerFormatNewer,
    LedgerMissing,
    LedgerPinned,
    LedgerUnreachable,
)
from reconciler.ledger.codec import Batch, Chain, corrupt, decode, encode
from reconciler.ledger.snapshot import Cache

WRITE_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between the tries of a write whose reply was lost: six tries, about three seconds."""


def append_with_retries(store: Store, clock: Clock, position: int, raw: bytes) -> bytes:
    """Puts a batch at a position, and tries again until something is there; returns what is there.

    A write whose reply was lost is neither won nor lost until it is read (R8 of docs/protocol.md). Raises
    `LedgerUnreachable` if the outcome is unknown, another `LedgerError` if nothing was written for certain.
    """
    unclear: LedgerUnreachable | None = None
    for pause in (*WRITE_PAUSES, None):
        try:
            return store.append(position, raw)
        except LedgerUnreachable as error:
            unclear = error
        except LedgerError as error:
            if unclear is None:
                raise
            # This try wrote nothing, but the one before may have: the outcome stays unknown.
            raise LedgerUnreachable(f"{unclear} Then: {error}") from error
        if pause is not None:
            clock.sleep(pause)
    raise LedgerUnreachable(
        f"the ledger {store.address} did not confirm a write at position {position} in {len(WRITE_PAUSES) + 1} "
        f"tries; the next read shows whether it is there. Last error: {unclear}"
    ) from unclear


def intended_before(recorded: Recorded, events: Sequence[e.Event]) -> str | None:
    """Why a second intent for a submission under another token is refused, `None` if there is none.

    This rule holds in the log itself, whatever a caller's precondition allows.
    """
    for event in events:
        if isinstance(event, e.Intended):
            for submission in recorded.spec(event.name).submissions:
                if submission.key == event.key and submission.token != event.token:
                    return f"this submission of {event.name} was intended before, with token {submission.token}"
    return None


def check_appendable(recorded: Recorded, events: Sequence[e.Event]) -> None:
    """Folds the events over copies of what they change, so that no batch is written that could not be read again.
    Raises as `fold` does."""
    scratch = Recorded()
    for event in events:
        if isinstance(event, e.SpecRenamed):
            names = (name for name in (event.renamed_from, event.name) if name in recorded.specs)
            scratch.specs |= {name: deepcopy(recorded.specs[name]) for name in names}
        if not isinstance(event, e.SubmissionEvent) or event.token in scratch.by_token:
            continue
        if (submission := recorded.by_token.get(event.token)) is not None:
            scratch.by_token[event.token] = copied = deepcopy(submission)
            scratch.specs.setdefault(copied.name, SpecRecord(copied.name)).submissions.append(copied)
    fold(scratch, recorded.position + 1, events)


DENSE = 4
"""Positions read for each wanted one at most; if they are further apart, each is fetched by itself."""

GETS = 8
"""Positions fetched at once."""

logger = logging.getLogger(__name__)


def _random_nonce() -> str:
    return uuid4().hex


class Log:
    """`ports.Ledger` over any `ports.Store`. Safe for threads: one reads or writes at a time.

    `recorded` is the same object for the life of the log and changes in place as batches are read and written. A
    ledger that does not exist yet reads as empty; the first append creates it, with the event that pins it to its
    place.
    """

    def __init__(
        self, store: Store, place: Place, tool_version: str, clock: Clock, nonces: Callable[[], str] = _random_nonce
    ) -> None:
        self._store, self._place, self._tool_version = store, place, tool_version
        self._clock, self._nonces = clock, nonces
        self._lock = RLock()
        self._recorded = Recorded()
        self._chain = Chain(store.address, place)  # always at the position of `_recorded`
        self._cache = Cache(store, place, clock)
        self._wrote = False

    @property
    def address(self) -> str:
        """The address of this ledger, for messages."""
        return self._store.address

    @property
    def exists(self) -> bool:
        """Whether anything has been written, as far as this log has read."""
        return self._recorded.position > 0

    @property
    def recorded(self) -> Recorded:
        """The fold of everything read or written so far."""
        return self._recorded

    def refresh(self) -> Recorded:
        """Reads what others have written since, and returns the fold.

        Raises `LedgerCorrupt` for a gap, a broken chain, or events that cannot follow each other, and `LedgerPinned`
        for a ledger of another place. What was read before that stays consistent.
        """
        with self._lock:
            self._follow()
            return self._recorded

    def append(self, events: Sequence[e.Event], valid: Precondition) -> Appended | Moved:
        """Appends one batch at the next free position, or returns why its events no longer make sense.

        `valid` is called before every try, under the log's lock. Raises `LedgerError`; after `LedgerUnreachable` it is
        unknown whether the batch is there, after any other it is not.
        """
        with self._lock:
            done = self._append(events, valid)
            snapshot = None
            if isinstance(done, Appended) and not any(isinstance(event, e.Intended) for event in events):
                snapshot = self._cache.due(self._recorded, self._chain.link)  # an intent's send must not wait
        if isinstance(done, Appended) and snapshot is not None:
            self._cache.keep(done.position, snapshot)
        return done

    def batch(self, position: int) -> Sequence[e.Event]:
        """The events at one position. Raises `LedgerError` if the ledger is shorter."""
        raw = self._store.get(position)
        if raw is None:
            raise self._nothing_at(position)
        return decode(raw, position, self.address).events

    def batches(self, positions: Sequence[int]) -> Iterator[tuple[int, Sequence[e.Event]]]:
        """The events at some positions, in ascending order, each with its position. Positions that are far apart are
        fetched one by one, others are read in one go. Raises `LedgerError` if the ledger lacks one."""
        if len(positions) < DENSE or len(positions) * DENSE <= positions[-1] - positions[0]:
            with ThreadPoolExecutor(GETS) as pool:
                yield from zip(positions, pool.map(self.batch, positions), strict=True)
            return
        wanted = iter(positions)
        position = next(wanted, None)
        for stored, raw in self._store.read(positions[0] - 1):
            if stored == position:
                yield stored, decode(raw, stored, self.address).events
                position = next(wanted, None)
            if position is None:
                return
        raise self._nothing_at(position)

    def _nothing_at(self, position: int | None) -> LedgerError:
        return LedgerError(f"the ledger {self.address} holds nothing at position {position}")

    def close(self) -> None:
        """Closes the store's connections; the next call opens them again. Keeps a snapshot after many appends."""
        if self._wrote and self._lock.acquire(blocking=False):
            try:
                position = self._recorded.position
                snapshot = self._cache.due(self._recorded, self._chain.link, ends=True)
            finally:
                self._lock.release()
            if snapshot is not None:
                self._cache.keep(position, snapshot)
        close = getattr(self._store, "close", None)
        if close is not None:
            close()

    # --- writing ------------------------------------------------------------------------------------------------------

    def _append(self, events: Sequence[e.Event], valid: Precondition) -> Appended | Moved:
        if not self.exists:
            self._follow()
        nonce = self._nonces()
        while True:
            why = valid(self._recorded) or intended_before(self._recorded, events)
            if why is not None:
                return Moved(why)
            batch = self._batch(nonce, events)
            check_appendable(self._recorded, batch.events)
            position = self._recorded.position + 1
            if self._won(position, batch):
                return Appended(position)
            self._follow()

    def _batch(self, nonce: str, events: Sequence[e.Event]) -> Batch:
        at = time_text(datetime.fromtimestamp(self._clock.now(), UTC))
        pinned = () if self.exists else (self._opened(at),)
        return Batch(nonce, at, self._chain.link, (*pinned, *events))

    def _opened(self, at: str) -> e.Opened:
        place = self._place
        return e.Opened(
            at=at,
            project=place.project,
            target=place.target,
            account=place.account,
            region=place.region,
            format=e.FORMAT,
            tool_version=self._tool_version,
        )

    def _won(self, position: int, batch: Batch) -> bool:
        raw, types = encode(batch), [event.type for event in batch.events]
        sys.audit("reconciler.recording", *types)
        held = append_with_retries(self._store, self._clock, position, raw)
        if held != raw and decode(held, position, self.address).nonce != batch.nonce:
            return False
        fold(self._recorded, position, batch.events)
        self._chain.move(position, held)
        self._wrote = True
        sys.audit("reconciler.recorded", *types)
        return True

    # --- reading ------------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Reads from the last batch that was read, that one included: it must be unchanged."""
        position = self._recorded.position
        try:
            if position or not self._resume():
                stored = self._store.read(max(position - 1, 0))
                if position:
                    self._check_head(next(stored, None))
                self._read(stored)
        except LedgerMissing as error:
            if position:
                raise LedgerCorrupt(
                    f"the ledger {self.address} had {position} positions and is gone. Restore it before going on: "
                    "with a new, empty one everything would run again."
                ) from error

    def _resume(self) -> bool:
        """Starts from the snapshot if the batch at its position is the one that it was made from. Any other snapshot
        is ignored: it proves nothing about the ledger, which is read from its beginning."""
        snapshot = self._cache.find()
        if snapshot is None:
            return False
        position = snapshot.recorded.position
        stored = self._store.read(position - 1)
        first = next(stored, None)
        if first is None:
            logger.warning(
                "the ledger %s ends before position %d, which has a snapshot: it may have been rolled back. "
                "Check it with `ledger verify`", self.address, position,
            )  # fmt: skip
        if first is None or not snapshot.fits(*first):
            return False
        self._become(snapshot.recorded, first[1])
        try:
            self._read(stored)
        except (LedgerCorrupt, LedgerFormatNewer, LedgerPinned):
            self._become(Recorded(), None)
            return False
        self._cache.used(position)
        return True

    def _check_head(self, first: tuple[int, bytes] | None) -> None:
        last = self._chain.position
        if first is None:
            raise corrupt(last, self.address, "it was there before and is missing")
        if first[0] != last:
            raise corrupt(last, self.address, f"it is missing, and position {first[0]} is there")
        if first[1] != self._chain.head:
            raise corrupt(last, self.address, "it is not what was read there before")

    def _read(self, stored: Iterable[tuple[int, bytes]]) -> None:
        for position, raw in stored:
            self._fold(position, self._chain.accept(position, raw).events)
            self._chain.move(position, raw)

    def _fold(self, position: int, events: Sequence[e.Event]) -> None:
        try:
            fold(self._recorded, position, events)
        except (LedgerError, ValueError, TypeError, KeyError) as error:
            self._rebuild(position - 1)
            if isinstance(error, LedgerError) and not isinstance(error, LedgerCorrupt):
                raise
            raise corrupt(position, self.address, f"its events cannot follow what came before ({error})") from error

    def _rebuild(self, last: int) -> None:
        """Folds everything up to `last` again, because half a batch must not stay in memory."""
        fresh, head = Recorded(), None
        try:
            for position, raw in self._store.read(0):
                if position > last:
                    break
                fold(fresh, position, decode(raw, position, self.address).events)
                head = raw
        except LedgerError:
            fresh, head = Recorded(), None  # an empty state is consistent too: the next call reads from the start
        self._become(fresh, head)

    def _become(self, fresh: Recorded, head: bytes | None) -> None:
        """Takes over another state in place, because callers keep the object."""
        self._recorded.become(fresh)
        self._chain.position, self._chain.head = fresh.position, head
