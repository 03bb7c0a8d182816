"""Tests the keys that runs get when a lost ledger is rebuilt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.fsck import ListedRun, numbered
from reconciler.core.identity import SubmissionKey
from reconciler.core.ports import RunReport


def _run(number: int, token: str | None = None) -> ListedRun:
    """Returns a run. Runs with higher numbers are newer."""
    return ListedRun(
        name="orders",
        run_id=f"run-{number}",
        token=token or f"r1-{number}",
        kind="BatchJob",
        location={},
        created_at=f"2026-11-22T02:00:{number:02}.000Z",
        report=RunReport(True, "succeeded", "SUCCEEDED"),
    )


def _numbers(*generations: int | None, floor: int = 1) -> list[tuple[int | None, int]]:
    """Returns the generation and attempt of each run, oldest first. `None` means that the run's content differs from
    the spec's."""
    runs = [_run(index) for index in range(len(generations))]
    known = {f"r1-{i}": SubmissionKey("orders", g) for i, g in enumerate(generations) if g is not None}
    return [(each.key.generation, each.key.attempt) for each in numbered(runs, known, floor)]


def test_unknown_runs_fill_the_numbers_between():
    """Runs with unknown content keep their order. Runs with known content get their own generation."""
    assert _numbers(None, None, 3, None) == [(1, 1), (2, 1), (3, 1), (4, 1)]
    assert _numbers(None, 1) == [(1, 1001), (1, 1)]
    assert _numbers(5, None, None) == [(5, 1), (6, 1), (7, 1)]


def test_numbers_go_on_after_what_is_recorded():
    """New generations are higher than those in the ledger."""
    assert _numbers(None, None, floor=4) == [(4, 1), (5, 1)]


@given(st.lists(st.none() | st.integers(1, 8), max_size=8), st.integers(1, 4))
def test_no_number_is_given_twice_to_unknown_runs(generations: list[int | None], floor: int):
    """Runs with unknown content get distinct keys, and runs with known content get their own keys."""
    distinct = [g if g is None or g not in generations[:i] else None for i, g in enumerate(generations)]
    given_numbers = _numbers(*distinct, floor=floor)

    assert len(set(given_numbers)) == len(given_numbers)
    assert [n for n, g in zip(given_numbers, distinct, strict=True) if g is not None] == [
        (g, 1) for g in distinct if g is not None
    ]
