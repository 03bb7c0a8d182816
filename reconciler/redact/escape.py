"""Characters that a terminal obeys, or that nobody sees, made visible."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Letters to Unicode, and blank on every screen: the Hangul fillers, the grapheme joiner and the empty Braille cell.
BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape(text: str, *, single_line: bool = True) -> str:
    r"""`text` with every character that is not plainly visible written as ``\u202e`` (``\U000e0041`` beyond U+FFFF).

    That is: control characters, ANSI escapes, bidirectional overrides and isolates, zero-width characters, spaces
    other than the ordinary one, line and paragraph separators, unassigned and private characters, lone surrogates.
    Newline, carriage return and tab become ``\n``, ``\r``, ``\t``; with `single_line` false newlines and tabs stay.
    A backslash that is there already is left alone: quoting is for those who quote.
    """
    if text.isprintable() and BLANK_LETTERS.isdisjoint(text):
        return text
    kept = "" if single_line else "\n\t"
    return "".join(char if char in kept else visible(char) for char in text)


def visible(char: str) -> str:
    """One character as `escape` writes it."""
    if char.isprintable() and char not in BLANK_LETTERS:
        return char
    code = ord(char)
    return SHORT.get(char) or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


# GitHub: ##[error]; Azure Pipelines: ##vso[task.setvariable]; TeamCity: ##teamcity[…]: anywhere in a line.
_COMMAND = re.compile(r"##(?=[A-Za-z0-9_.-]{0,40}\[)")


def without_hash_commands(text: str) -> str:
    r"""`text` with ``##name[`` as ``#\u0023name[``: in JSON that is the same text, and no command to a CI runner."""
    return _COMMAND.sub(r"#\\u0023", text) if "##" in text else text


def inert(line: str) -> str:
    """One line such that no CI runner takes a command from it.

    GitHub's runner obeys ``::name::`` at the start of a line, white space or not, and it and others ``##name[…]``
    anywhere.
    """
    line = without_hash_commands(line)
    if "::" not in line:
        return line
    start = len(line) - len(line.lstrip())
    return line[:start] + "\\u003a" + line[start + 1 :] if line.startswith("::", start) else line


def lines_text(lines: Iterable[str]) -> str:
    """Lines joined, each `inert`."""
    return "\n".join(inert(line) for line in lines)
