"""Makes control characters and invisible characters visible, and makes text safe for CI runners."""

import re
from collections.abc import Iterable

from reconciler.values import regex

# Unicode classifies these as letters, but they are blank on screen: Hangul fillers, the grapheme joiner, empty Braille.
BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape(text: str, *, single_line: bool = True) -> str:
    r"""Returns `text` with each invisible character written as ``\u202e``, or ``\U000e0041`` beyond U+FFFF.

    These are invisible: control characters, ANSI escapes, bidirectional overrides and isolates, zero-width characters,
    all spaces except the ordinary one, line and paragraph separators, unassigned and private characters, lone
    surrogates. Newline, carriage return and tab become ``\n``, ``\r``, ``\t``; if `single_line` is false, newlines and
    tabs are kept. Backslashes in the text are not doubled, because a caller that quotes the text does that.
    """
    if text.isprintable() and (text.isascii() or BLANK_LETTERS.isdisjoint(text)):
        return text
    kept = "" if single_line else "\n\t"
    return "".join(char if char in kept else visible(char) for char in text)


def visible(char: str) -> str:
    """Returns one character as `escape` writes it."""
    if char.isprintable() and char not in BLANK_LETTERS:
        return char
    code = ord(char)
    return SHORT.get(char) or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


# Commands anywhere in a line. GitHub: ##[error]; Azure Pipelines: ##vso[task.setvariable]; TeamCity: ##teamcity[…].
_COMMAND = regex(r"##(?=[A-Za-z0-9_.-]{0,40}\[)")


_START = regex(r"^\s*::", re.MULTILINE)


def without_hash_commands(text: str) -> str:
    r"""Returns `text` with ``##name[`` written as ``#\u0023name[``, which is the same in JSON but not a command to a CI
    runner."""
    return _COMMAND.sub(r"#\\u0023", text) if "##" in text else text


def inert(line: str) -> str:
    """Returns `line` changed so that no CI runner executes a command in it.

    GitHub's runner executes ``::name::`` at the start of a line, also after white space. GitHub's and other runners
    execute ``##name[…]`` anywhere in a line.
    """
    line = without_hash_commands(line)
    if "::" not in line:
        return line
    start = len(line) - len(line.lstrip())
    return line[:start] + "\\u003a" + line[start + 1 :] if line.startswith("::", start) else line


def lines_text(lines: Iterable[str]) -> str:
    """Joins lines after making each `inert`."""
    lines = [*lines]
    text = "\n".join(lines)
    return "\n".join(map(inert, lines)) if "##" in text or _START.search(text) else text
