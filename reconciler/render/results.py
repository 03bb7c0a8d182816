"""What an apply did, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from reconciler.plan.action import Action
from reconciler.plan.result import ActionOutcome, ActionResult
from reconciler.plan.value import Plan
from reconciler.render.shown import lines_text, plain, sentence
from reconciler.render.style import CYAN, DIM, GREEN, RED, YELLOW, Style
from reconciler.render.words import remedy_lines, which_run

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
