"""Tests that the fast YAML reader reads the same documents, with the same locations, as the complete reader."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.base import Loc
from reconciler.specs import parse
from reconciler.specs.parse import find, yaml_documents
from reconciler.specs.yaml_nodes import Document, Unreadable
from tests.campaigns import in_one_test
from tests.specs.test_any_document import DOCUMENTS, paths
from tests.specs.test_reader import RULES

PIECES = [
    "a", "b", "key", "true", "on", "null", "~", "1", "-0", "1.50", "0x1F", "12:30", "2026-11-22", "<<", "=", "- ",
    ": ", ":\n", "\n", "\n  ", "\n    ", "\n---\n", "\n...\n", "{", "}", "[", "]", ", ", '"x"', "'y'", '"\\0"', "? ",
    "|\n  t", ">-\n  t\n", "&a ", "*a", "!!str ", "# c\n", "\t", "\u00a0", "\u2028", "%YAML 1.1\n---\n", "é",
    "🙂", "${var.x}", "@",
]  # fmt: skip


def read(documents: Iterator[Document]) -> list[str]:
    """Returns everything that a reader returns for a text: values, types, locations, flaws, and the error that stopped
    it."""
    results: list[str] = []
    try:
        for document in documents:
            located = [find(document, path) for path in ((), *paths(document.value))]
            results.append(f"{document.value!r} {document.offset} {document.flaws} {located}")
    except Unreadable as error:
        results.append(f"{error.offset} {error.message} {error.rule} {error.flaws}")
    return results


def complete(text: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Returns what the complete reader alone returns for a text."""
    with monkeypatch.context() as patched:
        patched.setattr(parse, "may_be_plain", lambda _: False)
        return read(yaml_documents(text))


@in_one_test("text", [text for text, _ in RULES.values()], ids=RULES)
def test_flawed_texts_are_read_as_by_the_complete_reader(text: str, monkeypatch: pytest.MonkeyPatch):
    """For a text with a flaw, both readers return the same flaws and values, even after a plain document."""
    for each in (text, f"a: b\n---\n{text}", f"a: [1, {{c: on}}]\n---\nb: 1\n---\n{text}"):
        assert read(yaml_documents(each)) == complete(each, monkeypatch)


@pytest.mark.parametrize("seed", range(20))
def test_texts_of_any_pieces_are_read_as_by_the_complete_reader(seed: int, monkeypatch: pytest.MonkeyPatch):
    """Texts of random, mostly unusual pieces of YAML give the same documents, locations and errors."""
    chosen = random.Random(seed)
    for _ in range(100):
        text = "".join(chosen.choices(PIECES, k=chosen.randint(1, 12)))

        assert read(yaml_documents(text)) == complete(text, monkeypatch), repr(text)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["on", "1", "0.60", "", "~", "2026-11-22", "a: b", "- x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(PIECES), inner, max_size=4),
    max_leaves=15,
)


@given(value=st.dictionaries(st.text(max_size=5), JSON, max_size=4), flow=st.sampled_from([None, True, False]))
def test_dumped_values_are_read_as_by_the_complete_reader(value: dict[str, Any], flow: bool | None):
    """Both readers read values that PyYAML wrote, in block and flow style, in the same way."""
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    with pytest.MonkeyPatch.context() as patched:
        assert read(yaml_documents(text)) == complete(text, patched)


def test_nesting_has_the_same_limit():
    """The deepest nesting that the complete reader accepts is read, and one level more is refused."""
    for levels, ends in ((64, True), (65, False)):
        text = "{a: " * levels + "b" + "}" * levels

        assert ("nested deeper" not in read(yaml_documents(text))[-1]) == ends


@pytest.mark.parametrize(
    ("loc", "times"), [((), 0), (("metadata", "name"), 0), (("spec", "request", "jobQueue"), 1)], ids=str
)
def test_only_a_location_deep_inside_is_read_again(loc: Loc, times: int, monkeypatch: pytest.MonkeyPatch):
    """The parser reads a document of usual lines only if a problem needs a nested location, and then only once."""
    loader, parsed = parse.LOADER, list[str]()

    def counted(text: str) -> Any:
        parsed.append(text)
        return loader(text)

    monkeypatch.setattr(parse, "LOADER", counted)
    (document,) = yaml_documents(yaml.safe_dump(DOCUMENTS[0]))

    find(document, loc)
    find(document, loc)

    assert len(parsed) == times
