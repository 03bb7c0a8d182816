"""Contains the fuzz targets. Each target takes bytes and returns, or raises an error if the input reveals a bug.

A target catches only the errors that the program reports to users. It also checks that a terminal or a CI runner would
not execute any part of the output.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reconciler.app.plan_file import check_file
from reconciler.core.decide import plan
from reconciler.errors import PlanFileError, Problem, ReconcilerError
from reconciler.model.emr_serverless.spark_parameters import settings
from reconciler.model.project import Project
from reconciler.model.spec import Policy
from reconciler.model.template import PlaceholderProblem
from reconciler.redact.request import masked
from reconciler.redact.text import mask_sentence, mask_text
from reconciler.render.json_text import dumps
from reconciler.render.markdown import cell_code, code, prose
from reconciler.render.plan_json import plan_from_json
from reconciler.render.plan_markdown import plan_markdown
from reconciler.render.plan_text import plan_text
from reconciler.render.problems import problems_text
from reconciler.specs.files import Folder
from reconciler.specs.parse import SourceText, documents, yaml_documents
from reconciler.specs.problems import TooMany, View, unreadable
from reconciler.specs.project import _project
from reconciler.specs.requests import Scope, render
from reconciler.specs.spec import SpecReader
from reconciler.specs.yaml_nodes import Unreadable
from tests.builders import NOW, PLACE, desired, plan_json, spec
from tests.specs.builders import PROJECT

SPECS = Path(__file__).parents[2] / "specs"


def shown_safely(text: str) -> None:
    """Raises if a terminal or a CI runner would execute a part of the text."""
    for line in text.split("\n"):
        assert line.isprintable() or not line, f"not printable: {line!r}"
        assert not line.lstrip().startswith("::"), f"a command: {line!r}"
        assert "##[" not in line, f"a command: {line!r}"
        assert "##vso[" not in line, f"a command: {line!r}"
        assert "##teamcity[" not in line, f"a command: {line!r}"


@cache
def _reader() -> SpecReader:
    source = SourceText("reconciler.yaml", PROJECT)
    project = _project(Path(), Folder(Path()), source, list(yaml_documents(source.text))).project
    return SpecReader(project, tuple(project.spec.targets), warn=True)


def _read(path: str, content: bytes) -> None:
    source = SourceText(path, content.decode(errors="replace"))
    problems: list[Problem] = []
    try:
        for document in documents(source):
            read = _reader().read(View(source, document))
            problems += [*read.problems, *read.warnings]
    except Unreadable as error:
        problems += unreadable(source, error)
    except TooMany as error:
        problems += error.problems
    shown_safely(problems_text(problems))


def yaml_spec(content: bytes) -> None:
    """Reads a spec file in YAML."""
    _read("a.yaml", content)


def json_spec(content: bytes) -> None:
    """Reads a spec file in JSON."""
    _read("a.json", content)


def project_file(content: bytes) -> None:
    """Reads the project file."""
    source = SourceText("reconciler.yaml", content.decode(errors="replace"))
    try:
        made: Project = _project(Path(), Folder(Path()), source, list(yaml_documents(source.text))).project
        assert made.spec.targets
    except Unreadable as error:
        shown_safely(problems_text(list(unreadable(source, error))))
    except ReconcilerError as error:
        shown_safely(problems_text(getattr(error, "problems", ())))


def masking(content: bytes) -> None:
    """Masks and escapes a text."""
    text = content.decode(errors="replace")
    for mask in (mask_text, mask_sentence):
        assert isinstance(mask(text), str)
    masked({"parameters": {"a": text, "password": text}, "containerOverrides": {"command": ["--password", text, text]}})
    for shown in (code(text), cell_code(text), prose(text)):
        shown_safely(shown)


def plan_file(content: bytes) -> None:
    """Reads and prints a plan file."""
    try:
        made = plan_from_json(json.loads(content))
        check_file(made, PLACE)
    except (PlanFileError, ValueError, RecursionError):
        return
    shown_safely(plan_text(made))
    shown_safely(plan_markdown(made))


def ledger_batch(content: bytes) -> None:
    """Reads and prints a ledger whose second batch is the input."""
    from reconciler.core.event_codec import encode
    from tests.hostile.test_forged_ledgers import OPENED, batch, chained, printed

    try:
        form: Any = json.loads(content)
        json.dumps(form)
    except (ValueError, RecursionError):
        return
    assert printed(chained([batch(encode(OPENED)), form]))


def spark_parameters(content: bytes) -> None:
    """Parses a string of options for spark-submit."""
    try:
        settings(content.decode(errors="replace"))
    except ValueError:
        return


def placeholders(content: bytes) -> None:
    """Renders a string with placeholders."""
    values = {"var.a": "x", "target.name": "prod"}
    for slots in (True, False):
        try:
            render(content.decode(errors="replace"), Scope("prod", values, slots))
        except PlaceholderProblem:
            continue


def policies(content: bytes) -> None:
    """Validates a schedule, a time zone and a time."""
    schedule, _, rest = content.decode(errors="replace").partition("\n")
    zone, _, until = rest.partition("\n")
    for given in ({"schedule": schedule}, {"timeZone": zone}, {"suspend": {"until": until}}):
        try:
            Policy(**given)
        except ValidationError:
            continue


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        yaml_spec, json_spec, project_file, masking, plan_file, ledger_batch, spark_parameters, placeholders, policies,
    )
}  # fmt: skip


def seeds(target: str) -> list[bytes]:
    """Returns a few valid inputs of a target, from the example project and from the program itself."""
    import yaml

    files = sorted(path for path in SPECS.glob("*.yaml") if path.name != "reconciler.yaml")
    forms = [yaml.safe_load(path.read_text("utf-8")) for path in files]
    made = plan(desired(spec("A"), spec("B", "views")), _nothing(), NOW)
    match target:
        case "yaml_spec" | "masking":
            return [path.read_bytes() for path in files]
        case "json_spec":
            return [json.dumps(form, indent=1).encode() for form in forms]
        case "project_file":
            return [(SPECS / "reconciler.yaml").read_bytes(), PROJECT.encode()]
        case "plan_file":
            return [dumps(plan_json(made)).encode()]
        case "ledger_batch":
            return _batches()
        case "spark_parameters":
            return [b'--class a.B --conf spark.x="y z" --jars s3://a/b.jar,s3://c -v --driver-memory=4g']
        case "placeholders":
            return [b"s3://${var.a}/${target.name}/${run.slot:%Y-%m-%d}/$${x}"]
        case _:
            return [b"0 2 * * 1-5\nEurope/Madrid\n2026-12-01T00:00:00Z"]


def _nothing() -> Any:
    from reconciler.core.state import Recorded

    return Recorded()


def _batches() -> list[bytes]:
    from reconciler.core import events as e
    from reconciler.core.event_codec import encode
    from tests.builders import at, intended
    from tests.hostile.test_forged_ledgers import batch

    first = intended()
    submitted = e.Submitted(at=at(), name=first.name, token=first.token, send=1, run_id="run-1")
    return [json.dumps(batch(encode(first), encode(submitted))).encode()]
