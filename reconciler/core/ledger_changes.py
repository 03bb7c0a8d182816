"""Changes of a ledger as a whole: that it was copied to another address and ended, and that it was rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from reconciler.core.event_fields import Number, Text
from reconciler.core.events import Event
from reconciler.core.identity import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedAway(Event):
    """The last event of a ledger: its `positions` batches were copied to the address `ledger`, for the named place."""

    type: ClassVar[str] = "moved"
    ledger: Text
    project: Text
    target: Text
    account: Text
    region: Text
    positions: Number
    actor: Text
    tool_version: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackAccepted(Event):
    """An operator goes on with a ledger that was rolled back.

    `position` and `head` are those of the snapshot that proved it, `None` if none did. It proves nothing any more.
    """

    type: ClassVar[str] = "rollback-accepted"
    position: Number | None = None
    head: Text | None = None
    reason: Text
    actor: Text
    tool_version: Text


@dataclass(frozen=True, slots=True)
class MovedTo:
    """Where a ledger was copied to when it ended: the address, and the place that the copy belongs to."""

    ledger: str
    place: Place
    at: str
    actor: str


@dataclass(frozen=True, slots=True)
class AcceptedRollback:
    """An operator's decision, recorded at `position`, to go on with a ledger that was rolled back.

    `lost_position` and `lost_head` are those of the snapshot that proved it, `None` if none did.
    """

    position: int
    at: str
    lost_position: int | None
    lost_head: str | None
