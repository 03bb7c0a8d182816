"""Checks which libraries commands import, using the interpreter's report of import times."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.project.place import INSTALLED, environment, project_copy, run

HEAVY = {"boto3", "botocore", "deepdiff", "pydantic", "rich", "yaml"}
AWS = {"boto3", "botocore"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example project in a git repository of its own."""
    return project_copy(tmp_path_factory.mktemp("startup") / "repository")


def imported(arguments: list[str], cwd: Path) -> set[str]:
    """Returns the top-level packages that the installed command imports. The command must succeed."""
    quiet = {name: value for name, value in environment().items() if not name.startswith("COV")}
    done = run([sys.executable, "-X", "importtime", INSTALLED, *arguments], cwd, quiet)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {line.rsplit("|", 1)[1].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["plan", "--help"]], ids=" ".join)
def test_help_and_version_import_no_library_but_click(arguments: list[str], tmp_path: Path):
    """`--help` and `--version` import none of the heavy libraries."""
    packages = imported(arguments, tmp_path)

    assert "click" in packages
    assert packages & HEAVY == set()


@pytest.mark.parametrize("arguments", [["validate"], ["plan", "--no-refresh"]], ids=" ".join)
def test_reading_commands_need_no_aws_library(arguments: list[str], project: Path):
    """`validate` and `plan --no-refresh`, which read only files and the ledger, do not import boto3 and botocore.
    pydantic does not search for plugins, for which it would import `zipfile`."""
    packages = imported(arguments, project)

    assert "yaml" in packages
    assert packages & {*AWS, "zipfile"} == set()


def test_a_first_plan_imports_no_comparison(project: Path):
    """Without an earlier request to compare with, deepdiff is not imported, because only the digests are compared."""
    assert "deepdiff" not in imported(["plan", "--no-refresh"], project)


ANSWER = """\
import sys
import reconciler.app.stored_output, reconciler.cli.output, reconciler.cli.plan, reconciler.cli.status
import reconciler.ledger.sqlite, reconciler.specs.git
print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_a_remembered_answer_needs_no_library_but_click(tmp_path: Path):
    """A command whose output is cached imports neither the models nor the readers of files."""
    done = run([sys.executable, "-c", ANSWER], tmp_path)

    assert "click" in done.stdout
    assert set(done.stdout.split()) & HEAVY == set()
