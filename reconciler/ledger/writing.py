"""One batch at one position of a store whose replies may be lost."""

from __future__ import annotations

from reconciler.errors import LedgerError, LedgerUnreachable
from reconciler.ports import Clock, Store

WRITE_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between the tries of one write whose reply was lost: six tries, about three seconds."""


def put(store: Store, clock: Clock, position: int, raw: bytes) -> bytes:
    """Puts a batch at a position, again and again until something is there: a write whose reply was lost is neither
    won nor lost until it is read (R8 of docs/protocol.md). Returns what is there.

    Raises `LedgerUnreachable` where that was not learnt, another `LedgerError` where nothing was written for certain.
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
            raise LedgerUnreachable(f"{unclear} Then: {error}") from error
        if pause is not None:
            clock.sleep(pause)
    raise LedgerUnreachable(
        f"the ledger {store.address} did not confirm a write at position {position} in {len(WRITE_PAUSES) + 1} "
        f"tries; it is there or not, and the next read tells. Last: {unclear}"
    ) from unclear
