"""docs/emulator.md says what there is."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

from reconciler.emulator import batch, control, emr_serverless, sts
from reconciler.emulator.server import Settings

TEXT = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text("utf-8")


def section(title: str) -> str:
    """The text below one heading."""
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_example_prints_what_is_shown() -> None:
    """The Python block runs, and the block after it is its output."""
    code, output = re.findall(r"```(?:python)?\n(.*?)```", TEXT, re.DOTALL)
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(code, {})
    assert printed.getvalue() == output


def test_every_operation_is_listed_and_no_other() -> None:
    """By service."""
    rows = {name.strip(): set(re.findall(r"\w+", text)) for _, name, text, _ in _rows("What it answers")}
    assert rows["EMR Serverless"] == set(emr_serverless.SERVICE.operations)
    assert rows["AWS Batch"] == set(batch.SERVICE.operations)
    assert rows["STS"] == {sts.OPERATION}


def test_every_setting_is_listed_with_its_default() -> None:
    """Several that belong together share a row."""
    shown: dict[str, str] = {}
    for _, names, defaults, _, _ in _rows("Settings"):
        listed, values = re.findall(r"`(\w+)`", names), [value.strip(" `") for value in defaults.split(",")]
        shown.update(zip(listed, values if len(values) == len(listed) else values * len(listed), strict=True))
    assert shown == {name: _default(value) for name, value in Settings().plain().items()}


def _default(value: object) -> str:
    if value is None:
        return "null"
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def test_every_control_request_is_listed() -> None:
    """With method and path."""
    listed = re.findall(r"^\| `(\w+ /_emulator/\w+)`", section("Control endpoint"), re.MULTILINE)
    assert listed == list(control.NAMES)


def _rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [line.split("|") for line in lines[1:]]
