"""AWS Batch: what a job id names (a job, a child of an array, a node), and what a job waits for."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.emulator.lifecycle import Timeline, child_timeline, end
from reconciler.emulator.operations import Context, Params
from reconciler.emulator.records import BATCH, Records, Run
from reconciler.emulator.wire import Missing

_DEFAULT_NODES = 2
"""Where a multi-node request does not say how many nodes it means; its job definition would."""


@dataclass(frozen=True, slots=True)
class Job:
    """A run as one of Batch's ids names it: whole, or its child (``id:3``), or its node (``id#0``)."""

    run: Run
    child: int | None = None
    node: int | None = None

    @property
    def id(self) -> str:
        """The id as Batch writes it."""
        if self.child is not None:
            return f"{self.run.id}:{self.child}"
        return self.run.id if self.node is None else f"{self.run.id}#{self.node}"

    @property
    def timeline(self) -> Timeline:
        """Every state this job has and will have. Nodes live and end together."""
        return self.run.timeline() if self.child is None else child_timeline(self.run.facts, self.child)


def job(records: Records, job_id: str, now: float | None) -> Job | None:
    """What an id names, while AWS knows it at `now` (`None`: forgotten ones too); `None` where it names nothing."""
    match = re.fullmatch(r"([^:#]+)(?:([:#])([0-9]{1,5}))?", job_id)
    run = records.run(match[1], now) if match else None
    if match is None or run is None or run.service != BATCH:
        return None
    if match[2] is None:
        return Job(run)
    index = int(match[3])
    if match[2] == ":":
        return Job(run, child=index) if index < run.facts.array else None
    return Job(run, node=index) if index < nodes(run) else None


def known_job(job_id: str, context: Context) -> Job:
    """What an id names. Raises `Missing` where AWS does not know it."""
    found = job(context.records, job_id, context.now)
    if found is None:
        raise Missing(f"Job {job_id} does not exist")
    return found


def nodes(run: Run) -> int:
    """How many nodes a job has; 0 for one that is not multi-node."""
    overrides = run.request.get("nodeOverrides")
    if overrides is None:
        return 0
    named = [int(number) for node in overrides.get("nodePropertyOverrides", []) for number in _numbers(node)]
    return int(overrides.get("numNodes") or max([_DEFAULT_NODES, *(number + 1 for number in named)]))


def _numbers(node: Params) -> Sequence[str]:
    return re.findall(r"[0-9]{1,9}", node["targetNodes"])


# --- dependencies -----------------------------------------------------------------------------------------------------


def needs(request: Params) -> list[str]:
    """The ids of the jobs that a request waits for."""
    return [need["jobId"] for need in request.get("dependsOn", []) if need.get("jobId")]


def wait(records: Records, run: Run) -> Run:
    """The run with its dependencies in its facts, and the records knowing who waits for whom."""
    wanted = needs(run.request)
    records.wait(run.id, [re.split("[:#]", needed)[0] for needed in wanted])
    return _following(records, run) if wanted else run


def settle(records: Records, run: Run) -> None:
    """Lets the jobs that wait for a run, and those that wait for them, follow what became of it."""
    moved = [run.id]
    while moved:
        for waiting_id in records.waiting_for(moved.pop()):
            waiting = records.run(waiting_id, None)
            following = _following(records, waiting) if waiting else None
            if waiting is not None and following is not None and following.facts != waiting.facts:
                records.change(waiting, facts=following.facts)
                moved.append(waiting.id)


def _following(records: Records, run: Run) -> Run:
    """Released when the last dependency succeeds, blocked when the first one fails. A dependency that was never known
    holds nobody up. `N_TO_N` waits for the whole of the other array."""
    found = [job(records, needed, None) for needed in needs(run.request)]
    ends = [end(dependency.timeline) for dependency in found if dependency is not None]
    failed = [step.at for step in ends if step is not None and step.state == "FAILED"]
    succeeded = [step.at for step in ends if step is not None and step.state == "SUCCEEDED"]
    released_at = max(succeeded, default=0.0) if len(succeeded) == len(ends) else None
    facts = dataclasses.replace(run.facts, released_at=released_at, blocked_at=min(failed, default=None))
    return dataclasses.replace(run, facts=facts)
