"""Tests validation with a corpus of requests and with botocore's own validator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.emulator import Emulator, protocol
from reconciler.emulator.dispatch import AWS_BATCH, EMR_SERVERLESS
from reconciler.emulator.protocol import service_model
from tests.campaigns import in_one_test
from tests.emulator.conftest import client, job_request, run_request

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
ALLOWED = {
    "021-emr-args-empty-string": "newer botocore models accept empty arguments",
    "061-emr-timeout-4": "AWS does not document it",
}
"""Requests that the corpus marks as invalid but that the emulator may accept."""
OPERATIONS = {"emr_serverless": ("emr-serverless", "StartJobRun"), "batch": ("batch", "SubmitJob")}
SERVICES = {"emr_serverless": EMR_SERVERLESS, "batch": AWS_BATCH}


def corpus(name: str) -> list[dict[str, Any]]:
    """Returns the rows of one file of the corpus, or none if the file is missing."""
    path = CORPUS / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def as_sent(service: str, request: dict[str, Any]) -> dict[str, Any]:
    """Returns a request with the token that a client would add."""
    return {"clientToken": "t", **request} if service == "emr_serverless" else request


def input_shape(service: str) -> Any:
    """Returns the input shape of the operation that starts a run."""
    name, operation = OPERATIONS[service]
    return service_model(name).operation_model(operation).input_shape


def problems_of(service: str, request: dict[str, Any]) -> list[str]:
    """Returns the problems that the emulator finds in a request, without using its state."""
    request = as_sent(service, request)
    by_model = protocol.problems(input_shape(service), request, strict_enums=SERVICES[service].strict_enums)
    return by_model or list(SERVICES[service].operations[OPERATIONS[service][1]].rules(request))


@pytest.fixture(scope="module")
def urls() -> Iterator[tuple[Emulator, dict[str, Any]]]:
    """Runs one emulator with a client for each service, shared by all rows."""
    with Emulator(None) as emulator:
        clients = {"emr_serverless": client("emr-serverless", emulator.url), "batch": client("batch", emulator.url)}
        yield emulator, clients
        for each in clients.values():
            each.close()


@pytest.mark.parametrize("service", ["emr_serverless", "batch"])
def test_every_real_request_is_accepted(urls: tuple[Emulator, dict[str, Any]], service: str) -> None:
    """A real client sends the request over HTTP, and the emulator stores it as it was sent."""
    emulator, clients = urls
    rows = [row for row in corpus(service) if row["verdict"] == "valid"]
    if not rows:
        pytest.skip("the corpus is not here")
    send = clients[service].start_job_run if service == "emr_serverless" else clients[service].submit_job

    for row in rows:
        emulator.reset()
        send(**row["request"])
        stored = dict(emulator.runs()[-1].request)
        if "clientToken" not in row["request"]:
            stored.pop("clientToken", None)
        assert row["request"] == stored, row["id"]


@pytest.mark.skipif(not corpus("invalid"), reason="the corpus is not here")
@in_one_test("row", corpus("invalid"), ids=lambda row: row["id"])
def test_every_invalid_request_is_refused(row: dict[str, Any]) -> None:
    """The exceptions are requests that AWS's documentation does not forbid."""
    assert row["id"] in ALLOWED or problems_of(row["service"], row["request"])


def test_the_emulator_refuses_whatever_botocore_refuses() -> None:
    """The emulator detects every problem that botocore's validator detects, and others."""
    for row in corpus("invalid"):
        request = as_sent(row["service"], row["request"])
        if ParamValidator().validate(request, input_shape(row["service"])).has_errors():
            assert problems_of(row["service"], request), row["id"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.sampled_from(["emr_serverless", "batch"]), st.data(), JSON)
def test_any_value_in_any_member_is_validated_without_an_exception(service: str, data: Any, value: object) -> None:
    """The emulator refuses every value that botocore's validator refuses, and its validation never raises an
    exception."""
    shape = input_shape(service)
    member = data.draw(st.sampled_from(sorted(shape.members)))
    request = {**(run_request() if service == "emr_serverless" else job_request()), member: value}

    problems = problems_of(service, request)

    if ParamValidator().validate(as_sent(service, request), shape).has_errors():
        assert problems


@in_one_test(
    ("wrong", "location"),
    [
        ({"schedulingPriorityOverride": 10000}, "schedulingPriorityOverride"),
        ({"dependsOn": [{"jobId": "x"}] * 21}, "dependsOn"),
        ({"dependsOn": [{}]}, "dependsOn"),
        ({"retryStrategy": {"attempts": 1, "evaluateOnExit": [{"action": "EXIT"}] * 6}}, "evaluateOnExit"),
        ({"nodeOverrides": {"nodePropertyOverrides": [{"targetNodes": "all"}]}}, "targetNodes"),
        (
            {"containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "-1"}]}},
            "resourceRequirements",
        ),
    ],
)
def test_the_documented_limits_of_batch_apply(wrong: dict[str, Any], location: str) -> None:
    """Tests the limits that no request of the corpus exceeds."""
    assert any(location in problem for problem in problems_of("batch", job_request(**wrong)))


@pytest.mark.parametrize(
    ("wrong", "location"),
    [
        ({"tags": {str(number): "" for number in range(51)}}, "tags"),
        ({"tags": {"aws:x": "y"}}, "tags"),
        ({"retryPolicy": {"maxAttempts": 11}}, "retryPolicy.maxAttempts"),
    ],
)
def test_the_documented_limits_of_emr_serverless_apply(wrong: dict[str, Any], location: str) -> None:
    """These are the limits that no request of the corpus exceeds."""
    assert any(location in problem for problem in problems_of("emr_serverless", run_request(**wrong)))


def test_forms_that_real_requests_use_are_accepted() -> None:
    """Share identifiers with a slash, open node ranges, types in upper or lower case, and multi-line queries are
    accepted."""
    assert problems_of("batch", job_request(shareIdentifier="team/a-b")) == []
    assert problems_of("batch", job_request(nodeOverrides={"nodePropertyOverrides": [{"targetNodes": "0,n"}]})) == []
    sequential = job_request(arrayProperties={"size": 2}, dependsOn=[{"type": "Sequential"}])
    assert problems_of("batch", sequential) == []
    assert problems_of("emr_serverless", run_request(jobDriver={"hive": {"query": "SELECT 1\nFROM t"}})) == []
    assert (
        problems_of("emr_serverless", run_request(mode="STREAMING", retryPolicy={"maxFailedAttemptsPerHour": 10})) == []
    )
