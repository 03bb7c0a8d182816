"""Renders a plan as text: the actions with their fields, warnings and a summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from reconciler.core.plan import Action, ActionType, Change, Plan, Reason
from reconciler.model.base import JSON
from reconciler.model.kind import MODULES, kind_named
from reconciler.redact.request import masked, masked_change
from reconciler.redact.text import mask_sentence
from reconciler.render.diff import fields, path_text
from reconciler.render.phrases import (
    SYMBOL_COLOURS,
    next_slots,
    suggested_lines,
    summary_line,
    symbol,
    symbol_word,
    what_happens,
)
from reconciler.render.text import Style, columns, lines_text, place_line, plain, sentence, value_text

OP_SIGNS = {"add": "+", "remove": "-", "change": "~", "reorder": "~"}
WIDE_LIST = 80  # characters; a longer list has a line for each entry


def field_blocks(action: Action) -> Iterator[list[str]]:
    """The fields of an action as blocks of lines; the first line of a block begins with its sign.

    A changed spec has its changes, a new spec and the first slot of a spec the whole request, any other action nothing.
    """
    if action.changes:
        yield from (change_block(change) for change in action.changes)
    elif action.request is not None and (action.reason is Reason.NEW or _first_slot(action)):
        yield from (_new_block(path_text(path), value) for path, value in fields(masked(_display(action))))


def _first_slot(action: Action) -> bool:
    return action.slot is not None and action.compared_with is None and action.attempt == 1


def _display(action: Action) -> JSON:
    """The request in the form that people compare; of a kind that this version does not have, as it is sent."""
    request = action.request or {}
    return kind_named(action.kind).for_display(request) if action.kind in MODULES else request


def change_block(change: Change) -> list[str]:
    """One change as lines, with secrets masked; the first begins with its sign."""
    before, after = masked_change(change)
    path = _path(change.path)
    sign = OP_SIGNS[change.op]
    match change.op:
        case "add":
            return _block(f"{sign} {path}: ", after)
        case "remove":
            return _block(f"{sign} {path}: ", before)
        case "change" if before == after:
            return [f"{sign} {path}: {value_text(after)}"]
        case "change":
            return [f"{sign} {path}: {value_text(before)} -> {value_text(after)}"]
        case "reorder":
            return [f"{sign} {path}: order changed", f"    {value_text(before)}", f" -> {value_text(after)}"]


def _new_block(path: str, value: object) -> list[str]:
    return _block(f"+ {_path(path)}: ", value)


def _path(path: str) -> str:
    # Users choose some of the keys in a path
    return plain(mask_sentence(path))


def _block(start: str, value: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    line = start + value_text(value)
    if not isinstance(value, list) or not value or len(line) <= WIDE_LIST:
        return [line]
    return [f"{start}[", *(f"    {value_text(entry)}," for entry in value), "  ]"]


FIELD_INDENT = " " * 6


def plan_text(plan: Plan, *, color: bool = False, verbose: bool = False) -> str:
    """The plan without a line end: its place, a legend of the signs, a block for each action that is not in sync, the
    warnings, the summary.

    Secrets are masked and control characters escaped. `verbose` adds tokens, digests and the specs in sync.
    """
    style = Style(color)
    shown = [a for a in plan.actions if verbose or a.action is not ActionType.NONE]
    lines = [place_line(plan.place), "", *_legend(shown, style)]
    for action in shown:
        lines += [*_action_lines(action, style, verbose=verbose), ""]
    lines += _next_slots(plan)
    for warning in plan.warnings:
        lines += [style.paint("Warning: ", "yellow") + sentence(warning), ""]
    lines.append(style.bold(summary_line(plan)))
    return lines_text(lines)


def _next_slots(plan: Plan) -> Iterator[str]:
    """When each spec with a schedule is due next; nothing if no spec has one."""
    slots = [(plain(name), plain(slot)) for name, slot in next_slots(plan).items()]
    if slots:
        yield "Next slots:"
        yield from (f"  {line}" for line in columns(slots))
        yield ""


def _legend(shown: Sequence[Action], style: Style) -> Iterator[str]:
    """The signs in use: those of actions, and ``~`` if a field changes."""
    signs = {symbol(action): symbol_word(symbol(action)) for action in shown}
    if any(_changes_a_field(action) for action in shown):
        signs["~"] = "changed field"
    if signs:
        yield "Symbols:"
        for sign in sorted(signs, key=list(SYMBOL_COLOURS).index):
            yield f"  {style.paint(f'{sign:>2}', SYMBOL_COLOURS[sign])} {signs[sign]}"
        yield ""


def _changes_a_field(action: Action) -> bool:
    return _revised(action) or any(change.op in {"change", "reorder"} for change in action.changes)


def _revised(action: Action) -> bool:
    """Whether only the revision, which is not a field of the request, makes the spec run again."""
    return action.action is ActionType.SUBMIT and action.reason is Reason.REVISION_CHANGED


def _action_lines(action: Action, style: Style, *, verbose: bool) -> Iterator[str]:
    """The reason in words, the sign with the name, the fields."""
    sign = symbol(action)
    yield style.bold(f"  # {plain(action.name)} {sentence(what_happens(action))}")
    if action.message:
        yield f"  #   {sentence(action.message)}"
    if action.suggested:
        yield from (f"  #   {line}" for line in suggested_lines(action.suggested))
    where = f", {action.source.path}:{action.source.line}" if action.source else ""
    yield f"  {style.paint(sign, SYMBOL_COLOURS[sign])} {plain(f'{action.name} ({action.kind}{where})')}"
    if _revised(action):
        changed = f" revision: changed to {action.content.revision} (the request is the same)"
        yield FIELD_INDENT + style.paint("~", SYMBOL_COLOURS["~"]) + changed
    for block in field_blocks(action):
        mark, rest = block[0][0], block[0][1:]
        yield FIELD_INDENT + style.paint(mark, SYMBOL_COLOURS[mark]) + rest
        yield from (FIELD_INDENT + line for line in block[1:])
    if verbose:
        yield from (FIELD_INDENT + style.dim(line) for line in _identity(action))


def _identity(action: Action) -> Iterator[str]:
    """The identifiers of an action, for looking it up in the ledger or in AWS."""
    for label, value in (
        ("digest", action.digest),
        ("client token", action.client_token),
        ("run", action.run_id),
        ("ledger head", str(action.ledger_head)),
        ("compared with the intent at", None if action.compared_with is None else str(action.compared_with)),
    ):
        if value is not None:
            yield f"{label} {plain(value)}"
