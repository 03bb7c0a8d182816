"""Tests that the text of an imported spec is read back as the same request, whatever the request contains."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.errors import ReconcilerError
from reconciler.specs.new_files import default_folder, spec_text, unique_name
from reconciler.specs.parse import yaml_documents
from tests.campaigns import examples, in_one_test

WORDS = (
    "no",
    "on",
    "1.10",
    "12:30",
    "2026-11-29",
    "~",
    "null",
    "0x1f",
    "",
    " x ",
    "a: b",
    "# c",
    "- d",
    "{e}",
    "${var.x}",
)
TEXT = st.sampled_from(WORDS) | st.text(st.characters(codec="utf-8"), max_size=200)
VALUES = st.recursive(
    TEXT | st.integers(-(2**53), 2**53) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT.filter(str.isprintable), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=examples(10))
@given(VALUES, st.text(max_size=50))
@example("a\nb\n", "x")
@example("word " * 60, "line\nline")
@example("trailing \n two\n", "\u2028")
def test_every_request_reads_back(value: Any, comment: str) -> None:
    """Strings remain strings, and line breaks, spaces and unprintable characters are kept."""
    text = spec_text("BatchJob", "x", {"targets": ["a"]}, {"field": value}, [comment])
    (document,) = yaml_documents(text)
    assert {"targets": ["a"], "request": {"field": value}} == document.value["spec"]


def test_texts_are_easy_to_read() -> None:
    """Lists are indented, long texts are folded, scripts keep their lines, and nothing is quoted unnecessarily."""
    text = spec_text(
        "BatchJob", "x", {}, {"a": ["s3://b/c", "1"], "b": "one\ntwo\n", "c": "--conf a=b " * 12 + "end"}, ["y"]
    )
    assert text.startswith(
        "# y\napiVersion: reconciler/v1\nkind: BatchJob\nmetadata:\n  name: x\nspec:\n  request:\n    a:\n"
    )
    assert '      - s3://b/c\n      - "1"\n    b: |\n      one\n      two\n    c: >-\n      --conf a=b --conf' in text


@in_one_test(
    ("wanted", "name"),
    [
        ("Spark Job", "spark-job"),
        ("RunDailyETL", "run-daily-etl"),
        ("etl_v2.1", "etl-v2-1"),
        ("-x-", "x"),
        ("日本", "imported"),
        ("a" * 80, "a" * 63),
        ("taken", "taken-3"),
        ("b" * 63, "b" * 61 + "-2"),
    ],
)
def test_names_are_valid_and_free(wanted: str, name: str) -> None:
    """The name is a DNS label similar to the original name, with a number if that is taken."""
    assert name == unique_name(wanted, {"taken", "taken-2", "b" * 63})


def test_the_folder_is_one_that_is_read() -> None:
    """Specs are written to a folder that a file pattern covers. If there is no such folder, the user must choose
    one."""
    assert "" == default_folder(["**/*.yaml"])
    assert "jobs/a" == default_folder(["jobs/a/*.yaml", "!charts"])
    with pytest.raises(ReconcilerError, match="--out DIR"):
        default_folder(["one.yaml"])
