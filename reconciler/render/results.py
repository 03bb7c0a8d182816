"""Renders the results of an apply: a line for each action, and one line for a whole pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from reconciler.core.plan import Action, ActionOutcome, ActionResult, ActionType, Plan
from reconciler.model.base import JSON
from reconciler.render.phrases import suggested_lines, which_run
from reconciler.render.text import Style, columns, lines_text, plain, sentence

COLOURS = {
    ActionOutcome.SUBMITTED: "green",
    ActionOutcome.ADOPTED: "cyan",
    ActionOutcome.CANCELLED: "yellow",
    ActionOutcome.RECORDED: "dim",
    ActionOutcome.UNKNOWN: "yellow",
    ActionOutcome.REJECTED: "red",
    ActionOutcome.UNSENT: "red",
    ActionOutcome.NONE: "dim",
}


def results_text(plan: Plan, results: Sequence[ActionResult], color: bool = False) -> str:
    """One line for each action that did something or should have, its error below it, and ``Apply complete: …`` with
    every outcome counted. `results` are in the order of the plan's actions. Without a line end.
    """
    style = Style(color)
    done = [
        (action, result)
        for action, result in zip(plan.actions, results, strict=True)
        if action.effective or result.outcome != ActionOutcome.NONE
    ]
    heads = columns([_cells(action, result, style) for action, result in done])
    blocks = [[head, *_details(*pair, style)] for head, pair in zip(heads, done, strict=True)]
    lines = [line for block in blocks for line in block]
    return lines_text([*lines, *([""] if lines else []), _summary([result for _, result in done], style)])


def _cells(action: Action, result: ActionResult, style: Style) -> tuple[str, str, str]:
    outcome, which = ActionOutcome(result.outcome), which_run(action)
    run = "  ".join(part for part in (plain(result.run_id or ""), f"({plain(which)})" if which else "") if part)
    return plain(action.name), style.paint(outcome, COLOURS[outcome]), run


def _details(action: Action, result: ActionResult, style: Style) -> Iterator[str]:
    """The error of an action, and the commands that resolve it."""
    if result.error:
        yield f"    {style.paint('error:', 'red')} {sentence(result.error)}"
    if action.suggested:
        yield from (f"    {line}" for line in suggested_lines(action.suggested))


def _summary(results: Sequence[ActionResult], style: Style) -> str:
    counts = Counter(str(result.outcome) for result in results)
    parts = [f"{counts[outcome]} {outcome}" for outcome in ActionOutcome if outcome != "none" and counts[outcome]]
    if counts["none"]:
        parts.append(f"{counts['none']} not done")
    return style.bold(f"Apply complete: {', '.join(parts) or 'nothing to do'}.")


def pass_line(name: str, plan: Plan, results: Sequence[ActionResult], position: int) -> str:
    """``2026-11-22T02:00:03Z reconcile analytics/prod: 2 submitted, 1 held, 57 in sync; ledger position 61``."""
    counts = ", ".join(f"{count} {word}" for word, count in _counts(plan, results).items()) or "no specs"
    place = f"{plan.place.project}/{plan.place.target}"
    return f"{plan.created_at} {name} {place}: {counts}; ledger position {position}"


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
    """The outcome of an action, or the state of a spec without an effective action, in one or two words."""
    if result.outcome != ActionOutcome.NONE:
        return str(result.outcome)
    if action.effective:
        return "not done"
    return {ActionType.WAIT: "waiting", ActionType.HOLD: "held"}.get(action.action, "in sync")
