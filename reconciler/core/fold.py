"""Folds events into the recorded state. Accepts every log that this or an older version can write."""

from collections.abc import Iterable
from dataclasses import replace

from reconciler.core import events as e
from reconciler.core.archive import NOTHING, Indexed, Recall
from reconciler.core.declarations import (
    Declared,
    ProjectDeclaration,
    ProjectDeclared,
    Undeclared,
    declaration,
    withdrawn,
)
from reconciler.core.event_codec import IntendedAs
from reconciler.core.identity import Content, Place, SubmissionKey
from reconciler.core.ledger_changes import AcceptedRollback, MovedAway, MovedTo, RollbackAccepted
from reconciler.core.notification_retries import Redelivering, Undelivered, add_delivery
from reconciler.core.renames import rename
from reconciler.core.retention import archive_ended, index, restore_group, restore_token
from reconciler.core.state import RUN_STATES, CountsAs, Phase, Recorded, RunState, Send, SpecRecord, Submission
from reconciler.core.times import MissedReason, Schedule, SlotRange
from reconciler.errors import LedgerCorrupt, LedgerFormatNewer

NOTES = (e.ScheduledSince, e.Missed, e.Notified, e.SpecRenamed, Declared, Undeclared)
"""Events that do not make plans stale, because the precondition of an intent checks for them."""

TERMINAL = {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}


def fold(recorded: Recorded, position: int, batch: Iterable[e.Event], recall: Recall = NOTHING) -> None:
    """Adds the events of the batch at `position` to `recorded`, in place. `recall` reads archived submissions.

    Raises `LedgerCorrupt` for an event that cannot follow the earlier ones (such as an outcome without an intent), and
    `LedgerFormatNewer` for a log of a newer format.
    """
    for event in batch:
        _add(recorded, position, event, recall)
    recorded.position = max(recorded.position, position)


def overlay(recorded: Recorded, batch: Iterable[e.Event]) -> None:
    """Adds observations that are not recorded in the ledger; positions and heads do not change."""
    for event in batch:
        if isinstance(event, e.SubmissionEvent):
            recorded.overlaid = True
            _outcome(_submission(recorded, event), event)


def _add(recorded: Recorded, position: int, event: e.Event, recall: Recall) -> None:
    stored, event = event, recall.whole(event, request=False) if isinstance(event, IntendedAs) else event
    # Another pass may record an event about a submission that this state has archived.
    _restore(recorded, event, recall)
    match event:
        case e.SpecRenamed():
            rename(recorded, event.renamed_from, event.name, position, event.commit)
        case e.Intended():
            _intend(recorded, recorded.record(_current_name(recorded, event)), position, event)
        case e.ManuallyAdopted():
            _adopt_unintended(recorded, recorded.record(_current_name(recorded, event)), position, event)
        case e.ContentAccepted():
            _accept_content(recorded, position, event)
        case e.SubmissionEvent():
            submission = _submission(recorded, event)
            if isinstance(event, e.Adopted) and _chosen(event):
                _reassign(recorded, event)
            _outcome(submission, event)
        case e.SpecEvent():
            _spec_event(recorded.record(event.name), position, event)
        case _:
            _ledger_event(recorded, position, event)
    if isinstance(event, e.SpecEvent):
        record = _touch(recorded, position, event)
        archive_ended(recorded, record)
        if isinstance(stored, e.Intended):
            record.base = position


def _restore(recorded: Recorded, event: e.Event, recall: Recall) -> None:
    """Restores archived submissions that an event is about, or whose slot or generation a new submission has."""
    if not isinstance(event, e.SubmissionEvent) or event.token in recorded.by_token:
        return
    if isinstance(event, e.Beginning):
        restore_group(recorded, recorded.spec(event.name), event.key, recall)
    elif not isinstance(event, e.ContentAccepted) or event.generation is None:
        restore_token(recorded, event.token, recall)


def _ledger_event(recorded: Recorded, position: int, event: e.Event) -> None:
    """Adds an event about the ledger itself."""
    match event:
        case e.Opened():
            if event.format > e.FORMAT:
                raise LedgerFormatNewer(
                    f"the ledger has format {event.format}, this version writes {e.FORMAT}: "
                    "it was written by a newer reconciler. Upgrade to that version."
                )
            recorded.place = Place(event.project, event.target, event.account, event.region)
        case ProjectDeclared():
            # A declaration from outside git does not show how old a checkout is, so the last known commit remains.
            before = recorded.project.commit if recorded.project is not None else None
            recorded.project = ProjectDeclaration(position, event.commit or before, event.settings)
        case MovedAway():
            place = Place(event.project, event.target, event.account, event.region)
            recorded.moved = MovedTo(event.ledger, place, event.at, event.actor)
        case Undelivered() | Redelivering():
            add_delivery(recorded.undelivered, event)
        case RollbackAccepted():
            recorded.rollbacks.append(AcceptedRollback(position, event.at, event.position, event.head))
        case Indexed():
            index(recorded, position, event.entries)
        case _:
            pass


def _touch(recorded: Recorded, position: int, event: e.SpecEvent) -> SpecRecord:
    """Records the position of the event with its spec or submission, so that a history can be read from these positions
    alone. Returns the record of the spec."""
    submission = recorded.by_token.get(event.token) if isinstance(event, e.SubmissionEvent) else None
    name = event.name if submission is None else submission.name
    record = recorded.record(name)
    record.touch(position, submission, moves=not isinstance(event, NOTES))
    return record


def _current_name(recorded: Recorded, event: e.SubmissionEvent) -> str:
    """Returns the current name of the spec of an event. A pass that began before a rename writes the former name."""
    submission = recorded.by_token.get(event.token)
    return event.name if submission is None else submission.name


def _spec_event(record: SpecRecord, position: int, event: e.SpecEvent) -> None:
    """Adds an event about a spec itself, not about one of its submissions."""
    match event:
        case e.ScheduledSince():
            record.schedule = Schedule(event.since, event.schedule, event.time_zone, event.kind, event.stopped)
        case e.Missed():
            slots = frozenset(event.slots) if event.slots is not None else None
            record.missed.append(SlotRange(event.first, event.last, event.reason, slots))
            _handle_until(record, event.settled)
        case e.BackfillAsked():
            record.backfill += [slot for slot in event.slots if slot not in record.backfill]
        case e.Notified():
            record.notified.append(event.key)
        case Declared():
            record.declaration, record.undeclared = declaration(event, position), False
        case Undeclared():
            record.declaration, record.undeclared = withdrawn(event, position, record.declaration), True
        case _:
            pass


REPORTED_AT_START = {MissedReason.SUSPENDED, MissedReason.RESCHEDULED}
"""Reasons for missed slots that are reported when a schedule starts again."""


def _handle_until(record: SpecRecord, slot: str | None) -> None:
    """Marks all slots up to `slot` as handled, and drops earlier missed ranges, which are now redundant."""
    if slot is None or slot <= (record.handled_until or ""):
        return
    record.handled_until = slot
    # Ranges of a suspension or a former schedule remain, because a schedule that starts later does not cover them.
    record.missed[:] = [missed for missed in record.missed if missed.last > slot or missed.reason in REPORTED_AT_START]


def _submission(recorded: Recorded, event: e.SubmissionEvent) -> Submission:
    submission = recorded.by_token.get(event.token)
    if submission is None:
        raise LedgerCorrupt(
            f"the ledger contains {event.type!r} of {event.name} for token {event.token} without an intent"
        )
    return submission


def _intend(recorded: Recorded, record: SpecRecord, position: int, event: e.Intended) -> None:
    submission = recorded.by_token.get(event.token) or _begin(recorded, record, position, event)
    if event.proven:
        _close(submission, "absent", None)
    submission.phase = Phase.INTENDED
    submission.intent_position = position
    newest = event.content
    # All sends have the bytes of the first intent, so its digest and location remain.
    submission.content = replace(submission.content, deletion_policy=newest.deletion_policy, source=newest.source)
    submission.commit, submission.actor = event.commit, event.actor
    submission.error = None
    # Lookups before this send prove nothing about it (`unresolved.proving_looks`).
    submission.looked.clear()
    submission.sends.append(Send(event.send, event.at, event.not_after))
    _handle_until(record, event.settled_slots)
    if event.key.slot in record.backfill:
        record.backfill.remove(event.key.slot)


def _adopt_unintended(recorded: Recorded, record: SpecRecord, position: int, event: e.ManuallyAdopted) -> None:
    """Adds a run that an operator adopted. Only the first event of a token counts, because a token identifies one
    submission."""
    if event.token in recorded.by_token:
        return
    _reassign(recorded, event)
    submission = _begin(recorded, record, position, event)
    submission.sends.append(Send(0, event.at, event.at, "submitted"))
    _accept(submission, event)


def _accept_content(recorded: Recorded, position: int, event: e.ContentAccepted) -> None:
    """Adds content that an operator accepted as applied, as the content of a submission's run or without a run."""
    submission = recorded.by_token.get(event.token)
    if submission is None:
        key = SubmissionKey(event.name, event.generation or recorded.spec(event.name).next_generation)
        content = Content(event.digest, event.revision, deletion_policy=event.deletion_policy, source=event.source)
        submission = Submission(key, event.kind, event.token, content, position, event.commit, event.actor)
        submission.phase, submission.reason = Phase.APPLIED, event.type
        submission.sends.append(Send(0, event.at, event.at, event.type))
        recorded.record(event.name).submissions.append(submission)
        recorded.by_token[event.token] = submission
    elif not submission.applied:
        submission.counts_as = CountsAs(event.digest, event.revision)
        submission.content = replace(submission.content, deletion_policy=event.deletion_policy)


def _reassign(recorded: Recorded, event: e.Adopted | e.ManuallyAdopted) -> None:
    """Detaches an adopted run from its former submission, because only one spec may follow and cancel it."""
    for other in recorded.by_token.values():
        if other.run_id == event.run_id and other.token != event.token:
            other.reassigned_to = _current_name(recorded, event)


def _begin(recorded: Recorded, record: SpecRecord, position: int, event: e.Beginning) -> Submission:
    submission = Submission(
        key=event.key,
        kind=event.kind,
        token=event.token,
        content=replace(event.content, request=None),  # the state has many submissions and must remain small
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
    """Adds the outcome of a send or the state of a run. A submitted submission remains submitted."""
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
                _add_unresolved(submission, event)


def _accept(submission: Submission, event: e.Submitted | e.Adopted | e.ManuallyAdopted) -> None:
    if submission.phase is Phase.SUBMITTED and not _chosen(event):
        if event.run_id != submission.run_id:  # two passes can find the same run; a second run must be kept
            submission.conflict = (*(submission.conflict or (str(submission.run_id),)), event.run_id)
        return
    submission.phase = Phase.SUBMITTED
    submission.run_id = event.run_id
    submission.conflict = ()
    submission.run_state = RunState.SUBMITTED
    submission.started_at = submission.finished_at = submission.ended_at = None  # of the previous run, if there was one
    submission.detail = submission.aws_state = submission.created_at = submission.definition = None
    submission.reports, submission.partial = 0, False
    submission.unseen.clear()
    submission.submitted_at = event.at
    submission.error = None
    # A run that was found by its tag may come from any of the sends.
    _close(submission, "submitted", event.send if isinstance(event, e.Submitted) else None)


def _chosen(event: e.Submitted | e.Adopted | e.ManuallyAdopted) -> bool:
    """Returns whether an operator chose this run. If there are several runs, the others are ignored."""
    return isinstance(event, e.Adopted) and event.by == e.BY_HAND


def _add_unresolved(submission: Submission, event: e.SubmissionEvent) -> None:
    """Adds an event about a submission without a run."""
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
            submission.phase = _without_run(submission, Phase.SUPERSEDED)
        case _:
            pass


def _resolve(submission: Submission, event: e.Resolved) -> None:
    """Adds an operator's decision about an unresolved submission. Other submissions do not change."""
    if not submission.unresolved:
        return
    _close(submission, "abandoned" if event.decision == "abandon" else "absent", None)
    submission.phase = Phase.ABANDONED if event.decision == "abandon" else Phase.UNSENT
    submission.conflict = ()
    submission.error = f"{event.actor} decided: {event.decision}" + (f" ({event.reason})" if event.reason else "")


def _run_event(submission: Submission, event: e.SubmissionEvent) -> None:
    """Adds an event about the run of a submission."""
    match event:
        case e.Observed():
            _observe(submission, event)
        case e.CancelAsked():
            # A later request by an operator takes precedence: the end of the run is then not a failure.
            first = submission.cancel_asked_at is None
            submission.not_started = event.not_started is True and (first or submission.not_started)
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
    """Adds a send that certainly failed. The failure proves absence only if no earlier send is unresolved (R3)."""
    _close(submission, event.type, event.send)
    submission.error = f"{event.code}: {event.message}"
    # An earlier unresolved send may have started a run.
    if submission.phase is Phase.INTENDED and all(send.outcome is not None for send in submission.sends):
        submission.phase = _without_run(submission, phase)


def _without_run(submission: Submission, phase: Phase) -> Phase:
    """Returns the phase of a submission without a run. If its cancellation was requested, it is abandoned, so that
    it is not sent again only to be cancelled."""
    if phase in {Phase.UNSENT, Phase.SUPERSEDED} and submission.cancel_asked_at is not None:
        return Phase.ABANDONED
    return phase


def _close(submission: Submission, outcome: str, number: int | None) -> None:
    for send in submission.sends:
        if send.outcome is None and number in {None, send.number}:
            send.outcome = outcome


def _observe(submission: Submission, event: e.Observed) -> None:
    # Another pass observed the former run before an operator chose this one.
    if submission.run_id != event.run_id:
        return
    if submission.run_state in TERMINAL:
        _complete(submission, event)
        return
    if event.state not in RUN_STATES:
        raise LedgerFormatNewer(
            f"the ledger contains the run state {event.state!r}, which this version does not know: "
            "it was written by a newer reconciler. Upgrade to that version."
        )
    changed = submission.run_state != event.state
    submission.run_state = RunState(event.state)
    submission.aws_state = event.aws_state
    submission.detail = event.detail
    # A report from a listing may lack values that an earlier report of the single run had.
    submission.created_at = event.created_at or submission.created_at
    submission.definition = event.definition or submission.definition
    submission.partial = event.partial is True
    submission.reports, submission.reported_at = 1 if changed else submission.reports + 1, event.at
    submission.started_at = event.started_at or submission.started_at
    submission.finished_at = event.finished_at
    submission.usage = event.usage or submission.usage
    submission.unseen.clear()
    if not submission.live:
        submission.ended_at = event.at


def _complete(submission: Submission, event: e.Observed) -> None:
    """Adds what AWS reported about an ended run. The run stays ended, because a late report must not revive it."""
    # AWS may report the reason for a cancellation late. Only then is it known that a time limit in AWS ended the run.
    stopped_by_aws = submission.run_state is RunState.CANCELLED and event.state == RunState.FAILED
    if not submission.partial or not (stopped_by_aws or event.state == submission.run_state):
        return
    submission.run_state = RunState(event.state)
    submission.detail = event.detail or submission.detail
    submission.usage = event.usage or submission.usage
    submission.finished_at = event.finished_at or submission.finished_at
    submission.partial = event.partial is True
    submission.reports, submission.reported_at = submission.reports + 1, event.at
