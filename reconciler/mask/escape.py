"""Characters that a terminal obeys, or that nobody sees, made visible."""

from __future__ import annotations

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
