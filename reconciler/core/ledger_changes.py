"""Changes to a whole ledger: a copy to another address or for another place, and accepted rollbacks."""

from typing import ClassVar

from reconciler.core.event_fields import Number, Text
from reconciler.core.events import Event
from reconciler.core.identity import Place
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed(Event):
    """All earlier events were moved here from the ledger `ledger` of another place, which the other fields identify.

    That ledger had `positions` batches, and `head` is the checksum of the last one. The first event here contains the
    new place, so the checksums of all batches differ from the checksums in the former ledger.
    """

    type: ClassVar[str] = "renamed"
    project: Text
    target: Text
    account: Text
    region: Text
    ledger: Text
    positions: Number
    head: Text
    actor: Text
    tool_version: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedAway(Event):
    """The last event of a ledger. Its `positions` batches were copied to the address `ledger`, for the named place."""

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
    """An operator continues with a ledger that was rolled back.

    `position` and `head` identify the snapshot that proved the rollback. They are `None` if there was none. That
    snapshot is ignored from then on.
    """

    type: ClassVar[str] = "rollback-accepted"
    position: Number | None = None
    head: Text | None = None
    reason: Text
    actor: Text
    tool_version: Text


@dataclass(frozen=True, slots=True)
class MovedTo:
    """The destination of a ledger that was copied and ended: the address, and the place that the copy belongs to."""

    ledger: str
    place: Place
    at: str
    actor: str


@dataclass(frozen=True, slots=True)
class AcceptedRollback:
    """An operator's decision, recorded at `position`, to continue with a ledger that was rolled back.

    `lost_position` and `lost_head` identify the snapshot that proved the rollback. They are `None` if there was none.
    """

    position: int
    at: str
    lost_position: int | None
    lost_head: str | None
