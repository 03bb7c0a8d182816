"""Tests the JSON Schema for editors."""

import json
import re
from typing import Any

import pytest

from reconciler.specs.new_files import init
from reconciler.specs.parse import yaml_documents
from reconciler.specs.schema import schema
from tests.campaigns import in_one_test
from tests.specs.builders import PROJECT, batch, wrapped
from tests.specs.test_corpus import INVALID, VALID, without_token

SCHEMA = schema()
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}
KEYWORDS = {
    *("$schema", "$defs", "$ref", "title", "description", "default", "examples", "deprecated"),
    *("type", "const", "enum", "not", "anyOf", "oneOf", "allOf", "if", "then"),
    *("properties", "patternProperties", "additionalProperties", "propertyNames", "required", "items"),
    *("pattern", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "uniqueItems"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}


def accepts(part: Any, value: Any) -> bool:
    """Returns whether a schema of the 2020-12 draft accepts a value. Supports the keywords that this project's schema
    uses."""
    if isinstance(part, bool):
        return part
    assert set(part) <= KEYWORDS, set(part) - KEYWORDS
    return _is_type(part, value) and _combined(part, value) and _limited(part, value) and _inner(part, value)


def _is_type(part: dict[str, Any], value: Any) -> bool:
    names = part.get("type", list(TYPES))
    types = tuple(kind for name in ([names] if isinstance(names, str) else names) for kind in TYPES[name])
    return isinstance(value, types) and (not isinstance(value, bool) or bool in types)


def _combined(part: dict[str, Any], value: Any) -> bool:
    reference = part.get("$ref", "#/$defs/")[len("#/$defs/") :]
    return (
        (not reference or accepts(SCHEMA["$defs"][reference], value))
        and ("const" not in part or value == part["const"])
        and ("enum" not in part or value in part["enum"])
        and ("not" not in part or not accepts(part["not"], value))
        and all(accepts(inner, value) for inner in part.get("allOf", []))
        and ("anyOf" not in part or any(accepts(inner, value) for inner in part["anyOf"]))
        and ("oneOf" not in part or sum(accepts(inner, value) for inner in part["oneOf"]) == 1)
        and ("if" not in part or not accepts(part["if"], value) or accepts(part["then"], value))
    )


def _limited(part: dict[str, Any], value: Any) -> bool:
    if isinstance(value, str):
        fits = re.search(part["pattern"], value) if "pattern" in part else True
        return bool(fits) and part.get("minLength", 0) <= len(value) <= part.get("maxLength", len(value))
    if isinstance(value, list):
        return bool(part.get("minItems", 0) <= len(value) <= part.get("maxItems", len(value)))
    if isinstance(value, dict):
        return bool(part.get("minProperties", 0) <= len(value) <= part.get("maxProperties", len(value)))
    return (
        part.get("minimum", value) <= value <= part.get("maximum", value)
        and ("exclusiveMinimum" not in part or value > part["exclusiveMinimum"])
        and ("exclusiveMaximum" not in part or value < part["exclusiveMaximum"])
    )


def _inner(part: dict[str, Any], value: Any) -> bool:
    if isinstance(value, list):
        return all(accepts(part.get("items", True), entry) for entry in value)
    if not isinstance(value, dict):
        return True
    return set(part.get("required", [])) <= set(value) and all(
        accepts(part.get("propertyNames", True), key) and all(accepts(inner, entry) for inner in _of_key(part, key))
        for key, entry in value.items()
    )


def _of_key(part: dict[str, Any], key: str) -> list[Any]:
    named = [part["properties"][key]] if key in part.get("properties", {}) else []
    fitting = [inner for pattern, inner in part.get("patternProperties", {}).items() if re.search(pattern, key)]
    return named + fitting or [part.get("additionalProperties", True)]


def test_real_requests_are_accepted():
    """The schema accepts every real request as a spec."""
    for row, kind in VALID:
        assert accepts(SCHEMA, wrapped(without_token(row), kind)), row["id"]


def test_most_invalid_requests_are_refused():
    """The schema refuses most invalid requests; rules between fields are checked only by `validate`."""
    kinds = {"emr_serverless": "EmrServerlessJobRun", "batch": "BatchJob"}
    accepted = [row["id"] for row in INVALID if accepts(SCHEMA, wrapped(row["request"], kinds[row["service"]]))]
    assert len(accepted) <= len(INVALID) / 3, accepted


def test_the_scaffold_is_accepted_and_carries_the_schema(tmp_path):
    """The schema that `init` writes accepts the other files that it writes."""
    files = init(tmp_path / "p", "p")
    documents = [d.value for path in files if path.suffix == ".yaml" for d in yaml_documents(path.read_text())]
    assert 3 == len(documents)
    assert all(accepts(SCHEMA, document) for document in documents)
    assert SCHEMA == json.loads((tmp_path / "p" / ".schema.json").read_text())


def value_of(text: str) -> Any:
    """Returns the only document in a text."""
    (document,) = yaml_documents(text)
    return document.value


FINE = {
    "project": PROJECT,
    "batch": batch(policy="suspend: {reason: x}\ntargets: [a]", request="dependsOn: [{spec: other, type: N_TO_N}]"),
    "placeholders": batch(request="retryStrategy: {attempts: 2}\nparameters: {a: '${var.b}'}").replace(
        "jobQueue: queue", "jobQueue: arn:${var.queue} x"
    ),
}
WRONG = {
    "kind": batch().replace("BatchJob", "Pod"),
    "version": batch().replace("/v1", "/v2"),
    "name": batch("A_b"),
    "unknown field": batch(policy="revison: 2"),
    "unknown field of the request": batch(request="jobQueu: x"),
    "token": batch(request="clientToken: x"),
    "type": batch(policy="revision: x"),
    "choice": batch(policy="deletionPolicy: Delete"),
    "request": batch().replace("    jobQueue: queue\n", ""),
    "limit": batch(request="timeout: {attemptDurationSeconds: 1}"),
    "text": batch(request="jobName: a b"),
    "account": PROJECT.replace("111122223333", "1"),
    "no account": PROJECT.replace('account: "111122223333", ', ""),
    "no emulator": PROJECT.replace("emulator: true", "emulator: false"),
    "null": batch(policy="schedule: x").replace("schedule: x", "schedule: [x]"),
}


@pytest.mark.parametrize("text", FINE.values(), ids=FINE)
def test_what_validate_accepts_is_accepted(text):
    """The schema accepts placeholders in strings with a limited form, and a spec instead of a job id."""
    assert accepts(SCHEMA, value_of(text))


@in_one_test("text", WRONG.values(), ids=WRONG)
def test_what_a_schema_can_express_is_refused(text):
    """The schema refuses unknown fields, wrong types, unknown choices, and values outside limits."""
    assert not accepts(SCHEMA, value_of(text))


def test_every_field_has_a_description():
    """Every field of the documents has a description for editors."""
    bare = [
        f"{name}.{field}"
        for name, part in SCHEMA["$defs"].items()
        for field, inner in part.get("properties", {}).items()
        if "description" not in inner and "$ref" not in inner
    ]
    assert [] == bare
    assert "null" not in json.dumps(SCHEMA)
    assert all(part.get("additionalProperties") is False for part in SCHEMA["$defs"].values() if "properties" in part)
