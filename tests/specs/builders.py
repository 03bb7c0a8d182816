"""Builds projects for tests: files in a folder, each with an obvious default."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.desired import DesiredSpec
from reconciler.errors import SpecErrors
from reconciler.specs import project as loading
from reconciler.specs.project import read_project

PROJECT = """\
apiVersion: reconciler/v1
kind: Project
metadata: {name: analytics}
spec:
  vars: {bucket: acme, day: 1.10}
  targets:
    local: {emulator: true, vars: {only_local: here}}
    prod: {account: "111122223333", region: eu-west-1, ledger: "dynamodb://ledger"}
"""

BATCH = """\
apiVersion: reconciler/v1
kind: BatchJob
metadata:
  name: NAME
spec:
  request:
    jobQueue: queue
    jobDefinition: definition
"""


def batch(name: str = "job", policy: str = "", request: str = "") -> str:
    """Returns a Batch spec. `policy` and `request` are additional lines for its `spec:` and its request, which this
    function indents."""
    text = BATCH.replace("NAME", name).replace("spec:\n", "spec:\n" + _indented(policy, 2))
    return text + _indented(request, 4)


def _indented(lines: str, by: int) -> str:
    return "".join(" " * by + line + "\n" for line in lines.splitlines())


def write(root: Path, files: Mapping[str, str | bytes] | None = None, project: str = PROJECT) -> Path:
    """Writes a project with these files into a folder, and returns the folder."""
    for path, text in {"reconciler.yaml": project, **(files or {})}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def load(root: Path, **options: Any) -> loading.Loaded:
    """Reads a project, including its project file."""
    return loading.load(read_project(root), **options)


def problems(root: Path, **options: Any) -> list[str]:
    """Returns the problems that `load` reports, as ``path:line:col: message``."""
    with pytest.raises(SpecErrors) as caught:
        load(root, **options)
    return [str(problem) for problem in caught.value.problems]


def warnings(root: Path) -> list[str]:
    """Returns the warnings that `load` reports."""
    return [str(warning) for warning in load(root).warnings]


def desired(root: Path, name: str = "job", target: str = "local") -> DesiredSpec:
    """Returns a desired spec in one target."""
    return load(root).specs[target][name]


def wrapped(request: Mapping[str, Any], kind: str = "BatchJob", name: str = "job") -> dict[str, Any]:
    """Returns a request as a spec document."""
    return {"apiVersion": "reconciler/v1", "kind": kind, "metadata": {"name": name}, "spec": {"request": request}}


def dumped(document: Mapping[str, Any]) -> str:
    """Returns a document as the text of a JSON file."""
    return json.dumps(document, indent=1)
