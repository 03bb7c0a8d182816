"""The submission protocol, without I/O: generators that yield effects and are sent what came of them.

The same code is driven by the real command and by tests. The order of the yields *is* the promise: the intent is
durable before anything is transmitted, the outcome is recorded after it, and what is not clear stays unresolved.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import assert_never

from reconciler.apply.decided import adopt
from reconciler.apply.effects import Append, Effect, Look, Pause, Transmit
from reconciler.apply.steps import Steps, moment, moved, now, read_clock, record, what_moved
from reconciler.errors import LedgerError
from reconciler.model.strict import JSON
from reconciler.plan.action import Action
from reconciler.plan.result import ActionOutcome, ActionResult
from reconciler.plan.settling import proven_absent
from reconciler.ports import Accepted, Ambiguous, Deadline, Declined, Moved, NotSent, Outcome, Refused, Wanted
from reconciler.recorded import events as e
from reconciler.recorded.state import Recorded
from reconciler.recorded.submission import Phase, Submission

LOOK_PAUSES = (1.0, 2.0, 3.0, 4.0)
"""Seconds before each look for a run whose submission was unclear: about ten in all, then it is reported unknown."""

RESEND_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further send of a submission that AWS refused for a passing reason, within one pass."""

NEVER_STOPPED = "the command was stopped before this was done"


@dataclass(frozen=True, slots=True)
class Intent:
    """One submit of a plan, with everything its `intended` events say.

    `request` is what is transmitted, byte for byte. `claim_seconds` and `settle_seconds` are the target's. `describe`
    makes the event of a send from its number, and the times of its intent and of its deadline as text.
    """

    action: Action
    token: str
    request: JSON
    claim_seconds: int
    settle_seconds: int
    describe: Callable[[int, str, str], e.Intended]


def submit(intent: Intent) -> Steps:
    """Submits one generation: intent, one transmission, outcome; again only what AWS refused for a passing reason."""
    pauses = iter(RESEND_PAUSES)
    number = intent.action.send
    while True:
        result, again = yield from _send(intent, number)
        pause = next(pauses, None) if again else None
        if pause is None or not (yield Pause(pause)):
            return result
        number += 1


def _send(intent: Intent, number: int) -> Generator[Effect, object, tuple[ActionResult, bool]]:
    """One send. The flag says whether the same submission may be sent again now."""
    reading = yield from read_clock()
    deadline = Deadline(reading.wall + intent.claim_seconds, reading.boot + intent.claim_seconds)
    event = intent.describe(number, moment(reading.wall), moment(deadline.wall))
    try:
        appended = yield Append((event,), _may_intend(intent, number))
    except LedgerError as error:
        return ActionResult(ActionOutcome.UNSENT, error=f"nothing was sent: {error}"), False
    if isinstance(appended, Moved):
        return moved(appended), False
    outcome = yield Transmit(intent.action.kind, intent.request, deadline)
    result = yield from _conclude(intent, event, _outcome(outcome))
    return result, isinstance(outcome, Refused)


def _conclude(intent: Intent, event: e.Intended, outcome: Outcome) -> Steps:
    """Records what the one transmission that `event` announced led to."""
    name, token, number = event.name, event.token, event.send
    at = yield from now()
    match outcome:
        case Accepted():
            accepted = e.Submitted(at=at, name=name, token=token, send=number, run_id=outcome.run_id, arn=outcome.arn)
            return (yield from record(accepted, ActionResult(ActionOutcome.SUBMITTED, outcome.run_id)))
        case NotSent() | Refused():
            unsent = e.Unsent(
                at=at,
                name=name,
                token=token,
                send=number,
                code=outcome.code,
                message=outcome.message,
                refused=isinstance(outcome, Refused),
            )
            return (yield from record(unsent, _failed(ActionOutcome.UNSENT, outcome)))
        case Declined():
            rejected = e.Rejected(
                at=at, name=name, token=token, send=number, code=outcome.code, message=outcome.message
            )
            return (yield from record(rejected, _failed(ActionOutcome.REJECTED, outcome)))
        case Ambiguous():
            unclear = e.Unclear(at=at, name=name, token=token, send=number, code=outcome.code, message=outcome.message)
            yield from record(unclear, ActionResult(ActionOutcome.UNKNOWN))
            return (yield from _look(intent.action, event, outcome))
        case _:
            assert_never(outcome)


def _look(action: Action, event: e.Intended, outcome: Ambiguous) -> Steps:
    """Looks a few times for the run that an unclear send may have started; what is not found stays unknown."""
    wanted = Wanted(event.token, event.locate, event.at)
    for pause in LOOK_PAUSES:
        if not (yield Pause(pause)):
            break
        found = yield Look(event.kind, wanted)
        if isinstance(found, Sequence) and not isinstance(found, str) and len(found) == 1:
            return (yield from adopt(action, str(found[0])))
    return _failed(ActionOutcome.UNKNOWN, outcome)


def _outcome(value: object) -> Outcome:
    """What the driver sent for a transmission; anything that is no outcome is unclear, as everything unforeseen is."""
    if isinstance(value, (Accepted, NotSent, Refused, Declined, Ambiguous)):
        return value
    return Ambiguous("Unforeseen", f"the service answered with {type(value).__name__}")


def _failed(outcome: ActionOutcome, why: NotSent | Refused | Declined | Ambiguous) -> ActionResult:
    return ActionResult(outcome, error=f"{why.code}: {why.message}")


def _may_intend(intent: Intent, number: int) -> Callable[[Recorded], str | None]:
    """An intent makes sense while nothing about its spec has moved, and its submission has no other send unresolved."""
    action = intent.action

    def valid(recorded: Recorded) -> str | None:
        known = recorded.spec(action.name)
        submission = recorded.by_token.get(intent.token)
        if number > 1:
            again = submission is not None and _may_send_again(submission, number, intent.settle_seconds)
            return None if again and known.newest is submission else what_moved(action, recorded)
        if known.head != action.ledger_head or submission is not None or known.unresolved:
            return what_moved(action, recorded)
        key = (action.generation, action.slot, action.attempt)
        return what_moved(action, recorded) if any(s.key == key for s in known.submissions) else None

    return valid


def _may_send_again(submission: Submission, number: int, settle_seconds: int) -> bool:
    """Whether all earlier sends are known not to have arrived, by AWS's word or by the settling rules."""
    absent = submission.phase is Phase.INTENDED and proven_absent(submission, settle_seconds)
    return submission.newest_send.number == number - 1 and (submission.phase is Phase.UNSENT or absent)
