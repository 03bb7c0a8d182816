"""How values of users are shown: quoted, masked, escaped, and never as a command to a terminal or a CI runner."""

from __future__ import annotations

import json
from typing import Any

from reconciler.mask.changes import SENSITIVE_CHANGED
from reconciler.mask.escape import escape, inert, lines_text
from reconciler.mask.text import SENSITIVE, mask_sentence

__all__ = ["MARKS", "count", "inert", "lines_text", "plain", "sentence", "value_text"]

MARKS = frozenset({SENSITIVE, SENSITIVE_CHANGED})


def value_text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """A JSON value on one line. The marks that stand for secrets are bare words, strings are quoted."""
    if isinstance(value, str) and value in MARKS:
        return value
    return escape(json.dumps(value, ensure_ascii=False))


def plain(text: str) -> str:
    """A name, path or id on one line, escaped."""
    return escape(text)


def sentence(text: str) -> str:
    """A message on one line: what AWS said may be in it, so secrets are masked."""
    return escape(mask_sentence(text))


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 spec``, ``2 specs``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
