"""What all steps of the protocol share: reading the clock, writing down a fact, and saying what moved."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime

from reconciler.apply.effects import Append, Effect, ReadClock, Reading
from reconciler.errors import LedgerError
from reconciler.identity.instant import text
from reconciler.plan.action import Action
from reconciler.plan.result import ActionOutcome, ActionResult
from reconciler.ports import Moved
from reconciler.recorded import events as e
from reconciler.recorded.state import Recorded

Steps = Generator[Effect, object, ActionResult]
"""A run of the protocol: yields effects, is sent their results, returns what became of the action."""


def record(event: e.SubmissionEvent, result: ActionResult) -> Steps:
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
    return text(datetime.fromtimestamp(wall, UTC))


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
