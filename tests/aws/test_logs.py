"""Tests where the logs of a run are and how they are read, with tables of cases and with local servers for CloudWatch
Logs and S3."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.response import StreamingBody

from reconciler.app.session import SystemClock
from reconciler.aws.batch_logs import logs_of as batch_logs
from reconciler.aws.clients import Aws
from reconciler.aws.emr_serverless_logs import logs_of as emr_logs
from reconciler.aws.logs import CHUNK, LONGEST_LINE, decoded, opened, split_lines
from reconciler.core.run_logs import LogStream, RunLogs
from reconciler.errors import ReconcilerError, ServiceError
from tests.campaigns import in_one_test
from tests.ledger.server import Server

RUN = {"applicationId": "00app0spark", "jobRunId": "00frun", "state": "SUCCESS"}
FOLDER = "applications/00app0spark/jobs/00frun"


def names(logs: RunLogs) -> list[str]:
    """Returns the names of the logs, in order."""
    return [stream.name for stream in logs.streams]


# --- AWS Batch --------------------------------------------------------------------------------------------------------


def container(stream: str | None, **more: Any) -> dict[str, Any]:
    """Returns the container of a job, as DescribeJobs does."""
    return {"logStreamName": stream, **more}


def test_a_job_logs_to_the_default_group():
    """The default group is used unless the definition names another group and region."""
    job = {"jobId": "j", "status": "RUNNING", "container": container("worker/default/1")}
    assert batch_logs(job, None).streams == (LogStream("default", "/aws/batch/job", "worker/default/1"),)

    options = {"awslogs-group": "/team/jobs", "awslogs-region": "us-west-2"}
    own = container("p/default/1", logConfiguration={"logDriver": "awslogs", "options": options})
    (stream,) = batch_logs({**job, "container": own}, None).streams
    assert (stream.group, stream.region) == ("/team/jobs", "us-west-2")


def test_each_attempt_of_a_job_has_its_log():
    """The newest attempt is the default. For an attempt that the job does not have, the error contains the number of
    attempts."""
    attempts = [{"container": container(f"worker/default/{n}")} for n in (1, 2)]
    job = {"jobId": "j", "status": "FAILED", "container": container("worker/default/2"), "attempts": attempts}
    assert batch_logs(job, 1).streams[0].path == "worker/default/1"
    assert batch_logs(job, None).streams[0].path == "worker/default/2"
    with pytest.raises(ReconcilerError, match="no attempt 3: it has had 2"):
        batch_logs(job, 3)


def test_each_container_of_a_job_has_its_log():
    """The logs of containers in earlier attempts are available too."""
    now = [{"name": name, "logStreamName": f"w/{name}/2"} for name in ("app", "proxy")]
    before = [{"name": name, "logStreamName": f"w/{name}/1"} for name in ("app", "proxy")]
    job = {
        "jobId": "j",
        "status": "FAILED",
        "ecsProperties": {"taskProperties": [{"containers": now}]},
        "attempts": [{"taskProperties": [{"containers": before}]}, {"taskProperties": [{"containers": now}]}],
    }
    assert [(s.name, s.path) for s in batch_logs(job, None).streams] == [("app", "w/app/2"), ("proxy", "w/proxy/2")]
    assert [s.path for s in batch_logs(job, 1).streams] == ["w/app/1", "w/proxy/1"]


@in_one_test(
    ("job", "missing", "expected"),
    [
        ({"status": "RUNNABLE", "statusReason": "NO_CAPACITY", "container": {}}, "not started (RUNNABLE: NO_CAP", True),
        ({"status": "FAILED", "statusReason": "CannotPullContainer", "container": {}}, "CannotPullContainer", False),
        (
            {"status": "RUNNING", "container": {"logConfiguration": {"logDriver": "splunk"}}},
            "the log driver splunk, not to CloudWatch Logs. To read logs here, set logConfiguration.logDriver",
            False,
        ),
        ({"status": "RUNNING", "eksProperties": {"podProperties": {"podName": "pod-7"}}}, "job is pod-7", False),
        ({"status": "PENDING", "arrayProperties": {"size": 20}}, "array of 20 children", False),
    ],
)  # fmt: skip
def test_a_job_without_a_log(job: dict[str, Any], missing: str, expected: bool):
    """The message contains the reason and says how to keep logs. A job that has not started may still write a log."""
    logs = batch_logs({"jobId": "j", **job}, None)
    assert (logs.streams, missing in logs.missing, logs.expected) == ((), True, expected)


def test_an_array_names_its_failed_children():
    """Each child of an array job has its own log, which is found by the id of the child."""
    job = {"jobId": "j", "status": "FAILED", "arrayProperties": {"size": 9}}
    assert "These children failed: j:2, j:5" in batch_logs(job, None, ["j:2", "j:5"]).missing
    child = {"jobId": "j:2", "status": "FAILED", "arrayProperties": {"index": 2}, "container": container("w/default/2")}
    assert batch_logs(child, None).streams[0].path == "w/default/2"


# --- EMR Serverless ---------------------------------------------------------------------------------------------------


class Application:
    """A client for EMR Serverless with one application."""

    def __init__(self, monitoring: dict[str, Any] | None = None, error: Exception | None = None) -> None:
        self.monitoring, self.error = monitoring, error

    def get_application(self, **_: object) -> dict[str, Any]:
        """Returns the application, or raises the error."""
        if self.error is not None:
            raise self.error
        return {"application": {"monitoringConfiguration": self.monitoring}}


@pytest.fixture(scope="module")
def aws(server: Server) -> Iterator[Aws]:
    """Yields clients for the local CloudWatch Logs and S3."""
    made = Aws("eu-west-1", server.url, ("test", "test"), clock=SystemClock())
    yield made
    made.close()


@pytest.fixture
def bucket(server: Server) -> str:
    """Returns the name of a new bucket."""
    return server.bucket()


def run(**monitoring: Any) -> dict[str, Any]:
    """Returns a job run with these monitoring settings."""
    return {**RUN, "configurationOverrides": {"monitoringConfiguration": monitoring}}


def put(server: Server, bucket: str, name: str, text: str, folder: str = f"logs/{FOLDER}") -> None:
    """Writes a log to S3, compressed if its name ends with ``.gz``."""
    body = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
    server.s3.put_object(Bucket=bucket, Key=f"{folder}/{name}", Body=body)


def write_events(server: Server, group: str, stream: str, *messages: str) -> None:
    """Writes events to CloudWatch Logs."""
    for create, more in (
        (server.logs.create_log_group, {}),
        (server.logs.create_log_stream, {"logStreamName": stream}),
    ):
        with suppress(server.logs.exceptions.ResourceAlreadyExistsException):
            create(logGroupName=group, **more)
    now = int(time.time() * 1000)
    events = [{"timestamp": now + number, "message": message} for number, message in enumerate(messages)]
    server.logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def test_a_run_logs_to_s3(server: Server, aws: Aws, bucket: str):
    """The driver's logs are shown by default, executors are sorted by number, and event logs are not listed."""
    for name in (
        "SPARK_DRIVER/stderr.gz", "SPARK_DRIVER/stdout.gz", "SPARK_EXECUTOR/10/stdout.gz", "SPARK_EXECUTOR/2/stdout.gz",
        "sparklogs/eventlog_v2_00frun/events_1_00frun",
    ):  # fmt: skip
        put(server, bucket, name, "x\n")
    logs = emr_logs(aws, Application(), run(s3MonitoringConfiguration={"logUri": f"s3://{bucket}/logs/"}), None)
    assert names(logs) == ["driver/stderr", "driver/stdout", "executor/2/stdout", "executor/10/stdout"]
    assert [stream.usual for stream in logs.streams] == [True, True, False, False]


def test_the_application_sets_where_its_runs_log(server: Server, aws: Aws, bucket: str):
    """The settings in the run's request take precedence over those of the application."""
    put(server, bucket, "HIVE_DRIVER/stdout.gz", "x\n", FOLDER)
    application = Application({"s3MonitoringConfiguration": {"logUri": f"s3://{bucket}"}})
    assert names(emr_logs(aws, application, RUN, None)) == ["driver/stdout"]
    elsewhere = run(s3MonitoringConfiguration={"logUri": f"s3://{bucket}/elsewhere"})
    assert names(emr_logs(aws, application, elsewhere, None)) == []


def test_attempts_with_folders_of_their_own(server: Server, aws: Aws, bucket: str):
    """The newest attempt is the default."""
    for name in ("SPARK_DRIVER/stdout.gz", "attempts/2/SPARK_DRIVER/stdout.gz", "attempts/10/SPARK_DRIVER/stdout.gz"):
        put(server, bucket, name, "x\n")
    logging = run(s3MonitoringConfiguration={"logUri": f"s3://{bucket}/logs"})
    paths = [emr_logs(aws, Application(), logging, attempt).streams[0].path for attempt in (None, 1, 2)]
    parts = [path.removeprefix(f"logs/{FOLDER}/") for path in paths]
    assert parts == [
        "attempts/10/SPARK_DRIVER/stdout.gz",
        "SPARK_DRIVER/stdout.gz",
        "attempts/2/SPARK_DRIVER/stdout.gz",
    ]


@pytest.mark.parametrize("prefix", [None, "team"])
def test_a_run_logs_to_cloudwatch(server: Server, aws: Aws, prefix: str | None):
    """The default group and prefix are used if the run's settings name none."""
    group = f"/logs/{prefix}"
    write_events(server, group, f"{prefix or ''}/{FOLDER}/SPARK_DRIVER/stdout", "hello")
    settings = {"enabled": True, "logGroupName": group, **({"logStreamNamePrefix": prefix} if prefix else {})}
    logs = emr_logs(aws, Application(), run(cloudWatchLoggingConfiguration=settings), None)
    assert names(logs) == ["driver/stdout"]
    assert list(opened(aws, logs.streams[0]).lines()) == ["hello"]


def test_a_log_in_both_places_is_read_from_cloudwatch(server: Server, aws: Aws, bucket: str):
    """Logs that are only in S3 are listed too."""
    write_events(server, "/both", f"/{FOLDER}/SPARK_DRIVER/stderr", "hello")
    for name in ("SPARK_DRIVER/stderr.gz", "SPARK_EXECUTOR/1/stderr.gz"):
        put(server, bucket, name, "x\n")
    settings = {
        "s3MonitoringConfiguration": {"logUri": f"s3://{bucket}/logs"},
        "cloudWatchLoggingConfiguration": {"enabled": True, "logGroupName": "/both"},
    }
    logs = emr_logs(aws, Application(), run(**settings), None)
    assert [(stream.name, stream.in_s3) for stream in logs.streams] == [
        ("driver/stderr", False),
        ("executor/1/stderr", True),
    ]


def test_logs_that_are_kept_nowhere(aws: Aws):
    """The message says how to keep logs, and where to find those in AWS's managed storage."""
    missing = emr_logs(aws, Application(), RUN, None).missing
    assert "s3MonitoringConfiguration.logUri" in missing
    assert "reconciler open" in missing
    off = emr_logs(aws, Application({"managedPersistenceMonitoringConfiguration": {"enabled": False}}), RUN, None)
    assert "managed storage" not in off.missing


def test_a_run_that_has_not_started_may_still_log(aws: Aws, bucket: str):
    """If logs are configured, `--follow` waits for them. If no location is configured, it does not wait."""
    queued = {**run(s3MonitoringConfiguration={"logUri": f"s3://{bucket}/logs"}), "state": "QUEUED"}
    logs = emr_logs(aws, Application(), queued, None)
    assert (logs.missing, logs.expected) == ("the run has not started (QUEUED)", True)


def test_one_place_that_cannot_be_read_is_a_warning(server: Server, aws: Aws, bucket: str):
    """If no location can be read, AWS's own error is raised."""
    put(server, bucket, "SPARK_DRIVER/stdout.gz", "x\n")
    refused = Application(error=RuntimeError("denied"))
    logs = emr_logs(aws, refused, run(s3MonitoringConfiguration={"logUri": f"s3://{bucket}/logs"}), None)
    assert names(logs) == ["driver/stdout"]
    assert "denied" in logs.warnings[0]
    with pytest.raises(ServiceError, match="denied"):
        emr_logs(aws, refused, RUN, None)
    with pytest.raises(ServiceError, match="NoSuchBucket"):
        emr_logs(aws, Application(), run(s3MonitoringConfiguration={"logUri": "s3://no-such-bucket-here/x"}), None)


# --- reading ----------------------------------------------------------------------------------------------------------


def test_all_pages_of_a_stream_are_read(server: Server, aws: Aws):
    """A second read returns only lines that were added since the first. An event may contain several lines."""
    stream = LogStream("default", "/paged", "s")
    for number in range(2):
        write_events(server, "/paged", "s", *(f"{number} {each}" for each in range(5001)))
    cursor = opened(aws, stream)
    assert sum(1 for _ in cursor.lines()) == 10_002
    assert list(cursor.lines()) == []
    write_events(server, "/paged", "s", "one\ntwo\n")
    assert list(cursor.lines()) == ["one", "two"]


def test_a_token_that_expired_is_replaced(aws: Aws, monkeypatch: pytest.MonkeyPatch):
    """A token of CloudWatch Logs expires after 24 hours. The events since then are read again from the time of the last
    event."""
    asked: list[Any] = []
    invalid = {"Error": {"Code": "InvalidParameterException", "Message": "The specified nextToken is invalid."}}
    answers: list[Any] = [
        {"events": [{"timestamp": 1000, "message": "one"}], "nextForwardToken": "f/1"},
        {"events": [], "nextForwardToken": "f/1"},
        ClientError(invalid, "GetLogEvents"),
        {"events": [{"timestamp": 2000, "message": "two"}], "nextForwardToken": "f/2"},
        {"events": [], "nextForwardToken": "f/2"},
    ]

    def answer(**given: Any) -> Any:
        asked.append({name: value for name, value in given.items() if not name.startswith("log")})
        reply = answers[len(asked) - 1]
        if isinstance(reply, Exception):
            raise reply
        return reply

    monkeypatch.setattr(aws.reader("logs"), "get_log_events", answer)
    cursor = opened(aws, LogStream("default", "/expired", "s"))
    assert [list(cursor.lines()), list(cursor.lines())] == [["one"], ["two"]]
    assert asked[2:4] == [{"nextToken": "f/1"}, {"startFromHead": True, "startTime": 1001}]


def test_the_newest_events_are_read_alone(server: Server, aws: Aws):
    """Events that are added later are read after them."""
    write_events(server, "/newest", "s", *(str(number) for number in range(500)))
    cursor = opened(aws, LogStream("default", "/newest", "s"), newest=2)
    assert list(cursor.lines())[-2:] == ["498", "499"]
    write_events(server, "/newest", "s", "more")
    assert list(cursor.lines()) == ["more"]


def test_a_log_that_does_not_exist_yet_has_no_lines(server: Server, aws: Aws, bucket: str):
    """The log group or the object may be created later."""
    events = opened(aws, LogStream("default", "/later", "s"))
    text = opened(aws, LogStream("driver/stdout", bucket, f"logs/{FOLDER}/SPARK_DRIVER/stdout.gz", in_s3=True))
    assert (list(events.lines()), list(text.lines())) == ([], [])
    write_events(server, "/later", "s", "hello")
    put(server, bucket, "SPARK_DRIVER/stdout.gz", "hello\n")
    assert (list(events.lines()), list(text.lines())) == (["hello"], ["hello"])


def test_an_object_that_grows_is_read_on(server: Server, aws: Aws, bucket: str):
    """AWS replaces the object when the log grows. Each line is yielded once; if a line was incomplete, its rest is
    yielded later."""
    cursor = opened(aws, LogStream("driver/stdout", bucket, f"logs/{FOLDER}/SPARK_DRIVER/stdout.gz", in_s3=True))
    put(server, bucket, "SPARK_DRIVER/stdout.gz", "one\ntwo\nthr")
    assert list(cursor.lines()) == ["one", "two", "thr"]
    assert list(cursor.lines()) == []
    put(server, bucket, "SPARK_DRIVER/stdout.gz", "one\ntwo\nthree\nfour\n")
    assert list(cursor.lines()) == ["ee", "four"]


def test_an_object_whose_body_was_cut_is_read_again(server: Server, aws: Aws, bucket: str, monkeypatch: Any):
    """The object did not change, and the lines that were missing are yielded by the next read."""
    put(server, bucket, "SPARK_DRIVER/stdout", "one\ntwo\n")
    cursor = opened(aws, LogStream("driver/stdout", bucket, f"logs/{FOLDER}/SPARK_DRIVER/stdout", in_s3=True))

    def cut(_body: object, _size: int) -> Iterator[bytes]:
        yield b"one\n"
        raise ReadTimeoutError(endpoint_url="s3")

    with monkeypatch.context() as patch:
        patch.setattr(StreamingBody, "iter_chunks", cut)
        first = cursor.lines()
        assert next(first) == "one"
        with pytest.raises(ServiceError, match="ReadTimeoutError"):
            next(first)
    assert (list(cursor.lines()), list(cursor.lines())) == (["two"], [])


def test_members_of_a_compressed_log_are_joined():
    """The last member may be incomplete, and the text may not be UTF-8."""
    data = gzip.compress(b"one\n") + gzip.compress(b"tw\xff\n") + gzip.compress(b"three\n" * 1000)[:-12]
    lines = list(split_lines(decoded([data[:7], data[7:]], gzip=True)))
    assert lines[:2] == ["one", "tw\ufffd"]
    assert set(lines[2:]) <= {"three", "thre", "thr", "th", "t"}


def test_a_compressed_log_that_expands_fills_no_memory():
    """Neither all decompressed bytes nor a line of unlimited length is in memory at once."""
    parts = list(decoded([gzip.compress(bytes(40 * CHUNK))], gzip=True))
    assert sum(map(len, parts)) == 40 * CHUNK
    assert max(map(len, parts)) <= CHUNK
    assert max(map(len, split_lines(parts))) <= LONGEST_LINE + CHUNK
