"""Field differences without their secrets."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from reconciler.mask.request import masked_at
from reconciler.mask.text import SENSITIVE
from reconciler.plan.change import Change

SENSITIVE_CHANGED = "(sensitive, changed)"


@cache
def _steps() -> re.Pattern[str]:
    """The parts of a path: an index, a quoted key, a field name."""
    return re.compile(r"\[(?P<index>\d+)\]|\[(?P<quoted>\"(?:[^\"\\]|\\.)*\")\]|\.?(?P<plain>[A-Za-z_][A-Za-z0-9_]*)")


def path_keys(path: str) -> tuple[str | int, ...]:
    """The keys of a path such as ``containerOverrides.environment["STAGE"].value``; names of entries come as text.

    What is no such path is one key: a plan file may hold anything.
    """
    keys: list[str | int] = []
    position = 0
    while position < len(path):
        step = _steps().match(path, position)
        if step is None:
            return (path,)
        keys.append(_key(step))
        position = step.end()
    return tuple(keys)


def _key(step: re.Match[str]) -> str | int:
    if step["index"] is not None:
        return int(step["index"])
    if step["quoted"] is None:
        return step["plain"]
    try:
        return str(json.loads(step["quoted"]))
    except ValueError:
        return step["quoted"]


def masked_change(change: Change) -> tuple[Any, Any]:
    """`before` and `after` of a change as they may be shown.

    Where either is a secret, or they differ in nothing but one, what is there becomes ``(sensitive, changed)``; a side
    that is not there (the `before` of an addition) stays `None`, and the other is ``(sensitive)``. Where only a part is
    a secret, the rest is shown.
    """
    keys = path_keys(change.path)
    before, after = masked_at(keys, change.before), masked_at(keys, change.after)
    hidden = change.sensitive or SENSITIVE in {_text(before), _text(after)}
    if change.op == "add":
        return None, SENSITIVE if change.sensitive else after
    if change.op == "remove":
        return SENSITIVE if change.sensitive else before, None
    if hidden or _same(before, after):
        return SENSITIVE_CHANGED, SENSITIVE_CHANGED
    return before, after


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _same(before: object, after: object) -> bool:
    return json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)
