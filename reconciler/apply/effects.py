"""What the protocol asks the world for. Each effect says what is sent back for it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.core import events as e
from reconciler.core.events import Event
from reconciler.core.plan import Action, ActionOutcome, ActionResult
from reconciler.core.ports import Deadline, Moved, Precondition, Wanted
from reconciler.core.state import Recorded
from reconciler.core.times import time_text
from reconciler.errors import LedgerError
from reconciler.model.base import JSON


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
    valid: Precondition


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


Procedure = Generator[Effect, object, ActionResult]
"""A run of the protocol: yields effects, is sent their results, returns what became of the action."""


def record(event: e.SubmissionEvent, result: ActionResult) -> Procedure:
    """Writes down a fact. It stays a fact whatever others wrote; a ledger that fails now leaves the intent unresolved,
    and a later pass finds the run by its tag."""
    try:
        yield Append((event,), always)
    except LedgerError as error:
        return ActionResult(ActionOutcome.UNKNOWN, result.run_id, f"could not be recorded ({event.type}): {error}")
    return result


def read_clock() -> Generator[Effect, object, Reading]:
    """Both clocks."""
    reading = yield ReadClock()
    assert isinstance(reading, Reading)  # noqa: S101 - narrows what the driver sends
    return reading


def now() -> Generator[Effect, object, str]:
    """The time, as the ledger writes it."""
    return moment((yield from read_clock()).wall)


def moment(wall: float) -> str:
    """A reading of the wall clock, as the ledger writes it."""
    return time_text(datetime.fromtimestamp(wall, UTC))


def always(_: Recorded) -> None:
    """The check of an append that makes sense whatever others wrote."""


def moved(what: Moved) -> ActionResult:
    """The result of an action that others have overtaken: nothing was done."""
    return ActionResult(ActionOutcome.NONE, error=what.why)


def what_moved(action: Action, recorded: Recorded) -> str:
    """What another pass did meanwhile, in words."""
    submission = recorded.by_token.get(action.client_token or "")
    if submission is not None and submission.accepted:
        return f"another pass submitted it: run {submission.run_id}"
    if submission is not None and submission.unresolved:
        return "another pass is sending it"
    head = recorded.spec(action.name).head
    return f"it moved since it was planned (ledger head {action.ledger_head}, now {head}): plan again"
