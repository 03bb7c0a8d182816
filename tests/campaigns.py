"""What `make soak` tells at its end: each campaign, how many cases it had, how long they took, what they counted."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Prints the table where campaigns were asked for."""
    if config.option.markexpr != "soak":
        return
    campaigns: dict[str, list[Any]] = defaultdict(list)
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        if getattr(report, "when", None) == "call":
            campaigns[report.nodeid.partition("[")[0]].append(report)
    terminalreporter.section("campaigns")
    for name, reports in sorted(campaigns.items()):
        failed = sum(report.failed for report in reports)
        seconds = sum(report.duration for report in reports)
        terminalreporter.line(f"{name}: {len(reports)} cases, {failed} failed, {seconds:.0f} s")
        for told in (value for report in reports for key, value in report.user_properties if key == "campaign"):
            terminalreporter.line(f"    {told}")
