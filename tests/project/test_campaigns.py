"""What `make soak` runs and tells."""

from __future__ import annotations

import re
from typing import Literal

import pytest

from tests.campaigns import table
from tests.project.place import ROOT


def case(
    name: str, outcome: Literal["passed", "failed"], seconds: float, told: str | None = None, when: str = "call"
) -> pytest.TestReport:
    """The report of one case."""
    properties = [] if told is None else [("campaign", told)]
    phase: Literal["setup", "call"] = "call" if when == "call" else "setup"
    nowhere = ("", None, "")
    return pytest.TestReport(name, nowhere, {}, outcome, None, phase, duration=seconds, user_properties=properties)


def test_the_table_counts_the_cases_of_each_campaign():
    """One line for each test with its cases, failures and time, and what the cases told; set-ups are no cases."""
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


def test_soak_fails_where_nothing_ran():
    """pytest ends with 5 where it finds no campaign, and the Makefile lets that through."""
    recipe = re.search(r"^soak:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)

    assert recipe is not None
    assert "-m soak" in recipe[1]
    assert not re.search(r"\|\||;|^\t@?-", recipe[1])
