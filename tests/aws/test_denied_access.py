"""Tests the messages for calls that AWS refuses, built from AWS's own replies: their statuses, headers and bodies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from reconciler.app.session import SystemClock
from reconciler.aws import denied_access
from reconciler.aws.batch import Batch
from reconciler.aws.clients import Aws
from reconciler.aws.denied_access import Access, advice
from reconciler.aws.emr_serverless import EmrServerless
from reconciler.aws.emr_serverless_logs import logs_of
from reconciler.aws.errors import TRANSIENT
from reconciler.aws.logs import opened
from reconciler.core.ports import RunRef
from reconciler.core.run_logs import LogStream
from reconciler.errors import ServiceError
from reconciler.model.arns import Arns

JANE = "User: arn:aws:sts::111122223333:assumed-role/ops/jane is not authorized to perform:"
GROUP = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/batch/job"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
FOLDER = "logs/applications/00app/jobs/00frun/SPARK_DRIVER"
OBJECT, OBJECTS = f"arn:aws:s3:::shop-logs/{FOLDER}/stdout.gz", "arn:aws:s3:::shop-logs/logs/*"
RUNS = "arn:aws:emr-serverless:eu-west-1:111122223333:/applications/00app"

EVENTS = LogStream("default", "/aws/batch/job", "worker/default/1")
STORED = LogStream("driver/stdout", "shop-logs", f"{FOLDER}/stdout.gz", in_s3=True)
RUN = RunRef("t", "00frun", {"applicationId": "00app"})
IN_S3 = {"s3MonitoringConfiguration": {"logUri": "s3://shop-logs/logs"}, "cloudWatchLoggingConfiguration": {}}
IN_CLOUDWATCH = {
    "s3MonitoringConfiguration": {},
    "cloudWatchLoggingConfiguration": {"enabled": True, "logGroupName": "/spark"},
}


def refused(action: str, resource: str, why: str = "identity-based policy") -> str:
    """Returns the message of a service that names the action, the resource and the type of the policy."""
    return f"{JANE} {action} on resource: {resource} because no {why} allows the {action} action"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """Yields clients for an endpoint that is never reached, because each test sets the reply. botocore does not pause
    between retries."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    made = Aws("eu-west-1", "http://127.0.0.1:9", ("test", "test"), clock=SystemClock())
    made.arns = Arns("111122223333", "eu-west-1")
    yield made
    made.close()


def reply_with(aws: Aws, status: int, code: str, message: str) -> None:
    """Makes AWS reply to each call with an error, in the form of the protocol of each service."""
    for client, is_xml in (
        (aws.reader("logs"), False),
        (aws.reader("batch"), False),
        (aws.reader("emr-serverless"), False),
        (aws.follower("s3"), True),
    ):
        text = json.dumps({"__type": code, "message": message})
        if is_xml:
            text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        client.meta.events.register_first("before-send", _sender(status, {"x-amzn-errortype": code}, text.encode()))


def _sender(status: int, headers: dict[str, str], body: bytes) -> Callable[..., AWSResponse]:
    def send(request: Any, **_: object) -> AWSResponse:
        response = AWSResponse(request.url, status, headers, None)
        response._content = body
        return response

    return send


def run_with(monitoring: dict[str, Any]) -> dict[str, Any]:
    """Returns a run as GetJobRun describes it."""
    return {
        "applicationId": "00app",
        "jobRunId": "00frun",
        "state": "SUCCESS",
        "configurationOverrides": {"monitoringConfiguration": monitoring},
    }


CALLS: dict[str, Callable[[Aws], object]] = {
    "GetLogEvents": lambda aws: list(opened(aws, EVENTS).lines()),
    "GetObject": lambda aws: list(opened(aws, STORED).lines()),
    "ListObjectsV2": lambda aws: logs_of(aws, None, run_with(IN_S3), None),
    "DescribeLogStreams": lambda aws: logs_of(aws, None, run_with(IN_CLOUDWATCH), None),
    "DescribeJobs": lambda aws: Batch(aws).logs(RunRef("t", "j", {"jobQueue": "q", "jobName": "n"}), None),
    "GetJobRun": lambda aws: EmrServerless(aws).logs(RUN, None),
    "GetDashboardForJobRun": lambda aws: EmrServerless(aws).live_page(RUN, None),
}
"""The calls that `logs` and `open` make, by operation."""

NEED = "access denied: these credentials need"

EXPIRED = "The security token included in the request is expired"
SCP = "service control policy: arn:aws:organizations::9:policy/o-1/service_control_policy/p-2"

REFUSALS = [
    ("GetLogEvents", 400, "AccessDeniedException", refused("logs:GetLogEvents", f"{GROUP}:log-stream:worker/default/1"),
     f"{NEED} logs:GetLogEvents on {GROUP}:*. Allow it in the policy of their role"),
    ("GetLogEvents", 400, "AccessDeniedException", "denied", f"{NEED} logs:GetLogEvents on {GROUP}:*."),
    ("DescribeLogStreams", 400, "AccessDeniedException", "no",
     f"{NEED} logs:DescribeLogStreams on {GROUP.replace('/aws/batch/job', '/spark')}:*."),
    ("DescribeJobs", 403, "AccessDeniedException", refused("batch:DescribeJobs", "arn:aws:batch:eu-west-1:1:*"),
     f"{NEED} batch:DescribeJobs on *."),
    ("DescribeJobs", 403, "AccessDeniedException", "", f"{NEED} batch:DescribeJobs on *."),
    ("GetJobRun", 403, "AccessDeniedException", "denied",
     f"{NEED} emr-serverless:GetJobRun on arn:aws:emr-serverless:*:*:/applications/00app/jobruns/*."),
    ("GetDashboardForJobRun", 403, "AccessDeniedException",
     refused("emr-serverless:GetDashboardForJobRun", f"{RUNS}/jobruns/00frun"),
     f"{NEED} emr-serverless:GetDashboardForJobRun on {RUNS}/jobruns/00frun."),
    ("ListObjectsV2", 403, "AccessDenied", "Access Denied", f"{NEED} s3:ListBucket on arn:aws:s3:::shop-logs."),
    ("GetObject", 403, "AccessDenied", "Access Denied", f"{NEED} s3:GetObject on {OBJECTS}. S3 replies the same if"),
    ("GetObject", 403, "AccessDenied", refused("s3:GetObject", f'"{OBJECT}"', "resource-based policy"),
     f"access denied: no resource-based policy allows s3:GetObject on {OBJECTS}. Allow it there."),
    ("GetObject", 403, "AccessDenied", refused("kms:Decrypt", KEY), f"{NEED} kms:Decrypt on {KEY}."),
    ("GetObject", 403, "AccessDenied", f"{JANE} s3:GetObject on resource: {OBJECT} with an explicit deny in a {SCP}",
     f"access denied: a service control policy denies s3:GetObject on {OBJECTS}. Remove that there;"),
    ("GetObject", 400, "KMS.DisabledException", f"{KEY} is disabled.", "the KMS key of the log cannot be used"),
    ("GetObject", 403, "InvalidObjectState", "The operation is not valid", "Restore the object first"),
    ("GetObject", 400, "ExpiredToken", "The provided token has expired.", "the AWS credentials have expired. Get new"),
    ("GetLogEvents", 400, "ExpiredTokenException", EXPIRED, "the AWS credentials have expired."),
    ("DescribeJobs", 403, "ExpiredTokenException", EXPIRED, "the AWS credentials have expired."),
    ("ListObjectsV2", 404, "NoSuchBucket", "The specified bucket does not exist",
     "the bucket shop-logs does not exist. Check the logUri"),
    ("ListObjectsV2", 301, "PermanentRedirect", "The bucket must be addressed using the specified endpoint.",
     "the bucket shop-logs is in a region in which it cannot"),
    ("GetLogEvents", 400, "ThrottlingException", "Rate exceeded", "Try again later."),
    ("GetObject", 503, "SlowDown", "Please reduce your request rate.", "Try again later."),
]  # fmt: skip
"""The operation, status, code and message of AWS's reply, and the start of the resulting message."""


@pytest.mark.parametrize(("operation", "status", "code", "message", "expected"), REFUSALS)
def test_a_refusal_names_the_permission_to_add(
    aws: Aws, operation: str, status: int, code: str, message: str, expected: str
):
    """The message contains the action and the resource, says what to do, and ends with AWS's own message."""
    reply_with(aws, status, code, message)
    with pytest.raises(ServiceError) as caught:
        CALLS[operation](aws)
    assert (caught.value.operation, caught.value.code) == (operation, code)
    assert expected in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [("GetLogEvents", "The specified log group does not exist."), ("GetObject", "The specified key does not exist.")],
)
def test_a_missing_log_is_not_a_refusal(aws: Aws, call: str, message: str):
    """The cursor yields nothing and keeps AWS's error message, because the log may be created later."""
    reply_with(aws, 404, "NoSuchKey" if call == "GetObject" else "ResourceNotFoundException", message)
    cursor = opened(aws, STORED if call == "GetObject" else EVENTS)
    assert (list(cursor.lines()), cursor.absent) == ([], message)


def test_a_missing_log_group_of_spark_is_expected(aws: Aws):
    """EMR Serverless creates the log group when it writes the first log, so the run only has no logs yet."""
    reply_with(aws, 400, "ResourceNotFoundException", "The specified log group does not exist.")
    logs = logs_of(aws, None, run_with(IN_CLOUDWATCH), None)
    assert (logs.streams, logs.missing) == ((), "there are no logs of this run in log group /spark")


def test_errors_that_pass_are_distinguished():
    """`--follow` continues after these errors and stops after any other error."""
    assert {"ThrottlingException", "SlowDown", "503", "ReadTimeoutError", "EndpointConnectionError"} <= TRANSIENT
    assert not {"AccessDenied", "ExpiredToken", "ResourceNotFoundException", "NoSuchBucket", "403"} & TRANSIENT


def test_nothing_is_advised_without_a_name():
    """If neither the message nor the caller names an action, only AWS's message is shown."""
    assert advice("Access Denied", None) is None
    assert advice("Access Denied", Access("batch:TerminateJob")) == (
        "access denied: these credentials need batch:TerminateJob."
    )
    assert denied_access.NEEDED["DescribeJobs"] == Access("batch:DescribeJobs", "*")
