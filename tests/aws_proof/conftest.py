"""Runs these tests only on request: with `-m aws`, with credentials, and with all variables that determine what may
be used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.aws_proof.account import Account, missing

HERE = Path(__file__).parent
Find = Callable[[str], None]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects these tests unless they are selected by their marker."""
    asked = "aws" in config.option.markexpr.split() and "not aws" not in config.option.markexpr
    ours = {item for item in items if item.path.is_relative_to(HERE)}
    if ours and not asked:
        config.hook.pytest_deselected(items=list(ours))
        items[:] = [item for item in items if item not in ours]


@pytest.fixture(autouse=True)
def _own_environment() -> None:
    """Replaces the fixture that keeps all other tests away from AWS."""


@pytest.fixture(scope="session")
def account() -> Iterator[Account]:
    """Yields the account, and stops the started runs at the end."""
    if lacks := missing(os.environ):
        pytest.skip(f"set {', '.join(lacks)}: docs/promise.md says to what")
    if boto3.Session().get_credentials() is None:
        pytest.skip("there are no AWS credentials")
    asked = Account()
    try:
        yield asked
    finally:
        asked.clean()


@pytest.fixture
def find(record_property: Callable[[str, object], None]) -> Find:
    """Records a finding for the table at the end of the test run."""
    return lambda finding: record_property("finding", finding)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Prints a table of the questions, the findings, and whether these agree with the promise."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    asked = [report for report in reports if getattr(report, "when", None) == "call"]
    findings = [(report, value) for report in asked for key, value in report.user_properties if key == "finding"]
    if findings:
        terminalreporter.section("what AWS answered")
    for report, finding in findings:
        question = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        terminalreporter.line(f"[{'OK' if report.passed else 'NO'}] {question}: {finding}")
