"""Tests EMR Serverless with a real client."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.emulator import Emulator
from tests.emulator.conftest import APPLICATION, NOON, ROLE, Clock, run_request

Start = Callable[..., str]
Get = Callable[[str], dict[str, Any]]


def test_a_run_is_described_in_aws_words(start: Start, run: Get) -> None:
    """GetJobRun returns executionRole, an ARN, createdBy and the application's release, which the request does not
    contain in this form."""
    run_id = start(tags={"team": "growth"}, configurationOverrides={})

    described = run(run_id)

    assert (
        f"arn:aws:emr-serverless:us-east-1:000000000000:/applications/{APPLICATION}/jobruns/{run_id}"
        == described["arn"]
    )
    assert (described["executionRole"], described["createdBy"]) == (ROLE, "arn:aws:iam::000000000000:user/emulator")
    assert tuple(described[name] for name in ("state", "mode", "attempt", "executionTimeoutMinutes")) == (
        "SUBMITTED",
        "BATCH",
        1,
        720,
    )
    assert (described["tags"], described["configurationOverrides"]) == ({"team": "growth"}, {})
    assert run_request()["jobDriver"] == described["jobDriver"]
    assert described["createdAt"].timestamp() == NOON
    assert {"executionRoleArn", "clientToken", "endedAt", "startedAt"}.isdisjoint(described)


def test_overrides_are_returned_as_they_were_sent(start: Start, run: Get) -> None:
    """The overrides include maps of lists and recursive configurations."""
    logs = {"enabled": True, "logTypes": {"SPARK_DRIVER": ["stdout", "stderr"]}}
    inner = {"classification": "export", "properties": {"A": "1"}}
    overrides = {
        "applicationConfiguration": [{"classification": "spark-env", "configurations": [inner]}],
        "monitoringConfiguration": {"cloudWatchLoggingConfiguration": logs},
    }

    assert run(start(configurationOverrides=overrides))["configurationOverrides"] == overrides


def test_without_retention_runs_are_kept_forever(start: Start, run: Get, emulator: Emulator, clock: Clock) -> None:
    """An ended run can be described after many years."""
    emulator.configure(retention_seconds=None)
    run_id = start()
    clock.tick(10**9)

    assert run(run_id)["state"] == "SUCCESS"


def test_a_run_moves_with_the_clock(start: Start, run: Get, clock: Clock) -> None:
    """The run starts after 2 s and runs for 20 s. After its end, it has a duration and a utilization."""
    run_id = start()

    states = []
    for _ in range(4):
        states.append(run(run_id)["state"])
        clock.tick(0.7)
    clock.tick(20)
    described = run(run_id)

    assert states == ["SUBMITTED", "PENDING", "SCHEDULED", "RUNNING"]
    assert (described["state"], described["totalExecutionDurationSeconds"]) == ("SUCCESS", 20)
    assert (described["startedAt"].timestamp(), described["endedAt"].timestamp()) == (NOON + 2, NOON + 22)
    assert described["billedResourceUtilization"]["vCPUHour"] > described["totalResourceUtilization"]["vCPUHour"] > 0


def test_a_streaming_run_runs_until_it_is_cancelled(start: Start, run: Get, emr: Any, clock: Clock) -> None:
    """The run has no timeout and never ends by itself."""
    run_id = start(mode="STREAMING")
    clock.tick(10 * 24 * 3600)
    before = run(run_id)

    emr.cancel_job_run(applicationId=APPLICATION, jobRunId=run_id)
    asked = run(run_id)["state"]
    clock.tick(1)

    assert (before["state"], before["mode"], before["executionTimeoutMinutes"]) == ("RUNNING", "STREAMING", 0)
    assert (asked, run(run_id)["state"]) == ("CANCELLING", "CANCELLED")


def test_a_batch_run_is_cancelled_by_its_timeout(start: Start, run: Get, emulator: Emulator, clock: Clock) -> None:
    """The run needs six minutes, and its timeout is five minutes."""
    emulator.configure(run_seconds=360)
    run_id = start(executionTimeoutMinutes=5)

    clock.tick(2 + 300)
    timed_out = run(run_id)
    clock.tick(1)

    assert timed_out["state"] == "CANCELLING"
    assert "timeout" in timed_out["stateDetails"]
    assert run(run_id)["state"] == "CANCELLED"


def test_outcomes_and_durations_can_be_set_by_name(start: Start, run: Get, emulator: Emulator, clock: Clock) -> None:
    """The settings apply to runs with that name that are accepted later."""
    early = start(name="bad")
    emulator.configure(outcomes={"bad": "failed"}, durations={"slow": 100})
    failed, slow, plain = start(name="bad"), start(name="slow"), start(name="plain")

    clock.tick(30)

    assert [run(i)["state"] for i in (early, failed, slow, plain)] == ["SUCCESS", "FAILED", "RUNNING", "SUCCESS"]


def test_the_same_token_and_body_give_the_same_run(start: Start, emulator: Emulator, clock: Clock) -> None:
    """The reply is the same, however often and however late the request is sent."""
    first = start(clientToken="r1-abc", tags={"a": "b"})
    clock.tick(3600)

    assert first == start(clientToken="r1-abc", tags={"a": "b"})
    assert len(emulator.runs()) == 1


def test_the_same_token_with_another_body_is_a_conflict(start: Start, emr: Any, emulator: Emulator) -> None:
    """A changed tag also counts as a different body."""
    start(clientToken="r1-abc", tags={"a": "b"})

    with pytest.raises(emr.exceptions.ConflictException) as caught:
        start(clientToken="r1-abc", tags={"a": "c"})

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert len(emulator.runs()) == 1


def test_a_token_belongs_to_an_application(start: Start, emulator: Emulator) -> None:
    """The same token in two applications starts two runs."""
    assert start(clientToken="t") != start(clientToken="t", applicationId="00other")
    assert len(emulator.runs()) == 2


def test_cancelling_an_ended_run_is_refused(start: Start, emr: Any, clock: Clock) -> None:
    """The error says that the run is not in a cancellable state. A CANCELLING run can be cancelled again."""
    run_id = start()
    clock.tick(5)
    for _ in range(2):
        emr.cancel_job_run(applicationId=APPLICATION, jobRunId=run_id)
    clock.tick(5)

    with pytest.raises(emr.exceptions.ValidationException, match="not in a cancellable state"):
        emr.cancel_job_run(applicationId=APPLICATION, jobRunId=run_id)


def test_unknown_runs_are_not_found(start: Start, emr: Any) -> None:
    """The id does not exist, or the run belongs to another application."""
    run_id = start()
    for application, asked in ((APPLICATION, "00nothing"), ("00other", run_id)):
        with pytest.raises(emr.exceptions.ResourceNotFoundException):
            emr.get_job_run(applicationId=application, jobRunId=asked)


def test_pages_list_every_run_once_newest_first(start: Start, emr: Any, clock: Clock) -> None:
    """If runs are added while the pages are read, no run is missing or listed twice."""
    ids = []
    for number in range(51):
        ids.append(start(name=f"run-{number}"))
        clock.tick(1)

    pages = []
    for page in emr.get_paginator("list_job_runs").paginate(applicationId=APPLICATION):
        pages.append([summary["id"] for summary in page["jobRuns"]])
        start(name="added")

    assert [len(page) for page in pages] == [50, 1]
    assert ids[::-1] == [run_id for page in pages for run_id in page]


def test_a_page_has_at_most_fifty_runs(emr: Any) -> None:
    """A larger page is refused, because it exceeds the model's maximum, which the client does not check."""
    with pytest.raises(emr.exceptions.ValidationException, match="maxResults"):
        emr.list_job_runs(applicationId=APPLICATION, maxResults=51)


def test_listings_can_be_filtered(start: Start, emr: Any, clock: Clock) -> None:
    """The filters are state, mode and creation time. Summaries contain no tags and no token."""
    old = start(name="old", clientToken="t", tags={"a": "b"})
    clock.tick(100)
    new, stream = start(name="new"), start(name="stream", mode="STREAMING")
    clock.tick(1)
    middle = datetime.fromtimestamp(NOON + 50, UTC)

    def listed(**filters: Any) -> list[str]:
        return [summary["id"] for summary in emr.list_job_runs(applicationId=APPLICATION, **filters)["jobRuns"]]

    assert [stream, new, old] == listed()
    assert [old] == listed(states=["SUCCESS", "FAILED"])
    assert [stream, new] == listed(states=["PENDING", "CANCELLED"])
    assert listed(states=["RUNNING"]) == []
    assert [stream] == listed(mode="STREAMING")
    assert ([stream, new], [old]) == (listed(createdAtAfter=middle), listed(createdAtBefore=middle))
    summary = emr.list_job_runs(applicationId=APPLICATION, createdAtBefore=middle)["jobRuns"][0]
    assert (summary["name"], summary["mode"]) == ("old", "BATCH")
    assert {"tags", "clientToken"}.isdisjoint(summary)


def test_an_invalid_page_token_is_refused(emr: Any) -> None:
    """Only page tokens from an earlier page are valid."""
    for token in ("nonsense", "bm9uc2Vuc2U6MQ=="):
        with pytest.raises(emr.exceptions.ValidationException, match="nextToken"):
            emr.list_job_runs(applicationId=APPLICATION, nextToken=token)


def test_the_attempts_of_a_retried_run_are_listed(
    start: Start, run: Get, emr: Any, emulator: Emulator, clock: Clock
) -> None:
    """Each attempt can be described by its number. An attempt that has not started is not found."""
    emulator.configure(outcome="failed")
    run_id = start(retryPolicy={"maxAttempts": 3})
    clock.tick(22 + 10)

    pages = emr.get_paginator("list_job_run_attempts").paginate(
        applicationId=APPLICATION, jobRunId=run_id, PaginationConfig={"PageSize": 1}
    )
    attempts = [attempt for page in pages for attempt in page["jobRunAttempts"]]

    assert [(each["attempt"], each["state"]) for each in attempts] == [(1, "FAILED"), (2, "RUNNING")]
    assert [each["createdAt"].timestamp() for each in attempts] == [NOON, NOON + 22]
    assert run(run_id)["attempt"] == 2
    first = emr.get_job_run(applicationId=APPLICATION, jobRunId=run_id, attempt=1)["jobRun"]
    assert first["attempt"] == 1
    with pytest.raises(emr.exceptions.ResourceNotFoundException):
        emr.get_job_run(applicationId=APPLICATION, jobRunId=run_id, attempt=3)
    clock.tick(100)
    assert (run(run_id)["state"], run(run_id)["attempt"]) == ("FAILED", 3)


def test_applications_exist_once_named(start: Start, emr: Any) -> None:
    """Applications with any id can be described. Listings contain the applications that runs have used."""
    start()

    described = emr.get_application(applicationId="00any")["application"]
    listed = emr.list_applications(maxResults=1)["applications"]

    assert (described["state"], described["applicationId"]) == ("STARTED", "00any")
    assert [application["id"] for application in listed] == [APPLICATION]
    assert emr.list_applications(states=["STOPPED"])["applications"] == []


def test_settings_can_restrict_the_applications(start: Start, emr: Any, emulator: Emulator) -> None:
    """For any other application, every operation returns an error."""
    emulator.configure(applications=["00one", "00two"])

    assert start(applicationId="00one")
    pages = emr.get_paginator("list_applications").paginate(PaginationConfig={"PageSize": 1})
    assert [each["id"] for page in pages for each in page["applications"]] == ["00one", "00two"]
    for call in (
        start,
        lambda: emr.list_job_runs(applicationId=APPLICATION),
        lambda: emr.get_application(applicationId=APPLICATION),
    ):
        with pytest.raises(emr.exceptions.ResourceNotFoundException):
            call()


def test_ended_runs_expire_after_retention(start: Start, emr: Any, emulator: Emulator, clock: Clock) -> None:
    """Ended runs can be neither described nor listed, but a request with their token still returns them. Live runs do
    not expire."""
    emulator.configure(retention_seconds=3600)
    run_id, stream = start(clientToken="t"), start(mode="STREAMING")
    clock.tick(22 + 3601)

    with pytest.raises(emr.exceptions.ResourceNotFoundException):
        emr.get_job_run(applicationId=APPLICATION, jobRunId=run_id)
    listed = emr.list_job_runs(applicationId=APPLICATION)["jobRuns"]
    assert [stream] == [summary["id"] for summary in listed]
    assert run_id == start(clientToken="t")
