"""Computes the plan id that an approval covers, and finds the changes that were already on the base of a pull
request."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, replace
from hashlib import sha256
from typing import Any

from reconciler.core.changes import differs, policy_json
from reconciler.core.declarations import PROJECT_KIND, PROJECT_NAME
from reconciler.core.desired import Desired, DesiredSpec
from reconciler.core.identity import canonical, request_digest
from reconciler.core.plan import Action, ActionType, Origin, Plan, Reason, SpecChange
from reconciler.core.settings import declared_digest, settings_changes, settings_digest, settings_since
from reconciler.core.state import Recorded
from reconciler.errors import PlanNotExpected
from reconciler.model.base import JSON
from reconciler.values import dataclass

PLAN_ID_PREFIX = "p-"
PLAN_ID_HEX_DIGITS = 16

LATER_FIELDS = frozenset({"pendingTimeoutSeconds", "shutdownGracePeriodSeconds"})
"""Policy fields that are left out of the hash unless they are set, because earlier versions did not have them."""


def plan_id(changes: Sequence[SpecChange], actions: Sequence[Action], desired: Desired, recorded: Recorded) -> str:
    """Returns ``p-`` and 16 hex digits: a hash of the project, target, account and region, of the changes in git, and
    of the submissions and cancellations that follow from them.

    Slots, retries, times, wording and the version of the tool are not part of the hash. A submission is part of the
    hash even if it has to wait, because the change still causes it.
    """
    cancels = sorted(
        [action.name, action.run_id or ""]
        for action in actions
        if action.action is ActionType.CANCEL and action.reason is Reason.SPEC_REMOVED
    )
    form = {
        "place": asdict(desired.place),
        "changes": [_change(change, desired, recorded) for change in changes],
        "cancels": cancels,
    }
    return PLAN_ID_PREFIX + sha256(canonical(form)).hexdigest()[:PLAN_ID_HEX_DIGITS]


def is_plan_id(text: str) -> bool:
    """Returns whether a text has the form of a plan id."""
    return re.fullmatch(rf"{PLAN_ID_PREFIX}[0-9a-f]{{{PLAN_ID_HEX_DIGITS}}}", text) is not None


def _change(change: SpecChange, desired: Desired, recorded: Recorded) -> JSON:
    """Returns the values that identify one change: the content before and after it, and whether it submits a run."""
    if change.kind == PROJECT_KIND:
        before_it = declared_digest(recorded.project) if recorded.project is not None else ""
        return {"kind": change.kind, "stale": change.stale, "before": before_it, "after": desired.settings_digest}
    spec, record = desired.specs.get(change.name), recorded.spec(change.name)
    declared, baseline = record.declaration, record.baseline
    before: JSON | None = None
    if declared is not None and not record.undeclared:
        before = {"request": declared.request_digest, "policy": _policy(declared.policy)}
    elif baseline is not None:
        # Ledgers of version 0.1.0 have no declarations.
        before = {"digest": baseline.digest}
    after: JSON | None = None
    submits = False
    if spec is not None:
        after = {"request": request_digest(spec.request), "policy": _policy(spec.policy.model_dump(mode="json"))}
        submits = spec.policy.schedule is None and (baseline is None or baseline.digest != spec.digest)
    return {
        "name": change.name,
        "kind": change.kind,
        "change": str(change.change),
        "stale": change.stale,
        "before": before,
        "after": after,
        "submits": submits,
        **({"renamed_from": change.renamed_from} if change.renamed_from is not None else {}),
    }


def _policy(policy: Mapping[str, Any]) -> JSON:
    return {name: value for name, value in policy.items() if name not in LATER_FIELDS or value is not None}


def check_expected(plan: Plan, expected: str) -> None:
    """Raises `PlanNotExpected`, which lists the current changes of the plan, unless the id of the plan is
    `expected`."""
    if plan.plan_id != expected:
        raise PlanNotExpected(expected, plan.plan_id, [f"{c.name} {c.change} ({c.effect})" for c in plan.changes])


@dataclass(frozen=True, slots=True)
class Base:
    """The specs of the target at `commit`, the base of a pull request.

    `invalid` maps names to the problem of their spec. `unnamed` is the file whose spec names cannot be read, or `None`
    if all names are known. `settings` are the project file's settings, or `None` if it cannot be read. `notes` are
    sentences about files that could not be read.
    """

    commit: str
    specs: Mapping[str, DesiredSpec] = field(default_factory=dict)
    invalid: Mapping[str, str] = field(default_factory=dict)
    unnamed: str | None = None
    settings: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


def with_origins(plan: Plan, base: Base, specs: Mapping[str, DesiredSpec], recorded: Recorded) -> Plan:
    """Returns the same plan with the origin of each change. `specs` are the specs of the checkout. The id of the plan
    does not change, because the origin of a change does not alter its effect."""
    changes = tuple(
        _settings_with_origin(change, plan, base, recorded)
        if change.kind == PROJECT_KIND
        else _with_origin(change, base, specs.get(change.name), recorded)
        for change in (*settings_since(base.settings, plan), *plan.changes)
    )
    return replace(plan, base=base.commit, changes=changes, warnings=(*plan.warnings, *base.notes))


def _settings_with_origin(change: SpecChange, plan: Plan, base: Base, recorded: Recorded) -> SpecChange:
    if base.settings is None:
        note = f"the settings of {PROJECT_NAME} at the base are not known"
    elif settings_digest(base.settings) == plan.settings_digest:
        return replace(change, origin=Origin.ALREADY_ON_BASE)
    else:
        applied = recorded.project
        note = ANOTHER if applied is not None and settings_changes(applied.settings, base.settings) else ""
    return replace(change, origin=Origin.THIS_CHANGE, origin_note=note)


def _with_origin(change: SpecChange, base: Base, spec: DesiredSpec | None, recorded: Recorded) -> SpecChange:
    before = base.specs.get(change.name)
    if change.name in base.invalid:
        note = f"at the base it is not valid: {base.invalid[change.name]}"
    elif before is None and base.unnamed is not None:
        note = f"at the base it may be in a file that cannot be read: {base.unnamed}"
    elif _is_same(spec, before) and (change.renamed_from is None or _former(spec) == _former(before)):
        return replace(change, origin=Origin.ALREADY_ON_BASE)
    else:
        note = ANOTHER if _has_another(change, before, base, recorded) else ""
    return replace(change, origin=Origin.THIS_CHANGE, origin_note=note)


def _has_another(change: SpecChange, before: DesiredSpec | None, base: Base, recorded: Recorded) -> bool:
    """Returns whether the base also differs from the last-applied content of the spec. For a renamed spec, the former
    name is compared as well."""
    if change.renamed_from is None:
        return differs(before, recorded.spec(change.name))
    return before is not None or differs(base.specs.get(change.renamed_from), recorded.spec(change.renamed_from))


ANOTHER = "the base has another pending change to it"


def _former(spec: DesiredSpec | None) -> str | None:
    return spec.renamed_from.name if spec is not None and spec.renamed_from is not None else None


def _is_same(spec: DesiredSpec | None, before: DesiredSpec | None) -> bool:
    """Returns whether a spec has the same content in two commits, or is in neither of them."""
    if spec is None or before is None:
        return spec is before
    return (spec.kind, request_digest(spec.request)) == (before.kind, request_digest(before.request)) and (
        policy_json(spec) == policy_json(before)
    )
