"""Contains builders of Batch jobs, one for each part of a request that has its own rules."""

from __future__ import annotations

from typing import Any

from tests.model.requests import batch, container, pod

ID = "876da822-4198-45f2-a252-6cea32512ea8"
VALUE = ("containerOverrides", "resourceRequirements", 0, "value")
NODE = ("nodeOverrides", "nodePropertyOverrides", 0)
POD = ("eksPropertiesOverride", "podProperties")
RESOURCES = (*POD, "containers", 0, "resources")


def depends(*entries: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Returns a job with dependencies."""
    return batch(dependsOn=list(entries), **fields)


def array(size: int = 5) -> dict[str, Any]:
    """Returns the field that makes a job an array job."""
    return {"arrayProperties": {"size": size}}


def retry(*conditions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Returns a job with a retry strategy of three attempts."""
    return batch(retryStrategy={"attempts": 3, "evaluateOnExit": list(conditions), **fields})


def quantities(limits: dict[str, Any] | None = None, requests: dict[str, Any] | None = None) -> dict[str, Any]:
    """Returns a job with resources for one container of its pod."""
    sides = {"limits": limits, "requests": requests}
    return pod(containers=[{"resources": {side: amounts for side, amounts in sides.items() if amounts is not None}}])


def target(nodes_: Any, **fields: Any) -> dict[str, Any]:
    """Returns a job with one range of nodes."""
    return batch(nodeOverrides={"nodePropertyOverrides": [{"targetNodes": nodes_}], **fields})


def task(**fields: Any) -> dict[str, Any]:
    """Returns a job with one container of an ECS task."""
    return batch(ecsPropertiesOverride={"taskProperties": [{"containers": [fields]}]})


def without(field: str) -> dict[str, Any]:
    """Returns a job without one field."""
    return {key: value for key, value in batch().items() if key != field}


def fargate(vcpu: str, memory: str) -> dict[str, Any]:
    """Returns a job with vCPUs and memory."""
    return container(resourceRequirements=[{"type": "VCPU", "value": vcpu}, {"type": "MEMORY", "value": memory}])


CONSUMABLES = ("consumableResourcePropertiesOverride", "consumableResourceList", 0)
TASK = ("ecsPropertiesOverride", "taskProperties", 0, "containers")
ARN = "arn:aws:batch:us-east-1:123456789012"
