"""AWS's documented rules about StartJobRun that no single field can express.

Sources: the API reference, and the EMR Serverless user guide's pages on job resiliency, streaming jobs, CloudWatch logs
and release 7.11. Every function accepts a request of any shape, because the models report wrong shapes.
"""

import json
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from reconciler.model import s3
from reconciler.model.arns import arn_remarks, region_problem
from reconciler.model.base import JSON, Loc, Remark, Rule, applied, integer, part, text, texts
from reconciler.model.emr_serverless import spark_parameters, spark_string_rules
from reconciler.model.emr_serverless.spark_values import setting_problem
from reconciler.model.kind import aws_tag_problems
from reconciler.model.template import command_remarks, template_remarks
from reconciler.values import regex

BATCH_TIMEOUT_MIN = 5  # minutes
BATCH_TIMEOUT_MAX = 10_080  # minutes, seven days
WORKERS = ("SPARK_DRIVER", "SPARK_EXECUTOR", "HIVE_DRIVER", "TEZ_TASK")
LOG_TYPES = ("STDOUT", "STDERR", "HIVE_LOG", "TEZ_AM", "SYSTEM_LOGS")
POLICY_EXAMPLE = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", …}]}'
LOG_TYPES_LOC: Loc = ("configurationOverrides", "monitoringConfiguration", "cloudWatchLoggingConfiguration", "logTypes")


def is_streaming(request: JSON) -> bool:
    """Returns whether the run continues until it is stopped."""
    return request.get("mode") == "STREAMING"


def _driver(request: JSON) -> Iterator[Remark]:
    driver = request.get("jobDriver")
    if isinstance(driver, dict) and not driver:
        yield Remark(("jobDriver",), "missing job: set sparkSubmit or hive", "emr-job-driver")
    if "sparkSubmit" in part(driver) and "hive" in part(driver):
        yield Remark(("jobDriver", "hive"), "set either sparkSubmit or hive, not both", "emr-job-driver")
    elif "hive" in part(driver) and is_streaming(request):
        message = "mode: STREAMING works with the Spark driver only: write sparkSubmit, or leave out mode"
        yield Remark(("jobDriver", "hive"), message, "emr-streaming-hive")


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
    """Yields each worker and log type of the request, with its path and the allowed words."""
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
        message = "AWS no longer accepts 0 (no timeout) for BATCH runs: set at most 10080 minutes"
        yield Remark(("executionTimeoutMinutes",), message, "emr-no-timeout")


SPARK: Loc = ("jobDriver", "sparkSubmit")
HIVE: Loc = ("jobDriver", "hive")
ENTRY_POINT: Loc = (*SPARK, "entryPoint")
ARGUMENTS: Loc = (*SPARK, "entryPointArguments")
PARAMETERS: Loc = (*SPARK, "sparkSubmitParameters")
MONITORING: Loc = ("configurationOverrides", "monitoringConfiguration")
LOG_URI: Loc = (*MONITORING, "s3MonitoringConfiguration", "logUri")
REMOTE_WRITE_URL: Loc = (*MONITORING, "prometheusMonitoringConfiguration", "remoteWriteUrl")
LOCATIONS = {
    ENTRY_POINT: (True, False),
    (*HIVE, "query"): (True, False),
    (*HIVE, "initQueryFile"): (True, True),
    LOG_URI: (False, True),
}
"""The fields with an S3 location, each with whether it must be a file, and whether only S3 locations are allowed."""


def _values(request: JSON) -> Iterator[Remark]:
    """Yields remarks about wrong locations and ARNs, and templates of other tools. Locations in Spark's options have
    their own rules."""
    arguments = part(request, *map(str, SPARK)).get("entryPointArguments")
    yield from command_remarks(ARGUMENTS, arguments if isinstance(arguments, list) else ())
    for loc, value in texts(request):
        if loc in LOCATIONS:
            file, only = LOCATIONS[loc]
            yield from s3.field_remarks(loc, value, file=file, only=only)
        elif loc != PARAMETERS:
            words = value.split() if loc == (*HIVE, "parameters") else [value]
            yield from (remark for word in words for remark in s3.text_remarks(loc, word))
        if loc[: len(ARGUMENTS)] != ARGUMENTS:
            yield from template_remarks(loc, value)
        yield from arn_remarks(loc, value)


LOCAL_PROGRAM = regex(r"[A-Za-z]:[\\/].*|(?:\.{1,2}|~)/.*")


def _program(request: JSON) -> Iterator[Remark]:
    """Yields a remark about a program on the machine of its author, which EMR Serverless cannot read, and about a
    notebook."""
    value = text(part(request, *map(str, SPARK)), "entryPoint") or ""
    if LOCAL_PROGRAM.fullmatch(value):
        message = "EMR Serverless cannot read a file of this machine: upload it, and write s3://BUCKET/KEY"
        yield Remark(ENTRY_POINT, message, "emr-local-program")
    elif value.endswith(".ipynb"):
        yield Remark(ENTRY_POINT, "spark-submit cannot run a notebook: convert it to a .py file", "emr-notebook")


CLASSIFICATIONS = (
    "core-site", "emrfs-site", "hive-site", "spark-defaults", "spark-driver-log4j2", "spark-executor-log4j2",
    "tez-site",
)  # fmt: skip
NEARLY = 0.9  # minimum of difflib's ratio


def _classifications(request: JSON) -> Iterator[Remark]:
    """Yields a remark about each classification that is almost one that EMR Serverless has."""
    entries = part(request, "configurationOverrides").get("applicationConfiguration")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        name = text(part(entry), "classification") or ""
        close = get_close_matches(name.lower().replace("_", "-"), CLASSIFICATIONS, n=1, cutoff=NEARLY)
        if close and close[0] != name:
            loc = ("configurationOverrides", "applicationConfiguration", index, "classification")
            yield Remark(loc, f"did you mean {close[0]}?", "emr-classification")


def _spark_defaults(request: JSON) -> Iterator[Remark]:
    """Yields remarks about settings in the configuration of the run that Spark refuses."""
    entries = part(request, "configurationOverrides").get("applicationConfiguration")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if part(entry).get("classification") == "spark-defaults":
            for name, value in part(entry, "properties").items():
                problem = setting_problem(name, value) if isinstance(value, str) else None
                if problem:
                    loc = ("configurationOverrides", "applicationConfiguration", index, "properties", name)
                    yield Remark(loc, f"{name} {problem}", spark_parameters.RULE)


def _metrics_region(request: JSON) -> Iterator[Remark]:
    url = text(part(request, *map(str, REMOTE_WRITE_URL[:-1])), "remoteWriteUrl") or ""
    region = re.match(r"https://aps-workspaces\.([a-z0-9-]+)\.", url)
    if region and (problem := region_problem(region[1])):
        yield Remark(REMOTE_WRITE_URL, problem, "region")


def _policy(request: JSON) -> Iterator[Remark]:
    """Checks that an inline policy is the JSON of an IAM policy."""
    loc: Loc = ("executionIamPolicy", "policy")
    written = text(part(request, "executionIamPolicy"), "policy")
    if written is None:
        return
    try:
        policy = json.loads(written)
    except json.JSONDecodeError as error:
        message = f"{error.msg[:1].lower()}{error.msg[1:]} at character {error.pos + 1}"
        yield Remark(loc, f"the inline policy is not JSON: {message}. It is written as {POLICY_EXAMPLE}", "emr-policy")
        return
    except (ValueError, RecursionError):
        yield Remark(loc, "the inline policy is nested too deeply, or has a number that is too long", "emr-policy")
        return
    if not isinstance(policy, dict):
        yield Remark(loc, f"an inline policy is a JSON object, such as {POLICY_EXAMPLE}", "emr-policy")


def _policy_parts(request: JSON) -> Iterator[Remark]:
    """Checks the parts that every IAM policy has: statements, and one of two versions."""
    loc: Loc = ("executionIamPolicy", "policy")
    try:
        policy = json.loads(text(part(request, "executionIamPolicy"), "policy") or "null")
    except (ValueError, RecursionError):
        return  # reported as an error
    if isinstance(policy, dict) and "Statement" not in policy:
        yield Remark(loc, f"an IAM policy has a Statement, such as {POLICY_EXAMPLE}", "emr-policy")
    elif isinstance(policy, dict) and policy.get("Version", "2012-10-17") not in {"2012-10-17", "2008-10-17"}:
        yield Remark(loc, "the Version of an IAM policy is that of its language, 2012-10-17", "emr-policy")


OVERRIDES = ("configurationOverrides",)
CHECKS: tuple[Rule, ...] = (
    (("jobDriver",), _driver),
    (("executionTimeoutMinutes",), _timeout),
    (("retryPolicy",), _retries),
    (OVERRIDES, _log_types),
    (("executionIamPolicy",), _policy),
    (("tags",), aws_tag_problems),
)
WARNINGS: tuple[Rule, ...] = (
    (("applicationId",), _no_driver),
    (("executionTimeoutMinutes",), _no_timeout),
    (OVERRIDES, _log_cases),
    (OVERRIDES, _metrics_region),
    (("executionIamPolicy",), _policy_parts),
    (("applicationId",), _values),
    (("jobDriver",), spark_string_rules.warnings),
    (("jobDriver",), _program),
    (OVERRIDES, _classifications),
    (OVERRIDES, _spark_defaults),
)


def check(request: JSON) -> Sequence[Remark]:
    """Returns remarks about everything that AWS refuses."""
    return applied(CHECKS, request)


def warn(request: JSON) -> Sequence[Remark]:
    """Returns remarks about uses that AWS advises against, or that break rules which AWS does not enforce."""
    return applied(WARNINGS, request)
