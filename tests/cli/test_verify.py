"""Tests `verify`, which checks the resources in AWS that specs refer to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.campaigns import in_one_test
from tests.cli.test_iam import AUTHORIZED, LOGS, policies, used
from tests.cli.world import ACCOUNT, Done, World, spark_text

ROLE = {"Arn": f"arn:aws:iam::{ACCOUNT}:role/jobs"}
TRUST = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "emr-serverless.amazonaws.com"}}]}
APPLICATION = {"applicationId": "00app0spark", "type": "Spark", "state": "STARTED", "releaseLabel": "emr-6.15.0"}
QUEUE = {
    "state": "ENABLED",
    "status": "VALID",
    "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "fleet"}],
}
DEFINITION = {
    "status": "ACTIVE",
    "revision": 1,
    "type": "container",
    "containerProperties": {"resourceRequirements": [{"type": "VCPU", "value": "4"}]},
}
FLEET = {"computeEnvironmentName": "fleet", "computeResources": {"maxvCpus": 8}}
QUOTA = {"QuotaName": "Max concurrent vCPUs per account", "Value": 100.0}


def answers() -> dict[str, Any]:
    """Returns AWS's replies for an account without problems, by operation."""
    return {
        "GetApplication": {"application": APPLICATION},
        "GetRole": {"Role": {**ROLE, "AssumeRolePolicyDocument": TRUST}},
        "HeadObject": {},
        "ListObjectsV2": {},
        "DescribeLogGroups": {"logGroups": [{"logGroupName": "spark"}, {"logGroupName": "/aws/batch/job"}]},
        "ListServiceQuotas": {"Quotas": [QUOTA]},
        "DescribeJobQueues": {"jobQueues": [QUEUE]},
        "DescribeJobDefinitions": {"jobDefinitions": [DEFINITION]},
        "DescribeComputeEnvironments": {"computeEnvironments": [FLEET]},
        "DescribeSubnets": {"Subnets": [{"AvailableIpAddressCount": 9}]},
        "DescribeSecurityGroups": {"SecurityGroups": [{}]},
    }


def environment(**resources: Any) -> dict[str, Any]:
    """Returns a description of a compute environment with these resources."""
    return {"computeEnvironments": [{**FLEET, "computeResources": {"maxvCpus": 8, **resources}}]}


def refused(operation: str, code: str) -> ClientError:
    """Returns AWS's error for an operation."""
    return ClientError(
        {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}, operation
    )


Asking = Callable[..., Done]


@pytest.fixture
def ask(world: World, monkeypatch: pytest.MonkeyPatch) -> Asking:
    """Verifies a project with one spec of each kind. Operations return the given replies, or by default replies without
    problems."""
    world.env["AWS_ENDPOINT_URL"] = world.aws.url
    world.write("orders.yaml", spark_text("orders") + LOGS)
    world.batch("clicks")
    call = BaseClient._make_api_call

    def ask(*arguments: str, recorded: list[Any] | None = None, **others: Any) -> Done:
        given = {**answers(), **others}

        def answer(self: Any, operation: str, params: Any) -> Any:
            if recorded is not None:
                recorded.append((f"{self.meta.service_model.service_name}.{operation}", params))
            if operation not in given:
                return call(self, operation, params)
            if isinstance(given[operation], str):
                raise refused(operation, given[operation])
            return {**given[operation], "ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": {}}}

        monkeypatch.setattr(BaseClient, "_make_api_call", answer)
        return world.run("verify", *arguments)

    return ask


def test_everything_in_order(ask: Asking) -> None:
    """Each resource is listed once with its state in AWS, and the exit code is 0."""
    done = ask()
    assert 0 == done.code, done.err
    assert "[NG]" not in done.out
    for text in (
        "[OK]   application 00app0spark is STARTED",
        f"[OK]   role arn:aws:iam::{ACCOUNT}:role/jobs exists and trusts emr-serverless.amazonaws.com",
        "[OK]   s3://shop-jobs/orders.py exists",
        "[OK]   bucket shop-logs exists",
        "[OK]   log group spark exists",
        "[OK]   job queue nightly is enabled",
        "[OK]   job definition worker:1 is active",
        "[OK]   the queue has up to 8 vCPUs",
        "[OK]   all specs together start with 16 of 100 vCPUs",
    ):
        assert text in done.out.splitlines()
    assert "0 to review, 0 missing or unsuitable, 0 not checked." in ask("--quiet").out.splitlines()[-1]


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "no application": ({"GetApplication": "ResourceNotFoundException"}, "8:20: application 00app0spark does not exist"),
    "an ended application": ({"GetApplication": {"application": {**APPLICATION, "state": "TERMINATED"}}}, "TERMINATED"),
    "a stopped application": (
        {
            "GetApplication": {
                "application": {**APPLICATION, "state": "STOPPED", "autoStartConfiguration": {"enabled": False}}
            }
        },
        "does not start automatically",
    ),
    "a Hive application": (
        {"GetApplication": {"application": {**APPLICATION, "type": "Hive"}}},
        "application 00app0spark runs Hive, and this is a spark job",
    ),
    "a small application": (
        {"GetApplication": {"application": {**APPLICATION, "maximumCapacity": {"cpu": "8 vCPU", "memory": "64 GB"}}}},
        "the run starts with 16 vCPUs, and application 00app0spark has at most 8",
    ),
    "no role": ({"GetRole": "NoSuchEntity"}, f"role arn:aws:iam::{ACCOUNT}:role/jobs does not exist"),
    "a role of another service": (
        {"GetRole": {"Role": {**ROLE, "AssumeRolePolicyDocument": {"Statement": []}}}},
        "does not trust emr-serverless.amazonaws.com",
    ),
    "no program": ({"HeadObject": "404"}, "object s3://shop-jobs/orders.py does not exist"),
    "no bucket for logs": ({"ListObjectsV2": "NoSuchBucket"}, "prefix s3://shop-logs/runs/ does not exist"),
    "a low quota": ({"ListServiceQuotas": {"Quotas": [{**QUOTA, "Value": 8.0}]}}, "the account may have 8 at once"),
    "no queue": ({"DescribeJobQueues": {"jobQueues": []}}, "clicks.yaml:8:15: job queue nightly does not exist"),
    "a disabled queue": ({"DescribeJobQueues": {"jobQueues": [{**QUEUE, "state": "DISABLED"}]}}, "nightly is DISABLED"),
    "no definition": ({"DescribeJobDefinitions": {"jobDefinitions": []}}, "job definition worker:1 does not exist"),
    "an inactive definition": (
        {"DescribeJobDefinitions": {"jobDefinitions": [{**DEFINITION, "status": "INACTIVE"}]}},
        "job definition worker:1 is not active",
    ),
    "a definition of another type": (
        {"DescribeJobDefinitions": {"jobDefinitions": [{"status": "ACTIVE", "revision": 1, "eksProperties": {}}]}},
        "worker:1 has no containerProperties, so containerOverrides does not fit it",
    ),
    "a queue whose environments are off": (
        {"DescribeComputeEnvironments": {"computeEnvironments": [{**FLEET, "state": "DISABLED"}]}},
        "job queue nightly cannot start jobs: fleet is DISABLED",
    ),
    "a definition for Fargate": (
        {
            "DescribeJobDefinitions": {"jobDefinitions": [{**DEFINITION, "platformCapabilities": ["FARGATE"]}]},
            "DescribeComputeEnvironments": environment(type="EC2"),
        },
        "the job definition runs on FARGATE, and compute environment fleet has EC2",
    ),
    "an environment on EKS": (
        {"DescribeComputeEnvironments": {"computeEnvironments": [{**FLEET, "eksConfiguration": {"x": "y"}}]}},
        "the job definition runs on ECS, and compute environment fleet is on EKS",
    ),
    "a fair-share queue": (
        {"DescribeJobQueues": {"jobQueues": [{**QUEUE, "schedulingPolicyArn": "arn"}]}},
        "clicks.yaml:8:15: job queue nightly has a scheduling policy, so AWS refuses jobs without shareIdentifier",
    ),
    "a subnet that is gone": (
        {
            "DescribeComputeEnvironments": environment(subnets=["subnet-1"]),
            "DescribeSubnets": "InvalidSubnetID.NotFound",
        },
        "clicks.yaml:8:15: subnet subnet-1 does not exist",
    ),
    "a security group of the application that is gone": (
        {
            "GetApplication": {"application": {**APPLICATION, "networkConfiguration": {"securityGroupIds": ["sg-1"]}}},
            "DescribeSecurityGroups": {"SecurityGroups": []},
        },
        "orders.yaml:8:20: security group sg-1 does not exist",
    ),
    "a role of the definition that is gone": (
        {
            "DescribeJobDefinitions": {
                "jobDefinitions": [
                    {**DEFINITION, "containerProperties": {"jobRoleArn": f"arn:aws:iam::{ACCOUNT}:role/other"}}
                ]
            }
        },
        f"clicks.yaml:9:20: role arn:aws:iam::{ACCOUNT}:role/other does not exist",
    ),
    "an application with little memory": (
        {"GetApplication": {"application": {**APPLICATION, "maximumCapacity": {"cpu": "99 vCPU", "memory": "48 GB"}}}},
        "the run starts with 56 GB of memory, and application 00app0spark has at most 48",
    ),
    "a small queue": (
        {"DescribeComputeEnvironments": {"computeEnvironments": [{"computeResources": {"maxvCpus": 2}}]}},
        "the job needs 4 vCPUs; its queue has at most 2, so it would not start",
    ),
}


@in_one_test("name", CASES)
def test_what_is_missing_or_does_not_fit_has_a_place(ask: Asking, name: str) -> None:
    """Each problem is printed on one line with file, line and column, and the exit code is 3."""
    given, message = CASES[name]
    done = ask(**given)
    assert 3 == done.code, done.err
    (line,) = [line for line in done.out.splitlines() if line.startswith("[NG]") and message in line]
    assert line.removeprefix("[NG]   ").startswith(("orders.yaml:", "clicks.yaml:"))


def test_runs_that_cannot_be_concurrent(ask: Asking, world: World) -> None:
    """More specs than an application can run at once are a warning; streams that occupy all its runs are an error."""
    world.write("later.yaml", spark_text("later"))
    limited = {**APPLICATION, "releaseLabel": "emr-7.1.0", "schedulerConfiguration": {"maxConcurrentRuns": 1}}
    done = ask(GetApplication={"application": limited})
    assert 0 == done.code
    assert "allows 1 concurrent runs, and 2 specs of this target use it: others wait in its queue" in done.out
    assert "fail after 360 minutes" in done.out
    world.write("later.yaml", spark_text("later") + "    mode: STREAMING\n")
    done = ask(GetApplication={"application": limited})
    assert 3 == done.code
    assert "1 streaming specs of this target use them all: others never start" in done.out
    limited["schedulerConfiguration"] = {}
    assert (
        "[OK]   application 00app0spark allows 15 concurrent runs" in ask(GetApplication={"application": limited}).out
    )


def test_specs_that_exceed_a_limit_only_together(ask: Asking, world: World) -> None:
    """If each spec fits but together they exceed the limit of an application, a queue or Fargate's quota, this is a
    warning."""
    world.write("later.yaml", spark_text("later"))
    world.write("array.yaml", world.batch("array").read_text() + "    arrayProperties: {size: 10}\n")
    fargate = {**DEFINITION, "platformCapabilities": ["FARGATE"]}
    done = ask(
        GetApplication={"application": {**APPLICATION, "maximumCapacity": {"cpu": "20 vCPU"}}},
        DescribeComputeEnvironments=environment(type="FARGATE"),
        DescribeJobDefinitions={"jobDefinitions": [fargate]},
        ListServiceQuotas={"Quotas": []},
        ListAWSDefaultServiceQuotas={
            "Quotas": [QUOTA, {"QuotaName": "Fargate On-Demand vCPU resource count", "Value": 6.0}]
        },
    )
    assert 0 == done.code, done.out
    for text in (
        "all specs of application 00app0spark together start with 32 vCPUs; it has at most 20",
        "the jobs on job queue nightly together need 44 vCPUs; the queue has up to 8 at once, so some wait",
        "the jobs use up to 8 of 6 vCPUs of quota Fargate On-Demand vCPU resource count",
        "up to 8 vCPUs; 2 of 10 children can run at once",
        "all specs together start with 32 of 100 vCPUs",
    ):
        assert text in done.out


def test_what_no_call_can_answer_is_skipped(ask: Asking) -> None:
    """Service accounts, routes and EC2's quotas are reported as [SKIP], and other log drivers need no log group."""
    pod = {"podProperties": {"serviceAccountName": "etl", "containers": []}}
    ranges = [
        {"targetNodes": "0:", "container": {"vcpus": 1, "logConfiguration": {"logDriver": "splunk"}}},
        {"targetNodes": "1", "eksProperties": pod},
    ]
    definition = {"status": "ACTIVE", "revision": 1, "nodeProperties": {"numNodes": 2, "nodeRangeProperties": ranges}}
    done = ask(
        GetApplication={"application": {**APPLICATION, "networkConfiguration": {"subnetIds": ["subnet-2"]}}},
        DescribeJobDefinitions={"jobDefinitions": [definition]},
        DescribeComputeEnvironments=environment(type="EC2", subnets=["subnet-1"], securityGroupIds=["sg-1"]),
    )
    for text in (
        "[SKIP] clicks.yaml:9:20: service account etl of Kubernetes: not checked, because no call of AWS describes it",
        "[SKIP] clicks.yaml:8:15: routes and endpoints of the subnets of compute environment fleet: not checked",
        "[SKIP] clicks.yaml:8:15: EC2's quota of vCPUs for compute environment fleet: not checked",
        "[SKIP] orders.yaml:8:20: routes and endpoints of the subnets of application 00app0spark: not checked",
        "[OK]   subnet subnet-1 exists",
        "[OK]   security group sg-1 exists",
    ):
        assert text in done.out
    assert "/aws/batch/job" not in done.out


def test_features_of_later_releases(ask: Asking, world: World) -> None:
    """A streaming job needs an EMR release that supports streaming."""
    world.write("orders.yaml", spark_text("orders") + "    mode: STREAMING\n")
    assert "application 00app0spark has emr-6.15.0; streaming jobs need emr-7.1.0 or later" in ask().out
    assert 0 == ask(GetApplication={"application": {**APPLICATION, "releaseLabel": "emr-7.1.0"}}).code


def test_what_may_surprise_is_a_warning(ask: Asking, world: World) -> None:
    """A job definition without a revision may change, and a log group may be created later. Both are warnings, and the
    exit code is 0."""
    world.write("clicks.yaml", world.batch("clicks").read_text().replace("worker:1", "worker"))
    done = ask(DescribeLogGroups={"logGroups": []}, ListServiceQuotas={"Quotas": [{**QUOTA, "Value": 17.0}]})
    assert 0 == done.code, done.err
    assert "[WARN] clicks.yaml:9:20: job definition worker is not pinned: its newest revision is 1. Pin it" in done.out
    assert "log group spark does not exist yet" in done.out


def test_what_could_not_be_asked_is_said(ask: Asking) -> None:
    """Without permissions, the result is [SKIP], and the exit code is 0."""
    denied = dict.fromkeys(answers(), "AccessDeniedException")
    done = ask("--format", "json", **denied)
    assert 0 == done.code
    assert {"not-asked"} == {each["answer"] for each in done.json["findings"]}
    assert all("AccessDeniedException" in each["message"] for each in done.json["findings"])
    assert {"name", "field", "path", "line", "col", "answer", "message"} == done.json["findings"][0].keys()
    assert done.json["ok"] is True


def test_the_emulator_has_no_settings_to_compare(world: World) -> None:
    """With the emulator, nothing is checked, because every resource exists as soon as it is used."""
    world.write("orders.yaml", spark_text("orders") + LOGS)
    pods = world.batch("pods").read_text().replace("containerOverrides", "ecsPropertiesOverride")
    world.write("pods.yaml", pods.replace('command: ["work", "A"]', "taskProperties: []"))
    for target in ("local", "staging"):
        done = world.run("verify", "-t", target)
        assert 0 == done.code, done.err
        assert "[OK]   application 00app0spark is STARTED" in done.out
        assert "settings of the resources: not checked, because resources in the emulator have none" in done.out
        assert "role arn:aws:iam::" in done.out
    assert 64 == world.run("verify", "--only", "missing").code


def test_the_policy_of_the_plan_allows_every_question(ask: Asking, world: World) -> None:
    """The role for pull requests may make every call of `verify`, on the same resources."""
    recorded: list[Any] = []
    network = {"subnetIds": ["subnet-1"], "securityGroupIds": ["sg-1"]}
    container = {"jobRoleArn": f"arn:aws:iam::{ACCOUNT}:role/other"}
    ask(
        recorded=recorded,
        GetApplication={"application": {**APPLICATION, "networkConfiguration": network}},
        DescribeJobDefinitions={"jobDefinitions": [{**DEFINITION, "containerProperties": container}]},
        DescribeComputeEnvironments=environment(type="FARGATE"),
        ListServiceQuotas={"Quotas": []},
        ListAWSDefaultServiceQuotas={"Quotas": [QUOTA]},
    )
    policy = policies(world)["plan"]["policy"]
    asked = {operation for operation, _ in recorded}
    assert {operation.partition(".")[2] for operation in asked} >= answers().keys()
    assert asked <= AUTHORIZED.keys()
    used(policy, recorded)
