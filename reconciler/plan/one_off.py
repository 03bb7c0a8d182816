"""What to do about a spec that runs once for each generation, when none of its submissions is unresolved."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from reconciler.identity.digest import client_token, digest
from reconciler.plan.action import Action, ActionType, Reason
from reconciler.plan.desired import Desired, DesiredSpec
from reconciler.plan.stale import stale_message
from reconciler.plan.suspension import overdue, sentence, suspension
from reconciler.plan.unresolved import of_submission
from reconciler.recorded.state import Recorded, SpecRecord
from reconciler.recorded.submission import Phase, RunState, Submission


def decide_spec(spec: DesiredSpec, record: SpecRecord, recorded: Recorded, desired: Desired, now: datetime) -> Action:
    """One action: submit what differs from the newest submission that AWS accepted, else say how that one stands."""
    baseline = record.baseline
    if spec.unsupported:
        return _unsupported(spec, record, "; ".join(spec.unsupported))
    if baseline is not None and baseline.digest == spec.digest:
        return replace(_settled(baseline, record, recorded), source=spec.source)
    newest = record.newest
    if newest is not None and newest.phase is Phase.REJECTED and newest.digest == spec.digest:
        message = (
            f"AWS rejected generation {newest.generation}: {(newest.error or '').removesuffix('.')}. "
            "After mending what AWS says, raise spec.revision, or change the spec"
        )
        return replace(of_submission(newest, record, ActionType.HOLD, Reason.REJECTED, message), source=spec.source)
    if newest is not None and newest.phase is Phase.ABANDONED and newest.digest == spec.digest:
        return replace(_abandoned(newest, record), source=spec.source)
    action = _submission(spec, record, desired)
    for what, stopped in (("the project", desired.suspension), ("the spec", suspension(spec.policy.suspend))):
        if stopped is not None:
            wait = _stopped(action, ActionType.WAIT, Reason.SUSPENDED, sentence(what, stopped, now))
            return replace(wait, overdue=overdue(stopped, now))
    return _gate(action, spec, record, recorded, desired)


def _settled(baseline: Submission, record: SpecRecord, recorded: Recorded) -> Action:
    """The content is what ran last: in sync, or held because of how that run ended."""
    if baseline.conflict:
        message = f"one submission has several runs: {', '.join(baseline.conflict)}. Stop those that are too many"
        return of_submission(baseline, record, ActionType.HOLD, Reason.CONFLICT, message)
    match baseline.run_state:
        case RunState.FAILED:
            message = f"run {baseline.run_id} failed{_detail(baseline)}"
            return of_submission(baseline, record, ActionType.HOLD, Reason.RETRIES_EXHAUSTED, message)
        case RunState.CANCELLED if baseline.cancel_asked_at is None:
            message = f"run {baseline.run_id} was cancelled by others{_detail(baseline)}"
            return of_submission(baseline, record, ActionType.HOLD, Reason.CANCELLED_OUTSIDE, message)
        case RunState.LOST:
            message = f"run {baseline.run_id} was live, and AWS does not know it now"
            return of_submission(baseline, record, ActionType.HOLD, Reason.LOST, message)
        case _:
            error = recorded.observe_errors.get(baseline.token)
            message = f"the state of run {baseline.run_id} is not known now: {error}" if error else ""
            return of_submission(baseline, record, ActionType.NONE, Reason.IN_SYNC, message)


def _abandoned(newest: Submission, record: SpecRecord) -> Action:
    """A person has decided that this content does not run: that stands until the spec says something else."""
    message = f"generation {newest.generation} was abandoned by hand; to run it, raise spec.revision"
    return of_submission(newest, record, ActionType.NONE, Reason.IN_SYNC, message)


def _detail(submission: Submission) -> str:
    return f": {submission.detail}" if submission.detail else ""


def _submission(spec: DesiredSpec, record: SpecRecord, desired: Desired) -> Action:
    """The submit that the spec asks for: a new generation, or another send of one that never reached AWS."""
    baseline, newest = record.baseline, record.newest
    again = newest is not None and newest.phase is Phase.UNSENT and newest.digest == spec.digest
    if newest is not None and again:
        generation, token, send = newest.generation, newest.token, newest.newest_send.number + 1
        locate = newest.locate  # the same bytes go again, whatever the spec calls its run by now
    else:
        generation, send, locate = record.next_generation, 1, spec.locate
        token = client_token(desired.place, spec.kind, spec.name, generation, None, 1, spec.digest)
    return Action(
        name=spec.name,
        kind=spec.kind,
        action=ActionType.SUBMIT,
        reason=_reason(spec, baseline),
        generation=generation,
        digest=spec.digest,
        client_token=token,
        ledger_head=record.head,
        source=spec.source,
        request=spec.request,
        message=_history(spec, record, again),
        compared_with=baseline.intent_position if baseline else None,
        send=send,
        revision=spec.policy.revision,
        deletion_policy=spec.policy.deletionPolicy,
        streaming=spec.streaming,
        locate=locate,
    )


def _reason(spec: DesiredSpec, baseline: Submission | None) -> Reason:
    if baseline is None:
        return Reason.NEW
    if digest(spec.kind, baseline.revision, spec.request) == baseline.digest:
        return Reason.REVISION_CHANGED
    return Reason.SPEC_CHANGED


def _history(spec: DesiredSpec, record: SpecRecord, again: bool) -> str:
    """What a person should know of earlier submissions: a return to old content, or a send that did not arrive."""
    if again and record.newest is not None:
        return f"nothing reached AWS the last time ({record.newest.error})"
    earlier = [s for s in record.submissions if s.accepted and s.digest == spec.digest]
    return f"a return to generation {earlier[-1].generation}, which will run again" if earlier else ""


def _gate(action: Action, spec: DesiredSpec, record: SpecRecord, recorded: Recorded, desired: Desired) -> Action:
    """The submit itself, or what keeps it from happening now. The order is that of what a person should hear first."""
    if stale := stale_message(record, desired):
        return _stopped(action, ActionType.HOLD, Reason.STALE_CHECKOUT, stale)
    live = record.live
    policy = spec.policy.concurrencyPolicy
    if not live or policy == "Allow":
        return action
    run = live[-1]
    if policy == "Replace":
        return _unsupported(
            spec,
            record,
            f"{spec.source.path}:{spec.source.line}:1: {spec.name} has a live run ({run.run_id}), and "
            "concurrencyPolicy: Replace is not acted on yet by this version. Stop the run, or set Forbid or Allow",
        )
    doubt = recorded.observe_errors.get(run.token)
    message = f"run {run.run_id} of generation {run.generation} is live" + (
        f", as far as is known ({doubt})" if doubt else ""
    )
    return replace(_stopped(action, ActionType.WAIT, Reason.CONCURRENCY, message), run_id=run.run_id)


def _stopped(action: Action, kind: ActionType, reason: Reason, message: str) -> Action:
    return replace(action, action=kind, reason=reason, message=message, request=None)


def _unsupported(spec: DesiredSpec, record: SpecRecord, message: str) -> Action:
    return Action(
        name=spec.name,
        kind=spec.kind,
        action=ActionType.HOLD,
        reason=Reason.UNSUPPORTED,
        digest=spec.digest,
        ledger_head=record.head,
        source=spec.source,
        message=message,
    )
