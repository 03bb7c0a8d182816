"""The input of SubmitJob as AWS Batch takes it, field for field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator

from reconciler.model import patterns
from reconciler.model.base import INTEGER_MAX, JSON, Shape, entries, optional, required, text
from reconciler.model.batch import overrides
from reconciler.model.kind import SpecReference
from reconciler.model.tags import BatchTags

DEPENDENCIES_MAX = 20
CONDITIONS_MAX = 5
ATTEMPTS_MAX = 10
SHARE_IDENTIFIER_MAX = 255  # and an asterisk may follow
GLOB_MAX = 512


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) and value.isascii() else value


# AWS accepts these words in upper and lower case: an action by its documentation, a type by its own sample code.
DependencyType = Annotated[Literal["N_TO_N", "SEQUENTIAL"], BeforeValidator(_upper)]
RetryAction = Annotated[Literal["RETRY", "EXIT"], BeforeValidator(_upper)]
DEPENDENCY_TYPES: tuple[str, ...] = get_args(get_args(DependencyType)[0])
RETRY_ACTIONS: tuple[str, ...] = get_args(get_args(RetryAction)[0])


class ArrayProperties(Shape):
    """Makes the job an array job."""

    size: int = optional("How many child jobs: 2 to 10,000.", ge=2, le=10_000)


class JobDependency(Shape):
    """A job that must succeed first."""

    jobId: str = optional("The id of that job.", min_length=1)
    type: DependencyType = optional(
        "For array jobs. N_TO_N: each child waits for the child of the same index. SEQUENTIAL, without a job: each "
        "child waits for the one before it."
    )
    spec: str = optional("The name of another spec of this project, in place of jobId.", min_length=1)


class EvaluateOnExit(Shape):
    """What to do after a failed attempt that matches all conditions."""

    onStatusReason: str = optional(
        "Matches the status reason; may end with *.", max_length=GLOB_MAX, pattern=patterns.REASON_GLOB
    )
    onReason: str = optional("Matches the reason; may end with *.", max_length=GLOB_MAX, pattern=patterns.REASON_GLOB)
    onExitCode: str = optional(
        "Matches the exit code; may end with *.", max_length=GLOB_MAX, pattern=patterns.EXIT_CODE_GLOB
    )
    action: RetryAction = required("RETRY or EXIT.")


class RetryStrategy(Shape):
    """How often Batch itself retries a failed job."""

    attempts: int = optional("Attempts in all, the first included: 1 to 10.", ge=1, le=ATTEMPTS_MAX)
    evaluateOnExit: list[EvaluateOnExit] = optional(
        "Conditions for another attempt or none; up to 5. Needs attempts.", max_length=CONDITIONS_MAX
    )


class JobTimeout(Shape):
    """How long an attempt may take."""

    attemptDurationSeconds: int = optional(
        "Seconds after which an attempt is stopped: at least 60.", ge=60, le=INTEGER_MAX
    )


class SubmitJobRequest(Shape):
    """The input of SubmitJob: one job on an AWS Batch queue."""

    jobName: str = required("The job's name in AWS. Default: metadata.name.", pattern=patterns.JOB_NAME)
    jobQueue: str = required("The queue, by name or ARN.", pattern=patterns.JOB_QUEUE)
    shareIdentifier: str = optional(
        "The share of the job, on queues with a fair-share policy.",
        max_length=SHARE_IDENTIFIER_MAX + 1,
        pattern=patterns.SHARE_IDENTIFIER,
    )
    schedulingPriorityOverride: int = optional("Higher runs first, within its share: 0 to 9999.", ge=0, le=9999)
    arrayProperties: ArrayProperties = optional("Makes the job an array job.")
    dependsOn: list[JobDependency] = optional("Jobs that must succeed first; up to 20.", max_length=DEPENDENCIES_MAX)
    jobDefinition: str = required(
        "The job definition, as name, name:revision or ARN. Without a revision: the newest active one.",
        pattern=patterns.JOB_DEFINITION,
    )
    parameters: dict[str, str] = optional("Values for the placeholders of the job definition, as strings.")
    containerOverrides: overrides.ContainerOverrides = optional("Overrides the definition's settings of the container.")
    nodeOverrides: overrides.NodeOverrides = optional("Overrides for a multi-node parallel job.")
    retryStrategy: RetryStrategy = optional("How often Batch itself retries a failed job.")
    propagateTags: bool = optional("Whether the ECS task gets the job's tags.")
    timeout: JobTimeout = optional("How long an attempt may take.")
    tags: BatchTags = optional("Tags of the job: up to 48, since two more are the reconciler's own.")
    eksPropertiesOverride: overrides.EksPropertiesOverride = optional("Overrides for a job on Amazon EKS.")
    ecsPropertiesOverride: overrides.EcsPropertiesOverride = optional("Overrides for a job on Amazon ECS.")
    consumableResourcePropertiesOverride: overrides.ConsumableResourceProperties = optional(
        "The consumable resources that the job uses, such as licences."
    )


def references(request: JSON) -> Sequence[SpecReference]:
    """The other specs that the request depends on, in order."""
    return [
        SpecReference(name, (*loc, "spec"), text(entry, "type") or "job")
        for loc, entry in entries(request, "dependsOn")
        if (name := text(entry, "spec")) is not None
    ]


def resolved(request: JSON, job_ids: Mapping[str, str]) -> JSON:
    """The request with job ids, by name of spec, instead of the names of specs. The input stays as it is.

    Raises `KeyError` for a name without a job id.
    """
    if not references(request):
        return request
    return {**request, "dependsOn": [_with_job_id(entry, job_ids) for entry in request["dependsOn"]]}


def _with_job_id(entry: JSON, job_ids: Mapping[str, str]) -> JSON:
    """The entry with `jobId` instead of `spec`, in the same order of fields."""
    return dict(("jobId", job_ids[value]) if key == "spec" else (key, value) for key, value in entry.items())
