"""One spec in one pass: everything that a decision about it is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.core.desired import Desired, DesiredSpec
from reconciler.core.identity import client_token
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.state import Recorded, SpecRecord
from reconciler.core.submission import Submission
from reconciler.model.base import JSON
from reconciler.model.kind import kind_named
from reconciler.model.spec import Suspension, suspension
from reconciler.model.template import render_slot


@dataclass(frozen=True, slots=True)
class SpecContext:
    """What git asks for, what is recorded of it, everything else that is known, and the time."""

    spec: DesiredSpec
    record: SpecRecord
    recorded: Recorded
    desired: Desired
    now: datetime

    @property
    def stopped(self) -> tuple[str, Suspension] | None:
        """What is suspended, the project or the spec, and how; `None` where neither is."""
        for what, found in (
            ("the project", self.desired.suspension),
            ("the spec", suspension(self.spec.policy.suspend)),
        ):
            if found is not None:
                return what, found
        return None


def first_attempt(
    case: SpecContext, reason: Reason, *, generation: int | None = None, slot: str | None = None
) -> Action:
    """The submit of a generation or a slot that nothing was sent for."""
    return _submit(case, reason, generation, slot, 1)


def next_attempt(case: SpecContext, last: Submission, attempt: int, reason: Reason, message: str = "") -> Action:
    """The submit of a fresh attempt of what `last` stands for: another submission, so another token."""
    return replace(_submit(case, reason, last.generation, last.slot, attempt), message=message)


def another_send(case: SpecContext, last: Submission, reason: Reason, message: str = "") -> Action:
    """The submit that sends a submission which never reached AWS once more: the same token and the same bytes."""
    action = _submit(case, reason, last.generation, last.slot, last.attempt)
    return replace(
        action,
        digest=last.digest,
        client_token=last.token,
        send=last.newest_send.number + 1,
        locate=last.locate,  # whatever the spec calls its run by now
        message=message,
    )


def rendered(spec: DesiredSpec, slot: str | None, run_ids: Mapping[str, str]) -> JSON:
    """The request of one slot, with the run ids of the specs that it names, as far as they are known."""
    request = spec.request
    if slot is not None and spec.policy.schedule is not None:
        request = render_slot(request, slot, spec.policy.timeZone)
    kind = kind_named(spec.kind)
    return kind.with_runs(request, run_ids) if run_ids else request


def with_run_ids(action: Action, spec: DesiredSpec, run_ids: Mapping[str, str]) -> Action:
    """A submit whose request names the runs that it depends on."""
    if not run_ids:
        return action
    request = rendered(spec, action.slot, run_ids)
    return replace(action, request=request, run_ids=run_ids, template=spec.request)


def _submit(case: SpecContext, reason: Reason, generation: int | None, slot: str | None, attempt: int) -> Action:
    spec, record = case.spec, case.record
    baseline = record.baseline
    request = rendered(spec, slot, {})
    return Action(
        name=spec.name,
        kind=spec.kind,
        action=ActionType.SUBMIT,
        reason=reason,
        generation=generation,
        slot=slot,
        attempt=attempt,
        digest=spec.digest,
        client_token=client_token(case.desired.place, spec.kind, spec.name, generation, slot, attempt, spec.digest),
        ledger_head=record.head,
        source=spec.source,
        request=request,
        compared_with=baseline.intent_position if baseline else None,
        revision=spec.policy.revision,
        deletion_policy=spec.policy.deletionPolicy,
        streaming=spec.streaming,
        locate=_locate(spec, request),
        template=None if request is spec.request or request == spec.request else spec.request,
        time_zone=spec.policy.timeZone,
        backoff_limit=spec.policy.backoffLimit,
    )


def _locate(spec: DesiredSpec, request: JSON) -> Mapping[str, str]:
    """Where the run will be found: in a scheduled spec the fields may hold the slot."""
    if request == spec.request:
        return spec.locate
    return {name: request[name] for name in kind_named(spec.kind).locate_fields if name in request}
