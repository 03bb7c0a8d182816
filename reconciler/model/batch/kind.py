"""The kind `BatchJob`: the facts about SubmitJob and its jobs that the rest of the program needs, such as its quotas,
the page of a job in the console, and what a job costs."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from reconciler.model.batch.rules import check, reference_problem, warn
from reconciler.model.batch.submit_job import SubmitJobRequest, references, resolved
from reconciler.model.kind import Kind, Rate, Resources

EXAMPLE = """\
jobQueue: default
jobDefinition: resize-images
containerOverrides:
  command: [resize, "--width", "800", "s3://${var.bucket}/images/"]
"""

RESOURCES, CHILD_HOURS = "resources", "childHours"
"""The keys of the vCPUs and the GB of memory of a job or of one child of an array, and of the hours that the children
ran in total, as recorded in the usage of the job."""


def console(region: str, _location: Mapping[str, str], job_id: str) -> str:
    """Returns the page of a job in the console of AWS Batch."""
    return f"batch/home?region={region}#jobs/detail/{quote(job_id)}"


def billed(usage: Mapping[str, Any], hours: float) -> Resources | None:
    """Returns the vCPUs and the memory that a job declares, times the hours that it or its children ran. Returns `None`
    if either is not known."""
    resources = usage.get(RESOURCES, {})
    vcpu, memory = resources.get("vcpu"), resources.get("memory_gb")
    if not isinstance(vcpu, int | float) or not isinstance(memory, int | float):
        return None
    hours = usage.get(CHILD_HOURS, hours)
    return Resources(vcpu * hours, memory * hours)


KIND = Kind(
    name="BatchJob",
    operation="SubmitJob",
    service="batch",
    model=SubmitJobRequest,
    name_field="jobName",
    token_field=None,
    location_fields=("jobQueue", "jobName"),
    check=check,
    warn=warn,
    placed=(("jobQueue",), ("jobDefinition",)),
    references=references,
    reference_problem=reference_problem,
    rates={"SubmitJob": Rate(perSecond=50, burst=50)},  # AWS Batch service quotas: transactions a second of SubmitJob
    with_runs=resolved,
    console=console,
    billed=billed,
    example=("resize-images", EXAMPLE),
)
