"""Reads what a Batch job reports: why it is in its state, and what it used.

The fields come from DescribeJobs and ListJobs: https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDetail.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_JobSummary.html
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from reconciler.aws.adapter import Described
from reconciler.core.state import RunState
from reconciler.model.base import JSON
from reconciler.model.batch.definitions import nodes_of
from reconciler.model.batch.kind import CHILD_HOURS, RESOURCES

STATES = {
    "SUBMITTED": RunState.SUBMITTED,
    "PENDING": RunState.SUBMITTED,
    "RUNNABLE": RunState.SUBMITTED,
    "STARTING": RunState.SUBMITTED,
    "RUNNING": RunState.RUNNING,
    "SUCCEEDED": RunState.SUCCEEDED,
    "FAILED": RunState.FAILED,
}
"""Maps the API's JobStatus to the states of reconciler."""

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
    """Returns whether AWS, and not a user, cancelled a job because it was in the queue for too long."""
    stopped = bool(job.get("isCancelled") or job.get("isTerminated"))
    return stopped and BY_QUEUE.search(job.get("statusReason") or "") is not None


def reason_of(job: Described, failed_children: Sequence[Described] | None) -> str | None:
    """Joins the reasons that AWS reports for a job, its containers or pod, and the failed children of an array, such as
    ``Essential container in task exited; exit code 137; Killed``.

    `failed_children` are the summaries of the failed children, or `None` if they are not known.
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
    """Yields the reasons why the containers of a job ended. A single container is described without its name."""
    attempts: Sequence[Described] = job.get("attempts") or ()
    single = job.get("container", {})
    if "nodeProperties" in job and not _is_live(job) and attempts:
        single = attempts[-1].get("container", single)
    code = single.get("exitCode")
    yield None if code is None else f"exit code {code}"
    yield single.get("reason")
    if job.get("eksAttempts") and not _is_live(job):
        yield job["eksAttempts"][-1].get("statusReason")
    named = [container for container in _containers(job) if container is not single and _is_remarkable(container)]
    yield from (_container(container) for container in named[:MOST_CONTAINERS])


def _last_attempt(job: Described) -> Iterator[str | None]:
    """Yields the reason why the last attempt ended, if AWS is about to start the job again."""
    attempts: Sequence[Described] = job.get("attempts") or job.get("eksAttempts") or ()
    if attempts and job.get("status") not in {"SUCCEEDED", "FAILED", "RUNNING"} and _is_live(job):
        last = attempts[-1]
        container = last.get("container", {})
        code = container.get("exitCode")
        named = [_container(each) for each in _containers_of_attempt(last) if _is_remarkable(each)]
        parts = (
            last.get("statusReason"),
            None if code is None else f"exit code {code}",
            container.get("reason"),
            *named[:MOST_CONTAINERS],
        )
        text = ", ".join(part for part in parts if part)
        yield f"attempt {len(attempts)}: {text}" if text else None


def _is_live(job: Described) -> bool:
    """Returns whether a job has not ended, which means that its attempts describe earlier containers."""
    return job.get("status") not in {"SUCCEEDED", "FAILED", None}


def _containers(job: Described) -> Iterator[Described]:
    """Yields the containers of a job: those of its tasks or its pod or, if it has ended, those of its last attempt."""
    if "container" in job:
        yield job["container"]
    for task in job.get("ecsProperties", {}).get("taskProperties", ()):
        yield from task.get("containers", ())
    ended = not _is_live(job)
    if ended:
        yield from _containers_of_attempt((job.get("attempts") or ({},))[-1])
    pod = job.get("eksProperties", {}).get("podProperties", {})
    yield from (*pod.get("initContainers", ()), *pod.get("containers", ()))
    if ended:
        yield from _containers_of_attempt((job.get("eksAttempts") or ({},))[-1])


def _containers_of_attempt(attempt: Described) -> Iterator[Described]:
    """Yields the containers of an attempt: those of its tasks, or those of its pod."""
    for task in attempt.get("taskProperties", ()):
        yield from task.get("containers", ())
    yield from (*attempt.get("initContainers", ()), *attempt.get("containers", ()))


def _ends(container: Described) -> bool:
    return container.get("exitCode") is not None or bool(container.get("reason"))


def _is_remarkable(container: Described) -> bool:
    return bool(container.get("exitCode") or container.get("reason"))


def _container(container: Described) -> str:
    code = container.get("exitCode")
    parts = (None if code is None else f"exit code {code}", container.get("reason"))
    return f"container {container.get('name', '?')}: " + ", ".join(part for part in parts if part)


def _children(job: Described, failed: Sequence[Described] | None) -> Iterator[str]:
    """Yields the number and the indexes of the failed children of an array, and the reasons of the first few."""
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


MOST_CHILDREN_TIMED = 1000
"""The maximum number of children of an array whose durations are read. ListJobs returns 100 of them in a call."""
MILLISECONDS_PER_HOUR = 3_600_000
MIB_PER_GB = 1024

Size = tuple[float, float]
"""The vCPUs and the GB of memory of a container, a node or a job."""


def usage_of(job: Described, child_hours: float | None = None) -> JSON | None:
    """Returns how often the job was started, how many children of an array are in each state, and the vCPUs and memory
    of the job. For an array, the vCPUs and memory of one child are returned; they are left out if the hours that its
    children ran, `child_hours`, are not known."""
    counts = job.get("arrayProperties", {}).get("statusSummary", {})
    size = _job_size(job) if not counts or child_hours is not None else None
    usage: JSON = {
        "attempts": len(job.get("attempts", ())),
        "statusSummary": {state: number for state, number in counts.items() if number},
        RESOURCES: {"vcpu": size[0], "memory_gb": round(size[1], 3)} if size is not None else {},
    }
    used = {name: fact for name, fact in usage.items() if fact}
    if child_hours is not None and RESOURCES in used:
        used[CHILD_HOURS] = round(child_hours, 6)
    return used or None


def ended_children(job: Described) -> Mapping[str, int]:
    """Returns the numbers of children of an ended array, by state. The result is empty if the job is not an ended
    array, or if it has too many children to read how long each ran."""
    array = job.get("arrayProperties", {})
    counts = {state: int(array.get("statusSummary", {}).get(state, 0)) for state in ("SUCCEEDED", "FAILED")}
    ended = job.get("status") in counts and sum(counts.values()) == array.get("size")
    return {state: number for state, number in counts.items() if number} if ended and _is_short(counts) else {}


def _is_short(counts: Mapping[str, int]) -> bool:
    return 0 < sum(counts.values()) <= MOST_CHILDREN_TIMED


def hours_of(children: Iterable[Described]) -> float | None:
    """Returns the hours that ended children ran in total, or `None` if the end of one is not known. A child that never
    started ran for no time."""
    total = 0
    for child in children:
        if child.get("startedAt"):
            if not child.get("stoppedAt"):
                return None
            total += max(0, child["stoppedAt"] - child["startedAt"])
    return total / MILLISECONDS_PER_HOUR


def _job_size(job: Described) -> Size | None:
    """Returns the size of a job, of one child of an array, or of all nodes of a multi-node job."""
    nodes = job.get("nodeProperties")
    if not nodes:
        return _sum(_parts(job))
    count = int(nodes.get("numNodes") or 0)
    of_node: dict[int, Size | None] = dict.fromkeys(range(count))
    ranges = [(nodes_of(str(each.get("targetNodes")), count), each) for each in nodes.get("nodeRangeProperties", ())]
    for targets, each in sorted(ranges, key=lambda pair: -len(pair[0])):  # a nested range overrides the outer one
        of_node |= dict.fromkeys(targets, _sum(_parts(each)))
    return _sum(of_node.values())


def _sum(sizes: Iterable[Size | None]) -> Size | None:
    """Returns the sum, or `None` if a size is not known, or if there is none."""
    vcpus = memory = 0.0
    for size in sizes:
        if size is None:
            return None
        vcpus, memory = vcpus + size[0], memory + size[1]
    return (vcpus, memory) if vcpus and memory else None


def _parts(group: Described) -> Iterator[Size | None]:
    """Yields the size of each container of a job or a node: a single one, those of its tasks, or those of its pod."""
    tasks: Sequence[Described] = (group.get("ecsProperties") or {}).get("taskProperties") or ()
    pod: Described = (group.get("eksProperties") or {}).get("podProperties") or {}
    if tasks:
        yield from (_container_size(container) for task in tasks for container in task.get("containers", ()))
    elif pod:
        yield from (_pod_container(container) for container in pod.get("containers", ()))
    else:
        yield _container_size(group.get("container") or {})


def _container_size(container: Described) -> Size | None:
    """Returns the size of a container on ECS, from its requirements in vCPUs and MiB.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_ResourceRequirement.html
    """
    needs = {str(need.get("type")).upper(): need.get("value") for need in container.get("resourceRequirements") or ()}
    return _size(needs.get("VCPU") or container.get("vcpus"), needs.get("MEMORY") or container.get("memory"))


def _pod_container(container: Described) -> Size | None:
    """Returns the size of a container on EKS: what it requests or, without a request, its limit.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_EksContainerResourceRequirements.html
    """
    resources = container.get("resources") or {}
    needs = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return _size(needs.get("cpu"), str(needs.get("memory") or "").removesuffix("Mi"))


def _size(vcpus: object, mebibytes: object) -> Size | None:
    try:
        size = float(str(vcpus)), float(str(mebibytes)) / MIB_PER_GB
    except ValueError:
        return None
    return size if all(size) else None
