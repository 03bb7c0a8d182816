"""Reads why a Batch job is in its state, from the reasons for the job, its containers, its pods and its array children.

The fields are those of DescribeJobs and ListJobs:
https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDetail.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_JobSummary.html
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from reconciler.aws.adapter import Described

BY_QUEUE = re.compile(r"\b(CAPACITY|MISCONFIGURATION):[A-Z_]+|job ?state ?time ?limit", re.IGNORECASE)
"""Matches the status reason of a job that AWS cancelled because of a time limit of its queue. These are the reasons for
which `jobStateTimeLimitActions` can be set.
https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable_time_limit_actions.html
"""

MOST_CONTAINERS = 10
"""The maximum number of containers of a job that are described."""
MOST_INDEXES = 20
"""The maximum number of failed children of an array whose indexes are listed."""
MOST_CHILDREN = 3
"""The maximum number of failed children of an array that are described."""


def stopped_by_queue(job: Described) -> bool:
    """Returns whether AWS, not a person, cancelled a job because it was in the queue for too long."""
    stopped = bool(job.get("isCancelled") or job.get("isTerminated"))
    return stopped and BY_QUEUE.search(job.get("statusReason") or "") is not None


def reason_of(job: Described, failed_children: Sequence[Described] | None) -> str | None:
    """Joins the reasons that AWS reports for a job, its containers or pod, and the failed children of an array, such as
    ``Essential container in task exited; exit code 137; Killed``.

    `failed_children` are the summaries of the failed children, `None` if they are not known.
    """
    parts = [job.get("statusReason"), *_workload(job), *_last_attempt(job), *_children(job, failed_children)]
    return "; ".join(part for part in dict.fromkeys(parts) if part) or None


def explained(job: Described, failed_children: Sequence[Described] | None) -> bool:
    """Returns whether AWS has reported all details that it usually reports about the end of a job."""
    if not job.get("statusReason"):
        return False
    if _failed_count(job):
        return failed_children is not None and any(child.get("statusReason") for child in failed_children)
    if job.get("arrayProperties", {}).get("size") or "nodeProperties" in job:
        return True
    return not job.get("startedAt") or any(_ends(container) for container in _containers(job))


def failed_children_of(job: Described) -> int:
    """Returns how many children of an array job have failed; 0 for any other job."""
    return _failed_count(job) if job.get("arrayProperties", {}).get("size") else 0


def array_has_started(job: Described) -> bool:
    """Returns whether a child of an array job has started. The parent is PENDING until all children have ended.

    https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html
    """
    counts: Mapping[str, int] = job.get("arrayProperties", {}).get("statusSummary", {})
    return any(counts.get(state, 0) for state in ("RUNNING", "SUCCEEDED", "FAILED"))


def _failed_count(job: Described) -> int:
    return int(job.get("arrayProperties", {}).get("statusSummary", {}).get("FAILED", 0))


def _workload(job: Described) -> Iterator[str | None]:
    """Yields why the containers of a job ended. A single container is described without its name."""
    single = job.get("container", {})
    code = single.get("exitCode")
    yield None if code is None else f"exit code {code}"
    yield single.get("reason")
    attempts = job.get("eksAttempts") or ()
    if attempts:
        yield attempts[-1].get("statusReason")
    named = [container for container in _containers(job) if container is not single and _is_remarkable(container)]
    yield from (_container(container) for container in named[:MOST_CONTAINERS])


def _last_attempt(job: Described) -> Iterator[str | None]:
    """Yields why the last attempt ended, if AWS is about to start the job again."""
    attempts = job.get("attempts") or ()
    if attempts and job.get("status") not in {"SUCCEEDED", "FAILED", "RUNNING"}:
        last = attempts[-1]
        container = last.get("container", {})
        code = container.get("exitCode")
        parts = (last.get("statusReason"), None if code is None else f"exit code {code}", container.get("reason"))
        text = ", ".join(part for part in parts if part)
        yield f"attempt {len(attempts)}: {text}" if text else None


def _containers(job: Described) -> Iterator[Described]:
    """Yields the containers of a job: those of its tasks, or those of the last pod on EKS."""
    if "container" in job:
        yield job["container"]
    last: Described = (job.get("attempts") or ({},))[-1]
    for task in (*job.get("ecsProperties", {}).get("taskProperties", ()), *last.get("taskProperties", ())):
        yield from task.get("containers", ())
    pod = job.get("eksProperties", {}).get("podProperties", {})
    for part in (pod, *(job.get("eksAttempts") or ())[-1:]):
        yield from (*part.get("initContainers", ()), *part.get("containers", ()))


def _ends(container: Described) -> bool:
    return container.get("exitCode") is not None or bool(container.get("reason"))


def _is_remarkable(container: Described) -> bool:
    return bool(container.get("exitCode") or container.get("reason"))


def _container(container: Described) -> str:
    code = container.get("exitCode")
    parts = (None if code is None else f"exit code {code}", container.get("reason"))
    return f"container {container.get('name', '?')}: " + ", ".join(part for part in parts if part)


def _children(job: Described, failed: Sequence[Described] | None) -> Iterator[str]:
    """Yields how many children of an array failed and which, and the reasons of the first few."""
    count, size = failed_children_of(job), job.get("arrayProperties", {}).get("size")
    if not count:
        return
    indexes = sorted(_index(child) for child in failed or ())
    listed = ", ".join(map(str, indexes[:MOST_INDEXES])) + (", …" if count > MOST_INDEXES else "")
    yield f"{count} of {size} children failed" + (f": {listed}" if indexes else "")
    for child in sorted(failed or (), key=_index)[:MOST_CHILDREN]:
        container = child.get("container", {})
        code = container.get("exitCode")
        parts = (child.get("statusReason"), None if code is None else f"exit code {code}", container.get("reason"))
        text = ", ".join(part for part in parts if part)
        if text:
            yield f"child {_index(child)}: {text}"


def _index(child: Described) -> int:
    """Returns the array index of a child, from its own field or its id, ``JOB:3``."""
    index = child.get("arrayProperties", {}).get("index")
    last = str(child.get("jobId", "")).rpartition(":")[2]
    return int(index) if index is not None else int(last) if last.isdigit() else 0
