"""Tests the model of a spec's policy."""

from datetime import datetime, timedelta

import pytest
from pydantic import ValidationError

from reconciler.core.event_fields import LARGEST, MOST_TIMES
from reconciler.model.spec import CENTURY_SECONDS, Policy, SpecDocument


def test_defaults():
    """By default, a spec is a one-off without retries that forbids overlapping runs, and whose runs continue when it is
    removed."""
    policy = Policy().effective(streaming=False)
    assert (1, None, "Forbid", 0, 60, "OnFailure", "Orphan", False, "UTC", ()) == (
        policy.revision,
        policy.schedule,
        policy.concurrencyPolicy,
        policy.backoffLimit,
        policy.backoffSeconds,
        policy.restartPolicy,
        policy.deletionPolicy,
        policy.catchup,
        policy.timeZone,
        policy.dependsOn,
    )


def test_streaming_defaults_can_be_overridden():
    """The fields that a streaming spec sets take precedence over the defaults of streaming jobs. `given` is
    unchanged."""
    policy = Policy.model_validate({"restartPolicy": "OnFailure", "revision": 3}).effective(streaming=True)
    assert ("Replace", "OnFailure", 3) == (policy.concurrencyPolicy, policy.restartPolicy, policy.revision)
    assert {"restartPolicy", "revision"} == set(policy.given)
    assert policy == policy.effective(streaming=True)


def test_the_policy_of_a_document_has_no_request():
    """The policy of a document consists of its `spec` without the request."""
    document = SpecDocument.model_validate(
        {
            "apiVersion": "reconciler/v1",
            "kind": "BatchJob",
            "metadata": {"name": "a"},
            "spec": {"request": {"a": 1}, "suspend": {"reason": "r", "until": "2026-12-01T00:00:00Z"}},
        }
    )
    assert type(document.policy()) is Policy
    assert {"suspend"} == set(document.policy().given)


def test_the_largest_values_can_be_recorded_and_computed_with():
    """Larger values are refused: the ledger could not be read again, or times would leave the calendar."""
    for field, largest in (
        ("revision", LARGEST),
        ("backoffLimit", MOST_TIMES),
        ("startingDeadlineSeconds", CENTURY_SECONDS),
        ("pendingTimeoutSeconds", CENTURY_SECONDS),
    ):
        assert getattr(Policy.model_validate({field: largest}), field) == largest
        with pytest.raises(ValidationError, match="less than or equal"):
            Policy.model_validate({field: largest + 1})
    longest = timedelta(seconds=CENTURY_SECONDS)
    assert datetime(2026, 1, 1) - longest < datetime(2026, 1, 1) + longest
