"""EMR Serverless: StartJobRun and its idempotency, CancelJobRun, applications."""

from __future__ import annotations

import hashlib
import json
import secrets
import string

from reconciler.emulator import arns
from reconciler.emulator.emr_applications import get_application, list_applications, require_application
from reconciler.emulator.emr_rules import start_job_run_problems
from reconciler.emulator.emr_runs import (
    default_timeout_minutes,
    get_job_run,
    known_run,
    list_job_run_attempts,
    list_job_runs,
)
from reconciler.emulator.lifecycle import EMR_ENDED, Facts, Stop, current
from reconciler.emulator.operations import Context, Operation, Params, Service
from reconciler.emulator.records import EMR, Run
from reconciler.emulator.settings import Settings
from reconciler.emulator.tags import list_tags, tag, untag
from reconciler.emulator.wire import Conflict, Invalid

_ID_LETTERS = string.digits + string.ascii_lowercase
_MOST_ATTEMPTS = 1000
"""A streaming run may ask for more; a failing one is played out this far."""


def start_job_run(params: Params, context: Context) -> Params:
    """Accepts a run, or answers with the one that this client token has started already.

    Same token and body in the same application: the same run. Another body: `Conflict`, or as the settings say.
    """
    require_application(params["applicationId"], context)
    body = {name: value for name, value in params.items() if name != "clientToken"}
    fingerprint = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    run = _remembered(params, context)
    if run is None:
        run = _accepted(params, fingerprint, context)
        context.records.add(run)
    elif run.fingerprint != fingerprint and context.settings.token_mismatch == "conflict":
        raise Conflict("clientToken: was used for a request with other parameters")
    arn = arns.job_run(context.settings, run.place, run.id)
    return {"applicationId": run.place, "jobRunId": run.id, "arn": arn}


def _remembered(params: Params, context: Context) -> Run | None:
    """The run that the client token has started, while the token is remembered."""
    run = context.records.by_token(EMR, params["applicationId"], params["clientToken"])
    remembered = context.settings.token_seconds
    if run is not None and remembered is not None and context.now - run.facts.accepted_at > remembered:
        context.records.forget_token(run)
        return None
    return run


def _accepted(params: Params, fingerprint: str, context: Context) -> Run:
    return Run(
        service=EMR,
        id="00" + "".join(secrets.choice(_ID_LETTERS) for _ in range(14)),
        place=params["applicationId"],
        name=params.get("name", ""),
        request=params,
        facts=_facts(params, context.settings, context.now),
        tags=params.get("tags", {}),
        mode=params.get("mode", "BATCH"),
        token=params["clientToken"],
        fingerprint=fingerprint,
    )


def _facts(params: Params, settings: Settings, now: float) -> Facts:
    name = params.get("name", "")
    fails = settings.outcomes.get(name, settings.outcome) == "failed"
    streaming = params.get("mode") == "STREAMING"
    minutes = params.get("executionTimeoutMinutes", default_timeout_minutes(params))
    retry = params.get("retryPolicy", {})
    return Facts(
        accepted_at=now,
        start_seconds=settings.start_seconds,
        run_seconds=None if streaming and not fails else settings.durations.get(name, settings.run_seconds),
        stop_seconds=settings.stop_seconds,
        fails=fails,
        attempts=min(retry.get("maxAttempts", retry.get("maxFailedAttemptsPerHour", 1)), _MOST_ATTEMPTS),
        timeout_seconds=minutes * 60.0 if minutes else None,
    )


def cancel_job_run(params: Params, context: Context) -> Params:
    """Asks a run to stop. One that is stopping already stays so; one that has ended is `Invalid`, as AWS has it."""
    run = known_run(params, context)
    state = current(run.timeline(), context.now).state
    if state in EMR_ENDED:
        raise Invalid(f"Job run {run.id} is not in a cancellable state: it is {state}")
    if state != "CANCELLING":
        context.records.change(run, facts=run.facts.stopped(Stop("cancel", context.now)))
    return {"applicationId": run.place, "jobRunId": run.id}


SERVICE = Service(
    name=EMR,
    operations={
        "StartJobRun": Operation(start_job_run, writes=True, rules=start_job_run_problems),
        "GetJobRun": Operation(get_job_run),
        "ListJobRuns": Operation(list_job_runs),
        "ListJobRunAttempts": Operation(list_job_run_attempts),
        "CancelJobRun": Operation(cancel_job_run, writes=True),
        "GetApplication": Operation(get_application),
        "ListApplications": Operation(list_applications),
        "TagResource": Operation(tag, writes=True),
        "UntagResource": Operation(untag, writes=True),
        "ListTagsForResource": Operation(list_tags),
    },
    invalid=("ValidationException", 400),
    missing=("ResourceNotFoundException", 404),
    internal=("InternalServerException", 500),
    strict_enums=True,
)
