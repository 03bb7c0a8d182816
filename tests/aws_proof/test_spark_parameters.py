"""Tests how EMR Serverless reads `sparkSubmitParameters`: a job compares its actual setting with the expected value."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.model.kind import kind_named
from tests.aws_proof.account import Account, seconds_until, token
from tests.aws_proof.conftest import Find

pytestmark = pytest.mark.aws

RUN_SECONDS = 600.0
"""A run takes at most five minutes, and may wait for capacity first."""

SETTING = "spark.executor.extraJavaOptions"
SPACES, QUOTES = "-Da=1 -Db=2", '-Da="1 2" -Dc=d\\e'


def arrives(account: Account, expected: str, spark: dict[str, Any], **more: Any) -> bool:
    """Returns whether a run with these Spark parameters has the setting with this value. Waits until the run has
    ended."""
    if not (check := account.setting("CHECK_SETTING")):
        pytest.skip("set RECONCILER_AWS_PROOF_CHECK_SETTING to where check_setting.py is")
    driver = {"entryPoint": check, "entryPointArguments": [SETTING, json.dumps(expected)], **spark}
    run_id = account.start_run(token(), jobDriver={"sparkSubmit": driver}, **more)
    state = ""

    def ended() -> bool:
        nonlocal state
        run = account.emr.get_job_run(applicationId=account.setting("APPLICATION"), jobRunId=run_id)
        state = run["jobRun"]["state"]
        return state in {"SUCCESS", "FAILED", "CANCELLED"}

    seconds_until(ended, account.seconds("RUN_SECONDS", RUN_SECONDS), step=1.5)
    assert state in {"SUCCESS", "FAILED"}, f"run {run_id} did not end by itself: {state}"
    return state == "SUCCESS"


def rendered(value: str) -> dict[str, Any]:
    """Returns the driver's fields that reconciler sends for a mapping with this setting."""
    mapping = {"jobDriver": {"sparkSubmit": {"sparkSubmitParameters": {"conf": {SETTING: value}}}}}
    fields: dict[str, Any] = kind_named("EmrServerlessJobRun").from_spec(mapping)["jobDriver"]["sparkSubmit"]
    return fields


def test_a_value_with_spaces_arrives_in_double_quotes(account: Account, find: Find):
    """Mappings are rendered with this form of quoting."""
    fields = rendered(SPACES)
    arrived = arrives(account, SPACES, fields)
    find(f"{fields['sparkSubmitParameters']} {'arrived' if arrived else 'did not arrive'}")

    assert arrived


def test_quotes_and_backslashes_arrive_by_spark_defaults(account: Account, find: Find):
    """Messages suggest this alternative for values that cannot be quoted."""
    overrides = {"applicationConfiguration": [{"classification": "spark-defaults", "properties": {SETTING: QUOTES}}]}
    arrived = arrives(account, QUOTES, {}, configurationOverrides=overrides)
    find(f"{QUOTES} in spark-defaults {'arrived' if arrived else 'did not arrive'}")

    assert arrived


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        pytest.param(f"--conf '{SETTING}={SPACES}'", SPACES, id="single quotes"),
        pytest.param(f'--conf {SETTING}="-Da=\\"1 2\\""', '-Da="1 2"', id="escaped quotes"),
        pytest.param(f'--conf {SETTING}="-Da=1 -Dc=d\\e"', "-Da=1 -Dc=d\\e", id="a backslash"),
    ],
)
def test_what_other_quoting_does(account: Account, find: Find, parameters: str, expected: str):
    """Nothing depends on the result, because such values are refused, and strings that contain them cause a warning."""
    arrived = arrives(account, expected, {"sparkSubmitParameters": parameters})
    find(f"{parameters} {'arrived' if arrived else 'did not arrive'} as {expected}")
