"""Overrides of a pod, for jobs on Amazon EKS."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reconciler.model.hints import NAMESPACE
from reconciler.model.request import Shape, optional, required

CONTAINERS_MAX = 10  # of a job definition's pod: RegisterJobDefinition, EksPodProperties

Quantity = Annotated[str, Field(min_length=1, max_length=256)]


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
    """What replaces the job definition's settings of one container."""

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
        pattern=NAMESPACE,
    )


class EksPodPropertiesOverride(Shape):
    """What replaces the job definition's settings of the pod."""

    containers: list[EksContainerOverride] = optional("The containers.", max_length=CONTAINERS_MAX)
    initContainers: list[EksContainerOverride] = optional(
        "The containers that run to their end before the others.", max_length=CONTAINERS_MAX
    )
    metadata: EksMetadata = optional("Labels, annotations and namespace of the pod.")


class EksPropertiesOverride(Shape):
    """Overrides for a job on Amazon EKS."""

    podProperties: EksPodPropertiesOverride = optional("The pod.")
