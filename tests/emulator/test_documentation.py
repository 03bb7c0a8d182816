"""Tests that docs/emulator.md lists every operation, setting, control request and fault field, and that its examples
run."""

from __future__ import annotations

import dataclasses
import io
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import get_args

import pytest

from reconciler.emulator import Rule, Settings, read_plan, server
from reconciler.emulator.dispatch import OPERATIONS
from reconciler.emulator.fault_rules import Answer, Request

TEXT = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text("utf-8")


def section(title: str) -> str:
    """Returns the text below one heading."""
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


EXAMPLES = re.findall(r"```python\n(.*?)```\n+```\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize(("code", "output"), EXAMPLES, ids=["a job", "a lost reply"])
def test_the_examples_print_what_is_shown(code: str, output: str) -> None:
    """The block that follows a Python block contains its output."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(code, {})
    assert printed.getvalue() == output


def test_the_fault_plan_in_the_page_is_valid(tmp_path: Path) -> None:
    """The plan contains the rules and settings that the text describes."""
    (shown,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "faults.yaml").write_text(shown)

    plan = read_plan(tmp_path / "faults.yaml")

    assert [rule.answer for rule in plan.rules] == ["closed", "error", "never"]
    assert dict(plan.settings) == {"listing_lag_seconds": 30, "token_seconds": 600}


def test_every_field_and_value_of_a_fault_rule_is_listed() -> None:
    """The tables contain the fields of rules, the requests and the answers."""
    text = section("Faults")
    listed = set(re.findall(r"^\| (`\w+`(?:, `\w+`)*)", text, re.MULTILINE))
    names = {name for row in listed for name in re.findall(r"\w+", row)}

    assert {field.name for field in dataclasses.fields(Rule)} | {*get_args(Request), *get_args(Answer)} == names


def test_exactly_the_operations_that_exist_are_listed() -> None:
    """The table contains a row for each service."""
    rows = {name.strip(): set(re.findall(r"\w+", text)) for _, name, text, _ in _rows("What it answers")}
    services = {"EMR Serverless": "emr-serverless", "AWS Batch": "batch", "STS": "sts"}
    assert rows == {name: set(OPERATIONS[service]) for name, service in services.items()}


def test_every_setting_is_listed_with_its_default() -> None:
    """Related settings share a row."""
    shown: dict[str, str] = {}
    for _, names, defaults, _, _ in _rows("Settings"):
        listed, values = re.findall(r"`(\w+)`", names), [value.strip(" `") for value in defaults.split(",")]
        shown.update(zip(listed, values if len(values) == len(listed) else values * len(listed), strict=True))
    assert shown == {name: _default(value) for name, value in Settings().to_json().items()}


def _default(value: object) -> str:
    if value is None:
        return "null"
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def test_every_control_request_is_listed() -> None:
    """The table contains the method and the path."""
    listed = re.findall(r"^\| `(\w+ /_emulator/\w+)`", section("Control endpoint"), re.MULTILINE)
    assert listed == list(server.NAMES)


def _rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [line.split("|") for line in lines[1:]]
