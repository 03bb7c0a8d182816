"""Tests the golden output for a project with many errors."""

import shutil
from pathlib import Path

import pytest

from reconciler.errors import SpecErrors
from tests.specs.builders import load

GOLDEN = Path(__file__).parent / "golden"


def test_all_errors_of_all_files_at_once(tmp_path):
    """All problems of a project are reported together, sorted by location, each with its line."""
    # a copy, so that files around this repository have no effect
    root = shutil.copytree(GOLDEN / "many-errors", tmp_path / "project")
    # when
    with pytest.raises(SpecErrors) as caught:
        load(root)
    # then
    lines = [f"{problem} [{problem.rule}]\n    {problem.source_line}\n" for problem in caught.value.problems]
    assert (GOLDEN / "many-errors.txt").read_text() == "".join(lines)
