"""Overrides of one container, and what containers of several kinds share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.model.request import INTEGER_MAX, LONG_MAX, Shape, optional, required

CONSUMABLES_MAX = 5  # Batch user guide, "Specify the resources needed to run a job"

Word = Annotated[str, Field(min_length=1)]


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
    """What replaces the job definition's settings of the container."""

    vcpus: int = optional("Deprecated: use resourceRequirements.", ge=0, le=INTEGER_MAX, deprecated=True)
    memory: int = optional("Deprecated: use resourceRequirements.", ge=0, le=INTEGER_MAX, deprecated=True)
    command: list[Word] = optional("The command and its arguments; none of them empty.")
    instanceType: str = optional("The instance type, of multi-node parallel jobs only.")
    environment: list[KeyValuePair] = optional("Environment variables, added to the definition's or replacing them.")
    resourceRequirements: list[ResourceRequirement] = optional("GPU, MEMORY and VCPU the container gets.")


class ConsumableResourceRequirement(Shape):
    """How much of one consumable resource the job takes."""

    # SubmitJob's own model requires neither; CloudFormation's reference of the structure requires both.

    consumableResource: Word = required("The resource, by name or ARN.")
    quantity: int = required("How much of it.", ge=0, le=LONG_MAX)


class ConsumableResourceProperties(Shape):
    """The consumable resources the job takes, such as licences."""

    consumableResourceList: list[ConsumableResourceRequirement] = optional(
        "The resources, each with its quantity; up to 5.", max_length=CONSUMABLES_MAX
    )
