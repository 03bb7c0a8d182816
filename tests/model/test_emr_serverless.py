"""StartJobRun: what is refused, what is taken, what is warned about."""

from __future__ import annotations

from typing import Any

import pytest

from tests.model.requests import EMR, emr, monitoring, problems, sent, spark, warnings

CLOUDWATCH = ("configurationOverrides", "monitoringConfiguration", "cloudWatchLoggingConfiguration")
CONFIGURATION = ("configurationOverrides", "applicationConfiguration", 0)
KEY = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012"
POLICY = "arn:aws:iam::123456789012:policy/p"


def hive(**fields: Any) -> dict[str, Any]:
    """A Hive run."""
    return emr(jobDriver={"hive": fields})


def configuration(**fields: Any) -> dict[str, Any]:
    """A run with one application configuration."""
    return emr(configurationOverrides={"applicationConfiguration": [fields]})


def log_types(**types: Any) -> dict[str, Any]:
    """A run with CloudWatch log types."""
    return monitoring(cloudWatchLoggingConfiguration={"enabled": True, "logTypes": types})


def role(arn: str) -> dict[str, Any]:
    """A run under another role."""
    return emr(executionRoleArn=arn)


def without(field: str) -> dict[str, Any]:
    """A run without one field."""
    return {key: value for key, value in emr().items() if key != field}


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


@pytest.mark.parametrize(("request_", "place"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_aws_refuses_is_refused_at_its_place(request_, place):
    """A request that AWS refuses is refused, at the member that is wrong."""
    assert place in problems(EMR, request_)


TAKEN = [
    ("nothing but what is required", without("name")),
    ("no driver", without("jobDriver")),
    (
        "empty lists and mappings",
        emr(
            jobDriver={"sparkSubmit": {"entryPoint": "x", "entryPointArguments": []}},
            configurationOverrides={"applicationConfiguration": [], "monitoringConfiguration": {}},
            tags={},
            retryPolicy={},
            executionIamPolicy={},
            flexExecution={},
        ),
    ),
    ("empty properties", configuration(classification="c", properties={}, configurations=[])),
    ("repeated arguments", spark(entryPointArguments=["--x", "1", "--x", "1"])),
    ("parameters over lines", spark(sparkSubmitParameters="--conf a=b\n  --conf c=d\n")),
    ("query over lines", hive(query="SELECT 1\n  FROM t", parameters="--hiveconf a=b\n--hiveconf c=d")),
    ("role with a path", role("arn:aws-us-gov:iam::123456789012:role/service-role/x/emr+jobs=@a,b.c-d_e")),
    ("nested configurations", configuration(classification="c", configurations=[{"classification": "export"}])),
    ("48 own tags", emr(tags={f"k{n}": "v" for n in range(48)})),
    ("empty tag value", emr(tags={"k": ""})),
    ("five minutes", emr(executionTimeoutMinutes=5)),
    ("seven days", emr(executionTimeoutMinutes=10_080, mode="BATCH")),
    ("no timeout", emr(executionTimeoutMinutes=0)),
    ("no timeout of a stream", emr(mode="STREAMING", executionTimeoutMinutes=0)),
    ("ten per hour", emr(mode="STREAMING", retryPolicy={"maxFailedAttemptsPerHour": 10})),
    ("ten attempts", emr(mode="BATCH", retryPolicy={"maxAttempts": 10})),
    ("policies", emr(executionIamPolicy={"policy": '{"Version": "2012-10-17"}', "policyArns": [POLICY] * 10})),
    (
        "every kind of log",
        monitoring(
            s3MonitoringConfiguration={"logUri": "s3://b/l/", "encryptionKeyArn": KEY},
            managedPersistenceMonitoringConfiguration={"enabled": False, "encryptionKeyArn": KEY},
            cloudWatchLoggingConfiguration={
                "enabled": True,
                "logGroupName": "/aws/emr-serverless",
                "logStreamNamePrefix": "etl",
                "encryptionKeyArn": KEY,
                "logTypes": {
                    "SPARK_DRIVER": ["STDOUT", "STDERR"],
                    "TEZ_TASK": ["SYSTEM_LOGS"],
                    "HIVE_DRIVER": ["HIVE_LOG", "TEZ_AM"],
                },
            },
            prometheusMonitoringConfiguration={
                "remoteWriteUrl": "https://aps-workspaces.cn-north-1.amazonaws.com.cn/workspaces/ws-1_a.b/api/v1/remote_write"
            },
        ),
    ),
    (
        "disks",
        emr(configurationOverrides={"diskEncryptionConfiguration": {"encryptionKeyArn": KEY, "encryptionContext": {}}}),
    ),
    ("flex", emr(flexExecution={"enabled": True})),
]


@pytest.mark.parametrize("request_", [case[1] for case in TAKEN], ids=[case[0] for case in TAKEN])
def test_what_aws_takes_is_taken(request_):
    """A request that AWS takes is taken, empty values included."""
    assert not problems(EMR, request_)


WARNED = [
    ("lower-case log types", log_types(spark_driver=["stdout"]), (*CLOUDWATCH, "logTypes", "spark_driver", 0)),
    ("lower-case worker", log_types(spark_driver=["STDOUT"]), (*CLOUDWATCH, "logTypes", "spark_driver")),
    ("no timeout", emr(executionTimeoutMinutes=0), ("executionTimeoutMinutes",)),
    ("no driver", without("jobDriver"), ()),
    ("policy that is no JSON", emr(executionIamPolicy={"policy": "allow all"}), ("executionIamPolicy", "policy")),
    (
        "logs elsewhere",
        monitoring(s3MonitoringConfiguration={"logUri": "/var/log"}),
        ("configurationOverrides", "monitoringConfiguration", "s3MonitoringConfiguration", "logUri"),
    ),
]


@pytest.mark.parametrize(("request_", "place"), [case[1:] for case in WARNED], ids=[case[0] for case in WARNED])
def test_what_is_odd_is_taken_with_a_warning(request_, place):
    """What AWS documents otherwise, and takes, is a warning at its place, and no error."""
    assert place in warnings(EMR, request_)
    assert not problems(EMR, request_)


def test_a_usual_request_has_no_warnings():
    """A request that follows the documentation is met with silence."""
    assert not warnings(EMR, log_types(SPARK_DRIVER=["STDOUT"], HIVE_DRIVER=["TEZ_AM"]))


def test_only_streaming_runs_go_on_until_stopped():
    """The mode alone says whether a run ends by itself; absent, it does."""
    assert EMR.is_streaming(emr(mode="STREAMING"))
    assert not EMR.is_streaming(emr(mode="BATCH"))
    assert not EMR.is_streaming(emr())


def test_no_spec_is_named_inside_a_run():
    """A run refers to no other spec; gates are outside the request."""
    assert not EMR.spec_dependencies(emr())


@pytest.mark.parametrize("odd", [[], "x", 1, None, {"logTypes": [1]}, {"sparkSubmit": 1}])
def test_rules_say_nothing_about_shapes(odd):
    """Rules run on requests of any shape without failing: shapes are the model's to refuse."""
    for field in (*EMR.model.model_fields,):
        request = emr(**{field: odd})
        assert isinstance(EMR.check(request), list)
        assert isinstance(EMR.warn(request), list)
        EMR.for_display(request)
    for request in (monitoring(cloudWatchLoggingConfiguration=odd), log_types(SPARK_DRIVER=odd)):
        assert isinstance([*EMR.check(request), *EMR.warn(request)], list)


def test_what_is_sent_carries_token_and_tags():
    """The model is of the request as sent: with our token, and our two tags beside the user's."""
    form = sent(EMR, emr(tags={"team": "growth"}))
    expected = {"team": "growth", "reconciler:token": "r1-0", "reconciler:spec": "p/t/n"}
    assert expected == form["tags"]
    assert expected["reconciler:token"] == form["clientToken"]
    EMR.model.model_validate(form)
