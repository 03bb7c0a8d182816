"""Tests that the models have every member of AWS's input shapes and check no member less strictly."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter

from reconciler.model.base import PATTERN_HINTS
from reconciler.model.emr_serverless import start_job_run as emr
from reconciler.model.project import Project
from reconciler.model.spec import SpecDocument
from reconciler.specs.schema import schema
from tests.campaigns import examples
from tests.model.contract import Walk, reachable, service_shapes
from tests.model.requests import BATCH, EMR

INPUTS = [
    pytest.param(EMR, "emr-serverless", "2021-07-13", "StartJobRunRequest", id="StartJobRun"),
    pytest.param(BATCH, "batch", "2016-08-10", "SubmitJobRequest", id="SubmitJob"),
]
EXTRA = frozenset(
    {
        ("JobDependency", "spec"),  # the name of another spec, which becomes a jobId before the request is sent
    }
)

# Maps AWS's patterns to ours, with the reason why ours accepts the same text or less. AWS's patterns match the whole
# text, so a pattern of ours that is AWS's own between ^ and $ needs no entry here.
EQUIVALENT = {
    r"arn:(aws[a-zA-Z0-9-]*):iam::([0-9]{12}):(role((\u002F)|(\u002F[\u0021-\u007F]+\u002F))[\w+=,.@-]+)": (
        emr.ROLE_ARN,
        "\\u002F is a slash, and Java's \\w is ASCII",
    ),
    "([    -ÿ]+)": (emr.POLICY_DOCUMENT, "four times a space, the last one the start of the range"),
    "([    -~\x85\xa0-\ud7ff\ue000-\ufffd\u10000-\u10ffFF]+)": (
        emr.POLICY_ARN,
        "stricter: an ARN, in printable ASCII; AWS's is any text, written with an escape of five digits cut to four",
    ),
    r".*\S.*": (
        emr.VISIBLE,
        "AWS's dot stops at line ends, yet its own samples send Spark parameters over several lines: one visible "
        "character is what counts; white space is Java's, ASCII only",
    ),
    r".*[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDBFF-\uDC00\uDFFF\r\n\t]*.*": (
        emr.LOG_URI,
        "stricter: AWS's takes anything with its line ends in one run, and a location has none",
    ),
    r"arn:(aws[a-zA-Z0-9-]*):kms:[a-zA-Z0-9\-]*:([0-9]{12}):key\/[a-zA-Z0-9-]+": (
        emr.KMS_KEY_ARN,
        "without needless backslashes",
    ),
    r"[\.\-_/#A-Za-z0-9]+": (emr.LOG_GROUP, "without needless backslashes"),
    r"https://aps-workspaces.([a-z]{2}-[a-z-]{1,20}-[1-9]).amazonaws(.[0-9A-Za-z]{2,4})+/workspaces/[-_.0-9A-Za-z]{1,100}/api/v1/remote_write": (  # noqa: E501
        emr.REMOTE_WRITE_URL,
        "stricter: the dots of the host are dots",
    ),
    r"[A-Za-z0-9 /_.:=+@-]+": (emr.TAG_KEY, "the same"),
}
PATTERNS = {theirs: ours for theirs, (ours, _) in EQUIVALENT.items()}


@pytest.mark.parametrize(("kind", "service", "version", "shape"), INPUTS)
def test_models_are_as_strict_as_botocore(kind, service, version, shape):
    """The model has every member of the input shape in the installed botocore, and none is checked less strictly."""
    walk = Walk(service_shapes(service, version), kind.model.model_json_schema(), PATTERNS, EXTRA)
    assert not walk.findings(shape)


def _with_member(shapes: Any) -> None:
    shapes["SparkSubmit"]["members"]["newMember"] = {"shape": "Boolean"}


def _with_required(shapes: Any) -> None:
    shapes["StartJobRunRequest"]["required"].append("name")


def _without_member(shapes: Any) -> None:
    del shapes["Hive"]["members"]["parameters"]


DOCTORED = [
    (_with_member, "StartJobRunRequest.jobDriver.sparkSubmit.newMember: missing"),
    (_without_member, "StartJobRunRequest.jobDriver.hive.parameters: no such member"),
    (_with_required, "StartJobRunRequest.name: required"),
    (lambda shapes: shapes["JobRunMode"]["enum"].append("NEW"), "StartJobRunRequest.mode: enum"),
    (lambda shapes: shapes["ApplicationId"].update(max=63), "StartJobRunRequest.applicationId: max 63, ours 64"),
    (lambda shapes: shapes["ApplicationId"].update(min=2), "StartJobRunRequest.applicationId: min 2, ours 1"),
    (lambda shapes: shapes["ApplicationId"].update(pattern="[0-9]+"), "StartJobRunRequest.applicationId: pattern"),
    (lambda shapes: shapes["Duration"].update(max=9), "StartJobRunRequest.executionTimeoutMinutes: max 9"),
    (lambda shapes: shapes["Duration"].update(min=1), "StartJobRunRequest.executionTimeoutMinutes: min 1"),
    (lambda shapes: shapes["Duration"].update(type="string"), "StartJobRunRequest.executionTimeoutMinutes: type"),
    (lambda shapes: shapes["Boolean"].update(type="timestamp"), "StartJobRunRequest.flexExecution.enabled: type"),
    (lambda shapes: shapes["PolicyArnList"].update(max=9), "StartJobRunRequest.executionIamPolicy.policyArns: max 9"),
    (lambda shapes: shapes["PolicyArnList"].update(min=1), "StartJobRunRequest.executionIamPolicy.policyArns: min 1"),
    (lambda shapes: shapes["TagMap"].update(max=40), "StartJobRunRequest.tags: max 40, ours 48"),
    (lambda shapes: shapes["TagKey"].update(max=127), "StartJobRunRequest.tags.<key>: max 127, ours 128"),
    (lambda shapes: shapes["TagKey"].update(pattern="x"), "StartJobRunRequest.tags.<key>: pattern"),
    (lambda shapes: shapes["TagValue"].update(max=255), "StartJobRunRequest.tags.<value>: max 255, ours 256"),
    (lambda shapes: shapes["SparkSubmitParameters"].update(max=9), "StartJobRunRequest.jobDriver.sparkSubmit.spark"),
    (
        lambda shapes: shapes["ConfigurationOverrides"].update(union=True),
        "StartJobRunRequest.configurationOverrides: a u",
    ),
]


@pytest.mark.parametrize(("change", "expected"), DOCTORED, ids=[expected for _, expected in DOCTORED])
def test_a_change_of_the_shapes_is_named(change, expected):
    """A member that AWS adds, or a limit that AWS tightens, is reported with its path."""
    shapes = deepcopy(service_shapes("emr-serverless", "2021-07-13"))
    change(shapes)
    findings = Walk(shapes, EMR.model.model_json_schema(), PATTERNS, EXTRA).findings("StartJobRunRequest")
    assert any(finding.startswith(expected) for finding in findings), findings


def test_a_recursive_member_is_walked_once():
    """A recursive shape is compared only once, and a change inside it is still reported."""
    shapes = deepcopy(service_shapes("emr-serverless", "2021-07-13"))
    shapes["Configuration"]["members"]["more"] = {"shape": "Boolean"}
    findings = Walk(shapes, EMR.model.model_json_schema(), PATTERNS).findings("StartJobRunRequest")
    expected = ["StartJobRunRequest.configurationOverrides.applicationConfiguration[].more: missing"]
    assert expected == findings


def test_an_open_or_undescribed_model_is_reported():
    """A model is reported if it accepts unknown members, has no descriptions, or has members that AWS does not have."""
    shapes = {"In": {"type": "structure", "members": {"a": {"shape": "S"}}}, "S": {"type": "string"}}
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}}
    expected = ["In: unknown members are taken", "In.b: no such member", "In.a: without a description"]
    assert expected == Walk(shapes, schema, {}).findings("In")


ADAPTERS = {
    pattern: TypeAdapter[str](Annotated[str, Field(pattern=pattern)])
    for pattern in [ours for ours, _ in EQUIVALENT.values()]
}


def _takes(pattern: str, value: str) -> bool:
    try:
        ADAPTERS[pattern].validate_python(value)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("theirs", EQUIVALENT, ids=[ours[:20] for ours, _ in EQUIVALENT.values()])
@settings(max_examples=examples(5), deadline=None)
@given(data=st.data())
def test_equivalent_patterns_match_no_more(theirs, data):
    """AWS's pattern matches everything that our pattern matches. Multi-line text is an exception, if the entry for the
    pattern allows it."""
    ours = EQUIVALENT[theirs][0]
    flags = re.ASCII | (re.DOTALL if ours == emr.VISIBLE else re.NOFLAG)
    sample = data.draw(st.from_regex(re.compile(ours.strip("^$"), re.ASCII), fullmatch=ours != emr.VISIBLE))
    assert not _takes(ours, sample) or re.fullmatch(theirs, sample, flags)


SAME = [theirs for theirs, (_, why) in EQUIVALENT.items() if not why.startswith("stricter")]


@pytest.mark.parametrize("theirs", SAME, ids=[EQUIVALENT[theirs][0][:20] for theirs in SAME])
@settings(max_examples=examples(10), deadline=None)
@given(data=st.data())
def test_equivalent_patterns_match_no_less(theirs, data):
    """Our pattern matches everything that AWS's pattern matches, unless its entry states that ours is stricter."""
    sample = data.draw(st.from_regex(re.compile(theirs, re.ASCII), fullmatch=True))
    assert _takes(EQUIVALENT[theirs][0], sample)


def test_every_equivalence_is_of_a_pattern_that_exists():
    """Every entry refers to a pattern that AWS still uses."""
    patterns = set[str]()
    for service, version, shape in [
        ("emr-serverless", "2021-07-13", "StartJobRunRequest"),
        ("batch", "2016-08-10", "SubmitJobRequest"),
    ]:
        shapes = service_shapes(service, version)
        patterns |= {shapes[name].get("pattern", "") for name in reachable(shapes, shape)}
    assert set() == set(EQUIVALENT) - patterns


def _patterns(schema: object) -> set[str]:
    """Returns every pattern in a JSON Schema."""
    if isinstance(schema, list):
        return set[str]().union(*map(_patterns, schema))
    if not isinstance(schema, dict):
        return set()
    own = {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
    return own.union(schema.get("patternProperties", {}), *map(_patterns, schema.values()))


def test_every_pattern_has_a_hint():
    """Every pattern of a request field has a hint for values that do not match."""
    used = _patterns(EMR.model.model_json_schema()) | _patterns(BATCH.model.model_json_schema())
    others = _patterns(SpecDocument.model_json_schema()) | _patterns(Project.model_json_schema())
    assert used <= set(PATTERN_HINTS) <= used | others
    assert all(PATTERN_HINTS.values())


def test_editors_are_never_offered_null():
    """No field of a request has null as its default, because AWS does not accept null."""
    fields = [
        (f"{name}.{field}", part)
        for name, model in schema()["$defs"].items()
        if name.split(".")[1:] not in ([], ["Spec"])
        for field, part in model.get("properties", {}).items()
    ]
    assert fields
    assert [] == [name for name, part in fields if "default" in part and part["default"] is None]
