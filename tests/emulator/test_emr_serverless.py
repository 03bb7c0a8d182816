"""EMR Serverless through a real client."""

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
    """What comes back is not what was sent: executionRole, an ARN, createdBy, the application's release."""
    run_id = start(tags={"team": "growth"}, configurationOverrides={})

    found = run(run_id)

    assert f"arn:aws:emr-serverless:us-east-1:000000000000:/applications/{APPLICATION}/jobruns/{run_id}" == found["arn"]
    assert (found["executionRole"], found["createdBy"]) == (ROLE, "arn:aws:iam::000000000000:user/emulator")
    assert tuple(found[name] for name in ("state", "mode", "attempt", "executionTimeoutMinutes")) == (
        "SUBMITTED",
        "BATCH",
        1,
        720,
    )
    assert (found["tags"], found["configurationOverrides"]) == ({"team": "growth"}, {})
    assert run_request()["jobDriver"] == found["jobDriver"]
    assert found["createdAt"].timestamp() == NOON
    assert {"executionRoleArn", "clientToken", "endedAt", "startedAt"}.isdisjoint(found)


def test_overrides_come_back_as_they_were_sent(start: Start, run: Get) -> None:
    """Maps of lists and recursive configurations included."""
    logs = {"enabled": True, "logTypes": {"SPARK_DRIVER": ["stdout", "stderr"]}}
    inner = {"classification": "export", "properties": {"A": "1"}}
    overrides = {
        "applicationConfiguration": [{"classification": "spark-env", "configurations": [inner]}],
        "monitoringConfiguration": {"cloudWatchLoggingConfiguration": logs},
    }

    assert run(start(configurationOverrides=overrides))["configurationOverrides"] == overrides


def test_nothing_is_forgotten_without_retention(start: Start, run: Get, emulator: Emulator, clock: Clock) -> None:
    """For as long as the file is there."""
    emulator.configure(retention_seconds=None)
    run_id = start()
    clock.tick(10**9)

    assert run(run_id)["state"] == "SUCCESS"


def test_a_run_moves_with_the_clock(start: Start, run: Get, clock: Clock) -> None:
    """It starts in 2 s, runs for 20 s, and says afterwards what it used."""
    run_id = start()

    seen = []
    for _ in range(4):
        seen.append(run(run_id)["state"])
        clock.tick(0.7)
    clock.tick(20)
    found = run(run_id)

    assert seen == ["SUBMITTED", "PENDING", "SCHEDULED", "RUNNING"]
    assert (found["state"], found["totalExecutionDurationSeconds"]) == ("SUCCESS", 20)
    assert (found["startedAt"].timestamp(), found["endedAt"].timestamp()) == (NOON + 2, NOON + 22)
    assert found["billedResourceUtilization"]["vCPUHour"] > found["totalResourceUtilization"]["vCPUHour"] > 0


def test_a_streaming_run_runs_until_it_is_cancelled(start: Start, run: Get, emr: Any, clock: Clock) -> None:
    """It has no timeout and no end of its own."""
    run_id = start(mode="STREAMING")
    clock.tick(10 * 24 * 3600)
    before = run(run_id)

    emr.cancel_job_run(applicationId=APPLICATION, jobRunId=run_id)
    asked = run(run_id)["state"]
    clock.tick(1)

    assert (before["state"], before["mode"], before["executionTimeoutMinutes"]) == ("RUNNING", "STREAMING", 0)
    assert (asked, run(run_id)["state"]) == ("CANCELLING", "CANCELLED")


def test_a_batch_run_is_cancelled_by_its_timeout(start: Start, run: Get, emulator: Emulator, clock: Clock) -> None:
    """Five minutes for a run that needs six."""
    emulator.configure(run_seconds=360)
    run_id = start(executionTimeoutMinutes=5)

    clock.tick(2 + 300)
    timed_out = run(run_id)
    clock.tick(1)

    assert timed_out["state"] == "CANCELLING"
    assert "timeout" in timed_out["stateDetails"]
    assert run(run_id)["state"] == "CANCELLED"


def test_outcomes_and_durations_are_set_by_name(start: Start, run: Get, emulator: Emulator, clock: Clock) -> None:
    """Only the runs of that name follow them, and only the ones accepted afterwards."""
    early = start(name="bad")
    emulator.configure(outcomes={"bad": "failed"}, durations={"slow": 100})
    failed, slow, plain = start(name="bad"), start(name="slow"), start(name="plain")

    clock.tick(30)

    assert [run(i)["state"] for i in (early, failed, slow, plain)] == ["SUCCESS", "FAILED", "RUNNING", "SUCCESS"]


def test_the_same_token_and_body_give_the_same_run(start: Start, emulator: Emulator, clock: Clock) -> None:
    """However often and however late it is sent."""
    first = start(clientToken="r1-abc", tags={"a": "b"})
    clock.tick(3600)

    assert first == start(clientToken="r1-abc", tags={"a": "b"})
    assert len(emulator.runs()) == 1


def test_the_same_token_with_another_body_is_a_conflict(start: Start, emr: Any, emulator: Emulator) -> None:
    """A different tag is another body, too."""
    start(clientToken="r1-abc", tags={"a": "b"})

    with pytest.raises(emr.exceptions.ConflictException) as caught:
        start(clientToken="r1-abc", tags={"a": "c"})

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert len(emulator.runs()) == 1


def test_a_token_belongs_to_an_application(start: Start, emulator: Emulator) -> None:
    """Two applications may see the same token."""
    assert start(clientToken="t") != start(clientToken="t", applicationId="00other")
    assert len(emulator.runs()) == 2


def test_cancelling_an_ended_run_is_refused(start: Start, emr: Any, clock: Clock) -> None:
    """AWS says that the run is not in a cancellable state; a run being cancelled may be asked again."""
    run_id = start()
    clock.tick(5)
    for _ in range(2):
        emr.cancel_job_run(applicationId=APPLICATION, jobRunId=run_id)
    clock.tick(5)

    with pytest.raises(emr.exceptions.ValidationException, match="not in a cancellable state"):
        emr.cancel_job_run(applicationId=APPLICATION, jobRunId=run_id)


def test_unknown_runs_are_not_found(start: Start, emr: Any) -> None:
    """Neither a made-up id nor the run of another application."""
    run_id = start()
    for application, asked in ((APPLICATION, "00nothing"), ("00other", run_id)):
        with pytest.raises(emr.exceptions.ResourceNotFoundException):
            emr.get_job_run(applicationId=application, jobRunId=asked)


def test_listing_pages_through_everything_newest_first(start: Start, emr: Any, clock: Clock) -> None:
    """Fifty a page at most, without gaps and repetitions, although runs are added meanwhile."""
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


def test_a_page_holds_fifty_at_most(emr: Any) -> None:
    """More than the model's maximum is refused, whatever the client lets through."""
    with pytest.raises(emr.exceptions.ValidationException, match="maxResults"):
        emr.list_job_runs(applicationId=APPLICATION, maxResults=51)


def test_listing_filters(start: Start, emr: Any, clock: Clock) -> None:
    """By state, mode and time of creation; summaries have the name and neither tags nor token."""
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


def test_a_made_up_page_token_is_refused(emr: Any) -> None:
    """Tokens come from an earlier page."""
    for token in ("nonsense", "bm9uc2Vuc2U6MQ=="):
        with pytest.raises(emr.exceptions.ValidationException, match="nextToken"):
            emr.list_job_runs(applicationId=APPLICATION, nextToken=token)


def test_attempts_of_a_retried_run(start: Start, run: Get, emr: Any, emulator: Emulator, clock: Clock) -> None:
    """Each failed attempt is listed and can be asked for; one that has not been cannot."""
    emulator.configure(outcome="failed")
    run_id = start(retryPolicy={"maxAttempts": 3})
    clock.tick(22 + 10)

    pages = emr.get_paginator("list_job_run_attempts").paginate(
        applicationId=APPLICATION, jobRunId=run_id, PaginationConfig={"PageSize": 1}
    )
    attempts = [attempt for page in pages for attempt in page["jobRunAttempts"]]

    assert [(found["attempt"], found["state"]) for found in attempts] == [(1, "FAILED"), (2, "RUNNING")]
    assert [found["createdAt"].timestamp() for found in attempts] == [NOON, NOON + 22]
    assert run(run_id)["attempt"] == 2
    first = emr.get_job_run(applicationId=APPLICATION, jobRunId=run_id, attempt=1)["jobRun"]
    assert first["attempt"] == 1
    with pytest.raises(emr.exceptions.ResourceNotFoundException):
        emr.get_job_run(applicationId=APPLICATION, jobRunId=run_id, attempt=3)
    clock.tick(100)
    assert (run(run_id)["state"], run(run_id)["attempt"]) == ("FAILED", 3)


def test_applications_exist_once_named(start: Start, emr: Any) -> None:
    """Any id can be described; the ones that runs have named are listed."""
    start()

    found = emr.get_application(applicationId="00any")["application"]
    listed = emr.list_applications(maxResults=1)["applications"]

    assert (found["state"], found["applicationId"]) == ("STARTED", "00any")
    assert [application["id"] for application in listed] == [APPLICATION]
    assert emr.list_applications(states=["STOPPED"])["applications"] == []


def test_known_applications_are_the_only_ones(start: Start, emr: Any, emulator: Emulator) -> None:
    """Every operation on another one finds nothing."""
    emulator.configure(applications=["00one", "00two"])

    assert start(applicationId="00one")
    pages = emr.get_paginator("list_applications").paginate(PaginationConfig={"PageSize": 1})
    assert [found["id"] for page in pages for found in page["applications"]] == ["00one", "00two"]
    for call in (
        start,
        lambda: emr.list_job_runs(applicationId=APPLICATION),
        lambda: emr.get_application(applicationId=APPLICATION),
    ):
        with pytest.raises(emr.exceptions.ResourceNotFoundException):
            call()


def test_ended_runs_are_forgotten_after_retention(start: Start, emr: Any, emulator: Emulator, clock: Clock) -> None:
    """They are neither found nor listed, but their token still answers with them; live ones stay."""
    emulator.configure(retention_seconds=3600)
    run_id, stream = start(clientToken="t"), start(mode="STREAMING")
    clock.tick(22 + 3601)

    with pytest.raises(emr.exceptions.ResourceNotFoundException):
        emr.get_job_run(applicationId=APPLICATION, jobRunId=run_id)
    listed = emr.list_job_runs(applicationId=APPLICATION)["jobRuns"]
    assert [stream] == [summary["id"] for summary in listed]
    assert run_id == start(clientToken="t")
