"""Finds the logs of EMR Serverless job runs in CloudWatch Logs and S3, from the run's and its application's settings.

https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/logging.html
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from reconciler.aws.adapter import Described
from reconciler.aws.clients import Aws, Client
from reconciler.aws.denied_access import Access
from reconciler.aws.errors import translate_errors
from reconciler.aws.logs import HINTS, bucket_hints, log_group_arn
from reconciler.core.run_logs import LogStream, RunLogs
from reconciler.errors import ServiceError

DEFAULT_GROUP = "/aws/emr-serverless"
"""The log group of runs whose settings do not name one."""
NOT_STARTED = frozenset({"SUBMITTED", "PENDING", "SCHEDULED", "QUEUED"})
LIVE = NOT_STARTED | {"RUNNING", "CANCELLING"}

NO_SUCH_GROUP = "ResourceNotFoundException"

WORKERS = {
    "SPARK_DRIVER": "driver",
    "SPARK_EXECUTOR": "executor",
    "HIVE_DRIVER": "driver",
    "TEZ_TASK": "task",
}
"""The folder of each type of worker, and the name by which users choose its logs."""
USUAL = re.compile(r"driver/(stdout|stderr)")
"""The logs that are shown unless the user names one."""
EVENT_LOGS = "sparklogs/"
"""The folder of Spark's event logs, which are data for the Spark history server."""
_ATTEMPT = re.compile(r"attempts?/(\d+)/")

KEPT_NOWHERE = (
    "the run keeps no logs in S3 or CloudWatch Logs. To keep them, set in the spec "
    "configurationOverrides.monitoringConfiguration.s3MonitoringConfiguration.logUri to a location in S3, or "
    "cloudWatchLoggingConfiguration.enabled to true"
)
KEPT_BY_AWS = "; AWS's managed storage keeps logs of this run for 30 days: open the Spark UI with reconciler open"
S3, CLOUDWATCH = "s3MonitoringConfiguration", "cloudWatchLoggingConfiguration"
MANAGED = "managedPersistenceMonitoringConfiguration"


def logs_of(aws: Aws, client: Client, run: Described, attempt: int | None) -> RunLogs:
    """Returns the logs of a job run that exist now. If a log is in both S3 and CloudWatch Logs, the one in CloudWatch
    Logs is used, because AWS writes it sooner. Raises `ServiceError` if neither can be read.
    """
    settings, failures = _settings(aws, client, run)
    places: list[tuple[str, Callable[[], Iterator[LogStream]]]] = []
    if settings.get(S3, {}).get("logUri"):
        places.append((settings[S3]["logUri"], lambda: _in_s3(aws, settings[S3]["logUri"], run, attempt)))
    if settings.get(CLOUDWATCH, {}).get("enabled"):
        group = settings[CLOUDWATCH].get("logGroupName") or DEFAULT_GROUP
        places.append((f"log group {group}", lambda: _in_cloudwatch(aws, group, settings[CLOUDWATCH], run, attempt)))
    streams: dict[str, LogStream] = {}
    for _, read in places:
        try:
            streams |= {stream.name: stream for stream in read()}
        except ServiceError as error:
            if error.code != NO_SUCH_GROUP:  # AWS creates the log group when it writes the first log
                failures.append(error)
    if failures and not streams and len(failures) >= len(places):
        raise failures[-1]
    state = str(run.get("state"))
    warnings = tuple(str(error) for error in failures)
    if streams:
        return RunLogs(tuple(streams[name] for name in sorted(streams, key=_order)), warnings=warnings)
    return RunLogs(
        missing=_missing(settings, state, [name for name, _ in places]), expected=bool(places), warnings=warnings
    )


def _settings(aws: Aws, client: Client, run: Described) -> tuple[dict[str, Any], list[ServiceError]]:
    """Returns the monitoring settings of a run, and the error if those of its application could not be read. Settings
    that are missing from the request are taken from the application.
    """
    own: dict[str, Any] = run.get("configurationOverrides", {}).get("monitoringConfiguration") or {}
    if S3 in own and CLOUDWATCH in own:
        return own, []
    application_id = run["applicationId"]
    needed = Access("emr-serverless:GetApplication", aws.arns.of("emr-serverless", "/applications/", application_id))
    try:
        with translate_errors("GetApplication", needed):
            application: Mapping[str, Any] = client.get_application(applicationId=application_id)["application"]
    except ServiceError as error:
        return own, [error]
    return {**(application.get("monitoringConfiguration") or {}), **own}, []


def _missing(settings: Mapping[str, Any], state: str, places: Iterable[str]) -> str:
    if state in NOT_STARTED:
        return f"the run has not started ({state})"
    if named := ", ".join(places):
        return f"there are no logs of this run in {named}" + (" yet" if state in LIVE else "")
    managed = settings.get(MANAGED, {}).get("enabled", True)
    return KEPT_NOWHERE + (KEPT_BY_AWS if managed else "")


def _in_s3(aws: Aws, uri: str, run: Described, attempt: int | None) -> Iterator[LogStream]:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    folder = "/".join(part for part in (prefix.strip("/"), _folder(run)) if part) + "/"
    needed = Access("s3:ListBucket", aws.arns.in_s3(bucket))
    with translate_errors("ListObjectsV2", needed, bucket_hints(bucket)):
        pages = aws.follower("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder)
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
    for name, key in _of_attempt({key.removeprefix(folder): key for key in keys}, attempt):
        if not name.startswith(EVENT_LOGS) and not name.endswith("/"):
            yield _stream(name.removesuffix(".gz"), bucket, key, in_s3=True)


def _in_cloudwatch(
    aws: Aws, group: str, settings: Mapping[str, Any], run: Described, attempt: int | None
) -> Iterator[LogStream]:
    folder = f"{settings.get('logStreamNamePrefix') or ''}/{_folder(run)}/"
    needed = Access("logs:DescribeLogStreams", log_group_arn(aws, group))
    with translate_errors("DescribeLogStreams", needed, HINTS):
        paginator = aws.reader("logs").get_paginator("describe_log_streams")
        pages = paginator.paginate(logGroupName=group, logStreamNamePrefix=folder)
        paths = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
    for name, path in _of_attempt({path.removeprefix(folder): path for path in paths}, attempt):
        yield _stream(name, group, path)


def _folder(run: Described) -> str:
    return f"applications/{run['applicationId']}/jobs/{run['jobRunId']}"


def _of_attempt(paths: Mapping[str, str], attempt: int | None) -> Iterator[tuple[str, str]]:
    """Yields the name and path of each log of one attempt, or of the newest if `attempt` is `None`. Logs in an
    attempt's folder belong to that attempt; all others belong to the first attempt."""
    numbered = {name: int(match[1]) if (match := _ATTEMPT.match(name)) else 1 for name in paths}
    wanted = attempt if attempt is not None else max(numbered.values(), default=1)
    for name, number in numbered.items():
        if number == wanted:
            yield _ATTEMPT.sub("", name, count=1), paths[name]


def _stream(name: str, group: str, path: str, *, in_s3: bool = False) -> LogStream:
    folder, _, rest = name.partition("/")
    short = f"{WORKERS.get(folder, folder)}/{rest}" if rest else folder
    return LogStream(short, group, path, in_s3, usual=bool(USUAL.fullmatch(short)))


def _order(name: str) -> tuple[bool, list[tuple[int, str]]]:
    """Returns the sort key of a log. The driver's logs are first, and executors are sorted by number."""
    parts = [(int(part) if part.isdigit() else 0, part) for part in name.split("/")]
    return not USUAL.fullmatch(name), parts
