"""Tests the messages of `validate` about real mistakes of users. Each mistake is one line of the corpus."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.errors import SpecErrors
from tests.model.requests import corpus
from tests.specs.builders import dumped, load, wrapped, write

PROJECT = """\
apiVersion: reconciler/v1
kind: Project
metadata: {name: field}
spec:
  targets:
    prod: {account: "123456789012", region: eu-west-1, ledger: "dynamodb://ledger"}
"""
SPARK_PARAMETERS = "ssp-"  # they have a separate test
ESSENCE = {
    "s3-one-slash": "s3:// has two slashes",
    "jinja-left": "${run.slot:%Y-%m-%d}",
    "role-account": "the role is of account 999999999999, the target is 123456789012",
    "role-name": "must be an ARN, arn:aws:iam::ACCOUNT:role/NAME",
    "hive-var": "$${hiveconf:src}",
    "slot-format": "did you mean %Y-%m-%d?",
    "number-placeholder": "placeholders are for text of the request; this is a number",
    "tab": "tab in indentation: use spaces",
    "inner-names": "did you mean entryPoint?",
    "overrides-8192": "container overrides are 9,016 characters as JSON, and ECS takes 8,192",
    "cron-90": "a minute step of 90 means every hour at minute 0",
    "streaming-hive": "STREAMING works with the Spark driver only",
    "policy-not-json": "the inline policy is not JSON: expecting value at character 1",
}


def reported(root: Any, case: dict[str, Any]) -> list[tuple[str, str]]:
    """Returns the severity and message of each problem and warning for a case."""
    if "raw" in case:
        files = {"a.yaml": case["raw"]}
    else:
        document = wrapped(case["request"], case["kind"])
        document["spec"] |= case.get("spec", {})
        files = {"a.json": dumped(document)}
    try:
        problems = load(write(root, files, PROJECT)).warnings
    except SpecErrors as error:
        problems = error.problems
    return [(problem.severity, problem.message) for problem in problems]


@pytest.mark.parametrize("case", [case for case in corpus("field") if not str(case.id).startswith(SPARK_PARAMETERS)])
def test_mistakes_from_the_field(tmp_path, case):
    """Each mistake causes an error or a warning with its remedy, and correct input causes neither."""
    problems = reported(tmp_path, case)
    if case["want"] == "silent":
        assert problems == []
    else:
        assert {case["want"]} == {severity for severity, _ in problems}
        assert ESSENCE.get(case["id"], "") in " ".join(message for _, message in problems)
