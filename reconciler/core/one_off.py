"""Decides about a spec that runs once for each generation, while none of its submissions is unresolved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reconciler.core.desired import Desired, DesiredSpec, overdue, sentence
from reconciler.core.gates import changed, depended, placed, replacing, suspended
from reconciler.core.identity import Place, SubmissionKey, client_token, digest
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.retries import attempts_of, decide_attempts
from reconciler.core.state import Recorded, SpecRecord
from reconciler.core.submission import Phase, Submission
from reconciler.core.submits import SpecContext, another_send, submit

DECIDED = {Phase.REJECTED, Phase.ABANDONED}


def decide_one_off(context: SpecContext) -> Action:
    """Returns one action: a submit if the spec differs from the newest accepted submission, another attempt of that
    one, or its state."""
    spec, record = context.spec, context.record
    baseline, newest = record.baseline, record.newest
    if baseline is not None and baseline.digest == spec.digest and not baseline.replaced:
        return _attempted(context, decide_attempts(context, attempts_of(record.submissions, baseline)))
    if newest is not None and newest.phase in DECIDED and newest.digest == spec.digest:
        return _attempted(context, decide_attempts(context, attempts_of(record.submissions, newest)))
    action = _submission(context)
    if baseline is not None and baseline.replaced and baseline.live:
        return suspended(action, context) or replacing(action, baseline)
    return changed(action, context)


def _attempted(context: SpecContext, action: Action) -> Action:
    """Returns the attempt behind its gates, or the state of the spec if there is no attempt."""
    if action.action is ActionType.SUBMIT:
        wait = suspended(action, context)
        if wait is not None:
            return wait
        ready = depended(action, context)
        return placed(ready, context) if ready.action is ActionType.SUBMIT else ready
    if context.stopped is not None and overdue(context.stopped[1], context.now) and action.action is ActionType.NONE:
        what, how = context.stopped
        return replace(action, overdue=True, message=action.message or sentence(what, how, context.now))
    return action


def _submission(context: SpecContext) -> Action:
    """Returns the submit that the spec asks for: a new generation, or another send of one that never reached AWS."""
    spec, record = context.spec, context.record
    newest = record.newest
    reason = _reason(spec, record.baseline)
    if newest is not None and _never_arrived(newest, spec):
        return another_send(context, newest, reason, f"nothing reached AWS the last time ({newest.error})")
    return submit(context, SubmissionKey(spec.name, record.next_generation), reason, _history(spec, record))


def _never_arrived(newest: Submission, spec: DesiredSpec) -> bool:
    return newest.phase is Phase.UNSENT and newest.digest == spec.digest and newest.generation is not None


def _reason(spec: DesiredSpec, baseline: Submission | None) -> Reason:
    if baseline is None:
        return Reason.NEW
    if baseline.digest != spec.digest and digest(spec.kind, baseline.content.revision, spec.request) == baseline.digest:
        return Reason.REVISION_CHANGED
    return Reason.SPEC_CHANGED


def _history(spec: DesiredSpec, record: SpecRecord) -> str:
    """Says what operators should know about earlier submissions: that one was replaced, or that old content returns."""
    baseline = record.baseline
    if baseline is not None and baseline.digest == spec.digest:
        return f"run {baseline.run_id} was cancelled for another content that did not run"
    earlier = [s for s in record.submissions if s.accepted and s.digest == spec.digest]
    if not earlier or earlier[-1].generation is None:
        return ""
    return f"the same content as generation {earlier[-1].generation}, which will run again"


GENERATIONS = 20
"""How many generations of a spec's content a look for previous runs covers."""


def tokens(spec: DesiredSpec, place: Place) -> Iterator[tuple[SubmissionKey, str]]:
    """Yields the key and token that this content has as each of the first generations. Scheduled specs have none: a
    slot that is due is never older than the ledger."""
    if spec.policy.schedule is not None:
        return
    for generation in range(1, GENERATIONS + 1):
        key = SubmissionKey(spec.name, generation)
        yield key, client_token(place, spec.kind, key, spec.digest)


def decide_previous_runs(spec: DesiredSpec, recorded: Recorded, desired: Desired) -> Action | None:
    """Returns the action for a spec that the ledger lacks and that has a run in AWS: a lost ledger must not run it
    twice. The run is adopted as the newest generation that has one; `None` without such a run."""
    if not any(recorded.runs_by_token.values()):
        return None
    for key, token in reversed(list(tokens(spec, desired.place))):
        runs = recorded.runs_by_token.get(token, ())
        if runs:
            return _adoption(spec, key, token, runs)
    return None


def _adoption(spec: DesiredSpec, key: SubmissionKey, token: str, runs: tuple[str, ...]) -> Action:
    one = len(runs) == 1
    message = (
        "the ledger has no submission of it, and AWS has a run of this content with its tag"
        if one
        else f"the ledger has no submission of it, and several runs carry its tag: {', '.join(runs)}. An operator must "
        "choose one"
    )
    return Action(
        name=spec.name,
        kind=spec.kind,
        action=ActionType.ADOPT if one else ActionType.HOLD,
        reason=Reason.FOUND if one else Reason.CONFLICT,
        key=key,
        content=spec.content if one else replace(spec.content, request=None),
        client_token=token,
        run_id=runs[0] if one else None,
        message=message,
    )
