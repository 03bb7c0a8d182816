"""Jobs of AWS Batch: the input of SubmitJob and its rules.

What may live here: the models, rules and forms of this one request, and `KIND`, which the registry of kinds reads.
What may not: clients, or anything about another service.
"""

from __future__ import annotations

from reconciler.model.batch.rules import check, reference_problem, warn
from reconciler.model.batch.submit_job import SubmitJobRequest, references, resolved
from reconciler.model.kind import Kind, Rate

EXAMPLE = """\
jobQueue: default
jobDefinition: resize-images
containerOverrides:
  command: [resize, "--width", "800", "s3://${var.bucket}/images/"]
"""

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
    example=("resize-images", EXAMPLE),
)
