"""Overrides of a task with several containers, for jobs on Amazon ECS."""

from __future__ import annotations

from reconciler.model.batch.containers import KeyValuePair, ResourceRequirement, Word
from reconciler.model.request import Shape, optional

TASKS_MAX = 1
CONTAINERS_MAX = 10  # of a job definition's task: RegisterJobDefinition, EcsProperties


class TaskContainerOverrides(Shape):
    """What replaces the job definition's settings of one container."""

    command: list[Word] = optional("The command and its arguments; none of them empty.")
    environment: list[KeyValuePair] = optional("Environment variables, added to the definition's or replacing them.")
    name: str = optional("Which container of the task.")
    resourceRequirements: list[ResourceRequirement] = optional("GPU, MEMORY and VCPU the container gets.")


class TaskPropertiesOverride(Shape):
    """What replaces the job definition's settings of the task."""

    containers: list[TaskContainerOverrides] = optional("The containers.", max_length=CONTAINERS_MAX)


class EcsPropertiesOverride(Shape):
    """Overrides for a job on Amazon ECS."""

    taskProperties: list[TaskPropertiesOverride] = optional("The task: one element.", max_length=TASKS_MAX)
