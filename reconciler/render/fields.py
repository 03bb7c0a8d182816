"""The fields of an action, one line or block each: what changed, or everything of something new."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.diff.paths import fields, path_text
from reconciler.mask.changes import masked_change
from reconciler.mask.request import masked
from reconciler.mask.text import mask_sentence
from reconciler.model.kinds import MODULES, kind_named
from reconciler.model.strict import JSON
from reconciler.plan.action import Action, Reason
from reconciler.plan.change import Change
from reconciler.render.shown import plain, value_text

OP_SIGNS = {"add": "+", "remove": "-", "change": "~", "reorder": "~"}
WIDE_LIST = 80  # characters; a longer list has a line for each entry


def field_blocks(action: Action) -> Iterator[list[str]]:
    """The field lines of an action, each as one block of lines that belong together; the first begins with its sign.

    A new spec and the first slot of one show their whole request, a changed one its changes, everything else nothing.
    """
    if action.changes:
        yield from (change_block(change) for change in action.changes)
    elif action.request is not None and (action.reason is Reason.NEW or _first_slot(action)):
        yield from (_new_block(path_text(path), value) for path, value in fields(masked(_display(action))))


def _first_slot(action: Action) -> bool:
    return action.slot is not None and action.compared_with is None and action.attempt == 1


def _display(action: Action) -> JSON:
    """The request as people compare it; a kind that is not known here is shown as it is sent."""
    request = action.request or {}
    return kind_named(action.kind).for_display(request) if action.kind in MODULES else request


def change_block(change: Change) -> list[str]:
    """One change as lines, its values masked; the first begins with its sign."""
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
            return [f"{sign} {path}: other order", f"    {value_text(before)}", f" -> {value_text(after)}"]


def _new_block(path: str, value: object) -> list[str]:
    return _block(f"+ {_path(path)}: ", value)


def _path(path: str) -> str:
    """A path may hold what somebody wrote as a key."""
    return plain(mask_sentence(path))


def _block(start: str, value: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    line = start + value_text(value)
    if not isinstance(value, list) or not value or len(line) <= WIDE_LIST:
        return [line]
    return [f"{start}[", *(f"    {value_text(entry)}," for entry in value), "  ]"]
