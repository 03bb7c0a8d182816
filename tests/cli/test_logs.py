"""Tests `logs` and `open` with logs in a local CloudWatch Logs and S3."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import pytest

from reconciler.app import run_logs
from reconciler.aws.logs import EventCursor
from reconciler.errors import ServiceError
from tests.cli.doubt import batch_of_others, terminated_by_others
from tests.cli.world import World
from tests.ledger.server import Server

LOGGED = """\
apiVersion: reconciler/v1
kind: EmrServerlessJobRun
metadata:
  name: orders
spec:
  request:
    applicationId: 00app0spark
    executionRoleArn: arn:aws:iam::111122223333:role/jobs
    jobDriver:
      sparkSubmit:
        entryPoint: s3://shop-jobs/orders.py
    configurationOverrides:
      monitoringConfiguration:
        s3MonitoringConfiguration:
          logUri: s3://{bucket}/logs/
"""


@pytest.fixture
def stored(world: World, server: Server) -> Server:
    """The log server, to which the commands of `world` connect."""
    world.env |= {f"AWS_ENDPOINT_URL_{name}": server.url for name in ("S3", "CLOUDWATCH_LOGS")}
    return server


@pytest.fixture
def spark_run(world: World, stored: Server) -> str:
    """Applies a spec, writes the logs of its run to S3, and returns the id of the run."""
    bucket = stored.bucket()
    world.write("orders.yaml", LOGGED.format(bucket=bucket))
    world.run("apply", "--yes")
    (run,) = world.runs()
    for name, text in {
        "SPARK_DRIVER/stdout.gz": "rows: 7\npassword=hunter2hunter2\n\x1b[31mred\n",
        "SPARK_DRIVER/stderr.gz": "INFO started\n::error::not ours\n",
        "SPARK_EXECUTOR/1/stdout.gz": "executor\n",
    }.items():
        key = f"logs/applications/00app0spark/jobs/{run.id}/{name}"
        stored.s3.put_object(Bucket=bucket, Key=key, Body=gzip.compress(text.encode()))
    return run.id


def test_the_logs_of_the_driver_are_shown(world: World, spark_run: str):
    """The log text comes from the job, so secrets are masked, and the text is escaped for terminals and CI runners."""
    done = world.run("logs", "orders")
    assert done.code == 0, done.err
    assert done.out.split("\n") == [
        "==> driver/stderr <==",
        "INFO started",
        "\\u003a:error::not ours",
        "==> driver/stdout <==",
        "rows: 7",
        "password=(sensitive)",
        "\\u001b[31mred",
        "",
    ]


def test_one_log_is_shown_without_a_header(world: World, spark_run: str):
    """A log can be chosen by its name or a prefix of it. `--tail` shows its last lines, and `--raw` prints it
    unchanged."""
    assert world.run("logs", spark_run, "--stream", "executor/1").out == "executor\n"
    assert world.run("logs", "orders", "--stream", "driver/stdout", "--tail", "1", "--raw").out == "\x1b[31mred\n"
    wrong = world.run("logs", "orders", "--stream", "driver/stdot")
    assert (wrong.code, "Did you mean driver/stdout?" in wrong.err) == (1, True)


def test_the_logs_are_listed(world: World, spark_run: str):
    """The logs are listed with their locations, as text and as JSON."""
    listed = world.run("logs", "orders", "--list").out.splitlines()
    assert [line.split()[0] for line in listed] == ["driver/stderr", "driver/stdout", "executor/1/stdout"]
    value = world.run("logs", "orders", "--format", "json").json
    assert value["run_id"] == spark_run
    assert value["logs"][0]["location"].endswith(f"/jobs/{spark_run}/SPARK_DRIVER/stderr.gz")


def test_a_run_without_logs_says_how_to_keep_them(world: World):
    """The message explains how to keep logs. For a spec without a run, the message is about the missing run."""
    world.spark("clicks")
    assert "has no spec" in world.run("logs", "clicks").err
    world.run("apply", "--yes")
    done = world.run("logs", "clicks")
    assert (done.code, "s3MonitoringConfiguration.logUri" in done.err) == (1, True)


def test_a_run_is_followed_to_its_end(world: World, stored: Server, monkeypatch: pytest.MonkeyPatch):
    """Each line is printed once, even if a read is throttled, including the lines that arrive after the end of the
    run."""
    world.batch("clicks")
    world.run("apply", "--yes")
    (run,) = world.runs()
    with batch_of_others(world) as batch:
        stream = batch.describe_jobs(jobs=[run.id])["jobs"][0]["container"]["logStreamName"]
    place = {"logGroupName": "/aws/batch/job", "logStreamName": stream}
    with suppress(stored.logs.exceptions.ResourceAlreadyExistsException):
        stored.logs.create_log_group(logGroupName=place["logGroupName"])
    stored.logs.create_log_stream(**place)

    read = EventCursor.lines
    refused = iter([False, True])

    def throttled(cursor: EventCursor) -> Iterator[str]:
        if next(refused, False):
            raise ServiceError("GetLogEvents", "ThrottlingException", "Rate exceeded")
        return read(cursor)

    def rounds(_stop: object) -> Iterator[int]:
        for number in count():
            event = {"timestamp": int(time.time() * 1000), "message": f"line {number}"}
            stored.logs.put_log_events(**place, logEvents=[event])
            if number == 2:
                terminated_by_others(world, run.id)
            yield number

    monkeypatch.setattr(EventCursor, "lines", throttled)
    monkeypatch.setattr(run_logs, "_until", rounds)
    monkeypatch.setattr(run_logs, "LATE_SECONDS", 0.0)
    done = world.run("logs", "clicks", "--follow")
    assert done.code == 0, done.err
    assert done.out.splitlines() == [f"line {number}" for number in range(run_logs.LOOK_EVERY + 1)]
    assert "are read again: GetLogEvents: ThrottlingException" in done.err


def test_a_log_that_does_not_exist_is_an_error(world: World, stored: Server):
    """The message contains the log group and the stream, quotes AWS's error, and lists possible causes."""
    world.batch("clicks")
    world.run("apply", "--yes")
    done = world.run("logs", "clicks")
    assert (done.code, done.out) == (1, "")
    assert "there is no log at log group /aws/batch/job, stream " in done.err
    (run,) = world.runs()
    for child in ("clicks:3", f"{run.id}:3"):  # the job is not an array job
        assert f"AWS no longer has job {run.id}:3" in world.run("logs", child).err
    assert "logs:CreateLogStream" in done.err


def test_the_pages_of_a_run(world: World, spark_run: str):
    """The address of the console page is printed. If AWS does not return the Spark UI, a warning is printed."""
    done = world.run("open", "orders", "--print")
    assert (done.code, done.out.split()[0]) == (0, "Console:")
    assert spark_run in done.out
    assert "Spark UI is not available" in done.err
    value = world.run("open", spark_run, "--format", "json").json
    assert (value["run_id"], value["spark_ui"]) == (spark_run, None)


def test_the_embedded_emulator_has_no_logs(world: World):
    """The emulator runs no code, so there are no logs."""
    world.spark("clicks")
    world.run("apply", "--yes", "-t", "local")
    for command in ("logs", "open"):
        done = world.run(command, "clicks", "-t", "local")
        assert (done.code, "runs no code" in done.err) == (1, True)
