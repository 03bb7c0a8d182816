"""Adds field differences to a plan: what the ledger holds of earlier requests, compared with those of now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.core.declarations import Declared
from reconciler.core.events import intent_of
from reconciler.core.plan import ChangeType
from reconciler.model.kind import kind_named
from reconciler.model.template import render_slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.app.session import Session
    from reconciler.core.events import Event
    from reconciler.core.plan import Action, Change, Plan, SpecChange
    from reconciler.model.base import JSON


def explain(session: Session, made: Plan) -> Plan:
    """Adds field differences to a plan: each changed request against the one that was applied, or sent, before it.

    Reads and compares only those requests. The digests decided that there is a difference.
    """
    compared = [
        (action.client_token, action.compared_with, action.request, action)
        for action in made.actions
        if action.request is not None and action.compared_with is not None and action.client_token is not None
    ]
    positions = {position for _, position, _, _ in compared}
    positions |= {change.compared_with for change in made.changes if change.compared_with is not None}
    batches = dict(session.ledger.batches(sorted(positions))) if positions else {}
    return made.with_changes(
        {token: _action_changes(action, request, batches[at]) for token, at, request, action in compared},
        {change.name: _request_fields(change, batches) for change in made.changes if change.content is not None},
    )


def _action_changes(action: Action, request: JSON, compared_with: Sequence[Event]) -> tuple[Change, ...]:
    from reconciler.render.diff import explain as compare

    intent = intent_of(compared_with, action.name)
    if not intent.request:  # a run recorded again after its ledger was lost: its request is not known
        return ()
    return compare(kind_named(action.kind), intent.request, request)


def _request_fields(change: SpecChange, batches: Mapping[int, Sequence[Event]]) -> tuple[Change, ...]:
    """The fields of the request that differ; of an added spec all of them. Their paths begin with ``request.``."""
    from reconciler.render.diff import added_fields, request_changes

    kind, request = kind_named(change.kind), change.content.request if change.content else None
    if request is None:
        return ()
    if change.change is ChangeType.ADDED:
        found = added_fields(kind, request)
    elif change.compared_with is None:
        return ()
    else:
        before, slot = _earlier_request(change, batches[change.compared_with]), change.compared_slot
        if not before:  # a run recorded again after its ledger was lost: its request is not known
            return ()
        after = render_slot(request, slot, change.time_zone) if slot is not None else request
        found = request_changes(kind, before, after)
    return tuple(replace(each, path=f"request.{each.path}") for each in found)


def _earlier_request(change: SpecChange, batch: Sequence[Event]) -> JSON:
    """The request applied last; empty if it is not known."""
    if change.token is None:
        declared = next((e for e in batch if isinstance(e, Declared) and e.name == change.name), None)
        return (declared.request or {}) if declared is not None else {}
    return intent_of(batch, change.name, change.token).request
