"""StartJobRun: invalid requests."""

from __future__ import annotations

from tests.campaigns import in_one_test
from tests.model.requests import EMR, emr, monitoring, problems, spark
from tests.model.runs import CLOUDWATCH, CONFIGURATION, configuration, hive, log_types, role, without

REFUSED = [
    ("upper-case application", emr(applicationId="00F1K2SD"), ("applicationId",)),
    ("empty application", emr(applicationId=""), ("applicationId",)),
    ("null application", emr(applicationId=None), ("applicationId",)),
    ("null name", emr(name=None), ("name",)),
    ("blank name", emr(name="  "), ("name",)),
    ("empty name", emr(name=""), ("name",)),
    ("no role", without("executionRoleArn"), ("executionRoleArn",)),
    ("user instead of role", role("arn:aws:iam::123456789012:user/someone"), ("executionRoleArn",)),
    ("role of another service", role("arn:aws:sts::123456789012:role/emr-jobs"), ("executionRoleArn",)),
    ("role with line end", role("arn:aws:iam::123456789012:role/emr-jobs\n"), ("executionRoleArn",)),
    ("role too long", role("arn:aws:iam::123456789012:role/" + "r" * 2048), ("executionRoleArn",)),
    ("long token", emr(clientToken="t" * 65), ("clientToken",)),
    ("empty token", emr(clientToken=""), ("clientToken",)),
    ("two drivers", emr(jobDriver={"sparkSubmit": {"entryPoint": "x"}, "hive": {"query": "q"}}), ("jobDriver", "hive")),
    ("unknown driver", emr(jobDriver={"flink": {}}), ("jobDriver", "flink")),
    ("blank entry point", spark(entryPoint="   "), ("jobDriver", "sparkSubmit", "entryPoint")),
    ("1025 arguments", spark(entryPointArguments=["x"] * 1025), ("jobDriver", "sparkSubmit", "entryPointArguments")),
    ("number argument", spark(entryPointArguments=[10]), ("jobDriver", "sparkSubmit", "entryPointArguments", 0)),
    ("blank parameters", spark(sparkSubmitParameters=" \t\n"), ("jobDriver", "sparkSubmit", "sparkSubmitParameters")),
    ("empty parameters", spark(sparkSubmitParameters=""), ("jobDriver", "sparkSubmit", "sparkSubmitParameters")),
    ("no query", hive(initQueryFile="s3://b/x.sql"), ("jobDriver", "hive", "query")),
    ("empty query", hive(query=""), ("jobDriver", "hive", "query")),
    ("long init file", hive(query="q", initQueryFile="x" * 257), ("jobDriver", "hive", "initQueryFile")),
    ("long hive parameters", hive(query="q", parameters="x" * 102_401), ("jobDriver", "hive", "parameters")),
    (
        "101 configurations",
        emr(configurationOverrides={"applicationConfiguration": [{"classification": "c"}] * 101}),
        ("configurationOverrides", "applicationConfiguration"),
    ),
    ("blank classification", configuration(classification=" "), (*CONFIGURATION, "classification")),
    (
        "long property",
        configuration(classification="c", properties={"k": "v" * 1025}),
        (*CONFIGURATION, "properties", "k"),
    ),
    (
        "long property key",
        configuration(classification="c", properties={"k" * 1025: "v"}),
        (*CONFIGURATION, "properties", "k" * 1025, "[key]"),
    ),
    (
        "boolean property",
        configuration(classification="c", properties={"k": True}),
        (*CONFIGURATION, "properties", "k"),
    ),
    (
        "nested without class",
        configuration(classification="c", configurations=[{}]),
        (*CONFIGURATION, "configurations", 0, "classification"),
    ),
    (
        "empty log uri",
        monitoring(s3MonitoringConfiguration={"logUri": ""}),
        ("configurationOverrides", "monitoringConfiguration", "s3MonitoringConfiguration", "logUri"),
    ),
    (
        "key id, no ARN",
        monitoring(s3MonitoringConfiguration={"encryptionKeyArn": "12345678-1234-1234-1234-123456789012"}),
        ("configurationOverrides", "monitoringConfiguration", "s3MonitoringConfiguration", "encryptionKeyArn"),
    ),
    (
        "managed logs as text",
        monitoring(managedPersistenceMonitoringConfiguration={"enabled": "true"}),
        ("configurationOverrides", "monitoringConfiguration", "managedPersistenceMonitoringConfiguration", "enabled"),
    ),
    (
        "long log group",
        monitoring(cloudWatchLoggingConfiguration={"enabled": True, "logGroupName": "g" * 513}),
        (*CLOUDWATCH, "logGroupName"),
    ),
    (
        "star in stream",
        monitoring(cloudWatchLoggingConfiguration={"enabled": True, "logStreamNamePrefix": "a*"}),
        (*CLOUDWATCH, "logStreamNamePrefix"),
    ),
    ("six log types", log_types(SPARK_DRIVER=["STDOUT"] * 6), (*CLOUDWATCH, "logTypes", "SPARK_DRIVER")),
    ("no log types", log_types(SPARK_DRIVER=[]), (*CLOUDWATCH, "logTypes", "SPARK_DRIVER")),
    ("unknown log type", log_types(SPARK_DRIVER=["STDIN"]), (*CLOUDWATCH, "logTypes", "SPARK_DRIVER", 0)),
    ("unknown worker", log_types(FLINK_DRIVER=["STDOUT"]), (*CLOUDWATCH, "logTypes", "FLINK_DRIVER")),
    (
        "plain http",
        monitoring(
            prometheusMonitoringConfiguration={
                "remoteWriteUrl": "http://aps-workspaces.us-east-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write"
            }
        ),
        ("configurationOverrides", "monitoringConfiguration", "prometheusMonitoringConfiguration", "remoteWriteUrl"),
    ),
    (
        "long context key",
        emr(configurationOverrides={"diskEncryptionConfiguration": {"encryptionContext": {"k" * 129: "v"}}}),
        ("configurationOverrides", "diskEncryptionConfiguration", "encryptionContext", "k" * 129, "[key]"),
    ),
    ("tag characters", emr(tags={"team": "a&b"}), ("tags", "team")),
    ("tag key characters", emr(tags={"té": "a"}), ("tags", "té", "[key]")),
    ("aws tag", emr(tags={"AWS:x": "a"}), ("tags", "AWS:x")),
    ("aws tag value", emr(tags={"x": "aws:a"}), ("tags", "x")),
    ("49 own tags", emr(tags={f"k{n}": "v" for n in range(49)}), ("tags",)),
    ("timeout over all", emr(executionTimeoutMinutes=1_000_001), ("executionTimeoutMinutes",)),
    ("timeout of one minute", emr(executionTimeoutMinutes=1), ("executionTimeoutMinutes",)),
    ("timeout as text", emr(executionTimeoutMinutes="60"), ("executionTimeoutMinutes",)),
    ("timeout as fraction", emr(executionTimeoutMinutes=60.0), ("executionTimeoutMinutes",)),
    ("timeout as boolean", emr(executionTimeoutMinutes=True), ("executionTimeoutMinutes",)),
    ("unknown mode", emr(mode="INTERACTIVE"), ("mode",)),
    ("11 attempts", emr(retryPolicy={"maxAttempts": 11}), ("retryPolicy", "maxAttempts")),
    (
        "0 per hour",
        emr(mode="STREAMING", retryPolicy={"maxFailedAttemptsPerHour": 0}),
        ("retryPolicy", "maxFailedAttemptsPerHour"),
    ),
    (
        "per hour without mode",
        emr(retryPolicy={"maxFailedAttemptsPerHour": 5}),
        ("retryPolicy", "maxFailedAttemptsPerHour"),
    ),
    ("attempts of a stream", emr(mode="STREAMING", retryPolicy={"maxAttempts": 3}), ("retryPolicy", "maxAttempts")),
    ("long policy", emr(executionIamPolicy={"policy": "{" + " " * 2048 + "}"}), ("executionIamPolicy", "policy")),
    (
        "policy ARN short",
        emr(executionIamPolicy={"policyArns": ["arn:aws:iam"]}),
        ("executionIamPolicy", "policyArns", 0),
    ),
    (
        "policy name",
        emr(executionIamPolicy={"policyArns": ["AmazonS3ReadOnlyAccess"]}),
        ("executionIamPolicy", "policyArns", 0),
    ),
    ("flex as text", emr(flexExecution={"enabled": "yes"}), ("flexExecution", "enabled")),
    ("tags as list", emr(tags=[{"key": "a", "value": "b"}]), ("tags",)),
    ("lone surrogate", emr(name="\ud800"), ("name",)),
]


@in_one_test(("request_", "loc"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_invalid_requests_are_refused_at_their_path(request_, loc):
    """A request that AWS refuses is refused at the path of the invalid value."""
    assert loc in problems(EMR, request_)
