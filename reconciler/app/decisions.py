"""What a person decided, written down: one append each, that names what the person saw and fails if it moved.

Nothing is sent here: a pass carries out what follows. Generators over effects, as those of `protocol`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING

from reconciler.app.reconcile import PassInputs, make_plan, prepare, read
from reconciler.apply.effects import Append, Procedure, moved, now
from reconciler.apply.interpreter import World, drive
from reconciler.core import events as e
from reconciler.core.absence import settles_at
from reconciler.core.plan import ActionOutcome, ActionResult
from reconciler.core.ports import Moved, Precondition, RunReport
from reconciler.core.state import Recorded
from reconciler.core.submission import Submission
from reconciler.core.times import parse_time, seconds_text
from reconciler.errors import ReconcilerError
from reconciler.render.decisions import DecisionSummary
from reconciler.specs.git import actor

if TYPE_CHECKING:
    from reconciler.app.session import Session
    from reconciler.core.desired import DesiredSpec
    from reconciler.core.plan import Action, Plan
    from reconciler.core.state import SpecRecord


@dataclass(frozen=True, slots=True)
class Operator:
    """Whose decision it is, and why (`None`: not said)."""

    actor: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class ExpectedState:
    """What the decision rests on: the spec's newest event, and the submission decided about as it was, if there is one:
    its token, how far it had come and its newest send."""

    name: str
    head: int
    token: str | None = None
    phase: str | None = None
    send: int | None = None

    @classmethod
    def of(cls, submission: Submission, head: int) -> ExpectedState:
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


def resolve(seen: ExpectedState, decision: str, hand: Operator, *, slot: str | None, forced: bool) -> Procedure:
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


def adopt(seen: ExpectedState, run_id: str, report: RunReport, hand: Operator, allowed: Precondition) -> Procedure:
    """Makes a run that of a recorded submission. `allowed` says whether it may be taken, asked as `valid` is."""
    at = yield from now()
    token = seen.token or ""
    adopted = e.Adopted(
        at=at, name=seen.name, token=token, run_id=run_id, by=e.BY_HAND, reason=hand.reason, actor=hand.actor
    )
    events = [adopted, state_of(seen.name, token, run_id, report, at)]
    result = ActionResult(ActionOutcome.ADOPTED, run_id)
    return (yield from _written(events, _both(seen.unmoved, allowed), result))


def take(
    seen: ExpectedState, taken: Callable[[str], e.ManuallyAdopted], report: RunReport, allowed: Precondition
) -> Procedure:
    """Makes a run that no intent stands for a spec's current submission; `taken` makes the event from its time."""
    at = yield from now()
    event = taken(at)

    def free(recorded: Recorded) -> str | None:
        clash = event.token in recorded.by_token or bool(recorded.spec(event.name).unresolved)
        return f"{event.name} moved since it was shown: another submission was recorded" if clash else None

    events = [event, state_of(event.name, event.token, event.run_id, report, at)]
    result = ActionResult(ActionOutcome.ADOPTED, event.run_id)
    return (yield from _written(events, _both(_both(seen.unmoved, free), allowed), result))


def cancel_once_adopted(seen: ExpectedState, hand: Operator) -> Procedure:
    """Asks for the end of a run that nobody knows yet: it is cancelled when it is adopted."""
    why = hand.reason or "asked for by hand"
    event = e.CancelAsked(at=(yield from now()), name=seen.name, token=seen.token or "", reason=why, actor=hand.actor)
    return (yield from _written([event], seen.unmoved, ActionResult(ActionOutcome.RECORDED)))


def retry(seen: ExpectedState, hand: Operator) -> Procedure:
    """Asks for one more attempt of what a submission stands for."""
    at = yield from now()
    event = e.RetryAsked(at=at, name=seen.name, token=seen.token or "", reason=hand.reason, actor=hand.actor)
    return (yield from _written([event], seen.unmoved, ActionResult(ActionOutcome.RECORDED)))


def backfill(seen: ExpectedState, slots: Sequence[str], hand: Operator) -> Procedure:
    """Asks for runs of past slots, in this order."""
    at = yield from now()
    event = e.BackfillAsked(at=at, name=seen.name, slots=tuple(slots), reason=hand.reason, actor=hand.actor)
    return (yield from _written([event], seen.unmoved, ActionResult(ActionOutcome.RECORDED)))


def rebuild(seen: ExpectedState, events: Callable[[str], Sequence[e.Event]]) -> Procedure:
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


def _written(events: Sequence[e.Event], valid: Precondition, result: ActionResult) -> Procedure:
    """Appends a decision, whole. Raises `LedgerError`: a person is told, and decides again."""
    appended = yield Append(events, valid)
    return moved(appended) if isinstance(appended, Moved) else result


def _both(first: Precondition, second: Precondition) -> Precondition:
    return lambda recorded: first(recorded) or second(recorded)


@dataclass(frozen=True)
class Decision:
    """A decision and the steps that write it down; without steps there is nothing to do.

    `whole`: what moved, or failed, is an error of the command. Else each of the steps is told by itself.
    """

    decision: DecisionSummary
    procedures: tuple[Procedure, ...] = ()
    whole: bool = True


@dataclass(frozen=True)
class SpecView:
    """One spec as git asks for it (`spec` is `None` for one that is only recorded) and as it is recorded, with what AWS
    says of it now written down."""

    session: Session
    name: str
    inputs: PassInputs
    plan: Plan

    @property
    def recorded(self) -> Recorded:
        """Everything recorded."""
        return self.inputs.recorded

    @property
    def record(self) -> SpecRecord:
        """What is recorded of this spec."""
        return self.inputs.recorded.spec(self.name)

    @property
    def spec(self) -> DesiredSpec | None:
        """What git asks for."""
        return self.inputs.specs.get(self.name)

    @property
    def settle_seconds(self) -> int:
        """The target's settling time."""
        return self.session.target.settleSeconds


def look(session: Session, name: str) -> SpecView:
    """Observes one spec as a pass would, and records what AWS said.

    Raises `UsageError` for an unknown name, and as `prepare` does.
    """
    session = replace(session, options=replace(session.options, only=(name,), labels=()))
    return SpecView(session, name, *prepare(session))


def following(sight: SpecView) -> tuple[Action, ...]:
    """Returns what a pass would do about the spec now, from what is recorded."""
    return make_plan(sight.session, read(sight.session)).actions


def carried_out(session: Session, proposal: Decision) -> tuple[ActionResult, ...]:
    """Writes a decision down. Raises `ReconcilerError` where what it rests on moved since it was shown, of a decision
    that is a whole."""
    world = World(session.ledger, session.aws.service, session.clock, session.aws.quota, Event())
    results = tuple(drive(procedure, world) for procedure in proposal.procedures)
    for result in results:
        if proposal.whole and result.error is not None:
            raise ReconcilerError(f"{result.error}. Nothing was recorded; look again")
    return results


def hand(session: Session, reason: str | None) -> Operator:
    """Who decides, and why."""

    return Operator(actor(session.environ, session.root), (reason or "").strip() or None)


def which(submission: Submission) -> str:
    """``orders, generation 2``."""
    return str(submission.key)


def doubt_facts(submission: Submission, recorded: Recorded, settle_seconds: int) -> Sequence[tuple[str, str]]:
    """What is known of an unresolved submission: label and value."""
    found = recorded.runs_by_token.get(submission.token)
    said = recorded.look_errors.get(submission.token)
    seen = f"failed: {said}" if said else ", ".join(found) if found else "AWS lists no run with its tag"
    return (
        ("unknown since", seconds_text(parse_time(submission.first_intent_at))),
        ("newest send", f"{submission.newest_send.number}, {seconds_text(parse_time(submission.newest_send.at))}"),
        ("settles at", seconds_text(settles_at(submission, settle_seconds))),
        *((("last answer", submission.error),) if submission.error else ()),
        ("look just now", seen),
        ("client token", submission.token),
    )


def chosen_submission(candidates: Sequence[Submission], token: str | None, what: str) -> Submission:
    """The submission that `token` begins (`None`: the newest). Raises `ReconcilerError` where none does, or several."""
    if token is None:
        return candidates[-1]
    prefix = token.removeprefix("r1-")
    found = [s for s in candidates if s.token.removeprefix("r1-").startswith(prefix)]
    if len(found) != 1:
        tokens = ", ".join(s.token for s in candidates)
        raise ReconcilerError(
            f"{len(found)} of the {what} have a token that begins with {token!r}; there are: {tokens}"
        )
    return found[0]
