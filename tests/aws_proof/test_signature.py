"""How long AWS takes a signature: what the settling time rests on most."""

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
"""A minute more than AWS documents."""


class Held(Exception):
    """A request was signed and is held back."""

    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__("held back after signing")
        self.request = request


def _hold(request: AWSPreparedRequest, **_: object) -> None:
    raise Held(request)


def signed(client: Any, operation: str, **request: object) -> AWSPreparedRequest:
    """A request as it would go out, signed now and not sent."""
    client.meta.events.register_last("before-send", _hold, unique_id="held")
    try:
        getattr(client, operation)(**request)
    except Held as held:
        return held.request
    finally:
        client.meta.events.unregister("before-send", unique_id="held")
    raise AssertionError("the request was not held back")


def delivered(request: AWSPreparedRequest) -> AWSResponse:
    """Sends a request that was signed before, as it is."""
    session = URLLib3Session()
    try:
        return session.send(request)
    finally:
        session.close()


@pytest.mark.parametrize("service", ["emr", "batch"])
def test_a_request_held_back_for_sixteen_minutes_is_refused(account: Account, find: Find, service: str):
    """A process that was frozen with a signed request in its hands must not start a run when it is woken."""
    mine, wait = token(), account.seconds("SIGNATURE_SECONDS", OLD_SECONDS)
    if service == "emr":
        request = signed(account.emr, "start_job_run", **account.run_request(mine))
    else:
        request = signed(account.batch, "submit_job", **account.job_request(mine, "reconciler-aws-proof-held"))
    time.sleep(wait)
    answer = delivered(request)
    if answer.status_code < 300:  # it started one: stop it
        started = json.loads(answer.content)
        stop = account.stop_run if service == "emr" else account.stop_job
        stop(started.get("jobRunId") or started["jobId"])
    code = answer.headers.get("x-amzn-ErrorType", "no code").partition(":")[0]
    find(f"{service}: HTTP {answer.status_code} {code} after {wait:.0f} s")

    assert 400 <= answer.status_code < 500
