"""Reading plain scalars."""

import pytest

from reconciler.model.base import SourceFloat, Unquoted
from reconciler.specs.yaml_nodes import meaning, plain
from tests.campaigns import in_one_test

TEXT = [
    "a",
    "s3://b/c",
    "1.2.3",
    "10.0.0.1",
    "5m",
    "-x",
    "--day",
    "0,n",
    "1:",
    ".",
    "+",
    "-",
    "2026-11",
    "9999-x",
    "e3",
]
OTHER = {
    "a boolean": ["on", "On", "OFF", "yes", "No", "NO", "y", "N", "True", "TRUE", "False"],
    "null": ["~", "null", "Null", "NULL"],
    "a special key": ["=", "<<"],
    "a number": [
        *("0x1F", "0o17", "017", "0b11", "1_000", "1e3", "1E3", "+1", "-0", "1.", ".5", "-.5", "1.5e3", "00"),
        *(".inf", "-.INF", ".nan", ".NaN", "1" * 101),
    ],
    "a number in base 60": ["12:30", "1:30:45", "190:20:30.15", "-1:30"],
    "a date": ["2026-11-22", "2026-11-22T02:00:00Z", "2026-11-22 02:00:00.5 +01:00", "2001-1-1t1:00:00-5"],
}


@in_one_test("text", TEXT)
def test_text_needs_no_quotes(text):
    """A scalar that both YAML 1.1 and YAML 1.2 read as a string is a string."""
    assert text == plain(text)


@in_one_test(("kind", "text"), [(kind, text) for kind, texts in OTHER.items() for text in texts])
def test_other_scalars_are_never_strings(kind, text):
    """A plain scalar that YAML 1.1 or 1.2 reads as another type is `Unquoted` and keeps its text."""
    assert Unquoted(text) == plain(text)
    assert kind == meaning(text)


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("7", 7), ("-12", -12), ("1" * 100, int("1" * 100))])
def test_integers_have_one_spelling(text, value):
    """Decimal digits without a leading zero or a plus are an integer."""
    assert value == plain(text)
    assert type(plain(text)) is int
    assert "a number" == meaning(text)


def test_booleans_have_one_spelling():
    """Only true and false are booleans."""
    assert plain("true") is True
    assert plain("false") is False


def test_fractions_keep_their_text():
    """A fraction is a number that keeps its source text."""
    value = plain("1.10")
    assert isinstance(value, SourceFloat)
    assert (1.1, "1.10") == (value, value.source)
