"""Tests what the AWS Batch adapter does in addition to the contract of all adapters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.app.session import SystemClock
from reconciler.aws.clients import Aws
from reconciler.core.ports import RunReport, Service, Wanted
from tests.aws.conftest import CREDENTIALS
from tests.aws.fake_aws import Answer, FakeAws, Handler
from tests.aws.wires import BATCH, SINCE


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeAws]:
    """Yields the server for all tests of this module."""
    with FakeAws() as fake:
        yield fake


@pytest.fixture(scope="module")
def batch(fake: FakeAws) -> Iterator[Service]:
    """Yields the adapter that uses that server."""
    aws = Aws("eu-west-1", fake.url, CREDENTIALS, clock=SystemClock())
    yield BATCH.connect(aws)
    aws.close()


def report_of(fake: FakeAws, batch: Service, state: str, **job: Any) -> RunReport:
    """Returns the report for one job."""
    fake.play(DescribeJobs=BATCH.describing(BATCH.run("run-1", state, **job)))
    report = batch.observe([BATCH.ref(1)])["r1-1"]
    assert isinstance(report, RunReport)
    return report


@pytest.mark.parametrize("flag", ["isCancelled", "isTerminated"])
def test_a_stopped_job_is_cancelled(flag: str, fake: FakeAws, batch: Service):
    """AWS Batch reports a stopped job as failed and sets a flag."""
    assert report_of(fake, batch, "FAILED", **{flag: True}).state == "cancelled"


def test_a_report_has_times_and_a_reason(fake: FakeAws, batch: Service):
    """Times are text in UTC. The detail contains AWS's reason and how the container ended."""
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
    """The report counts the attempts that have ended, and the children of an array by state, without empty states."""
    children = {"statusSummary": {"SUCCEEDED": 2, "FAILED": 1, "RUNNING": 0}, "size": 3}
    report = report_of(fake, batch, "FAILED", attempts=[{}, {}], arrayProperties=children)
    assert report.usage == {"attempts": 2, "statusSummary": {"SUCCEEDED": 2, "FAILED": 1}}


def test_a_hundred_jobs_are_one_call(fake: FakeAws, batch: Service):
    """Jobs are described in calls of up to a hundred. A job that is missing from the reply does not exist in AWS."""
    fake.play(DescribeJobs=BATCH.describing(*(BATCH.run(f"run-{number}") for number in range(249))))
    reports = batch.observe([BATCH.ref(number) for number in range(250)])
    assert fake.calls == {"DescribeJobs": 3}
    assert RunReport(exists=False) == reports["r1-249"]
    assert {"running"} == {each.state for each in reports.values() if isinstance(each, RunReport) and each.exists}


def test_a_queue_is_listed_by_the_job_s_name(fake: FakeAws, batch: Service):
    """One listing and one description suffice for all submissions with the same queue and name."""
    fake.play(ListJobs=BATCH.listing(["a", "b"]), DescribeJobs=BATCH.describing(BATCH.run("a"), BATCH.run("b")))
    assert batch.find(BATCH.wanted("r1-1", "r1-2")) == {"r1-1": (), "r1-2": ()}
    assert fake.calls == {"ListJobs": 1, "DescribeJobs": 1}
    assert fake.inputs[0] == {"jobQueue": "spot", "filters": [{"name": "JOB_NAME", "values": ["orders"]}]}


def named(number: int, tokens: str = "r1-") -> list[Wanted]:
    """Returns this many submissions in one queue, each with a different job name."""
    location = {"jobQueue": "spot"}
    return [Wanted(f"{tokens}{n}", {**location, "jobName": f"job-{n}"}, SINCE) for n in range(number)]


def queue_of(size: int, page: int = 100) -> Handler:
    """Answers ListJobs. A filter on time returns all jobs of a queue in pages, and a filter on a name returns the job
    with that name."""

    def answer(given: dict[str, Any]) -> Answer:
        (wanted,) = given["filters"]
        start = int(given.get("nextToken", "0"))
        jobs = [{"jobId": f"run-{n}", "jobName": f"JOB-{n}" if n == 0 else f"job-{n}"} for n in range(size)]
        if wanted["name"] == "JOB_NAME":
            return 200, {"jobSummaryList": [job for job in jobs if job["jobName"].lower() == wanted["values"][0]]}
        more = {"nextToken": str(start + page)} if start + page < size else {}
        return 200, {"jobSummaryList": jobs[start : start + page], **more}

    return answer


def test_many_names_of_a_queue_are_found_by_listing_the_queue(fake: FakeAws, batch: Service):
    """Finding 150 names among 250 jobs takes three pages and two descriptions, not one listing per name."""
    runs = [BATCH.run(f"run-{n}", token=f"r1-{n}") for n in range(250)]
    fake.play(ListJobs=queue_of(250), DescribeJobs=BATCH.describing(*runs))
    found = batch.find(named(150))
    assert found == {f"r1-{n}": [f"run-{n}"] for n in range(150)}
    assert fake.calls == {"ListJobs": 3, "DescribeJobs": 2}
    assert fake.inputs[0]["filters"][0]["name"] == "AFTER_CREATED_AT"


def test_a_queue_with_more_pages_than_names_is_listed_by_name(fake: FakeAws, batch: Service):
    """A queue has ten pages of jobs, and five names are wanted. After five pages, each name is listed separately."""
    runs = [BATCH.run(f"run-{n}", token=f"r1-{n}") for n in range(10)]
    fake.play(ListJobs=queue_of(100, page=10), DescribeJobs=BATCH.describing(*runs))
    assert batch.find(named(5)) == {f"r1-{n}": [f"run-{n}"] for n in range(5)}
    assert fake.calls["ListJobs"] <= 5 + 1 + 5


def test_a_queue_that_cannot_be_listed_is_not_absence(fake: FakeAws, batch: Service):
    """If the queue cannot be listed, each submission gets the error of its own listing."""
    fake.play(ListJobs=lambda _: (403, {"message": "no"}))
    assert all(isinstance(answer, str) for answer in batch.find(named(5)).values())


def test_a_job_on_two_pages_is_one_job(fake: FakeAws, batch: Service):
    """A listing may contain a job twice if jobs are added while it is read. The job is then found only once, so there
    is no conflict."""
    fake.play(ListJobs=BATCH.listing(["a"], ["a"]), DescribeJobs=BATCH.describing(BATCH.run("a", token="r1-1")))
    assert batch.find(BATCH.wanted("r1-1")) == {"r1-1": ["a"]}


def test_a_job_that_was_not_described_is_not_absence(fake: FakeAws, batch: Service):
    """DescribeJobs may not return a job that was just submitted. Until it does, the job's tags are unknown."""
    fake.play(ListJobs=BATCH.listing(["a", "b"]), DescribeJobs=BATCH.describing(BATCH.run("a", token="r1-1")))
    assert "job b" in str(batch.find(BATCH.wanted("r1-1"))["r1-1"])


def test_cancel_terminates(fake: FakeAws, batch: Service):
    """The adapter calls TerminateJob, because CancelJob has no effect on a running job."""
    fake.play(TerminateJob=lambda _: (200, {}))
    batch.cancel(BATCH.ref(1), "replaced")
    assert fake.inputs == [{"jobId": "run-1", "reason": "replaced"}]
