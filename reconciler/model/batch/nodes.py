"""Overrides of the nodes of a multi-node parallel job."""

from __future__ import annotations

from reconciler.model.batch.containers import ConsumableResourceProperties, ContainerOverrides
from reconciler.model.batch.ecs import EcsPropertiesOverride
from reconciler.model.batch.eks import EksPropertiesOverride
from reconciler.model.hints import NODE_RANGE
from reconciler.model.request import INTEGER_MAX, Shape, optional, required

INSTANCE_TYPES_MAX = 1  # of a job definition's node range: RegisterJobDefinition, NodeRangeProperty


class NodePropertyOverride(Shape):
    """What replaces the job definition's settings of a range of nodes."""

    targetNodes: str = required(
        'The nodes, by index: "0:3" is 0 to 3, ":3" the same, "4:" from 4 to the last.', pattern=NODE_RANGE
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
    nodePropertyOverrides: list[NodePropertyOverride] = optional("What replaces the settings of ranges of nodes.")
