"""What the end of a run leads to: another attempt, a wait before it, a hold, or nothing.

A *chain* is the attempts of one generation or slot, oldest first. What was cancelled by us is never attempted again by
itself; what others cancelled is held; what a person asks to retry is attempted whatever its end was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from reconciler.core.plan import Action, ActionType, Reason, stopped
from reconciler.core.submission import Phase, RunState, Submission
from reconciler.core.submits import SpecContext, another_send, submit
from reconciler.core.times import parse_time, seconds_text
from reconciler.core.unresolved import of_submission
from reconciler.model.spec import Policy

LONGEST_BACKOFF = timedelta(hours=1)
LONG_RUN = timedelta(minutes=10)
"""A run that lasted this long ends the doubling of the wait before a restart."""

Attempts = Sequence[Submission]


def attempts_of(submissions: Sequence[Submission], one: Submission) -> Attempts:
    """The attempts of the generation or slot that a submission is one of, oldest first."""
    same = [s for s in submissions if (s.generation, s.slot) == (one.generation, one.slot)]
    return sorted(same, key=lambda s: s.attempt)


def last_of(chain: Attempts) -> Submission:
    """The newest attempt that means something: superseded ones never were."""
    return next((s for s in reversed(chain) if s.phase is not Phase.SUPERSEDED), chain[-1])


def decide_attempts(case: SpecContext, chain: Attempts) -> Action:  # noqa: PLR0911 - one case for each way to stand
    """One action for a chain none of whose attempts is unresolved.

    An attempt that is due is a `submit`, whatever else may keep it from being sent.
    """
    last = last_of(chain)
    if last.conflict:
        message = f"one submission has several runs: {', '.join(last.conflict)}. Stop those that are too many"
        return _said(case, last, ActionType.HOLD, Reason.CONFLICT, message)
    if last.live:
        return _live(case, last)
    attempt = max(s.attempt for s in chain) + 1
    if last.retry_asked_at is not None:
        return submit(case, replace(last.key, attempt=attempt), Reason.RETRY, "asked for by hand")
    match last.phase:
        case Phase.UNSENT:
            return _unsent(case, last, attempt)
        case Phase.REJECTED:
            return _said(case, last, ActionType.HOLD, Reason.REJECTED, rejected_message(last))
        case Phase.SUBMITTED:
            return _ended(case, chain, last, attempt)
        case _:
            return _said(case, last, ActionType.NONE, Reason.IN_SYNC, _abandoned(last))


def will_retry(policy: Policy, chain: Attempts) -> bool:
    """Whether a failed run is followed by another attempt on its own."""
    last = last_of(chain)
    if last.cancel_asked_at is not None or last.run_state is not RunState.FAILED:
        return False
    return policy.restartPolicy == "Always" or _tries(chain, always=False) <= policy.backoffLimit


def rejected_message(last: Submission) -> str:
    """What AWS said no to, and what helps."""
    return (
        f"AWS rejected {last.key.label}: {(last.error or '').removesuffix('.')}. "
        "After mending what AWS says, raise spec.revision, or change the spec"
    )


def _abandoned(last: Submission) -> str:
    return f"{last.key.label} was abandoned by hand; to run it, raise spec.revision"


def _live(case: SpecContext, last: Submission) -> Action:
    error = case.recorded.observe_errors.get(last.token)
    message = f"the state of run {last.run_id} is not known now: {error}" if error else ""
    return _said(case, last, ActionType.NONE, Reason.IN_SYNC, message)


def _unsent(case: SpecContext, last: Submission, attempt: int) -> Action:
    """What never arrived goes again; with another content it is another submission."""
    message = f"nothing reached AWS the last time ({last.error})"
    reason = Reason(last.reason) if last.reason in set(Reason) else Reason.RETRY
    if last.digest != case.spec.digest:
        return submit(case, replace(last.key, attempt=attempt), reason, message)
    return another_send(case, last, reason, message)


def _ended(case: SpecContext, chain: Attempts, last: Submission, attempt: int) -> Action:  # noqa: PLR0911 - one for each end
    """What follows the end of a run."""
    always = case.spec.policy.restartPolicy == "Always"
    if last.reassigned_to is not None:
        return _said(case, last, ActionType.NONE, Reason.IN_SYNC, f"its run was taken by {last.reassigned_to}")
    if last.cancel_asked_at is not None:
        return _said(case, last, ActionType.NONE, Reason.IN_SYNC, "its run was cancelled as asked")
    match last.run_state:
        case RunState.LOST:
            message = f"run {last.run_id} was live, and AWS does not know it now"
            return _said(case, last, ActionType.HOLD, Reason.LOST, message)
        case RunState.CANCELLED:
            message = f"run {last.run_id} was cancelled by others{_detail(last)}"
            return _said(case, last, ActionType.HOLD, Reason.CANCELLED_OUTSIDE, message)
        case _ if always:
            return _again(case, chain, last, attempt, Reason.RESTART)
        case RunState.FAILED if will_retry(case.spec.policy, chain):
            return _again(case, chain, last, attempt, Reason.RETRY)
        case RunState.FAILED:
            return _said(case, last, ActionType.HOLD, Reason.RETRIES_EXHAUSTED, _exhausted(chain, last))
        case _:
            return _said(case, last, ActionType.NONE, Reason.IN_SYNC, "")


def _exhausted(chain: Attempts, last: Submission) -> str:
    number = len([s for s in chain if s.accepted])
    tried = f", the last of {number} attempts" if number > 1 else ""
    return f"run {last.run_id} failed{tried}{_detail(last)}"


def _again(case: SpecContext, chain: Attempts, last: Submission, attempt: int, reason: Reason) -> Action:
    """The next attempt, or the wait before it."""
    word = "ended" if reason is Reason.RESTART else "failed"
    action = submit(case, replace(last.key, attempt=attempt), reason, f"run {last.run_id} {word}{_detail(last)}")
    due = _ended_at(last) + _backoff(case.spec.policy, chain)
    if due <= case.now:
        return action
    message = f"run {last.run_id} {word}{_detail(last)}; attempt {attempt} not before {seconds_text(due)}"
    return stopped(action, ActionType.WAIT, Reason.BACKOFF, message)


def _backoff(policy: Policy, chain: Attempts) -> timedelta:
    """The wait before the next attempt: doubled each time, at most an hour."""
    doublings = min(_tries(chain, always=policy.restartPolicy == "Always") - 1, 12)
    return min(LONGEST_BACKOFF, timedelta(seconds=policy.backoffSeconds * 2**doublings))


def _tries(chain: Attempts, *, always: bool) -> int:
    """How many runs in a row ended, the last one included. A retry that a person asked for begins anew, and so does,
    where a run is always restarted, one that lasted long."""
    number = 0
    runs = [s for s in chain if s.phase is not Phase.SUPERSEDED]
    for earlier, later in zip([None, *runs], [*runs, None], strict=True):
        if later is None:
            break
        if earlier is not None and earlier.retry_asked_at is not None:
            number = 0
        number = 1 if always and _lasted(later) >= LONG_RUN else number + 1
    return max(number, 1)


def _lasted(run: Submission) -> timedelta:
    begun = run.started_at or run.submitted_at
    return _ended_at(run) - parse_time(begun) if begun and not run.live else timedelta(0)


def _ended_at(run: Submission) -> datetime:
    """When a run ended: by AWS's word, else when that was recorded, else when it was submitted."""
    return parse_time(run.finished_at or run.ended_at or run.submitted_at or run.first_intent_at)


def _detail(last: Submission) -> str:
    return f": {last.detail}" if last.detail else ""


def _said(case: SpecContext, last: Submission, action: ActionType, reason: Reason, message: str) -> Action:
    return of_submission(last, case.record, action, reason, message, source=case.spec.source)
