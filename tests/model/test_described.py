"""Tests requests that are made from AWS's descriptions of runs: overrides are kept, and values that AWS added are left
out."""

from __future__ import annotations

from typing import Any

from reconciler.model.batch import described as batch
from reconciler.model.emr_serverless import described as emr

PREFIX = "arn:aws:batch:eu-west-1:111122223333:"
DEFINITION = {
    "jobDefinitionArn": f"{PREFIX}job-definition/worker:3",
    "parameters": {"mode": "full"},
    "retryStrategy": {"attempts": 2, "evaluateOnExit": []},
    "timeout": {"attemptDurationSeconds": 600},
    "propagateTags": True,
    "schedulingPriority": 5,
    "containerProperties": {
        "image": "worker",
        "command": ["work", "Ref::mode"],
        "environment": [{"name": "STAGE", "value": "prod"}],
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
        "jobRoleArn": "arn:aws:iam::111122223333:role/worker",
    },
}


def job(**fields: Any) -> dict[str, Any]:
    """Returns a job as DescribeJobs returns it, in which the settings of the definition and the overrides are
    merged."""
    return {
        "jobArn": f"{PREFIX}job/4b0e1c5e-6a5c-4a3b-9d0e-0a4bd0c5c1f2",
        "jobId": "4b0e1c5e-6a5c-4a3b-9d0e-0a4bd0c5c1f2",
        "jobName": "nightly",
        "jobQueue": f"{PREFIX}job-queue/etl",
        "jobDefinition": f"{PREFIX}job-definition/worker:3",
        "status": "SUCCEEDED",
        "createdAt": 1764374400000,
        "attempts": [{"container": {"exitCode": 0}}],
        "dependsOn": [],
        "parameters": {"mode": "full"},
        "retryStrategy": {"attempts": 2, "evaluateOnExit": []},
        "timeout": {"attemptDurationSeconds": 600},
        "propagateTags": True,
        "schedulingPriority": 5,
        "container": {
            "image": "worker",
            "command": ["work", "Ref::mode"],
            "environment": [
                {"name": "MANAGED_BY_AWS", "value": "STARTED_BY_STEP_FUNCTIONS"},
                {"name": "STAGE", "value": "prod"},
            ],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
            "jobRoleArn": "arn:aws:iam::111122223333:role/worker",
            "exitCode": 0,
            "volumes": [],
            "logStreamName": "worker/default/1",
        },
        "tags": {"aws:batch:x": "y", "reconciler:token": "r1-0", "team": "etl"},
        "platformCapabilities": ["EC2"],
        "eksAttempts": [],
        **fields,
    }


PLAIN = {"jobName": "nightly", "jobQueue": "etl", "jobDefinition": "worker:3", "tags": {"team": "etl"}}


def test_settings_of_the_definition_are_left_out() -> None:
    """For a job without overrides, the request is minimal, and all other fields are listed."""
    read = batch.request_of(job(), DEFINITION)
    assert PLAIN == read.request
    assert {"retryStrategy", "timeout", "container", "jobArn", "status", "tags.aws:batch:x"} <= set(read.left_out)
    assert () == read.notes


def test_overrides_are_what_differs_from_the_definition() -> None:
    """Only the overridden settings are kept."""
    container = job()["container"]
    changed = job(
        container={
            **container,
            "command": ["work", "fast"],
            "environment": [*container["environment"], {"name": "DAY", "value": "1"}],
            "resourceRequirements": [{"type": "VCPU", "value": "4"}, {"type": "MEMORY", "value": "2048"}],
        },
        parameters={"mode": "full", "day": "1"},
        retryStrategy={"attempts": 3, "evaluateOnExit": [{"onReason": "*", "action": "exit"}]},
        timeout={"attemptDurationSeconds": 60},
        schedulingPriority=7,
        shareIdentifier="a*",
        arrayProperties={"size": 4, "statusSummary": {"RUNNING": 4}},
        dependsOn=[{"jobId": "x", "type": "N_TO_N"}],
        consumableResourceProperties={"consumableResourceList": [{"consumableResource": "l", "quantity": 1}]},
    )
    read = batch.request_of(changed, DEFINITION)
    assert {
        **PLAIN,
        "shareIdentifier": "a*",
        "schedulingPriorityOverride": 7,
        "arrayProperties": {"size": 4},
        "dependsOn": [{"jobId": "x", "type": "N_TO_N"}],
        "parameters": {"day": "1"},
        "containerOverrides": {
            "command": ["work", "fast"],
            "environment": [{"name": "DAY", "value": "1"}],
            "resourceRequirements": [{"type": "VCPU", "value": "4"}],
        },
        "retryStrategy": {"attempts": 3, "evaluateOnExit": [{"onReason": "*", "action": "EXIT"}]},
        "timeout": {"attemptDurationSeconds": 60},
        "consumableResourcePropertiesOverride": {
            "consumableResourceList": [{"consumableResource": "l", "quantity": 1}]
        },
    } == read.request
    assert "refers to jobs by id" in read.notes[0]


def test_without_the_definition_its_settings_are_repeated() -> None:
    """If the definition cannot be read, the request is longer, and a note explains why."""
    read = batch.request_of(job(), None)
    assert ["work", "Ref::mode"] == read.request["containerOverrides"]["command"]
    assert (batch.UNREAD,) == read.notes


def test_pods_tasks_and_nodes() -> None:
    """The overrides of EKS jobs, ECS tasks and node ranges are found per container and per range."""
    pod = {"name": "main", "image": "i", "command": ["a"], "env": [{"name": "X", "value": "1"}], "volumeMounts": []}
    definition = {
        "eksProperties": {"podProperties": {"containers": [pod], "metadata": {"labels": {"a": "b"}}}},
        "ecsProperties": {"taskProperties": [{"containers": [{"name": "c", "command": ["a"]}]}]},
        "nodeProperties": {"numNodes": 2, "nodeRangeProperties": [{"targetNodes": "0:1", "container": {"vcpus": 1}}]},
    }
    changed = job(
        container={},
        eksProperties={
            "podProperties": {
                "containers": [{**pod, "command": ["b"], "exitCode": 0}],
                "metadata": {"labels": {"a": "b"}},
                "nodeName": "ip-10-0-0-1",
            }
        },
        ecsProperties={"taskProperties": [{"containers": [{"name": "c", "command": ["b"], "exitCode": 1}]}]},
        nodeProperties={
            "numNodes": 3,
            "mainNode": 0,
            "nodeRangeProperties": [{"targetNodes": "0:1", "container": {"vcpus": 1, "command": ["n"]}}],
        },
    )
    request = batch.request_of(changed, definition).request
    assert {"podProperties": {"containers": [{"name": "main", "command": ["b"]}]}} == request["eksPropertiesOverride"]
    assert {"taskProperties": [{"containers": [{"name": "c", "command": ["b"]}]}]} == request["ecsPropertiesOverride"]
    assert {
        "numNodes": 3,
        "nodePropertyOverrides": [{"targetNodes": "0:1", "containerOverrides": {"command": ["n"]}}],
    } == request["nodeOverrides"]


def test_resources_of_other_accounts_keep_their_arns() -> None:
    """The ARN of a resource in another account is kept, because AWS would look up a name in the account of the job."""
    other = "arn:aws:batch:eu-west-1:999999999999:job-queue/etl"
    assert other == batch.request_of(job(jobQueue=other), DEFINITION).request["jobQueue"]


def test_children_of_arrays_are_not_runs() -> None:
    """Of a reply that also contains children, only the parents are read."""
    assert ["a"] == [batch.run_id(each) for each in batch.runs_in({"jobs": [job(jobId="a"), job(jobId="a:1"), 5]})]


def run(**fields: Any) -> dict[str, Any]:
    """Returns a run as GetJobRun returns it."""
    return {
        "applicationId": "00app",
        "jobRunId": "00run",
        "arn": "arn:aws:emr-serverless:eu-west-1:111122223333:/applications/00app/jobruns/00run",
        "name": "orders",
        "createdBy": "arn:aws:iam::111122223333:user/x",
        "executionRole": "arn:aws:iam::111122223333:role/emr",
        "state": "SUCCESS",
        "releaseLabel": "emr-7.2.0",
        "jobDriver": {"sparkSubmit": {"entryPoint": "s3://b/x.py", "entryPointArguments": []}},
        "configurationOverrides": {
            "monitoringConfiguration": {"managedPersistenceMonitoringConfiguration": {"enabled": True}}
        },
        "tags": {"team": "etl"},
        "executionTimeoutMinutes": 720,
        "mode": "BATCH",
        "retryPolicy": {"maxAttempts": 1},
        "attempt": 1,
        "totalResourceUtilization": {"vCPUHour": 1.0},
        **fields,
    }


def test_defaults_of_emr_serverless_are_left_out() -> None:
    """The timeout, mode, retry policy and managed logs that AWS adds to every run are left out."""
    (description,) = emr.runs_in({"jobRun": run()})
    read = emr.request_of(description, None)
    assert {
        "applicationId": "00app",
        "executionRoleArn": "arn:aws:iam::111122223333:role/emr",
        "jobDriver": {"sparkSubmit": {"entryPoint": "s3://b/x.py"}},
        "tags": {"team": "etl"},
        "name": "orders",
    } == read.request
    left_out = " ".join(read.left_out)
    for name in (
        "executionTimeoutMinutes 720",
        "mode BATCH",
        "retryPolicy",
        "managedPersistence",
        "releaseLabel",
        "arn",
    ):
        assert name in left_out


def test_other_values_are_kept() -> None:
    """Values that differ from the defaults are kept. Streaming runs have different defaults."""
    kept = {"executionTimeoutMinutes": 60, "mode": "STREAMING", "retryPolicy": {"maxFailedAttemptsPerHour": 3}}
    assert kept.items() <= emr.request_of(run(**kept), None).request.items()
    assert (
        "executionTimeoutMinutes" not in emr.request_of(run(mode="STREAMING", executionTimeoutMinutes=0), None).request
    )
