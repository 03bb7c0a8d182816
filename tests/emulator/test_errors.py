"""What the emulator says no to, and how: AWS's error shapes, parsed by botocore and looked at raw."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from reconciler.emulator import Emulator
from reconciler.emulator.dispatch import AWS_BATCH
from reconciler.emulator.operations import Operation
from tests.emulator.conftest import APPLICATION, job_request, run_request

Submit = Callable[..., str]


def send(
    emulator: Emulator, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[HTTPResponse, bytes]:
    """One raw request, without a client that would check it first."""
    connection = HTTPConnection(emulator.url.removeprefix("http://"), timeout=10)
    try:
        text = body if isinstance(body, str | bytes | None) else json.dumps(body)
        connection.request(method, path, text, headers or {})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_an_error_is_in_the_form_of_rest_json(emulator: Emulator) -> None:
    """The code in a header, the message in the body, a request id and a date."""
    response, body = send(emulator, "POST", f"/applications/{APPLICATION}/jobruns", {"clientToken": "t"})

    assert (response.status, response.headers["x-amzn-ErrorType"]) == (400, "ValidationException")
    assert {"message"} == set(json.loads(body))
    assert "executionRoleArn: is required" in json.loads(body)["message"]
    assert response.headers["x-amzn-RequestId"]
    assert response.headers["Date"] == "Sun, 22 Nov 2026 12:00:00 GMT"


def test_good_replies_have_a_request_id_and_a_date(submit: Submit, batch: Any) -> None:
    """Every reply has them, since clients tell AWS from a proxy by them."""
    metadata = batch.submit_job(**job_request())["ResponseMetadata"]

    assert metadata["RequestId"]
    assert metadata["HTTPHeaders"]["date"] == "Sun, 22 Nov 2026 12:00:00 GMT"


def test_the_documented_exception_classes_are_raised(emr: Any, batch: Any) -> None:
    """botocore recognises each code."""
    with pytest.raises(emr.exceptions.ValidationException):
        emr.start_job_run(**run_request(applicationId="with_underscore"))
    with pytest.raises(emr.exceptions.ResourceNotFoundException):
        emr.cancel_job_run(applicationId=APPLICATION, jobRunId="00nothing")
    with pytest.raises(batch.exceptions.ClientException):
        batch.submit_job(**job_request(jobName="with space"))


def test_all_problems_come_at_once(emulator: Emulator) -> None:
    """With their number, and without the values: messages end up in logs."""
    wrong = {"executionRoleArn": "hunter2", "mode": "batch", "jobDriver": {}, "colour": "red", "clientToken": "a/b"}
    _, body = send(emulator, "POST", f"/applications/{APPLICATION}/jobruns", wrong)

    message = json.loads(body)["message"]
    assert message.startswith("6 validation errors detected: ")
    for place in ("executionRoleArn", "mode", "jobDriver", "colour", "clientToken"):
        assert f"{place}: " in message
    assert "hunter2" not in message


def test_many_problems_are_counted_and_cut(emulator: Emulator) -> None:
    """Twenty are shown."""
    _, body = send(emulator, "POST", "/v1/submitjob", {f"unknown{number}": 1 for number in range(30)})

    assert json.loads(body)["message"].endswith("; and 13 more")


@pytest.mark.parametrize("body", ["not json", "[]", b"\xff", "[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(emulator: Emulator, body: str | bytes) -> None:
    """As the service's own invalid-request error."""
    response, _ = send(emulator, "POST", "/v1/submitjob", body)

    assert (response.status, response.headers["x-amzn-ErrorType"]) == (400, "ClientException")


def test_null_members_count_as_absent(emulator: Emulator) -> None:
    """As AWS reads them."""
    response, _ = send(emulator, "POST", "/v1/submitjob", job_request(tags=None))

    assert response.status == 200


def test_a_boolean_is_no_number(emulator: Emulator) -> None:
    """JSON has both; so has AWS."""
    response, body = send(emulator, "POST", "/v1/submitjob", job_request(schedulingPriorityOverride=True))

    assert (response.status, "must be an integer" in json.loads(body)["message"]) == (400, True)


def test_unknown_paths_and_operations(emulator: Emulator) -> None:
    """A path that AWS does not have is 404; an operation that the emulator does not have is 501 and says so."""
    for method, path in (("POST", "/v1/nothing"), ("PUT", "/applications"), ("GET", "/elsewhere")):
        response, _ = send(emulator, method, path)
        assert (response.status, response.headers["x-amzn-ErrorType"]) == (404, "UnknownOperationException")

    response, body = send(emulator, "POST", "/v1/createjobqueue", {})
    assert (response.status, response.headers["x-amzn-ErrorType"]) == (501, "NotImplementedException")
    assert "CreateJobQueue" in json.loads(body)["message"]


def test_a_query_that_cannot_be_read_is_invalid(emulator: Emulator) -> None:
    """Numbers and times in the query are checked like members of a body."""
    for query in ("maxResults=many", "createdAtAfter=yesterday", "states=DONE", "mode=BATCH&maxResults=0"):
        response, _ = send(emulator, "GET", f"/applications/{APPLICATION}/jobruns?{query}")
        assert (response.status, response.headers["x-amzn-ErrorType"]) == (400, "ValidationException")
    response, _ = send(emulator, "GET", f"/applications/{APPLICATION}/jobruns?createdAtAfter=2026-11-22T00:00:00")
    assert response.status == 200


def test_a_mistake_of_the_emulator_is_a_500_and_logged(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, submit: Submit, batch: Any
) -> None:
    """The server lives on, and nothing of the failed call is stored."""

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
    """Batch counts the whole request."""
    assert submit(parameters={"a": "x" * 30_000})
    with pytest.raises(batch.exceptions.ClientException, match="30720"):
        submit(parameters={"a": "x" * 31_000})


def test_a_huge_body_is_refused_before_it_is_read(emulator: Emulator) -> None:
    """With 413, and the connection ends."""
    response, _ = send(emulator, "POST", "/v1/submitjob", None, {"Content-Length": str(10**9)})

    assert (response.status, response.headers["Connection"]) == (413, "close")
