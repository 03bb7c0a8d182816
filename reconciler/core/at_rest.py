"""Recognizes specs that have no pending action, so that a plan need not decide about each one.

Only the usual case is recognized: a one-off spec whose content was applied last, and whose run succeeded. `plan`
decides about all other specs. For a spec that is recognized here, its decision would be the same.
"""

from reconciler.core.changes import differs
from reconciler.core.desired import DesiredSpec
from reconciler.core.identity import Source
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.state import Phase, RunState, SpecRecord, Submission
from reconciler.core.submission import attempts_of, last_of
from reconciler.core.submit_actions import of_submission


def is_at_rest(spec: DesiredSpec, record: SpecRecord) -> bool:
    """Returns whether a plan certainly has one action for this spec, `IN_SYNC` without a message, and no change, at any
    time before the ledger has another event about the spec, unless the project is suspended or the ledger was rolled
    back."""
    newest, policy = record.newest, spec.policy
    return (
        newest is not None
        and newest.digest == spec.digest
        and _has_succeeded(newest)
        and not (policy.schedule or policy.suspend or spec.renamed_from or spec.doubts)
        and policy.restartPolicy != "Always"
        and not (record.schedule or record.backfill or record.predecessor or record.former_names)
        and record.declaration is not None
        and not differs(spec, record)
        and (len(record.submissions) == 1 or _is_last(newest, record))
    )


def action_at_rest(record: SpecRecord, source: Source | None) -> Action:
    """Returns the one action of a plan for a spec that was recognized. `source` is its current location."""
    return of_submission(record.submissions[-1], record, ActionType.NONE, Reason.IN_SYNC, source=source)


def _has_succeeded(run: Submission) -> bool:
    """Returns whether the run of a one-off submission succeeded, and no operator has decided anything about it."""
    decided = run.replaced or run.conflict or run.retry_asked_at or run.cancel_asked_at or run.reassigned_to
    return run.phase is Phase.SUBMITTED and run.run_state is RunState.SUCCEEDED and run.slot is None and not decided


def _is_last(newest: Submission, record: SpecRecord) -> bool:
    """Returns whether the newest of several submissions is the last attempt of its generation, and all others have
    ended."""
    is_open = any(submission.unresolved or submission.live for submission in record.submissions)
    return not is_open and last_of(attempts_of(record.submissions, newest)) is newest
