"""Tests the safety checks as pure functions."""

from __future__ import annotations

import pytest

from reconciler.core import safety_checks
from reconciler.errors import AccountMismatch, GuardError, LocalLedgerInCI
from tests.campaigns import in_one_test

LOCAL, SHARED = "sqlite:///ledger.sqlite", "s3://bucket/prefix"
CI = {"CI": "true"}
BOTH = {"AWS_ENDPOINT_URL_BATCH": "http://x", "AWS_ENDPOINT_URL_EMR_SERVERLESS": "http://x"}


@in_one_test(
    ("address", "emulated", "durable", "environ", "refused"),
    [
        (LOCAL, False, False, CI, True),
        (LOCAL, False, False, {"CI": "1"}, True),
        (LOCAL, False, False, {"CI": "True"}, True),
        (LOCAL, False, False, {"CI": "false"}, False),
        (LOCAL, False, False, {}, False),
        (LOCAL, True, False, CI, False),
        (LOCAL, False, True, CI, False),
        (SHARED, False, False, CI, False),
        (LOCAL, False, False, {**CI, "AWS_ENDPOINT_URL": "http://x"}, False),
        (LOCAL, False, False, {**CI, "AWS_ENDPOINT_URL_BATCH": "http://x"}, True),
        (LOCAL, False, False, {**CI, "AWS_ENDPOINT_URL_BATCH": ""}, True),
        (LOCAL, False, False, {**CI, "AWS_ENDPOINT_URL_S3": "http://x"}, True),
        (LOCAL, False, False, {**CI, "AWS_ENDPOINT_URL_DYNAMODB": "http://x"}, True),
        (LOCAL, False, False, {**CI, "AWS_ENDPOINT_URL_STS": "http://x"}, True),
        (LOCAL, False, False, {**CI, "AWS_ENDPOINT_URL_EMR_SERVERLESS": "http://x"}, True),
        (LOCAL, False, False, {**CI, **BOTH}, False),
        (LOCAL, False, False, {"TF_BUILD": "True"}, True),
        (LOCAL, False, False, {"CODEBUILD_BUILD_ID": "project:1"}, True),
        (LOCAL, False, False, {"JENKINS_URL": "http://ci"}, True),
        (LOCAL, False, False, {"TEAMCITY_VERSION": "2026.1"}, True),
        (LOCAL, False, False, {"BITBUCKET_BUILD_NUMBER": "7"}, True),
        (LOCAL, False, False, {"CIRCLECI": "true"}, True),
        (LOCAL, False, False, {"DRONE": "true"}, True),
        (LOCAL, False, False, {"CI": "false", "DRONE": "true"}, False),
    ],
)
def test_local_ledger_in_ci(address: str, emulated: bool, durable: bool, environ: dict[str, str], refused: bool):
    """On a CI runner, a local ledger of a real AWS account is refused, unless the file is declared durable."""

    def check() -> None:
        safety_checks.check_ledger(address, emulated=emulated, durable=durable, environ=environ)

    if refused:
        with pytest.raises(LocalLedgerInCI, match="--local-ledger"):
            check()
    else:
        check()


def test_account():
    """Credentials of the target's account are accepted. For any other account, the error message contains both account
    numbers and the target."""
    safety_checks.check_account("prod", "1", "1")
    with pytest.raises(AccountMismatch, match=r"prod is account 1, .* account 2"):
        safety_checks.check_account("prod", "1", "2")


def test_settling():
    """The error has the message that the target gives about its settling time."""
    safety_checks.check_settling(None)
    with pytest.raises(GuardError, match="too short"):
        safety_checks.check_settling("too short")
