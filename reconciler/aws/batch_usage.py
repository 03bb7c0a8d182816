"""Reads what a Batch job used: its attempts, the states of its children, its vCPUs and its memory.

The fields are those of DescribeJobs and ListJobs:
https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDetail.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_JobSummary.html
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from reconciler.aws.adapter import Described
from reconciler.model.base import JSON
from reconciler.model.batch import CHILD_HOURS, RESOURCES
from reconciler.model.batch.definitions import nodes_of

MOST_CHILDREN_TIMED = 1000
"""The maximum number of children of an array whose durations are read. ListJobs returns 100 of them in a call."""
MILLISECONDS_PER_HOUR = 3_600_000
MIB_PER_GB = 1024

Size = tuple[float, float]
"""The vCPUs and the GB of memory of a container, a node or a job."""


def usage_of(job: Described, child_hours: float | None = None) -> JSON | None:
    """Returns how often the job was started, how many children of an array are in each state, and the vCPUs and memory
    of the job. The vCPUs and memory of an array are those of one child; they are left out if the hours that its
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
    """Returns the numbers of children of an ended array, by state; empty if the job is not an ended array, or if there
    are too many children to read how long they ran."""
    array = job.get("arrayProperties", {})
    counts = {state: int(array.get("statusSummary", {}).get(state, 0)) for state in ("SUCCEEDED", "FAILED")}
    ended = job.get("status") in counts and sum(counts.values()) == array.get("size")
    return {state: number for state, number in counts.items() if number} if ended and _is_short(counts) else {}


def _is_short(counts: Mapping[str, int]) -> bool:
    return 0 < sum(counts.values()) <= MOST_CHILDREN_TIMED


def hours_of(children: Iterable[Described]) -> float | None:
    """Returns the hours that ended children ran in total; `None` if the end of one is not known. A child that never
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
    for targets, each in sorted(ranges, key=lambda pair: -len(pair[0])):  # a range inside another one overrides it
        of_node |= dict.fromkeys(targets, _sum(_parts(each)))
    return _sum(of_node.values())


def _sum(sizes: Iterable[Size | None]) -> Size | None:
    """Returns the sum; `None` if a size is not known, or if there is none."""
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
        yield from (_container(container) for task in tasks for container in task.get("containers", ()))
    elif pod:
        yield from (_pod_container(container) for container in pod.get("containers", ()))
    else:
        yield _container(group.get("container") or {})


def _container(container: Described) -> Size | None:
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
