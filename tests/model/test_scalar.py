"""Tests scalars that keep their source text."""

from __future__ import annotations

import copy
import pickle

import pytest
from pydantic import ValidationError

from reconciler.model.base import SourceFloat, Unquoted, source_text
from tests.campaigns import in_one_test
from tests.model.requests import BATCH, batch, sent


@in_one_test(
    ("value", "text"),
    [
        ("on", "on"),
        (True, "true"),
        (False, "false"),
        (12, "12"),
        (1.5, "1.5"),
        (SourceFloat("1.10"), "1.10"),
        (SourceFloat("1e3"), "1e3"),
        (Unquoted("12:30"), "12:30"),
        (Unquoted(""), ""),
        (None, None),
        ([], None),
        ({}, None),
    ],
)
def test_every_scalar_has_its_text(value, text):
    """A scalar has its text as it is written in the file. A mapping or list has no text."""
    assert text == source_text(value)


def test_a_number_keeps_its_text_when_copied():
    """Copied and pickled numbers keep their text and are equal to the number."""
    number = SourceFloat("0.60")
    for each in (copy.deepcopy(number), pickle.loads(pickle.dumps(number))):
        expected = ("0.60", 0.6)
        assert expected == (each.source, each)


def test_other_text_is_no_number():
    """Text that is not a number raises `ValueError`."""
    with pytest.raises(ValueError, match="could not convert"):
        SourceFloat("eight")


@pytest.mark.parametrize("value", [SourceFloat("1.10"), Unquoted("on")])
def test_no_model_reads_them_as_strings(value):
    """An unquoted scalar in a string field is an error and is never converted."""
    with pytest.raises(ValidationError):
        BATCH.model.model_validate(sent(BATCH, batch(parameters={"a": value})))
