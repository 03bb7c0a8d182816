"""The effects that procedures yield. Each docstring describes the value that the interpreter sends back."""

from collections.abc import Generator, Sequence
from datetime import UTC, datetime

from reconciler.core.events import Event
from reconciler.core.plan import Action, ActionOutcome, ActionResult, Reason
from reconciler.core.ports import Instant, Moved, Precondition, Wanted
from reconciler.core.state import Recorded, SpecRecord
from reconciler.core.times import parse_time, time_text
from reconciler.errors import LedgerError
from reconciler.model.base import JSON
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True)
class Release:
    """Return a quota token that was not used. Sends back nothing."""

    operation: str


@dataclass(frozen=True, slots=True)
class ReadClock:
    """Read the clocks. Sends back an `Instant`."""


@dataclass(frozen=True, slots=True)
class Acquire:
    """Wait for a quota token for an operation. Sends back `True`, or `False` if the command is being stopped. Without
    `wait`, sends back `False` immediately if there is no token now."""

    operation: str
    wait: bool = True


@dataclass(frozen=True, slots=True)
class Append:
    """Append events if their precondition holds. Sends back their position, or `Moved`; raises a `LedgerError` in the
    procedure."""

    events: Sequence[Event]
    valid: Precondition


@dataclass(frozen=True, slots=True)
class AppendGroup:
    """Append the events of several procedures in one batch. Sends back a list with the answer to each of `parts`:
    the position, `Moved`, or the exception to raise in its procedure. A part whose precondition fails does not
    prevent the others."""

    parts: Sequence[Append]


@dataclass(frozen=True, slots=True)
class Transmit:
    """Transmit a request once, and not after its deadline. Sends back an `Outcome`."""

    kind: str
    request: JSON
    deadline: Instant


@dataclass(frozen=True, slots=True)
class Look:
    """Look for a run by its tag. Sends back the run ids, or a string with the error if the lookup failed. A failed
    lookup is no evidence that the run does not exist."""

    kind: str
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask AWS to stop a run. Sends back `None`, or a string with the reason if that failed."""

    kind: str
    token: str
    run_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for some seconds. Sends back `True`, or `False` early if the command is being stopped."""

    seconds: float


Effect = Acquire | Release | ReadClock | Append | AppendGroup | Transmit | Look | Cancel | Pause


Procedure = Generator[Effect, object, ActionResult]
"""Yields effects, receives their results, and returns the result of the action. Does no I/O itself."""


def read_clock() -> Generator[Effect, object, Instant]:
    """Reads both clocks."""
    reading = yield ReadClock()
    assert isinstance(reading, Instant)  # noqa: S101 - narrows what the interpreter sends
    return reading


def now() -> Generator[Effect, object, str]:
    """Reads the time in the ledger's format."""
    return moment((yield from read_clock()).wall)


def moment(wall: float) -> str:
    """Converts a reading of the wall clock to the ledger's format."""
    return time_text(datetime.fromtimestamp(wall, UTC))


def always(_: Recorded) -> None:
    """Returns no objection. This is the precondition for outcomes, which are recorded regardless of other writers."""


def moved(what: Moved) -> ActionResult:
    """Returns the result of an action that another pass has made obsolete: nothing was done."""
    return ActionResult(ActionOutcome.NONE, error=what.why)


def record_events(events: Sequence[Event], result: ActionResult, valid: Precondition = always) -> Procedure:
    """Records the events of one type that complete an action, by default regardless of other writers. If the ledger
    fails now, a submission remains unresolved, and a later pass finds the run by its tag."""
    try:
        appended = yield Append(tuple(events), valid)
    except LedgerError as error:
        problem = f"could not be recorded ({events[0].type}): {error}"
        return ActionResult(ActionOutcome.UNKNOWN, result.run_id, problem)
    return moved(appended) if isinstance(appended, Moved) else result


def renamed_since(action: Action, recorded: Recorded) -> str | None:
    """Returns why the plan of an action is outdated if its spec has been renamed since then; otherwise `None`."""
    before = recorded.spec(action.name).predecessor
    if before is None or before.position <= action.ledger_head:
        return None
    return f"{action.name} was renamed to {before.renamed_to} since the plan was created: plan again"


def no_longer_due(action: Action, recorded: Recorded) -> str | None:
    """Returns why a due slot must not be submitted any more, if another pass recorded it as missed, or stopped or
    restarted its schedule, since the plan was made; otherwise `None`. These events do not change the ledger head.

    A submission that is unresolved is still sent again, because a slot with a submission is not missed.
    """
    submission, slot = recorded.by_token.get(action.client_token or ""), action.slot
    if action.reason is not Reason.SLOT_DUE or slot is None or (submission is not None and submission.unresolved):
        return None
    record = recorded.spec(action.name)
    schedule = record.schedule
    in_force = schedule is not None and schedule.stopped is None and parse_time(slot) > parse_time(schedule.since)
    if in_force and not was_missed(record, slot):
        return None
    return f"another pass stopped the schedule of {action.name} or recorded slot {slot} as missed: plan again"


def was_missed(record: SpecRecord, slot: str) -> bool:
    """Returns whether a slot was recorded as missed, under the schedule in force or a former one."""
    return record.is_missed(slot) or any(slot in missed for missed in record.missed)


def what_moved(action: Action, recorded: Recorded) -> str:
    """Describes what another pass did since the plan was made."""
    submission = recorded.by_token.get(action.client_token or "")
    if submission is not None and submission.accepted:
        return f"another pass submitted it: run {submission.run_id}"
    if submission is not None and submission.unresolved and submission.cancel_asked_at is not None:
        return "its cancellation was requested since the plan was created"
    if submission is not None and submission.unresolved:
        return "another pass is sending it"
    head = recorded.spec(action.name).head
    return f"changed since the plan was created (ledger head {action.ledger_head}, now {head}): plan again"
