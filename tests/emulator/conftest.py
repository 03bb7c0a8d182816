"""Provides an emulator with a clock that only the test advances, and real clients that check the shape of every
reply."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.validate import ParamValidator

from reconciler.emulator import Emulator
from reconciler.errors import UsageError
from tests.waiting import PATIENCE_SECONDS

NOON = 1795348800.0
"""2026-11-22T12:00:00Z."""
ROLE = "arn:aws:iam::000000000000:role/emr-jobs"
APPLICATION = "00f1abcdefg"


class Clock:
    """Replaces `time.time` while a test runs."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        """Returns the current time in seconds since the epoch."""
        return self.now

    def tick(self, seconds: float) -> None:
        """Advances the clock."""
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replaces the clock for all code that calls `time.time`."""
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


_PORTS = [0]
"""The port of the emulator of the previous test. If the port is free, it is reused, and so are the clients."""


@pytest.fixture
def emulator(clock: Clock) -> Iterator[Emulator]:
    """Runs an emulator in memory with the default settings: runs start after 2 s, take 20 s, and succeed."""
    try:
        emulator = Emulator(None, port=_PORTS[-1]).start()
    except UsageError:  # another process has taken the port
        emulator = Emulator(None).start()
    with emulator:
        _PORTS.append(int(emulator.url.rpartition(":")[2]))
        yield emulator


@cache
def client(service: str, url: str) -> Any:
    """Creates a real boto3 client that does not retry, and raises an error if a reply does not match the shape of its
    operation."""
    made = boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="none",
        config=Config(retries={"total_max_attempts": 1}),
    )
    made.meta.events.register("after-call", _check_shape)
    return made


def _check_shape(http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
    if http_response.status_code >= 300 or model.output_shape is None:
        return
    members = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
    report = ParamValidator().validate(members, model.output_shape).generate_report()
    # Batch's model requires startedAt, but the service leaves it out until a job starts. EMR Serverless returns an
    # empty stateDetails for a run without details.
    unexpected = [line for line in report.splitlines() if "startedAt" not in line and "stateDetails" not in line]
    assert unexpected == []


@pytest.fixture
def emr(emulator: Emulator) -> Iterator[Any]:
    """Creates a client for EMR Serverless."""
    made = client("emr-serverless", emulator.url)
    yield made
    made.close()


@pytest.fixture
def batch(emulator: Emulator) -> Iterator[Any]:
    """Creates a client for AWS Batch."""
    made = client("batch", emulator.url)
    yield made
    made.close()


@pytest.fixture
def start(emr: Any) -> Callable[..., str]:
    """Starts a run, with a default for every required member, and returns its id."""

    def start(**changes: Any) -> str:
        return str(emr.start_job_run(**run_request(**changes))["jobRunId"])

    return start


@pytest.fixture
def submit(batch: Any) -> Callable[..., str]:
    """Submits a job, with a default for every required member, and returns its id."""

    def submit(**changes: Any) -> str:
        return str(batch.submit_job(**job_request(**changes))["jobId"])

    return submit


@pytest.fixture
def job(batch: Any) -> Callable[[str], dict[str, Any]]:
    """Returns DescribeJobs' description of one job."""

    def job(job_id: str) -> dict[str, Any]:
        (described,) = batch.describe_jobs(jobs=[job_id])["jobs"]
        return dict(described)

    return job


@pytest.fixture
def run(emr: Any) -> Callable[[str], dict[str, Any]]:
    """Returns GetJobRun's description of one run."""

    def run(run_id: str) -> dict[str, Any]:
        return dict(emr.get_job_run(applicationId=APPLICATION, jobRunId=run_id)["jobRun"])

    return run


def run_request(**changes: Any) -> dict[str, Any]:
    """Returns a StartJobRun request."""
    driver = {"sparkSubmit": {"entryPoint": "s3://bucket/job.py", "entryPointArguments": ["--day", "1"]}}
    request = {"applicationId": APPLICATION, "executionRoleArn": ROLE, "name": "orders", "jobDriver": driver}
    return {**request, **changes}


def job_request(**changes: Any) -> dict[str, Any]:
    """Returns a SubmitJob request."""
    return {"jobName": "orders", "jobQueue": "main", "jobDefinition": "etl", **changes}


def send(
    emulator: Emulator, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> tuple[HTTPResponse, bytes]:
    """Sends one raw request that no client validates first. `body` is text, bytes, or an object to send as JSON."""
    connection = HTTPConnection(emulator.url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    try:
        connection.request(
            method, path, body if isinstance(body, str | bytes | None) else json.dumps(body), dict(headers or {})
        )
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def ask_control(emulator: Emulator, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Sends one request to the control endpoint, and returns the status and the JSON."""
    response, text = send(emulator, method, f"/_emulator/{path}", body, {"Content-Type": "application/json"})
    return response.status, json.loads(text)
