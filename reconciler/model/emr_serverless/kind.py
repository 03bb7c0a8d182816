"""The kind `EmrServerlessJobRun`: the facts about StartJobRun and its runs that the rest of the program needs, such as
its quotas, the page of a run in the console, and what a run costs."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from reconciler.model.emr_serverless.rules import check, is_streaming, warn
from reconciler.model.emr_serverless.spark_parameters import first_form, for_display, from_spec, refused, shorthand
from reconciler.model.emr_serverless.start_job_run import StartJobRunRequest
from reconciler.model.kind import Kind, Rate, Resources

EXAMPLE = """\
applicationId: ${var.application_id}
executionRoleArn: arn:aws:iam::${target.account}:role/emr-jobs
jobDriver:
  sparkSubmit:
    entryPoint: s3://${var.bucket}/jobs/word_count.py
    entryPointArguments: ["s3://${var.bucket}/books/", "s3://${var.bucket}/counts/"]
    sparkSubmitParameters:
      conf:
        spark.executor.cores: 2
        spark.executor.memory: 4g
"""

BILLED = "billedResourceUtilization"
"""The field of GetJobRun with what AWS has billed, as recorded in the usage of a run."""
UNITS = ("vCPUHour", "memoryGBHour", "storageGBHour")
"""The members of this field, in the order of `Resources`."""


def console(region: str, location: Mapping[str, str], run_id: str) -> str:
    """Returns the page of a job run in the console of EMR, which opens it in the EMR Studio of the account."""
    application = quote(location.get("applicationId", ""))
    return f"emr/home?region={region}#/serverless-applications/{application}/{quote(run_id)}"


def billed(usage: Mapping[str, Any], _hours: float) -> Resources | None:
    """Returns the resources that AWS has billed for a job run.

    The amounts include a minimum of one minute for each worker, and storage beyond 20 GB for each worker.
    """
    amounts = usage.get(BILLED)
    if not isinstance(amounts, Mapping):
        return None
    values = [amounts.get(name, 0) for name in UNITS]
    return Resources(*map(float, values)) if all(isinstance(value, int | float) for value in values) else None


KIND = Kind(
    name="EmrServerlessJobRun",
    operation="StartJobRun",
    service="emr_serverless",
    model=StartJobRunRequest,
    name_field="name",
    token_field="clientToken",  # noqa: S106 - the name of a field
    location_fields=("applicationId",),
    from_spec=from_spec,
    shorthand=shorthand,
    for_display=for_display,
    first_form=first_form,
    refused=refused,
    check=check,
    warn=warn,
    placed=(("executionRoleArn",), ("executionIamPolicy", "policyArns")),
    is_streaming=is_streaming,
    console=console,
    graceful=True,
    billed=billed,
    # "Endpoints and quotas" of EMR Serverless: API rate limits of an account in a region
    rates={
        "StartJobRun": Rate(perSecond=1, burst=25),
        "ListJobRuns": Rate(perSecond=1, burst=25),
        "CancelJobRun": Rate(perSecond=1, burst=25),
        "GetJobRun": Rate(perSecond=10, burst=50),
    },
    example=("word-count", EXAMPLE),
)
