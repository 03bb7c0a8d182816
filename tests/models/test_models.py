"""Tests that the models, the script and the document list the same flags, and that spin gives the expected results."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.campaigns import in_one_test
from tests.models.__main__ import main
from tests.models.check import CHECKS, COUNTEREXAMPLE, HOLDS, MODELS, verdict
from tests.project.place import ROOT, environment, run

SIZES = {"NP", "SENDS", "SETTLE", "MAXT"}
"""The parameters of a model, which are not flags."""


def flags_in(name: str) -> set[str]:
    """Returns the flags that a model file tests in the preprocessor."""
    text = (MODELS / name).read_text("utf-8")
    return set(re.findall(r"(?:#ifn?def\s+|defined\()(\w+)", text)) - SIZES


@pytest.mark.parametrize("model", ["batch", "emr"])
def test_every_flag_of_a_model_is_checked(model: str):
    """The script uses exactly the flags that the model and its included file test."""
    flags = flags_in(f"{model}.pml") | flags_in("protocol.pml")
    tried = {check.flag for check in CHECKS if check.model == model} - {""}

    only_emr = {"REACHES_SAME_RUN", "SECOND_ANSWER"} if model == "batch" else set()
    assert flags - only_emr - {"NO_HOLD"} == tried


def test_the_document_has_every_check():
    """docs/models/README.md has a row for each flag, with a figure for each model that is checked with it."""
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\S*) \| (\S*) \|$", (MODELS / "README.md").read_text("utf-8"), re.MULTILINE)
    documented = {
        (model, row[0]) for row in rows for model, figure in zip(("batch", "emr"), row[1:], strict=True) if figure
    }

    assert documented == {(check.model, check.flag) for check in CHECKS if check.flag}


@in_one_test(
    ("output", "result"),
    [
        ("State-vector 72 byte, depth reached 9, errors: 0\n", HOLDS),
        ("pan:1: assertion violated (accepted==0)\nState-vector 72 byte, errors: 1\n", COUNTEREXAMPLE),
        ("error: max search depth too small\nState-vector 72 byte, errors: 0\n", "cut off"),
        ("pan: reached -DMEMLIM bound\nWarning: Search not completed\nerrors: 0\n", "cut off"),
        ("pan:1: invalid end state (at depth 9)\nerrors: 1\n", "another error"),
        ("", "another error"),
    ],
)
def test_a_search_that_was_cut_off_proves_nothing(output: str, result: str):
    """Only a complete search without an error counts as HOLDS, and only a failed assertion counts as a
    counterexample."""
    assert verdict(output) == result


def test_without_spin_the_script_fails_and_names_the_packages_to_install(tmp_path: Path):
    """Without spin, the script exits 1 and prints the packages to install."""
    done = run([sys.executable, "-m", "tests.models"], ROOT, environment(PATH=str(tmp_path)))

    assert done.returncode == 1
    assert "apt-get install spin" in done.stderr


@pytest.mark.soak
def test_the_protocol_holds_and_each_flag_breaks_it():
    """`make model` succeeds; this test is skipped if spin is not installed."""
    if shutil.which("spin") is None:
        pytest.skip("spin is not installed")

    assert main() == 0
