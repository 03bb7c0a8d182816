"""EMR Serverless: what the service documents beyond its model."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.emulator.operations import Params

MAX_TAGS = 50
MAX_BATCH_TIMEOUT_MINUTES = 10080
MAX_ATTEMPTS = 10


def start_job_run_problems(params: Params) -> Sequence[str]:
    """Everything wrong in a StartJobRun request that its model lets through."""
    return [*_tag_problems(params.get("tags", {})), *_timeout_problems(params), *_retry_problems(params)]


def _tag_problems(tags: dict[str, str]) -> Sequence[str]:
    found = []
    if len(tags) > MAX_TAGS:
        found.append(f"tags: must have at most {MAX_TAGS} entries")
    if any(key.lower().startswith("aws:") for key in tags):
        found.append("tags: keys must not start with aws:")
    return found


def _timeout_problems(params: Params) -> Sequence[str]:
    minutes = params.get("executionTimeoutMinutes", 0)
    if params.get("mode", "BATCH") == "BATCH":
        limit = f"executionTimeoutMinutes: must be at most {MAX_BATCH_TIMEOUT_MINUTES} for BATCH runs"
        return [limit] if minutes > MAX_BATCH_TIMEOUT_MINUTES else []
    return ["executionTimeoutMinutes: STREAMING runs have none"] if minutes else []


def _retry_problems(params: Params) -> Sequence[str]:
    retry = params.get("retryPolicy", {})
    per_hour = retry.get("maxFailedAttemptsPerHour")
    found = []
    if params.get("mode", "BATCH") == "BATCH":
        if per_hour is not None:
            found.append("retryPolicy.maxFailedAttemptsPerHour: is for STREAMING runs")
        if retry.get("maxAttempts", 1) > MAX_ATTEMPTS:
            found.append(f"retryPolicy.maxAttempts: must be at most {MAX_ATTEMPTS}")
    if per_hour is not None and per_hour > MAX_ATTEMPTS:
        found.append(f"retryPolicy.maxFailedAttemptsPerHour: must be at most {MAX_ATTEMPTS}")
    return found
