"""Tests errors for invalid requests in AWS's formats, as parsed by botocore and as raw HTTP."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.emulator import Emulator
from reconciler.emulator.dispatch import AWS_BATCH
from reconciler.emulator.operations import Operation
from tests.emulator.conftest import APPLICATION, job_request, run_request, send

Submit = Callable[..., str]


def test_an_error_has_the_form_of_rest_json(emulator: Emulator) -> None:
    """The code is in a header and the message is in the body. The reply also contains a request id and a date."""
    response, body = send(emulator, "POST", f"/applications/{APPLICATION}/jobruns", {"clientToken": "t"})

    assert (response.status, response.headers["x-amzn-ErrorType"]) == (400, "ValidationException")
    assert {"message"} == set(json.loads(body))
    assert "executionRoleArn: is required" in json.loads(body)["message"]
    assert response.headers["x-amzn-RequestId"]
    assert response.headers["Date"] == "Sun, 22 Nov 2026 12:00:00 GMT"


def test_successful_replies_have_a_request_id_and_a_date(submit: Submit, batch: Any) -> None:
    """Clients use these to distinguish AWS from a proxy."""
    metadata = batch.submit_job(**job_request())["ResponseMetadata"]

    assert metadata["RequestId"]
    assert metadata["HTTPHeaders"]["date"] == "Sun, 22 Nov 2026 12:00:00 GMT"


def test_clients_raise_the_documented_exception_classes(emr: Any, batch: Any) -> None:
    """botocore maps each error code to its class."""
    with pytest.raises(emr.exceptions.ValidationException):
        emr.start_job_run(**run_request(applicationId="with_underscore"))
    with pytest.raises(emr.exceptions.ResourceNotFoundException):
        emr.cancel_job_run(applicationId=APPLICATION, jobRunId="00nothing")
    with pytest.raises(batch.exceptions.ClientException):
        batch.submit_job(**job_request(jobName="with space"))


def test_one_error_reports_all_problems(emulator: Emulator) -> None:
    """The message contains the number of problems, but no values, because messages are logged."""
    wrong = {"executionRoleArn": "hunter2", "mode": "batch", "jobDriver": {}, "colour": "red", "clientToken": "a/b"}
    _, body = send(emulator, "POST", f"/applications/{APPLICATION}/jobruns", wrong)

    message = json.loads(body)["message"]
    assert message.startswith("6 validation errors detected: ")
    for place in ("executionRoleArn", "mode", "jobDriver", "colour", "clientToken"):
        assert f"{place}: " in message
    assert "hunter2" not in message


def test_at_most_twenty_problems_are_shown(emulator: Emulator) -> None:
    """The message contains the number of the remaining problems."""
    _, body = send(emulator, "POST", "/v1/submitjob", {f"unknown{number}": 1 for number in range(30)})

    assert json.loads(body)["message"].endswith("; and 13 more")


@pytest.mark.parametrize("body", ["not json", "[]", b"\xff", "[" * 100_000])
def test_a_body_that_is_not_a_json_object_is_refused(emulator: Emulator, body: str | bytes) -> None:
    """The error is the one that the service uses for invalid requests."""
    response, _ = send(emulator, "POST", "/v1/submitjob", body)

    assert (response.status, response.headers["x-amzn-ErrorType"]) == (400, "ClientException")


def test_null_members_count_as_absent(emulator: Emulator) -> None:
    """AWS treats these values in the same way."""
    response, _ = send(emulator, "POST", "/v1/submitjob", job_request(tags=None))

    assert response.status == 200


def test_a_boolean_is_not_a_number(emulator: Emulator) -> None:
    """JSON and AWS distinguish these values, although Python does not."""
    response, body = send(emulator, "POST", "/v1/submitjob", job_request(schedulingPriorityOverride=True))

    assert (response.status, "must be an integer" in json.loads(body)["message"]) == (400, True)


def test_unknown_paths_are_404_and_missing_operations_501(emulator: Emulator) -> None:
    """The message names the AWS operation that the emulator does not provide."""
    for method, path in (("POST", "/v1/nothing"), ("PUT", "/applications"), ("GET", "/elsewhere")):
        response, _ = send(emulator, method, path)
        assert (response.status, response.headers["x-amzn-ErrorType"]) == (404, "UnknownOperationException")

    response, body = send(emulator, "POST", "/v1/createjobqueue", {})
    assert (response.status, response.headers["x-amzn-ErrorType"]) == (501, "NotImplementedException")
    assert "CreateJobQueue" in json.loads(body)["message"]


def test_an_invalid_query_is_refused(emulator: Emulator) -> None:
    """Numbers and times in a query are validated like members of a body."""
    for query in ("maxResults=many", "createdAtAfter=yesterday", "states=DONE", "mode=BATCH&maxResults=0"):
        response, _ = send(emulator, "GET", f"/applications/{APPLICATION}/jobruns?{query}")
        assert (response.status, response.headers["x-amzn-ErrorType"]) == (400, "ValidationException")
    response, _ = send(emulator, "GET", f"/applications/{APPLICATION}/jobruns?createdAtAfter=2026-11-22T00:00:00")
    assert response.status == 200


def test_a_bug_in_the_emulator_is_a_500_and_logged(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, submit: Submit, batch: Any
) -> None:
    """The server keeps running, and the failed call stores nothing."""

    def broken(params: dict[str, Any], context: Any) -> dict[str, Any]:
        real.run(params, context)
        raise ZeroDivisionError

    real = AWS_BATCH.operations["SubmitJob"]
    operations = {**AWS_BATCH.operations, "SubmitJob": Operation(broken, writes=True)}
    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR, "reconciler.emulator"):
        patched.setattr(type(AWS_BATCH), "operations", operations)
        with pytest.raises(batch.exceptions.ServerException) as caught:
            submit()

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert "ZeroDivisionError" in caplog.text
    assert emulator.runs() == []
    assert submit()


def test_a_request_of_more_than_30_kib_is_refused(submit: Submit, batch: Any) -> None:
    """Batch's limit applies to the whole request."""
    assert submit(parameters={"a": "x" * 30_000})
    with pytest.raises(batch.exceptions.ClientException, match="30720"):
        submit(parameters={"a": "x" * 31_000})


def test_a_huge_body_is_refused_without_reading_it(emulator: Emulator) -> None:
    """The reply has status 413, and the connection is closed."""
    response, _ = send(emulator, "POST", "/v1/submitjob", None, {"Content-Length": str(10**9)})

    assert (response.status, response.headers["Connection"]) == (413, "close")
