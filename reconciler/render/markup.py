"""Text of users inside Markdown: never markup, never a mention, a reference or a link."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reconciler.mask.escape import escape
from reconciler.render.shown import inert

PLAIN = re.compile(r"[A-Za-z0-9 ,.;()'/:-]*")
MEANT = re.compile(r"://|www\.|GH-\d|:(?=[\w+-]*[a-z])[\w+-]+:|--|^\s|\s$|^$|^[-:]|^\d+[.)]", re.IGNORECASE)


def prose(text: str) -> str:
    """A phrase as it is where no character of it means anything to Markdown or its hosts, else as code.

    Hosts turn ``@name``, ``#1`` and web addresses into links after the markup is rendered: only code is left alone.
    """
    return text if PLAIN.fullmatch(text) and not MEANT.search(text) else code(text)


def code(text: str) -> str:
    """A code span that shows `text`, escaped to one line. Not for table cells: see `cell_code`."""
    shown = inert(escape(text)) or " "
    fence = "`" * (_longest_run(shown) + 1)
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def cell_code(text: str) -> str:
    """A code span for a table cell, where a bar would end the cell even between backticks."""
    shown = inert(escape(text))
    if "|" not in shown:
        return code(text)
    return f"<code>{''.join(char if char.isalnum() or char == ' ' else f'&#{ord(char)};' for char in shown)}</code>"


def cell_prose(text: str) -> str:
    """A phrase for a table cell, as `prose`."""
    return text if PLAIN.fullmatch(text) and not MEANT.search(text) else cell_code(text)


def fenced(lines: Sequence[str]) -> list[str]:
    """A block of code in diff colours, its fence longer than any run of backticks in it."""
    fence = "`" * max(3, *(_longest_run(line) + 1 for line in lines))
    return [f"{fence}diff", *(inert(line) for line in lines), fence]


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
