"""What a person decided, written down: one append each, that names what the person saw and fails if it moved.

Nothing is sent here: a pass carries out what follows. Generators over effects, as those of `protocol`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reconciler.apply.effects import Append
from reconciler.apply.steps import Steps, moved, now
from reconciler.plan.result import ActionOutcome, ActionResult
from reconciler.ports import Moved, RunReport, Valid
from reconciler.recorded import events as e
from reconciler.recorded.state import Recorded
from reconciler.recorded.submission import Submission


@dataclass(frozen=True, slots=True)
class Hand:
    """Whose decision it is, and why (`None`: not said)."""

    actor: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What the decision rests on: the spec's newest event, and the submission decided about as it was, if there is one:
    its token, how far it had come and its newest send."""

    name: str
    head: int
    token: str | None = None
    phase: str | None = None
    send: int | None = None

    @classmethod
    def of(cls, submission: Submission, head: int) -> Seen:
        """A submission as it is recorded now."""
        return cls(submission.name, head, submission.token, submission.phase, submission.newest_send.number)

    def unmoved(self, recorded: Recorded) -> str | None:
        """`None` while everything is as it was seen, else what moved, in words."""
        submission = recorded.by_token.get(self.token) if self.token is not None else None
        head = recorded.spec(self.name).head
        if submission is not None and submission.phase != self.phase:
            return f"{self.name} moved since it was shown: it was {self.phase}, and is {submission.phase} now"
        if submission is not None and submission.newest_send.number != self.send:
            number = submission.newest_send.number
            return f"{self.name} moved since it was shown: send {number} was intended after send {self.send}"
        if head != self.head:
            return f"{self.name} moved since it was shown: its newest event is at position {head}, not {self.head}"
        return None


def resolve(seen: Seen, decision: str, hand: Hand, *, slot: str | None, forced: bool) -> Steps:
    """Decides an unresolved submission: ``submit`` or ``abandon``. A slot that is to be submitted is asked for as a
    backfill too: it may not be due any more."""
    at = yield from now()
    event = e.Resolved(
        at=at,
        name=seen.name,
        token=seen.token or "",
        decision=decision,
        send=seen.send or 0,
        reason=hand.reason,
        actor=hand.actor,
        forced=forced or None,
    )
    events: list[e.Event] = [event]
    if decision == "submit" and slot is not None:
        why, actor = hand.reason, hand.actor
        events.append(e.BackfillAsked(at=at, name=seen.name, slots=(slot,), reason=why, actor=actor))
    return (yield from _written(events, seen.unmoved, ActionResult(ActionOutcome.RECORDED)))


def adopt(seen: Seen, run_id: str, report: RunReport, hand: Hand, allowed: Valid) -> Steps:
    """Makes a run that of a recorded submission. `allowed` says whether it may be taken, asked as `valid` is."""
    at = yield from now()
    token = seen.token or ""
    adopted = e.Adopted(
        at=at, name=seen.name, token=token, run_id=run_id, by=e.BY_HAND, reason=hand.reason, actor=hand.actor
    )
    events = [adopted, state_of(seen.name, token, run_id, report, at)]
    result = ActionResult(ActionOutcome.ADOPTED, run_id)
    return (yield from _written(events, _both(seen.unmoved, allowed), result))


def take(seen: Seen, taken: Callable[[str], e.Taken], report: RunReport, allowed: Valid) -> Steps:
    """Makes a run that no intent stands for a spec's current submission; `taken` makes the event from its time."""
    at = yield from now()
    event = taken(at)

    def free(recorded: Recorded) -> str | None:
        clash = event.token in recorded.by_token or bool(recorded.spec(event.name).unresolved)
        return f"{event.name} moved since it was shown: another submission was recorded" if clash else None

    events = [event, state_of(event.name, event.token, event.run_id, report, at)]
    result = ActionResult(ActionOutcome.ADOPTED, event.run_id)
    return (yield from _written(events, _both(_both(seen.unmoved, free), allowed), result))


def cancel_once_adopted(seen: Seen, hand: Hand) -> Steps:
    """Asks for the end of a run that nobody knows yet: it is cancelled when it is adopted."""
    why = hand.reason or "asked for by hand"
    event = e.CancelAsked(at=(yield from now()), name=seen.name, token=seen.token or "", reason=why, actor=hand.actor)
    return (yield from _written([event], seen.unmoved, ActionResult(ActionOutcome.RECORDED)))


def retry(seen: Seen, hand: Hand) -> Steps:
    """Asks for one more attempt of what a submission stands for."""
    at = yield from now()
    event = e.RetryAsked(at=at, name=seen.name, token=seen.token or "", reason=hand.reason, actor=hand.actor)
    return (yield from _written([event], seen.unmoved, ActionResult(ActionOutcome.RECORDED)))


def backfill(seen: Seen, slots: Sequence[str], hand: Hand) -> Steps:
    """Asks for runs of past slots, in this order."""
    at = yield from now()
    event = e.BackfillAsked(at=at, name=seen.name, slots=tuple(slots), reason=hand.reason, actor=hand.actor)
    return (yield from _written([event], seen.unmoved, ActionResult(ActionOutcome.RECORDED)))


def rebuild(seen: Seen, events: Callable[[str], Sequence[e.Event]]) -> Steps:
    """Records again what a lost ledger knew of one spec, all of it or nothing; `events` makes it from the time."""
    made = events((yield from now()))
    return (yield from _written(made, seen.unmoved, ActionResult(ActionOutcome.RECORDED)))


def state_of(name: str, token: str, run_id: str, report: RunReport, at: str) -> e.Observed:
    """The event that records how AWS described a run."""
    return e.Observed(
        at=at,
        name=name,
        token=token,
        run_id=run_id,
        state=report.state,
        aws_state=report.aws_state,
        detail=report.detail,
        started_at=report.started_at,
        finished_at=report.finished_at,
    )


def _written(events: Sequence[e.Event], valid: Valid, result: ActionResult) -> Steps:
    """Appends a decision, whole. Raises `LedgerError`: a person is told, and decides again."""
    appended = yield Append(events, valid)
    return moved(appended) if isinstance(appended, Moved) else result


def _both(first: Valid, second: Valid) -> Valid:
    return lambda recorded: first(recorded) or second(recorded)
