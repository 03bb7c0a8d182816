"""Tests how characters that control a terminal, or that are invisible, are escaped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.redact.escape import escape
from tests.campaigns import in_one_test


@in_one_test(
    ("text", "expected"),
    [
        ("plain text, ünïcode, 日本語, 🙂", "plain text, ünïcode, 日本語, 🙂"),
        ("a\x1b[31mb", "a\\u001b[31mb"),
        ("a\x00\x7f\x9b", "a\\u0000\\u007f\\u009b"),
        ("\u202eevil\u202c", "\\u202eevil\\u202c"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("a\u200bb\u200dc\ufeff", "a\\u200bb\\u200dc\\ufeff"),
        ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\u0085d"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("a\xa0b", "a\\u00a0b"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("a\u3164b", "a\\u3164b"),
        ("back\\slash", "back\\slash"),
        ("", ""),
    ],
)
def test_hidden_characters_become_visible(text, expected):
    """Control characters, overrides, invisible characters and line ends are escaped; letters of any script are kept."""
    assert expected == escape(text)


def test_several_lines_keep_their_ends():
    """In multi-line text, line ends and tabs are kept; carriage returns, which overwrite a line, are escaped."""
    assert escape("a\n\tb\rc", single_line=False) == "a\n\tb\\rc"


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_escaped_text_is_printable(text):
    """Any text becomes one printable line that can be encoded as UTF-8."""
    shown = escape(text)
    assert shown.isprintable()
    shown.encode()
