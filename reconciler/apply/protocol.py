"""The submission protocol, without I/O: generators that yield effects and are sent what came of them.

The same code is driven by the real command and by tests. The order of the yields *is* the promise: the intent is
durable before anything is transmitted, the outcome is recorded after it, and what is not clear stays unresolved.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar, assert_never

from reconciler.apply.actions import adopt
from reconciler.apply.effects import (
    Acquire,
    Append,
    Effect,
    Look,
    Pause,
    Procedure,
    Release,
    Transmit,
    moment,
    moved,
    now,
    read_clock,
    record,
    what_moved,
)
from reconciler.core import events as e
from reconciler.core.absence import may_repeat_at, proven_absent
from reconciler.core.plan import Action, ActionOutcome, ActionResult, Reason
from reconciler.core.ports import Accepted, Ambiguous, Deadline, Declined, Moved, NotSent, Outcome, Refused, Wanted
from reconciler.core.state import Recorded, SpecRecord
from reconciler.core.submission import Phase, Submission
from reconciler.errors import LedgerError
from reconciler.model.base import JSON

Said = TypeVar("Said", e.Unsent, e.Rejected, e.Unclear)

LOOK_PAUSES = (1.0, 2.0, 3.0, 4.0)
"""Seconds before each look for a run whose submission was unclear: about ten in all, then it is reported unknown."""

RESEND_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further send of a submission that AWS refused for a passing reason, within one pass."""

THROTTLE_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, *[30.0] * 9)
"""The same for one that AWS throttled: for five minutes, so that throttling makes a pass slow and does not fail it."""

NEVER_STOPPED = "the command was stopped before this was done"


@dataclass(frozen=True, slots=True)
class Intent:
    """One submit of a plan, with everything its `intended` events say.

    `request` is what is transmitted, byte for byte, by `operation`. `claim_seconds` and `settle_seconds` are the
    target's. `idempotent`: AWS takes our token, and answers a second send of it with the run of the first. `began` is
    when the first intent of this submission was, `None` where this is it. `repeats`: earlier sends are unresolved, and
    this one may go all the same because AWS knows the token (R6). `describe` makes the event of a send from its number,
    the times of its intent and of its deadline, and whether all earlier sends are proven not to have arrived.
    """

    action: Action
    token: str
    request: JSON
    operation: str
    claim_seconds: int
    settle_seconds: int
    idempotent: bool
    began: str | None
    repeats: bool
    describe: Callable[[int, str, str, bool], e.Intended]


@dataclass(frozen=True, slots=True)
class _Sent:
    """One send: what became of it, its intent and its outcome; both are `None` where nothing was intended."""

    result: ActionResult
    event: e.Intended | None = None
    outcome: Outcome | None = None


def submit(intent: Intent) -> Procedure:
    """Submits one generation or slot: intent, one transmission, outcome; again what AWS refused for a passing reason,
    and, where AWS takes our token, what is unclear. Ends with a look for the run where the outcome stays unclear."""
    pauses = {True: iter(THROTTLE_PAUSES), False: iter(RESEND_PAUSES)}
    number, repeats = intent.action.send, intent.repeats
    while True:
        sent = yield from _send(intent, number, repeats=repeats)
        if sent.event is None or sent.outcome is None or isinstance(sent.outcome, Accepted):
            return sent.result
        if repeats or isinstance(sent.outcome, Ambiguous):
            return (yield from _find_out(intent, sent.event, sent.outcome))
        if not isinstance(sent.outcome, Refused):
            return sent.result
        pause = next(pauses[sent.outcome.throttled], None)
        if pause is None or not (yield Pause(pause)):
            return sent.result
        number += 1


def _send(intent: Intent, number: int, *, repeats: bool) -> Generator[Effect, object, _Sent]:
    """One send: the quota's leave, the clock, the intent, the call, the outcome, in this order."""
    if not (yield Acquire(intent.operation)):
        return _Sent(ActionResult(ActionOutcome.UNSENT, error=NEVER_STOPPED))
    reading = yield from read_clock()
    deadline = Deadline(reading.wall + intent.claim_seconds, reading.boot + intent.claim_seconds)
    proven = number > 1 and not repeats
    event = intent.describe(number, moment(reading.wall), moment(deadline.wall), proven)
    may = _may_repeat(intent, number, reading.wall) if repeats else _may_intend(intent, number)
    try:
        appended = yield Append((event,), may)
    except LedgerError as error:
        yield Release(intent.operation)
        return _Sent(ActionResult(ActionOutcome.UNSENT, error=f"nothing was sent: {error}"))
    if isinstance(appended, Moved):
        yield Release(intent.operation)
        return _Sent(moved(appended))
    outcome = _outcome((yield Transmit(intent.action.kind, intent.request, deadline)))
    return _Sent((yield from _conclude(event, outcome)), event, outcome)


def _conclude(event: e.Intended, outcome: Outcome) -> Procedure:
    """Records what the one transmission that `event` announced led to."""
    at = yield from now()
    match outcome:
        case Accepted():
            accepted = e.Submitted(
                at=at, name=event.name, token=event.token, send=event.send, run_id=outcome.run_id, arn=outcome.arn
            )
            return (yield from record(accepted, ActionResult(ActionOutcome.SUBMITTED, outcome.run_id)))
        case NotSent() | Refused():
            unsent = _said(e.Unsent, event, at, outcome, refused=isinstance(outcome, Refused))
            return (yield from record(unsent, _failed(ActionOutcome.UNSENT, outcome)))
        case Declined():
            return (yield from record(_said(e.Rejected, event, at, outcome), _failed(ActionOutcome.REJECTED, outcome)))
        case Ambiguous():
            more = {"conflict": True} if outcome.conflict else {}
            unclear = _said(e.Unclear, event, at, outcome, **more)
            return (yield from record(unclear, _failed(ActionOutcome.UNKNOWN, outcome)))
        case _:
            assert_never(outcome)


def _find_out(intent: Intent, event: e.Intended, outcome: Outcome) -> Procedure:
    """Looks a few times for the run that an unclear send may have started; what is not found stays unknown (R4).

    Where AWS takes our token the same send is repeated before each look, for a minute: its answer names the run (R6).
    """
    wanted = Wanted(event.token, event.content.location, intent.began or event.at)
    number, last = event.send, outcome
    repeats = intent.idempotent and not _saw_our_token(outcome)
    for pause in LOOK_PAUSES:
        if repeats and (yield from _is_fresh(wanted.since)):
            sent = yield from _send(intent, number + 1, repeats=True)
            if isinstance(sent.outcome, Accepted):
                return sent.result
            number, last = number + 1, sent.outcome or last
            repeats = sent.outcome is not None and not _saw_our_token(sent.outcome)
        if not (yield Pause(pause)):
            break
        found = yield Look(event.kind, wanted)
        if isinstance(found, Sequence) and not isinstance(found, str) and len(found) == 1:
            return (yield from adopt(intent.action, str(found[0])))
    return ActionResult(ActionOutcome.UNKNOWN, error=_words(last))


def _is_fresh(began: str) -> Generator[Effect, object, bool]:
    """Whether a send may be repeated at once: AWS still remembers the token of the first."""
    return may_repeat_at(began, (yield from read_clock()).wall)


def _saw_our_token(outcome: Outcome) -> bool:
    """Whether AWS answered that this token was used: then only a look can tell by which run."""
    return isinstance(outcome, Ambiguous) and outcome.conflict


def _said(
    kind: Callable[..., Said],
    event: e.Intended,
    at: str,
    outcome: NotSent | Refused | Declined | Ambiguous,
    **more: bool,
) -> Said:
    """The event that records an answer in AWS's words."""
    of = {"at": at, "name": event.name, "token": event.token, "send": event.send}
    return kind(**of, code=outcome.code, message=outcome.message, **more)


def _outcome(value: object) -> Outcome:
    """What the driver sent for a transmission; anything that is no outcome is unclear, as everything unforeseen is."""
    if isinstance(value, (Accepted, NotSent, Refused, Declined, Ambiguous)):
        return value
    return Ambiguous("Unforeseen", f"the service answered with {type(value).__name__}")


def _failed(outcome: ActionOutcome, why: NotSent | Refused | Declined | Ambiguous) -> ActionResult:
    return ActionResult(outcome, error=_words(why))


def _words(outcome: Outcome) -> str:
    """An outcome in one line."""
    return "accepted" if isinstance(outcome, Accepted) else f"{outcome.code}: {outcome.message}"


def _may_intend(intent: Intent, number: int) -> Callable[[Recorded], str | None]:
    """An intent makes sense while nothing about its spec has moved, and its submission has no other send unresolved.

    Slots that run side by side move each other's head: of them it is enough that their slot is still nobody's.
    """
    action = intent.action

    def valid(recorded: Recorded) -> str | None:
        known = recorded.spec(action.name)
        submission = recorded.by_token.get(intent.token)
        if number > 1:
            again = submission is not None and _may_send_again(submission, number, intent.settle_seconds)
            newest = known.newest is submission or action.slot is not None
            return None if again and newest else what_moved(action, recorded)
        if submission is not None or (known.head != action.ledger_head and not action.beside):
            return what_moved(action, recorded)
        if _hindered(action, known):
            return what_moved(action, recorded)
        return what_moved(action, recorded) if any(s.key == action.key for s in known.submissions) else None

    return valid


def _hindered(action: Action, known: SpecRecord) -> bool:
    """Whether something of the spec is unresolved that the plan did not know of, or the slot was given up. A slot that
    is held for a person keeps no other slot back: the plan has decided that."""
    if action.slot is None:
        return bool(known.unresolved)
    unknown = any(s.intent_position > action.ledger_head for s in known.unresolved)
    return unknown or (action.reason is Reason.SLOT_DUE and known.is_missed(action.slot))


def _may_repeat(intent: Intent, number: int, wall: float) -> Callable[[Recorded], str | None]:
    """A repeated send makes sense while the first one's minute lasts, nobody knows its run, and AWS did not say that it
    knows the token."""
    action = intent.action

    def valid(recorded: Recorded) -> str | None:
        submission = recorded.by_token.get(intent.token)
        fine = (
            submission is not None
            and submission.phase is Phase.INTENDED
            and submission.newest_send.number == number - 1
            and not submission.token_known
            and may_repeat_at(submission.first_intent_at, wall)
        )
        return None if fine else what_moved(action, recorded)

    return valid


def _may_send_again(submission: Submission, number: int, settle_seconds: int) -> bool:
    """Whether all earlier sends are known not to have arrived, by AWS's word or by the settling rules."""
    absent = submission.phase is Phase.INTENDED and proven_absent(submission, settle_seconds)
    return submission.newest_send.number == number - 1 and (submission.phase is Phase.UNSENT or absent)
