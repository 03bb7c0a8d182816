"""The names that AWS gives to things."""

from __future__ import annotations

from reconciler.emulator.settings import Settings


def partition(region: str) -> str:
    """The partition a region is in, the part of an ARN after ``arn:``."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def caller(settings: Settings) -> str:
    """Who every caller is."""
    return f"arn:{partition(settings.region)}:iam::{settings.account}:user/emulator"


def application(settings: Settings, application_id: str) -> str:
    """An EMR Serverless application."""
    return f"{_prefix(settings, 'emr-serverless')}:/applications/{application_id}"


def job_run(settings: Settings, application_id: str, run_id: str) -> str:
    """An EMR Serverless job run."""
    return f"{application(settings, application_id)}/jobruns/{run_id}"


def job(settings: Settings, job_id: str) -> str:
    """A Batch job, a child (``id:3``) or a node (``id#0``)."""
    return f"{_prefix(settings, 'batch')}:job/{job_id}"


def queue(settings: Settings, given: str) -> str:
    """A job queue, from its name; an ARN stays as it is."""
    return given if given.startswith("arn:") else f"{_prefix(settings, 'batch')}:job-queue/{given}"


def definition(settings: Settings, given: str) -> str:
    """A job definition, from ``name`` or ``name:revision``; the newest revision is 1. An ARN only gets its revision."""
    if given.startswith("arn:"):
        return given if ":" in given.rpartition("/")[2] else f"{given}:1"
    return f"{_prefix(settings, 'batch')}:job-definition/{given if ':' in given else f'{given}:1'}"


def name(given: str) -> str:
    """The last part of an ARN, or the name that was given."""
    return given.rpartition("/")[2] if given.startswith("arn:") else given


def _prefix(settings: Settings, service: str) -> str:
    return f"arn:{partition(settings.region)}:{service}:{settings.region}:{settings.account}"
