"""The identity of what a plan's git causes, so that an approval of one plan holds for another with the same meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256

from reconciler.core.declarations import request_digest
from reconciler.core.desired import DesiredSpec
from reconciler.core.identity import Place, canonical
from reconciler.core.plan import Action, ActionType, Plan, Reason, SpecChange
from reconciler.core.state import Recorded, SpecRecord
from reconciler.errors import PlanNotExpected
from reconciler.model.base import JSON

PLAN_ID_PREFIX = "p-"
PLAN_ID_HEX_DIGITS = 16


def plan_id(
    place: Place,
    changes: Sequence[SpecChange],
    actions: Sequence[Action],
    specs: Mapping[str, DesiredSpec],
    recorded: Recorded,
) -> str:
    """``p-`` and 16 hex digits over what git causes: its changes, the submissions and cancellations that follow from
    them, and the place.

    Slots, retries, times, wording and the version of the tool do not enter. Neither does whether a submission waits: it
    is caused all the same.
    """
    cancels = sorted(
        [action.name, action.run_id or ""]
        for action in actions
        if action.action is ActionType.CANCEL and action.reason is Reason.SPEC_REMOVED
    )
    form = {
        "place": asdict(place),
        "changes": [_change(change, specs.get(change.name), recorded.spec(change.name)) for change in changes],
        "cancels": cancels,
    }
    return PLAN_ID_PREFIX + sha256(canonical(form)).hexdigest()[:PLAN_ID_HEX_DIGITS]


def _change(change: SpecChange, spec: DesiredSpec | None, record: SpecRecord) -> JSON:
    """What identifies one change: the content before and after it, and whether it submits."""
    declared, baseline = record.declaration, record.baseline
    before: JSON | None = None
    if declared is not None and not record.undeclared:
        before = {"request": declared.request_digest, "policy": dict(declared.policy)}
    elif baseline is not None:
        before = {"digest": baseline.digest}
    after: JSON | None = None
    submits = False
    if spec is not None:
        after = {"request": request_digest(spec.request), "policy": spec.policy.model_dump(mode="json")}
        submits = spec.policy.schedule is None and (baseline is None or baseline.digest != spec.digest)
    return {
        "name": change.name,
        "kind": change.kind,
        "change": str(change.change),
        "stale": change.stale,
        "before": before,
        "after": after,
        "submits": submits,
    }


def check_expected(plan: Plan, expected: str) -> None:
    """Raises `PlanNotExpected`, with the changes that the plan has now, unless its id is the expected one."""
    if plan.plan_id != expected:
        raise PlanNotExpected(expected, plan.plan_id, [f"{c.name} {c.change} ({c.effect})" for c in plan.changes])
