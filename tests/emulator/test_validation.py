"""The corpus of requests, and botocore's own validator as an oracle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.emulator import Emulator
from reconciler.emulator.dispatch import AWS_BATCH, EMR_SERVERLESS
from reconciler.emulator.protocol import problems, service_model
from tests.emulator.conftest import client, job_request, run_request

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
ALLOWED = {
    "021-emr-args-empty-string": "newer botocore models take empty arguments",
    "061-emr-timeout-4": "no AWS text says so",
}
"""Requests that the corpus calls invalid on grounds that the emulator need not share."""
OPERATIONS = {"emr_serverless": ("emr-serverless", "StartJobRun"), "batch": ("batch", "SubmitJob")}
SERVICES = {"emr_serverless": EMR_SERVERLESS, "batch": AWS_BATCH}


def corpus(name: str) -> list[dict[str, Any]]:
    """The rows of one file of the corpus, none where it is missing."""
    path = CORPUS / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def as_sent(service: str, request: dict[str, Any]) -> dict[str, Any]:
    """A request with the token that a client would fill in."""
    return {"clientToken": "t", **request} if service == "emr_serverless" else request


def input_shape(service: str) -> Any:
    """What botocore says about the operation that starts a run."""
    name, operation = OPERATIONS[service]
    return service_model(name).operation_model(operation).input_shape


def found(service: str, request: dict[str, Any]) -> list[str]:
    """What the emulator says about a request, before it looks at its state."""
    request = as_sent(service, request)
    by_model = problems(input_shape(service), request, strict_enums=SERVICES[service].strict_enums)
    return by_model or list(SERVICES[service].operations[OPERATIONS[service][1]].rules(request))


@pytest.fixture(scope="module")
def urls() -> Iterator[tuple[Emulator, dict[str, Any]]]:
    """One emulator with a client for each service, for all rows."""
    with Emulator(None) as emulator:
        clients = {"emr_serverless": client("emr-serverless", emulator.url), "batch": client("batch", emulator.url)}
        yield emulator, clients
        for each in clients.values():
            each.close()


@pytest.mark.parametrize("service", ["emr_serverless", "batch"])
def test_every_real_request_is_accepted(urls: tuple[Emulator, dict[str, Any]], service: str) -> None:
    """Over HTTP, by a real client, and kept as it was sent."""
    emulator, clients = urls
    rows = [row for row in corpus(service) if row["verdict"] == "valid"]
    if not rows:
        pytest.skip("the corpus is not here")
    send = clients[service].start_job_run if service == "emr_serverless" else clients[service].submit_job

    for row in rows:
        emulator.reset()
        send(**row["request"])
        kept = dict(emulator.runs()[-1].request)
        if "clientToken" not in row["request"]:
            kept.pop("clientToken", None)
        assert row["request"] == kept, row["id"]


@pytest.mark.parametrize("row", corpus("invalid"), ids=lambda row: row["id"])
def test_every_invalid_request_is_refused(row: dict[str, Any]) -> None:
    """But for the ones that no text of AWS rules out."""
    assert row["id"] in ALLOWED or found(row["service"], row["request"])


def test_whatever_botocore_refuses_is_refused() -> None:
    """Its own validator looks at less than this one does, never at more."""
    for row in corpus("invalid"):
        request = as_sent(row["service"], row["request"])
        if ParamValidator().validate(request, input_shape(row["service"])).has_errors():
            assert found(row["service"], request), row["id"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.sampled_from(["emr_serverless", "batch"]), st.data(), JSON)
def test_a_value_of_any_form_in_any_member_is_judged_and_never_fails(service: str, data: Any, value: object) -> None:
    """What botocore's validator refuses is refused, and nothing raises."""
    shape = input_shape(service)
    member = data.draw(st.sampled_from(sorted(shape.members)))
    request = {**(run_request() if service == "emr_serverless" else job_request()), member: value}

    judged = found(service, request)

    if ParamValidator().validate(as_sent(service, request), shape).has_errors():
        assert judged


@pytest.mark.parametrize(
    ("wrong", "place"),
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
def test_documented_limits_of_batch(wrong: dict[str, Any], place: str) -> None:
    """The ones that no request of the corpus breaks."""
    assert any(place in problem for problem in found("batch", job_request(**wrong)))


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"tags": {str(number): "" for number in range(51)}}, "tags"),
        ({"tags": {"aws:x": "y"}}, "tags"),
        ({"retryPolicy": {"maxAttempts": 11}}, "retryPolicy.maxAttempts"),
    ],
)
def test_documented_limits_of_emr_serverless(wrong: dict[str, Any], place: str) -> None:
    """The ones that no request of the corpus breaks."""
    assert any(place in problem for problem in found("emr_serverless", run_request(**wrong)))


def test_what_real_requests_do_is_fine() -> None:
    """Actions in lower case, share identifiers with a slash, open node ranges, queries of several lines."""
    assert found("batch", job_request(shareIdentifier="team/a-b")) == []
    assert found("batch", job_request(nodeOverrides={"nodePropertyOverrides": [{"targetNodes": "0,n"}]})) == []
    sequential = job_request(arrayProperties={"size": 2}, dependsOn=[{"type": "Sequential"}])
    assert found("batch", sequential) == []
    assert found("emr_serverless", run_request(jobDriver={"hive": {"query": "SELECT 1\nFROM t"}})) == []
    assert found("emr_serverless", run_request(mode="STREAMING", retryPolicy={"maxFailedAttemptsPerHour": 10})) == []
