"""The suite that asks AWS: it is left alone unless it is asked for, and it runs, here against the emulator."""

from __future__ import annotations

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


def suite(*options: str, **env: str) -> tuple[int, str]:
    """Exit code and output of pytest over the suite."""
    quiet = {name: value for name, value in environment(**env).items() if not name.startswith("COV")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, SUITE]
    done = run(command, ROOT, quiet)
    return done.returncode, done.stdout + done.stderr


def asked(aws: Emulator) -> dict[str, str]:
    """What lets the suite ask the emulator, with short waits."""
    waits = {f"RECONCILER_AWS_PROOF_{name}_SECONDS": seconds for name, seconds in SHORT.items()}
    used = {f"RECONCILER_AWS_PROOF_{name}": value for name, value in USED.items()}
    return {"RECONCILER_AWS_PROOF": "1", **used, **waits, **aws_environment(aws.url)}


def test_nothing_is_asked_without_being_asked_for():
    """Neither a plain run of the tests nor the marker alone reaches AWS: left out, or skipped with what is missing."""
    plain, said = suite()
    marked, why = suite("-m", "aws", "-rs")

    assert (plain, "passed" in said, "deselected" in said) == (5, False, True), said
    assert (marked, "passed" in why) == (0, False), why
    assert "set RECONCILER_AWS_PROOF, RECONCILER_AWS_PROOF_REGION" in why


def test_every_question_is_put_and_answered(server: Server):
    """Against the emulator and the local stores, which answer as the promise needs it; afterwards nothing of it is left
    running."""
    ledgers = f"{server.address('s3')} {server.address('dynamodb')}"
    with standin(run_seconds=None) as aws:
        aws.inject(Plan(settings={"signature_seconds": 3}))
        stores = {**server.environment, "RECONCILER_AWS_PROOF_LEDGERS": ledgers}
        code, said = suite("-m", "aws", **{**asked(aws), **stores})
        live = [run for run in aws.runs() if not stopped(aws, run.id)]

    assert code == 0, said
    assert "[NO]" not in said
    assert said.count("[OK]") == 18, said
    assert "same token with another body: ConflictException, HTTP 409" in said
    assert live == []


@pytest.mark.soak
def test_an_answer_that_breaks_the_promise_is_a_failure():
    """An AWS that forgets tokens and takes old signatures fails the suite, and the table says where."""
    with standin(run_seconds=None) as aws:
        aws.inject(Plan(settings={"token_seconds": 0.1}))
        code, said = suite("-m", "aws", "-k", "remembered or held_back", **asked(aws))

    assert code == 1
    assert said.count("[NO]") == 2, said


def stopped(aws: Emulator, run_id: str) -> bool:
    """Whether a run has ended or was asked to."""
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
