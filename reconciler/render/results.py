"""What an apply did, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from reconciler.core.plan import Action, ActionOutcome, ActionResult, ActionType, Plan
from reconciler.model.base import JSON
from reconciler.render.text import (
    CYAN,
    DIM,
    GREEN,
    RED,
    YELLOW,
    Style,
    lines_text,
    plain,
    remedy_lines,
    sentence,
    which_run,
)

COLOURS = {
    ActionOutcome.SUBMITTED: GREEN,
    ActionOutcome.ADOPTED: CYAN,
    ActionOutcome.CANCELLED: YELLOW,
    ActionOutcome.RECORDED: DIM,
    ActionOutcome.UNKNOWN: YELLOW,
    ActionOutcome.REJECTED: RED,
    ActionOutcome.UNSENT: RED,
    ActionOutcome.NONE: DIM,
}


def results_text(plan: Plan, results: Sequence[ActionResult], color: bool = False) -> str:
    """One line for each action that did something or was to, what went wrong below it, and ``Apply complete: …`` with
    every outcome counted. `results` are in the order of the plan's actions. Without a line end.
    """
    style = Style(color)
    done = [
        (action, result)
        for action, result in zip(plan.actions, results, strict=True)
        if action.effective or result.outcome != ActionOutcome.NONE
    ]
    width = max((len(plain(action.name)) for action, _ in done), default=0)
    lines = [line for action, result in done for line in _lines(action, result, width, style)]
    return lines_text([*lines, *([""] if lines else []), _summary([result for _, result in done], style)])


def _lines(action: Action, result: ActionResult, width: int, style: Style) -> Iterator[str]:
    outcome = ActionOutcome(result.outcome)
    which = which_run(action)
    parts = [
        f"{plain(action.name):<{width}}",
        style.paint(f"{outcome:<9}", COLOURS[outcome]),
        plain(result.run_id or ""),
        f"({plain(which)})" if which else "",
    ]
    yield "  ".join(part for part in parts if part).rstrip()
    if result.error:
        yield f"    {style.paint('error:', RED)} {sentence(result.error)}"
    if action.remedy:
        yield from (f"    {line}" for line in remedy_lines(action.remedy))


def _summary(results: Sequence[ActionResult], style: Style) -> str:
    counts = Counter(str(result.outcome) for result in results)
    told = [f"{counts[outcome]} {outcome}" for outcome in ActionOutcome if outcome != "none" and counts[outcome]]
    if counts["none"]:
        told.append(f"{counts['none']} not done")
    return style.bold(f"Apply complete: {', '.join(told) or 'nothing to do'}.")


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
