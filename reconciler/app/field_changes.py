"""Adds to a plan the fields in which each changed request differs from the request that was last applied or sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING

from reconciler.core.declarations import Declared
from reconciler.core.events import Event, intent_of
from reconciler.core.plan import Action, Change, ChangeType, Plan, SpecChange
from reconciler.model.kind import kind_named
from reconciler.model.template import render_slot
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.app.session import Session
    from reconciler.model.base import JSON
    from reconciler.render.diff import Differences


def with_field_changes(session: Session, plan: Plan) -> Plan:
    """Adds field differences to a plan. Compares each changed request with the request that was last applied or sent.

    If the ledger has only masked requests, both sides are masked before they are compared, and a warning lists the
    values that may differ.
    """
    # The digests show which requests differ, so only these are read and compared.
    compared = [
        (action.client_token, action.compared_with, action.request, action)
        for action in plan.actions
        if action.request is not None and action.compared_with is not None and action.client_token is not None
    ]
    positions = {position for _, position, _, _ in compared}
    positions |= {change.compared_with for change in plan.changes if change.compared_with is not None}
    history = session.ledger.history
    batches = dict(history.batches(sorted(positions), _names(session, plan))) if positions else {}
    compare = _Comparisons(session.masked)
    # The fields of added specs are in their requests (`all_fields`).
    present = [c for c in plan.changes if c.content is not None and c.change is not ChangeType.ADDED]
    plan = plan.with_changes(
        {token: _action_changes(action, request, batches[at], compare) for token, at, request, action in compared},
        {change.name: _request_fields(change, batches, compare) for change in present},
    )
    return replace(plan, warnings=(*plan.warnings, *compare.unknown))


def _names(session: Session, plan: Plan) -> set[str] | None:
    """Returns the names of the specs whose earlier requests are needed, or `None` for all, because events about renamed
    specs have their former names."""
    if session.ledger.recorded.former_names or any(change.renamed_from for change in plan.changes):
        return None
    return {action.name for action in plan.actions if action.compared_with is not None} | {
        change.name for change in plan.changes
    }


@dataclass(frozen=True, slots=True)
class _Comparisons:
    """How to compare two requests. If the earlier requests are `masked`, `unknown` collects a sentence about each spec
    with values that cannot be compared. `done` are the comparisons made, each with the spec and the earlier request."""

    masked: bool = False
    unknown: dict[str, None] = field(default_factory=dict)
    done: dict[str, tuple[JSON, JSON, Differences]] = field(default_factory=dict)

    def of(self, name: str, kind: str, before: JSON, after: JSON) -> Differences:
        """Returns the differences between two requests of a spec. An action and the change that causes it compare the
        same requests."""
        from reconciler.render.diff import Differences

        done = self.done.get(name)
        if done is None or done[0] is not before or done[1] is not after:
            done = self.done[name] = before, after, Differences(kind_named(kind), *self._both(name, before, after))
        return done[2]

    def _both(self, name: str, before: JSON, after: JSON) -> tuple[JSON, JSON]:
        """Returns two requests in a form in which they can be compared."""
        from reconciler.redact.request import masked, secret_places
        from reconciler.render.diff import path_text

        if not self.masked:
            return before, after
        if places := [path_text(place) for place in secret_places(after)]:
            self.unknown[
                f"{name}: the ledger snapshot has masked values, so it is unknown whether these change: "
                f"{', '.join(places)}"
            ] = None
        return before, masked(after)


def _action_changes(
    action: Action, request: JSON, compared_with: Sequence[Event], compare: _Comparisons
) -> tuple[Change, ...]:
    intent = intent_of(compared_with, action.name, action.compared_token or "")
    if not intent.request:  # the run was recorded again after its ledger was lost, so its request is unknown
        return ()
    return compare.of(action.name, action.kind, intent.request, request).of_content()


def _request_fields(
    change: SpecChange, batches: Mapping[int, Sequence[Event]], compare: _Comparisons
) -> tuple[Change, ...]:
    """Returns the fields of the request that differ. Their paths start with ``request.``."""
    request = change.content.request if change.content else None
    if request is None or change.compared_with is None:
        return ()
    before, slot = _earlier_request(change, batches[change.compared_with]), change.compared_slot
    if not before:  # the run was recorded again after its ledger was lost, so its request is unknown
        return ()
    after = render_slot(request, slot, change.time_zone) if slot is not None else request
    changes = compare.of(change.name, change.kind, before, after).of_request()
    return tuple(replace(each, path=f"request.{each.path}") for each in changes)


def _earlier_request(change: SpecChange, batch: Sequence[Event]) -> JSON:
    """Returns the last-applied request, or an empty request if it is unknown."""
    if change.token is None:
        declared = next((e for e in batch if isinstance(e, Declared) and e.name == change.compared_name), None)
        return (declared.request or {}) if declared is not None else {}
    return intent_of(batch, change.name, change.token).request
