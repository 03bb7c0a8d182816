"""Tests AWS Batch with a real client: submissions, descriptions, cancellations, dependencies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.emulator import Emulator
from tests.emulator.conftest import NOON, Clock, job_request

Submit = Callable[..., str]
Get = Callable[[str], dict[str, Any]]


def test_submit_returns_the_job(batch: Any) -> None:
    """SubmitJob returns the ARN, name and id."""
    reply = batch.submit_job(**job_request())

    assert reply["jobName"] == "orders"
    assert f"arn:aws:batch:us-east-1:000000000000:job/{reply['jobId']}" == reply["jobArn"]


def test_every_accepted_call_is_a_new_job(submit: Submit, emulator: Emulator) -> None:
    """Batch has no client token, so the same request sent twice starts two jobs."""
    assert submit() != submit()
    assert len(emulator.runs()) == 2


def test_a_job_is_described_in_aws_words(submit: Submit, job: Get) -> None:
    """The description contains ARNs instead of names, a revision, empty lists, lower-case actions and the container."""
    rules = [{"onExitCode": "1*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]
    job_id = submit(
        containerOverrides={"command": ["run"], "environment": [{"name": "A", "value": "1"}]},
        retryStrategy={"attempts": 3, "evaluateOnExit": rules},
        timeout={"attemptDurationSeconds": 60},
        tags={"reconciler:token": "r1-x"},
        shareIdentifier="team/a",
        schedulingPriorityOverride=7,
    )

    described = job(job_id)

    assert described["jobQueue"] == "arn:aws:batch:us-east-1:000000000000:job-queue/main"
    assert described["jobDefinition"] == "arn:aws:batch:us-east-1:000000000000:job-definition/etl:1"
    assert (described["dependsOn"], described["parameters"], described["attempts"]) == ([], {}, [])
    assert [rule["action"] for rule in described["retryStrategy"]["evaluateOnExit"]] == ["retry", "exit"]
    assert (
        described["container"]["command"],
        described["container"]["environment"],
    ) == (["run"], [{"name": "A", "value": "1"}])
    assert (
        described["tags"],
        described["shareIdentifier"],
        described["schedulingPriority"],
    ) == ({"reconciler:token": "r1-x"}, "team/a", 7)
    assert (round(NOON * 1000), "SUBMITTED", False, False) == tuple(
        described[name] for name in ("createdAt", "status", "isCancelled", "isTerminated")
    )


def test_arns_in_a_request_are_returned_as_they_were_sent(submit: Submit, job: Get) -> None:
    """If a definition's ARN has no revision, a revision is added."""
    prefix = "arn:aws:batch:eu-west-1:111122223333"
    sent = submit(jobQueue=f"{prefix}:job-queue/q", jobDefinition=f"{prefix}:job-definition/d")
    pinned = submit(jobDefinition=f"{prefix}:job-definition/d:7")

    assert (f"{prefix}:job-queue/q", f"{prefix}:job-definition/d:1") == (
        job(sent)["jobQueue"],
        job(sent)["jobDefinition"],
    )
    assert f"{prefix}:job-definition/d:7" == job(pinned)["jobDefinition"]


def test_a_job_moves_with_the_clock(submit: Submit, job: Get, clock: Clock) -> None:
    """The job passes through all states to SUCCEEDED. After that, it has an attempt with times and an exit code."""
    job_id = submit()

    states = []
    for _ in range(5):
        states.append(job(job_id)["status"])
        clock.tick(0.5)
    clock.tick(20)
    described = job(job_id)

    assert states == ["SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING"]
    assert (described["status"], described["container"]["exitCode"]) == ("SUCCEEDED", 0)
    assert (round(NOON + 2) * 1000, round(NOON + 22) * 1000) == (described["startedAt"], described["stoppedAt"])
    (attempt,) = described["attempts"]
    assert (described["startedAt"], described["stoppedAt"]) == (attempt["startedAt"], attempt["stoppedAt"])
    assert attempt["container"]["exitCode"] == 0


def test_a_failing_job_is_retried_as_its_strategy_says(
    submit: Submit, job: Get, emulator: Emulator, clock: Clock
) -> None:
    """Failed runs have the exit code 1. A retry rule with EXIT for this code ends the job after the first attempt."""
    emulator.configure(outcome="failed")
    plain = submit(retryStrategy={"attempts": 2})
    rule = {"onExitCode": "1", "onStatusReason": "Essential*", "action": "exit"}
    exits = submit(retryStrategy={"attempts": 2, "evaluateOnExit": [{"onReason": "x", "action": "retry"}, rule]})

    clock.tick(1000)

    assert (
        job(plain)["status"],
        len(job(plain)["attempts"]),
        job(plain)["container"]["exitCode"],
    ) == ("FAILED", 2, 1)
    assert (job(exits)["status"], len(job(exits)["attempts"])) == ("FAILED", 1)


def test_cancel_stops_only_jobs_that_have_not_started(submit: Submit, job: Get, batch: Any, clock: Clock) -> None:
    """CancelJob on a running job succeeds and has no effect."""
    waiting = submit()
    clock.tick(0.6)
    batch.cancel_job(jobId=waiting, reason="not needed")
    running = submit()
    clock.tick(2.1)
    batch.cancel_job(jobId=running, reason="not needed")

    described = job(waiting)
    assert tuple(described[name] for name in ("status", "statusReason", "isCancelled", "isTerminated")) == (
        "FAILED",
        "not needed",
        True,
        False,
    )
    assert (job(running)["status"], job(running)["isCancelled"]) == ("RUNNING", False)


def test_terminate_stops_a_running_job(submit: Submit, job: Get, batch: Any, clock: Clock) -> None:
    """The job stops after `stop_seconds`. Terminating the job again does nothing."""
    job_id = submit()
    clock.tick(5)
    batch.terminate_job(jobId=job_id, reason="replaced")
    at_once = job(job_id)["status"]
    clock.tick(1)
    batch.terminate_job(jobId=job_id, reason="again")

    described = job(job_id)
    assert at_once == "RUNNING"
    assert tuple(described[name] for name in ("status", "statusReason", "isTerminated", "isCancelled")) == (
        "FAILED",
        "replaced",
        True,
        False,
    )
    assert described["container"]["exitCode"] == 137


def test_stopping_an_unknown_job_is_an_error(batch: Any) -> None:
    """A reason of more than 1024 characters is also an error."""
    for operation in (batch.cancel_job, batch.terminate_job):
        with pytest.raises(batch.exceptions.ClientException, match="does not exist"):
            operation(jobId="nothing", reason="x")
        with pytest.raises(batch.exceptions.ClientException, match="reason"):
            operation(jobId="nothing", reason="x" * 1025)


def test_a_job_waits_for_its_dependencies(submit: Submit, job: Get, clock: Clock) -> None:
    """The job is PENDING until its last dependency succeeds. An unknown job id does not block it."""
    first = submit()
    clock.tick(10)
    second = submit()
    last = submit(dependsOn=[{"jobId": first}, {"jobId": second}, {"jobId": "876da822-unknown"}])

    clock.tick(21.9)
    waiting = job(last)
    clock.tick(0.2)

    assert ("PENDING", first) == (waiting["status"], waiting["dependsOn"][0]["jobId"])
    assert job(last)["status"] == "RUNNABLE"


def test_a_failed_dependency_fails_the_jobs_that_wait_for_it(
    submit: Submit, job: Get, batch: Any, clock: Clock
) -> None:
    """The failure also affects jobs that wait for those jobs."""
    first = submit()
    middle = submit(dependsOn=[{"jobId": first}])
    last = submit(dependsOn=[{"jobId": middle}])
    clock.tick(5)
    assert job(last)["status"] == "PENDING"

    batch.terminate_job(jobId=first, reason="stop it all")
    clock.tick(2)

    assert [("FAILED", "stop it all"), *[("FAILED", "Dependent Job failed")] * 2] == [
        (job(job_id)["status"], job(job_id)["statusReason"]) for job_id in (first, middle, last)
    ]
    assert "exitCode" not in job(last)["container"]


def test_a_job_whose_dependency_has_failed_fails_at_once(
    submit: Submit, job: Get, emulator: Emulator, clock: Clock
) -> None:
    """The job fails as soon as it is submitted, and not at the earlier time at which its dependency failed."""
    first = submit()
    emulator.finish(first, "failed")
    clock.tick(60)

    last = job(submit(dependsOn=[{"jobId": first}]))
    assert (last["status"], last["stoppedAt"]) == ("FAILED", last["createdAt"])


def test_a_job_waits_for_an_endless_dependency(submit: Submit, job: Get, emulator: Emulator, clock: Clock) -> None:
    """The job is PENDING until the dependency is ended through the control endpoint."""
    emulator.configure(durations={"endless": None})
    first = submit(jobName="endless")
    last = submit(dependsOn=[{"jobId": first}])
    clock.tick(10**6)
    assert (job(first)["status"], job(last)["status"]) == ("RUNNING", "PENDING")

    emulator.finish(first)
    clock.tick(30)

    assert (job(first)["status"], job(last)["status"]) == ("SUCCEEDED", "SUCCEEDED")


def test_describe_accepts_a_hundred_ids_and_omits_unknown_ones(submit: Submit, batch: Any) -> None:
    """Unknown, malformed and repeated ids are not errors."""
    job_id = submit()

    described = batch.describe_jobs(jobs=["nothing", job_id, f"{job_id}:0", f"{job_id}#0", "a:b:c", job_id])["jobs"]

    assert [job_id] == [each["jobId"] for each in described]
    assert len(batch.describe_jobs(jobs=[job_id, *map(str, range(99))])["jobs"]) == 1
    with pytest.raises(batch.exceptions.ClientException, match="100"):
        batch.describe_jobs(jobs=[str(number) for number in range(101)])


def test_eks_and_ecs_workloads_are_described(submit: Submit, job: Get) -> None:
    """Their overrides are returned in `eksProperties` and `ecsProperties`."""
    pod = {"podProperties": {"containers": [{"name": "main", "command": ["run"]}]}}
    task = {"taskProperties": [{"containers": [{"name": "main", "command": ["run"]}]}]}

    on_eks, on_ecs = job(submit(eksPropertiesOverride=pod)), job(submit(ecsPropertiesOverride=task))

    assert pod == on_eks["eksProperties"]
    assert task == on_ecs["ecsProperties"]
    assert ("container" in on_eks, "container" in on_ecs) == (False, False)


def test_queues_and_definitions_exist_once_named(submit: Submit, batch: Any) -> None:
    """Any name can be described; without names, the reply contains the resources that jobs have named."""
    submit(jobQueue="main", jobDefinition="etl:4")

    assert [each["jobQueueName"] for each in batch.describe_job_queues(jobQueues=["any"])["jobQueues"]] == ["any"]
    assert [each["jobQueueName"] for each in batch.describe_job_queues()["jobQueues"]] == ["main"]
    named = batch.describe_job_definitions(jobDefinitionName="other")["jobDefinitions"]
    assert [(each["jobDefinitionName"], each["revision"]) for each in named] == [("other", 1)]
    assert [
        (each["jobDefinitionName"], each["revision"]) for each in batch.describe_job_definitions()["jobDefinitions"]
    ] == [("etl", 4)]
    assert batch.describe_job_definitions(status="INACTIVE")["jobDefinitions"] == []


def test_settings_can_restrict_queues_and_definitions(submit: Submit, batch: Any, emulator: Emulator) -> None:
    """If a definition is configured without a revision, every revision exists. A definition that is configured with a
    revision is also found without it."""
    emulator.configure(queues=["main", "spare"], definitions=["etl", "report:3"])

    assert all(submit(jobDefinition=name) for name in ("etl", "etl:9", "report", "report:3"))
    for wrong in ({"jobQueue": "other"}, {"jobDefinition": "other"}, {"jobDefinition": "report:4"}):
        with pytest.raises(batch.exceptions.ClientException, match="does not exist"):
            submit(**wrong)
    with pytest.raises(batch.exceptions.ClientException, match="does not exist"):
        batch.list_jobs(jobQueue="other")
    pages = batch.get_paginator("describe_job_queues").paginate(PaginationConfig={"PageSize": 1})
    assert [queue["jobQueueName"] for page in pages for queue in page["jobQueues"]] == ["main", "spare"]
    assert batch.describe_job_queues(jobQueues=["other"])["jobQueues"] == []
    definitions = batch.describe_job_definitions(jobDefinitions=["report:3", "other"])["jobDefinitions"]
    assert [(each["jobDefinitionName"], each["revision"]) for each in definitions] == [("report", 3)]


def test_resource_listings_check_their_arguments(batch: Any) -> None:
    """A page has 1 to 100 items, and revisions are numbers."""
    for size in (0, 101):
        with pytest.raises(batch.exceptions.ClientException, match="maxResults"):
            batch.describe_job_queues(maxResults=size)
    with pytest.raises(batch.exceptions.ClientException, match="revision"):
        batch.describe_job_definitions(jobDefinitions=["etl:latest"])
