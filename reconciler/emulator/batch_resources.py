"""AWS Batch: job queues and definitions. They exist as soon as somebody names them, unless the settings list them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.emulator import arns
from reconciler.emulator.operations import Context, Params
from reconciler.emulator.paging import page, position
from reconciler.emulator.records import BATCH
from reconciler.emulator.settings import Settings
from reconciler.emulator.wire import Invalid, Missing

MAX_PAGE = 100
"""Queues or definitions in one reply; from the API reference."""


def require_known(queue: str, definition: str, settings: Settings) -> None:
    """Raises `Missing` for a queue or a definition that is not among the known ones."""
    if settings.queues is not None and arns.name(queue) not in settings.queues:
        raise Missing(f"Job queue {queue} does not exist")
    if settings.definitions is not None and not _is_known(arns.name(definition), settings.definitions):
        raise Missing(f"Job definition {definition} does not exist")


def _is_known(name: str, known: Sequence[str]) -> bool:
    """A definition listed without a revision has every revision; asked for without one, the newest is meant."""
    plain = {each.partition(":")[0] for each in known}
    return name in known or (name in plain if ":" not in name else name.partition(":")[0] in known)


def describe_job_queues(params: Params, context: Context) -> Params:
    """The queues asked for, or all known ones: enabled, valid, of one imaginary compute environment."""
    asked = [arns.name(given) for given in params.get("jobQueues", [])]
    known = context.settings.queues
    if known is not None:
        names = [name for name in (asked or known) if name in known]
    else:
        names = asked or context.records.named(BATCH, "place")
    found, token = _paged(names, params)
    return {"jobQueues": [_queue(name, context) for name in found], "nextToken": token}


def _queue(name: str, context: Context) -> Params:
    arn = arns.queue(context.settings, name)
    environment = arn.replace(":job-queue/", ":compute-environment/")
    return {
        "jobQueueName": name,
        "jobQueueArn": arn,
        "state": "ENABLED",
        "status": "VALID",
        "statusReason": "JobQueue Healthy",
        "priority": 1,
        "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": environment}],
        "tags": context.records.tags(arn),
    }


def describe_job_definitions(params: Params, context: Context) -> Params:
    """The definitions asked for by name, ``name:revision`` or ARN, or all known ones: active, one container."""
    asked = [arns.name(given) for given in params.get("jobDefinitions", [])]
    if "jobDefinitionName" in params:
        asked.append(params["jobDefinitionName"])
    known = context.settings.definitions
    if known is not None:
        names = [name for name in (asked or known) if _is_known(name, known)]
    else:
        names = asked or context.records.named(BATCH, "definition")
    if params.get("status", "ACTIVE") != "ACTIVE":
        names = []
    found, token = _paged(names, params)
    return {"jobDefinitions": [_definition(name, context) for name in found], "nextToken": token}


def _definition(name: str, context: Context) -> Params:
    arn = arns.definition(context.settings, name)
    plain, _, revision = arns.name(arn).partition(":")
    if not revision.isdecimal():
        raise Invalid("jobDefinitions: a revision is a number")
    return {
        "jobDefinitionName": plain,
        "jobDefinitionArn": arn,
        "revision": int(revision),
        "status": "ACTIVE",
        "type": "container",
        "containerOrchestrationType": "ECS",
        "containerProperties": {"image": "emulator/no-image", "command": [], "resourceRequirements": []},
        "tags": context.records.tags(arn),
    }


def _paged(names: Iterable[str], params: Params) -> tuple[list[str], str | None]:
    after = position(params.get("nextToken")) or 0
    numbered = [(number, name) for number, name in enumerate(names, 1) if number > after]
    size = params.get("maxResults", MAX_PAGE)
    if not 1 <= size <= MAX_PAGE:
        raise Invalid(f"maxResults: must be between 1 and {MAX_PAGE}")
    found, token = page(numbered, size, lambda item: item[0])
    return [name for _, name in found], token
