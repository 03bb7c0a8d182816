"""AWS Batch: jobs by id (a job, a child of an array, a node), dependencies between them, CancelJob, TerminateJob."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Literal

from reconciler.emulator.lifecycle import Stop, Timeline, can_stop, child_timeline, children, current, end
from reconciler.emulator.operations import Context, Invalid, Missing, Params
from reconciler.emulator.records import BATCH, Records, Run

MAX_REASON = 1024
_DEFAULT_NODES = 2
"""For a multi-node request that does not say how many nodes it needs; in AWS its job definition does."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a Batch id names: a whole run, a child of it (``id:3``), or a node of it (``id#0``)."""

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
        """Every state that this job has had and will have. Nodes start and end together."""
        return self.run.timeline() if self.child is None else child_timeline(self.run.facts, self.child)


def find_job(records: Records, job_id: str, now: float | None) -> Job | None:
    """Returns what an id names, if it can be looked up at `now`; with `None`, expired jobs too."""
    match = re.fullmatch(r"([^:#]+)(?:([:#])([0-9]{1,5}))?", job_id)
    run = records.run(match[1], now) if match else None
    if match is None or run is None or run.service != BATCH:
        return None
    if match[2] is None:
        return Job(run)
    index = int(match[3])
    if match[2] == ":":
        return Job(run, child=index) if index < run.facts.array else None
    return Job(run, node=index) if index < count_nodes(run) else None


def require_job(job_id: str, context: Context) -> Job:
    """Returns what an id names. Raises `Missing` if it does not exist."""
    job = find_job(context.records, job_id, context.now)
    if job is None:
        raise Missing(f"Job {job_id} does not exist")
    return job


def count_nodes(run: Run) -> int:
    """Returns the number of nodes of a job, 0 if it is not multi-node."""
    overrides = run.request.get("nodeOverrides")
    if overrides is None:
        return 0
    targets = [node["targetNodes"] for node in overrides.get("nodePropertyOverrides", [])]
    named = [int(number) for target in targets for number in re.findall(r"[0-9]{1,9}", target)]
    return int(overrides.get("numNodes") or max([_DEFAULT_NODES, *(number + 1 for number in named)]))


def _needed_ids(request: Params) -> list[str]:
    return [need["jobId"] for need in request.get("dependsOn", []) if need.get("jobId")]


def with_dependencies(records: Records, run: Run) -> Run:
    """Records what a new run waits for, and returns the run with that in its facts."""
    needed = _needed_ids(run.request)
    records.add_dependencies(run.id, [re.split("[:#]", job_id)[0] for job_id in needed])
    return _after_dependencies(records, run) if needed else run


def update_dependents(records: Records, run: Run) -> None:
    """Updates the facts of the jobs that wait for a changed run, and of those that wait for them."""
    changed = [run.id]
    while changed:
        for dependent_id in records.dependents(changed.pop()):
            dependent = records.run(dependent_id, None)
            updated = _after_dependencies(records, dependent) if dependent else None
            if dependent is not None and updated is not None and updated.facts != dependent.facts:
                records.change(dependent, facts=updated.facts)
                changed.append(dependent.id)


def _after_dependencies(records: Records, run: Run) -> Run:
    """Releases a run when its last dependency succeeds, and blocks it when the first one fails.

    An id that never existed blocks nothing. `N_TO_N` waits for the whole of the other array.
    """
    dependencies = [find_job(records, job_id, None) for job_id in _needed_ids(run.request)]
    ends = [end(job.timeline) for job in dependencies if job is not None]
    failed = [step.at for step in ends if step is not None and step.state == "FAILED"]
    succeeded = [step.at for step in ends if step is not None and step.state == "SUCCEEDED"]
    released_at = max(succeeded, default=0.0) if len(succeeded) == len(ends) else None
    facts = dataclasses.replace(run.facts, released_at=released_at, blocked_at=min(failed, default=None))
    return dataclasses.replace(run, facts=facts)


def cancel_job(params: Params, context: Context) -> Params:
    """Fails a job that has not reached STARTING. On other jobs it has no effect and gives no error."""
    return _stop("cancel", params, context)


def terminate_job(params: Params, context: Context) -> Params:
    """Fails a job that has not ended. On other jobs it has no effect and gives no error."""
    return _stop("terminate", params, context)


def stop_run(records: Records, run: Run, stop: Stop) -> None:
    """Stores a stop of a run, and updates the jobs that wait for it."""
    update_dependents(records, records.change(run, facts=run.facts.stopped(stop)))


def _stop(verb: Literal["cancel", "terminate"], params: Params, context: Context) -> Params:
    if len(params["reason"]) > MAX_REASON:
        raise Invalid(f"reason: must have at most {MAX_REASON} characters")
    job = require_job(params["jobId"], context)
    if _has_effect(verb, job, context.now):
        child = "" if job.child is None else str(job.child)
        stop_run(context.records, job.run, Stop(verb, context.now, params["reason"], child=child))
    return {}


def _has_effect(verb: str, job: Job, now: float) -> bool:
    """Whether a stop changes anything now: the job, or any child if the job is a whole array."""
    is_array = job.run.facts.array and job.child is None
    timelines = [timeline for _, timeline in children(job.run.facts)] if is_array else [job.timeline]
    return any(can_stop(verb, current(timeline, now).state) for timeline in timelines)
