"""Tests the example project: it is valid, has a current schema, and runs on the emulator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.campaigns import in_one_test
from tests.project.place import COMMAND, ROOT, project_copy, run

FILES = sorted(path for path in (ROOT / "specs").glob("*.yaml") if path.name != "reconciler.yaml")
SPECS = {path.stem: yaml.load(path.read_text("utf-8"), yaml.CSafeLoader) for path in FILES}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Returns a copy of the example project in a separate git repository."""
    return project_copy(tmp_path / "repository", instant=False)


def test_example_project_is_valid_without_a_warning(project: Path):
    """`validate` accepts every spec for every target without a warning."""
    done = run([COMMAND, "validate"], project)

    assert (done.returncode, done.stdout, done.stderr) == (0, f"{len(FILES)} specs valid\n", "")


def test_schema_of_the_example_project_is_the_one_the_command_prints():
    """specs/.schema.json is the output of `reconciler schema`."""
    done = run([COMMAND, "schema"], ROOT)

    assert done.returncode == 0, done.stderr
    assert (ROOT / "specs/.schema.json").read_text("utf-8") == done.stdout


@in_one_test("path", [*FILES, ROOT / "specs/reconciler.yaml"], ids=lambda path: path.name)
def test_files_lead_editors_to_the_schema(path: Path):
    """The first line of each file names the schema, and on the second line, a comment that explains the file starts."""
    first, second, *_ = path.read_text("utf-8").splitlines()

    assert (first, second) == ("# yaml-language-server: $schema=./.schema.json", "#")


def test_example_project_shows_what_people_look_for():
    """The examples cover both services: Spark parameters as a mapping and as a string, Hive, streaming and
    monitoring, and plain, array, multi-node and EKS jobs."""
    requests = [spec["spec"]["request"] for spec in SPECS.values()]
    drivers = [request["jobDriver"] for request in requests if "jobDriver" in request]
    parameters = [driver["sparkSubmit"]["sparkSubmitParameters"] for driver in drivers if "sparkSubmit" in driver]
    keys = {key for request in requests for key in request}
    overrides = [request.get("configurationOverrides", {}) for request in requests]

    assert {type(value) for value in parameters} == {dict, str}
    assert any("hive" in driver for driver in drivers)
    assert any(request.get("mode") == "STREAMING" for request in requests)
    assert any("monitoringConfiguration" in override for override in overrides)
    assert keys >= {"arrayProperties", "nodeOverrides", "eksPropertiesOverride", "retryStrategy", "containerOverrides"}


def test_file_names_are_spec_names():
    """Each file has the name of its spec."""
    assert {stem: spec["metadata"]["name"] for stem, spec in SPECS.items()} == {stem: stem for stem in SPECS}


def test_example_project_runs_on_the_emulator_once(project: Path):
    """`apply` submits every spec of the target and gets a run id for each; a second apply finds nothing to do."""
    first = run([COMMAND, "apply", "--yes", "--format", "json"], project)
    second = run([COMMAND, "apply", "--yes", "--format", "json"], project)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    results = json.loads(first.stdout)["actions"]
    here = [name for name in sorted(SPECS) if "local" in SPECS[name]["spec"].get("targets", ["local"])]
    assert [(a["name"], a["outcome"]) for a in results] == [(name, "submitted") for name in here]
    assert len({a["run_id"] for a in results}) == len(here)
    assert json.loads(second.stdout)["summary"]["none"] == len(here)
