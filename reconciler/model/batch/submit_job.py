"""Models the input of SubmitJob of AWS Batch, field for field, including overrides."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field

from reconciler.model.base import INTEGER_MAX, JSON, LONG_MAX, Shape, entries, hinted, optional, required, text
from reconciler.model.kind import TAG_LIMIT, SpecReference

CONSUMABLES_MAX = 5  # Batch user guide, "Specify the resources needed to run a job"
TASKS_MAX = 1
ECS_CONTAINERS_MAX = 10  # of a job definition's task: RegisterJobDefinition, EcsProperties
POD_CONTAINERS_MAX = 10  # of a job definition's pod: RegisterJobDefinition, EksPodProperties
INSTANCE_TYPES_MAX = 1  # of a job definition's node range: RegisterJobDefinition, NodeRangeProperty

JOB_NAME = hinted(
    r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$",
    "a job name starts with a letter or digit, followed by up to 127 letters, digits, '-' and '_', "
    "such as orders-daily",
)
JOB_QUEUE = hinted(
    r"^([A-Za-z0-9_-]{1,128}|arn:aws[a-z-]*:batch:[^:\s]*:[^:\s]*:job-queue/\S+)$",
    "must be the name or the ARN of a job queue, such as high-priority",
)
JOB_DEFINITION = hinted(
    r"^([A-Za-z0-9_-]{1,128}|arn:aws[a-z-]*:batch:[^:\s]*:[^:\s]*:job-definition/[^:\s]+)(:[1-9][0-9]*)?$",
    "must be the name of a job definition, its name:revision or its ARN, such as etl or etl:7",
)
SHARE_IDENTIFIER = hinted(
    r"^[^\s*]+\*?$", "a share identifier is letters and digits, with '*' only at the end, such as growth or growth*"
)
REASON_GLOB = hinted(
    r"^[A-Za-z0-9.:\s]*\*?$",
    "a reason is letters, digits, '.', ':' and white space, with '*' only at the end, such as \"Host EC2*\"",
)
EXIT_CODE_GLOB = hinted(r"^[0-9]*\*?$", "an exit code is digits, with '*' only at the end, such as 137 or 1*")
NODE_RANGE = hinted(
    r"^([0-9]+|[0-9]*:([0-9]+|n)?|[0-9]+,([0-9]+|n))$", 'must be a range of node indexes, such as "0:3", ":3" or "4:"'
)
NAMESPACE = hinted(
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    "a namespace is lower-case letters, digits and '-', with a letter or digit at both ends",
)

Word = Annotated[str, Field(min_length=1)]
Quantity = Annotated[str, Field(min_length=1, max_length=256)]
Tags = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=128)], Annotated[str, Field(max_length=256)]],
    Field(min_length=1),
    *TAG_LIMIT,
]


class KeyValuePair(Shape):
    """An environment variable."""

    name: str = optional("The variable's name; names that start with AWS_BATCH are Batch's own.")
    value: str = optional("The variable's value.")


class ResourceRequirement(Shape):
    """The amount of one resource for the container."""

    value: str = required(
        'How much, as a string: GPU a whole number, MEMORY whole MiB such as "2048", VCPU a whole number, or "0.25" or '
        '"0.5" on Fargate.'
    )
    type: Literal["GPU", "VCPU", "MEMORY"] = required("Which resource.")


class ContainerOverrides(Shape):
    """Overrides the job definition's settings of the container."""

    vcpus: int = optional("Deprecated: use resourceRequirements.", ge=0, le=INTEGER_MAX, deprecated=True)
    memory: int = optional("Deprecated: use resourceRequirements.", ge=0, le=INTEGER_MAX, deprecated=True)
    command: list[Word] = optional("The command and its arguments; none of them empty.")
    instanceType: str = optional("The instance type, of multi-node parallel jobs only.")
    environment: list[KeyValuePair] = optional("Environment variables, added to the definition's or replacing them.")
    resourceRequirements: list[ResourceRequirement] = optional("The GPU, MEMORY and VCPU of the container.")


class ConsumableResourceRequirement(Shape):
    """The amount of one consumable resource that the job uses."""

    # SubmitJob's own model requires neither field; CloudFormation's reference of the structure requires both.

    consumableResource: Word = required("The resource, by name or ARN.")
    quantity: int = required("The quantity of the resource.", ge=0, le=LONG_MAX)


class ConsumableResourceProperties(Shape):
    """The consumable resources that the job uses, such as licences."""

    consumableResourceList: list[ConsumableResourceRequirement] = optional(
        "The resources, each with its quantity; up to 5.", max_length=CONSUMABLES_MAX
    )


class TaskContainerOverrides(Shape):
    """Overrides the job definition's settings of one container."""

    command: list[Word] = optional("The command and its arguments; none of them empty.")
    environment: list[KeyValuePair] = optional("Environment variables, added to the definition's or replacing them.")
    name: str = optional("The name of a container in the task.")
    resourceRequirements: list[ResourceRequirement] = optional("The GPU, MEMORY and VCPU of the container.")


class TaskPropertiesOverride(Shape):
    """Overrides the job definition's settings of the task."""

    containers: list[TaskContainerOverrides] = optional("The containers.", max_length=ECS_CONTAINERS_MAX)


class EcsPropertiesOverride(Shape):
    """Overrides for a job on Amazon ECS."""

    taskProperties: list[TaskPropertiesOverride] = optional("The task: one element.", max_length=TASKS_MAX)


class EksContainerEnvironmentVariable(Shape):
    """An environment variable."""

    name: str = required("The variable's name; names that start with AWS_BATCH are Batch's own.")
    value: str = optional("The variable's value.")


class EksContainerResourceRequirements(Shape):
    """The amounts of resources for the container."""

    limits: dict[str, Quantity] = optional(
        'The maximum: memory in whole MiB such as "1024Mi", cpu in steps of "0.25", nvidia.com/gpu a whole number.'
    )
    requests: dict[str, Quantity] = optional(
        "The minimum. If both are set, memory and nvidia.com/gpu must be the same as in limits."
    )


class EksContainerOverride(Shape):
    """Overrides the job definition's settings of one container."""

    name: str = optional("The name of a container in the pod.")
    image: str = optional("The image to start.")
    command: list[str] = optional("The entry point.")
    args: list[str] = optional("The arguments of the entry point.")
    env: list[EksContainerEnvironmentVariable] = optional(
        "Environment variables, added to the definition's or replacing them."
    )
    resources: EksContainerResourceRequirements = optional("The memory, cpu and nvidia.com/gpu of the container.")


class EksMetadata(Shape):
    """Labels, annotations and namespace of the pod."""

    labels: dict[str, str] = optional("Labels: letters, digits, '-' and '_', up to 63 characters.")
    annotations: dict[str, str] = optional("Annotations; values of up to 255 characters.")
    namespace: str = optional(
        "The namespace of the pod; neither default nor one that starts with kube.",
        min_length=1,
        max_length=63,
        pattern=NAMESPACE,
    )


class EksPodPropertiesOverride(Shape):
    """Overrides the job definition's settings of the pod."""

    containers: list[EksContainerOverride] = optional("The containers.", max_length=POD_CONTAINERS_MAX)
    initContainers: list[EksContainerOverride] = optional(
        "Containers that must end before the other containers start.", max_length=POD_CONTAINERS_MAX
    )
    metadata: EksMetadata = optional("Labels, annotations and namespace of the pod.")


class EksPropertiesOverride(Shape):
    """Overrides for a job on Amazon EKS."""

    podProperties: EksPodPropertiesOverride = optional("The pod.")


class NodePropertyOverride(Shape):
    """Overrides the job definition's settings of a range of nodes."""

    targetNodes: str = required(
        'The nodes, by index: "0:3" is 0 to 3, ":3" the same, "4:" from 4 to the last.',
        pattern=NODE_RANGE,
    )
    containerOverrides: ContainerOverrides = optional("The container of each node.")
    ecsPropertiesOverride: EcsPropertiesOverride = optional("The task of each node, on Amazon ECS.")
    instanceTypes: list[str] = optional("The instance type: one element.", max_length=INSTANCE_TYPES_MAX)
    eksPropertiesOverride: EksPropertiesOverride = optional("The pod of each node, on Amazon EKS.")
    consumableResourcePropertiesOverride: ConsumableResourceProperties = optional(
        "The consumable resources of each node."
    )


class NodeOverrides(Shape):
    """Overrides for a multi-node parallel job."""

    numNodes: int = optional("The number of nodes, including the main node.", ge=1, le=INTEGER_MAX)
    nodePropertyOverrides: list[NodePropertyOverride] = optional("Overrides for ranges of nodes.")


DEPENDENCIES_MAX = 20
CONDITIONS_MAX = 5
ATTEMPTS_MAX = 10
SHARE_IDENTIFIER_MAX = 255  # an asterisk may follow
GLOB_MAX = 512


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) and value.isascii() else value


# AWS accepts these words in upper and lower case: actions according to its documentation, types according to its own
# sample code.
DependencyType = Annotated[Literal["N_TO_N", "SEQUENTIAL"], BeforeValidator(_upper)]
RetryAction = Annotated[Literal["RETRY", "EXIT"], BeforeValidator(_upper)]
DEPENDENCY_TYPES: tuple[str, ...] = get_args(get_args(DependencyType)[0])
RETRY_ACTIONS: tuple[str, ...] = get_args(get_args(RetryAction)[0])


class ArrayProperties(Shape):
    """Makes the job an array job."""

    size: int = optional("The number of child jobs: 2 to 10,000.", ge=2, le=10_000)


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
        "Matches the status reason; may end with *.", max_length=GLOB_MAX, pattern=REASON_GLOB
    )
    onReason: str = optional("Matches the reason; may end with *.", max_length=GLOB_MAX, pattern=REASON_GLOB)
    onExitCode: str = optional("Matches the exit code; may end with *.", max_length=GLOB_MAX, pattern=EXIT_CODE_GLOB)
    action: RetryAction = required("RETRY or EXIT.")


class RetryStrategy(Shape):
    """How often Batch itself retries a failed job."""

    attempts: int = optional("The total number of attempts, including the first: 1 to 10.", ge=1, le=ATTEMPTS_MAX)
    evaluateOnExit: list[EvaluateOnExit] = optional(
        "Conditions that decide whether another attempt is made; up to 5. Requires attempts.", max_length=CONDITIONS_MAX
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
        "The share of the job, on queues with a fair-share policy.",
        max_length=SHARE_IDENTIFIER_MAX + 1,
        pattern=SHARE_IDENTIFIER,
    )
    schedulingPriorityOverride: int = optional(
        "The priority within its share: 0 to 9999. Jobs with a higher priority run first.", ge=0, le=9999
    )
    arrayProperties: ArrayProperties = optional("Makes the job an array job.")
    dependsOn: list[JobDependency] = optional("Jobs that must succeed first; up to 20.", max_length=DEPENDENCIES_MAX)
    jobDefinition: str = required(
        "The job definition, as name, name:revision or ARN. Without a revision: the newest active one.",
        pattern=JOB_DEFINITION,
    )
    parameters: dict[str, str] = optional("Values for the placeholders of the job definition, as strings.")
    containerOverrides: ContainerOverrides = optional("Overrides the definition's settings of the container.")
    nodeOverrides: NodeOverrides = optional("Overrides for a multi-node parallel job.")
    retryStrategy: RetryStrategy = optional("How often Batch itself retries a failed job.")
    propagateTags: bool = optional("Whether the ECS task gets the job's tags.")
    timeout: JobTimeout = optional("How long an attempt may take.")
    tags: Tags = optional("Tags of the job: up to 48, because the reconciler adds two of its own.")
    eksPropertiesOverride: EksPropertiesOverride = optional("Overrides for a job on Amazon EKS.")
    ecsPropertiesOverride: EcsPropertiesOverride = optional("Overrides for a job on Amazon ECS.")
    consumableResourcePropertiesOverride: ConsumableResourceProperties = optional(
        "The consumable resources that the job uses, such as licences."
    )


def references(request: JSON) -> Sequence[SpecReference]:
    """Returns the references to other specs in `dependsOn`, in order."""
    return [
        SpecReference(name, (*loc, "spec"), text(entry, "type") or "job")
        for loc, entry in entries(request, "dependsOn")
        if (name := text(entry, "spec")) is not None
    ]


def resolved(request: JSON, job_ids: Mapping[str, str]) -> JSON:
    """Returns the request with the job id from `job_ids` in place of each name of a spec. The input is not changed.

    Raises `KeyError` for a name without a job id.
    """
    if not references(request):
        return request
    return {**request, "dependsOn": [_with_job_id(entry, job_ids) for entry in request["dependsOn"]]}


def _with_job_id(entry: JSON, job_ids: Mapping[str, str]) -> JSON:
    """Returns the entry with `jobId` instead of `spec`, in the same order of fields."""
    return dict(("jobId", job_ids[value]) if key == "spec" else (key, value) for key, value in entry.items())
