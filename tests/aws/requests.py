"""Contains one request for each service, and a deadline in the far future."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from reconciler.app.session import SystemClock
from reconciler.aws import batch, emr_serverless
from reconciler.aws.clients import Aws
from reconciler.core.ports import Instant, Service

JOB_RUN: dict[str, Any] = {
    "applicationId": "00f1abcdefg",
    "clientToken": "r1-aa",
    "executionRoleArn": "arn:aws:iam::123456789012:role/emr-jobs",
    "jobDriver": {"sparkSubmit": {"entryPoint": "s3://bucket/orders.py", "entryPointArguments": ["hunter2-canary"]}},
    "tags": {"reconciler:token": "r1-aa"},
}
JOB: dict[str, Any] = {
    "jobName": "orders",
    "jobQueue": "spot",
    "jobDefinition": "orders:3",
    "containerOverrides": {"environment": [{"name": "PASSWORD", "value": "hunter2-canary"}]},
    "tags": {"reconciler:token": "r1-aa"},
}
STARTED = {"applicationId": "00f1abcdefg", "jobRunId": "00run", "arn": "arn:aws:emr-serverless:run"}
SUBMITTED = {"jobName": "orders", "jobId": "job-1", "jobArn": "arn:aws:batch:job"}


@dataclass(frozen=True)
class Submit:
    """A request to submit a run to one service, and AWS's reply if it accepts the request."""

    service: str
    request: dict[str, Any]
    accepted: dict[str, str]
    run_id: str

    def connect(self, aws: Aws) -> Service:
        """Returns the adapter of the service."""
        return {"emr-serverless": emr_serverless.connect, "batch": batch.connect}[self.service](aws)


EMR = Submit("emr-serverless", JOB_RUN, STARTED, "00run")
BATCH = Submit("batch", JOB, SUBMITTED, "job-1")


def in_a_minute() -> Instant:
    """Returns a deadline that no test exceeds."""
    return Instant(time.time() + 60, SystemClock().boot() + 60)
