"""Converts the reply of DescribeJobs to the input of SubmitJob (`reconciler.model.import_descriptions.Described`).

DescribeJobs returns the settings of the job definition merged with the overrides of the job. A setting with the same
value as in the definition is treated as part of the definition.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.model.base import JSON, part
from reconciler.model.batch.submit_job import (
    ContainerOverrides,
    EcsPropertiesOverride,
    EksPropertiesOverride,
    NodePropertyOverride,
    SubmitJobRequest,
)
from reconciler.model.import_descriptions import DescribedRequest, modelled, own_tags, short, unlike

ADDED_VARIABLES = ("AWS_BATCH", "MANAGED_BY_AWS")
"""The prefixes of environment variables that Batch adds to jobs, including jobs that Step Functions submitted."""

RENAMED = {
    "schedulingPriority": "schedulingPriorityOverride",
    "consumableResourceProperties": "consumableResourcePropertiesOverride",
    "container": "containerOverrides",
    "nodeProperties": "nodeOverrides",
    "eksProperties": "eksPropertiesOverride",
    "ecsProperties": "ecsPropertiesOverride",
}
"""The fields of a job that have another name in a request."""

UNREAD = "the job definition could not be read, so the request repeats settings of the job definition"


def runs_in(reply: JSON) -> Sequence[JSON]:
    """Returns the jobs in a reply of DescribeJobs. Children of arrays and nodes belong to their parents."""
    jobs = reply.get("jobs")
    jobs = [job for job in jobs if isinstance(job, dict)] if isinstance(jobs, list) else []
    return [job for job in jobs if "jobId" in job and "jobQueue" in job and not set(":#") & set(str(job["jobId"]))]


def run_id(description: JSON) -> str:
    """Returns the id of the job."""
    return str(description["jobId"])


def request_of(description: JSON, defaults: JSON | None) -> DescribedRequest:
    """Returns the input of SubmitJob for the described job. `defaults` is its job definition."""
    job, definition = description, defaults or {}
    arn = job.get("jobArn")
    parameters = unlike(job.get("parameters") or {}, definition.get("parameters") or {})
    fields = {
        "jobName": job.get("jobName"),
        "jobQueue": short(str(job.get("jobQueue", "")), arn),
        "jobDefinition": short(str(job.get("jobDefinition", "")), arn),
        "shareIdentifier": job.get("shareIdentifier"),
        "schedulingPriorityOverride": _changed(job, definition, "schedulingPriority"),
        "arrayProperties": {"size": part(job, "arrayProperties").get("size")},
        "dependsOn": job.get("dependsOn"),
        "parameters": parameters,
        "retryStrategy": _retry_strategy(job, definition),
        "timeout": _changed(job, definition, "timeout"),
        "propagateTags": _changed(job, definition, "propagateTags") or None,
        "tags": own_tags(job.get("tags")),
        "consumableResourcePropertiesOverride": _changed(job, definition, "consumableResourceProperties"),
        "containerOverrides": _container(part(job, "container"), part(definition, "containerProperties")),
        "nodeOverrides": _nodes(part(job, "nodeProperties"), part(definition, "nodeProperties")),
        "eksPropertiesOverride": _pod(part(job, "eksProperties"), part(definition, "eksProperties")),
        "ecsPropertiesOverride": _tasks(part(job, "ecsProperties"), part(definition, "ecsProperties")),
    }
    request = modelled(fields, SubmitJobRequest)
    notes = [UNREAD] if defaults is None else []
    if request.get("dependsOn"):
        notes.append(
            "dependsOn refers to jobs by id, which AWS deletes: refer to their specs instead, such as {spec: NAME}"
        )
    return DescribedRequest(request, tuple(_left_out(job, request)), tuple(notes))


def _left_out(job: JSON, request: JSON) -> Iterator[str]:
    """Yields the fields and tags of a job that are not in the request."""
    for name in sorted(job):
        if name != "tags" and job[name] not in (None, [], {}, False) and RENAMED.get(name, name) not in request:
            yield name
    yield from sorted(f"tags.{key}" for key in job.get("tags") or {} if key not in request.get("tags", {}))


def _changed(job: JSON, definition: JSON, name: str) -> Any:  # noqa: ANN401 - any JSON value
    """Returns the value of a field if it differs from the job definition's, or `None`."""
    return None if job.get(name) == definition.get(name) else job.get(name)


def _retry_strategy(job: JSON, definition: JSON) -> JSON:
    """Returns the retry strategy, unless it is the job definition's, or the default of one attempt."""
    mine, theirs = (_upper(part(each, "retryStrategy")) for each in (job, definition))
    return {} if mine in (theirs, {"attempts": 1}) else mine


def _upper(strategy: JSON) -> JSON:
    """Returns a retry strategy without empty lists. Batch returns the actions in lower case."""
    rules = [{**rule, "action": str(rule.get("action", "")).upper()} for rule in strategy.get("evaluateOnExit") or ()]
    attempts = {"attempts": strategy["attempts"]} if strategy.get("attempts") else {}
    return {**attempts, **({"evaluateOnExit": rules} if rules else {})}


def _container(container: JSON, default: JSON, model: type = ContainerOverrides) -> JSON:
    """Returns the overrides of one container."""
    mine = modelled(container, model)
    resources = "resourceRequirements"
    measured = {str(each.get("type")) for holder in (mine, default) for each in holder.get(resources) or ()}
    overrides = {
        **unlike(mine, default),
        "environment": _missing(_variables(mine.get("environment")), default.get("environment")),
        resources: _missing(mine.get(resources) or (), default.get(resources)),
        "vcpus": None if "VCPU" in measured else _changed(mine, default, "vcpus") or None,
        "memory": None if "MEMORY" in measured else _changed(mine, default, "memory") or None,
        "instanceType": None,  # the type that Batch has chosen
    }
    left: JSON = modelled(overrides, model)
    return left


def _variables(pairs: Iterable[JSON] | None) -> list[JSON]:
    return [pair for pair in pairs or () if not str(pair.get("name", "")).startswith(ADDED_VARIABLES)]


def _missing(entries: Iterable[JSON], default: Sequence[JSON] | None) -> list[JSON]:
    """Returns the entries that the job definition does not have."""
    return [entry for entry in entries if entry not in (default or ())]


def _nodes(nodes: JSON, default: JSON) -> JSON:
    """Returns the overrides of a multi-node job."""
    ranges = {str(each.get("targetNodes")): each for each in default.get("nodeRangeProperties") or ()}
    overrides = []
    for each in nodes.get("nodeRangeProperties") or ():
        theirs = ranges.get(str(each.get("targetNodes")), {})
        override = {
            "targetNodes": each.get("targetNodes"),
            "containerOverrides": _container(part(each, "container"), part(theirs, "container")),
            "instanceTypes": _changed(each, theirs, "instanceTypes"),
            "eksPropertiesOverride": _pod(part(each, "eksProperties"), part(theirs, "eksProperties")),
            "ecsPropertiesOverride": _tasks(part(each, "ecsProperties"), part(theirs, "ecsProperties")),
            "consumableResourcePropertiesOverride": _changed(each, theirs, "consumableResourceProperties"),
        }
        overrides.append(modelled(override, NodePropertyOverride))
    overrides = [each for each in overrides if len(each) > 1]
    return {"numNodes": _changed(nodes, default, "numNodes"), "nodePropertyOverrides": overrides}


def _pod(pod: JSON, default: JSON) -> JSON:
    """Returns the overrides of a pod on EKS."""
    mine, theirs = part(modelled(pod, EksPropertiesOverride), "podProperties"), part(default, "podProperties")
    overrides = {
        "containers": _by_name(mine.get("containers"), theirs.get("containers")),
        "initContainers": _by_name(mine.get("initContainers"), theirs.get("initContainers")),
        "metadata": unlike(part(mine, "metadata"), part(theirs, "metadata")),
    }
    left: JSON = modelled({"podProperties": overrides}, EksPropertiesOverride)
    return left


def _tasks(tasks: JSON, default: JSON) -> JSON:
    """Returns the overrides of the task on ECS."""
    mine = modelled(tasks, EcsPropertiesOverride).get("taskProperties") or ()
    theirs = default.get("taskProperties") or [{}] * len(mine)
    overrides = [
        {"containers": _by_name(one.get("containers"), other.get("containers"))}
        for one, other in zip(mine, theirs, strict=False)
    ]
    return {"taskProperties": [each for each in overrides if each["containers"]]}


def _by_name(containers: Sequence[JSON] | None, defaults: Sequence[JSON] | None) -> list[JSON]:
    """Returns the overrides of several containers, each with its name. Containers without overrides are left out."""
    by_name: Mapping[Any, JSON] = {each.get("name"): each for each in defaults or ()}
    overrides = []
    for each in containers or ():
        default = by_name.get(each.get("name"), {})
        changed = {key: value for key, value in unlike(each, default).items() if key != "name"}
        for key in ("environment", "env"):
            if key in changed:
                changed[key] = _missing(_variables(changed[key]), default.get(key))
        changed = {key: value for key, value in changed.items() if value not in ([], {}, None)}
        name = {"name": each["name"]} if "name" in each else {}
        if changed:
            overrides.append({**name, **changed} if "name" in each else changed)
    return overrides


def target_request(target: JSON) -> JSON | None:
    """Returns the request in a target of an EventBridge rule: its Batch parameters, and the overrides in its input."""
    parameters = target.get("BatchParameters")
    if not isinstance(parameters, dict):
        return None
    try:
        given = json.loads(target.get("Input") or "{}")
    except (TypeError, ValueError):
        given = {}
    return {"JobQueue": target.get("Arn"), **parameters, **(given if isinstance(given, dict) else {})}
