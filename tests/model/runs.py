"""Contains builders of job runs, one for each part of a request that has its own rules."""

from __future__ import annotations

from typing import Any

from tests.model.requests import emr, monitoring

CLOUDWATCH = ("configurationOverrides", "monitoringConfiguration", "cloudWatchLoggingConfiguration")
CONFIGURATION = ("configurationOverrides", "applicationConfiguration", 0)
KEY = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012"
POLICY = "arn:aws:iam::123456789012:policy/p"


def hive(**fields: Any) -> dict[str, Any]:
    """Returns a Hive run."""
    return emr(jobDriver={"hive": fields})


def configuration(**fields: Any) -> dict[str, Any]:
    """Returns a run with one application configuration."""
    return emr(configurationOverrides={"applicationConfiguration": [fields]})


def log_types(**types: Any) -> dict[str, Any]:
    """Returns a run with CloudWatch log types."""
    return monitoring(cloudWatchLoggingConfiguration={"enabled": True, "logTypes": types})


def role(arn: str) -> dict[str, Any]:
    """Returns a run with a different role."""
    return emr(executionRoleArn=arn)


def without(field: str) -> dict[str, Any]:
    """Returns a run without one field."""
    return {key: value for key, value in emr().items() if key != field}
