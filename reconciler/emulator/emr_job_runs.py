"""Implements EMR Serverless job runs: StartJobRun and its idempotency, CancelJobRun, and the replies of Get and
List."""

import hashlib
import json
import secrets
import string
from collections.abc import Iterator, Sequence

from reconciler.emulator import resources
from reconciler.emulator.lifecycle import EMR_ENDED, Facts, Step, Stop, current, steps_until
from reconciler.emulator.operations import Conflict, Context, Invalid, Missing, Params, page, page_of, position_after
from reconciler.emulator.records import EMR, Run, Search
from reconciler.emulator.settings import NO_REPORT

MAX_BATCH_TIMEOUT_MINUTES = 10080
MAX_ATTEMPTS = 10
PAGE = 50
"""The maximum page size of ListJobRuns, from the API reference."""
_ID_LETTERS = string.digits + string.ascii_lowercase
_MAX_COMPUTED_ATTEMPTS = 1000
"""The maximum number of attempts in the timeline of a failing streaming run, even if its request allows more."""
_WORKERS = {"vCPUHour": 8.0, "memoryGBHour": 32.0, "storageGBHour": 60.0}
"""The resources that a run uses per hour: a driver and one executor of EMR Serverless's default sizes."""
_MIN_BILLED_SECONDS = 60.0
_COPIED = ("name", "configurationOverrides", "jobDriver", "executionIamPolicy", "retryPolicy", "flexExecution")


def start_job_run(params: Params, context: Context) -> Params:
    """Accepts a run, or returns the run that this client token has already started.

    The same token and body in the same application return the same run. The same token with another body raises
    `Conflict`, unless the settings disable that.
    """
    resources.require_application(params["applicationId"], context.settings)
    body = {name: value for name, value in params.items() if name != "clientToken"}
    fingerprint = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    run = _remembered(params, context)
    if run is None:
        run = _new_run(params, fingerprint, context)
        context.records.add(run)
    elif run.fingerprint != fingerprint and context.settings.token_mismatch == "conflict":
        raise Conflict("clientToken: was used for a request with other parameters")
    arn = resources.job_run_arn(context.settings, run.scope, run.id)
    return {"applicationId": run.scope, "jobRunId": run.id, "arn": arn}


def _remembered(params: Params, context: Context) -> Run | None:
    """Returns the run that the client token started, or `None` if the token is new or no longer remembered."""
    run = context.records.by_token(EMR, params["applicationId"], params["clientToken"])
    limit = context.settings.token_seconds
    if run is not None and limit is not None and context.now - run.facts.accepted_at > limit:
        # The token is unique in the database, so it must be free for the new run.
        context.records.forget_token(run)
        return None
    return run


def _new_run(params: Params, fingerprint: str, context: Context) -> Run:
    return Run(
        service=EMR,
        id="00" + "".join(secrets.choice(_ID_LETTERS) for _ in range(14)),
        scope=params["applicationId"],
        name=params.get("name", ""),
        request=params,
        facts=_facts(params, context),
        tags=params.get("tags", {}),
        mode=params.get("mode", "BATCH"),
        token=params["clientToken"],
        fingerprint=fingerprint,
    )


def _facts(params: Params, context: Context) -> Facts:
    name, settings = params.get("name", ""), context.settings
    fails = settings.outcomes.get(name, settings.outcome) == "failed"
    streaming = params.get("mode") == "STREAMING"
    minutes = _timeout_minutes(params)
    retry = params.get("retryPolicy", {})
    report = settings.reports.get(name, NO_REPORT)
    return Facts(
        accepted_at=context.now,
        start_seconds=report.starts_after(settings.start_seconds),
        report=report,
        run_seconds=None if streaming and not fails else settings.durations.get(name, settings.run_seconds),
        stop_seconds=settings.stop_seconds,
        fails=fails,
        attempts=min(retry.get("maxAttempts", retry.get("maxFailedAttemptsPerHour", 1)), _MAX_COMPUTED_ATTEMPTS),
        timeout_seconds=minutes * 60.0 if minutes else None,
    )


def _timeout_minutes(params: Params) -> int:
    """Returns the timeout of a request in minutes. The default in the API reference is 720, or 0 (no timeout) for
    streaming."""
    return int(params.get("executionTimeoutMinutes", 0 if params.get("mode") == "STREAMING" else 720))


def start_job_run_problems(params: Params) -> Iterator[str]:
    """Yields every problem that botocore's model does not detect in a StartJobRun request."""
    tags, retry = params.get("tags", {}), params.get("retryPolicy", {})
    minutes, per_hour = params.get("executionTimeoutMinutes", 0), retry.get("maxFailedAttemptsPerHour")
    is_batch = params.get("mode", "BATCH") == "BATCH"
    if len(tags) > resources.MAX_TAGS:
        yield f"tags: must have at most {resources.MAX_TAGS} entries"
    if any(key.lower().startswith("aws:") for key in tags):
        yield "tags: keys must not start with aws:"
    if is_batch and minutes > MAX_BATCH_TIMEOUT_MINUTES:
        yield f"executionTimeoutMinutes: must be at most {MAX_BATCH_TIMEOUT_MINUTES} for BATCH runs"
    if not is_batch and minutes:
        yield "executionTimeoutMinutes: STREAMING runs have none"
    if is_batch and per_hour is not None:
        yield "retryPolicy.maxFailedAttemptsPerHour: is for STREAMING runs"
    if is_batch and retry.get("maxAttempts", 1) > MAX_ATTEMPTS:
        yield f"retryPolicy.maxAttempts: must be at most {MAX_ATTEMPTS}"
    if per_hour is not None and per_hour > MAX_ATTEMPTS:
        yield f"retryPolicy.maxFailedAttemptsPerHour: must be at most {MAX_ATTEMPTS}"


def cancel_job_run(params: Params, context: Context) -> Params:
    """Cancels a run. Does nothing to a run that is CANCELLING; raises `Invalid`, as AWS does, for a run that has
    ended.
    """
    run = _require_run(params, context)
    state = current(run.timeline(), context.now).state
    if state in EMR_ENDED:
        raise Invalid(f"Job run {run.id} is not in a cancellable state: it is {state}")
    if state != "CANCELLING":
        context.records.change(run, facts=run.facts.stopped(Stop("cancel", context.now)))
    return {"applicationId": run.scope, "jobRunId": run.id}


def _require_run(params: Params, context: Context) -> Run:
    """Returns the run that a request names. Raises `Missing` if it does not exist or belongs to another application."""
    resources.require_application(params["applicationId"], context.settings)
    run = context.records.run(params["jobRunId"], context.now)
    if run is None or run.service != EMR or run.scope != params["applicationId"]:
        raise Missing(f"Job run {params['jobRunId']} does not exist")
    return run


def get_job_run(params: Params, context: Context) -> Params:
    """Describes a run, or one attempt of it. Raises `Missing` for an attempt that has not started."""
    run = _require_run(params, context)
    steps = steps_until(run.timeline(), context.now)
    attempt = params.get("attempt")
    if attempt is not None:
        steps = [step for step in steps if step.attempt <= attempt]
        if steps[-1].attempt != attempt:
            raise Missing(f"Job run {run.id} has no attempt {attempt}")
    return {"jobRun": {**_head(run, steps, context), **_detail(run, steps, context.now)}}


def list_job_runs(params: Params, context: Context) -> Params:
    """Returns a page of an application's runs, newest first, without tags and tokens."""
    resources.require_application(params["applicationId"], context.settings)
    after, before = params.get("createdAtAfter"), params.get("createdAtBefore")
    states = frozenset(params.get("states", ()))
    search = Search(
        service=EMR,
        scope=params["applicationId"],
        mode=params.get("mode", ""),
        states=states,
        accepted_after=after.timestamp() if after else None,
        accepted_before=before.timestamp() if before else None,
        before=position_after(params),
    )
    runs = context.records.search(search, context.now)
    # The database has only the state in which a run ends, so that other states are compared here.
    matching = (run for run in runs if not states or current(run.timeline(), context.now).state in states)
    selected, token = page(matching, params.get("maxResults", PAGE), lambda run: run.seq)
    return {"jobRuns": [_summary(run, context) for run in selected], "nextToken": token}


def list_job_run_attempts(params: Params, context: Context) -> Params:
    """Returns a page of a run's attempts, oldest first."""
    run = _require_run(params, context)
    steps = steps_until(run.timeline(), context.now)
    attempts, token = page_of(range(1, steps[-1].attempt + 1), params.get("maxResults", PAGE), params)
    return {"jobRunAttempts": [_attempt(run, steps, attempt, context) for attempt in attempts], "nextToken": token}


def _summary(run: Run, context: Context) -> Params:
    head = _head(run, steps_until(run.timeline(), context.now), context)
    return {"id": head.pop("jobRunId"), "name": run.request.get("name"), "type": "Spark", **head}


def _attempt(run: Run, steps: Sequence[Step], attempt: int, context: Context) -> Params:
    head = _head(run, [step for step in steps if step.attempt <= attempt], context)
    created, updated = head.pop("attemptCreatedAt"), head.pop("attemptUpdatedAt")
    times = {"jobCreatedAt": run.facts.accepted_at, "createdAt": created, "updatedAt": updated}
    if attempt < steps[-1].attempt:  # a later attempt has started, so this attempt failed at that time
        times["updatedAt"] = next(step.at for step in steps if step.attempt > attempt)
        head["state"] = "FAILED"
    return {"id": head.pop("jobRunId"), "name": run.request.get("name"), "type": "Spark", **head, **times}


def _head(run: Run, steps: Sequence[Step], context: Context) -> Params:
    """Returns the fields that are in the replies of both GetJobRun and the listings."""
    step = steps[-1]
    return {
        "applicationId": run.scope,
        "jobRunId": run.id,
        "arn": resources.job_run_arn(context.settings, run.scope, run.id),
        "createdBy": resources.caller_arn(context.settings),
        "createdAt": run.facts.accepted_at,
        "updatedAt": step.at,
        "executionRole": run.request["executionRoleArn"],
        "state": step.state,
        "stateDetails": step.detail if context.now - step.at >= run.facts.report.late_seconds else "",
        "releaseLabel": context.settings.release_label,
        "mode": run.mode,
        "attempt": step.attempt,
        "attemptCreatedAt": next(other.at for other in steps if other.attempt == step.attempt),
        "attemptUpdatedAt": step.at,
    }


def _detail(run: Run, steps: Sequence[Step], now: float) -> Params:
    """Returns the fields that only GetJobRun returns."""
    started = next((step.at for step in steps if step.state == "RUNNING"), None)
    ended = steps[-1].at if steps[-1].state in EMR_ENDED else None
    return {
        **{name: run.request[name] for name in _COPIED if name in run.request},
        "tags": run.tags,
        "executionTimeoutMinutes": _timeout_minutes(run.request),
        "startedAt": started,
        **_utilization(started, ended, late=ended is not None and now - ended < run.facts.report.late_seconds),
    }


def _utilization(started: float | None, ended: float | None, *, late: bool) -> Params:
    if ended is None:
        return {}
    if late:
        return {"endedAt": ended}
    seconds = ended - started if started is not None else 0.0
    billed = max(seconds, _MIN_BILLED_SECONDS) if started is not None else 0.0
    return {
        "endedAt": ended,
        "queuedDurationMilliseconds": 0,
        "totalExecutionDurationSeconds": round(seconds),
        "totalResourceUtilization": {unit: round(rate * seconds / 3600, 3) for unit, rate in _WORKERS.items()},
        "billedResourceUtilization": {unit: round(rate * billed / 3600, 3) for unit, rate in _WORKERS.items()},
    }
