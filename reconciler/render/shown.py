"""How values of users are shown: quoted, masked, escaped, and never as a command to a terminal or a CI runner."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from reconciler.mask.changes import SENSITIVE_CHANGED
from reconciler.mask.escape import escape
from reconciler.mask.text import SENSITIVE, mask_sentence

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


def lines_text(lines: Iterable[str]) -> str:
    """Lines joined, each such that a CI runner takes no command from it.

    GitHub's runner obeys ``::name::`` at the start of a line, white space or not, and ``##[name]`` anywhere.
    """
    return "\n".join(inert(line) for line in lines)


def inert(line: str) -> str:
    """One line as `lines_text` writes it."""
    line = line.replace("##[", "#\\u0023[")
    start = len(line) - len(line.lstrip())
    return line[:start] + "\\u003a" + line[start + 1 :] if line.startswith("::", start) else line


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 spec``, ``2 specs``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
