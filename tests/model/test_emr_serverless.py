"""Tests StartJobRun: valid requests, warnings, and the request as it is sent."""

from __future__ import annotations

from tests.campaigns import in_one_test
from tests.model.requests import EMR, emr, monitoring, problems, sent, spark, warnings
from tests.model.runs import CLOUDWATCH, KEY, POLICY, configuration, hive, log_types, role, without

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


@in_one_test("request_", [case[1] for case in TAKEN], ids=[case[0] for case in TAKEN])
def test_valid_requests_are_accepted(request_):
    """A request that AWS accepts is accepted, even with empty values."""
    assert not problems(EMR, request_)


WARNED = [
    ("lower-case log types", log_types(spark_driver=["stdout"]), (*CLOUDWATCH, "logTypes", "spark_driver", 0)),
    ("lower-case worker", log_types(spark_driver=["STDOUT"]), (*CLOUDWATCH, "logTypes", "spark_driver")),
    ("no timeout", emr(executionTimeoutMinutes=0), ("executionTimeoutMinutes",)),
    ("no driver", without("jobDriver"), ()),
    ("policy without statements", emr(executionIamPolicy={"policy": "{}"}), ("executionIamPolicy", "policy")),
    (
        "policy of a version of its own",
        emr(executionIamPolicy={"policy": '{"Version": "2026-11-28", "Statement": []}'}),
        ("executionIamPolicy", "policy"),
    ),
    (
        "logs elsewhere",
        monitoring(s3MonitoringConfiguration={"logUri": "/var/log"}),
        ("configurationOverrides", "monitoringConfiguration", "s3MonitoringConfiguration", "logUri"),
    ),
]


@in_one_test(("request_", "loc"), [case[1:] for case in WARNED], ids=[case[0] for case in WARNED])
def test_unusual_requests_give_a_warning(request_, loc):
    """A request that contradicts AWS's documentation but that AWS accepts has a warning at its path, not an error."""
    assert loc in warnings(EMR, request_)
    assert not problems(EMR, request_)


def test_a_usual_request_has_no_warnings():
    """A request that follows the documentation has no warning."""
    assert not warnings(EMR, log_types(SPARK_DRIVER=["STDOUT"], HIVE_DRIVER=["TEZ_AM"]))


def test_only_streaming_runs_are_streaming():
    """Only a run with the mode STREAMING continues until it is stopped."""
    assert EMR.is_streaming(emr(mode="STREAMING"))
    assert not EMR.is_streaming(emr(mode="BATCH"))
    assert not EMR.is_streaming(emr())


def test_a_run_names_no_other_spec():
    """A StartJobRun request never refers to another spec."""
    assert not EMR.spec_dependencies(emr())


@in_one_test("odd", [[], "x", 1, None, {"logTypes": [1]}, {"sparkSubmit": 1}])
def test_rules_accept_any_shape(odd):
    """The rules accept requests of any shape without failing. The model refuses wrong shapes."""
    for field in (*EMR.model.model_fields,):
        request = emr(**{field: odd})
        assert isinstance(EMR.check(request), list)
        assert isinstance(EMR.warn(request), list)
        EMR.for_display(request)
    for request in (monitoring(cloudWatchLoggingConfiguration=odd), log_types(SPARK_DRIVER=odd)):
        assert isinstance([*EMR.check(request), *EMR.warn(request)], list)


def test_the_sent_request_has_token_and_tags():
    """The request as it is sent has our token, and our two tags in addition to the user's tags."""
    form = sent(EMR, emr(tags={"team": "growth"}))
    expected = {"team": "growth", "reconciler:token": "r1-0", "reconciler:spec": "p/t/n"}
    assert expected == form["tags"]
    assert expected["reconciler:token"] == form["clientToken"]
    EMR.model.model_validate(form)
