"""Checks in AWS Batch whether job queues and job definitions exist and are compatible with the requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from reconciler.aws.clients import Aws
from reconciler.aws.errors import translate_errors
from reconciler.aws.verify import INVENTED, Said, SharedResources, is_invented
from reconciler.core.ports import Answer, Verdict
from reconciler.model.base import JSON, entries, part
from reconciler.model.batch.needs import DEFINITION, QUEUE, needs

SERVICE, PRINCIPAL = "batch", "ecs-tasks.amazonaws.com"
OVERRIDES = {
    "containerOverrides": "containerProperties",
    "ecsPropertiesOverride": "ecsProperties",
    "eksPropertiesOverride": "eksProperties",
    "nodeOverrides": "nodeProperties",
}
"""Maps each kind of override to the part of the job definition that it requires."""


class BatchVerifier:
    """Checks the requests of jobs. Reads each queue and job definition once."""

    def __init__(self, aws: Aws) -> None:
        self._aws, self._shared = aws, SharedResources(aws, SERVICE, PRINCIPAL)
        self._queues: dict[str, tuple[Said, Mapping[str, Any]]] = {}
        self._definitions: dict[str, tuple[Said, Mapping[str, Any]]] = {}

    def verify(self, requests: Mapping[str, JSON]) -> Iterator[Verdict]:
        """Yields the verdicts on each request."""
        for name, request in requests.items():
            for need in needs(request):
                if need.type == QUEUE:
                    said = self._queue(need.name)[0]
                elif need.type == DEFINITION:
                    said = self._definition(need.name)[0]
                else:
                    said = self._shared.answer(need) or (Answer.NOT_ASKED, f"{need.type} {need.name}: not asked")
                yield Verdict(name, need.loc, *said)
            for loc, said in self._fit(request):
                yield Verdict(name, loc, *said)

    def _queue(self, name: str) -> tuple[Said, Mapping[str, Any]]:
        if name not in self._queues:
            found: dict[str, Any] = {}
            said = self._shared.asked(f"job queue {name}", SERVICE, partial(self._ask_queue, found), name)
            self._queues[name] = said, found
        return self._queues[name]

    def _ask_queue(self, found: dict[str, Any], name: str) -> Said:
        with translate_errors("DescribeJobQueues"):
            queues = self._aws.reader(SERVICE).describe_job_queues(jobQueues=[name])["jobQueues"]
        if not queues:
            return Answer.ERROR, f"job queue {name} does not exist"
        found |= queues[0]
        state, status = found.get("state"), found.get("status")
        if state != "ENABLED":
            return Answer.ERROR, f"job queue {name} is {state}: it accepts no jobs"
        if status != "VALID":
            return Answer.WARNING, f"job queue {name} is {status}: {found.get('statusReason') or 'see the console'}"
        return Answer.OK, f"job queue {name} is enabled"

    def _definition(self, name: str) -> tuple[Said, Mapping[str, Any]]:
        if name not in self._definitions:
            found: dict[str, Any] = {}
            said = self._shared.asked(f"job definition {name}", SERVICE, partial(self._ask_definition, found), name)
            self._definitions[name] = said, found
        return self._definitions[name]

    def _ask_definition(self, found: dict[str, Any], name: str) -> Said:
        pinned = name.rpartition(":")[2].isdecimal() and "/" not in name.rpartition(":")[2]
        short = name.rpartition("/")[2]
        query = {"jobDefinitions": [name]} if pinned else {"jobDefinitionName": short, "status": "ACTIVE"}
        with translate_errors("DescribeJobDefinitions"):
            reply = self._aws.reader(SERVICE).describe_job_definitions(**query)
            definitions = reply["jobDefinitions"]
        active = [each for each in definitions if each.get("status", "ACTIVE") == "ACTIVE"]
        if not active:
            why = "is not active" if definitions else "does not exist" if pinned else "has no active revision"
            return Answer.ERROR, f"job definition {name} {why}"
        newest = max(active, key=lambda each: int(each.get("revision", 0)))
        found |= {**newest, "invented": is_invented(reply)}
        if pinned:
            return Answer.OK, f"job definition {name} is active"
        return Answer.WARNING, f"job definition {name} moves: its newest revision is {newest.get('revision')}. Pin it"

    def _fit(self, request: JSON) -> Iterator[tuple[tuple[str, ...], Said]]:
        """Yields incompatibilities: overrides for another type of job, and more vCPUs than the queue can provide."""
        _, definition = self._definition(str(request.get("jobDefinition", "")))
        _, queue = self._queue(str(request.get("jobQueue", "")))
        if definition.get("invented"):
            yield ("jobDefinition",), INVENTED
            return
        for field, properties in OVERRIDES.items() if definition else ():
            if field in request and properties not in definition:
                message = f"job definition {request['jobDefinition']} has no {properties}, so {field} does not fit it"
                yield (field,), (Answer.ERROR, message)
        wanted = _vcpus(part(request, "containerOverrides")) or _vcpus(part(definition, "containerProperties"))
        if wanted and queue.get("computeEnvironmentOrder"):
            what = f"vCPUs of job queue {request['jobQueue']}"
            yield ("containerOverrides",), self._shared.asked(what, SERVICE, partial(self._ask_vcpus, queue, wanted))

    def _ask_vcpus(self, queue: Mapping[str, Any], wanted: float, _name: str) -> Said:
        names = [str(each["computeEnvironment"]) for each in queue["computeEnvironmentOrder"]]
        with translate_errors("DescribeComputeEnvironments"):
            call = self._aws.reader(SERVICE).describe_compute_environments
            environments = call(computeEnvironments=names)["computeEnvironments"]
        most = max((_most(each) for each in environments), default=0.0)
        if wanted > most:
            return (
                Answer.ERROR,
                f"the job needs {wanted:g} vCPUs; its queue has at most {most:g}, so it would not start",
            )
        return Answer.OK, f"the queue has up to {most:g} vCPUs"


def _most(environment: Mapping[str, Any]) -> float:
    resources = environment.get("computeResources")
    return float("inf") if not resources else float(resources.get("maxvCpus", 0))


def _vcpus(container: JSON) -> float:
    """Returns the vCPUs of a container, or 0 if it sets none."""
    for _, each in entries(container, "resourceRequirements"):
        if each.get("type") == "VCPU":
            return float(each.get("value", 0))
    return float(container.get("vcpus", 0))
