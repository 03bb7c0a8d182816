"""The submission protocol, without I/O: generators that yield effects and receive their results.

The command and the tests run the same code. The order of the effects is the guarantee: the intent is durable before the
request is transmitted, the outcome is recorded afterwards, and an unclear outcome remains unresolved.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
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
    always,
    moment,
    moved,
    no_longer_due,
    now,
    read_clock,
    record_events,
    renamed_since,
    what_moved,
)
from reconciler.core import events as e
from reconciler.core.plan import Action, ActionOutcome, ActionResult
from reconciler.core.ports import (
    Accepted,
    Ambiguous,
    Declined,
    Instant,
    Moved,
    NotSent,
    Outcome,
    Precondition,
    Refused,
    Wanted,
)
from reconciler.core.state import Phase, Recorded, SpecRecord, Submission
from reconciler.core.unresolved import may_repeat_at, proven_absent
from reconciler.errors import LedgerError
from reconciler.model.kind import kind_named
from reconciler.values import dataclass

Failure = TypeVar("Failure", e.Unsent, e.Rejected, e.Unclear)

LOOK_PAUSES = (1.0, 2.0, 3.0, 4.0)
"""Seconds before each lookup of a run after an unclear send. After about ten seconds in total, the outcome is reported
as unknown."""

RESEND_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Pauses in seconds before a submission that AWS refused for a temporary reason is sent again in the same pass."""

THROTTLE_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, *[30.0] * 9)
"""Pauses in seconds before a throttled submission is sent again. They add up to five minutes, so that throttling slows
a pass down but does not make it fail."""

STOPPED_BEFORE = "the command was stopped before this was done"


@dataclass(frozen=True, slots=True)
class SubmitTask:
    """One submit action of a plan, with everything that its intents (the `intended` events) record.

    `draft` is the event of the next send, without its times; its request is transmitted byte for byte by `operation`.
    `claim_seconds` and `settle_seconds` are settings of the target.
    `idempotent` is true if AWS accepts our token and returns the run of the first send when the request is sent again.
    `began` is the time of the first intent of this submission, or `None` if there is none yet. `repeats` is true if
    earlier sends are unresolved and another send is safe because the token is still valid in AWS (R6). `outdated` is
    the precondition of the whole plan.
    """

    action: Action
    draft: e.Intended
    operation: str
    claim_seconds: int
    settle_seconds: int
    idempotent: bool
    began: str | None
    repeats: bool
    outdated: Precondition = always


@dataclass(frozen=True, slots=True)
class _Sent:
    """One send: its result, intent and outcome. The intent and the outcome are `None` if no intent was recorded."""

    result: ActionResult
    event: e.Intended | None = None
    outcome: Outcome | None = None


def submit(task: SubmitTask) -> Procedure:
    """Submits one generation or slot: records the intent, transmits the request once, and records the outcome. Sends
    again after a temporary refusal and, if AWS accepts our token, after an unclear outcome. If the outcome is still
    unclear after that, looks for the run."""
    pauses = {True: iter(THROTTLE_PAUSES), False: iter(RESEND_PAUSES)}
    number, repeats = task.action.send, task.repeats
    while True:
        sent = yield from _send(task, number, repeats=repeats)
        if sent.event is None or sent.outcome is None or isinstance(sent.outcome, Accepted):
            return sent.result
        # While an earlier send is unresolved, a refusal of this one does not prove that there is no run (R3).
        if repeats or isinstance(sent.outcome, Ambiguous):
            return (yield from _find_out(task, sent.event, sent.outcome))
        if not isinstance(sent.outcome, Refused):
            return sent.result
        pause = next(pauses[sent.outcome.throttled], None)
        if pause is None or not (yield Pause(pause)):
            return sent.result
        number += 1


def _send(task: SubmitTask, number: int, *, repeats: bool) -> Generator[Effect, object, _Sent]:
    """Sends once: take a quota token, read the clock, record the intent, call AWS, record the outcome. The order is the
    guarantee."""
    if not (yield Acquire(task.operation)):
        return _Sent(ActionResult(ActionOutcome.UNSENT, error=STOPPED_BEFORE))
    # The clock is read after the quota, which may take minutes: the deadline must cover the call, not the wait.
    reading = yield from read_clock()
    deadline = Instant(reading.wall + task.claim_seconds, reading.boot + task.claim_seconds)
    proven = number > 1 and not repeats  # if this is wrong, the precondition below refuses the intent
    at, not_after = moment(reading.wall), moment(deadline.wall)
    event = replace(task.draft, at=at, not_after=not_after, send=number, proven=proven or None)
    precondition = _may_repeat(task, number, reading.wall) if repeats else _may_intend(task, number)
    try:
        appended = yield Append((event,), precondition)
    except LedgerError as error:
        # After `LedgerUnreachable`, the intent may be in the ledger. It is not sent now; a later pass resolves it like
        # an unclear send.
        yield Release(task.operation)
        return _Sent(ActionResult(ActionOutcome.UNSENT, error=f"nothing was sent: {error}"))
    if isinstance(appended, Moved):
        yield Release(task.operation)
        return _Sent(moved(appended))
    outcome = _outcome((yield Transmit(event.kind, event.request, deadline)))
    return _Sent((yield from _conclude(event, outcome)), event, outcome)


def _conclude(event: e.Intended, outcome: Outcome) -> Procedure:
    """Records the outcome of the transmission that `event` announced."""
    at = yield from now()
    match outcome:
        case Accepted():
            accepted = e.Submitted(
                at=at, name=event.name, token=event.token, send=event.send, run_id=outcome.run_id, arn=outcome.arn
            )
            return (yield from record_events([accepted], ActionResult(ActionOutcome.SUBMITTED, outcome.run_id)))
        case NotSent() | Refused():
            unsent = _failure(e.Unsent, event, at, outcome, refused=isinstance(outcome, Refused))
            return (yield from record_events([unsent], _failed(ActionOutcome.UNSENT, outcome)))
        case Declined():
            rejected = _failure(e.Rejected, event, at, outcome)
            return (yield from record_events([rejected], _failed(ActionOutcome.REJECTED, outcome)))
        case Ambiguous():
            more = {"conflict": True} if outcome.conflict else {}
            unclear = _failure(e.Unclear, event, at, outcome, **more)
            return (yield from record_events([unclear], _failed(ActionOutcome.UNKNOWN, outcome)))
        case _:
            assert_never(outcome)


def _find_out(task: SubmitTask, event: e.Intended, outcome: Outcome) -> Procedure:
    """Looks for the run of an unclear send a few times. If no run is found, the outcome remains unknown (R4).

    If AWS accepts our token, the same request is sent again before each lookup during the first minute (R6).
    """
    run_name = event.request.get(kind_named(event.kind).name_field)
    # An earlier send may have started the run, and R6 counts its minute from the first intent.
    since, content = task.began or event.at, event.content
    wanted = Wanted(event.token, content.location, since, run_name, streaming=content.streaming)
    number, last = event.send, outcome
    repeats = task.idempotent and not _saw_our_token(outcome)
    for pause in LOOK_PAUSES:
        # If the run exists, AWS answers the same token with its id, which is sooner than a listing shows the run.
        if repeats and (yield from _is_fresh(wanted.since)):
            sent = yield from _send(task, number + 1, repeats=True)
            if isinstance(sent.outcome, Accepted):
                return sent.result
            number, last = number + 1, sent.outcome or last
            # Without an outcome, no intent was recorded: another pass has changed the submission, or the ledger fails.
            repeats = sent.outcome is not None and not _saw_our_token(sent.outcome)
        if not (yield Pause(pause)):
            break
        runs = yield Look(event.kind, wanted)
        # A text is the error of a failed lookup. Several runs are a conflict, which the next pass records.
        if isinstance(runs, Sequence) and not isinstance(runs, str) and len(runs) == 1:
            return (yield from adopt(task.action, str(runs[0])))
    return ActionResult(ActionOutcome.UNKNOWN, error=_words(last))


def _is_fresh(began: str) -> Generator[Effect, object, bool]:
    """Returns whether the token of the first send is still valid in AWS, so that the send may be repeated
    immediately."""
    return may_repeat_at(began, (yield from read_clock()).wall)


def _saw_our_token(outcome: Outcome) -> bool:
    """Returns whether AWS answered that this token was used (409). Then only a lookup can find the run with it."""
    return isinstance(outcome, Ambiguous) and outcome.conflict


def _failure(
    kind: Callable[..., Failure],
    event: e.Intended,
    at: str,
    outcome: NotSent | Refused | Declined | Ambiguous,
    **more: bool,
) -> Failure:
    """Returns the event that records a failed send with the code and message of AWS."""
    send = {"at": at, "name": event.name, "token": event.token, "send": event.send}
    return kind(**send, code=outcome.code, message=outcome.message, **more)


def _outcome(value: object) -> Outcome:
    """Checks the value that the interpreter sent for a transmission. Any unexpected value counts as unclear."""
    if isinstance(value, (Accepted, NotSent, Refused, Declined, Ambiguous)):
        return value
    return Ambiguous("Unforeseen", f"the service answered with {type(value).__name__}")


def _failed(outcome: ActionOutcome, why: NotSent | Refused | Declined | Ambiguous) -> ActionResult:
    return ActionResult(outcome, error=_words(why))


def _words(outcome: Outcome) -> str:
    """Describes an outcome in one line."""
    return "accepted" if isinstance(outcome, Accepted) else f"{outcome.code}: {outcome.message}"


def _may_intend(task: SubmitTask, number: int) -> Callable[[Recorded], str | None]:
    """Returns the precondition that the spec has not changed since the plan, and that no other send of the submission
    is unresolved.

    Submissions of parallel slots change the spec's ledger head. For them, it is enough that no other process has
    submitted the slot.
    """
    action = task.action

    def valid(recorded: Recorded) -> str | None:
        record = recorded.spec(action.name)
        submission = recorded.by_token.get(task.draft.token)
        outdated = task.outdated(recorded) or renamed_since(action, recorded) or no_longer_due(action, recorded)
        if outdated is not None:
            return outdated
        if number > 1:
            again = submission is not None and _may_send_again(submission, number, task.settle_seconds)
            # Slots are independent. An older generation must not be sent after another pass has intended a newer one.
            newest = record.newest is submission or action.slot is not None
            return None if again and newest else what_moved(action, recorded)
        if submission is not None or (record.head != action.ledger_head and not action.beside):
            return what_moved(action, recorded)
        if _blocked(action, record):
            return what_moved(action, recorded)
        # A pass with other content may have intended the same slot, and then it has another token.
        return what_moved(action, recorded) if any(s.key == action.key for s in record.submissions) else None

    return valid


def _blocked(action: Action, record: SpecRecord) -> bool:
    """Returns whether a submission of the spec became unresolved since the plan."""
    if action.slot is None:
        return bool(record.unresolved)
    # The plan has taken older submissions into account: a slot that is on hold for an operator does not block others.
    return any(s.intent_position > action.ledger_head for s in record.unresolved)


def _may_repeat(task: SubmitTask, number: int, wall: float) -> Callable[[Recorded], str | None]:
    """Returns the precondition that the token is still valid (for about a minute), that the submission has no run yet,
    and that AWS has not answered that the token was used."""
    action = task.action

    def valid(recorded: Recorded) -> str | None:
        submission = recorded.by_token.get(task.draft.token)
        repeatable = (
            submission is not None
            and submission.phase is Phase.INTENDED
            and submission.newest_send.number == number - 1  # otherwise another pass has repeated it
            and not submission.token_known
            and submission.cancel_asked_at is None
            and may_repeat_at(submission.first_intent_at, wall)
        )
        return renamed_since(action, recorded) or (None if repeatable else what_moved(action, recorded))

    return valid


def _may_send_again(submission: Submission, number: int, settle_seconds: int) -> bool:
    """Returns whether it is certain that no earlier send started a run: AWS refused them, or they are proven absent. A
    submission whose cancellation was requested is not sent again, because its run would only be cancelled."""
    absent = submission.phase is Phase.INTENDED and proven_absent(submission, settle_seconds)
    certain = submission.phase is Phase.UNSENT or absent
    return certain and submission.newest_send.number == number - 1 and submission.cancel_asked_at is None
