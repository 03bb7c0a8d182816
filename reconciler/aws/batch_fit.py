"""Compares requests of SubmitJob with the job definition, the queue and the compute environments that AWS describes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.aws.verify import NETWORK_UNASKED, Said
from reconciler.core.ports import Answer
from reconciler.model.base import JSON, Loc, integer, part
from reconciler.model.batch.definitions import vcpus
from reconciler.model.required_resources import Need, Resource

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


def definition_fits(request: JSON, definition: JSON) -> Iterator[tuple[Loc, Said]]:
    """Yields what does not fit a job definition: overrides for another type of job, and arrays of multi-node jobs."""
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


def queue_fits(request: JSON, queue: JSON) -> Iterator[tuple[Loc, Said]]:
    """Yields whether the queue and the job agree about fair-share scheduling; AWS refuses jobs otherwise."""
    name, is_shared = request.get("jobQueue"), bool(queue.get("schedulingPolicyArn"))
    if is_shared and not request.get("shareIdentifier"):
        message = f"job queue {name} has a scheduling policy, so AWS refuses jobs without shareIdentifier"
        yield ("jobQueue",), (Answer.ERROR, message)
    if not is_shared and request.get("shareIdentifier"):
        message = f"job queue {name} has no scheduling policy, so AWS refuses jobs with shareIdentifier"
        yield ("shareIdentifier",), (Answer.ERROR, message)


def environments_fit(
    request: JSON, definition: JSON, environments: Sequence[Environment]
) -> Iterator[tuple[Loc, Said]]:
    """Yields whether a job of this definition can start in one of the environments, and whether one has its vCPUs."""
    queue = request.get("jobQueue")
    if not (able := usable(environments)):
        states = ", ".join(f"{_name(each)} is {_condition(each)}" for each in environments)
        yield ("jobQueue",), (Answer.ERROR, f"job queue {queue} cannot start jobs: {states or 'it has no environment'}")
        return
    for each in environments:
        if each not in able:
            said = f"compute environment {_name(each)} of job queue {queue} is {_condition(each)}"
            yield ("jobQueue",), (Answer.WARNING, said)
    if definition:
        fitting = [each for each in able if not _obstacle(definition, each)]
        if not fitting:
            yield ("jobDefinition",), (Answer.ERROR, _obstacle(definition, able[0]))
            return
        able = fitting
    yield from _vcpus_fit(request, definition, able)


def _vcpus_fit(request: JSON, definition: JSON, environments: Sequence[Environment]) -> Iterator[tuple[Loc, Said]]:
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
    known = bool(resources) or has_eks
    if known and needs_eks != has_eks:
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


def unasked(environments: Sequence[Environment]) -> Iterator[Said]:
    """Yields what is not asked about the environments."""
    for each in environments:
        resources = part(each, "computeResources")
        if resources.get("subnets"):
            yield Answer.NOT_ASKED, NETWORK_UNASKED.format(f"compute environment {_name(each)}")
        if resources.get("type") in {"EC2", "SPOT"}:
            why = "it depends on the instance types that Batch chooses"
            yield (
                Answer.NOT_ASKED,
                f"EC2's quota of vCPUs for compute environment {_name(each)}: not asked, because {why}",
            )


def usable(environments: Sequence[Environment]) -> list[Environment]:
    """Returns the environments that can start jobs."""
    return [
        each
        for each in environments
        if each.get("state", "ENABLED") == "ENABLED" and each.get("status", "VALID") in {"VALID", "UPDATING"}
    ]


def most_vcpus(environment: Environment) -> float:
    """Returns the maximum number of vCPUs of an environment. An unmanaged one has no limit that Batch knows."""
    resources = environment.get("computeResources")
    return float(resources["maxvCpus"]) if resources and "maxvCpus" in resources else float("inf")


def _name(environment: Environment) -> str:
    return str(environment.get("computeEnvironmentName", "of the queue"))


def _condition(environment: Environment) -> str:
    state, status = environment.get("state", "ENABLED"), environment.get("status", "VALID")
    reason = f": {environment['statusReason']}" if environment.get("statusReason") else ""
    return "DISABLED" if state != "ENABLED" else f"{status}{reason}"
