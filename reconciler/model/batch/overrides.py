"""What SubmitJob may override: containers, ECS tasks, EKS pods and nodes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.model import patterns
from reconciler.model.base import INTEGER_MAX, LONG_MAX, Shape, optional, required

CONSUMABLES_MAX = 5  # Batch user guide, "Specify the resources needed to run a job"
TASKS_MAX = 1
ECS_CONTAINERS_MAX = 10  # of a job definition's task: RegisterJobDefinition, EcsProperties
POD_CONTAINERS_MAX = 10  # of a job definition's pod: RegisterJobDefinition, EksPodProperties
INSTANCE_TYPES_MAX = 1  # of a job definition's node range: RegisterJobDefinition, NodeRangeProperty

Word = Annotated[str, Field(min_length=1)]
Quantity = Annotated[str, Field(min_length=1, max_length=256)]


class KeyValuePair(Shape):
    """An environment variable."""

    name: str = optional("The variable's name; names that start with AWS_BATCH are Batch's own.")
    value: str = optional("The variable's value.")


class ResourceRequirement(Shape):
    """How much of one resource the container gets."""

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
    resourceRequirements: list[ResourceRequirement] = optional("GPU, MEMORY and VCPU the container gets.")


class ConsumableResourceRequirement(Shape):
    """How much of one consumable resource the job uses."""

    # SubmitJob's own model requires neither field; CloudFormation's reference of the structure requires both.

    consumableResource: Word = required("The resource, by name or ARN.")
    quantity: int = required("How much of it.", ge=0, le=LONG_MAX)


class ConsumableResourceProperties(Shape):
    """The consumable resources that the job uses, such as licences."""

    consumableResourceList: list[ConsumableResourceRequirement] = optional(
        "The resources, each with its quantity; up to 5.", max_length=CONSUMABLES_MAX
    )


class TaskContainerOverrides(Shape):
    """Overrides the job definition's settings of one container."""

    command: list[Word] = optional("The command and its arguments; none of them empty.")
    environment: list[KeyValuePair] = optional("Environment variables, added to the definition's or replacing them.")
    name: str = optional("Which container of the task.")
    resourceRequirements: list[ResourceRequirement] = optional("GPU, MEMORY and VCPU the container gets.")


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
    """How much of each resource the container gets."""

    limits: dict[str, Quantity] = optional(
        'At most: memory in whole MiB such as "1024Mi", cpu in steps of "0.25", nvidia.com/gpu a whole number.'
    )
    requests: dict[str, Quantity] = optional("At least; memory and nvidia.com/gpu as in limits where both are given.")


class EksContainerOverride(Shape):
    """Overrides the job definition's settings of one container."""

    name: str = optional("Which container of the pod.")
    image: str = optional("The image to start.")
    command: list[str] = optional("The entry point.")
    args: list[str] = optional("The arguments of the entry point.")
    env: list[EksContainerEnvironmentVariable] = optional(
        "Environment variables, added to the definition's or replacing them."
    )
    resources: EksContainerResourceRequirements = optional("memory, cpu and nvidia.com/gpu the container gets.")


class EksMetadata(Shape):
    """Labels, annotations and namespace of the pod."""

    labels: dict[str, str] = optional("Labels: letters, digits, '-' and '_', up to 63 characters.")
    annotations: dict[str, str] = optional("Annotations; values of up to 255 characters.")
    namespace: str = optional(
        "The namespace of the pod; neither default nor one that starts with kube.",
        min_length=1,
        max_length=63,
        pattern=patterns.NAMESPACE,
    )


class EksPodPropertiesOverride(Shape):
    """Overrides the job definition's settings of the pod."""

    containers: list[EksContainerOverride] = optional("The containers.", max_length=POD_CONTAINERS_MAX)
    initContainers: list[EksContainerOverride] = optional(
        "The containers that run to their end before the others.", max_length=POD_CONTAINERS_MAX
    )
    metadata: EksMetadata = optional("Labels, annotations and namespace of the pod.")


class EksPropertiesOverride(Shape):
    """Overrides for a job on Amazon EKS."""

    podProperties: EksPodPropertiesOverride = optional("The pod.")


class NodePropertyOverride(Shape):
    """Overrides the job definition's settings of a range of nodes."""

    targetNodes: str = required(
        'The nodes, by index: "0:3" is 0 to 3, ":3" the same, "4:" from 4 to the last.', pattern=patterns.NODE_RANGE
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

    numNodes: int = optional("How many nodes, the main one included.", ge=1, le=INTEGER_MAX)
    nodePropertyOverrides: list[NodePropertyOverride] = optional("Overrides for ranges of nodes.")
