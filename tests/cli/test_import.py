"""Tests `import`, which writes specs from runs in AWS and from files of other tools, so that the next plan is empty."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from reconciler.model.kind import kind_named
from tests.cli.clients import kept_clients
from tests.cli.world import REGION, World, aws_environment, project_text, standin

KEYS = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": REGION}
ROLE = "arn:aws:iam::111122223333:role/emr"
REQUESTS: dict[str, dict[str, Any]] = {
    "array": {
        "jobName": "JobC",
        "jobQueue": "prod",
        "jobDefinition": "JobC-CPU:1",
        "arrayProperties": {"size": 10},
        "dependsOn": [{"type": "SEQUENTIAL"}],
        "retryStrategy": {"attempts": 3, "evaluateOnExit": [{"onReason": "*", "action": "EXIT"}]},
        "containerOverrides": {
            "command": ["bwa ${SAMPLE}.sam", "on", "1.10"],
            "environment": [{"name": "A", "value": ""}],
        },
    },
    "pod": {
        "jobName": "EksWithOverrides",
        "jobQueue": "eks",
        "jobDefinition": "pod:2",
        "eksPropertiesOverride": {
            "podProperties": {"containers": [{"command": ["/bin/sh"], "args": ["-c", "echo hi"]}]}
        },
        "tags": {"team": "etl"},
    },
    "nodes": {
        "jobName": "mpi",
        "jobQueue": "hpc",
        "jobDefinition": "mpi:1",
        "nodeOverrides": {
            "numNodes": 2,
            "nodePropertyOverrides": [{"targetNodes": "0:", "containerOverrides": {"command": ["run"]}}],
        },
    },
    "hive": {
        "applicationId": "00hive",
        "executionRoleArn": ROLE,
        "name": "hive",
        "jobDriver": {"hive": {"query": "select *\nfrom x\n", "parameters": "--hiveconf a=${hiveconf:x}"}},
    },
    "stream": {
        "applicationId": "00spark",
        "executionRoleArn": ROLE,
        "name": "kinesis",
        "mode": "STREAMING",
        "jobDriver": {
            "sparkSubmit": {"entryPoint": "s3://b/x.py", "sparkSubmitParameters": "--conf spark.b=2 --conf spark.a=1"}
        },
    },
}
"""Requests of every shape, with strings that YAML or a template could misread."""


def submitted(world: World, request: dict[str, Any]) -> str:
    """Starts a run as another tool does, and returns its id."""
    if "jobQueue" in request:
        reply = boto3.client("batch", endpoint_url=world.aws.url, **KEYS).submit_job(**request)
        return str(reply["jobId"])
    client = boto3.client("emr-serverless", endpoint_url=world.aws.url, **KEYS)
    return str(client.start_job_run(**{"clientToken": "elsewhere", **request})["jobRunId"])


def request_in(world: World, spec: dict[str, Any]) -> dict[str, Any]:
    """Returns the request of an imported spec in AWS's form."""
    document = yaml.safe_load((world.folder / spec["path"]).read_text())
    kind = kind_named(document["kind"])
    request = kind.from_spec(document["spec"]["request"])
    plain: dict[str, Any] = json.loads(json.dumps({kind.name_field: spec["name"], **request}).replace("$${", "${"))
    return plain


def is_empty(world: World) -> bool:
    """Returns whether the plan is empty."""
    done = world.run("plan", "--detailed-exitcode")
    return done.code == 0 and "No changes." in done.out


@pytest.mark.parametrize("shape", REQUESTS)
def test_a_run_becomes_a_spec_and_the_plan_is_empty(world: World, shape: str) -> None:
    """The spec has the request of the run, and the ledger assigns the run to the spec."""
    request = REQUESTS[shape]
    run_id = submitted(world, request)
    done = world.run("import", run_id, "--format", "json")
    assert 0 == done.code, done.err
    (spec,) = done.json["imported"]
    assert ("adopted", run_id) == (spec["outcome"], spec["run_id"])
    assert request == request_in(world, spec)
    assert is_empty(world)
    assert 1 == len(world.runs())


def test_the_end_of_a_failed_run_is_not_taken_over(tmp_path: Path) -> None:
    """The content of a failed run is recorded as applied, so the spec is neither on hold nor retried."""
    with standin(0.0, outcome="failed") as aws, kept_clients():
        world = World(tmp_path / "project", aws, env=aws_environment(aws.url))
        world.write("reconciler.yaml", project_text())
        world.init()
        run_id = submitted(world, {"jobName": "Fail_It", "jobQueue": "q", "jobDefinition": "d:1"})
        done = world.run("import", run_id)
        assert 0 == done.code, done.err
        assert "fail-it  accepted  fail-it.yaml" in done.out
        assert "left out: " in done.out
        assert is_empty(world)
        assert f"imported: run {run_id}" in world.run("history", "fail-it").out


def test_arns_several_runs_and_names_that_are_taken(world: World) -> None:
    """Several runs can be imported at once, by id or by ARN. Each spec gets a unique name."""
    world.batch("same")
    request = {"jobName": "same", "jobQueue": "q", "jobDefinition": "d:1"}
    first, second = (submitted(world, request) for _ in range(2))
    spark = submitted(world, {"applicationId": "00other", "executionRoleArn": "arn:aws:iam::111122223333:role/emr"})
    arn = f"arn:aws:emr-serverless:{REGION}:111122223333:/applications/00other/jobruns/{spark}"
    (world.folder / "jobs").mkdir()
    done = world.run("import", first, arn, second, spark, "--out", "jobs", "--format", "json")
    assert 0 == done.code, done.err
    assert {"jobs/same-2.yaml", "jobs/same-3.yaml", f"jobs/{spark}.yaml"} == {
        spec["path"] for spec in done.json["imported"]
    }
    assert world.run("plan", "--format", "json").actions("name", "action")[0] == (spark, "none")


def test_runs_that_belong_to_specs_are_refused(world: World) -> None:
    """No file is written for a run of this or another reconciler project, or for a run that does not exist."""
    world.batch("mine")
    assert 0 == world.run("apply", "--yes").code
    tags = {"reconciler:spec": "other/prod/x", "reconciler:token": "r1-1"}
    other = submitted(world, {"jobName": "x", "jobQueue": "q", "jobDefinition": "d:1", "tags": tags})
    before = world.files()
    for run_id, message in (
        (world.runs()[0].id, "is the run of mine"),
        (other, "other/prod/x"),
        ("00missing", "AWS has no run 00missing"),
    ):
        done = world.run("import", run_id)
        assert (1, "") == (done.code, done.out)
        assert message in done.err
    assert before.keys() == world.files().keys()


@pytest.fixture
def payload(world: World) -> Path:
    """Writes a file with one request next to the project."""
    file = world.folder.parent / "payload.json"
    file.write_text(json.dumps({"jobName": "nightly-etl", "jobQueue": "q", "jobDefinition": "d"}))
    return file


def test_a_payload_counts_as_applied(world: World, payload: Path) -> None:
    """The content of a payload is recorded as applied, so it runs only after a change."""
    done = world.run("import", "--from-json", payload)
    assert 0 == done.code, done.err
    assert "nightly-etl  accepted  nightly-etl.yaml" in done.out
    assert is_empty(world)
    spec = world.folder / "nightly-etl.yaml"
    spec.write_text(spec.read_text().replace("jobDefinition: d", "jobDefinition: e"))
    assert [("nightly-etl", "submit")] == world.run("plan", "--format", "json").actions("name", "action")


def test_without_recording_the_next_apply_runs_it(world: World, payload: Path) -> None:
    """With --no-record, nothing is written to the ledger."""
    position = world.log().recorded.position
    assert 0 == world.run("import", "--from-json", payload, "--no-record").code
    assert position == world.log().recorded.position
    assert [("nightly-etl", "submit")] == world.run("plan", "--format", "json").actions("name", "action")


def test_a_schedule_is_suspended_until_the_other_one_is_off(world: World) -> None:
    """An imported schedule is suspended, so that two schedulers never start the same job."""
    target = {"Arn": "arn:aws:scheduler:::aws-sdk:batch:submitJob"}
    target["Input"] = json.dumps({"JobName": "x", "JobQueue": "q", "JobDefinition": "d"})
    file = world.write(
        "../schedule.json", json.dumps({"Name": "n", "ScheduleExpression": "rate(1 hour)", "Target": target})
    )
    assert 0 == world.run("import", "--from-json", file).code
    assert is_empty(world)
    document = yaml.safe_load((world.folder / "n.yaml").read_text())["spec"]
    assert "0 * * * *" == document["schedule"]
    assert "disable that schedule" in document["suspend"]["reason"]


def test_what_a_person_must_fill_in_is_named(world: World) -> None:
    """Placeholders and fields without a value are listed, problems have locations, and nothing is recorded."""
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::batch:submitJob",
        "Parameters": {"JobName": "x", "JobQueue": "q", "JobDefinition.$": "$.d", "ArrayProperties": {"Size.$": "$.n"}},
    }
    file = world.write("../machine.json", json.dumps({"States": {"Run It": state}}))
    done = world.run("import", "--from-json", file)
    assert 3 == done.code
    assert "run-it  written  run-it.yaml" in done.out
    assert "fill in ${var.d} below spec.vars of reconciler.yaml: $.d" in done.out
    assert "fill in request.arrayProperties.size: $.n" in done.out
    assert "run-it.yaml:14:20: error: spec.request.jobDefinition: unknown placeholder ${var.d}" in done.err
    world.write("reconciler.yaml", project_text().replace("  defaultTarget", "  vars: {d: worker}\n  defaultTarget"))
    assert 0 == world.run("validate").code
    assert 0 == world.run("accept", "run-it", "--yes").code
    assert is_empty(world)


def test_a_run_in_a_file_is_not_adopted(world: World) -> None:
    """The output of describe-jobs may be old or from another account, so its content is recorded as applied without a
    run."""
    job = {
        "jobId": "1",
        "jobName": "multi",
        "jobQueue": "q",
        "jobDefinition": "d:1",
        "status": "FAILED",
        "timeout": None,
    }
    file = world.write("../jobs.json", json.dumps({"jobs": [job, None, {"jobName": "x"}]}))
    done = world.run("import", "--from-json", file)
    assert 0 == done.code, done.err
    assert "multi  accepted  multi.yaml  (run 1)" in done.out
    assert "reconciler import 1 adopts it" in done.out
    assert is_empty(world)


def test_a_chain_of_states_keeps_its_order(world: World) -> None:
    """The second state of a state machine depends on the first, even after a rename and after both have changed."""
    given = {"JobQueue": "q", "JobDefinition": "d"}
    state = {"Type": "Task", "Resource": "arn:aws:states:::batch:submitJob.sync", "Parameters": given}
    states = {"clicks": {**state, "Next": "Load"}, "Load": {**state, "End": True}}
    world.batch("clicks")
    assert 0 == world.run("apply", "--yes").code
    file = world.write("../machine.json", json.dumps({"StartAt": "clicks", "States": states}))
    done = world.run("import", "--from-json", file)
    assert 0 == done.code, done.err
    load = world.folder / "load.yaml"
    assert [{"name": "clicks-2"}] == yaml.safe_load(load.read_text())["spec"]["dependsOn"]
    assert is_empty(world)
    for file in (load, world.folder / "clicks-2.yaml"):
        file.write_text(file.read_text().replace("jobDefinition: d", "jobDefinition: e"))
    actions = world.run("plan", "--format", "json").actions("name", "action")
    assert [("clicks-2", "submit"), ("load", "wait")] == [each for each in actions if each[0] != "clicks"]


def test_secrets_are_warned_about_and_not_shown(world: World) -> None:
    """A secret in a payload is written only to the new file, and causes the warning of `validate`."""
    environment = [{"name": "DB_PASSWORD", "value": "hunter2-of-the-database"}]
    request = {
        "jobName": "x",
        "jobQueue": "q",
        "jobDefinition": "d",
        "containerOverrides": {"environment": environment},
    }
    file = world.write("../payload.json", json.dumps(request))
    done = world.run("import", "--from-json", file)
    assert 0 == done.code
    assert "looks like a secret" in done.err
    assert "hunter2" not in done.out + done.err
    assert "hunter2" in (world.folder / "x.yaml").read_text()


def test_files_and_options_that_cannot_be_used(world: World, payload: Path) -> None:
    """Errors in broken files contain a location, errors for other unusable files an explanation, and folders outside
    the project are refused."""
    broken = world.write("../broken.json", '{"jobName": "x",\n "jobQueue" 1}')
    other = world.write("../other.json", '{"a": 1}')
    deep = world.write("../deep.json", "[" * 100_000)
    for arguments, code, message in (
        (("--from-json", broken), 1, "broken.json:2:13: not JSON"),
        (("--from-json", other), 1, "has no request of"),
        (("--from-json", deep), 1, "nested deeper"),
        (("--from-json", "../missing.json"), 1, "cannot be read"),
        (("--from-json", payload, "--out", ".."), 64, "not in the project folder"),
        (("--from-json", payload, "--out", ".hidden"), 64, "no pattern in spec.specs"),
        (("--from-json", payload, "some-run"), 64, "name the ids of runs"),
        ((), 64, "name the ids of runs"),
    ):
        done = world.run("import", *arguments)
        assert (code, "") == (done.code, done.out), arguments
        assert message in done.err
    assert not list(world.folder.glob("nightly*"))


def test_a_folder_outside_the_project_is_refused_with_the_one_inside(world: World, payload: Path) -> None:
    """`--out` is relative to the current folder, which may be above the project."""
    world.write("inner/reconciler.yaml", (world.folder / "reconciler.yaml").read_text())

    done = world.run("-C", "inner", "import", "--from-json", payload, "--out", "jobs")

    assert done.code == 64
    assert "Write --out inner/jobs" in done.err
