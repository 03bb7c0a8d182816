"""Determines what to notify users about after a pass: ended and stuck runs, missed slots, and actions that need an
operator. Each is reported once."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from reconciler.core.durations import Usual, stuck, usual
from reconciler.core.identity import SubmissionKey
from reconciler.core.plan import Action, ActionOutcome, ActionResult, ActionType, Plan, Reason, stopped
from reconciler.core.retention import NOTIFIED_WITHIN
from reconciler.core.retries import rejected_message
from reconciler.core.state import Phase, Recorded, RunState, Submission
from reconciler.core.times import parse_time
from reconciler.values import dataclass


class NotificationKind(StrEnum):
    """The kind of an occurrence, as in `notify: [{events: …}]`."""

    FAILED = "failed"
    HELD = "held"
    UNKNOWN = "unknown"
    LOST = "lost"
    MISSED = "missed"
    STUCK = "stuck"
    RECOVERED = "recovered"
    SUCCEEDED = "succeeded"


MORE = {
    Reason.UNKNOWN: NotificationKind.UNKNOWN,
    Reason.LOST: NotificationKind.LOST,
    Reason.RETRIES_EXHAUSTED: NotificationKind.FAILED,
}
"""Additional notification kinds for a spec on hold, by the reason of the hold."""

ENDED_BADLY = frozenset({RunState.FAILED, RunState.CANCELLED, RunState.LOST})


@dataclass(frozen=True, slots=True)
class Notification:
    """One event to notify users about. `key` identifies it permanently; `kinds` are all kinds that apply. `submission`
    is `None` if the notification is not about a submission."""

    key: str
    kinds: frozenset[NotificationKind]
    name: str
    reason: str
    message: str
    submission: SubmissionKey | None = None
    run_id: str | None = None
    client_token: str | None = None
    commit: str | None = None


def after_results(plan: Plan, results: Sequence[ActionResult], recorded: Recorded) -> Plan:
    """Returns the plan with its actions updated by their results: rejected, in conflict or not known yet.

    A new plan would have the same actions, but specs and git would have to be read again. `recorded` is the state after
    the pass.
    """
    actions = tuple(
        _after(action, recorded) if result.outcome is not ActionOutcome.NONE else action
        for action, result in zip(plan.actions, results, strict=True)
    )
    return replace(plan, actions=actions)


def _after(action: Action, recorded: Recorded) -> Action:
    submission = recorded.by_token.get(action.client_token or "")
    if submission is None:
        return action
    if submission.phase is Phase.REJECTED:
        return stopped(action, ActionType.HOLD, Reason.REJECTED, rejected_message(submission))
    if submission.phase is Phase.CONFLICTED:
        return stopped(action, ActionType.HOLD, Reason.CONFLICT, f"runs {', '.join(submission.conflict)} have its tag")
    if submission.unresolved:
        message = f"its outcome is unknown ({submission.error})" if submission.error else ""
        return stopped(action, ActionType.WAIT, Reason.SETTLING, message)
    return action


def new_notifications(plan: Plan, recorded: Recorded, now: datetime) -> tuple[Notification, ...]:
    """Returns what this pass should report and no earlier pass has reported, sorted by name. `recorded` is the state
    after the pass; `plan` was made before it."""
    notifications = (
        *_of_actions(plan, recorded, now),
        *_of_failures(plan, recorded, now),
        *_of_runs(plan, recorded, now),
        *_of_missed(plan, recorded, now),
    )
    by_key = {each.key: each for each in notifications}
    fresh = [each for each in by_key.values() if each.key not in recorded.spec(each.name).notified]
    return tuple(sorted(fresh, key=lambda each: (each.name, each.key)))


def _of_actions(plan: Plan, recorded: Recorded, now: datetime) -> Iterator[Notification]:
    for action in plan.actions:
        kinds = _kinds(action, recorded, now)
        if kinds:
            # A hold without a submission is reported again if the content changes.
            what = action.client_token or action.digest or action.name
            if action.reason is Reason.INVALID_SPEC:  # another mistake in the same spec is reported again
                what = sha256(action.message.encode()).hexdigest()[:16]
            yield _notification(f"{action.reason}:{what}", kinds, action, recorded)


def _kinds(action: Action, recorded: Recorded, now: datetime) -> frozenset[NotificationKind]:
    if action.reason is Reason.SETTLING:
        return frozenset({NotificationKind.UNKNOWN} if _unclear(action, recorded, now) else ())
    if action.action is not ActionType.HOLD:
        return frozenset()
    return frozenset({NotificationKind.HELD, MORE.get(action.reason, NotificationKind.HELD)})


def _unclear(action: Action, recorded: Recorded, now: datetime) -> bool:
    """Returns whether a submission is unclear and not just in progress, because its sender recorded an error or its
    deadline is over."""
    submission = recorded.by_token.get(action.client_token or "")
    if submission is None or not submission.unresolved:
        return False
    return submission.error is not None or now > parse_time(submission.newest_send.not_after)


def _of_failures(plan: Plan, recorded: Recorded, now: datetime) -> Iterator[Notification]:
    """Yields notifications about failed runs without a hold: another attempt follows, or there is already a newer
    run."""
    held = {action.client_token for action in plan.actions if action.action is ActionType.HOLD}
    for name in dict.fromkeys(action.name for action in plan.actions):
        record = recorded.spec(name)
        sent = " ".join(record.notified)
        for submission in record.submissions:
            ended = submission.failed or submission.run_state is RunState.FAILED
            # A failure that was reported with a hold has another key, which contains the same token.
            failed = ended and submission.token not in held
            if failed and _is_news(submission, now) and submission.token not in sent:
                yield _of_submission(submission)


def _of_runs(plan: Plan, recorded: Recorded, now: datetime) -> Iterator[Notification]:
    """Yields notifications about runs that succeeded, with a note if the previous run had not succeeded, and about live
    runs that take much longer than usual."""
    for name in dict.fromkeys(action.name for action in plan.actions):
        record = recorded.spec(name)
        before: Submission | None = None
        for submission in record.submissions:
            if submission.run_state is RunState.SUCCEEDED and _is_news(submission, now):
                recovered = before is not None and before.run_state in ENDED_BADLY
                yield _succeeded(submission, recovered=recovered)
            before = submission if submission.run_state is not None else before
        typical = usual(record.submissions, now) if record.live else None
        for submission in record.live:
            if (what := stuck(submission, typical, now)) is not None and typical is not None:
                yield _stuck(submission, what, typical)


def _succeeded(submission: Submission, *, recovered: bool) -> Notification:
    kinds = {NotificationKind.SUCCEEDED} | ({NotificationKind.RECOVERED} if recovered else set())
    message = "the previous run had not succeeded" if recovered else ""
    reason = "recovered" if recovered else "succeeded"
    return _about(submission, f"succeeded:{submission.token}", kinds, reason, message)


def _stuck(submission: Submission, what: str, typical: Usual) -> Notification:
    spread = typical.waited if what == "waiting" else typical.ran
    limit = f": 90% of its runs take at most {round(spread.p90)} s for this" if spread is not None else ""
    words = f" ({submission.aws_words})" if submission.aws_words else ""
    message = f"it is {what} much longer than usual{limit}{words}"
    return _about(submission, f"stuck:{submission.token}:{what}", {NotificationKind.STUCK}, "stuck", message)


def _of_missed(plan: Plan, recorded: Recorded, now: datetime) -> Iterator[Notification]:
    """Yields notifications about missed slots, whether this pass recorded them or an earlier pass that ended before it
    posted a notification."""
    for action in plan.actions:
        ranges = [(each.first, each.last, str(each.reason)) for each in action.missed]
        ranges += [(each.first, each.last, each.reason) for each in recorded.spec(action.name).missed]
        for first, last, reason in ranges:
            if now - parse_time(last) < NOTIFIED_WITHIN:
                yield _missed(action.name, first, last, reason)


def _missed(name: str, first: str, last: str, reason: str) -> Notification:
    slots = f"slot {first}" if first == last else f"slots {first} to {last}"
    return Notification(
        key=f"missed:{first}:{last}",
        kinds=frozenset({NotificationKind.MISSED}),
        name=name,
        reason="missed",
        message=f"{slots} will not run ({reason})",
    )


def _is_news(submission: Submission, now: datetime) -> bool:
    ended = submission.finished_at or submission.submitted_at
    return ended is not None and now - parse_time(ended) < NOTIFIED_WITHIN


def _of_submission(submission: Submission) -> Notification:
    reason = str(Reason.NOT_STARTED) if submission.not_started else "failed"
    message = submission.detail or f"run {submission.run_id} failed"
    return _about(submission, f"failed:{submission.token}", {NotificationKind.FAILED}, reason, message)


def _about(
    submission: Submission, key: str, kinds: Collection[NotificationKind], reason: str, message: str
) -> Notification:
    return Notification(
        key=key,
        kinds=frozenset(kinds),
        name=submission.name,
        reason=reason,
        message=message,
        submission=submission.key,
        run_id=submission.run_id,
        client_token=submission.token,
        commit=submission.commit,
    )


def _notification(key: str, kinds: frozenset[NotificationKind], action: Action, recorded: Recorded) -> Notification:
    submission = recorded.by_token.get(action.client_token or "")
    return Notification(
        key=key,
        kinds=kinds,
        name=action.name,
        reason=str(action.reason),
        message=action.message,
        submission=action.key,
        run_id=action.run_id,
        client_token=action.client_token,
        commit=submission.commit if submission is not None else None,
    )
