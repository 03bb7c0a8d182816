"""When a log keeps a snapshot beside its batches, and what it takes back of one. Whatever goes wrong here costs time
and nothing else."""

from __future__ import annotations

import logging
import sys

from reconciler.errors import LedgerError
from reconciler.identity.digest import Place
from reconciler.ledger.chain import pin_at
from reconciler.ledger.snapshot import Snapshot, pack, unpack
from reconciler.ports import Clock, Snapshots, Store
from reconciler.recorded.state import Recorded

EVERY = 256
"""Positions from one snapshot to the next while a log is being written; so many are read one by one at most."""

AT_THE_END = 16
"""Positions after the newest snapshot that are worth another one when a writer ends."""

SHARE = 10
"""Snapshots take at most one of so many parts of a writer's time: those of a large state are further apart."""

logger = logging.getLogger(__name__)


class Cache:
    """The snapshots of one ledger, for the one log that reads and writes it. Not safe for threads, except `keep`."""

    def __init__(self, store: Store, place: Place, clock: Clock) -> None:
        self._store = store if isinstance(store, Snapshots) else None
        self._address, self._place, self._clock = store.address, place, clock
        self._position = 0  # of the newest snapshot known
        self._not_before = clock.boot()

    def find(self) -> Snapshot | None:
        """The newest snapshot, if it is whole, of this version and of this place; it may still not fit the batches."""
        if self._store is None:
            return None
        try:
            found = self._store.newest_snapshot()
        except LedgerError as error:
            logger.debug("no snapshot: %s", error)
            return None
        snapshot = None if found is None else unpack(found[1])
        if found is None or snapshot is None or snapshot.recorded.pin != pin_at(self._place):
            logger.debug("no snapshot of %s that is of any use here", self._address)
            return None
        return snapshot

    def used(self, position: int) -> None:
        """Notes that the snapshot of `position` is as good as the batches."""
        self._position = position

    def due(self, recorded: Recorded, link: str | None, *, ends: bool = False) -> bytes | None:
        """The snapshot to keep now, `None` for none; `ends` says that nothing more is appended."""
        since = recorded.position - self._position
        if self._store is None or link is None or since < (AT_THE_END if ends else EVERY):
            return None
        begun = self._clock.boot()
        if not ends and begun < self._not_before:
            return None
        content = pack(recorded, link)
        now = self._clock.boot()
        self._position, self._not_before = recorded.position, now + SHARE * (now - begun)
        return content

    def keep(self, position: int, content: bytes) -> None:
        """Hands a snapshot to the store."""
        if self._store is None:
            return
        sys.audit("reconciler.snapshotting", position)
        try:
            self._store.keep_snapshot(position, content)
        except LedgerError as error:
            logger.debug("the snapshot of position %d was not kept: %s", position, error)
        else:
            sys.audit("reconciler.snapshot-kept", position)
            logger.debug("kept a snapshot of position %d, %d bytes", position, len(content))
