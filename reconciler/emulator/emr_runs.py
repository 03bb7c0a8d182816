"""EMR Serverless: what is said about job runs."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.emulator import arns
from reconciler.emulator.emr_applications import require_application
from reconciler.emulator.lifecycle import EMR_ENDED, Step, current, so_far
from reconciler.emulator.operations import Context, Params
from reconciler.emulator.paging import page, position
from reconciler.emulator.records import EMR, Run
from reconciler.emulator.search import Search
from reconciler.emulator.wire import Missing

PAGE = 50
"""The most that ListJobRuns gives at once; from the API reference."""
_WORKERS = {"vCPUHour": 8.0, "memoryGBHour": 32.0, "storageGBHour": 60.0}
"""What a run uses per hour: a driver and one executor of EMR Serverless's default sizes."""
_BILLED_AT_LEAST = 60.0
_COPIED = ("name", "configurationOverrides", "jobDriver", "executionIamPolicy", "retryPolicy", "flexExecution")


def default_timeout_minutes(request: Params) -> int:
    """Of a request that sets none, as the API reference has it: 720; for streaming 0, which is none."""
    return 0 if request.get("mode") == "STREAMING" else 720


def known_run(params: Params, context: Context) -> Run:
    """The run that a request names. Raises `Missing` where there is none, or it is another application's."""
    require_application(params["applicationId"], context)
    run = context.records.run(params["jobRunId"], context.now)
    if run is None or run.service != EMR or run.place != params["applicationId"]:
        raise Missing(f"Job run {params['jobRunId']} does not exist")
    return run


def get_job_run(params: Params, context: Context) -> Params:
    """Everything about a run, or about one attempt of it. Raises `Missing` for an attempt that has not been."""
    run = known_run(params, context)
    steps = so_far(run.timeline(), context.now)
    wanted = params.get("attempt")
    if wanted is not None:
        steps = [step for step in steps if step.attempt <= wanted]
        if steps[-1].attempt != wanted:
            raise Missing(f"Job run {run.id} has no attempt {wanted}")
    return {"jobRun": {**_head(run, steps, context), **_detail(run, steps)}}


def list_job_runs(params: Params, context: Context) -> Params:
    """A page of an application's runs, newest first, without tags and tokens."""
    require_application(params["applicationId"], context)
    after, before = params.get("createdAtAfter"), params.get("createdAtBefore")
    states = frozenset(params.get("states", ()))
    search = Search(
        service=EMR,
        place=params["applicationId"],
        mode=params.get("mode", ""),
        states=states,
        accepted_after=after.timestamp() if after else None,
        accepted_before=before.timestamp() if before else None,
        before=position(params.get("nextToken")),
    )
    runs = (
        run
        for run in context.records.search(search, context.now)
        if not states or current(run.timeline(), context.now).state in states
    )
    found, token = page(runs, params.get("maxResults", PAGE), lambda run: run.seq)
    return {"jobRuns": [_summary(run, context) for run in found], "nextToken": token}


def list_job_run_attempts(params: Params, context: Context) -> Params:
    """A page of a run's attempts, oldest first."""
    run = known_run(params, context)
    steps = so_far(run.timeline(), context.now)
    after = position(params.get("nextToken")) or 0
    attempts = range(after + 1, steps[-1].attempt + 1)
    found, token = page(attempts, params.get("maxResults", PAGE), lambda attempt: attempt)
    return {"jobRunAttempts": [_attempt(run, steps, attempt, context) for attempt in found], "nextToken": token}


def _summary(run: Run, context: Context) -> Params:
    head = _head(run, so_far(run.timeline(), context.now), context)
    return {"id": head.pop("jobRunId"), "name": run.request.get("name"), "type": "Spark", **head}


def _attempt(run: Run, steps: Sequence[Step], attempt: int, context: Context) -> Params:
    head = _head(run, [step for step in steps if step.attempt <= attempt], context)
    created, updated = head.pop("attemptCreatedAt"), head.pop("attemptUpdatedAt")
    times = {"jobCreatedAt": run.facts.accepted_at, "createdAt": created, "updatedAt": updated}
    if attempt < steps[-1].attempt:
        failed_at = next(step.at for step in steps if step.attempt > attempt)
        times["updatedAt"] = failed_at
        head = {**head, "state": "FAILED"}
    return {"id": head.pop("jobRunId"), "name": run.request.get("name"), "type": "Spark", **head, **times}


def _head(run: Run, steps: Sequence[Step], context: Context) -> Params:
    """What GetJobRun and the listings have in common."""
    step = steps[-1]
    return {
        "applicationId": run.place,
        "jobRunId": run.id,
        "arn": arns.job_run(context.settings, run.place, run.id),
        "createdBy": arns.caller(context.settings),
        "createdAt": run.facts.accepted_at,
        "updatedAt": step.at,
        "executionRole": run.request["executionRoleArn"],
        "state": step.state,
        "stateDetails": step.detail,
        "releaseLabel": context.settings.release_label,
        "mode": run.mode,
        "attempt": step.attempt,
        "attemptCreatedAt": next(other.at for other in steps if other.attempt == step.attempt),
        "attemptUpdatedAt": step.at,
    }


def _detail(run: Run, steps: Sequence[Step]) -> Params:
    """What only GetJobRun has."""
    started = next((step.at for step in steps if step.state == "RUNNING"), None)
    ended = steps[-1].at if steps[-1].state in EMR_ENDED else None
    return {
        **{name: run.request[name] for name in _COPIED if name in run.request},
        "tags": run.tags,
        "executionTimeoutMinutes": run.request.get("executionTimeoutMinutes", default_timeout_minutes(run.request)),
        "startedAt": started,
        **_used(started, ended),
    }


def _used(started: float | None, ended: float | None) -> Params:
    if ended is None:
        return {}
    seconds = ended - started if started is not None else 0.0
    billed = max(seconds, _BILLED_AT_LEAST) if started is not None else 0.0
    return {
        "endedAt": ended,
        "queuedDurationMilliseconds": 0,
        "totalExecutionDurationSeconds": round(seconds),
        "totalResourceUtilization": {unit: round(rate * seconds / 3600, 3) for unit, rate in _WORKERS.items()},
        "billedResourceUtilization": {unit: round(rate * billed / 3600, 3) for unit, rate in _WORKERS.items()},
    }
