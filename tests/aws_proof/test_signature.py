"""Tests how long AWS accepts a signature, on which the settling time depends most."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session

from tests.aws_proof.account import Account, token
from tests.aws_proof.conftest import Find

pytestmark = pytest.mark.aws

OLD_SECONDS = 16 * 60.0
"""One minute more than AWS documents."""


class Held(Exception):
    """Raised after a request was signed, so that it is not sent."""

    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__("held back after signing")
        self.request = request


def _hold(request: AWSPreparedRequest, **_: object) -> None:
    raise Held(request)


def signed(client: Any, operation: str, **request: object) -> AWSPreparedRequest:
    """Returns a signed request that was not sent."""
    client.meta.events.register_last("before-send", _hold, unique_id="held")
    try:
        getattr(client, operation)(**request)
    except Held as held:
        return held.request
    finally:
        client.meta.events.unregister("before-send", unique_id="held")
    raise AssertionError("the request was not held back")


def delivered(request: AWSPreparedRequest) -> AWSResponse:
    """Sends a request that was signed before, unchanged."""
    session = URLLib3Session()
    try:
        return session.send(request)
    finally:
        session.close()


def test_a_request_held_back_for_sixteen_minutes_is_refused(account: Account, find: Find):
    """A process that was frozen after it signed a request must not start a run when it is woken.

    Both services are tested after one wait.
    """
    wait = account.seconds("SIGNATURE_SECONDS", OLD_SECONDS)
    held = {
        "EMR Serverless": signed(account.emr, "start_job_run", **account.run_request(token())),
        "Batch": signed(account.batch, "submit_job", **account.job_request(token(), "reconciler-aws-proof-held")),
    }
    time.sleep(wait)
    answers = {name: delivered(request) for name, request in held.items()}
    for answer in answers.values():
        _stop_what_it_started(account, answer)
    said = [
        f"{name}: HTTP {answer.status_code} {answer.headers.get('x-amzn-ErrorType', 'no code').partition(':')[0]}"
        for name, answer in answers.items()
    ]
    find(f"{', '.join(said)}, after {wait:.0f} s")

    assert all(400 <= answer.status_code < 500 for answer in answers.values())


def _stop_what_it_started(account: Account, answer: AWSResponse) -> None:
    """Stops the run if the request was unexpectedly accepted."""
    if answer.status_code < 300:
        started = json.loads(answer.content)
        if "jobRunId" in started:
            account.stop_run(started["jobRunId"])
        else:
            account.stop_job(started["jobId"])
