"""SubmitJob as AWS Batch takes it, field for field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, WithJsonSchema

from reconciler.model.base import INTEGER_MAX, JSON, Shape, entries, optional, required, text
from reconciler.model.batch.overrides import (
    ConsumableResourceProperties,
    ContainerOverrides,
    EcsPropertiesOverride,
    EksPropertiesOverride,
    NodeOverrides,
)
from reconciler.model.kind import SpecReference
from reconciler.model.patterns import (
    DEPENDENCY_TYPE,
    EXIT_CODE_GLOB,
    JOB_DEFINITION,
    JOB_NAME,
    JOB_QUEUE,
    REASON_GLOB,
    RETRY_ACTION,
    SHARE_IDENTIFIER,
)
from reconciler.model.tags import BatchTags

DEPENDENCY_TYPES = ("N_TO_N", "SEQUENTIAL")
RETRY_ACTIONS = ("RETRY", "EXIT")
DEPENDENCIES_MAX = 20
CONDITIONS_MAX = 5
ATTEMPTS_MAX = 10
SHARE_IDENTIFIER_MAX = 255  # and an asterisk may follow
GLOB_MAX = 512

# AWS takes these words in any case of letters (that of an action by its documentation, that of a type as its own
# sample code shows), so the pattern decides; editors are offered them as AWS writes them.
DependencyType = Annotated[
    str, Field(pattern=DEPENDENCY_TYPE), WithJsonSchema({"type": "string", "enum": list(DEPENDENCY_TYPES)})
]
RetryAction = Annotated[
    str, Field(pattern=RETRY_ACTION), WithJsonSchema({"type": "string", "enum": list(RETRY_ACTIONS)})
]


class ArrayProperties(Shape):
    """Makes the job an array job."""

    size: int = optional("How many child jobs: 2 to 10,000.", ge=2, le=10_000)


class JobDependency(Shape):
    """A job that must end well first."""

    jobId: str = optional("The id of that job.", min_length=1)
    type: DependencyType = optional(
        "For array jobs. N_TO_N: each child waits for the child of the same index. SEQUENTIAL, without a job: each "
        "child waits for the one before it."
    )
    spec: str = optional("The name of another spec of this project, in place of jobId.", min_length=1)


class EvaluateOnExit(Shape):
    """What to do after a failed attempt that fits all its conditions."""

    onStatusReason: str = optional("Fits the status reason; may end with *.", max_length=GLOB_MAX, pattern=REASON_GLOB)
    onReason: str = optional("Fits the reason; may end with *.", max_length=GLOB_MAX, pattern=REASON_GLOB)
    onExitCode: str = optional("Fits the exit code; may end with *.", max_length=GLOB_MAX, pattern=EXIT_CODE_GLOB)
    action: RetryAction = required("RETRY or EXIT.")


class RetryStrategy(Shape):
    """How often Batch itself starts a failed job again."""

    attempts: int = optional("Attempts in all, the first included: 1 to 10.", ge=1, le=ATTEMPTS_MAX)
    evaluateOnExit: list[EvaluateOnExit] = optional(
        "What decides between another attempt and the end; up to 5. Needs attempts.", max_length=CONDITIONS_MAX
    )


class JobTimeout(Shape):
    """How long an attempt may take."""

    attemptDurationSeconds: int = optional(
        "Seconds after which an attempt is stopped: at least 60.", ge=60, le=INTEGER_MAX
    )


class SubmitJobRequest(Shape):
    """The input of SubmitJob: one job on an AWS Batch queue."""

    jobName: str = required("The job's name in AWS. Default: metadata.name.", pattern=JOB_NAME)
    jobQueue: str = required("The queue, by name or ARN.", pattern=JOB_QUEUE)
    shareIdentifier: str = optional(
        "The share the job counts for, on queues with a fair-share policy.",
        max_length=SHARE_IDENTIFIER_MAX + 1,
        pattern=SHARE_IDENTIFIER,
    )
    schedulingPriorityOverride: int = optional("Higher goes first, within its share: 0 to 9999.", ge=0, le=9999)
    arrayProperties: ArrayProperties = optional("Makes the job an array job.")
    dependsOn: list[JobDependency] = optional("Jobs that must end well first; up to 20.", max_length=DEPENDENCIES_MAX)
    jobDefinition: str = required(
        "The job definition, as name, name:revision or ARN. Without a revision: the newest active one.",
        pattern=JOB_DEFINITION,
    )
    parameters: dict[str, str] = optional("Values for the placeholders of the job definition, as strings.")
    containerOverrides: ContainerOverrides = optional("What replaces the definition's settings of the container.")
    nodeOverrides: NodeOverrides = optional("Overrides for a multi-node parallel job.")
    retryStrategy: RetryStrategy = optional("How often Batch itself starts a failed job again.")
    propagateTags: bool = optional("Whether the ECS task gets the job's tags.")
    timeout: JobTimeout = optional("How long an attempt may take.")
    tags: BatchTags = optional("Tags of the job: up to 48, since two more are the reconciler's own.")
    eksPropertiesOverride: EksPropertiesOverride = optional("Overrides for a job on Amazon EKS.")
    ecsPropertiesOverride: EcsPropertiesOverride = optional("Overrides for a job on Amazon ECS.")
    consumableResourcePropertiesOverride: ConsumableResourceProperties = optional(
        "The consumable resources the job takes, such as licences."
    )


def references(request: JSON) -> Sequence[SpecReference]:
    """The other specs that the request depends on, in order."""
    return [
        SpecReference(name, (*loc, "spec"), text(entry, "type") or "job")
        for loc, entry in entries(request, "dependsOn")
        if (name := text(entry, "spec")) is not None
    ]


def resolved(request: JSON, job_ids: Mapping[str, str]) -> JSON:
    """The request with the job ids of `job_ids`, by name of spec, where it names specs. The input stays as it is.

    Raises `KeyError` for a name without a job id.
    """
    if not references(request):
        return request
    return {**request, "dependsOn": [_with_job_id(entry, job_ids) for entry in request["dependsOn"]]}


def _with_job_id(entry: JSON, job_ids: Mapping[str, str]) -> JSON:
    """The entry with `jobId` in the place of `spec`, so that the order of its fields stays."""
    return dict(("jobId", job_ids[value]) if key == "spec" else (key, value) for key, value in entry.items())
