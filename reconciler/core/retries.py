"""Decides what follows the end of a run: another attempt, a wait before it, a hold, or nothing.

A run that reconciler cancelled is not retried automatically; a run that others cancelled is put on hold; a retry
requested by an operator is always attempted.
"""

from dataclasses import replace
from datetime import timedelta

from reconciler.core.plan import Action, ActionType, Reason, stopped
from reconciler.core.state import Phase, RunState, Submission
from reconciler.core.submission import Attempts, ended_at, last_of
from reconciler.core.submit_actions import SpecContext, another_send, of_submission, submit_action
from reconciler.core.times import parse_time, seconds_text
from reconciler.model.spec import Policy

LONGEST_BACKOFF = timedelta(hours=1)
LONG_RUN = timedelta(minutes=10)
"""If a run lasted at least this long, the pause before a restart is no longer doubled but starts again from its first
value."""


def decide_attempts(context: SpecContext, attempts: Attempts) -> Action:  # noqa: PLR0911 - one return for each state
    """Returns one action for attempts of which none is unresolved.

    A due attempt is a `submit`, even if gates that are checked later stop it.
    """
    last = last_of(attempts)
    # First, because only an operator can decide which of the runs counts.
    if last.conflict:
        message = f"one submission has several runs: {', '.join(last.conflict)}. Stop all but one"
        return _stands(context, last, ActionType.HOLD, Reason.CONFLICT, message)
    if last.live:
        return _live(context, last)
    attempt = context.record.next_attempt(last.key, attempts)
    if last.retry_asked_at is not None:
        return submit_action(context, replace(last.key, attempt=attempt), Reason.RETRY, "requested by an operator")
    match last.phase:
        case Phase.UNSENT:
            return _unsent(context, last, attempt)
        case Phase.REJECTED:
            return _stands(context, last, ActionType.HOLD, Reason.REJECTED, rejected_message(last))
        case Phase.SUBMITTED:
            return _ended(context, attempts, last, attempt)
        case Phase.APPLIED:
            message = f"{last.key.label} was accepted as applied by an operator, without a run"
            return _stands(context, last, ActionType.NONE, Reason.IN_SYNC, message)
        case _:
            return _stands(context, last, ActionType.NONE, Reason.IN_SYNC, _abandoned(last))


def will_retry(policy: Policy, attempts: Attempts) -> bool:
    """Returns whether another attempt follows a failed run automatically."""
    last = last_of(attempts)
    if not last.failed:
        return False
    return policy.restartPolicy == "Always" or _tries(attempts, always=False) <= policy.backoffLimit


def rejected_message(last: Submission) -> str:
    """Returns a message about what AWS rejected, and how to continue: new content needs no retry, and a retry needs
    no new content."""
    rejected = f"AWS rejected {last.key.label}: {(last.error or '').removesuffix('.')}. "
    if last.slot is not None:
        return rejected + "Correct the spec, or the cause in AWS, and then retry"
    return rejected + "If the spec is wrong, change it: the next apply submits that. If the cause is in AWS, then retry"


def _abandoned(last: Submission) -> str:
    return f"{last.key.label} was abandoned by an operator; to run it, raise spec.revision"


def _live(context: SpecContext, last: Submission) -> Action:
    error = context.recorded.observe_errors.get(last.token)
    message = f"could not read the state of run {last.run_id}: {error}" if error else waits_words(last)
    return _stands(context, last, ActionType.NONE, Reason.IN_SYNC, message)


def waits_words(run: Submission) -> str:
    """Returns AWS's state and reason of a run that has not started, such as
    ``run 00f1 is RUNNABLE: MISCONFIGURATION:…``; empty if it has started, or if AWS reports no reason."""
    waits = run.run_state is RunState.SUBMITTED and run.detail
    return f"run {run.run_id} is {run.aws_words}" if waits else ""


def _unsent(context: SpecContext, last: Submission, attempt: int) -> Action:
    """Returns another send of a submission that never reached AWS or, if the content has changed, a new submission."""
    message = f"the last send did not reach AWS ({last.error})"
    reason = Reason(last.reason) if last.reason in set(Reason) else Reason.RETRY
    # A token is used with one content only, so other content is another attempt.
    if last.digest != context.spec.digest:
        return submit_action(context, replace(last.key, attempt=attempt), reason, message)
    return another_send(context, last, reason, message)


def _ended(context: SpecContext, attempts: Attempts, last: Submission, attempt: int) -> Action:  # noqa: PLR0911 - one for each end
    """Returns the action that follows the end of a run."""
    always = context.spec.policy.restartPolicy == "Always"
    if last.reassigned_to is not None:
        return _stands(
            context, last, ActionType.NONE, Reason.IN_SYNC, f"its run was reassigned to {last.reassigned_to}"
        )
    if last.stopped_on_request:
        return _stands(context, last, ActionType.NONE, Reason.IN_SYNC, "its run was cancelled as requested")
    match last.run_state:
        case RunState.LOST:
            message = f"run {last.run_id} was live, but AWS can no longer find it"
            return _stands(context, last, ActionType.HOLD, Reason.LOST, message)
        case RunState.CANCELLED if not last.failed:
            message = f"run {last.run_id} was cancelled by others{_detail(last)}"
            return _stands(context, last, ActionType.HOLD, Reason.CANCELLED_OUTSIDE, message)
        case _ if always:
            return _again(context, attempts, last, attempt, Reason.RESTART)
        case _ if will_retry(context.spec.policy, attempts):
            return _again(context, attempts, last, attempt, Reason.RETRY)
        case _ if last.failed:
            return _stands(context, last, ActionType.HOLD, Reason.RETRIES_EXHAUSTED, _exhausted(attempts, last))
        case _:
            return _stands(context, last, ActionType.NONE, Reason.IN_SYNC, "")


def _exhausted(attempts: Attempts, last: Submission) -> str:
    number = len([s for s in attempts if s.accepted])
    tried = f", the last of {number} attempts" if number > 1 else ""
    return f"run {last.run_id} {_end(last)}{tried}{_detail(last)}"


def _end(last: Submission) -> str:
    return "did not start in time and was cancelled" if last.not_started and last.failed else "failed"


def _again(context: SpecContext, attempts: Attempts, last: Submission, attempt: int, reason: Reason) -> Action:
    """Returns the next attempt, or the wait before it."""
    word = "ended" if reason is Reason.RESTART else _end(last)
    action = submit_action(
        context, replace(last.key, attempt=attempt), reason, f"run {last.run_id} {word}{_detail(last)}"
    )
    due = ended_at(last) + _backoff(context.spec.policy, attempts)
    if due <= context.now:
        return action
    message = f"run {last.run_id} {word}{_detail(last)}; attempt {attempt} not before {seconds_text(due)}"
    return stopped(action, ActionType.WAIT, Reason.BACKOFF, message)


def _backoff(policy: Policy, attempts: Attempts) -> timedelta:
    """Returns the pause before the next attempt, which doubles with each attempt, up to an hour."""
    # More doublings would not make the pause longer, and a large number of attempts would overflow `timedelta`.
    doublings = min(_tries(attempts, always=policy.restartPolicy == "Always") - 1, 12)
    return min(LONGEST_BACKOFF, timedelta(seconds=policy.backoffSeconds * 2**doublings))


def _tries(attempts: Attempts, *, always: bool) -> int:
    """Only runs that ended since the last reset are counted. A retry requested by an operator resets the count. A long
    run also resets it, if runs are always restarted."""
    number = 0
    runs = [s for s in attempts if s.phase is not Phase.SUPERSEDED]
    for earlier, later in zip([None, *runs], runs, strict=False):
        if earlier is not None and earlier.retry_asked_at is not None:
            number = 0
        number = 1 if always and _lasted(later) >= LONG_RUN else number + 1
    return max(number, 1)


def _lasted(run: Submission) -> timedelta:
    begun = run.started_at or run.submitted_at
    return ended_at(run) - parse_time(begun) if begun and not run.live else timedelta(0)


def _detail(last: Submission) -> str:
    return f": {last.detail}" if last.detail else ""


def _stands(context: SpecContext, last: Submission, action: ActionType, reason: Reason, message: str) -> Action:
    return of_submission(last, context.record, action, reason, message, source=context.spec.source)
