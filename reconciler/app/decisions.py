"""Models manual decisions as data: the state of a spec that an operator sees before deciding, and the events that a
decision records.

A decision contains the state that the operator saw, and is refused if that state has changed. Only a cancellation calls
AWS; the next pass carries out all other decisions.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from threading import Event
from typing import TypedDict

from reconciler.app.inputs import PassInputs, read
from reconciler.app.reconcile import make_plan, prepare, record_renames
from reconciler.app.session import Session
from reconciler.core import events as e
from reconciler.core.desired import Desired, DesiredSpec
from reconciler.core.plan import Action, ActionOutcome, ActionResult, Plan, Reason
from reconciler.core.ports import Moved, Precondition, RunRef, RunReport
from reconciler.core.renames import after_renames
from reconciler.core.state import Recorded, SpecRecord, Submission
from reconciler.core.times import parse_time, seconds_text, time_text
from reconciler.errors import ReconcilerError
from reconciler.render.results import DecisionSummary
from reconciler.specs.git import actor
from reconciler.values import dataclass

RECORDED = ActionResult(ActionOutcome.RECORDED)


class Operator(TypedDict):
    """The person who decides, and the reason (`None` if none was given). Both are fields of every event that records a
    decision."""

    actor: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class ExpectedState:
    """The state that a decision depends on: the position of the spec's newest event and, for a decision about one
    submission, its token, phase and newest send."""

    name: str
    head: int
    token: str | None = None
    phase: str | None = None
    send: int | None = None

    def objection(self, recorded: Recorded) -> str | None:
        """Returns a description of what has changed since then, or `None`. It can be used as a `Precondition`."""
        changed = f"{self.name} changed since it was shown"
        submission = recorded.by_token.get(self.token) if self.token is not None else None
        if submission is not None and submission.phase != self.phase:
            return f"{changed}: it was {self.phase} and is {submission.phase} now"
        if submission is not None and submission.newest_send.number != self.send:
            return f"{changed}: send {submission.newest_send.number} was recorded after send {self.send}"
        head = recorded.spec(self.name).head
        return f"{changed}: its newest event is at position {head}, not {self.head}" if head != self.head else None


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events that are appended together, or not at all if the precondition fails. `events` returns them for a given
    time."""

    events: Callable[[str], Sequence[e.Event]]
    precondition: Precondition
    result: ActionResult = RECORDED


@dataclass(frozen=True)
class Decision:
    """A decision: its summary, the runs to cancel, and the events to append. Without runs and events there is nothing
    to do.

    If `whole` is set, the command fails if the state changed or any part fails. Otherwise each part has its own result.
    """

    summary: DecisionSummary
    batches: tuple[EventBatch, ...] = ()
    cancels: tuple[Action, ...] = ()
    whole: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether the decision has no effect."""
        return not self.batches and not self.cancels


@dataclass(frozen=True)
class SpecView:
    """The spec that an operator decides about: as it is in git, and as the ledger records it after a lookup in AWS."""

    session: Session
    name: str
    operator: Operator
    inputs: PassInputs
    plan: Plan

    @property
    def recorded(self) -> Recorded:
        """The recorded state, after the renames that the plan records."""
        return after_renames(self.inputs.recorded, self.plan.renames)

    @property
    def record(self) -> SpecRecord:
        """The record of this spec."""
        return self.recorded.spec(self.name)

    def attempts(self, slot: str | None = None, run_id: str | None = None) -> Sequence[Submission]:
        """Returns the submissions of the spec in the current state. If the current state does not have the given slot
        or run, returns the spec's archived submissions."""
        held = self.record.submissions
        if self.record.archive is None:
            return held
        history = self.session.ledger.history
        if slot is not None and all(submission.slot != slot for submission in held):
            return history.of_group(self.recorded, self.record, slot)
        if run_id is not None and all(submission.run_id != run_id for submission in held):
            return [each for each in history.of_run(self.recorded, run_id) if each.name == self.name] or held
        return held

    def archived_run(self, run_id: str) -> Submission | None:
        """Returns the newest archived submission of any spec that has the run `run_id`, or `None`."""
        if not self.recorded.archives:
            return None
        return next(iter(self.session.ledger.history.of_run(self.recorded, run_id)), None)

    @property
    def spec(self) -> DesiredSpec | None:
        """The spec in git, or `None` if only the ledger has it."""
        return self.inputs.specs.get(self.name)

    @property
    def time_zone(self) -> str:
        """The time zone of the spec's schedule, from git or, for a spec that is not in git, from the ledger."""
        if self.spec is not None:
            return self.spec.policy.timeZone
        return self.record.schedule.time_zone if self.record.schedule else "UTC"

    def required_spec(self) -> DesiredSpec:
        """Returns the spec in git. Raises `ReconcilerError` if the spec is not in git, or not valid."""
        self.check_valid()
        if self.spec is None:
            raise ReconcilerError(f"{self.name} is no longer in the project")
        return self.spec

    def check_valid(self) -> None:
        """Raises `ReconcilerError` if the desired state is unknown because a file is not valid."""
        why = next((action.message for action in self.plan.actions if action.reason is Reason.INVALID_SPEC), None)
        if why is not None:
            raise ReconcilerError(f"{self.name} is on hold: {why}")

    def desired_alone(self, spec: DesiredSpec) -> Desired:
        """Returns a desired state that contains only this spec."""
        return Desired(self.session.place, {spec.name: spec}, frozenset({spec.name}))

    def expected(self, submission: Submission | None = None) -> ExpectedState:
        """Returns the current state of the spec, or of one submission, for a decision to depend on."""
        if submission is None:
            return ExpectedState(self.name, self.record.head)
        send = submission.newest_send.number
        return ExpectedState(self.name, self.record.head, submission.token, submission.phase, send)

    def summary(
        self,
        command: str,
        *,
        about: str,
        does: str,
        facts: Iterable[tuple[str, str]] = (),
        warnings: Iterable[str] = (),
        **form: object,
    ) -> DecisionSummary:
        """Returns the summary of a decision about this spec. `form` contains the additional JSON fields of the
        command."""
        return DecisionSummary(
            command=command,
            place=self.session.place,
            name=self.name,
            about=about,
            facts=tuple(facts),
            does=does,
            warnings=tuple(warnings),
            form=form,
            **self.operator,
        )


def view_spec(session: Session, name: str, reason: str | None) -> SpecView:
    """Observes one spec as a pass does, records what AWS reports, and returns the view for a decision. `reason` is the
    operator's reason. Problems in other specs are ignored.

    Raises `UsageError` for an unknown name, and the errors of `prepare`.
    """
    session = replace(session, options=replace(session.options, only=(name,), labels=()))
    return SpecView(session, name, operator_of(session, reason), *prepare(session, tolerant=True))


def next_actions(view: SpecView) -> tuple[Action, ...]:
    """Returns the actions that a pass would take for the spec now, according to the ledger."""
    return make_plan(view.session, read(view.session, tolerant=True)).actions


def operator_of(session: Session, reason: str | None) -> Operator:
    """Returns the user who runs this command, with the given reason."""
    return Operator(actor=actor(session.environ, session.root), reason=(reason or "").strip() or None)


def record_decision(view: SpecView, decision: Decision) -> tuple[ActionResult, ...]:
    """Cancels the runs of a decision and appends its events, after recording the rename of the spec if one is pending.

    Raises `LedgerError`, and `ReconcilerError` if a `whole` decision depends on a state that changed since it was
    shown.
    """
    session = view.session
    if not decision.is_empty:
        record_renames(session, view.plan)
    results = (
        *(_cancel(session, action, decision.summary) for action in decision.cancels),
        *(append(session, batch) for batch in decision.batches),
    )
    for result in results:
        if decision.whole and result.error is not None:
            raise ReconcilerError(f"{result.error}. Nothing was recorded; run the command again")
    return results


def append(session: Session, batch: EventBatch) -> ActionResult:
    """Appends events. If their precondition fails, the result contains the objection. Raises `LedgerError`."""
    appended = session.ledger.append(batch.events(time_text(session.now())), batch.precondition)
    return ActionResult(ActionOutcome.NONE, error=appended.why) if isinstance(appended, Moved) else batch.result


def _cancel(session: Session, action: Action, summary: DecisionSummary) -> ActionResult:
    """Cancels a run by the protocol, which records the cancellation before calling AWS."""
    from reconciler.apply.actions import cancel
    from reconciler.apply.interpreter import World, drive

    # The event is never set, because a signal interrupts such a command as a whole.
    world = World(session.ledger, session.aws.service, session.clock, session.aws.quota, Event())
    reason = summary.reason or f"reconciler: asked by {summary.actor}"
    return drive(cancel(action, reason, summary.actor), world)


def all_of(*preconditions: Precondition) -> Precondition:
    """Combines preconditions into one precondition, which returns the first objection."""
    return lambda recorded: next((objection for each in preconditions if (objection := each(recorded))), None)


def observed(name: str, token: str, run_id: str, report: RunReport, at: str) -> e.Observed:
    """Returns the event that records the state of an adopted run, without `usage`."""
    return replace(report, usage=None).event(name, RunRef(token, run_id, {}), at)


def unresolved_facts(view: SpecView, submission: Submission) -> list[tuple[str, str]]:
    """Returns what is recorded and observed about an unresolved submission, as pairs of label and value."""
    run_ids = view.recorded.runs_by_token.get(submission.token, ())
    failure = view.recorded.look_errors.get(submission.token)
    send = submission.newest_send
    return [
        ("unknown since", seconds_text(parse_time(submission.first_intent_at))),
        ("newest send", f"{send.number}, {seconds_text(parse_time(send.at))}"),
        ("settles at", seconds_text(submission.settles_at(view.session.target.settleSeconds))),
        *([("last answer", submission.error)] if submission.error else []),
        ("lookup now", f"failed: {failure}" if failure else ", ".join(run_ids) or "AWS lists no run with its token"),
        ("client token", submission.token),
    ]


def chosen_submission(candidates: Sequence[Submission], token: str | None, what: str) -> Submission:
    """Returns the submission whose token starts with `token` (or the newest if it is `None`). Raises `ReconcilerError`
    unless exactly one matches."""
    if token is None:
        return candidates[-1]
    prefix = token.removeprefix("r1-")
    matches = [s for s in candidates if s.token.removeprefix("r1-").startswith(prefix)]
    if len(matches) != 1:
        tokens = ", ".join(s.token for s in candidates)
        raise ReconcilerError(f"token {token!r} matches {len(matches)} of the {what}. Their tokens: {tokens}")
    return matches[0]
