"""Tests requests in files of other tools: state machines, rules, schedules, and payloads and outputs of the AWS CLI."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.model.import_expressions import Fillings
from reconciler.model.import_payloads import Payload, cron_schedule, find
from tests.campaigns import in_one_test
from tests.model.requests import rows

BATCH, SPARK = "arn:aws:states:::batch:submitJob.sync", "arn:aws-us-gov:states:::emr-serverless:startJobRun.sync"


def task(resource: str, **parameters: Any) -> dict[str, Any]:
    """Returns a state that starts a run."""
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}


def only(value: Any) -> Payload:
    """Returns the only request in a file."""
    (payload,) = find(value)
    return payload


MACHINE = {
    "StartAt": "Extract",
    "States": {
        "Extract": {
            **task(
                BATCH,
                JobName="extract",
                JobQueue="nightly",
                JobDefinition="worker:3",
                ContainerOverrides={
                    "Command.$": "States.Array('run', $.day, States.Format('s3://{}/x', $.bucket))",
                    "Environment": [{"Name": "DAY", "Value.$": "$.day"}, {"Name": "HOME", "Value": "${HOME}"}],
                    "ResourceRequirements": [{"Type": "VCPU", "Value": "2"}],
                },
                Parameters={"Input.$": "$.in", "Mode": "full"},
                ArrayProperties={"Size.$": "$.n"},
                Tags={"Team": "x"},
                EksPropertiesOverride={"PodProperties": {"Containers": [{"Env": [{"Name": "A", "Value": "b"}]}]}},
                NodeOverrides={"NumNodes": 2, "NodePropertyOverrides": [{"TargetNodes": "0:"}]},
            ),
            "Next": "Both",
            "Retry": [{"ErrorEquals": ["States.ALL"]}],
        },
        "Both": {
            "Type": "Parallel",
            "Branches": [
                {
                    "States": {
                        "Spark Job": task(
                            SPARK,
                            **{"ApplicationId.$": "$.app", "ClientToken.$": "$$.Execution.Name"},
                            ExecutionRoleArn="arn:aws:iam::111122223333:role/emr",
                            JobDriver={"SparkSubmit": {"EntryPoint": "s3://b/x.py", "EntryPointArguments.$": "$.args"}},
                        )
                    }
                },
                {"States": {"All": {"Type": "Map", "ItemProcessor": {"States": {"Each": {
                    "Type": "Task", "Resource": "arn:aws:states:::aws-sdk:batch:submitJob",
                    "Arguments": {"JobName": "each", "JobQueue": "q", "JobDefinition": "{% $states.input.d %}",
                                  "SchedulingPriorityOverride": "{% $p %}"},
                }}}}}},
            ],
        },
        "Notify": task("arn:aws:states:::lambda:invoke", FunctionName="f"),
    },
}  # fmt: skip


def test_a_state_machine_has_the_requests_of_all_its_states() -> None:
    """Nested states are found, with their names. States of other services are left out."""
    extract, spark, each = find(MACHINE)
    assert ["Extract", "Spark Job", "Each"] == [payload.name for payload in (extract, spark, each)]
    assert ["BatchJob", "EmrServerlessJobRun", "BatchJob"] == [payload.kind for payload in (extract, spark, each)]
    assert {
        "jobName": "extract",
        "jobQueue": "nightly",
        "jobDefinition": "worker:3",
        "containerOverrides": {
            "command": ["run", "${var.day}", "s3://${var.bucket}/x"],
            "environment": [{"name": "DAY", "value": "${var.day}"}, {"name": "HOME", "value": "$${HOME}"}],
            "resourceRequirements": [{"type": "VCPU", "value": "2"}],
        },
        "parameters": {"Input": "${var.in}", "Mode": "full"},
        "tags": {"Team": "x"},
        "eksPropertiesOverride": {"podProperties": {"containers": [{"env": [{"name": "A", "value": "b"}]}]}},
        "nodeOverrides": {"numNodes": 2, "nodePropertyOverrides": [{"targetNodes": "0:"}]},
    } == extract.request
    assert {"day": "$.day", "bucket": "$.bucket", "in": "$.in"} == extract.variables
    assert {"arrayProperties.size": "$.n"} == extract.omitted
    assert ("Retry",) == extract.left_out
    assert ("States.Extract.Retry is not imported: write spec.backoffLimit",) == extract.notes[:1]
    assert ["${var.args}"] == spark.request["jobDriver"]["sparkSubmit"]["entryPointArguments"]
    assert {"app": "$.app", "args": "$.args"} == spark.variables
    assert ("ClientToken.$",) == spark.left_out
    assert {"d": "$states.input.d"} == each.variables
    assert {"schedulingPriorityOverride": "$p"} == each.omitted


def test_definitions_are_found_inside_other_documents() -> None:
    """The output of describe-state-machine and a CloudFormation template contain the definition as text."""
    text = json.dumps({"States": {"One": task(BATCH, JobName="a", JobQueue="q", JobDefinition="d")}})
    template = {
        "Resources": {"M": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionString": text}}}
    }
    sub = {"DefinitionString": {"Fn::Sub": [text.replace("arn:aws:", "arn:${AWS::Partition}:"), {}]}}
    for document in ({"name": "machine", "definition": text}, template, sub):
        assert "One" == only(document).name


def test_a_state_without_literal_parameters_names_what_is_missing() -> None:
    """If the parameters are a single expression, the request is empty and the expression is reported."""
    payload = only({"Type": "Task", "Resource": BATCH, "Parameters.$": "$.job"})
    assert ({}, {"request": "$.job"}) == (payload.request, payload.omitted)


@in_one_test(
    ("expression", "text"),
    [
        ("States.Format('{}-{}.csv', $.a.B, 'x')", "${var.a_b}-x.csv"),
        (r"States.Format('it\'s \{\} ${x} {}', $.y)", "it's {} $${x} ${var.y}"),
        ("States.Format('{}', States.ArrayGetItem($.list, 0))", "${var.list}"),
        ("States.Format($.template, $.a)", "${var.template_a}"),
        ("States.UUID()", "${var.field}"),
        ("$$.Execution.StartTime", "${var.starttime}"),
        ("$['odd key']", "${var.field}"),
    ],
)
def test_intrinsic_functions_become_texts_with_placeholders(expression: str, text: str) -> None:
    """The literal parts of an intrinsic function are kept, and each path in it becomes a variable."""
    assert text == Fillings().expression(expression, "field")


SCHEDULE = {
    "Name": "nightly-orders",
    "ScheduleExpression": "cron(0 2 ? * 2-6 *)",
    "ScheduleExpressionTimezone": "Europe/Madrid",
    "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
    "State": "DISABLED",
    "Target": {
        "Arn": "arn:aws:scheduler:::aws-sdk:emrserverless:startJobRun",
        "RoleArn": "arn:aws:iam::111122223333:role/scheduler",
        "Input": json.dumps(
            {
                "ApplicationId": "00app",
                "ClientToken": "<aws.scheduler.execution-id>",
                "JobDriver": {"SparkSubmit": {"EntryPointArguments": ["--at", "<aws.scheduler.scheduled-time>"]}},
            }
        ),
    },
}


def test_a_schedule_of_eventbridge_scheduler() -> None:
    """The spec has the schedule, the time zone and the state of the schedule. The scheduled time becomes the slot."""
    payload = only(SCHEDULE)
    assert "nightly-orders" == payload.name
    assert ["--at", "${run.slot}"] == payload.request["jobDriver"]["sparkSubmit"]["entryPointArguments"]
    assert ("0 2 * * 1-5", "Europe/Madrid", True) == (
        payload.schedule.cron,
        payload.schedule.time_zone,
        payload.schedule.suspended,
    )
    assert ("RoleArn", "ClientToken", "FlexibleTimeWindow") == payload.left_out
    assert {} == payload.variables


def test_a_rule_of_eventbridge() -> None:
    """The job queue comes from the ARN of the target, and the input contains overrides."""
    queue = "arn:aws:batch:eu-west-1:111122223333:job-queue/nightly"
    target = {
        "Id": "t1",
        "Arn": queue,
        "RoleArn": "arn:aws:iam::111122223333:role/events",
        "BatchParameters": {"JobDefinition": "worker:1", "JobName": "nightly", "ArrayProperties": {"Size": 10}},
        "Input": '{"ContainerOverrides": {"Command": ["a"]}}',
    }
    payload = only({"Name": "rule", "ScheduleExpression": "rate(1 day)", "Targets": [target]})
    assert {
        "jobQueue": queue,
        "jobDefinition": "worker:1",
        "jobName": "nightly",
        "arrayProperties": {"size": 10},
        "containerOverrides": {"command": ["a"]},
    } == payload.request
    assert ("nightly", "0 0 * * *") == (payload.name, payload.schedule.cron)


@in_one_test(
    ("expression", "cron"),
    [
        ("cron(0/5 8-17 ? * MON-FRI *)", "0-59/5 8-17 * * MON-FRI"),
        ("cron(15 10 1,15 * ? *)", "15 10 1,15 * *"),
        ("cron(0 0 ? * 1,7 *)", "0 0 * * 0,6"),
        ("cron(0 0 ? * 2#1 *)", None),
        ("cron(0 0 L * ? *)", None),
        ("cron(0 0 1 1 ? 2027)", None),
        ("rate(1 minute)", "* * * * *"),
        ("rate(15 minutes)", "*/15 * * * *"),
        ("rate(7 minutes)", None),
        ("rate(1 hour)", "0 * * * *"),
        ("rate(2 days)", None),
        ("at(2026-12-01T00:00:00)", None),
    ],
)
def test_schedules_become_five_field_cron_or_a_note(expression: str, cron: str | None) -> None:
    """A schedule that cannot be expressed in cron is left to the user and is not approximated."""
    schedule = cron_schedule({"ScheduleExpression": expression})
    assert schedule is not None
    assert cron == schedule.cron
    assert (cron is None) <= any(expression in note for note in schedule.notes)


@pytest.mark.skipif(not rows("batch"), reason="the corpus is not here")
@in_one_test("case", rows("batch", "emr_serverless"), ids=lambda case: case["id"])
def test_payloads_of_the_aws_cli_are_kept(case: dict[str, Any]) -> None:
    """A plain payload is converted to a request, in AWS's spelling or that of Step Functions, with `${` escaped."""
    payload = only(case["request"])
    request = {key: value for key, value in case["request"].items() if key != "clientToken"}
    assert request == json.loads(json.dumps(payload.request).replace("$${", "${"))
    again = only({key[:1].upper() + key[1:]: value for key, value in case["request"].items()})
    assert payload.request == again.request


def test_fields_without_a_value_and_unknown_fields_are_left_out() -> None:
    """A null, which means an absent field, and a field that AWS's input does not have, are listed with their paths."""
    payload = only(
        {
            "JobName": "a", "JobQueue": "q", "JobDefinition": "d", "Timeout": None, "Colour": "red",
            "ContainerOverrides": {"Command": ["x"], "Shell": {"a": 1}, "Environment": [{"Name": "A", "Value": None}]},
        }
    )  # fmt: skip
    assert {
        "jobName": "a",
        "jobQueue": "q",
        "jobDefinition": "d",
        "containerOverrides": {"command": ["x"], "environment": [{"name": "A"}]},
    } == payload.request
    assert (
        "timeout (null)",
        "colour (unknown field)",
        "containerOverrides.shell (unknown field)",
        "containerOverrides.environment[0].value (null)",
    ) == payload.left_out


def test_other_documents_have_no_request() -> None:
    """Other values contain no request, however deeply they are nested."""
    deep: Any = {}
    for _ in range(200):
        deep = {"a": [deep]}
    values: list[Any] = [None, 1, "{", "text", [], {"jobQueue": "q"}, {"Resource": 5}, {"Arn": [], "Input": 3}, deep]
    for value in values:
        assert [] == list(find(value))
