"""What the protocol asks the world for. Each effect says what is sent back for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.model.strict import JSON
from reconciler.ports import Deadline, Valid, Wanted
from reconciler.recorded.events import Event


@dataclass(frozen=True, slots=True)
class Release:
    """Give the quota's place back: the call is not made. Nothing is sent back."""

    operation: str


@dataclass(frozen=True, slots=True)
class ReadClock:
    """The time now: `Reading`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Both clocks at one moment: seconds since the epoch, and seconds of the boot-time clock."""

    wall: float
    boot: float


@dataclass(frozen=True, slots=True)
class Acquire:
    """Wait until AWS's quota has room for a call of an operation: `True` to go on, `False` to stop."""

    operation: str


@dataclass(frozen=True, slots=True)
class Append:
    """Append events if they still make sense: `Appended` or `Moved`. A `LedgerError` is thrown into the protocol."""

    events: Sequence[Event]
    valid: Valid


@dataclass(frozen=True, slots=True)
class Transmit:
    """One transmission of a request, not after its deadline: an `Outcome`."""

    kind: str
    request: JSON
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class Look:
    """Look for a run by its tag: the run ids, or a string saying why the look proves nothing."""

    kind: str
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask AWS to stop a run: `None`, or a string saying why that failed."""

    kind: str
    token: str
    run_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait some seconds, less when the command is being stopped: `True` to go on, `False` to stop."""

    seconds: float


Effect = Acquire | Release | ReadClock | Append | Transmit | Look | Cancel | Pause
