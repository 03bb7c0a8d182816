"""Job runs of EMR Serverless: the input of StartJobRun, its rules, and Spark's options in it.

What may live here: the models, rules and forms of this one request, and `KIND`, which the registry of kinds reads.
What may not: clients, or anything about another service.
"""

from __future__ import annotations

from reconciler.model.emr_serverless.rules import check, is_streaming, warn
from reconciler.model.emr_serverless.spark_parameters import first_form, for_display, from_spec, refused
from reconciler.model.emr_serverless.start_job_run import StartJobRunRequest
from reconciler.model.kind import Kind, Rate

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

KIND = Kind(
    name="EmrServerlessJobRun",
    operation="StartJobRun",
    service="emr_serverless",
    model=StartJobRunRequest,
    name_field="name",
    token_field="clientToken",  # noqa: S106 - the name of a field
    location_fields=("applicationId",),
    from_spec=from_spec,
    for_display=for_display,
    first_form=first_form,
    refused=refused,
    check=check,
    warn=warn,
    placed=(("executionRoleArn",), ("executionIamPolicy", "policyArns")),
    is_streaming=is_streaming,
    # "Endpoints and quotas" of EMR Serverless: API rate limits of an account in a region
    rates={
        "StartJobRun": Rate(perSecond=1, burst=25),
        "ListJobRuns": Rate(perSecond=1, burst=25),
        "CancelJobRun": Rate(perSecond=1, burst=25),
        "GetJobRun": Rate(perSecond=10, burst=50),
    },
    example=("word-count", EXAMPLE),
)
