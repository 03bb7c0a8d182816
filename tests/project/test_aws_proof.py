"""Runs the tests for a real AWS account against the emulator. An ordinary test run does not include the suite."""

from __future__ import annotations

import json
import re
import sys

import pytest

from reconciler.emulator import Emulator, Plan
from tests.cli.world import ACCOUNT, REGION, aws_environment, standin
from tests.ledger.server import Server
from tests.project.place import ROOT, environment, run

SUITE = "tests/aws_proof"
SHORT = {"TOKEN": "1", "LISTING": "20", "STREAMING": "5", "SIGNATURE": "4.1"}
USED = {
    "REGION": REGION,
    "APPLICATION": "00app0spark",
    "ROLE": f"arn:aws:iam::{ACCOUNT}:role/jobs",
    "ENTRY_POINT": "s3://bucket/nothing.py",
    "QUEUE": "main",
    "DEFINITION": "worker:1",
}


SEVERAL = """\
import json, sys
import pytest
for options in json.loads(sys.argv[1]):
    print("exit code:", int(pytest.main(["-q", "-p", "no:cacheprovider", *options])), flush=True)
"""
"""Runs pytest several times in one process, because starting it takes longer than running it."""


def suite(*options: str, **env: str) -> tuple[int, str]:
    """Runs pytest over the suite, and returns its exit code and output."""
    (done,) = suites([[*options]], **env)
    return done


def suites(runs: list[list[str]], **env: str) -> list[tuple[int, str]]:
    """Runs pytest over the suite with each of these options, and returns the exit codes and outputs."""
    quiet = {name: value for name, value in environment(**env).items() if not name.startswith("COV")}
    done = run([sys.executable, "-c", SEVERAL, json.dumps([[*options, SUITE] for options in runs])], ROOT, quiet)
    ends = re.findall(r"(.*?)^exit code: (\d+)$", done.stdout, re.DOTALL | re.MULTILINE)
    assert len(ends) == len(runs), done.stdout + done.stderr
    return [(int(code), output + done.stderr) for output, code in ends]


def asked(aws: Emulator) -> dict[str, str]:
    """Returns the environment with which the suite calls the emulator, with short waits."""
    waits = {f"RECONCILER_AWS_PROOF_{name}_SECONDS": seconds for name, seconds in SHORT.items()}
    used = {f"RECONCILER_AWS_PROOF_{name}": value for name, value in USED.items()}
    return {"RECONCILER_AWS_PROOF": "1", **used, **waits, **aws_environment(aws.url)}


def test_the_suite_runs_only_on_request():
    """An ordinary run does not include the suite. With only the marker given, the suite is skipped and lists the
    missing variables."""
    (plain, output), (marked, why) = suites([[], ["-m", "aws", "-rs"]])

    assert (plain, "passed" in output, "deselected" in output) == (5, False, True), output
    assert (marked, "passed" in why) == (0, False), why
    assert "set RECONCILER_AWS_PROOF, RECONCILER_AWS_PROOF_REGION" in why


SAME_TOKEN = "same token with another body: ConflictException, HTTP 409"


def test_questions_about_a_token_are_asked_and_answered():
    """The suite sends the same token to the emulator twice, and leaves no live run behind."""
    with standin(run_seconds=None) as aws:
        code, output = suite("-m", "aws", "-k", "same_token", **asked(aws))
        live = [run for run in aws.runs() if not stopped(aws, run.id)]

    assert (code, output.count("[OK]"), output.count("[NO]")) == (0, 2, 0), output
    assert SAME_TOKEN in output
    assert live == []


@pytest.mark.parametrize(
    ("outcome", "code", "ok", "wrong"),
    [("failed", 1, 3, 2), pytest.param("succeeded", 0, 5, 0, marks=pytest.mark.soak)],
)
def test_questions_about_spark_parameters_are_asked_and_answered(outcome: str, code: int, ok: int, wrong: int):
    """If the job succeeds, its setting arrived. If the job fails, this is reported as a broken assumption of the
    promise."""
    with standin(run_seconds=0, outcome=outcome) as aws:
        check = {"RECONCILER_AWS_PROOF_CHECK_SETTING": "s3://bucket/check_setting.py"}
        ended, output = suite("-m", "aws", "-k", "test_spark_parameters", **asked(aws), **check)
        sent = [run.request["jobDriver"]["sparkSubmit"] for run in aws.runs()]

    assert (ended, output.count("[OK]"), output.count("[NO]")) == (code, ok, wrong), output
    assert '--conf spark.executor.extraJavaOptions="-Da=1 -Db=2"' in {s.get("sparkSubmitParameters") for s in sent}
    assert {"s3://bucket/check_setting.py"} == {s["entryPoint"] for s in sent}


@pytest.mark.soak
def test_every_question_is_asked_and_answered(server: Server):
    """The whole suite passes against the emulator and the local stores, and leaves no run behind."""
    ledgers = f"{server.address('s3')} {server.address('dynamodb')}"
    with standin(run_seconds=None) as aws:
        aws.inject(Plan(settings={"signature_seconds": 3}))
        stores = {**server.environment, "RECONCILER_AWS_PROOF_LEDGERS": ledgers}
        code, output = suite("-m", "aws", **{**asked(aws), **stores})
        live = [run for run in aws.runs() if not stopped(aws, run.id)]

    assert (code, output.count("[OK]"), output.count("[NO]")) == (0, 18, 0), output
    assert SAME_TOKEN in output
    assert live == []


@pytest.mark.soak
def test_an_answer_that_breaks_the_promise_is_a_failure():
    """With an AWS that forgets tokens and accepts old signatures, the suite fails, and its table contains these
    questions."""
    with standin(run_seconds=None) as aws:
        aws.inject(Plan(settings={"token_seconds": 0.1}))
        code, output = suite("-m", "aws", "-k", "remembered or held_back", **asked(aws))

    assert code == 1
    assert output.count("[NO]") == 2, output


def stopped(aws: Emulator, run_id: str) -> bool:
    """Returns whether a run has ended or is being cancelled."""
    import boto3

    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
    emr = boto3.client("emr-serverless", endpoint_url=aws.url, **keys)
    batch = boto3.client("batch", endpoint_url=aws.url, **keys)
    try:
        jobs = batch.describe_jobs(jobs=[run_id])["jobs"]
        if jobs:
            return bool(jobs[0]["status"] == "FAILED")
        run = emr.get_job_run(applicationId=USED["APPLICATION"], jobRunId=run_id)["jobRun"]
        return run["state"] in {"CANCELLING", "CANCELLED"}
    finally:
        emr.close()
        batch.close()
