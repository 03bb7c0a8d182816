"""AWS Batch: what its adapter does beyond the contract of all adapters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.app.session import SystemClock
from reconciler.aws.clients import Aws
from reconciler.core.ports import RunReport, Service
from tests.aws.conftest import CREDENTIALS
from tests.aws.fake_aws import FakeAws
from tests.aws.wires import BATCH


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeAws]:
    """The server, for all tests of this module."""
    with FakeAws() as fake:
        yield fake


@pytest.fixture(scope="module")
def batch(fake: FakeAws) -> Iterator[Service]:
    """The adapter on that server."""
    aws = Aws("eu-west-1", fake.url, CREDENTIALS, clock=SystemClock())
    yield BATCH.connect(aws)
    aws.close()


def report_of(fake: FakeAws, batch: Service, state: str, **job: Any) -> RunReport:
    """The report of one job."""
    fake.play(DescribeJobs=BATCH.describing(BATCH.run("run-1", state, **job)))
    report = batch.observe([BATCH.ref(1)])["r1-1"]
    assert isinstance(report, RunReport)
    return report


@pytest.mark.parametrize("flag", ["isCancelled", "isTerminated"])
def test_a_stopped_job_is_cancelled(flag: str, fake: FakeAws, batch: Service):
    """Batch reports a stopped job as failed, with a flag."""
    assert report_of(fake, batch, "FAILED", **{flag: True}).state == "cancelled"


def test_a_report_has_times_and_a_reason(fake: FakeAws, batch: Service):
    """Times are text in UTC; the detail is AWS's reason with the end of the container."""
    container = {"exitCode": 137, "reason": "OutOfMemoryError"}
    times = {"startedAt": 1_763_776_800_000, "stoppedAt": 1_763_776_860_123}
    assert report_of(fake, batch, "FAILED", **times, statusReason="Exited", container=container) == RunReport(
        exists=True,
        state="failed",
        aws_state="FAILED",
        detail="Exited; exit code 137; OutOfMemoryError",
        started_at="2025-11-22T02:00:00.000Z",
        finished_at="2025-11-22T02:01:00.123Z",
    )


def test_a_report_has_attempts_and_children(fake: FakeAws, batch: Service):
    """It counts attempts that are over, and the children of an array by state, without empty states."""
    children = {"statusSummary": {"SUCCEEDED": 2, "FAILED": 1, "RUNNING": 0}, "size": 3}
    report = report_of(fake, batch, "FAILED", attempts=[{}, {}], arrayProperties=children)
    assert report.usage == {"attempts": 2, "statusSummary": {"SUCCEEDED": 2, "FAILED": 1}}


def test_a_hundred_jobs_are_one_call(fake: FakeAws, batch: Service):
    """Jobs are described a hundred at a time; AWS does not know a job that is left out."""
    fake.play(DescribeJobs=BATCH.describing(*(BATCH.run(f"run-{number}") for number in range(249))))
    reports = batch.observe([BATCH.ref(number) for number in range(250)])
    assert fake.calls == {"DescribeJobs": 3}
    assert RunReport(exists=False) == reports["r1-249"]
    assert {"running"} == {each.state for each in reports.values() if isinstance(each, RunReport) and each.exists}


def test_a_queue_is_listed_by_the_job_s_name(fake: FakeAws, batch: Service):
    """One listing and one description serve all submissions of a queue and a name."""
    fake.play(ListJobs=BATCH.listing(["a", "b"]), DescribeJobs=BATCH.describing(BATCH.run("a"), BATCH.run("b")))
    assert batch.find(BATCH.wanted("r1-1", "r1-2")) == {"r1-1": (), "r1-2": ()}
    assert fake.calls == {"ListJobs": 1, "DescribeJobs": 1}
    assert fake.inputs[0] == {"jobQueue": "spot", "filters": [{"name": "JOB_NAME", "values": ["orders"]}]}


def test_a_job_on_two_pages_is_one_job(fake: FakeAws, batch: Service):
    """A listing that moves while it is read may name a job twice, which is no conflict."""
    fake.play(ListJobs=BATCH.listing(["a"], ["a"]), DescribeJobs=BATCH.describing(BATCH.run("a", token="r1-1")))
    assert batch.find(BATCH.wanted("r1-1")) == {"r1-1": ["a"]}


def test_a_job_that_was_not_described_is_not_absence(fake: FakeAws, batch: Service):
    """DescribeJobs may leave out a job that was just submitted: its tags are unread."""
    fake.play(ListJobs=BATCH.listing(["a", "b"]), DescribeJobs=BATCH.describing(BATCH.run("a", token="r1-1")))
    assert "job b" in str(batch.find(BATCH.wanted("r1-1"))["r1-1"])


def test_cancel_terminates(fake: FakeAws, batch: Service):
    """The adapter calls TerminateJob, because CancelJob does nothing for a running job."""
    fake.play(TerminateJob=lambda _: (200, {}))
    batch.cancel(BATCH.ref(1), "replaced")
    assert fake.inputs == [{"jobId": "run-1", "reason": "replaced"}]
