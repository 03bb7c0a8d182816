"""The log of one (project, target), and the stores that keep it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from reconciler.recorded import events as e
from reconciler.recorded.state import Recorded


class Store(Protocol):
    """Where the batches of a ledger are kept. The one primitive is: append at a position, if nobody has."""

    @property
    def address(self) -> str:
        """What to call it in messages, such as ``sqlite:///.reconciler/ledger.sqlite``."""
        ...

    def append(self, position: int, batch: bytes) -> bytes:
        """Puts `batch` at `position` (1, 2, 3 …) if nothing is there, durably, in one transmission.

        Returns what is at `position` afterwards: `batch` itself if this call won, else what somebody else had put
        there. Raises `LedgerUnreachable` where the reply was lost: then it is there or not. Raises another
        `LedgerError` where nothing was written for certain (read-only, full).
        """
        ...

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """The batches after a position, in order, as (position, batch). Creates nothing; raises `LedgerMissing`
        where there is no ledger."""
        ...

    def get(self, position: int) -> bytes | None:
        """The batch at one position, in one request; `None` where nothing is there. Raises as `read` does."""
        ...


@runtime_checkable
class Snapshots(Protocol):
    """What a store may offer beside `Store`: a place for what its batches add up to, so that few must be read.

    Never the truth: it may be lost, old or mixed up, and who reads it checks it. A `LedgerError` costs only time.
    """

    def newest_snapshot(self) -> tuple[int, bytes] | None:
        """That of the highest position at hand, as (position, content); `None` without one. Creates nothing."""
        ...

    def keep_snapshot(self, position: int, content: bytes) -> None:
        """Keeps the snapshot of a position. Older ones may be given up for it, a newer one should not be."""
        ...


Valid = Callable[[Recorded], str | None]
"""Asked again whenever others have written first: `None` where an append still makes sense, else why not."""


@dataclass(frozen=True, slots=True)
class Appended:
    """The events are in the ledger, at `position`."""

    position: int


@dataclass(frozen=True, slots=True)
class Moved:
    """Others wrote first and the events no longer make sense: nothing was written. `why` is a sentence."""

    why: str


class Ledger(Protocol):
    """The log of one (project, target), read into a `Recorded` that follows every append. Safe for threads."""

    @property
    def recorded(self) -> Recorded:
        """The fold of everything read or written so far."""
        ...

    def refresh(self) -> Recorded:
        """Reads what others have written since, and returns the fold."""
        ...

    def append(self, events: Sequence[e.Event], valid: Valid) -> Appended | Moved:
        """Appends one batch. `valid` is asked before every try. Raises `LedgerError`; after `LedgerUnreachable`
        nobody knows whether the batch is there."""
        ...

    def batch(self, position: int) -> Sequence[e.Event]:
        """The events at one position."""
        ...
