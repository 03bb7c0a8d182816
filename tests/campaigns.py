"""What `make soak` tells at its end: each campaign, how many cases it had, how long they took, what they counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Prints the table where campaigns were asked for."""
    if config.option.markexpr == "soak":
        terminalreporter.section("campaigns")
        for line in table(report for reports in terminalreporter.stats.values() for report in reports):
            terminalreporter.line(line)


def table(reports: Iterable[Any]) -> list[str]:
    """A line for each campaign, which is a test with all its cases; below it what its cases recorded as `campaign`."""
    campaigns: dict[str, list[pytest.TestReport]] = defaultdict(list)
    for report in reports:
        if isinstance(report, pytest.TestReport) and report.when == "call":
            campaigns[report.nodeid.partition("[")[0]].append(report)
    lines = []
    for name, cases in sorted(campaigns.items()):
        failed, seconds = sum(case.failed for case in cases), sum(case.duration for case in cases)
        lines.append(f"{name}: {len(cases)} cases, {failed} failed, {seconds:.0f} s")
        lines += [f"    {told}" for case in cases for key, told in case.user_properties if key == "campaign"]
    return lines
