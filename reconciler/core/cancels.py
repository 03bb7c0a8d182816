"""Decides which runs are cancelled: on request, because their spec was removed from git, or because they have not
started in time (`pendingTimeoutSeconds`)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from reconciler.core.desired import Desired, DesiredSpec, stale_message
from reconciler.core.plan import Action, ActionType, Reason, stopped
from reconciler.core.state import Recorded, RunState, SpecRecord, Submission
from reconciler.core.submit_actions import of_submission, wait_if_suspended
from reconciler.core.times import parse_time, seconds_text


def cancel_asked(
    run: Submission, record: SpecRecord, spec: DesiredSpec | None, desired: Desired, now: datetime
) -> Action:
    """Returns the cancel action for a live run whose cancellation was requested but not yet confirmed by AWS, even if
    the run was found only after the request. Nothing is cancelled while the spec is suspended."""
    reason = Reason.NOT_STARTED if run.not_started else Reason.ASKED
    cancel = of_submission(run, record, ActionType.CANCEL, reason, f"requested at {run.cancel_asked_at}")
    return wait_if_suspended(cancel, spec, desired, now) or cancel


def cancel_not_started(
    spec: DesiredSpec | None, record: SpecRecord, recorded: Recorded, desired: Desired, now: datetime
) -> Sequence[Action]:
    """Returns a cancel action for each run of a spec that has not started within its `pendingTimeoutSeconds`. Nothing
    is cancelled while the spec or the project is suspended."""
    seconds = spec.policy.pendingTimeoutSeconds if spec is not None else None
    if spec is None or seconds is None or desired.suspension_of(spec) is not None:
        return ()
    limit = timedelta(seconds=seconds)
    # A run whose state could not be read in this pass may have started since.
    return [
        of_submission(run, record, ActionType.CANCEL, Reason.NOT_STARTED, _late(run, seconds), source=spec.source)
        for run in record.live
        if _waits(run) and now - waiting_since(run) >= limit and run.token not in recorded.observe_errors
    ]


def _waits(run: Submission) -> bool:
    return run.run_state is RunState.SUBMITTED and run.started_at is None and run.cancel_asked_at is None


def has_started_after_all(run: Submission) -> bool:
    """Returns whether a run has started even though its cancellation was requested because it had not started. If so,
    the request is not repeated, and the outcome of the run counts."""
    return run.not_started and run.run_state is RunState.RUNNING


def waiting_since(run: Submission) -> datetime:
    """Returns the time when AWS created a run, by AWS's clock, or the time when it was submitted if AWS has not
    reported that."""
    return parse_time(run.created_at or run.submitted_at or run.first_intent_at)


def _late(run: Submission, seconds: int) -> str:
    words = f" ({run.aws_words})" if run.aws_words else ""
    since = seconds_text(waiting_since(run))
    return f"run {run.run_id} has not started since {since}{words}, and pendingTimeoutSeconds is {seconds}"


def decide_removed(record: SpecRecord, desired: Desired, now: datetime) -> Sequence[Action]:
    """Returns a cancel action for each live run whose recorded deletion policy is Cancel, or else one action that
    retires the spec.

    Nothing is cancelled if the project has no spec at all, if the checkout is old, or while the project is suspended.
    """
    # `cancel_asked` repeats a cancellation that was requested before.
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
    """Returns a note that says whether live runs keep running, or when the last cancellation of one was requested."""
    if not live:
        return ""
    asked = [s.cancel_accepted_at or s.cancel_asked_at for s in live]
    times = [parse_time(at) for at in asked if at is not None]
    if len(times) < len(live):
        return "; its run keeps running"
    return f"; its run was asked to stop at {seconds_text(max(times))}"


def _cancel(submission: Submission, record: SpecRecord, desired: Desired, now: datetime) -> Action:
    message = "no longer in the project, and deletionPolicy was Cancel"
    cancel = of_submission(submission, record, ActionType.CANCEL, Reason.SPEC_REMOVED, message)
    if (wait := wait_if_suspended(cancel, None, desired, now)) is not None:
        return wait
    stale = stale_message(record, desired)
    return stopped(cancel, ActionType.HOLD, Reason.STALE_CHECKOUT, stale) if stale else cancel
