"""Tests what `make soak` runs and reports."""

from __future__ import annotations

import re
from typing import Literal

import pytest

from tests.campaigns import in_one_test, table
from tests.project.place import ROOT


def case(
    name: str, outcome: Literal["passed", "failed"], seconds: float, counted: str | None = None, when: str = "call"
) -> pytest.TestReport:
    """Returns the report of one case."""
    properties = [] if counted is None else [("campaign", counted)]
    phase: Literal["setup", "call"] = "call" if when == "call" else "setup"
    nowhere = ("", None, "")
    return pytest.TestReport(name, nowhere, {}, outcome, None, phase, duration=seconds, user_properties=properties)


def test_the_table_counts_the_cases_of_each_campaign():
    """The table has a line for each test, with its cases, failures, time and counts. Fixtures do not count as cases."""
    reports = [
        case("tests/a.py::test_loop[1]", "passed", 60.2, "seed 1: 7 kills"),
        case("tests/a.py::test_loop[2]", "failed", 61.0),
        case("tests/a.py::test_loop[2]", "passed", 5.0, when="setup"),
        case("tests/b.py::test_race", "passed", 3.0),
    ]

    assert table(reports) == [
        "tests/a.py::test_loop: 2 cases, 1 failed, 121 s",
        "    seed 1: 7 kills",
        "tests/b.py::test_race: 1 cases, 0 failed, 3 s",
    ]


@in_one_test(("first", "second"), [(1, 1), (2, 3), (3, None)], ids=["same", "other", "none"])
def differs(first: int, second: int | None, wanted: bool):
    """A test with three cases, for the test below."""
    assert (first == second) == wanted
    assert second or pytest.fail("no second")


def test_one_test_of_many_cases_lists_those_that_fail():
    """The failure message contains each failing case with its title, and the other cases still run."""
    with pytest.raises(BaseExceptionGroup, match="2 of 3 cases failed") as failure:
        differs(wanted=False)
    with pytest.raises(BaseExceptionGroup) as all_failures:
        differs(wanted=True)

    assert [each.__notes__ for each in failure.value.exceptions] == [["in the case same"], ["in the case none"]]
    assert len(all_failures.value.exceptions) == 2


def test_soak_fails_if_nothing_ran():
    """If there is no campaign, pytest exits 5, and the Makefile passes the error on."""
    recipe = re.search(r"^soak:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)

    assert recipe is not None
    assert '-m "soak or hypothesis" --hypothesis-profile soak' in recipe[1]
    assert not re.search(r"\|\||;|^\t@?-", recipe[1])
