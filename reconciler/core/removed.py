"""What to do about a name that git no longer asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.core.desired import Desired, DesiredSpec, overdue, sentence, stale_message
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.state import SpecRecord
from reconciler.core.submission import Submission
from reconciler.core.times import parse_time, seconds_text
from reconciler.core.unresolved import of_submission
from reconciler.model.spec import suspension


def decide_removed(record: SpecRecord, desired: Desired, now: datetime) -> Sequence[Action]:
    """A cancel for each live run whose recorded deletion policy says so, else one action that says it is retired.

    Nothing is cancelled where the project holds no spec at all, by an old checkout, or while the project is suspended.
    """
    due = [s for s in record.live if s.content.deletion_policy == "Cancel" and s.cancel_asked_at is None]
    if due and desired.names:
        return [_cancel(submission, record, desired, now) for submission in due]
    newest = record.newest
    message = f"no longer in the project{_goes_on(record.live)}"
    if newest is None:
        kind = record.schedule.kind if record.schedule else ""
        return [Action(record.name, kind, ActionType.NONE, Reason.RETIRED, ledger_head=record.head, message=message)]
    if newest.reassigned_to is not None:
        message += f"; run {newest.run_id} was given to {newest.reassigned_to} by hand"
    return [of_submission(newest, record, ActionType.NONE, Reason.RETIRED, message)]


def _goes_on(live: Sequence[Submission]) -> str:
    """What is to be said of the runs that are live: that they go on, or when the last of them was asked to stop."""
    if not live:
        return ""
    asked = [s.cancel_accepted_at or s.cancel_asked_at for s in live]
    times = [parse_time(at) for at in asked if at is not None]
    if len(times) < len(live):
        return "; its run goes on"
    return f"; its run was asked to stop at {seconds_text(max(times))}"


def _cancel(submission: Submission, record: SpecRecord, desired: Desired, now: datetime) -> Action:
    if desired.suspension is not None:
        message = sentence("the project", desired.suspension, now)
        wait = of_submission(submission, record, ActionType.WAIT, Reason.SUSPENDED, message)
        return replace(wait, overdue=overdue(desired.suspension, now))
    if stale := stale_message(record, desired):
        return of_submission(submission, record, ActionType.HOLD, Reason.STALE_CHECKOUT, stale)
    message = "no longer in the project, and deletionPolicy was Cancel"
    return of_submission(submission, record, ActionType.CANCEL, Reason.SPEC_REMOVED, message)


def asked(record: SpecRecord) -> Sequence[Submission]:
    """The live runs whose end was asked for, and that AWS has not confirmed to end."""
    return [run for run in record.live if run.cancel_asked_at is not None and run.cancel_accepted_at is None]


def cancel_asked(
    run: Submission, record: SpecRecord, spec: DesiredSpec | None, desired: Desired, now: datetime
) -> Action:
    """The cancel of such a run, also of one that was found only after its end was asked for. Suspended work is not
    cancelled."""
    own = suspension(spec.policy.suspend) if spec is not None else None
    for what, stopped in (("the project", desired.suspension), ("the spec", own)):
        if stopped is not None:
            message = sentence(what, stopped, now)
            wait = of_submission(run, record, ActionType.WAIT, Reason.SUSPENDED, message)
            return replace(wait, overdue=overdue(stopped, now))
    return of_submission(run, record, ActionType.CANCEL, Reason.ASKED, f"asked for at {run.cancel_asked_at}")
