"""AWS Batch: SubmitJob, CancelJob, TerminateJob."""

from __future__ import annotations

import uuid
from typing import Literal

from reconciler.emulator import arns
from reconciler.emulator.batch_description import describe_jobs
from reconciler.emulator.batch_jobs import Job, known_job, settle, wait
from reconciler.emulator.batch_listing import list_jobs
from reconciler.emulator.batch_resources import describe_job_definitions, describe_job_queues, require_known
from reconciler.emulator.batch_rules import submit_job_problems
from reconciler.emulator.lifecycle import EXIT_FAILED, Facts, Stop, children, current, stop_takes
from reconciler.emulator.operations import Context, Operation, Params, Service
from reconciler.emulator.records import BATCH, Run
from reconciler.emulator.settings import Settings
from reconciler.emulator.tags import list_tags, tag, untag
from reconciler.emulator.wire import Invalid

_MAX_REASON = 1024


def submit_job(params: Params, context: Context) -> Params:
    """Accepts a job. There is no token: every accepted call is a new job."""
    require_known(params["jobQueue"], params["jobDefinition"], context.settings)
    run = Run(
        service=BATCH,
        id=str(uuid.uuid4()),
        place=arns.name(params["jobQueue"]),
        name=params["jobName"],
        request=params,
        facts=_facts(params, context.settings, context.now),
        tags=params.get("tags", {}),
        definition=arns.name(arns.definition(context.settings, params["jobDefinition"])),
        share=params.get("shareIdentifier", ""),
    )
    context.records.add(wait(context.records, run))
    return {"jobArn": arns.job(context.settings, run.id), "jobName": run.name, "jobId": run.id}


def _facts(params: Params, settings: Settings, now: float) -> Facts:
    name = params["jobName"]
    retry = params.get("retryStrategy", {})
    return Facts(
        accepted_at=now,
        start_seconds=settings.start_seconds,
        run_seconds=settings.durations.get(name, settings.run_seconds),
        stop_seconds=settings.stop_seconds,
        fails=settings.outcomes.get(name, settings.outcome) == "failed",
        attempts=retry.get("attempts", 1) if _retries(retry) else 1,
        timeout_seconds=params.get("timeout", {}).get("attemptDurationSeconds"),
        array=params.get("arrayProperties", {}).get("size", 0),
        sequential=any(need.get("type", "").upper() == "SEQUENTIAL" for need in params.get("dependsOn", [])),
    )


def _retries(retry: Params) -> bool:
    """Whether a failure (exit code 1) is tried again: the first rule whose conditions all match decides; none: yes."""
    seen = {"onStatusReason": EXIT_FAILED, "onReason": "", "onExitCode": "1"}
    for rule in retry.get("evaluateOnExit", []):
        if all(_matches(rule[name], value) for name, value in seen.items() if name in rule):
            return bool(rule["action"].upper() == "RETRY")
    return True


def _matches(pattern: str, value: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


def cancel_job(params: Params, context: Context) -> Params:
    """Fails a job that has not reached STARTING; does nothing, without an error, to one that has."""
    return _stop("cancel", params, context)


def terminate_job(params: Params, context: Context) -> Params:
    """Fails a job that has not ended; does nothing, without an error, to one that has."""
    return _stop("terminate", params, context)


def _stop(verb: Literal["cancel", "terminate"], params: Params, context: Context) -> Params:
    if len(params["reason"]) > _MAX_REASON:
        raise Invalid(f"reason: must have at most {_MAX_REASON} characters")
    job = known_job(params["jobId"], context)
    if _takes(verb, job, context.now):
        child = "" if job.child is None else str(job.child)
        stop = Stop(verb, context.now, params["reason"], child=child)
        settle(context.records, context.records.change(job.run, facts=job.run.facts.stopped(stop)))
    return {}


def _takes(verb: str, job: Job, now: float) -> bool:
    """Whether the stop does anything now: to the job, or to any child of the array that it stands for."""
    whole_array = job.run.facts.array and job.child is None
    timelines = [timeline for _, timeline in children(job.run.facts)] if whole_array else [job.timeline]
    return any(stop_takes(verb, current(timeline, now).state) for timeline in timelines)


SERVICE = Service(
    name=BATCH,
    operations={
        "SubmitJob": Operation(submit_job, writes=True, rules=submit_job_problems),
        "DescribeJobs": Operation(describe_jobs),
        "ListJobs": Operation(list_jobs),
        "CancelJob": Operation(cancel_job, writes=True),
        "TerminateJob": Operation(terminate_job, writes=True),
        "DescribeJobQueues": Operation(describe_job_queues),
        "DescribeJobDefinitions": Operation(describe_job_definitions),
        "TagResource": Operation(tag, writes=True),
        "UntagResource": Operation(untag, writes=True),
        "ListTagsForResource": Operation(list_tags),
    },
    invalid=("ClientException", 400),
    missing=("ClientException", 400),
    internal=("ServerException", 500),
    strict_enums=False,
)
