"""Tests the setting `reports`: how runs wait and fail, and what is reported late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.emulator import Emulator, Settings
from reconciler.errors import UsageError
from tests.emulator.conftest import APPLICATION, ROLE, Clock

Submit = Callable[..., str]
Get = Callable[[str], dict[str, Any]]
BLOCKED = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - too big"


@pytest.fixture
def report(emulator: Emulator) -> Callable[..., None]:
    """Sets the report for the jobs and runs with the name `job`."""

    def configure(**report: Any) -> None:
        emulator.configure(reports={"job": report})

    return configure


def test_a_waiting_job_gives_its_reason_late(report: Any, submit: Submit, job: Get, clock: Clock) -> None:
    """The job remains RUNNABLE until it is stopped, and its reason appears only after some time."""
    report(never_starts=True, waiting_reason=BLOCKED, late_seconds=60)
    waiting = submit(jobName="job")
    clock.tick(30)
    early = job(waiting)
    clock.tick(3600)

    assert (early["status"], early.get("statusReason")) == ("RUNNABLE", None)
    assert (job(waiting)["status"], job(waiting)["statusReason"]) == ("RUNNABLE", BLOCKED)


def test_the_queue_cancels_a_job_after_its_time_limit(report: Any, submit: Submit, job: Get, clock: Clock) -> None:
    """As with jobStateTimeLimitActions, the job is FAILED and isCancelled, with the reason for which it waited."""
    report(never_starts=True, waiting_reason=BLOCKED, queue_limit_seconds=600)
    waiting = submit(jobName="job")
    clock.tick(599)
    before = job(waiting)["status"]
    clock.tick(2)
    ended = job(waiting)

    assert before == "RUNNABLE"
    assert (ended["status"], ended["isCancelled"], ended["statusReason"]) == ("FAILED", True, BLOCKED)
    assert "startedAt" not in ended


def test_chosen_children_of_an_array_fail(report: Any, submit: Submit, job: Get, batch: Any, clock: Clock) -> None:
    """The listing contains their exit code and reason. The other children succeed."""
    report(failed_children=[1, 3], exit_code=9, reason="OutOfMemoryError")
    parent = submit(jobName="job", arrayProperties={"size": 5})
    clock.tick(30)
    counts = job(parent)["arrayProperties"]["statusSummary"]
    failed = batch.list_jobs(arrayJobId=parent, jobStatus="FAILED")["jobSummaryList"]

    assert (counts["SUCCEEDED"], counts["FAILED"]) == (3, 2)
    assert [each["jobId"] for each in failed] == [f"{parent}:1", f"{parent}:3"]
    assert {"exitCode": 9, "reason": "OutOfMemoryError"} == failed[0]["container"]
    assert job(parent)["statusReason"] == "Array Child Job failed"


def test_a_failed_pod_has_its_reason(emulator: Emulator, submit: Submit, job: Get, clock: Clock) -> None:
    """On EKS, the last attempt contains the failed pod and the exit code of its first container."""
    emulator.configure(outcomes={"job": "failed"}, reports={"job": {"exit_code": 137, "reason": "OOMKilled"}})
    pod = {"podProperties": {"containers": [{"name": "app"}, {"name": "sidecar"}]}}
    failed = submit(jobName="job", eksPropertiesOverride=pod)
    clock.tick(30)
    (attempt,) = job(failed)["eksAttempts"]

    assert attempt["statusReason"] == "OOMKilled"
    assert attempt["containers"] == [{"name": "app", "exitCode": 137, "reason": "OOMKilled"}, {"name": "sidecar"}]
    assert attempt["podName"].startswith("aws-batch.")


def test_a_task_of_several_containers_has_their_ends(
    emulator: Emulator, submit: Submit, job: Get, clock: Clock
) -> None:
    """The first container fails, and the other one succeeds."""
    emulator.configure(outcomes={"job": "failed"}, reports={"job": {"exit_code": 2}})
    tasks = {"taskProperties": [{"containers": [{"name": "app"}, {"name": "log"}]}]}
    failed = submit(jobName="job", ecsPropertiesOverride=tasks)
    clock.tick(30)
    (task,) = job(failed)["ecsProperties"]["taskProperties"]

    assert [container["exitCode"] for container in task["containers"]] == [2, 0]


def test_emr_reports_reason_and_usage_late(emulator: Emulator, emr: Any, clock: Clock) -> None:
    """The state of an ended run is reported first. Its details and billed resources are reported later."""
    emulator.configure(reports={"job": {"late_seconds": 60}})
    driver = {"sparkSubmit": {"entryPoint": "s3://bucket/a.py"}}
    request = {"applicationId": APPLICATION, "executionRoleArn": ROLE, "clientToken": "t", "name": "job"}
    run_id = emr.start_job_run(**request, jobDriver=driver)["jobRunId"]
    clock.tick(30)
    early = emr.get_job_run(applicationId=APPLICATION, jobRunId=run_id)["jobRun"]
    clock.tick(60)
    later = emr.get_job_run(applicationId=APPLICATION, jobRunId=run_id)["jobRun"]

    assert (early["state"], early["stateDetails"]) == ("SUCCESS", "")
    assert "billedResourceUtilization" not in early
    assert later["stateDetails"] == "The job run completed."
    assert later["billedResourceUtilization"]["vCPUHour"] > 0


def test_a_report_is_checked_and_kept() -> None:
    """An invalid report is refused. Reports in a settings file are unchanged after they are read."""
    settings = Settings(reports={"job": {"failed_children": [1], "never_starts": True}})  # type: ignore[dict-item]
    assert Settings().changed(settings.to_json()) == settings
    for report in ({"exit_code": 1000}, {"unknown": 1}, {"failed_children": [-1]}, {"start_seconds": "soon"}, 3):
        with pytest.raises(UsageError, match="reports must be names to objects with some of waiting_reason"):
            Settings().changed({"reports": {"job": report}})
