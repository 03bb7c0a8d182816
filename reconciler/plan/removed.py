"""What to do about a name that git no longer asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.identity.instant import parse, seconds_text
from reconciler.plan.action import Action, ActionType, Reason
from reconciler.plan.desired import Desired
from reconciler.plan.stale import stale_message
from reconciler.plan.suspension import overdue, sentence
from reconciler.plan.unresolved import of_submission
from reconciler.recorded.state import SpecRecord
from reconciler.recorded.submission import Submission


def decide_removed(record: SpecRecord, desired: Desired, now: datetime) -> Sequence[Action]:
    """A cancel for each live run whose recorded deletion policy says so, else one action that says it is retired.

    Nothing is cancelled where the project holds no spec at all, by an old checkout, or while the project is suspended.
    """
    due = [s for s in record.live if s.deletion_policy == "Cancel" and s.cancel_asked_at is None]
    if due and desired.names:
        return [_cancel(submission, record, desired, now) for submission in due]
    newest = record.newest
    message = f"no longer in the project{_goes_on(record.live)}"
    if newest is None:
        kind = record.schedule.kind if record.schedule else ""
        return [Action(record.name, kind, ActionType.NONE, Reason.RETIRED, ledger_head=record.head, message=message)]
    if newest.taken_by is not None:
        message += f"; run {newest.run_id} was given to {newest.taken_by} by hand"
    return [of_submission(newest, record, ActionType.NONE, Reason.RETIRED, message)]


def _goes_on(live: Sequence[Submission]) -> str:
    """What is to be said of the runs that are live: that they go on, or when the last of them was asked to stop."""
    if not live:
        return ""
    asked = [s.cancel_accepted_at or s.cancel_asked_at for s in live]
    times = [parse(at) for at in asked if at is not None]
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
