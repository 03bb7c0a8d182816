"""What one pass came to, in one line: for people, and for machines that read logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from reconciler.model.strict import JSON
from reconciler.plan.action import Action, ActionType
from reconciler.plan.result import ActionOutcome, ActionResult
from reconciler.plan.value import Plan


def pass_line(name: str, plan: Plan, results: Sequence[ActionResult], position: int) -> str:
    """``2026-11-22T02:00:03Z reconcile analytics/prod: 2 submitted, 1 held, 57 in sync; ledger position 61``."""
    told = ", ".join(f"{count} {word}" for word, count in _counts(plan, results).items()) or "no specs"
    place = f"{plan.place.project}/{plan.place.target}"
    return f"{plan.created_at} {name} {place}: {told}; ledger position {position}"


def pass_json(plan: Plan, results: Sequence[ActionResult], position: int) -> JSON:
    """The same as fields: ``{"project", "target", "commit", "counts", "held", "ledger_position"}``."""
    return {
        "project": plan.place.project,
        "target": plan.place.target,
        "commit": plan.commit,
        "counts": dict(_counts(plan, results)),
        "held": sorted({action.name for action in plan.held}),
        "ledger_position": position,
    }


def action_line(action: Action, result: ActionResult) -> str:
    """``orders-daily: submit (spec-changed): submitted 00f1abc``."""
    run = f" {result.run_id}" if result.run_id else ""
    error = f": {result.error}" if result.error else ""
    return f"{action.name}: {action.action} ({action.reason}): {result.outcome}{run}{error}"


def _counts(plan: Plan, results: Sequence[ActionResult]) -> Counter[str]:
    return Counter(_word(action, result) for action, result in zip(plan.actions, results, strict=True))


def _word(action: Action, result: ActionResult) -> str:
    """What became of an action, or how what needs none stands, in one or two words."""
    if result.outcome != ActionOutcome.NONE:
        return str(result.outcome)
    if action.effective:
        return "not done"
    return {ActionType.WAIT: "waiting", ActionType.HOLD: "held"}.get(action.action, "in sync")
