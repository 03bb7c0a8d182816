"""Models the input of StartJobRun of EMR Serverless, field for field."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from reconciler.model import string_patterns as patterns
from reconciler.model.base import EXACTLY_ONE, Shape, optional, required
from reconciler.model.emr_serverless.spark_parameters import string_or_mapping
from reconciler.model.kind import EmrTags

ARGUMENTS_MAX = 1024
PARAMETERS_MAX = 102_400
RETRIES_MAX = 10  # EMR Serverless user guide, job resiliency

Text1024 = Annotated[str, Field(min_length=1, max_length=1024, pattern=patterns.VISIBLE)]
PropertyValue = Annotated[str, Field(max_length=1024, pattern=patterns.VISIBLE)]
KmsKeyArn = Annotated[
    str,
    Field(min_length=20, max_length=2048, pattern=patterns.KMS_KEY_ARN),
    patterns.pattern_first(patterns.KMS_KEY_ARN),
]
RoleArn = Annotated[
    str,
    Field(min_length=20, max_length=2048, pattern=patterns.ROLE_ARN),
    patterns.pattern_first(patterns.ROLE_ARN),
]
Word = Annotated[str, Field(min_length=1, max_length=50, pattern=patterns.WORD)]
LogTypes = Annotated[list[Word], Field(min_length=1, max_length=5)]
ContextKey = Annotated[str, Field(min_length=1, max_length=128)]
ContextValue = Annotated[str, Field(min_length=1, max_length=384)]
PolicyArn = Annotated[
    str,
    Field(min_length=20, max_length=2048, pattern=patterns.POLICY_ARN),
    patterns.pattern_first(patterns.POLICY_ARN),
]


def _policy_text(value: object) -> object:
    if isinstance(value, dict):
        raise ValueError("an inline policy is JSON in a string: put it in single quotes, on one line")
    return value


PolicyText = Annotated[str, BeforeValidator(_policy_text)]


class Configuration(Shape):
    """Settings of one configuration file of an application, such as spark-defaults."""

    classification: Text1024 = required("The configuration file: spark-defaults, hive-site …")
    properties: dict[Text1024, PropertyValue] = optional("The settings, as strings.", max_length=100)
    configurations: list["Configuration"] = optional("Further configurations within this one.", max_length=100)


class S3MonitoringConfiguration(Shape):
    """Logs to S3."""

    logUri: str = optional(
        "Where the logs go, such as s3://my-bucket/logs/.",
        min_length=1,
        max_length=10_280,
        pattern=patterns.LOG_URI,
    )
    encryptionKeyArn: KmsKeyArn = optional("The KMS key that encrypts them.")


class ManagedPersistenceMonitoringConfiguration(Shape):
    """Logs that EMR Serverless keeps itself."""

    enabled: bool = optional("Whether it keeps them. Default: true.")
    encryptionKeyArn: KmsKeyArn = optional("The KMS key that encrypts them.")


class CloudWatchLoggingConfiguration(Shape):
    """Logs to CloudWatch."""

    enabled: bool = required("Whether logs go to CloudWatch.")
    logGroupName: str = optional("The log group.", min_length=1, max_length=512, pattern=patterns.LOG_GROUP)
    logStreamNamePrefix: str = optional(
        "The start of the log streams' names.", min_length=1, max_length=512, pattern=patterns.LOG_STREAM_PREFIX
    )
    encryptionKeyArn: KmsKeyArn = optional("The KMS key that encrypts them.")
    logTypes: dict[Word, LogTypes] = optional(
        "Which logs, by worker: SPARK_DRIVER, SPARK_EXECUTOR, HIVE_DRIVER or TEZ_TASK, each a list of STDOUT, STDERR, "
        "HIVE_LOG, TEZ_AM, SYSTEM_LOGS. Default: STDOUT and STDERR of the driver.",
        min_length=1,
        max_length=4,
    )


class PrometheusMonitoringConfiguration(Shape):
    """Metrics to Amazon Managed Service for Prometheus."""

    remoteWriteUrl: str = optional(
        "The remote write URL of the workspace.",
        min_length=1,
        max_length=10_280,
        pattern=patterns.REMOTE_WRITE_URL,
    )


class MonitoringConfiguration(Shape):
    """The destinations of the run's logs and metrics."""

    s3MonitoringConfiguration: S3MonitoringConfiguration = optional("Logs to S3.")
    managedPersistenceMonitoringConfiguration: ManagedPersistenceMonitoringConfiguration = optional(
        "Logs that EMR Serverless keeps itself."
    )
    cloudWatchLoggingConfiguration: CloudWatchLoggingConfiguration = optional("Logs to CloudWatch.")
    prometheusMonitoringConfiguration: PrometheusMonitoringConfiguration = optional(
        "Metrics to Amazon Managed Service for Prometheus."
    )


class DiskEncryptionConfiguration(Shape):
    """Encryption of the workers' local disks."""

    encryptionContext: dict[ContextKey, ContextValue] = optional(
        "Pairs that are authenticated along with the data. Not secret.", max_length=8
    )
    encryptionKeyArn: KmsKeyArn = optional("The KMS key that encrypts them.")


class ConfigurationOverrides(Shape):
    """Settings that override the application's for one run."""

    applicationConfiguration: list[Configuration] = optional("Settings of Spark, Hive and others.", max_length=100)
    monitoringConfiguration: MonitoringConfiguration = optional("Where logs and metrics go.")
    diskEncryptionConfiguration: DiskEncryptionConfiguration = optional("Encryption of the workers' local disks.")


class SparkSubmit(Shape):
    """A Spark job, as spark-submit would run it."""

    entryPoint: str = required(
        "The program: a .py file or a jar, in S3 or in the image (s3://…, local:///…).",
        min_length=1,
        max_length=4096,
        pattern=patterns.VISIBLE,
    )
    entryPointArguments: list[str] = optional("The arguments of the program, in order.", max_length=ARGUMENTS_MAX)
    sparkSubmitParameters: str = optional(
        "Options of spark-submit: one string, or a mapping such as {class: …, conf: {spark.executor.memory: 8g}}.",
        min_length=1,
        max_length=PARAMETERS_MAX,
        pattern=patterns.VISIBLE,
        json_schema_extra=string_or_mapping,
    )


class Hive(Shape):
    """A Hive job."""

    query: str = required(
        "The query, or the S3 location of a file with it.",
        min_length=1,
        max_length=10_280,
        pattern=patterns.VISIBLE,
    )
    initQueryFile: str = optional(
        "S3 location of a file with statements to run first.",
        min_length=1,
        max_length=256,
        pattern=patterns.VISIBLE,
    )
    parameters: str = optional(
        "Options of the Hive command line, such as --hiveconf key=value.",
        min_length=1,
        max_length=PARAMETERS_MAX,
        pattern=patterns.VISIBLE,
    )


class JobDriver(Shape, json_schema_extra=EXACTLY_ONE):
    """What runs: Spark or Hive, exactly one of them."""

    sparkSubmit: SparkSubmit = optional("A Spark job.")
    hive: Hive = optional("A Hive job.")


class JobRunExecutionIamPolicy(Shape):
    """Restricts the execution role: the run may do only what both allow."""

    policy: PolicyText = optional(
        "An IAM policy as JSON, on one line.", min_length=1, max_length=2048, pattern=patterns.POLICY_DOCUMENT
    )
    policyArns: list[PolicyArn] = optional("ARNs of IAM policies.", max_length=10)


class RetryPolicy(Shape):
    """How often EMR Serverless itself retries a failed run."""

    maxAttempts: int = optional(
        "BATCH only: attempts in all, the first included. 1, the default, never retries.", ge=1, le=RETRIES_MAX
    )
    maxFailedAttemptsPerHour: int = optional(
        "STREAMING only: failed attempts within an hour after which EMR Serverless gives up.", ge=1, le=RETRIES_MAX
    )


class FlexExecution(Shape):
    """Whether the run uses Flex capacity."""

    enabled: bool = optional("true: Flex capacity. Default: false.")


class StartJobRunRequest(Shape):
    """The input of StartJobRun: one run of a job on an EMR Serverless application."""

    applicationId: str = required(
        "The application to run on, by its id.", min_length=1, max_length=64, pattern=patterns.APPLICATION_ID
    )
    clientToken: str = required(
        "The idempotency token. The reconciler sets it.",
        min_length=1,
        max_length=64,
        pattern=patterns.CLIENT_TOKEN,
    )
    executionRoleArn: RoleArn = required("The IAM role that the run acts as.")
    executionIamPolicy: JobRunExecutionIamPolicy = optional("Restricts the execution role for this run.")
    jobDriver: JobDriver = optional("What runs.")
    configurationOverrides: ConfigurationOverrides = optional("Settings that override the application's for this run.")
    tags: EmrTags = optional("Tags of the run: up to 48, since two more are the reconciler's own.")
    executionTimeoutMinutes: int = optional(
        "Minutes after which the run is cancelled: 5 to 10080 for BATCH; not for STREAMING. Default: 720.",
        ge=0,
        le=1_000_000,
    )
    name: str = optional(
        "The run's name in AWS. Default: metadata.name.", min_length=1, max_length=256, pattern=patterns.VISIBLE
    )
    mode: Literal["BATCH", "STREAMING"] = optional("BATCH, the default, ends by itself; STREAMING runs until stopped.")
    retryPolicy: RetryPolicy = optional("How often EMR Serverless itself retries a failed run.")
    flexExecution: FlexExecution = optional("Whether the run uses Flex capacity.")
