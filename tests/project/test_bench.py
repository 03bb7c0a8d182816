"""Tests the projects that the benchmarks generate, and the programs that they compare commands with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.commands import COMMON, SILENT
from tests.bench.measure import Goal, Report, Row, run
from tests.bench.projects import MODELS, generate, new_ledger, settled, terraform
from tests.specs.builders import load


def plan_of(folder: Path) -> Any:
    """Returns the plan of a project as JSON."""
    command = [sys.executable, "-m", "reconciler", "plan", "--no-refresh", "--no-cache", "--format", "json"]
    return json.loads(subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout)


def test_the_plain_programs_accept_the_generated_specs(tmp_path: Path) -> None:
    """The program that validates the same specs for the comparison accepts them, and so does reconciler."""
    generate(tmp_path, 3)
    assert run([sys.executable, "-c", MODELS, "."], tmp_path).cpu > 0
    assert len(load(tmp_path).specs["prod"]) == 3


def test_a_settled_project_has_nothing_to_do(tmp_path: Path) -> None:
    """Specs that are recorded without being read equal those in the files, even if a number also occurs elsewhere in a
    spec."""
    settled(tmp_path / "project", 80)
    result = plan_of(tmp_path / "project")
    assert {action["reason"] for action in result["actions"]} == {"in-sync"}
    assert (len(result["actions"]), result["warnings"]) == (80, [])


def test_a_plan_without_rendering_prints_nothing(tmp_path: Path) -> None:
    """The program that rendering is compared with makes a plan but does not render it."""
    generate(tmp_path, 1)
    new_ledger(tmp_path)
    command = [sys.executable, "-c", SILENT, "plan", "--no-refresh", "--no-cache"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip() == ""


def test_terraform_gets_the_same_specs(tmp_path: Path) -> None:
    """Each spec is a block in Terraform's configuration, and each block is in its state."""
    terraform(tmp_path / "tf", 3)
    assert (tmp_path / "tf/main.tf").read_text().count('resource "terraform_data"') == 3
    state = json.loads((tmp_path / "tf/terraform.tfstate").read_text())
    assert [each["name"] for each in state["resources"]] == ["job-0", "job-1", "job-2"]


def test_missed_and_unmeasured_goals_are_shown() -> None:
    """The table has a line for every goal, and its last line counts the goals that were not met."""
    report = Report(say=lambda _: None)
    report.add(
        Goal("a", 1.0, 2), Goal("b", 3.0, 2), Goal("c", 3.0, 2, at_least=True), Goal("d", None, 2, note="no way")
    )
    *lines, last = report.summary().splitlines()[1:]
    verdicts = ["met", "NOT MET", "met", "not measured"]
    assert all(verdict in line for verdict, line in zip(verdicts, lines, strict=True))
    assert last == "2 goals met, 1 not met, 1 not measured"


def test_a_ratio_is_the_median_of_pairs() -> None:
    """A slow moment that affects only one pair does not change the ratio."""
    ours, theirs = Row("ours", "s", [2.0, 40.0, 2.0]), Row("theirs", "s", [1.0, 20.0, 1.0])
    ours.compare(theirs)
    assert ours.ratio == 2.0
    ours.compare(theirs, inverse=True)
    assert ours.ratio == 0.5
    assert "2.000" in str(ours)


def test_revisions_are_compared_with_commands_that_both_have() -> None:
    """Version 0.1.0 has neither a cache nor an option to bypass it."""
    assert "plan --no-refresh" in COMMON
    assert all("--no-cache" not in arguments for arguments in COMMON.values())
