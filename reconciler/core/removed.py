"""Decides about names that git no longer asks for, and about runs whose cancellation was requested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.core.desired import Desired, DesiredSpec, overdue, sentence, stale_message
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.state import SpecRecord
from reconciler.core.submission import Submission
from reconciler.core.submits import of_submission
from reconciler.core.times import parse_time, seconds_text
from reconciler.model.spec import suspension


def decide_removed(record: SpecRecord, desired: Desired, now: datetime) -> Sequence[Action]:
    """Returns a cancel for each live run whose recorded deletion policy is Cancel, else one action: it is retired.

    Nothing is cancelled if the project has no spec at all, if the checkout is old, or while the project is suspended.
    """
    cancels = [s for s in record.live if s.content.deletion_policy == "Cancel" and s.cancel_asked_at is None]
    if cancels and desired.names:
        return [_cancel(submission, record, desired, now) for submission in cancels]
    newest = record.newest
    message = f"no longer in the project{_live_runs(record.live)}"
    if newest is None:
        kind = record.schedule.kind if record.schedule else ""
        return [Action(record.name, kind, ActionType.NONE, Reason.RETIRED, ledger_head=record.head, message=message)]
    if newest.reassigned_to is not None:
        message += f"; run {newest.run_id} was reassigned to {newest.reassigned_to} by an operator"
    return [of_submission(newest, record, ActionType.NONE, Reason.RETIRED, message)]


def _live_runs(live: Sequence[Submission]) -> str:
    """Says whether live runs keep running, or when the last of them was asked to stop."""
    if not live:
        return ""
    asked = [s.cancel_accepted_at or s.cancel_asked_at for s in live]
    times = [parse_time(at) for at in asked if at is not None]
    if len(times) < len(live):
        return "; its run keeps running"
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


def cancel_asked(
    run: Submission, record: SpecRecord, spec: DesiredSpec | None, desired: Desired, now: datetime
) -> Action:
    """Returns the cancel of a live run whose cancellation was requested and not confirmed by AWS; also of one that was
    found only after the request. Suspended work is not cancelled."""
    own = suspension(spec.policy.suspend) if spec is not None else None
    for what, stopped in (("the project", desired.suspension), ("the spec", own)):
        if stopped is not None:
            message = sentence(what, stopped, now)
            wait = of_submission(run, record, ActionType.WAIT, Reason.SUSPENDED, message)
            return replace(wait, overdue=overdue(stopped, now))
    return of_submission(run, record, ActionType.CANCEL, Reason.ASKED, f"requested at {run.cancel_asked_at}")
