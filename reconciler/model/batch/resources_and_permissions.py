"""Lists the AWS resources and permissions that requests of SubmitJob need. The functions implement `Needs`.

Actions and resource types: "Actions, resources, and condition keys for AWS Batch" of the Service Authorization
Reference.
"""

from collections.abc import Iterator, Sequence

from reconciler.model.arns import Arns
from reconciler.model.base import JSON, entries, part, text
from reconciler.model.batch.definitions import LOG_GROUP
from reconciler.model.resources_and_permissions import EVERY, Grant, Need, Resource, Role

QUEUE, DEFINITION = "job queue", "job definition"


def needs(request: JSON) -> Iterator[Need]:
    """Yields the queue, the job definition, and the log group of jobs."""
    for field, resource in (("jobQueue", QUEUE), ("jobDefinition", DEFINITION)):
        if name := text(request, field):
            yield Need(resource, name, (field,))
    yield Need(Resource.LOG_GROUP, LOG_GROUP, ())


def grants(requests: Sequence[JSON], arns: Arns) -> Iterator[Grant]:
    """Yields the permissions for the jobs, queues and definitions. Actions that list or describe take no resource."""
    apply, stop = frozenset({Role.APPLY}), frozenset({Role.APPLY, Role.OPERATE})
    jobs = arns.of("batch", "job/*")
    queues = {arns.of("batch", "job-queue/", str(request["jobQueue"])) for request in requests}
    definitions = {arn for request in requests for arn in _definitions(str(request["jobDefinition"]), arns)}
    consumed = {arns.of("batch", "consumable-resource/", name) for request in requests for name in _consumed(request)}
    yield Grant("JobsAreRead", EVERY, ("batch:DescribeJobs", "batch:ListJobs"))
    described = ("batch:DescribeComputeEnvironments", "batch:DescribeJobQueues")
    yield Grant("JobQueuesAreRead", frozenset({Role.PLAN}), described)
    yield Grant("JobDefinitionsAreRead", frozenset({Role.PLAN, Role.OPERATE}), ("batch:DescribeJobDefinitions",))
    roles = f"arn:{arns.partition}:iam::{arns.account}:role/*"  # requests do not name these; job definitions do
    yield Grant("RolesOfDefinitionsAreRead", frozenset({Role.PLAN}), ("iam:GetRole",), (roles,))
    submitted = (*sorted(queues), *sorted(definitions), *sorted(consumed), jobs)
    yield Grant("JobsAreSubmitted", apply, ("batch:SubmitJob",), submitted)
    yield Grant("JobsAreTagged", apply, ("batch:TagResource",), (jobs,))
    yield Grant("JobsAreStopped", stop, ("batch:TerminateJob",), (jobs,))


def _definitions(name: str, arns: Arns) -> Iterator[str]:
    """Yields the ARN of a definition with a revision, or those of the definition and all its revisions."""
    arn = arns.of("batch", "job-definition/", name)
    yield arn
    if not arn.rpartition(":")[2].isdecimal():
        yield f"{arn}:*"


def _consumed(request: JSON) -> Iterator[str]:
    """Yields the consumable resources of a job."""
    holders = [request, *(node for _, node in entries(part(request, "nodeOverrides"), "nodePropertyOverrides"))]
    for holder in holders:
        properties = part(holder, "consumableResourcePropertiesOverride")
        for _, each in entries(properties, "consumableResourceList"):
            if name := text(each, "consumableResource"):
                yield name
