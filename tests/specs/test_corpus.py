"""Tests that real requests are read as specs."""

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import SpecErrors
from reconciler.specs.requests import escape
from tests.specs.builders import dumped, load, wrapped, write

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
KINDS = {"emr_serverless": "EmrServerlessJobRun", "batch": "BatchJob"}
NAMES = {"EmrServerlessJobRun": "name", "BatchJob": "jobName"}


def rows(name: str) -> list[dict[str, Any]]:
    """Returns the requests in one file of the corpus, or none if the file is missing."""
    path = CORPUS / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


VALID = [(row, kind) for file, kind in KINDS.items() for row in rows(file) if row["verdict"] == "valid"]
INVALID = [row for row in rows("invalid") if row["id"] != "021-emr-args-empty-string"]  # now AWS accepts it

pytestmark = pytest.mark.skipif(not INVALID, reason="the corpus is not here")


def escaped(value: Any) -> Any:
    """Returns a value with every ``${`` escaped."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, dict):
        return {key: escaped(inner) for key, inner in value.items()}
    return [escaped(inner) for inner in value] if isinstance(value, list) else value


def without_token(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a row's request without the client token."""
    return {key: value for key, value in row["request"].items() if key != "clientToken"}


@pytest.mark.parametrize("scheduled", [False, True])
def test_valid_requests_load_unchanged(tmp_path, scheduled):
    """Every real request loads as a spec with that request, with the same fields in the same order."""
    # each is a spec in one project
    files = {}
    for number, (row, kind) in enumerate(VALID):
        document = wrapped(escaped(without_token(row)), kind, f"n{number}")
        if scheduled:
            document["spec"]["schedule"] = "0 2 * * *"
        files[f"n{number}.json"] = dumped(document)
    # when
    specs = load(write(tmp_path, files), targets=["local"]).specs["local"]
    # then
    assert len(VALID) == len(specs)
    for number, (row, kind) in enumerate(VALID):
        expected = {**without_token(row), NAMES[kind]: row["request"].get(NAMES[kind], f"n{number}")}
        request = specs[f"n{number}"].request
        # Escapes remain in a template, so that literal text is not interpreted.
        assert json.dumps(escaped(expected) if scheduled else expected) == json.dumps(request), row["id"]


def test_invalid_requests_are_refused_at_a_location(tmp_path):
    """Every request that AWS refuses is a problem with a location inside the request."""
    files = {
        f"n{number}.json": dumped(wrapped(escaped(row["request"]), KINDS[row["service"]], f"n{number}"))
        for number, row in enumerate(INVALID)
    }
    with pytest.raises(SpecErrors) as caught:
        load(write(tmp_path, files))
    by_path = {problem.path: problem for problem in caught.value.problems}
    assert set(files) == set(by_path)
    for problem in caught.value.problems:
        assert problem.line >= 7, str(problem)  # where the request starts in the file
        assert "spec.request" in problem.message
