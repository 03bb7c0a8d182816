"""What to do about a spec that runs once for each generation, when none of its submissions is unresolved."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core.desired import DesiredSpec, overdue, sentence
from reconciler.core.gates import changed, depended, placed, replacing, suspended
from reconciler.core.identity import SubmissionKey, digest
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.retries import attempts_of, decide_attempts
from reconciler.core.state import SpecRecord
from reconciler.core.submission import Phase, Submission
from reconciler.core.submits import SpecContext, another_send, submit

DECIDED = {Phase.REJECTED, Phase.ABANDONED}


def decide_one_off(case: SpecContext) -> Action:
    """One action: submit what differs from the newest submission that AWS accepted, or another attempt of that one,
    else say how it stands."""
    spec, record = case.spec, case.record
    baseline, newest = record.baseline, record.newest
    if baseline is not None and baseline.digest == spec.digest and not baseline.replaced:
        return _attempted(case, decide_attempts(case, attempts_of(record.submissions, baseline)))
    if newest is not None and newest.phase in DECIDED and newest.digest == spec.digest:
        return _attempted(case, decide_attempts(case, attempts_of(record.submissions, newest)))
    action = _submission(case)
    if baseline is not None and baseline.replaced and baseline.live:
        return suspended(action, case) or replacing(action, baseline)
    return changed(action, case)


def _attempted(case: SpecContext, action: Action) -> Action:
    """Another attempt, if nothing keeps it; how the spec stands, if there is none."""
    if action.action is ActionType.SUBMIT:
        wait = suspended(action, case)
        if wait is not None:
            return wait
        ready = depended(action, case)
        return placed(ready, case) if ready.action is ActionType.SUBMIT else ready
    if case.stopped is not None and overdue(case.stopped[1], case.now) and action.action is ActionType.NONE:
        what, how = case.stopped
        return replace(action, overdue=True, message=action.message or sentence(what, how, case.now))
    return action


def _submission(case: SpecContext) -> Action:
    """The submit that the spec asks for: a new generation, or another send of one that never reached AWS."""
    spec, record = case.spec, case.record
    newest = record.newest
    reason = _reason(spec, record.baseline)
    if newest is not None and _never_arrived(newest, spec):
        return another_send(case, newest, reason, f"nothing reached AWS the last time ({newest.error})")
    return submit(case, SubmissionKey(spec.name, record.next_generation), reason, _history(spec, record))


def _never_arrived(newest: Submission, spec: DesiredSpec) -> bool:
    return newest.phase is Phase.UNSENT and newest.digest == spec.digest and newest.generation is not None


def _reason(spec: DesiredSpec, baseline: Submission | None) -> Reason:
    if baseline is None:
        return Reason.NEW
    if baseline.digest != spec.digest and digest(spec.kind, baseline.content.revision, spec.request) == baseline.digest:
        return Reason.REVISION_CHANGED
    return Reason.SPEC_CHANGED


def _history(spec: DesiredSpec, record: SpecRecord) -> str:
    """What a person should know of earlier submissions: that they were made room for, or a return to old content."""
    baseline = record.baseline
    if baseline is not None and baseline.digest == spec.digest:
        return f"run {baseline.run_id} was cancelled for another content that did not run"
    earlier = [s for s in record.submissions if s.accepted and s.digest == spec.digest]
    if not earlier or earlier[-1].generation is None:
        return ""
    return f"a return to generation {earlier[-1].generation}, which will run again"
