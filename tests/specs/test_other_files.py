"""Tests files in a project that are not specs: plan files, files of other tools, and files that a pattern excludes."""

from __future__ import annotations

import json

import pytest

from reconciler.ledger.log import Log
from reconciler.ledger.masked_export import export
from reconciler.specs.file_patterns import Patterns, patterns
from reconciler.specs.files import MOST_BYTES
from tests.campaigns import in_one_test
from tests.ledger.builders import AT, PLACE, MemoryStore, StandingClock, always, intended
from tests.specs.builders import PROJECT, batch, load, problems, warnings, write

PLAN = {"format_version": "1.1", "tool_version": "0.2.0", "project": "analytics", "actions": [{"run_id": None}]}
ADD = "to spec.specs of reconciler.yaml"


def with_patterns(*written: str) -> str:
    """Returns the text of a project file with these patterns."""
    return PROJECT.replace("spec:\n", f"spec:\n  specs: {json.dumps(written)}\n", 1)


@pytest.mark.parametrize("name", ["plan.json", "deep/er/prod.yaml"])
@pytest.mark.parametrize("indent", [None, 2])
def test_plan_files_are_skipped(tmp_path, name, indent):
    """A plan file is neither a spec nor an error, whatever its name and format."""
    root = write(tmp_path, {"a.yaml": batch(), name: json.dumps(PLAN, indent=indent)})
    assert (1, []) == (load(root).count, warnings(root))


def test_snapshots_of_the_ledger_are_skipped(tmp_path):
    """The file that `ledger export --snapshot` writes is neither a spec nor an error."""
    log = Log(MemoryStore(), PLACE, clock=StandingClock(), tool_version="0.2.0")
    log.append([intended()], always)
    snapshot = export(log, PLACE, AT).decode()
    root = write(tmp_path, {"a.yaml": batch(), "snapshot.json": snapshot})
    assert (1, []) == (load(root).count, warnings(root))


def test_a_plan_file_can_be_larger_than_a_spec(tmp_path):
    """A plan file of any size is skipped."""
    large = json.dumps({**PLAN, "seal": "x" * MOST_BYTES})
    assert 1 == load(write(tmp_path, {"a.yaml": batch(), "plan.json": large})).count


def test_a_plan_file_is_no_project_file(tmp_path):
    """A plan file under the name of the project file is an error."""
    assert ["reconciler.yaml:1:1: a plan file, which is not part of a project"] == problems(
        write(tmp_path, project=json.dumps(PLAN))
    )


def test_a_file_that_is_no_spec_is_an_error_once(tmp_path):
    """A file of another tool causes one error, which contains the pattern to exclude it, however many documents and
    tags the file has."""
    text = "apiVersion: v1\nkind: Pod\nx: !Ref y\n---\napiVersion: v1\nz: ~\n"
    (line,) = problems(write(tmp_path, {"pods.yaml": text}))
    assert line.startswith(
        "pods.yaml:1:13: apiVersion: not a spec: expected apiVersion: reconciler/v1. If it is none, "
    )
    assert line.endswith(f'leave it out: add "!pods.yaml" {ADD}')
    root = write(tmp_path, project=with_patterns("**/*.yaml", "!pods.yaml"))
    write(root, {"a.yaml": batch()}, with_patterns("**/*.yaml", "!pods.yaml"))
    assert 1 == load(root).count


def test_a_folder_without_specs_is_an_error_once(tmp_path):
    """A folder that contains no specs causes one error. Among specs, each other file causes an error of its own."""
    files = {
        "charts/values.yaml": "a: 1\n",
        "charts/templates/pod.yaml": "{{- if .Values.x }}\na: b\n",
        "jobs/a.yaml": batch(),
        "jobs/values.yaml": "a: 1\n",
        "jobs/[b].json": "{}",
    }
    lines = problems(write(tmp_path, files))
    assert [line.partition(":")[0] for line in lines] == [
        "charts/templates/pod.yaml",
        "jobs/[b].json",
        "jobs/values.yaml",
    ]
    assert (
        f'none of the 2 files in charts is a spec. If the folder has no specs, leave it out: add "!charts/**" {ADD}'
        in lines[0]
    )
    assert lines[1].endswith(f'add "!jobs/[[]b].json" {ADD}')
    left = with_patterns("!charts/**", "!jobs/[[]b].json", "!jobs/values.yaml")
    assert 1 == load(write(tmp_path, project=left)).count


def test_a_broken_spec_is_not_taken_for_another_file(tmp_path):
    """A syntax error in a file with a spec's apiVersion is reported as such. For any other file, the message explains
    how to exclude the file."""
    broken = batch() + "  x: [\n"
    lines = problems(write(tmp_path, {"a.yaml": broken, "b.yaml": "a: [\n"}))
    assert not lines[0].endswith(ADD)
    assert lines[1].endswith(f'If this is not a spec, leave it out: add "!b.yaml" {ADD}')


@in_one_test(
    ("written", "path", "expected"),
    [
        (["**/*.yaml", "!charts/**"], "charts/a.yaml", False),
        (["**/*.yaml", "!charts"], "charts/deep/a.yaml", False),
        (["**/*.yaml", "!charts"], "jobs/charts.yaml", True),
        (["!**/values*.yaml"], "jobs/values-prod.yaml", False),
        (["!**/values*.yaml"], "jobs/a.json", True),
        (["!{a,b}.yaml"], "b.yaml", False),
        (["jobs/*.yaml", "!jobs/x.yaml"], "other/y.yaml", False),
    ],
)
def test_patterns_that_leave_files_out(written, path, expected):
    """A pattern with ! excludes files, and folders with all their content. If there are no other patterns, it excludes
    files from the default."""
    assert expected == patterns(written).match(tuple(path.split("/")))


def test_folders_that_are_left_out_are_not_read(tmp_path):
    """The content of an excluded folder is not read."""
    assert not Patterns([("**", "*.yaml")], [("charts", "**")]).may_hold(("charts", "deep"))
    root = write(tmp_path, {"a.yaml": batch()}, with_patterns("!loop"))
    (root / "loop").mkdir()
    (root / "loop" / "again").symlink_to("..")
    assert (1, []) == (load(root).count, warnings(root))


def test_an_invalid_pattern_that_leaves_out_is_a_problem(tmp_path):
    """A pattern with ! is validated in the same way as the others."""
    (line,) = problems(write(tmp_path, project=with_patterns("!../a.yaml")))
    assert line.startswith("reconciler.yaml:5:11: spec.specs[0]: !../a.yaml: a pattern must be relative")
