"""Tests requests from AWS's guides and other tools, and requests that AWS refuses."""

from __future__ import annotations

from copy import deepcopy

import pytest

from tests.campaigns import in_one_test
from tests.model.requests import KINDS, problems, rows, sent

pytestmark = pytest.mark.skipif(not rows("invalid"), reason="the corpus is not here")

NOW_ACCEPTED = "021-emr-args-empty-string"  # AWS no longer has a minimum length here
REFUSED = {"090-cdk-all-parameters-bad-dependency-type", "077-dsf-api-props-tag-colon"}

# The paths of the errors in the invalid cases. Cases that are not listed have errors at several paths.
PLACES = {
    "015": ("jobDriver",),
    "061": ("executionTimeoutMinutes",),
    "075": ("retryPolicy", "maxFailedAttemptsPerHour"),
    "101": ("dependsOn", 0, "type"),
    "105": ("retryStrategy", "evaluateOnExit"),
    "121": ("tags", "aws:batch:owner"),
    "127": ("shareIdentifier",),
    "133": ("containerOverrides", "resourceRequirements", 0, "value"),
    "145": ("nodeOverrides", "nodePropertyOverrides", 0, "targetNodes"),
    "147": ("nodeOverrides",),
    "153": ("eksPropertiesOverride", "podProperties", "metadata", "namespace"),
}


@in_one_test("case", rows("invalid"), ids=lambda case: case["id"])
def test_invalid_requests_are_refused(case):
    """Every request that AWS refuses is refused, and always at a path inside the request."""
    kind = KINDS[case["service"]]
    request = {kind.name_field: "example", **case["request"]}
    refused = problems(kind, request)
    if case["id"] == NOW_ACCEPTED:
        assert not refused
        return
    assert refused
    assert all(refused)
    expected = PLACES.get(case["id"][:3])
    assert expected is None or expected in refused


@in_one_test("case", rows("batch", "emr_serverless"), ids=lambda case: case["id"])
def test_real_requests_are_accepted(case):
    """Every request that AWS accepted is accepted, except two that break a strict rule."""
    kind = KINDS["batch" if "jobQueue" in case["request"] else "emr_serverless"]
    assert (case["id"] in REFUSED) == bool(problems(kind, case["request"]))


@in_one_test("case", rows("batch", "emr_serverless"), ids=lambda case: case["id"])
def test_real_requests_stay_as_they_are(case):
    """Conversions and rules do not change the request, and every field is sent as it was given."""
    kind = KINDS["batch" if "jobQueue" in case["request"] else "emr_serverless"]
    request = deepcopy(case["request"])
    form = sent(kind, kind.from_spec(request))
    kind.check(form), kind.warn(form), kind.for_display(request)
    assert case["request"] == request
    ours = {"tags", "clientToken"}
    assert {key: value for key, value in case["request"].items() if key not in ours} == {
        key: value for key, value in form.items() if key not in ours
    }


@in_one_test("case", rows("batch", "emr_serverless"), ids=lambda case: case["id"])
def test_real_requests_have_values_that_can_be_meant(case):
    """No real request has a warning about its values, except examples in which the name of a bucket must be filled
    in."""
    kind = KINDS["batch" if "jobQueue" in case["request"] else "emr_serverless"]
    remarks = kind.warn(sent(kind, kind.from_spec(case["request"])))
    doubtful = {"s3-location", "template", "region", "arn-partition", "batch-overrides-size", "batch-n-to-n"}
    messages = [remark.message for remark in remarks if remark.rule in doubtful]
    assert all("no upper-case letters" in message for message in messages)
