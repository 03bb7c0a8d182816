"""Contains the in-memory log of one ledger, on top of any store. It reads, checks and appends batches."""

import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from threading import RLock
from uuid import uuid4

from reconciler.core import events as e
from reconciler.core.archive import Indexed
from reconciler.core.fold import fold
from reconciler.core.identity import Place
from reconciler.core.ledger_changes import RollbackAccepted
from reconciler.core.ports import Clock, Moved, Precondition, Store
from reconciler.core.state import Recorded
from reconciler.core.suggestions import after_rollback
from reconciler.core.times import time_text
from reconciler.errors import (
    LedgerCorrupt,
    LedgerError,
    LedgerFormatNewer,
    LedgerMissing,
    LedgerMoved,
    LedgerPinned,
    LedgerRolledBack,
)
from reconciler.ledger import MOST_BYTES
from reconciler.ledger.append import append_with_retries, check_appendable, intended_before
from reconciler.ledger.chained_batches import Batch, Chain, checksum, corrupt, decode, encode
from reconciler.ledger.history import History
from reconciler.ledger.snapshot import Cache
from reconciler.progress import Progress

logger = logging.getLogger(__name__)


def missing(address: str, place: Place) -> LedgerMissing:
    """Returns the error for a place without a ledger. An operator must decide what to do, because a ledger that was
    never created looks the same as a ledger that was lost."""
    return LedgerMissing(
        f"there is no ledger of project {place.project}, target {place.target} at {address}. "
        f"If it is new, create it: reconciler ledger init -t {place.target}. If there was one, do not create "
        "another, because "
        "everything would run again: check the address in reconciler.yaml, and that the disk is mounted, or "
        f"restore the ledger from a copy. If it is lost for good, create it: reconciler ledger init -t {place.target}. "
        f"Then record the runs that AWS still has: reconciler fsck --adopt -t {place.target}"
    )


def _objection_to_another(recorded: Recorded) -> str | None:
    return "the ledger exists" if recorded.position else None


INDEXED = 2048
"""The number of archived submissions whose positions are stored in one index batch."""


class Log:
    """`ports.Ledger` over any `ports.Store`. Thread-safe: one thread reads or writes at a time.

    `recorded` is the same object for the lifetime of the log and changes in place as batches are read and written. If
    `founds` is true, a missing ledger is treated as empty, and the first append creates it, with the event that pins it
    to its place. If `founds` is false, a missing ledger is an error, and only `create` creates the ledger.
    """

    def __init__(
        self,
        store: Store,
        place: Place,
        tool_version: str,
        clock: Clock,
        nonces: Callable[[], str] = lambda: uuid4().hex,
        *,
        founds: bool = True,
    ) -> None:
        self._store, self._place, self._tool_version = store, place, tool_version
        self._clock, self._nonces, self._founds = clock, nonces, founds
        self._lock = RLock()
        self._recorded = Recorded()
        self._chain = Chain(store.address, place)  # always at the position of `_recorded`
        self._cache = Cache(store, place, clock)
        self._history = History(store)
        self._wrote = False
        self._at_mark: str | None = None  # checksum of the batch at the position of the snapshot's mark
        self._rollback: str | None = None  # how the snapshot shows that batches were lost

    @property
    def address(self) -> str:
        """The address of this ledger, for messages."""
        return self._store.address

    @property
    def exists(self) -> bool:
        """`True` if this log has read or written a batch."""
        return self._recorded.position > 0

    @property
    def recorded(self) -> Recorded:
        """The state after all events read or written so far."""
        return self._recorded

    @property
    def head_checksum(self) -> str | None:
        """The checksum of the last batch read or written, or `None` if there is none."""
        return self._chain.link

    def refresh(self, *, rolled_back: bool = False) -> Recorded:
        """Reads the batches that other writers have appended since the last call, and returns the resulting state.

        Raises `LedgerCorrupt` for a gap, a broken chain, or events that cannot follow each other, `LedgerPinned` if the
        ledger belongs to another place, `LedgerMissing`, and `LedgerRolledBack` if batches were lost, unless
        `rolled_back` is true. After an error, the state is still consistent.
        """
        with self._lock:
            self._follow()
            if not rolled_back:
                self._check_sound()
            self._check_begun()
            return self._recorded

    def start_from(self, recorded: Recorded, head: bytes | None) -> None:
        """Starts with a state that was read elsewhere. `head` is the batch at its position, or `None` at position 0."""
        with self._lock:
            self._become(recorded, head)

    def create(self) -> bool:
        """Creates the ledger if there is none, with the event that pins it to its place. Returns whether this call
        created it.

        Raises the errors of `append`.
        """
        with self._lock:
            self._follow()
            self._check_sound()
            return not self.exists and isinstance(self._put((), _objection_to_another), int)

    def accept_rollback(self, reason: str, actor: str) -> None:
        """Records that an operator continues with this ledger although batches were lost. Raises the errors of
        `append`."""
        with self._lock:
            self._follow()
            self._check_begun()
            mark = None if self._rollback is None else self._cache.mark
            # `_put` writes nothing as long as this is set.
            self._rollback = None
            at = self._now()
            lost = (None, None) if mark is None else (mark.position, mark.link)
            event = RollbackAccepted(
                at=at, position=lost[0], head=lost[1], reason=reason, actor=actor, tool_version=self._tool_version
            )
            self._put((event,), lambda _: None)

    def append(self, events: Sequence[e.Event], valid: Precondition) -> int | Moved:
        """Appends one batch at the next free position, or returns why its events are no longer valid.

        `valid` is called before every attempt, while the log's lock is held. Raises `LedgerError`. After
        `LedgerUnreachable`, it is unknown whether the batch was written; after any other error, it was not.
        """
        with self._lock:
            done = self._append(events, valid)
            snapshot, position = None, 0
            if isinstance(done, int) and not any(isinstance(event, e.Intended) for event in events):
                self._index()  # neither the index nor a snapshot may delay a send
                snapshot, position = self._cache.due(self._recorded, self._chain.link), self._recorded.position
        # Storing takes long, so it must not keep other threads from appending.
        if snapshot is not None:
            self._cache.keep(position, snapshot)
        return done

    def _index(self) -> None:
        """Appends the positions of archived submissions as an index batch, if there are many. After a failure, they
        remain in the state."""
        if len(self._recorded.unindexed) < INDEXED:
            return
        entries = tuple(self._recorded.unindexed[:INDEXED])
        at = self._now()

        def valid(recorded: Recorded) -> str | None:
            return None if recorded.unindexed[:INDEXED] == list(entries) else "another writer appended them"

        try:
            self._put((Indexed(at=at, entries=entries, tool_version=self._tool_version),), valid)
        except LedgerError as error:
            logger.debug("the index of archived submissions was not appended: %s", error)

    @property
    def history(self) -> History:
        """The history of this ledger, which reads archived submissions."""
        return self._history

    def batch(self, position: int) -> Sequence[e.Event]:
        """Returns the events at one position. Raises `LedgerError` if the ledger has no such position."""
        return self._history.batch(position)

    def recall(self, recorded: Recorded, slots: Mapping[str, frozenset[str]]) -> None:
        """Reads the attempts of archived slots into `recorded`. `slots` is keyed by spec. Raises `LedgerError`."""
        if slots:
            with self._lock:
                read = self._history.of_groups(recorded, slots)
            for name, attempts in read.items():
                recorded.recalled.setdefault(name, {}).update(attempts)

    def close(self) -> None:
        """Closes the store's connections; the next call opens them again. Stores a snapshot first if many batches were
        appended."""
        # A thread that hangs in a call may hold the lock, and the command must end without it.
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

    def _append(self, events: Sequence[e.Event], valid: Precondition) -> int | Moved:
        if not self.exists:
            self._follow()
            self._check_begun()
        return self._put(events, valid)

    def check_open(self) -> None:
        """Raises `LedgerMoved` if the ledger has ended, according to the batches read so far."""
        if (moved := self._recorded.moved) is not None:
            raise LedgerMoved(
                f"the ledger {self.address} ended: {moved.actor} copied it to {moved.ledger} at {moved.at}, as the "
                f"ledger of {moved.place}. Nothing was sent or written. Write ledger: {moved.ledger} for that target "
                "in reconciler.yaml"
            )

    def _check_sound(self) -> None:
        if self._rollback is not None:
            raise LedgerRolledBack(
                f"the ledger {self.address} was rolled back: {self._rollback}. {after_rollback(self._place.target)}"
            )

    def _check_begun(self) -> None:
        if not self.exists and not self._founds and self._rollback is None:
            raise missing(self.address, self._place)

    def _put(self, events: Sequence[e.Event], valid: Precondition) -> int | Moved:
        nonce = self._nonces()
        while True:
            # Batches of other writers, which are read after a lost race, may show a rollback or end the ledger.
            self._check_sound()
            self.check_open()
            why = valid(self._recorded) or intended_before(self._recorded, events, self._history)
            if why is not None:
                return Moved(why)
            batch = self._batch(nonce, events)
            check_appendable(self._recorded, batch.events, self._history)
            batch = replace(batch, events=tuple(self._history.shortened(self._recorded, each) for each in batch.events))
            position = self._recorded.position + 1
            if self._won(position, batch):
                return position
            self._follow()

    def _now(self) -> str:
        return time_text(datetime.fromtimestamp(self._clock.now(), UTC))

    def _batch(self, nonce: str, events: Sequence[e.Event]) -> Batch:
        at = self._now()
        pinned = () if self.exists else (self._opened(at),)
        return Batch(nonce, at, self._chain.link, (*pinned, *events))

    def _opened(self, at: str) -> e.Opened:
        return e.Opened(at=at, **asdict(self._place), format=e.FORMAT, tool_version=self._tool_version)

    def _won(self, position: int, batch: Batch) -> bool:
        raw, types = encode(batch), [event.type for event in batch.events]
        if len(raw) > MOST_BYTES:
            raise LedgerError(f"{len(raw)} bytes are too many for one position of the ledger {self.address}")
        sys.audit("reconciler.recording", *types)
        held = append_with_retries(self._store, self._clock, position, raw)
        if held != raw:  # the bytes of every batch are different, because they contain its nonce
            return False
        fold(self._recorded, position, batch.events, self._history)
        self._chain.move(position, held)
        self._wrote = True
        sys.audit("reconciler.recorded", *types)
        return True

    # --- reading ------------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Reads the last known batch again, to check that it is unchanged, and then all batches after it."""
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
                    f"the ledger {self.address} had {position} positions and is gone. Restore it before you continue: "
                    "with a new, empty one everything would run again."
                ) from error
        self._rollback = self._lost()

    def _lost(self) -> str | None:
        """Returns a description of how the newest snapshot shows that batches were lost. Returns `None` if none were
        lost, or if an operator accepted the loss."""
        # The snapshot was read before the log, and the log only grows.
        mark, last = self._cache.mark, self._chain.position
        accepted = {(each.lost_position, each.lost_head) for each in self._recorded.rollbacks}
        if mark is None or (mark.position, mark.link) in accepted:
            return None
        if last < mark.position:
            return f"it ends at position {last}, and its snapshot is of position {mark.position}"
        if self._at_mark not in {None, mark.link}:
            return f"position {mark.position} has a different batch from the one that its snapshot was made from"
        return None

    def _resume(self) -> bool:
        """Starts from the snapshot if it was made by this version and if the batch at its position has not changed
        since then. Otherwise starts from the beginning of the ledger."""
        snapshot = self._cache.find()
        if snapshot is None:
            return False
        position = snapshot.recorded.position
        stored = self._store.read(position - 1)
        first = next(stored, None)
        if first is None or not snapshot.fits(*first):
            return False
        self._become(snapshot.recorded, first[1])
        try:
            self._read(stored)
        # A forged snapshot can cause these errors. If the ledger causes them, a read from the beginning raises them.
        except (LedgerCorrupt, LedgerFormatNewer, LedgerPinned):
            self._become(Recorded(), None)
            return False
        self._cache.used(position)
        return True

    def _check_head(self, first: tuple[int, bytes] | None) -> None:
        last = self._chain.position
        if first is None:
            raise corrupt(last, self.address, "it existed before and is missing")
        if first[0] != last:
            raise corrupt(last, self.address, f"it is missing, but position {first[0]} exists")
        if first[1] != self._chain.head:
            raise corrupt(last, self.address, "it differs from what was read before")

    def _read(self, stored: Iterable[tuple[int, bytes]]) -> None:
        progress = Progress(f"reading the ledger {self.address}", self._clock)
        for position, raw in stored:
            progress.step("positions")
            self._fold(position, self._chain.accept(position, raw).events)
            self._chain.move(position, raw)
            if self._cache.mark is not None and position == self._cache.mark.position:
                self._at_mark = checksum(raw)

    def _fold(self, position: int, events: Sequence[e.Event]) -> None:
        try:
            fold(self._recorded, position, events, self._history)
        except (LedgerError, ValueError, TypeError, KeyError) as error:
            self._rebuild(position - 1)
            if isinstance(error, LedgerError) and not isinstance(error, LedgerCorrupt):
                raise
            raise corrupt(position, self.address, f"its events cannot follow what came before ({error})") from error

    def _rebuild(self, last: int) -> None:
        """Folds everything up to `last` again, so that no partially folded batch remains in memory."""
        fresh, head = Recorded(), None
        try:
            for position, raw in self._store.read(0):
                if position > last:
                    break
                fold(fresh, position, decode(raw, position, self.address).events, self._history)
                head = raw
        except LedgerError:
            fresh, head = Recorded(), None  # this is consistent too, because the next call reads from the start
        self._become(fresh, head)

    def _become(self, fresh: Recorded, head: bytes | None) -> None:
        """Replaces the state in place, because callers keep the object."""
        self._recorded.become(fresh)
        self._chain.position, self._chain.head = fresh.position, head
