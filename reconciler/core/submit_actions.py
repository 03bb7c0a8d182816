"""Builds the actions of one spec in one pass: those that submit it, and those about its submissions."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from reconciler.core.desired import Desired, DesiredSpec, overdue, sentence
from reconciler.core.identity import Source, SubmissionKey, client_token
from reconciler.core.plan import Action, ActionType, Reason, stopped
from reconciler.core.state import Recorded, SpecRecord, Submission
from reconciler.model.base import JSON
from reconciler.model.kind import kind_named
from reconciler.model.template import render_slot
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True)
class SpecContext:
    """Everything that a decision about one spec depends on."""

    spec: DesiredSpec
    record: SpecRecord
    recorded: Recorded
    desired: Desired
    now: datetime


def submit_action(context: SpecContext, key: SubmissionKey, reason: Reason, message: str = "") -> Action:
    """Returns the action that submits the spec's current content as the submission `key`, as its first send."""
    spec, record = context.spec, context.record
    baseline = record.baseline
    compared = baseline if baseline is not None and not baseline.applied else None  # accepted content has no request
    request = rendered(spec, key.slot, {})
    return Action(
        name=spec.name,
        kind=spec.kind,
        action=ActionType.SUBMIT,
        reason=reason,
        key=key,
        content=replace(spec.content, request=request, location=location_of(spec, request)),
        client_token=client_token(context.desired.place, spec.kind, key, spec.digest),
        ledger_head=record.head,
        message=message,
        compared_with=compared.intent_position if compared else None,
        compared_token=compared.token if compared else None,
        template=None if request is spec.request or request == spec.request else spec.request,
        time_zone=spec.policy.timeZone,
        backoff_limit=spec.policy.backoffLimit,
    )


def another_send(context: SpecContext, last: Submission, reason: Reason, message: str = "") -> Action:
    """Returns the action that sends a submission again that never reached AWS: the same token and the same bytes."""
    action = submit_action(context, last.key, reason, message)
    # The spec may give its run another name by now, but this submission is sent under its first name.
    content = replace(action.content, digest=last.digest, location=last.content.location)
    return replace(action, content=content, client_token=last.token, send=last.newest_send.number + 1)


def rendered(spec: DesiredSpec, slot: str | None, run_ids: Mapping[str, str]) -> JSON:
    """Returns the request of one slot. `run_ids` are the runs of the specs that it depends on."""
    request = spec.request
    if slot is not None and spec.policy.schedule is not None:
        request = render_slot(request, slot, spec.policy.timeZone)
    kind = kind_named(spec.kind)
    return kind.with_runs(request, run_ids) if run_ids else request


def with_run_ids(action: Action, spec: DesiredSpec, run_ids: Mapping[str, str]) -> Action:
    """Returns a submit whose request names the runs that it depends on."""
    if not run_ids:
        return action
    request = rendered(spec, action.slot, run_ids)
    content = replace(action.content, request=request)
    return replace(action, content=content, run_ids=dict(run_ids), template=spec.request)


def location_of(spec: DesiredSpec, request: JSON) -> dict[str, str]:
    """Returns the location of the run. In a scheduled spec, the location fields may contain the slot."""
    if request == spec.request:
        return spec.content.location
    return kind_named(spec.kind).location(request)


def of_submission(
    submission: Submission,
    record: SpecRecord,
    action: ActionType,
    reason: Reason,
    message: str = "",
    *,
    run_id: str | None = None,
    source: Source | None = None,
) -> Action:
    """Returns an action about a recorded submission. `source` is the current location of its spec."""
    content = submission.content
    if source is not None and source != content.source:
        content = replace(content, source=source)
    return Action(
        name=submission.name,
        kind=submission.kind,
        action=action,
        reason=reason,
        key=submission.key,
        content=content,
        client_token=submission.token,
        ledger_head=record.head,
        run_id=run_id or submission.run_id,
        message=message,
    )


def wait_if_suspended(action: Action, spec: DesiredSpec | None, desired: Desired, now: datetime) -> Action | None:
    """Returns the wait for the end of a suspension in place of an action, or `None` if nothing is suspended."""
    if (suspension := desired.suspension_of(spec)) is None:
        return None
    what, how = suspension
    wait = stopped(action, ActionType.WAIT, Reason.SUSPENDED, sentence(what, how, now))
    return replace(wait, overdue=overdue(how, now))
