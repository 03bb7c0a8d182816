"""Ends of runs that were asked for and that AWS has not been told of yet, by hand or to make room for a newer run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.plan.action import Action, ActionType, Reason
from reconciler.plan.desired import Desired, DesiredSpec
from reconciler.plan.suspension import overdue, sentence, suspension
from reconciler.plan.unresolved import of_submission
from reconciler.recorded.state import SpecRecord
from reconciler.recorded.submission import Submission


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
