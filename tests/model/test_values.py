"""Tests values that AWS accepts but that are probably mistakes, and similar values that must not cause a warning."""

from __future__ import annotations

import json
from pathlib import Path
from time import process_time
from typing import Any

import botocore
import pytest

from reconciler.model.arns import REGIONS, place_remarks
from reconciler.model.s3 import field_remarks, text_remarks
from reconciler.model.template import format_problem, template_remarks
from tests.campaigns import in_one_test
from tests.model.jobs import depends
from tests.model.requests import BATCH, batch, container, emr, kind_of, monitoring, nodes, pod, problems, spark
from tests.model.runs import configuration, hive

POLICY_ARN = "arn:aws:iam::123456789012:policy/only-read"


def remarks(request: dict[str, Any]) -> list[str]:
    """Returns the messages of the warnings about a request."""
    kind = kind_of(request)
    assert not problems(kind, request)
    return [remark.message for remark in kind.warn(kind.as_sent(request, "r1-0", "p/t/n"))]


def logs(uri: str) -> dict[str, Any]:
    """Returns a run that writes logs to a location."""
    return monitoring(s3MonitoringConfiguration={"logUri": uri})


def environment(value: str, name: str = "X") -> dict[str, Any]:
    """Returns a job with one environment variable."""
    return container(environment=[{"name": name, "value": value}])


LOCATIONS = {
    "one slash": (spark(entryPoint="s3:/b/x.py"), "s3:// has two slashes"),
    "no slash": (spark(entryPoint="s3:b/x.py"), "s3:// has two slashes"),
    "no colon": (spark(entryPoint="s3//b/x.py"), "s3:// has two slashes"),
    "three slashes": (spark(entryPoint="s3:///b/x.py"), "s3:/// has no bucket"),
    "backslashes": (spark(entryPoint="s3:\\\\b\\x.py"), "s3:// has two slashes"),
    "upper-case scheme": (spark(entryPoint="S3://b/x.py"), "in lower case"),
    "s3a of the program": (spark(entryPoint="s3a://b/x.py"), "accepts s3://"),
    "s3n": (configuration(classification="x", properties={"spark.jars": "s3n://b/x.jar"}), "s3n:// no longer exists"),
    "quotes": (spark(entryPoint='"s3://b/x.py"'), "quotes are a part of the value"),
    "typographic quotes": (spark(entryPoint="“s3://b/x.py”"), "quotes are a part of the value"),
    "space before": (spark(entryPoint=" s3://b/x.py"), "space at its start or end"),
    "line break after": (hive(query="s3://b/q.sql\n"), "ends with a line break"),
    "space inside": (spark(entryPoint="s3://b/my job.py"), "contains a space"),
    "space in the bucket": (logs("s3://my bucket/logs/"), "without spaces"),
    "to fill in": (spark(entryPoint="s3://<BUCKET>/x.py"), "<BUCKET> must be filled in"),
    "to fill in, in brackets": (spark(entryPoint="s3://[bucket]/x.py"), "[bucket] must be filled in"),
    "to fill in, the key": (spark(entryPoint="s3://b/<path>/x.py"), "<path> must be filled in"),
    "to fill in, all of it": (logs("<log uri>"), "must be filled in"),
    "upper-case bucket": (logs("s3://MyBucket/logs"), "no upper-case letters"),
    "underscore": (logs("s3://my_bucket/logs"), "without _"),
    "underscore and upper case": (logs("s3://YOUR_BUCKET/logs"), "YOUR_BUCKET is misspelt, or must be filled in"),
    "semicolon": (spark(entryPoint="s3;//b/x.py"), "s3:// has two slashes"),
    "two colons": (spark(entryPointArguments=["s3:://b/x"]), "s3:// has two slashes"),
    "misspelt scheme": (spark(entryPoint="ss3://b/x.py"), "there is no scheme ss3://; did you mean s3://?"),
    "list where one is needed": (spark(entryPoint="s3://b/x.py,s3://b/y.py"), "not a list of them"),
    "two dots": (logs("s3://my..bucket/logs"), "not the name of a bucket"),
    "an IP address": (logs("s3://10.0.0.1/logs"), "not the name of a bucket"),
    "64 characters": (logs(f"s3://{'b' * 64}/logs"), "not the name of a bucket"),
    "hyphen at the end": (logs("s3://bucket-/logs"), "not the name of a bucket"),
    "no bucket": (logs("s3://"), "the bucket is missing"),
    "host name": (logs("s3://b.s3.eu-west-1.amazonaws.com/logs"), "host name of S3"),
    "web page": (spark(entryPoint="https://b.s3.amazonaws.com/x.py"), "write s3://b/x.py"),
    "web page by path": (logs("https://s3.eu-west-1.amazonaws.com/b/logs"), "write s3://b/logs"),
    "console": (logs("https://eu-west-1.console.aws.amazon.com/s3/buckets/b"), "page of the console"),
    "ARN": (logs("arn:aws:s3:::b/logs"), "write s3://b/logs"),
    "no scheme": (logs("b/logs/"), "starts with s3://"),
    "no scheme of a query file": (hive(query="s3://b/q.sql", initQueryFile="b/init.sql"), "starts with s3://"),
    "folder as program": (spark(entryPoint="s3://b/jobs/"), "names a folder"),
    "bucket as program": (spark(entryPoint="s3://b"), "names a bucket"),
    "shell variable": (spark(entryPoint="s3://$BUCKET/x.py"), "$BUCKET is not replaced here"),
    "Python's braces": (spark(entryPoint="s3://b/{env}/x.py"), "{env} is not replaced here"),
    "argument": (spark(entryPointArguments=["s3:/b/in"]), "s3:// has two slashes"),
    "argument after its option": (spark(entryPointArguments=["--in=s3://<BUCKET>/in"]), "<BUCKET> must be filled in"),
    "second of a list": (spark(entryPointArguments=["s3://b/in,s3:/b/out"]), "s3:// has two slashes"),
    "hive parameter": (hive(query="s3://b/q.sql", parameters="--hiveconf x=s3:/b/tmp"), "s3:// has two slashes"),
    "command": (container(command=["run", "s3:///in"]), "s3:/// has no bucket"),
    "variable of a container": (environment("S3://b/in"), "in lower case"),
    "variable of a pod": (pod(containers=[{"env": [{"name": "X", "value": "s3:/b"}]}]), "s3:// has two slashes"),
    "parameter": (batch(parameters={"in": "s3://my_bucket/in"}), "without _"),
    "of some nodes": (nodes(containerOverrides={"command": ["s3:/b"]}), "s3:// has two slashes"),
}
TEMPLATES = {
    "Airflow's day": (spark(entryPointArguments=["{{ ds }}"]), "write ${run.slot:%Y-%m-%d}, in a spec"),
    "Airflow's other day": (spark(entryPointArguments=["--d={{ds_nodash}}"]), "write ${run.slot:%Y%m%d}"),
    "Airflow's time": (spark(entryPointArguments=["{{ ts }}"]), "write ${run.slot}, in a spec"),
    "strftime": (spark(entryPointArguments=["{{ execution_date.strftime('%Y/%m') }}"]), "${run.slot:%Y/%m}"),
    "Airflow's variable": (container(command=["run", "{{ var.value.x }}"]), "${var.NAME}, with NAME in spec.vars"),
    "Helm": (pod(containers=[{"image": "x:{{ .Values.tag }}"}]), "another tool (Jinja"),
    "block": (spark(entryPointArguments=["{% if x %}y{% endif %}"]), "another tool (Jinja or JSONata)"),
    "JSONata": (spark(entryPoint="{% $states.input.script %}"), "another tool (Jinja or JSONata)"),
    "JSONPath": (spark(entryPoint="$.script"), "another tool (Step Functions)"),
    "context": (container(command=["$$.Execution.Id"]), "another tool (Step Functions)"),
    "intrinsic": (spark(entryPointArguments=["States.Format('{}', $.day)"]), "another tool (Step Functions)"),
    "command substitution": (spark(entryPointArguments=["$(date +%Y-%m-%d)"]), "write ${run.slot:%Y-%m-%d}"),
    "backticks": (spark(entryPointArguments=["`date -u +%Y%m%d`"]), "write ${run.slot:%Y%m%d}"),
    "make": (container(command=["run", "$(DAY)"]), "a shell, make or Kubernetes"),
    "substitution in a location": (spark(entryPoint="s3://b/$(date +%F)/x.py"), "another tool (a shell"),
    "Python": (environment("%(day)s"), "another tool (Python)"),
    "Data Pipeline": (spark(entryPointArguments=["#{myDay}"]), "AWS Data Pipeline"),
    "Data Factory": (spark(entryPointArguments=["@{pipeline().x}"]), "Azure Data Factory"),
    "scheduler": (environment("<aws.scheduler.scheduled-time>"), "write ${run.slot}, in a spec"),
    "Windows": (container(command=["run", "%DATE_OF_RUN%"]), "another tool (Windows)"),
    "CloudFormation": (environment("!Ref Bucket"), "another tool (CloudFormation)"),
    "to fill in": (spark(entryPointArguments=["--day", "<YOUR DAY>"]), "<YOUR DAY> must be filled in"),
    "query": (hive(query="select * from t where ds = '{{ ds }}'"), "write ${run.slot:%Y-%m-%d}"),
    "Spark's options": (spark(sparkSubmitParameters="--conf spark.x={{ds}}"), "write ${run.slot:%Y-%m-%d}"),
    "name": (emr(name="job {{ ds }}"), "another tool (Jinja"),
}
REGIONS_AND_ARNS = {
    "queue in no region": (
        batch(jobQueue="arn:aws:batch:eu-west-11:123456789012:job-queue/q"),
        "there is no AWS region eu-west-11; did you mean eu-west-1?",
    ),
    "region as a zone": (environment("eu-west-1a", "AWS_REGION"), "there is no AWS region eu-west-1a"),
    "partition": (emr(executionRoleArn="arn:aws-us:iam::123456789012:role/x"), "there is no AWS partition aws-us"),
    "region of another partition": (
        batch(jobQueue="arn:aws:batch:cn-north-1:123456789012:job-queue/q"),
        "cn-north-1 is in the partition aws-cn",
    ),
    "ARN in an argument": (
        spark(entryPointArguments=["arn:aws:sns:us-eats-1:123456789012:topic"]),
        "there is no AWS region us-eats-1; did you mean us-east-1?",
    ),
    "metrics": (
        monitoring(
            prometheusMonitoringConfiguration={
                "remoteWriteUrl": "https://aps-workspaces.eu-west-9.amazonaws.com/workspaces/ws-1/api/v1/remote_write"
            }
        ),
        "there is no AWS region eu-west-9",
    ),
}
OTHERS = {
    "8,196 characters": (container(command=["x" * 8180]), "container overrides are 8,196 characters as JSON"),
    "child of an array": (
        depends({"jobId": "1234-ab:3", "type": "N_TO_N"}, arrayProperties={"size": 2}),
        "1234-ab:3 is one child",
    ),
}
MISTAKES = LOCATIONS | TEMPLATES | REGIONS_AND_ARNS | OTHERS


@in_one_test(("request_", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_value_that_cannot_be_meant_gives_one_warning(request_, expected):
    """Each value causes one warning, which describes the mistake and the correction."""
    (message,) = remarks(request_)
    assert expected in message


SILENT = {
    "usual locations": spark(
        entryPoint="s3://my-bucket.x/a b+c=1/x.py".replace(" ", "_"), entryPointArguments=["s3://b"]
    ),
    "image": spark(entryPoint="local:///usr/lib/spark/pi.py"),
    "other schemes": spark(entryPoint="hdfs:///x.py", entryPointArguments=["select `date` from t"]),
    "jar of no location": spark(entryPoint="test.jar"),
    "web page of another host": spark(entryPoint="https://repo.example.org/x.jar"),
    "access point": logs("s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/x/logs"),
    "access point by its alias": logs("s3://x-abc-s3alias/logs"),
    "bucket alone": logs("s3://my-logs"),
    "s3a of the data": spark(entryPointArguments=["s3a://b/in", "s3a://b/{2025,2026}/*", "s3://b/a s3://b/c"]),
    "rclone, restic and IAM": container(command=["s3:bucket/path", "s3:GetObject", "aws-s3:x"]),
    "prefix": spark(entryPointArguments=["--scheme", "s3://"]),
    "inline query": hive(query="select a[i], m['k'] from t where a < b and c > d and x = 's3:/x'"),
    "patterns of SQL": hive(query="select get_json_object(x, '$.a') from t where x like '%ERROR%' or x rlike 'a$(b)'"),
    "Hive's own variables": hive(query="select '${hiveconf:x}'"),
    "JSON": spark(entryPointArguments=['{"a": {"b": {}}}', '{{"a": 1}}', "[[1]]", '{"$.x": 1}']),
    "Go template": container(command=["docker", "ps", "--format", "{{.Names}}"]),
    "template by its option": spark(entryPointArguments=["--name-template", "{{ name }}", "--format={{ x }}"]),
    "JSONPath by its option": spark(entryPointArguments=["--json-path", "$.store.book", "--select", "$.a"]),
    "Python's logging": environment("%(asctime)s %(levelname)s %(message)s", "LOG_FORMAT"),
    "shell": container(command=["bash", "-c", 'x=$(date +%F) && echo "$x" $(hostname)']),
    "shell by its path": container(command=["/bin/sh", "-ec", "$(cat job.sh)"]),
    "script for the entry point": container(command=["echo $(date) > /tmp/x"]),
    "Kubernetes": pod(containers=[{"command": ["run", "$(DAY)"], "env": [{"name": "P", "value": "$(HOME)/x"}]}]),
    "Batch's own": batch(parameters={"x": "y"}, containerOverrides={"command": ["run", "Ref::x"]}),
    "formats": environment("%Y-%m-%d %H:%M:%S", "FORMAT"),
    "no value": environment("<none>"),
    "encoded": environment("a%20b%2Fc"),
    "money and dates": spark(entryPointArguments=["$100", "2026-11-28", "50%", "#1", "a@b.c", "<=", "!x"]),
    "ARN of another region": batch(jobQueue="arn:aws:batch:eu-west-1:123456789012:job-queue/q"),
    "ARN of AWS's own policy": emr(executionIamPolicy={"policyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}),
    "region": environment("eu-west-1", "AWS_REGION"),
    "8,192 characters": container(command=["x" * 8176]),
    "large pod": pod(containers=[{"args": ["x" * 9000]}]),
    "N_TO_N": depends({"jobId": "1234-ab", "type": "N_TO_N"}, arrayProperties={"size": 2}),
    "one child of an array": depends({"jobId": "1234-ab:3"}),
}


@in_one_test("request_", SILENT.values(), ids=SILENT)
def test_a_value_that_may_be_meant_is_silent(request_):
    """Requests that only look like mistakes cause no warning."""
    assert remarks(request_) == []


@pytest.mark.parametrize(
    "unit", [" ", "s3://${", "$(date ", "{%a", "States.A(", "`date ", "{{a", "<a", ".s3.", "YYYY-"]
)
def test_long_values_are_checked_in_time_that_grows_with_them(unit):
    """No value makes the checks slow, for example by backtracking in a pattern."""
    text = "s3" + unit * (200_000 // len(unit))
    began = process_time()
    for value in (text, text[2:], "$(" + text, "3" + text[2:]):
        list(template_remarks((), value))
        list(text_remarks((), value))
        list(field_remarks((), value, file=True, only=False))
        format_problem(value)
    assert process_time() - began < 3


PLACED = {
    "role": (
        emr(executionRoleArn="arn:aws:iam::999999999999:role/x"),
        "the role is of account 999999999999, the target",
    ),
    "policy": (
        emr(executionIamPolicy={"policyArns": [POLICY_ARN.replace("12345", "99999")]}),
        "the policy is of account",
    ),
    "queue": (batch(jobQueue="arn:aws:batch:eu-west-1:999999999999:job-queue/q"), "the job queue is of account 9"),
    "definition": (
        batch(jobDefinition="arn:aws:batch:us-east-1:123456789012:job-definition/d:1"),
        "the job definition is in us-east-1, the target is in eu-west-1",
    ),
    "partition": (emr(executionRoleArn="arn:aws-cn:iam::123456789012:role/x"), "whose ARNs start with arn:aws:"),
}


@in_one_test(("request_", "expected"), PLACED.values(), ids=PLACED)
def test_arns_fit_the_account_and_region_of_the_target(request_, expected):
    """An ARN in an account, region or partition other than the target's causes a warning."""
    (remark,) = place_remarks(request_, kind_of(request_).placed, "123456789012", "eu-west-1")
    assert expected in remark.message


def test_arns_of_the_target_are_silent():
    """ARNs in the target's account, plain names, and AWS's own policies cause no warning in any target."""
    policies = {"policyArns": [POLICY_ARN, "arn:aws:iam::aws:policy/ReadOnlyAccess"]}
    for request in (
        emr(executionIamPolicy=policies),
        batch(),
        batch(jobQueue="arn:aws:batch:eu-west-1:123456789012:job-queue/q"),
    ):
        assert list(place_remarks(request, kind_of(request).placed, "123456789012", "eu-west-1")) == []


def test_regions_are_those_of_botocore():
    """The regions of each partition are those that the installed botocore lists."""
    endpoints = json.loads((Path(botocore.__file__).parent / "data" / "endpoints.json").read_text())
    expected = {each["partition"]: sorted(each["regions"]) for each in endpoints["partitions"]}
    assert expected == {partition: sorted(regions) for partition, regions in REGIONS.items()}


def test_arrays_of_one_size_can_wait_for_each_other():
    """N_TO_N requires another array job of the same size."""
    ten, two = batch(arrayProperties={"size": 10}), batch(arrayProperties={"size": 2})
    assert BATCH.reference_problem(ten, "N_TO_N", ten) is None
    assert BATCH.reference_problem(ten, "job", batch()) is None
    assert "not an array job" in (BATCH.reference_problem(ten, "n_to_n", batch()) or "")
    assert "it has 2, this one 10" in (BATCH.reference_problem(ten, "N_TO_N", two) or "")
