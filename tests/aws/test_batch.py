"""AWS Batch behind the port: observe, find, cancel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.app.session import SystemClock
from reconciler.aws.batch import STATES, Batch, connect
from reconciler.aws.clients import Aws
from reconciler.core.ports import RunRef, RunReport, Wanted
from reconciler.errors import ServiceError
from tests.aws.conftest import CREDENTIALS
from tests.aws.fake_aws import Answer, FakeAws

PLACE = {"jobQueue": "spot", "jobName": "orders"}
SINCE = "2026-11-22T02:00:00.000Z"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeAws]:
    """The server, for all tests of this module."""
    with FakeAws() as fake:
        yield fake


@pytest.fixture(scope="module")
def batch(fake: FakeAws) -> Iterator[Batch]:
    """The adapter on that server."""
    aws = Aws("eu-west-1", fake.url, CREDENTIALS, clock=SystemClock())
    service = connect(aws)
    assert isinstance(service, Batch)
    yield service
    aws.close()


def ref(number: int) -> RunRef:
    """One run."""
    return RunRef(f"r1-{number}", f"job-{number}", PLACE)


def job(job_id: str, status: str = "RUNNING", token: str | None = None, **more: object) -> dict[str, Any]:
    """One job as DescribeJobs gives it."""
    tags = {} if token is None else {"tags": {"reconciler:token": token}}
    return {"jobId": job_id, "jobName": "orders", "jobQueue": "spot", "status": status, **tags, **more}


def describing(*jobs: dict[str, Any]):
    """DescribeJobs over these jobs: unknown ids are left out."""

    def answer(given: dict[str, Any]) -> Answer:
        assert len(given["jobs"]) <= 100
        return 200, {"jobs": [each for each in jobs if each["jobId"] in given["jobs"]]}

    return answer


def listing(*pages: list[str]):
    """ListJobs over these pages of ids."""

    def answer(given: dict[str, Any]) -> Answer:
        number = int(given.get("nextToken", "0"))
        form: dict[str, Any] = {"jobSummaryList": [{"jobId": each, "jobName": "orders"} for each in pages[number]]}
        if number + 1 < len(pages):
            form["nextToken"] = str(number + 1)
        return 200, form

    return answer


@pytest.mark.parametrize(("word", "state"), sorted(STATES.items()))
def test_every_state_has_a_word_of_ours(word: str, state: str, fake: FakeAws, batch: Batch):
    """AWS's word is kept beside ours."""
    fake.play(DescribeJobs=describing(job("job-1", word)))
    report = batch.observe([ref(1)])["r1-1"]
    assert isinstance(report, RunReport)
    assert (report.known, report.state, report.aws_state) == (True, state, word)


def test_the_words_are_botocore_s():
    """A state that AWS adds fails here before it surprises anybody."""
    import botocore.session

    model = botocore.session.get_session().get_service_model("batch")
    assert set(model.shape_for("JobStatus").enum) == set(STATES)


@pytest.mark.parametrize("flag", ["isCancelled", "isTerminated"])
def test_a_stopped_job_is_cancelled(flag: str, fake: FakeAws, batch: Batch):
    """Batch calls a stopped job failed, with a flag."""
    fake.play(DescribeJobs=describing({**job("job-1", "FAILED"), flag: True}))
    report = batch.observe([ref(1)])["r1-1"]
    assert isinstance(report, RunReport)
    assert report.state == "cancelled"


def test_a_report_says_when_and_why(fake: FakeAws, batch: Batch):
    """Times are text in UTC; the detail is AWS's reason with how the container ended."""
    container = {"exitCode": 137, "reason": "OutOfMemoryError"}
    ended = job("job-1", "FAILED", startedAt=1_763_776_800_000, stoppedAt=1_763_776_860_123, statusReason="Exited")
    fake.play(DescribeJobs=describing({**ended, "container": container}))
    expected = RunReport(
        known=True,
        state="failed",
        aws_state="FAILED",
        detail="Exited; exit code 137; OutOfMemoryError",
        started_at="2025-11-22T02:00:00.000Z",
        finished_at="2025-11-22T02:01:00.123Z",
    )
    assert expected == batch.observe([ref(1)])["r1-1"]


def test_a_report_says_how_often_it_ran_and_how_its_children_stand(fake: FakeAws, batch: Batch):
    """Attempts that are over, and the children of an array by state; empty states are left out."""
    children = {"statusSummary": {"SUCCEEDED": 2, "FAILED": 1, "RUNNING": 0}, "size": 3}
    fake.play(DescribeJobs=describing(job("job-1", "FAILED", attempts=[{}, {}], arrayProperties=children)))
    report = batch.observe([ref(1)])["r1-1"]
    assert isinstance(report, RunReport)
    assert report.usage == {"attempts": 2, "statusSummary": {"SUCCEEDED": 2, "FAILED": 1}}


def test_an_unknown_state_is_an_error(fake: FakeAws, batch: Batch):
    """A word of a newer API is never guessed at."""
    fake.play(DescribeJobs=describing(job("job-1", "PONDERING")))
    assert "PONDERING" in str(batch.observe([ref(1)])["r1-1"])


def test_a_hundred_jobs_are_one_call(fake: FakeAws, batch: Batch):
    """Jobs are asked for a hundred at a time; one that is left out is not known."""
    fake.play(DescribeJobs=describing(*(job(f"job-{number}") for number in range(249))))
    reports = batch.observe([ref(number) for number in range(250)])
    assert fake.calls == {"DescribeJobs": 3}
    assert RunReport(known=False) == reports["r1-249"]
    assert {"running"} == {each.state for each in reports.values() if isinstance(each, RunReport) and each.known}


@pytest.mark.parametrize("answer", [(403, "AccessDeniedException"), (200, {}), (200, []), (200, {"jobs": [{}]})])
def test_an_answer_that_says_nothing_is_an_error(answer: Answer, fake: FakeAws, batch: Batch):
    """Neither a refusal nor a damaged reply is taken for a state."""
    fake.play(DescribeJobs=lambda _: answer)
    assert isinstance(batch.observe([ref(1)])["r1-1"], str)


def wanted(*tokens: str) -> list[Wanted]:
    """Submissions of one queue and name."""
    return [Wanted(token, PLACE, SINCE) for token in tokens]


def test_found_by_the_tag_alone(fake: FakeAws, batch: Batch):
    """Every job of the name is described, in any state, and only its tag decides."""
    jobs = [job("a", "SUCCEEDED", "r1-1"), job("b", "FAILED", "r1-2"), job("c"), job("d", "RUNNING", "r1-2")]
    fake.play(ListJobs=listing(["a", "b"], ["c", "d"]), DescribeJobs=describing(*jobs))
    assert batch.find(wanted("r1-1", "r1-2", "r1-3")) == {"r1-1": ["a"], "r1-2": ["b", "d"], "r1-3": ()}
    assert fake.calls == {"ListJobs": 2, "DescribeJobs": 1}
    asked = fake.inputs[0]
    assert asked == {"jobQueue": "spot", "filters": [{"name": "JOB_NAME", "values": ["orders"]}]}


def test_a_complete_empty_listing_is_absence(fake: FakeAws, batch: Batch):
    """Nothing listed, nothing to describe."""
    fake.play(ListJobs=listing([]))
    assert batch.find(wanted("r1-1")) == {"r1-1": ()}


def test_each_queue_and_name_is_listed_once(fake: FakeAws, batch: Batch):
    """An error of one place is not an error of another."""

    def answer(given: dict[str, Any]) -> Answer:
        return (200, {"jobSummaryList": []}) if given["jobQueue"] == "spot" else (400, "ClientException")

    fake.play(ListJobs=answer)
    other = Wanted("r1-3", {"jobQueue": "gone", "jobName": "orders"}, SINCE)
    found = batch.find([*wanted("r1-1", "r1-2"), other])
    assert fake.calls == {"ListJobs": 2}
    assert (found["r1-1"], found["r1-2"]) == ((), ())
    assert "ClientException" in str(found["r1-3"])


def test_a_job_that_was_not_described_is_not_absence(fake: FakeAws, batch: Batch):
    """DescribeJobs may leave out a job that was just submitted: its tags are unread."""
    fake.play(ListJobs=listing(["a", "b"]), DescribeJobs=describing(job("a", token="r1-1")))
    assert "job b" in str(batch.find(wanted("r1-1"))["r1-1"])


@pytest.mark.parametrize(
    "answer",
    [(403, "AccessDeniedException"), (200, {}), (200, []), (200, {"jobSummaryList": [{}]})],
)
def test_a_listing_that_says_nothing_is_not_absence(answer: Answer, fake: FakeAws, batch: Batch):
    """Neither a refusal nor a damaged reply is an empty list."""
    fake.play(ListJobs=lambda _: answer)
    assert isinstance(batch.find(wanted("r1-1"))["r1-1"], str)


def test_a_listing_without_an_end_is_not_absence(fake: FakeAws, batch: Batch):
    """A page that leads to itself is an error."""
    fake.play(ListJobs=lambda _: (200, {"jobSummaryList": [], "nextToken": "again"}))
    assert "does not end" in str(batch.find(wanted("r1-1"))["r1-1"])


def test_cancel_terminates(fake: FakeAws, batch: Batch):
    """CancelJob would do nothing for a running job."""
    fake.play(TerminateJob=lambda _: (200, {}))
    batch.cancel(ref(1), "replaced")
    assert fake.inputs == [{"jobId": "job-1", "reason": "replaced"}]


def test_a_refused_cancel_is_told(fake: FakeAws, batch: Batch):
    """AWS's no reaches the caller in our words."""
    fake.play(TerminateJob=lambda _: (403, "AccessDeniedException"))
    with pytest.raises(ServiceError, match="TerminateJob: AccessDeniedException: said no"):
        batch.cancel(ref(1), "replaced")


def test_without_credentials_nothing_is_known():
    """Every answer says why, and nothing is raised."""
    service = connect(Aws("eu-west-1", profile="nobody", clock=SystemClock()))
    assert "ProfileNotFound" in str(service.observe([ref(1)])["r1-1"])
    assert "ProfileNotFound" in str(service.find(wanted("r1-1"))["r1-1"])
    with pytest.raises(ServiceError, match="ProfileNotFound"):
        service.cancel(ref(1), "replaced")
