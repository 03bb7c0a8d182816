"""StartJobRun as EMR Serverless takes it, field for field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.model.emr_serverless.monitoring import ConfigurationOverrides
from reconciler.model.emr_serverless.spark_parameters import string_or_mapping
from reconciler.model.hints import (
    APPLICATION_ID,
    CLIENT_TOKEN,
    POLICY_ARN,
    POLICY_DOCUMENT,
    ROLE_ARN,
    VISIBLE,
)
from reconciler.model.request import Shape, exactly_one, optional, required
from reconciler.model.tags import EmrTags

ARGUMENTS_MAX = 1024
PARAMETERS_MAX = 102_400
RETRIES_MAX = 10  # EMR Serverless user guide, job resiliency

# botocore 1.43 says at least one character, 1.44 says none is needed. The older limit is kept: an application may run
# where the newer one has not arrived, and an empty argument is mostly a variable that was meant to hold something.
Argument = Annotated[str, Field(min_length=1)]
PolicyArn = Annotated[str, Field(min_length=20, max_length=2048, pattern=POLICY_ARN)]


class SparkSubmit(Shape):
    """A Spark job, as spark-submit would run it."""

    entryPoint: str = required(
        "The program: a .py file or a jar, in S3 or in the image (s3://…, local:///…).",
        min_length=1,
        max_length=4096,
        pattern=VISIBLE,
    )
    entryPointArguments: list[Argument] = optional(
        "What the program is called with, in order.", max_length=ARGUMENTS_MAX
    )
    sparkSubmitParameters: str = optional(
        "Options of spark-submit: one string, or a mapping such as {class: …, conf: {spark.executor.memory: 8g}}.",
        min_length=1,
        max_length=PARAMETERS_MAX,
        pattern=VISIBLE,
        json_schema_extra=string_or_mapping,
    )


class Hive(Shape):
    """A Hive job."""

    query: str = required(
        "The query: its text, or the S3 location of a file of it.", min_length=1, max_length=10_280, pattern=VISIBLE
    )
    initQueryFile: str = optional(
        "S3 location of a file of statements to run first.", min_length=1, max_length=256, pattern=VISIBLE
    )
    parameters: str = optional(
        "Options of the Hive command line, such as --hiveconf key=value.",
        min_length=1,
        max_length=PARAMETERS_MAX,
        pattern=VISIBLE,
    )


class JobDriver(Shape, json_schema_extra=exactly_one):
    """What runs: Spark or Hive, exactly one of them."""

    sparkSubmit: SparkSubmit = optional("A Spark job.")
    hive: Hive = optional("A Hive job.")


class JobRunExecutionIamPolicy(Shape):
    """Narrows what the execution role allows: the run may do only what both allow."""

    policy: str = optional(
        "An IAM policy as JSON, on one line.", min_length=1, max_length=2048, pattern=POLICY_DOCUMENT
    )
    policyArns: list[PolicyArn] = optional("ARNs of IAM policies.", max_length=10)


class RetryPolicy(Shape):
    """How often EMR Serverless itself starts a failed run again."""

    maxAttempts: int = optional(
        "BATCH only: attempts in all, the first included. 1, the default, never retries.", ge=1, le=RETRIES_MAX
    )
    maxFailedAttemptsPerHour: int = optional(
        "STREAMING only: failed attempts within an hour after which the run is given up.", ge=1, le=RETRIES_MAX
    )


class FlexExecution(Shape):
    """Whether the run uses Flex capacity."""

    enabled: bool = optional("true: Flex capacity. Default: false.")


class StartJobRunRequest(Shape):
    """The input of StartJobRun: one run of a job on an EMR Serverless application."""

    applicationId: str = required(
        "The application to run on, by its id.", min_length=1, max_length=64, pattern=APPLICATION_ID
    )
    clientToken: str = required(
        "The idempotency token. The reconciler sets it.", min_length=1, max_length=64, pattern=CLIENT_TOKEN
    )
    executionRoleArn: str = required(
        "The IAM role that the run acts as.", min_length=20, max_length=2048, pattern=ROLE_ARN
    )
    executionIamPolicy: JobRunExecutionIamPolicy = optional("Narrows the execution role for this run.")
    jobDriver: JobDriver = optional("What runs.")
    configurationOverrides: ConfigurationOverrides = optional("Settings that replace the application's for this run.")
    tags: EmrTags = optional("Tags of the run: up to 48, since two more are the reconciler's own.")
    executionTimeoutMinutes: int = optional(
        "Minutes after which the run is cancelled: 5 to 10080 for BATCH; not for STREAMING. Default: 720.",
        ge=0,
        le=1_000_000,
    )
    name: str = optional(
        "The run's name in AWS. Default: metadata.name.", min_length=1, max_length=256, pattern=VISIBLE
    )
    mode: Literal["BATCH", "STREAMING"] = optional("BATCH, the default, ends by itself; STREAMING runs until stopped.")
    retryPolicy: RetryPolicy = optional("How often EMR Serverless itself starts a failed run again.")
    flexExecution: FlexExecution = optional("Whether the run uses Flex capacity.")
