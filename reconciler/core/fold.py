"""The fold: events in, state out. Total over every log that a reconciler of this or an older format can write."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reconciler.core import events as e
from reconciler.core.identity import Place
from reconciler.core.state import Recorded, SpecRecord
from reconciler.core.submission import Phase, RunState, Send, Submission
from reconciler.core.times import MissedReason, Schedule, SlotRange
from reconciler.errors import LedgerCorrupt, LedgerFormatNewer

NOTES = (e.ScheduledSince, e.Missed, e.Notified)
"""Events that make no plan stale: what they forbid is asked again when an intent is appended."""

TERMINAL = {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}


def fold(recorded: Recorded, position: int, batch: Iterable[e.Event]) -> None:
    """Adds the events of the batch at `position` to `recorded`, in place.

    Raises `LedgerCorrupt` for an event that cannot follow what came before it (an outcome without an intent), and
    `LedgerFormatNewer` for a log of a newer format.
    """
    for event in batch:
        _add(recorded, position, event)
    recorded.position = max(recorded.position, position)


def overlay(recorded: Recorded, batch: Iterable[e.Event]) -> None:
    """Adds what was observed and is not written down; positions and heads stay as they are."""
    for event in batch:
        if isinstance(event, e.SubmissionEvent):
            recorded.overlaid = True
            _outcome(_submission(recorded, event), event)


def _add(recorded: Recorded, position: int, event: e.Event) -> None:
    match event:
        case e.Opened():
            if event.format > e.FORMAT:
                raise LedgerFormatNewer(
                    f"the ledger has format {event.format}, this version writes {e.FORMAT}: "
                    "it was written by a newer reconciler. Upgrade to that version."
                )
            recorded.place = Place(event.project, event.target, event.account, event.region)
        case e.Intended():
            record = recorded.specs.setdefault(event.name, SpecRecord(event.name))
            _intend(recorded, record, position, event)
        case e.ManuallyAdopted():
            record = recorded.specs.setdefault(event.name, SpecRecord(event.name))
            _take(recorded, record, position, event)
        case e.SubmissionEvent():
            submission = _submission(recorded, event)
            if isinstance(event, e.Adopted) and _chosen(event):
                _give(recorded, event)
            _outcome(submission, event)
        case e.SpecEvent():
            _spec_event(recorded.specs.setdefault(event.name, SpecRecord(event.name)), event)
        case _:
            pass
    if isinstance(event, e.SpecEvent):
        _touch(recorded, position, event)


def _touch(recorded: Recorded, position: int, event: e.SpecEvent) -> None:
    """Notes where the event is, with what it is about: whoever tells of a spec or a submission reads only there."""
    submission = recorded.by_token.get(event.token) if isinstance(event, e.SubmissionEvent) else None
    name = event.name if submission is None else submission.name
    recorded.specs.setdefault(name, SpecRecord(name)).touch(position, submission, moves=not isinstance(event, NOTES))


def _spec_event(record: SpecRecord, event: e.SpecEvent) -> None:
    """What is said about a spec and none of its submissions."""
    match event:
        case e.ScheduledSince():
            record.schedule = Schedule(event.since, event.schedule, event.time_zone, event.kind, event.stopped)
        case e.Missed():
            slots = frozenset(event.slots) if event.slots is not None else None
            record.missed.append(SlotRange(event.first, event.last, event.reason, slots))
            _settle(record, event.settled)
        case e.BackfillAsked():
            record.backfill += [slot for slot in event.slots if slot not in record.backfill]
        case e.Notified():
            record.notified.append(event.key)
        case _:
            pass


OF_BEGINS = {MissedReason.SUSPENDED, MissedReason.RESCHEDULED}
"""Reasons of slots that are told when a schedule begins anew."""


def _settle(record: SpecRecord, slot: str | None) -> None:
    """Up to `slot` all slots are dealt with: what was missed before needs no place of its own any more, but for what a
    suspension or another schedule ended, which a schedule that begins later says nothing about."""
    if slot is None or slot <= (record.handled_until or ""):
        return
    record.handled_until = slot
    record.missed[:] = [missed for missed in record.missed if missed.last > slot or missed.reason in OF_BEGINS]


def _submission(recorded: Recorded, event: e.SubmissionEvent) -> Submission:
    submission = recorded.by_token.get(event.token)
    if submission is None:
        raise LedgerCorrupt(
            f"the ledger holds {event.type!r} of {event.name} for token {event.token} without an intent"
        )
    return submission


def _intend(recorded: Recorded, record: SpecRecord, position: int, event: e.Intended) -> None:
    submission = recorded.by_token.get(event.token) or _begin(recorded, record, position, event)
    if event.proven:
        _close(submission, "absent", None)
    submission.phase = Phase.INTENDED
    submission.intent_position = position
    newest = event.content
    submission.content = replace(submission.content, deletion_policy=newest.deletion_policy, source=newest.source)
    submission.commit, submission.actor = event.commit, event.actor
    submission.error = None
    submission.looked.clear()
    submission.sends.append(Send(event.send, event.at, event.not_after))
    _settle(record, event.settled_slots)
    if event.key.slot in record.backfill:
        record.backfill.remove(event.key.slot)


def _take(recorded: Recorded, record: SpecRecord, position: int, event: e.ManuallyAdopted) -> None:
    """A run that was made this spec's by hand. The first one counts: a token stands for one submission."""
    if event.token in recorded.by_token:
        return
    _give(recorded, event)
    submission = _begin(recorded, record, position, event)
    submission.sends.append(Send(0, event.at, event.at, "submitted"))
    _accept(submission, event)


def _give(recorded: Recorded, event: e.Adopted | e.ManuallyAdopted) -> None:
    """A run that a person gives to a submission is no longer that of another: one alone follows and cancels it."""
    for other in recorded.by_token.values():
        if other.run_id == event.run_id and other.token != event.token:
            other.reassigned_to = event.name


def _begin(recorded: Recorded, record: SpecRecord, position: int, event: e.Beginning) -> Submission:
    submission = Submission(
        key=event.key,
        kind=event.kind,
        token=event.token,
        content=replace(event.content, request=None),  # a state of many submissions must stay small
        intent_position=position,
        commit=event.commit,
        actor=event.actor,
        reason=event.reason or "" if isinstance(event, e.Intended) else "",
        backoff_limit=event.backoff_limit or 0 if isinstance(event, e.Intended) else 0,
    )
    record.submissions.append(submission)
    recorded.by_token[event.token] = submission
    return submission


def _outcome(submission: Submission, event: e.SubmissionEvent) -> None:
    """What became of a send, or of the run. Once submitted, nothing makes a submission anything else."""
    match event:
        case e.Submitted() | e.Adopted():
            _accept(submission, event)
        case e.Observed() | e.CancelAsked() | e.CancelAccepted() | e.Unseen() | e.RetryAsked():
            _run_event(submission, event)
        case e.Unsent():
            _fail(submission, event, Phase.UNSENT)
        case e.Rejected():
            _fail(submission, event, Phase.REJECTED)
        case e.Absent():
            submission.looked.append(event.looked_at)
        case _:
            if submission.phase is not Phase.SUBMITTED:
                _doubt(submission, event)


def _accept(submission: Submission, event: e.Submitted | e.Adopted | e.ManuallyAdopted) -> None:
    if submission.phase is Phase.SUBMITTED and not _chosen(event):
        if event.run_id != submission.run_id:  # two passes can find the same run; another run must not be lost
            submission.conflict = (*(submission.conflict or (str(submission.run_id),)), event.run_id)
        return
    submission.phase = Phase.SUBMITTED
    submission.run_id = event.run_id
    submission.conflict = ()
    submission.run_state = RunState.SUBMITTED
    submission.started_at = submission.finished_at = submission.ended_at = None  # of another run, where there was one
    submission.detail = submission.aws_state = None
    submission.unseen.clear()
    submission.submitted_at = event.at
    submission.error = None
    _close(submission, "submitted", event.send if isinstance(event, e.Submitted) else None)


def _chosen(event: e.Submitted | e.Adopted | e.ManuallyAdopted) -> bool:
    """Whether a person said that this run counts: of several, then, the others do not."""
    return isinstance(event, e.Adopted) and event.by == e.BY_HAND


def _doubt(submission: Submission, event: e.SubmissionEvent) -> None:
    """What is said about a submission without a run."""
    match event:
        case e.Unclear():
            submission.error = f"{event.code}: {event.message}"
            submission.token_known = submission.token_known or event.conflict is True
        case e.Conflicted():
            submission.phase = Phase.CONFLICTED
            submission.conflict = tuple(event.run_ids)
        case e.Resolved():
            _resolve(submission, event)
        case e.Superseded() if submission.phase is Phase.INTENDED:
            submission.phase = _given_up(submission, Phase.SUPERSEDED)
        case _:
            pass


def _resolve(submission: Submission, event: e.Resolved) -> None:
    """What a person decided about a submission that is unresolved; of any other it changes nothing."""
    if not submission.unresolved:
        return
    _close(submission, "abandoned" if event.decision == "abandon" else "absent", None)
    submission.phase = Phase.ABANDONED if event.decision == "abandon" else Phase.UNSENT
    submission.conflict = ()
    submission.error = f"{event.actor} decided: {event.decision}" + (f" ({event.reason})" if event.reason else "")


def _run_event(submission: Submission, event: e.SubmissionEvent) -> None:
    """What happened to the run that a submission became."""
    match event:
        case e.Observed():
            _observe(submission, event)
        case e.CancelAsked():
            submission.cancel_asked_at = submission.cancel_asked_at or event.at
            submission.replaced = submission.replaced or event.replacing is True
        case e.CancelAccepted():
            submission.cancel_accepted_at = event.at
        case e.Unseen() if event.run_id == submission.run_id and submission.live:
            submission.unseen.append(event.looked_at)
        case e.RetryAsked():
            submission.retry_asked_at = event.at
        case _:
            pass


def _fail(submission: Submission, event: e.Unsent | e.Rejected, phase: Phase) -> None:
    """A send that ended without a run proves absence only if no earlier send is unresolved (R3 of docs/protocol.md)."""
    _close(submission, event.type, event.send)
    submission.error = f"{event.code}: {event.message}"
    if submission.phase is Phase.INTENDED and all(send.outcome is not None for send in submission.sends):
        submission.phase = _given_up(submission, phase)


def _given_up(submission: Submission, phase: Phase) -> Phase:
    """The phase of a submission that is known to have no run. Where a person asked for its end, that is the end of it:
    it is not sent again, to be cancelled then."""
    if phase in {Phase.UNSENT, Phase.SUPERSEDED} and submission.cancel_asked_at is not None:
        return Phase.ABANDONED
    return phase


def _close(submission: Submission, outcome: str, number: int | None) -> None:
    for send in submission.sends:
        if send.outcome is None and number in {None, send.number}:
            send.outcome = outcome


def _observe(submission: Submission, event: e.Observed) -> None:
    if submission.run_id != event.run_id or submission.run_state in TERMINAL:
        return  # a terminal state is the last word
    if event.state not in set(RunState):
        raise LedgerFormatNewer(
            f"the ledger holds the run state {event.state!r}, which this version does not know: "
            "it was written by a newer reconciler. Upgrade to that version."
        )
    submission.run_state = RunState(event.state)
    submission.aws_state = event.aws_state
    submission.detail = event.detail
    submission.started_at = event.started_at or submission.started_at
    submission.finished_at = event.finished_at
    submission.usage = event.usage or submission.usage
    submission.unseen.clear()
    if not submission.live:
        submission.ended_at = event.at
