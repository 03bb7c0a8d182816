"""Checks in AWS Batch whether job queues, their compute environments and job definitions exist and are compatible with
the requests."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from reconciler.aws.batch_fit import (
    FARGATE_QUOTAS,
    definition_fits,
    environments_fit,
    most_vcpus,
    network,
    queue_fits,
    unasked,
    usable,
)
from reconciler.aws.clients import Aws
from reconciler.aws.errors import translate_errors
from reconciler.aws.verify import INVENTED, Said, SharedResources, is_invented
from reconciler.core.ports import Answer, Verdict
from reconciler.model.base import JSON, Loc, part
from reconciler.model.batch.definitions import LOG_GROUP, log_groups, roles, service_accounts, vcpus
from reconciler.model.batch.required_resources import DEFINITION, QUEUE, needs
from reconciler.model.required_resources import Resource

SERVICE, PRINCIPAL = "batch", "ecs-tasks.amazonaws.com"
NO_CALL = "service account {} of Kubernetes: not asked, because no call of AWS describes it"


class BatchVerifier:
    """Checks the requests of jobs. Reads each queue, with its compute environments, and each job definition once."""

    def __init__(self, aws: Aws) -> None:
        self._aws, self._shared = aws, SharedResources(aws, SERVICE, PRINCIPAL)
        self._queues: dict[str, tuple[Said, JSON]] = {}
        self._environments: dict[str, tuple[Said, list[Mapping[str, Any]]]] = {}
        self._definitions: dict[str, tuple[Said, JSON]] = {}

    def verify(self, requests: Mapping[str, JSON]) -> Iterator[Verdict]:
        """Yields the verdicts on each request, and on all requests of each queue together."""
        for name, request in requests.items():
            for need in needs(request):
                if need.type in (QUEUE, DEFINITION):
                    ask = self._queue if need.type == QUEUE else self._definition
                    yield Verdict(name, need.loc, *ask(need.name)[0])
            for loc, said in self._fit(request):
                yield Verdict(name, loc, *said)
        for queue in dict.fromkeys(str(request.get("jobQueue", "")) for request in requests.values()):
            mine = {name: request for name, request in requests.items() if request.get("jobQueue") == queue}
            for said in self._together(queue, mine):
                yield Verdict(next(iter(mine)), ("jobQueue",), *said)

    def _fit(self, request: JSON) -> Iterator[tuple[Loc, Said]]:
        """Yields the answers about what the job definition names, and about what does not fit it or the queue."""
        _, definition = self._definition(str(request.get("jobDefinition", "")))
        if definition.get("invented"):
            yield ("jobDefinition",), INVENTED
            return
        for group in log_groups(definition) if definition else (LOG_GROUP,):
            yield ("jobDefinition",), self._shared.of(Resource.LOG_GROUP, group)
        for role in roles(definition):
            yield ("jobDefinition",), self._shared.of(Resource.ROLE, role)
        for account in service_accounts(definition):
            yield ("jobDefinition",), (Answer.NOT_ASKED, NO_CALL.format(account))
        yield from definition_fits(request, definition)
        _, queue = self._queue(str(request.get("jobQueue", "")))
        if queue:
            yield from queue_fits(request, queue)
            said, environments = self._environments_of(queue)
            if said[0] is Answer.OK:
                yield from environments_fit(request, definition, environments)

    def _together(self, name: str, requests: Mapping[str, JSON]) -> Iterator[Said]:
        """Yields the answers about the compute environments of a queue, and about quotas if all requests ran."""
        queue = self._queue(name)[1]
        if not queue.get("computeEnvironmentOrder"):
            return
        said, environments = self._environments_of(queue)
        if said[0] is not Answer.OK:
            yield said
            return
        for need in network(environments):
            yield self._shared.of(Resource(need.type), need.name)
        yield from unasked(environments)
        total: float = sum(
            vcpus(each, self._definition(str(each.get("jobDefinition", "")))[1]) * _children(each)
            for each in requests.values()
        )
        most = sum(map(most_vcpus, usable(environments)))
        if total > most > 0:
            what = f"the jobs on job queue {name} together need {total:g} vCPUs; the queue has up to {most:g} at once"
            yield Answer.WARNING, f"{what}, so some wait"
        for kind in dict.fromkeys(str(part(each, "computeResources").get("type")) for each in environments):
            if quota := FARGATE_QUOTAS.get(kind):
                ask = partial(self._ask_quota, quota, min(total, most))
                yield self._shared.asked(f"quota {quota}", "service-quotas", ask)

    def _ask_quota(self, quota: str, total: float, _name: str) -> Said:
        allowed = self._shared.quota("fargate", quota)
        if allowed is None:
            return Answer.NOT_ASKED, f"quota {quota}: not known, because AWS does not list it"
        answer = Answer.WARNING if total > allowed else Answer.OK
        return answer, f"the jobs use up to {total:g} of {allowed:g} vCPUs of quota {quota}"

    def _queue(self, name: str) -> tuple[Said, JSON]:
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

    def _definition(self, name: str) -> tuple[Said, JSON]:
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

    def _environments_of(self, queue: Mapping[str, Any]) -> tuple[Said, list[Mapping[str, Any]]]:
        name = str(queue.get("jobQueueName", queue.get("jobQueueArn")))
        if name not in self._environments:
            found: list[Mapping[str, Any]] = []
            what = f"compute environments of job queue {name}"
            said = self._shared.asked(what, SERVICE, partial(self._ask_environments, queue, found))
            self._environments[name] = said, found
        return self._environments[name]

    def _ask_environments(self, queue: Mapping[str, Any], found: list[Mapping[str, Any]], _name: str) -> Said:
        names = [str(each["computeEnvironment"]) for each in queue.get("computeEnvironmentOrder", ())]
        with translate_errors("DescribeComputeEnvironments"):
            call = self._aws.reader(SERVICE).describe_compute_environments
            found += call(computeEnvironments=names)["computeEnvironments"] if names else ()
        return Answer.OK, f"the compute environments {', '.join(names)} were read"


def _children(request: JSON) -> int:
    size = part(request, "arrayProperties").get("size")
    return size if isinstance(size, int) else 1
