"""Tests which specs are usable in a project with errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.specs.project import read_project
from reconciler.specs.usable import UsableSpecs, load_usable
from tests.cli.world import batch_text, project_text


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a project file."""
    (tmp_path / "reconciler.yaml").write_text(project_text())
    return tmp_path


def usable(project: Path, **files: str) -> UsableSpecs:
    """Reads a project with these files, by name without ``.yaml``."""
    for name, text in files.items():
        (project / f"{name}.yaml").write_text(text)
    return load_usable(read_project(project), "staging")


def test_a_valid_project_has_nothing_else(project: Path):
    """Every spec is usable, and there are no problems."""
    assert usable(project, b=batch_text("b"), a=batch_text("a", dependsOn="[{name: b}]")) == UsableSpecs(
        specs=usable(project).specs
    )
    assert list(usable(project).specs) == ["a", "b"]


def test_dependents_are_valid_by_themselves(project: Path):
    """Specs that depend on a broken one are usable, and are listed with the cause. A chain of dependents has a single
    cause."""
    found = usable(
        project,
        a=batch_text("a", oops="1"),
        b=batch_text("b", dependsOn="[{name: a}]"),
        c=batch_text("c", dependsOn="[{name: b}]"),
    )
    assert (list(found.specs), list(found.invalid), sorted(found.dependents)) == (["b", "c"], ["a"], ["b", "c"])
    assert {why.cause for why in found.dependents.values()} == {"a"}
    assert found.dependents["c"].message == "depends on a, which is not valid: a.yaml:7:3: " + (
        found.problems[0].message
    )
    assert found.unnamed is None


def test_a_cycle_holds_all_of_its_specs(project: Path):
    """One spec of the cycle has the problem, and the others are its dependents."""
    found = usable(project, a=batch_text("a", dependsOn="[{name: b}]"), b=batch_text("b", dependsOn="[{name: a}]"))
    assert {*found.invalid, *found.dependents} == {"a", "b"}


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "",
        "services: {}\n",
        batch_text("x").replace("name: x", "name: 7"),
        batch_text("x").replace("  name: x\n", ""),
        batch_text("x").replace("spec:", "metadata: {name: y}\nspec:"),
        batch_text("x").replace("  name: x\n", "  name: x\n  name: y\n"),
        "\x01",
    ],
    ids=["syntax", "empty", "other", "number", "nameless", "two metadata", "two names", "character"],
)
def test_a_document_that_does_not_tell_its_name_is_unnamed(project: Path, text: str):
    """As long as a name cannot be read, no missing spec is treated as removed."""
    found = usable(project, x=text, a=batch_text("a"))
    assert found.unnamed is not None
    assert found.unnamed.message.startswith("x.yaml:")
    assert list(found.specs) == ["a"]


def test_a_file_of_another_tool_holds_only_its_own_name(project: Path):
    """If a spec has that name, the spec is used."""
    deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
    alone = usable(project, k=deployment)
    assert (list(alone.invalid), alone.unnamed) == (["web"], None)
    beside = usable(project, web=batch_text("web"))
    assert (list(beside.specs), list(beside.invalid), len(beside.problems)) == (["web"], [], 1)


def test_the_documents_of_an_unreadable_file_are_invalid(project: Path):
    """The documents before the error may be incomplete."""
    found = usable(project, x=f"{batch_text('one')}---\n{batch_text('two')}---\na: [\n", a=batch_text("a"))
    assert (list(found.specs), list(found.invalid)) == (["a"], ["one", "two"])
    assert found.unnamed is not None


def test_former_names_and_labels_of_a_broken_spec_are_read(project: Path):
    """They are still needed, so that a rename does not remove a spec and selections find the spec."""
    text = batch_text("new", labels="{team: a, odd: 1}", oops="1").replace("name: new", "name: new\n  renamedFrom: old")
    found = usable(project, new=text)
    assert (found.invalid["new"].elsewhere, found.invalid["old"].elsewhere) == (False, True)
    assert found.invalid["new"].labels == {"team": "a"}


def test_only_the_requested_target_counts(project: Path):
    """A dependency that is missing in another target is not a problem in this one."""
    found = usable(
        project, a=batch_text("a", targets="[staging]"), b=batch_text("b", dependsOn="[{name: a}]"), c=batch_text("c")
    )
    assert (list(found.specs), found.problems) == (["a", "b", "c"], ())
    assert load_usable(read_project(project), "local").invalid.keys() == {"b"}


def test_a_folder_of_another_tool_is_one_problem(project: Path):
    """The unreadable folder is one problem, as in `validate`, and no missing spec is treated as removed."""
    (project / "charts").mkdir()
    for name in ("a", "b"):
        (project / "charts" / f"{name}.yaml").write_text("replicas: 2\n")
    found = usable(project, a=batch_text("a"))
    assert [problem.rule for problem in found.problems] == ["not-a-spec"]
    assert found.unnamed is not None
    assert list(found.specs) == ["a"]


def test_a_rename_to_the_name_of_another_spec_holds_both(project: Path):
    """The ledger record could belong to either of the two specs."""
    new = batch_text("new").replace("name: new", "name: new\n  renamedFrom: old", 1)
    found = usable(project, new=new, old=batch_text("old"), a=batch_text("a"))
    assert (list(found.specs), {name: why.elsewhere for name, why in found.invalid.items()}) == (
        ["a"],
        {"new": False, "old": False},
    )


def test_a_misspelt_target_may_be_this_one(project: Path):
    """The spec is on hold here. If it counted as a spec of another target, it would be treated as removed."""
    found = usable(project, a=batch_text("a", targets="[stagin]"))
    assert {name: spec.elsewhere for name, spec in found.invalid.items()} == {"a": False}
