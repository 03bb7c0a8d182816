"""Tests requests in the form that workflow engines, command lines and scripts send."""

from __future__ import annotations

from tests.campaigns import in_one_test
from tests.model.jobs import ID, array, depends, retry
from tests.model.requests import BATCH, EMR, batch, container, emr, kind_of, problems, spark, warnings
from tests.model.runs import configuration, hive, log_types

RESOURCES = [{"type": "VCPU", "value": "4"}, {"type": "MEMORY", "value": "8192"}, {"type": "GPU", "value": "2"}]
NAMES = [{"name": "HOME", "value": "/root"}, {"name": "EMPTY", "value": ""}, {"name": "JSON", "value": '{"a": 1}'}]

JOBS = {
    "every field that is not set, sent empty": batch(
        containerOverrides={}, parameters={}, retryStrategy={"attempts": 1}, tags={}
    ),
    "one override for every node": batch(
        nodeOverrides={
            "numNodes": 4,
            "nodePropertyOverrides": [{"targetNodes": "0:", "containerOverrides": {"environment": NAMES}}],
        }
    ),
    "main node by its index alone": batch(
        nodeOverrides={
            "nodePropertyOverrides": [
                {"targetNodes": "0", "containerOverrides": {"command": ["head"], "resourceRequirements": RESOURCES}},
                {"targetNodes": "1:", "containerOverrides": {"command": ["worker"], "resourceRequirements": RESOURCES}},
            ]
        },
        propagateTags=True,
    ),
    "main node as a range": batch(
        nodeOverrides={"nodePropertyOverrides": [{"targetNodes": "0:0"}, {"targetNodes": "1:3"}]},
        tags={},
        parameters={},
    ),
    "array of the usual kind": batch(**array(2), containerOverrides={"resourceRequirements": RESOURCES[:2]}),
    "two jobs in sequence": depends({"jobId": ID, "type": "SEQUENTIAL"}, {"jobId": ID, "type": "SEQUENTIAL"}),
    "a job by a short id": depends({"jobId": "1234"}),
    "shell with variables": container(
        command=["bash", "-c", "set -e; echo ${HOME:-} $AWS_BATCH_JOB_ARRAY_INDEX | tee x.log"], environment=NAMES
    ),
    "quotes left in a command": container(command=['"--workflow"', '"annotate"', "'a b'"]),
    "tags that are paths and addresses": batch(
        tags={"acme.org/app-name": "x", "owner": "me@example.org", "note": ""}, propagateTags=True
    ),
    "lost hosts": retry(
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onStatusReason": "Your Spot Task was interrupted.", "action": "RETRY"},
        {"onReason": "CannotPullContainerError:*", "action": "RETRY"},
        {"onExitCode": "143", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    ),
    "both reasons": retry(
        {"onStatusReason": "Task failed to start", "onReason": "DockerTimeoutError*", "action": "RETRY"}
    ),
    "share with a star": batch(shareIdentifier="A1*", schedulingPriorityOverride=0),
    "a day": batch(timeout={"attemptDurationSeconds": 86_400}),
    "longest names": batch(jobName="n" * 128, jobQueue="q" * 128, jobDefinition="d" * 128 + ":12"),
    "in China": batch(
        jobQueue="arn:aws-cn:batch:cn-north-1:123456789012:job-queue/q",
        jobDefinition="arn:aws-cn:batch:cn-north-1:123456789012:job-definition/d",
    ),
    "in an isolated region": batch(
        jobQueue="arn:aws-iso-b:batch:us-isob-east-1:123456789012:job-queue/q",
        jobDefinition="arn:aws-iso-b:batch:us-isob-east-1:123456789012:job-definition/d:12",
    ),
}
RUNS = {
    "no overrides, sent empty": emr(configurationOverrides={}),
    "options with an equals sign": spark(
        sparkSubmitParameters="--archives=s3://b/env.tar.gz#env --jars s3://b/a.jar,s3://b/b.jar"
    ),
    "options on lines": spark(
        sparkSubmitParameters="--class com.acme.Main\n    --executor-cores=4\n    --conf spark.driver.cores=4"
    ),
    "a variable of the driver": spark(
        sparkSubmitParameters="--conf spark.emr-serverless.driverEnv.PYSPARK_PYTHON=./env/bin/python"
    ),
    "arguments of every kind": spark(entryPointArguments=["${X}", " padded ", "over\nlines", '{"a": 1}', "-h"]),
    "jar of no location": emr(jobDriver={"sparkSubmit": {"entryPoint": "test.jar"}}),
    "hive in two files": hive(
        query="s3://b/query.sql",
        initQueryFile="s3://b/tables.sql",
        parameters="--hiveconf hive.exec.scratchdir=s3://b/scratch --hiveconf hive.root.logger=DEBUG,DRFA",
    ),
    "loggers": configuration(classification="spark-driver-log4j2", properties={"rootLogger.level": "error"}),
    "all kinds of log": log_types(
        SPARK_DRIVER=["STDOUT", "STDERR"],
        SPARK_EXECUTOR=["STDOUT", "STDERR"],
        HIVE_DRIVER=["STDOUT", "STDERR", "HIVE_LOG", "TEZ_AM"],
        TEZ_TASK=["STDOUT", "STDERR", "SYSTEM_LOGS"],
    ),
    "policies of AWS's own": emr(
        executionIamPolicy={
            "policy": '{"Version": "2012-10-17", "Statement": []}',
            "policyArns": ["arn:aws:iam::aws:policy/AmazonS3FullAccess"],
        }
    ),
    "a stream": emr(mode="STREAMING", executionTimeoutMinutes=0, retryPolicy={"maxFailedAttemptsPerHour": 2}),
    "tags with colons and spaces": emr(tags={"acme:owned": "true", "Cost Center": "a b/c"}),
}
REQUESTS = JOBS | RUNS


@in_one_test("name", REQUESTS)
def test_a_usual_request_is_accepted_without_warning(name):
    """A request in the form that these programs send causes neither an error nor a warning."""
    request = REQUESTS[name]
    kind = kind_of(request)
    assert not problems(kind, request)
    assert not warnings(kind, request)


def test_both_kinds_are_covered():
    """The requests cover both kinds."""
    assert {BATCH} == {kind_of(request) for request in JOBS.values()}
    assert {EMR} == {kind_of(request) for request in RUNS.values()}
