"""The plan for people at a terminal, in Terraform's look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.identity.digest import Place
from reconciler.plan.action import Action, ActionType, Reason
from reconciler.plan.value import Plan
from reconciler.render.fields import field_blocks
from reconciler.render.shown import lines_text, plain, sentence
from reconciler.render.style import YELLOW, Style
from reconciler.render.words import (
    SYMBOL_COLOURS,
    next_slots,
    remedy_lines,
    summary_line,
    symbol,
    symbol_word,
    what_happens,
)

FIELD_INDENT = " " * 6


def plan_text(plan: Plan, *, color: bool = False, verbose: bool = False) -> str:
    """The plan, without a line end: where it is for, a legend of the signs in use, a block for each action that is more
    than in sync, the warnings, the summary.

    Secrets are masked and control characters escaped. `verbose` adds tokens and digests, and what is in sync.
    """
    style = Style(color)
    shown = [a for a in plan.actions if verbose or a.action is not ActionType.NONE]
    lines = [place_line(plan.place), "", *_legend(shown, style)]
    for action in shown:
        lines += [*_action_lines(action, style, verbose=verbose), ""]
    lines += _next_slots(plan)
    for warning in plan.warnings:
        lines += [style.paint("Warning: ", YELLOW) + sentence(warning), ""]
    lines.append(style.bold(summary_line(plan)))
    return lines_text(lines)


def _next_slots(plan: Plan) -> Iterator[str]:
    """When each spec with a schedule is due next; nothing where there is none."""
    slots = next_slots(plan)
    if slots:
        width = max(len(plain(name)) for name in slots)
        yield "Next slots:"
        yield from (f"  {plain(name):<{width}}  {plain(slot)}" for name, slot in slots.items())
        yield ""


def place_line(place: Place) -> str:
    """``Project analytics, target prod (account 444455556666, region eu-west-1)``."""
    return plain(f"Project {place.project}, target {place.target} (account {place.account}, region {place.region})")


def _legend(shown: Sequence[Action], style: Style) -> Iterator[str]:
    """The signs that stand in front of actions, and ``~`` where a field changes."""
    signs = {symbol(action): symbol_word(symbol(action)) for action in shown}
    if any(_changes_a_field(action) for action in shown):
        signs["~"] = "changed field"
    if signs:
        yield "Signs used below:"
        for sign in sorted(signs, key=list(SYMBOL_COLOURS).index):
            yield f"  {style.paint(f'{sign:>2}', SYMBOL_COLOURS[sign])} {signs[sign]}"
        yield ""


def _changes_a_field(action: Action) -> bool:
    return _revised(action) or any(change.op in {"change", "reorder"} for change in action.changes)


def _revised(action: Action) -> bool:
    """Whether it runs again for its revision alone, which is no field of the request."""
    return action.action is ActionType.SUBMIT and action.reason is Reason.REVISION_CHANGED


def _action_lines(action: Action, style: Style, *, verbose: bool) -> Iterator[str]:
    """The reason in words, the sign with the name, the fields."""
    sign = symbol(action)
    yield style.bold(f"  # {plain(action.name)} {sentence(what_happens(action))}")
    if action.message:
        yield f"  #   {sentence(action.message)}"
    if action.remedy:
        yield from (f"  #   {line}" for line in remedy_lines(action.remedy))
    where = f", {action.source.path}:{action.source.line}" if action.source else ""
    yield f"  {style.paint(sign, SYMBOL_COLOURS[sign])} {plain(f'{action.name} ({action.kind}{where})')}"
    if _revised(action):
        changed = f" revision: changed to {action.revision} (the request is the same)"
        yield FIELD_INDENT + style.paint("~", SYMBOL_COLOURS["~"]) + changed
    for block in field_blocks(action):
        mark, rest = block[0][0], block[0][1:]
        yield FIELD_INDENT + style.paint(mark, SYMBOL_COLOURS[mark]) + rest
        yield from (FIELD_INDENT + line for line in block[1:])
    if verbose:
        yield from (FIELD_INDENT + style.dim(line) for line in _identity(action))


def _identity(action: Action) -> Iterator[str]:
    """What the action is known by, for those who look into the ledger or AWS."""
    for label, value in (
        ("digest", action.digest),
        ("client token", action.client_token),
        ("run", action.run_id),
        ("ledger head", str(action.ledger_head)),
        ("compared with the intent at", None if action.compared_with is None else str(action.compared_with)),
    ):
        if value is not None:
            yield f"{label} {plain(value)}"
