"""The work of each step grows linearly with the number of specs, not quadratically. The tests count operations, not
seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

import pytest

from reconciler.core import suggestions
from reconciler.core.suggestions import NearNames
from tests.growth import SCENARIOS, operations

FEW = 20
MOST_GROWTH = 4.5
"""The maximum ratio of the work for four times as many specs to the work for a few. For quadratic growth, it would be
16."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_work_grows_with_the_number_of_specs(name: str) -> None:
    """Four times as many specs need about four times as many operations."""
    scenario = SCENARIOS[name]
    scenario(FEW)()  # what is made once, such as models
    few, many = operations(scenario(FEW)), operations(scenario(4 * FEW))
    assert many <= MOST_GROWTH * few


def test_operations_of_nested_loops_grow_with_the_square() -> None:
    """The count of operations, on which the test above relies, detects nested loops."""

    def nested(number: int) -> Iterator[int]:
        return (len([]) for _ in range(number) for _ in range(number))

    assert operations(lambda: list(nested(80))) > MOST_GROWTH * operations(lambda: list(nested(20)))


class TestNearNames:
    """Suggestions for mistyped names among many."""

    def test_each_mistyped_name_is_compared_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name that many specs mention is compared with the other names only once."""
        compared = _watch(monkeypatch)
        near = NearNames(["orders", "clicks"])
        assert [near.to("order") for _ in range(1000)] == ["orders"] * 1000
        assert compared == ["order"]

    def test_a_name_without_a_similar_one_is_compared_once_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The result that no name is similar is remembered too."""
        compared = _watch(monkeypatch)
        near = NearNames(["orders"])
        assert [near.to("zzz"), near.to("zzz")] == [None, None]
        assert compared == ["zzz"]

    def test_the_number_of_comparisons_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In a large project with a mistyped name in every spec, only the first mistyped names have a suggestion."""
        monkeypatch.setattr(suggestions, "MOST_COMPARED", 400)
        near = NearNames(f"job-{number:03}" for number in range(20))
        found = [near.to(f"jbo-{number:03}") for number in range(30)]
        assert all(found[:20])
        assert found[20:] == [None] * 10


def _watch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects the words that are compared with all names."""
    compared: list[str] = []

    def watched(word: str, names: Sequence[str], n: int) -> list[str]:
        compared.append(word)
        return get_close_matches(word, names, n=n)

    monkeypatch.setattr(suggestions, "get_close_matches", watched)
    return compared
