"""Contains resources and their ARNs: applications, job queues and job definitions. Also contains the tags of resources
and runs.

Applications, queues and definitions exist as soon as a request names them, unless the settings list them.
"""

from collections.abc import Sequence

from reconciler.emulator.operations import Context, Invalid, Missing, Params, page_of
from reconciler.emulator.records import BATCH, EMR, Run
from reconciler.emulator.settings import Settings

MAX_APPLICATIONS = 50
"""The maximum number of applications in one reply, from the EMR Serverless API reference."""
MAX_BATCH_RESOURCES = 100
"""The maximum number of queues or definitions in one reply, from the AWS Batch API reference."""
MAX_TAGS = 50
_CREATED_AT = 1704067200.0
"""The creation time of all applications, 2024-01-01, so that they are older than any run."""
_RUN_IN_ARN = {EMR: "/jobruns/", BATCH: ":job/"}


# --- ARNs -------------------------------------------------------------------------------------------------------------


def partition(region: str) -> str:
    """Returns the partition of a region: the part of an ARN after ``arn:``."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def caller_arn(settings: Settings) -> str:
    """Returns the ARN of the caller, which is the same for every call."""
    return f"arn:{partition(settings.region)}:iam::{settings.account}:user/emulator"


def application_arn(settings: Settings, application_id: str) -> str:
    """Returns the ARN of an EMR Serverless application."""
    return f"{_prefix(settings, EMR)}:/applications/{application_id}"


def job_run_arn(settings: Settings, application_id: str, run_id: str) -> str:
    """Returns the ARN of an EMR Serverless job run."""
    return f"{application_arn(settings, application_id)}/jobruns/{run_id}"


def job_arn(settings: Settings, job_id: str) -> str:
    """Returns the ARN of a Batch job, of a child (``id:3``) or of a node (``id#0``)."""
    return f"{_prefix(settings, BATCH)}:job/{job_id}"


def queue_arn(settings: Settings, queue: str) -> str:
    """Returns the ARN of a job queue, from its name or ARN."""
    return queue if queue.startswith("arn:") else f"{_prefix(settings, BATCH)}:job-queue/{queue}"


def definition_arn(settings: Settings, definition: str) -> str:
    """Returns the ARN of a job definition, from ``name``, ``name:revision`` or ARN. Without a revision, returns the ARN
    of revision 1, which is the newest."""
    revised = definition if ":" in short_name(definition) else f"{definition}:1"
    return revised if definition.startswith("arn:") else f"{_prefix(settings, BATCH)}:job-definition/{revised}"


def short_name(name: str) -> str:
    """Returns the last part of an ARN. Returns a name unchanged."""
    return name.rpartition("/")[2] if name.startswith("arn:") else name


def _prefix(settings: Settings, service: str) -> str:
    return f"arn:{partition(settings.region)}:{service}:{settings.region}:{settings.account}"


# --- EMR Serverless applications --------------------------------------------------------------------------------------


def require_application(application_id: str, settings: Settings) -> None:
    """Raises `Missing` if the settings list applications and `application_id` is not among them."""
    if settings.applications is not None and application_id not in settings.applications:
        raise Missing(f"Application {application_id} does not exist")


def get_application(params: Params, context: Context) -> Params:
    """Describes an application, which is always in the state STARTED and has the tags that were set."""
    require_application(params["applicationId"], context.settings)
    application = _application(params["applicationId"], context)
    return {"application": {**application, "tags": context.records.tags(application["arn"])}}


def list_applications(params: Params, context: Context) -> Params:
    """Returns a page of the applications in the settings. If the settings do not list applications, the page contains
    applications that runs have named.
    """
    listed = context.settings.applications
    names = context.records.scopes(EMR) if listed is None else sorted(listed)
    if params.get("states") and "STARTED" not in params["states"]:
        names = []
    selected, token = page_of(names, params.get("maxResults", MAX_APPLICATIONS), params)
    summaries = [_application(name, context) for name in selected]
    return {"applications": [{"id": each.pop("applicationId"), **each} for each in summaries], "nextToken": token}


def _application(application_id: str, context: Context) -> Params:
    return {
        "applicationId": application_id,
        "name": application_id,
        "arn": application_arn(context.settings, application_id),
        "releaseLabel": context.settings.release_label,
        "type": "Spark",
        "state": "STARTED",
        "createdAt": _CREATED_AT,
        "updatedAt": _CREATED_AT,
        "architecture": "X86_64",
    }


# --- AWS Batch job queues and definitions -----------------------------------------------------------------------------


def require_queue(queue: str, settings: Settings) -> None:
    """Raises `Missing` if the settings list queues and `queue` (a name or an ARN) is not among them."""
    if settings.queues is not None and short_name(queue) not in settings.queues:
        raise Missing(f"Job queue {queue} does not exist")


def require_definition(definition: str, settings: Settings) -> None:
    """Raises `Missing` if the settings contain a list of job definitions without `definition`, a name or an ARN."""
    if settings.definitions is not None and not _is_listed(short_name(definition), settings.definitions):
        raise Missing(f"Job definition {definition} does not exist")


def _is_listed(name: str, listed: Sequence[str]) -> bool:
    """Returns whether a definition exists. If a definition is listed without a revision, every revision exists. A
    `name` without a revision means the newest one."""
    unrevised = {each.partition(":")[0] for each in listed}
    return name in listed or (name in unrevised if ":" not in name else name.partition(":")[0] in listed)


def describe_job_queues(params: Params, context: Context) -> Params:
    """Describes the named queues, or all queues. Each queue is enabled and valid, and has one fictitious compute
    environment."""
    named = [short_name(queue) for queue in params.get("jobQueues", [])]
    listed = context.settings.queues
    if listed is not None:
        names = [name for name in (named or listed) if name in listed]
    else:
        names = named or context.records.scopes(BATCH)
    selected, token = _batch_page(names, params)
    return {"jobQueues": [_queue(name, context) for name in selected], "nextToken": token}


def _queue(name: str, context: Context) -> Params:
    arn = queue_arn(context.settings, name)
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
    """Describes the definitions given by name, ``name:revision`` or ARN, or all definitions. Each definition is active
    and has one container.
    """
    named = [short_name(definition) for definition in params.get("jobDefinitions", [])]
    if "jobDefinitionName" in params:
        named.append(params["jobDefinitionName"])
    listed = context.settings.definitions
    if listed is not None:
        names = [name for name in (named or listed) if _is_listed(name, listed)]
    else:
        names = named or context.records.definitions(BATCH)
    if params.get("status", "ACTIVE") != "ACTIVE":
        names = []
    selected, token = _batch_page(names, params)
    return {"jobDefinitions": [_definition(name, context) for name in selected], "nextToken": token}


def _definition(name: str, context: Context) -> Params:
    arn = definition_arn(context.settings, name)
    unrevised, _, revision = short_name(arn).partition(":")
    if not revision.isdecimal():
        raise Invalid("jobDefinitions: a revision must be a number")
    return {
        "jobDefinitionName": unrevised,
        "jobDefinitionArn": arn,
        "revision": int(revision),
        "status": "ACTIVE",
        "type": "container",
        "containerOrchestrationType": "ECS",
        "containerProperties": {"image": "emulator/no-image", "command": [], "resourceRequirements": []},
        "tags": context.records.tags(arn),
    }


def _batch_page(names: Sequence[str], params: Params) -> tuple[Sequence[str], str | None]:
    size = params.get("maxResults", MAX_BATCH_RESOURCES)
    if not 1 <= size <= MAX_BATCH_RESOURCES:
        raise Invalid(f"maxResults: must be between 1 and {MAX_BATCH_RESOURCES}")
    return page_of(names, size, params)


# --- tags -------------------------------------------------------------------------------------------------------------


def tag_resource(params: Params, context: Context) -> Params:
    """Adds tags, and overwrites existing tags with the same keys. Raises `Invalid` for more than 50 tags, and `Missing`
    for an unknown run."""
    tags = {**_tags(params["resourceArn"], context), **params["tags"]}
    if len(tags) > MAX_TAGS:
        raise Invalid(f"tags: a resource has at most {MAX_TAGS}")
    if any(key.lower().startswith("aws:") for key in tags):
        raise Invalid("tags: keys must not start with aws:")
    return _put_tags(params["resourceArn"], tags, context)


def untag_resource(params: Params, context: Context) -> Params:
    """Removes tags. Ignores keys that the resource does not have."""
    tags = {key: value for key, value in _tags(params["resourceArn"], context).items() if key not in params["tagKeys"]}
    return _put_tags(params["resourceArn"], tags, context)


def list_tags(params: Params, context: Context) -> Params:
    """Returns the tags of a resource."""
    return {"tags": _tags(params["resourceArn"], context)}


def _tags(arn: str, context: Context) -> dict[str, str]:
    run = _run_with_arn(arn, context)
    return run.tags if run else context.records.tags(arn)


def _put_tags(arn: str, tags: dict[str, str], context: Context) -> Params:
    run = _run_with_arn(arn, context)
    if run:
        context.records.change(run, tags=tags)
    else:
        context.records.put_tags(arn, tags)
    return {}


def _run_with_arn(arn: str, context: Context) -> Run | None:
    """Returns the run with an ARN, or `None` for other resources. Raises `Missing` for a run that does not exist."""
    for service, mark in _RUN_IN_ARN.items():
        if f":{service}:" in arn and mark in arn:
            run = context.records.run(arn.rpartition(mark)[2], context.now)
            if run is None or run.service != service:
                raise Missing(f"{arn} does not exist")
            return run
    return None
