"""Decides which runs are cancelled because they have not started in time (`pendingTimeoutSeconds`)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from reconciler.core.desired import Desired, DesiredSpec
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.state import Recorded, RunState, SpecRecord, Submission
from reconciler.core.submit_actions import of_submission
from reconciler.core.times import parse_time, seconds_text
from reconciler.model.spec import suspension


def cancel_not_started(
    spec: DesiredSpec | None, record: SpecRecord, recorded: Recorded, desired: Desired, now: datetime
) -> Sequence[Action]:
    """Returns a cancel for each run of a spec that has not started within its `pendingTimeoutSeconds`.

    Nothing is cancelled while the spec or the project is suspended, or if the state of the run could not be read in
    this pass, because the run may have started since.
    """
    seconds = spec.policy.pendingTimeoutSeconds if spec is not None else None
    if spec is None or seconds is None or desired.suspension is not None or suspension(spec.policy.suspend) is not None:
        return ()
    limit = timedelta(seconds=seconds)
    return [
        of_submission(run, record, ActionType.CANCEL, Reason.NOT_STARTED, _message(run, seconds), source=spec.source)
        for run in record.live
        if _waits(run) and now - waiting_since(run) >= limit and run.token not in recorded.observe_errors
    ]


def _waits(run: Submission) -> bool:
    return run.run_state is RunState.SUBMITTED and run.started_at is None and run.cancel_asked_at is None


def has_started_after_all(run: Submission) -> bool:
    """Returns whether a run has started even though its cancellation was requested because it had not started. Then the
    request is not repeated, and the outcome of the run counts."""
    return run.not_started and run.run_state is RunState.RUNNING


def waiting_since(run: Submission) -> datetime:
    """Returns when AWS created a run, by AWS's clock, or when it was submitted if AWS has not reported that."""
    return parse_time(run.created_at or run.submitted_at or run.first_intent_at)


def _message(run: Submission, seconds: int) -> str:
    words = f" ({run.aws_words})" if run.aws_words else ""
    since = seconds_text(waiting_since(run))
    return f"run {run.run_id} has not started since {since}{words}, and pendingTimeoutSeconds is {seconds}"
