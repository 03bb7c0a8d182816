"""Checks in AWS Batch whether job queues, their compute environments and job definitions exist and are compatible with
the requests."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from reconciler.aws.clients import Aws
from reconciler.aws.errors import translate_errors
from reconciler.aws.verify import INVENTED, NETWORK_UNASKED, Result, SharedResources, is_invented
from reconciler.core.ports import Answer, Verdict
from reconciler.model.base import JSON, Loc, integer, part
from reconciler.model.batch.definitions import LOG_GROUP, log_groups, roles, service_accounts, vcpus
from reconciler.model.batch.resources_and_permissions import DEFINITION, QUEUE, needs
from reconciler.model.resources_and_permissions import Need, Resource

OVERRIDES = {
    "containerOverrides": "containerProperties",
    "ecsPropertiesOverride": "ecsProperties",
    "eksPropertiesOverride": "eksProperties",
    "nodeOverrides": "nodeProperties",
}
"""Maps each kind of override to the part of the job definition that it requires."""

FARGATE_QUOTAS = {
    "FARGATE": "Fargate On-Demand vCPU resource count",
    "FARGATE_SPOT": "Fargate Spot vCPU resource count",
}
"""The account's quotas for vCPUs, by the type of compute environment."""

Environment = Mapping[str, Any]


def definition_fits(request: JSON, definition: JSON) -> Iterator[tuple[Loc, Result]]:
    """Yields the overrides that do not fit a job definition: those for another type of job, and arrays of multi-node
    jobs."""
    name = request.get("jobDefinition")
    for field, properties in OVERRIDES.items() if definition else ():
        if field in request and properties not in definition:
            yield (
                (field,),
                (Answer.ERROR, f"job definition {name} has no {properties}, so {field} does not fit it"),
            )
    if "arrayProperties" in request and part(definition, "nodeProperties"):
        message = f"job definition {name} is for multi-node jobs, which cannot be arrays"
        yield ("arrayProperties",), (Answer.ERROR, message)


def queue_fits(request: JSON, queue: JSON) -> Iterator[tuple[Loc, Result]]:
    """Yields the result of the check whether the queue and the job agree on fair-share scheduling. If they do not, AWS
    refuses the job."""
    name, is_shared = request.get("jobQueue"), bool(queue.get("schedulingPolicyArn"))
    if is_shared and not request.get("shareIdentifier"):
        message = f"job queue {name} has a scheduling policy, so AWS refuses jobs without shareIdentifier"
        yield ("jobQueue",), (Answer.ERROR, message)
    if not is_shared and request.get("shareIdentifier"):
        message = f"job queue {name} has no scheduling policy, so AWS refuses jobs with shareIdentifier"
        yield ("shareIdentifier",), (Answer.ERROR, message)


def environments_fit(
    request: JSON, definition: JSON, environments: Sequence[Environment]
) -> Iterator[tuple[Loc, Result]]:
    """Yields the results of the checks whether a job of this definition can start in one of the environments, and
    whether one has enough vCPUs."""
    queue = request.get("jobQueue")
    if not (able := usable(environments)):
        states = ", ".join(f"{_name(each)} is {_condition(each)}" for each in environments)
        yield ("jobQueue",), (Answer.ERROR, f"job queue {queue} cannot start jobs: {states or 'it has no environment'}")
        return
    for each in environments:
        if each not in able:
            message = f"compute environment {_name(each)} of job queue {queue} is {_condition(each)}"
            yield ("jobQueue",), (Answer.WARNING, message)
    if definition:
        fitting = [each for each in able if not _obstacle(definition, each)]
        if not fitting:
            yield ("jobDefinition",), (Answer.ERROR, _obstacle(definition, able[0]))
            return
        able = fitting
    yield from _vcpus_fit(request, definition, able)


def _vcpus_fit(request: JSON, definition: JSON, environments: Sequence[Environment]) -> Iterator[tuple[Loc, Result]]:
    wanted, most = vcpus(request, definition), max(map(most_vcpus, environments))
    if not wanted:
        return
    loc: Loc = next(((field,) for field in OVERRIDES if field in request), ("jobDefinition",))
    if wanted > most:
        message = f"the job needs {wanted:g} vCPUs; its queue has at most {most:g}, so it would not start"
        yield loc, (Answer.ERROR, message)
        return
    size = integer(part(request, "arrayProperties"), "size")
    at_once = sum(most_vcpus(each) // wanted for each in environments)
    children = f"; {min(at_once, size):g} of {size} children can run at once" if size else ""
    limit = "no limit of vCPUs that Batch sets" if most == float("inf") else f"up to {most:g} vCPUs"
    yield loc, (Answer.OK, f"the queue has {limit}{children}")


def _obstacle(definition: JSON, environment: Environment) -> str:
    """Returns why jobs of a definition cannot run in an environment, or an empty text."""
    name, resources = _name(environment), part(environment, "computeResources")
    is_fargate, needs_eks = str(resources.get("type")) in FARGATE_QUOTAS, "eksProperties" in definition
    nodes = part(definition, "nodeProperties").get("nodeRangeProperties") or ()
    needs_eks = needs_eks or any("eksProperties" in each for each in nodes)
    has_eks = bool(environment.get("eksConfiguration")) or environment.get("containerOrchestrationType") == "EKS"
    is_described = bool(resources) or has_eks
    if is_described and needs_eks != has_eks:
        kinds = ("on EKS", "on ECS") if needs_eks else ("on ECS", "on EKS")
        return f"the job definition runs {kinds[0]}, and compute environment {name} is {kinds[1]}"
    platforms = definition.get("platformCapabilities") or ()
    if "type" in resources and not has_eks:
        if nodes and is_fargate:
            return f"the job definition is for multi-node jobs, and compute environment {name} is on Fargate"
        wanted = "FARGATE" if is_fargate else "EC2"
        if (platforms or is_fargate) and wanted not in (platforms or ("EC2",)):
            runs = "/".join(platforms or ("EC2",))
            return f"the job definition runs on {runs}, and compute environment {name} has {resources['type']}"
    return ""


def network(environments: Sequence[Environment]) -> Iterator[Need]:
    """Yields the subnets and security groups of the environments."""
    for each in environments:
        resources = part(each, "computeResources")
        for kind, field in ((Resource.SUBNET, "subnets"), (Resource.SECURITY_GROUP, "securityGroupIds")):
            yield from (Need(kind, str(name), ("jobQueue",)) for name in resources.get(field) or ())


def unasked(environments: Sequence[Environment]) -> Iterator[Result]:
    """Yields the properties of the environments that are not checked."""
    for each in environments:
        resources = part(each, "computeResources")
        if resources.get("subnets"):
            yield Answer.NOT_ASKED, NETWORK_UNASKED.format(f"compute environment {_name(each)}")
        if resources.get("type") in {"EC2", "SPOT"}:
            why = "it depends on the instance types that Batch chooses"
            yield (
                Answer.NOT_ASKED,
                f"EC2's quota of vCPUs for compute environment {_name(each)}: not checked, because {why}",
            )


def usable(environments: Sequence[Environment]) -> list[Environment]:
    """Returns the environments that can start jobs."""
    return [
        each
        for each in environments
        if each.get("state", "ENABLED") == "ENABLED" and each.get("status", "VALID") in {"VALID", "UPDATING"}
    ]


def most_vcpus(environment: Environment) -> float:
    """Returns the maximum number of vCPUs of an environment. An unmanaged environment has no limit that Batch
    reports."""
    resources = environment.get("computeResources")
    return float(resources["maxvCpus"]) if resources and "maxvCpus" in resources else float("inf")


def _name(environment: Environment) -> str:
    return str(environment.get("computeEnvironmentName", "of the queue"))


def _condition(environment: Environment) -> str:
    state, status = environment.get("state", "ENABLED"), environment.get("status", "VALID")
    reason = f": {environment['statusReason']}" if environment.get("statusReason") else ""
    return "DISABLED" if state != "ENABLED" else f"{status}{reason}"


SERVICE, PRINCIPAL = "batch", "ecs-tasks.amazonaws.com"
NO_CALL = "service account {} of Kubernetes: not checked, because no call of AWS describes it"


class BatchVerifier:
    """Checks the requests of jobs. Reads each queue, with its compute environments, and each job definition once."""

    def __init__(self, aws: Aws) -> None:
        self._aws, self._shared = aws, SharedResources(aws, SERVICE, PRINCIPAL)

    def verify(self, requests: Mapping[str, JSON]) -> Iterator[Verdict]:
        """Yields the verdicts on each request, and on all requests of each queue together."""
        for name, request in requests.items():
            for need in needs(request):
                if need.type in (QUEUE, DEFINITION):
                    ask = self._queue if need.type == QUEUE else self._definition
                    yield Verdict(name, need.loc, *ask(need.name)[0])
            for loc, result in self._fit(request):
                yield Verdict(name, loc, *result)
        for queue in dict.fromkeys(str(request.get("jobQueue", "")) for request in requests.values()):
            mine = {name: request for name, request in requests.items() if request.get("jobQueue") == queue}
            for result in self._together(queue, mine):
                yield Verdict(next(iter(mine)), ("jobQueue",), *result)

    def _fit(self, request: JSON) -> Iterator[tuple[Loc, Result]]:
        """Yields the results for the resources in the job definition, and the conflicts with the definition or the
        queue."""
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
            result, environments = self._environments_of(queue)
            if result[0] is Answer.OK:
                yield from environments_fit(request, definition, environments)

    def _together(self, name: str, requests: Mapping[str, JSON]) -> Iterator[Result]:
        """Yields the results for the compute environments of a queue, and for the quotas if all requests ran at
        once."""
        queue = self._queue(name)[1]
        if not queue.get("computeEnvironmentOrder"):
            return
        result, environments = self._environments_of(queue)
        if result[0] is not Answer.OK:
            yield result
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

    def _ask_quota(self, quota: str, total: float, _name: str) -> Result:
        allowed = self._shared.quota("fargate", quota)
        if allowed is None:
            return Answer.NOT_ASKED, f"quota {quota}: not known, because AWS does not list it"
        answer = Answer.WARNING if total > allowed else Answer.OK
        return answer, f"the jobs use up to {total:g} of {allowed:g} vCPUs of quota {quota}"

    def _queue(self, name: str) -> tuple[Result, JSON]:
        return self._shared.described(QUEUE, name, self._ask_queue)

    def _ask_queue(self, name: str) -> tuple[Result, JSON]:
        with translate_errors("DescribeJobQueues"):
            queues = self._aws.reader(SERVICE).describe_job_queues(jobQueues=[name])["jobQueues"]
        if not queues:
            return (Answer.ERROR, f"job queue {name} does not exist"), {}
        queue = queues[0]
        state, status = queue.get("state"), queue.get("status")
        if state != "ENABLED":
            return (Answer.ERROR, f"job queue {name} is {state}: it accepts no jobs"), queue
        if status != "VALID":
            why = queue.get("statusReason") or "see the console"
            return (Answer.WARNING, f"job queue {name} is {status}: {why}"), queue
        return (Answer.OK, f"job queue {name} is enabled"), queue

    def _definition(self, name: str) -> tuple[Result, JSON]:
        return self._shared.described(DEFINITION, name, self._ask_definition)

    def _ask_definition(self, name: str) -> tuple[Result, JSON]:
        pinned = name.rpartition(":")[2].isdecimal() and "/" not in name.rpartition(":")[2]
        short = name.rpartition("/")[2]
        # Without a revision, SubmitJob uses the newest ACTIVE one.
        query = {"jobDefinitions": [name]} if pinned else {"jobDefinitionName": short, "status": "ACTIVE"}
        with translate_errors("DescribeJobDefinitions"):
            reply = self._aws.reader(SERVICE).describe_job_definitions(**query)
            definitions = reply["jobDefinitions"]
        active = [each for each in definitions if each.get("status", "ACTIVE") == "ACTIVE"]
        if not active:
            why = "is not active" if definitions else "does not exist" if pinned else "has no active revision"
            return (Answer.ERROR, f"job definition {name} {why}"), {}
        newest = max(active, key=lambda each: int(each.get("revision", 0)))
        definition = {**newest, "invented": is_invented(reply)}
        if pinned:
            return (Answer.OK, f"job definition {name} is active"), definition
        message = f"job definition {name} is not pinned: its newest revision is {newest.get('revision')}. Pin it"
        return (Answer.WARNING, message), definition

    def _environments_of(self, queue: Mapping[str, Any]) -> tuple[Result, list[Mapping[str, Any]]]:
        name, ask = str(queue.get("jobQueueName", queue.get("jobQueueArn"))), partial(self._ask_environments, queue)
        result, reply = self._shared.described("compute environments of job queue", name, ask)
        return result, reply.get("computeEnvironments", [])

    def _ask_environments(self, queue: Mapping[str, Any], _name: str) -> tuple[Result, JSON]:
        names = [str(each["computeEnvironment"]) for each in queue.get("computeEnvironmentOrder", ())]
        with translate_errors("DescribeComputeEnvironments"):
            call = self._aws.reader(SERVICE).describe_compute_environments
            environments = call(computeEnvironments=names)["computeEnvironments"] if names else []
        result = Answer.OK, f"the compute environments {', '.join(names)} were read"
        return result, {"computeEnvironments": environments}


def _children(request: JSON) -> int:
    size = part(request, "arrayProperties").get("size")
    return size if isinstance(size, int) else 1
