"""The work of each step grows linearly with the number of specs, not quadratically. These tests count operations, not
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
    scenario(FEW)()  # creates what is created only once, such as models
    few, many = operations(scenario(FEW)), operations(scenario(4 * FEW))
    assert many <= MOST_GROWTH * few


def test_operations_of_nested_loops_grow_with_the_square() -> None:
    """Counting operations, as the test above does, detects nested loops."""

    def nested(number: int) -> Iterator[int]:
        return (len([]) for _ in range(number) for _ in range(number))

    assert operations(lambda: list(nested(80))) > MOST_GROWTH * operations(lambda: list(nested(20)))


class TestNearNames:
    """Tests the suggestions for mistyped names in a large project."""

    def test_each_mistyped_name_is_compared_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A mistyped name that many specs contain is compared with the valid names only once."""
        compared = _watch(monkeypatch)
        near = NearNames(["orders", "clicks"])
        assert [near.to("order") for _ in range(1000)] == ["orders"] * 1000
        assert compared == ["order"]

    def test_a_name_without_a_similar_one_is_compared_once_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """That no name is similar is remembered as well."""
        compared = _watch(monkeypatch)
        near = NearNames(["orders"])
        assert [near.to("zzz"), near.to("zzz")] == [None, None]
        assert compared == ["zzz"]

    def test_the_number_of_comparisons_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In a large project with a mistyped name in every spec, only the first ones get a suggestion."""
        monkeypatch.setattr(suggestions, "MOST_COMPARED", 400)
        near = NearNames(f"job-{number:03}" for number in range(20))
        found = [near.to(f"jbo-{number:03}") for number in range(30)]
        assert all(found[:20])
        assert found[20:] == [None] * 10


def _watch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Records the words that are compared with all names."""
    compared: list[str] = []

    def watched(word: str, names: Sequence[str], n: int) -> list[str]:
        compared.append(word)
        return get_close_matches(word, names, n=n)

    monkeypatch.setattr(suggestions, "get_close_matches", watched)
    return compared
