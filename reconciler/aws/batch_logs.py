"""Finds the logs of AWS Batch jobs, from the reply of DescribeJobs.

https://docs.aws.amazon.com/batch/latest/userguide/using_awslogs.html
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.aws.adapter import Described
from reconciler.core.run_logs import LogStream, RunLogs
from reconciler.errors import ReconcilerError
from reconciler.model.batch.definitions import AWSLOGS, LOG_GROUP

NOT_STARTED = frozenset({"SUBMITTED", "PENDING", "RUNNABLE", "STARTING"})
DEFAULT_CONTAINER = "default"
"""The name that Batch gives to the container of a single-container job, in log stream names."""
MOST_CHILDREN_NAMED = 3

KEPT_BY_EKS = (
    "AWS Batch keeps no logs of jobs on Amazon EKS. To keep them, install CloudWatch Container Insights with Fluent "
    "Bit in the cluster: its log group is /aws/containerinsights/CLUSTER/application"
)
KEPT_BY_DRIVER = (
    "the job definition sends its output to the log driver {driver}, not to CloudWatch Logs. To read logs here, set "
    "logConfiguration.logDriver to awslogs in the job definition"
)


def logs_of(job: Described, attempt: int | None, failed_children: Sequence[str] = ()) -> RunLogs:
    """Returns the logs of one attempt of a job, or of the newest if `attempt` is `None`. Raises `ReconcilerError` if
    the job has no such attempt.
    """
    if job.get("arrayProperties", {}).get("size") and "index" not in job["arrayProperties"]:
        return RunLogs(missing=_of_array(job, failed_children))
    if job.get("eksProperties"):
        return RunLogs(missing=f"{KEPT_BY_EKS}{_pod(job)}")
    attempts: Sequence[Described] = job.get("attempts", ())
    is_live = job.get("status") not in {"SUCCEEDED", "FAILED"}
    if attempt is not None and not 1 <= attempt <= len(attempts) + is_live:
        raise ReconcilerError(f"job {job['jobId']} has no attempt {attempt}: it has had {len(attempts) + is_live}")
    described = attempts[attempt - 1] if attempt is not None and attempt <= len(attempts) else job
    containers = list(_containers(job))
    names = {name: path for name, path in _streams(described) if path}
    streams = tuple(_stream(name, names[name], options) for name, driver, options in containers if name in names)
    if streams:
        return RunLogs(streams)
    if job.get("status") in NOT_STARTED:
        reason = f": {job['statusReason']}" if job.get("statusReason") else ""
        return RunLogs(missing=f"the job has not started ({job['status']}{reason})", expected=True)
    drivers = [driver for _, driver, _ in containers if driver != AWSLOGS]
    if drivers:
        return RunLogs(missing=KEPT_BY_DRIVER.format(driver=drivers[0]))
    why = f" ({job['statusReason']})" if job.get("statusReason") else ""
    return RunLogs(missing=f"no container of this attempt has started, so there is no log{why}", expected=is_live)


def _containers(job: Described) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Yields the name, the log driver and its options for each container of a job."""
    for name, container in _described_containers(job):
        logging = container.get("logConfiguration") or {}
        yield name, str(logging.get("logDriver", AWSLOGS)), logging.get("options") or {}


def _streams(described: Described) -> Iterator[tuple[str, str | None]]:
    """Yields the log stream of each container, from the description of a job or of an attempt."""
    for name, container in _described_containers(described):
        yield name, container.get("logStreamName")


def _described_containers(described: Described) -> Iterator[tuple[str, Described]]:
    tasks = described.get("taskProperties") or described.get("ecsProperties", {}).get("taskProperties") or ()
    for number, container in enumerate(container for task in tasks for container in task.get("containers", ())):
        yield container.get("name") or str(number), container
    if not tasks and described.get("container") is not None:
        yield DEFAULT_CONTAINER, described["container"]


def _stream(name: str, path: str, options: Mapping[str, str]) -> LogStream:
    group, region = options.get("awslogs-group", LOG_GROUP), options.get("awslogs-region")
    return LogStream(name, group, path, region=region)


def _of_array(job: Described, failed_children: Sequence[str]) -> str:
    size = job["arrayProperties"]["size"]
    named = failed_children[:MOST_CHILDREN_NAMED] or (f"{job['jobId']}:0",)
    which = "These children failed: " if failed_children else "For example: "
    return f"the job is an array of {size} children, and each child has its own log. {which}{', '.join(named)}"


def _pod(job: Described) -> str:
    pod: Mapping[str, Any] = job["eksProperties"].get("podProperties") or {}
    return f", and the pod of this job is {pod['podName']}" if pod.get("podName") else ""
