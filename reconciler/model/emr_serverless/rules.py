"""AWS's documented rules about StartJobRun that no single field can express.

Sources: the API reference, and the EMR Serverless user guide's pages on job resiliency, streaming jobs, CloudWatch logs
and release 7.11. Every function takes a request of any shape: the models report wrong shapes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from reconciler.model.base import JSON, Loc, Remark, Rule, applied, integer, part, text
from reconciler.model.emr_serverless import spark_string_rules
from reconciler.model.kind import aws_tag_problems

BATCH_TIMEOUT_MIN = 5  # minutes
BATCH_TIMEOUT_MAX = 10_080  # minutes, seven days
WORKERS = ("SPARK_DRIVER", "SPARK_EXECUTOR", "HIVE_DRIVER", "TEZ_TASK")
LOG_TYPES = ("STDOUT", "STDERR", "HIVE_LOG", "TEZ_AM", "SYSTEM_LOGS")
LOG_TYPES_LOC: Loc = ("configurationOverrides", "monitoringConfiguration", "cloudWatchLoggingConfiguration", "logTypes")


def is_streaming(request: JSON) -> bool:
    """Whether the run continues until it is stopped."""
    return request.get("mode") == "STREAMING"


def _driver(request: JSON) -> Iterator[Remark]:
    driver = request.get("jobDriver")
    if isinstance(driver, dict) and not driver:
        yield Remark(("jobDriver",), "missing job: give sparkSubmit or hive", "emr-job-driver")
    if "sparkSubmit" in part(driver) and "hive" in part(driver):
        yield Remark(("jobDriver", "hive"), "give either sparkSubmit or hive, not both", "emr-job-driver")


def _timeout(request: JSON) -> Iterator[Remark]:
    minutes = integer(request, "executionTimeoutMinutes")
    if not minutes:
        return
    loc = ("executionTimeoutMinutes",)
    if is_streaming(request):
        yield Remark(loc, "a STREAMING run has no execution timeout: remove it", "emr-streaming-timeout")
    elif minutes > BATCH_TIMEOUT_MAX:
        yield Remark(loc, f"a BATCH run may take at most {BATCH_TIMEOUT_MAX} minutes (7 days)", "emr-batch-timeout")
    elif 0 < minutes < BATCH_TIMEOUT_MIN:
        yield Remark(loc, f"a timeout is at least {BATCH_TIMEOUT_MIN} minutes", "emr-batch-timeout")


def _retries(request: JSON) -> Iterator[Remark]:
    policy = part(request, "retryPolicy")
    if is_streaming(request):
        if "maxAttempts" in policy:
            message = "maxAttempts is for BATCH runs: use maxFailedAttemptsPerHour for a STREAMING run"
            yield Remark(("retryPolicy", "maxAttempts"), message, "emr-retry-mode")
    elif "maxFailedAttemptsPerHour" in policy:
        message = "maxFailedAttemptsPerHour is for STREAMING runs: use maxAttempts for a BATCH run"
        yield Remark(("retryPolicy", "maxFailedAttemptsPerHour"), message, "emr-retry-mode")


def _log_words(request: JSON) -> Iterator[tuple[Loc, str, tuple[str, ...]]]:
    """Each worker and log type of the request, with its path and the allowed words."""
    for worker, types in part(request, *map(str, LOG_TYPES_LOC)).items():
        yield (*LOG_TYPES_LOC, worker), worker, WORKERS
        if isinstance(types, list):
            for index, log_type in enumerate(types):
                if isinstance(log_type, str):
                    yield (*LOG_TYPES_LOC, worker, index), log_type, LOG_TYPES


def _log_types(request: JSON) -> Iterator[Remark]:
    for loc, word, words in _log_words(request):
        if word.upper() not in words:
            yield Remark(loc, f"expected one of {', '.join(words)}, got {word}", "emr-log-types")


def _log_cases(request: JSON) -> Iterator[Remark]:
    for loc, word, words in _log_words(request):
        if word not in words and word.upper() in words:
            yield Remark(loc, f"AWS documents it as {word.upper()}", "emr-log-types-case")


def _no_driver(request: JSON) -> Iterator[Remark]:
    if "jobDriver" not in request:
        yield Remark((), "jobDriver is missing: the run has nothing to do", "emr-no-job-driver")


def _no_timeout(request: JSON) -> Iterator[Remark]:
    if integer(request, "executionTimeoutMinutes") == 0 and not is_streaming(request):
        message = "AWS no longer accepts 0 (no timeout) for BATCH runs: give up to 10080 minutes"
        yield Remark(("executionTimeoutMinutes",), message, "emr-no-timeout")


def _log_uri(request: JSON) -> Iterator[Remark]:
    path = ("configurationOverrides", "monitoringConfiguration", "s3MonitoringConfiguration")
    uri = text(part(request, *path), "logUri")
    if uri is not None and not uri.startswith("s3://"):
        yield Remark((*path, "logUri"), "an S3 location starts with s3://", "emr-log-uri")


def _policy(request: JSON) -> Iterator[Remark]:
    policy = text(part(request, "executionIamPolicy"), "policy")
    try:
        json.loads(policy or "{}")
    except (ValueError, RecursionError):
        yield Remark(("executionIamPolicy", "policy"), "not JSON: an IAM policy is a JSON document", "emr-policy")


OVERRIDES = ("configurationOverrides",)
CHECKS: tuple[Rule, ...] = (
    (("jobDriver",), _driver),
    (("executionTimeoutMinutes",), _timeout),
    (("retryPolicy",), _retries),
    (OVERRIDES, _log_types),
    (("tags",), aws_tag_problems),
)
WARNINGS: tuple[Rule, ...] = (
    (("applicationId",), _no_driver),
    (("executionTimeoutMinutes",), _no_timeout),
    (OVERRIDES, _log_cases),
    (OVERRIDES, _log_uri),
    (("executionIamPolicy",), _policy),
    (("jobDriver",), spark_string_rules.warnings),
)


def check(request: JSON) -> Sequence[Remark]:
    """What AWS refuses."""
    return applied(CHECKS, request)


def warn(request: JSON) -> Sequence[Remark]:
    """What AWS advises against, or documents but does not enforce."""
    return applied(WARNINGS, request)
