"""Tests that the stories detect each rule of the protocol that a patch breaks in the shipped code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from reconciler.core import unresolved as settling
from tests.campaigns import in_one_test
from tests.simulation.campaign import MOST_STORIES, hunt
from tests.simulation.mutant import Mutant
from tests.simulation.mutants import BY_NAME, MUTANTS
from tests.simulation.patches import PatchedTextMissing, Text, Value, all_applied

PAGE = Path(__file__).parents[2] / "docs" / "simulation.md"
ROW = re.compile(r"^\| `(?P<name>[a-z0-9-]+)` \| (?P<rule>R\d+) \|.*\| (?P<stories>\d+) \|$", re.MULTILINE)


def _documented() -> dict[str, tuple[str, int]]:
    """Returns the rows of the table in the page: for each mutant, its rule and the seed of the story that detects
    it."""
    return {row["name"]: (row["rule"], int(row["stories"]) - 1) for row in ROW.finditer(PAGE.read_text())}


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_broken_rule_is_detected(name: str) -> None:
    """The story given in the page detects the mutant."""
    _, seed = _documented()[name]
    stale = "this story no longer detects it; python -m tests.simulation mutants looks for others"
    assert hunt(BY_NAME[name], [seed]) is not None, stale


@pytest.mark.parametrize("name", sorted(name for name, mutant in BY_NAME.items() if mutant.faults))
@pytest.mark.parametrize("seeds", [range(40), pytest.param(range(40, 100), marks=pytest.mark.soak)], ids=str)
def test_shipped_code_keeps_its_promises_under_the_faults_of_a_mutant(name: str, seeds: range) -> None:
    """If a mutant has its own faults, the shipped code keeps its promises under these faults."""
    unharmed = Mutant(name, BY_NAME[name].rule, "does what is shipped", (), BY_NAME[name].faults)
    assert hunt(unharmed, seeds) is None


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_broken_rule_is_detected_by_any_stories(name: str) -> None:
    """Each mutant is also detected by stories that were not chosen for it."""
    assert hunt(BY_NAME[name], range(5_000_000, 5_000_000 + MOST_STORIES)) is not None


def test_the_page_has_every_mutant() -> None:
    """The table in docs/simulation.md lists exactly the existing mutants, each with its rule."""
    assert {mutant.name: mutant.rule for mutant in MUTANTS} == {n: rule for n, (rule, _) in _documented().items()}


def test_every_rule_is_broken_by_some_mutant() -> None:
    """Each of the rules R1 to R11 is broken by at least one mutant."""
    assert {f"R{number}" for number in range(1, 12)} == {mutant.rule for mutant in MUTANTS}


@in_one_test("name", sorted(BY_NAME))
def test_patches_come_off_again(name: str) -> None:
    """After the block, the shipped code is as it was before."""
    before = _shipped(name)
    with all_applied(BY_NAME[name].patches):
        assert before != _shipped(name)
    assert before == _shipped(name)


def _shipped(name: str) -> list[object]:
    from tests.simulation.patches import _found

    return [_found(patch.where)[3] for patch in BY_NAME[name].patches if isinstance(patch, Text | Value)]


def test_a_patch_of_code_that_has_changed_is_an_error() -> None:
    """A patch of a text or a value that no longer exists raises an error."""
    absent = Text("core.unresolved:proving_looks", (("this is not there", "nor this"),))
    other = Value("core.unresolved:LOOKS_APART", 24, 1)
    gone = Text("core.unresolved:no_such_function", (("a", "b"),))
    for patch in (absent, other, gone):
        with pytest.raises(PatchedTextMissing), patch.applied():
            pass
    assert settling.LOOKS_APART == 25
    assert "this is not there" not in inspect.getsource(settling)
