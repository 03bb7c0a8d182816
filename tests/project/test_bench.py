"""The benchmarks can run: what they generate, and what they compare commands with."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bench.__main__ import COMMON
from tests.bench.measure import Row, run
from tests.bench.projects import BARE, generate
from tests.specs.builders import load


def test_the_plain_read_accepts_the_generated_specs(tmp_path: Path) -> None:
    """The process that commands are compared with reads the same specs, and both find them valid."""
    generate(tmp_path, 3)
    assert run([sys.executable, "-c", BARE, tmp_path], tmp_path).cpu > 0
    assert len(load(tmp_path).specs["local"]) == 3


def test_a_ratio_is_the_median_of_pairs() -> None:
    """A slow moment that affects one pair does not change the ratio."""
    ours, theirs = Row("ours", "s", [2.0, 40.0, 2.0]), Row("theirs", "s", [1.0, 20.0, 1.0])
    ours.compare(theirs)
    assert ours.ratio == 2.0
    ours.compare(theirs, inverse=True)
    assert ours.ratio == 0.5
    assert "2.000" in str(ours)


def test_revisions_are_compared_with_commands_that_both_have() -> None:
    """Version 0.1.0 has no cache, and no option to leave it out."""
    assert "plan --no-refresh" in COMMON
    assert all("--no-cache" not in arguments for arguments in COMMON.values())
