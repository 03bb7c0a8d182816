"""Models the input of StartJobRun of EMR Serverless, field for field."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from reconciler.model.base import EXACTLY_ONE, Shape, hinted, optional, pattern_first, required
from reconciler.model.emr_serverless.spark_parameters import string_or_mapping
from reconciler.model.kind import TAG_LIMIT

ARGUMENTS_MAX = 1024
PARAMETERS_MAX = 102_400
RETRIES_MAX = 10  # EMR Serverless user guide, job resiliency

APPLICATION_ID = hinted(r"^[0-9a-z]+$", "an application id is lower-case letters and digits, such as 00f1k2sd0vgq8u09")
CLIENT_TOKEN = hinted(r"^[A-Za-z0-9._-]+$", "a client token is letters, digits, '.', '_' and '-'")
ROLE_ARN = hinted(
    r"^arn:(aws[a-zA-Z0-9-]*):iam::([0-9]{12}):role(/|/[\x21-\x7F]+/)[A-Za-z0-9_+=,.@-]+$",
    "must be an ARN, arn:aws:iam::ACCOUNT:role/NAME, with an account of 12 digits",
)
POLICY_ARN = hinted(r"^arn:[!-~]+$", "must be an ARN, arn:aws:iam::ACCOUNT:policy/NAME")
POLICY_DOCUMENT = hinted(r"^[ -\u00FF]+$", "an inline policy is JSON on one line, without line breaks or tabs")
VISIBLE = hinted(r"[^ \t\n\x0B\f\r]", "must not be only white space")
KMS_KEY_ARN = hinted(
    r"^arn:(aws[a-zA-Z0-9-]*):kms:[a-zA-Z0-9-]*:([0-9]{12}):key/[a-zA-Z0-9-]+$",
    "must be an ARN of a key, not of an alias, such as "
    "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
)
LOG_URI = hinted(r"^[^\n\r\u0085\u2028\u2029]+$", "must be an S3 location on one line, such as s3://my-bucket/logs/")
LOG_GROUP = hinted(
    r"^[._/#A-Za-z0-9-]+$",
    "a log group name is letters, digits, '.', '-', '_', '/' and '#', such as /aws/emr-serverless",
)
LOG_STREAM_PREFIX = hinted(r"^[^:*]*$", "a log stream prefix contains neither ':' nor '*'")
WORD = hinted(r"^[a-zA-Z]+[-_]*[a-zA-Z]+$", "must be letters with '-' or '_' between them, such as SPARK_DRIVER")
REMOTE_WRITE_URL = hinted(
    r"^https://aps-workspaces\.([a-z]{2}-[a-z-]{1,20}-[1-9])\.amazonaws(\.[0-9A-Za-z]{2,4})+"
    r"/workspaces/[-_.0-9A-Za-z]{1,100}/api/v1/remote_write$",
    "must be the remote write URL of an Amazon Managed Service for Prometheus workspace, such as "
    "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1234/api/v1/remote_write",
)
TAG_KEY = hinted(r"^[A-Za-z0-9 /_.:=+@-]+$", "a tag key is letters, digits, spaces and '/ _ . : = + @ -'")
TAG_VALUE = hinted(r"^[A-Za-z0-9 /_.:=+@-]*$", "a tag value is letters, digits, spaces and '/ _ . : = + @ -'")

Text1024 = Annotated[str, Field(min_length=1, max_length=1024, pattern=VISIBLE)]
PropertyValue = Annotated[str, Field(max_length=1024, pattern=VISIBLE)]
KmsKeyArn = Annotated[
    str,
    Field(min_length=20, max_length=2048, pattern=KMS_KEY_ARN),
    pattern_first(KMS_KEY_ARN),
]
RoleArn = Annotated[
    str,
    Field(min_length=20, max_length=2048, pattern=ROLE_ARN),
    pattern_first(ROLE_ARN),
]
Word = Annotated[str, Field(min_length=1, max_length=50, pattern=WORD)]
LogTypes = Annotated[list[Word], Field(min_length=1, max_length=5)]
ContextKey = Annotated[str, Field(min_length=1, max_length=128)]
ContextValue = Annotated[str, Field(min_length=1, max_length=384)]
PolicyArn = Annotated[
    str,
    Field(min_length=20, max_length=2048, pattern=POLICY_ARN),
    pattern_first(POLICY_ARN),
]


def _policy_text(value: object) -> object:
    if isinstance(value, dict):
        raise ValueError("an inline policy is JSON in a string: put it in single quotes, on one line")
    return value


PolicyText = Annotated[str, BeforeValidator(_policy_text)]
Tags = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=128, pattern=TAG_KEY)],
        Annotated[str, Field(max_length=256, pattern=TAG_VALUE)],
    ],
    *TAG_LIMIT,
]


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
        pattern=LOG_URI,
    )
    encryptionKeyArn: KmsKeyArn = optional("The KMS key that encrypts them.")


class ManagedPersistenceMonitoringConfiguration(Shape):
    """Logs that EMR Serverless keeps itself."""

    enabled: bool = optional("Whether EMR Serverless keeps these logs. Default: true.")
    encryptionKeyArn: KmsKeyArn = optional("The KMS key that encrypts them.")


class CloudWatchLoggingConfiguration(Shape):
    """Logs to CloudWatch."""

    enabled: bool = required("Whether logs go to CloudWatch.")
    logGroupName: str = optional("The log group.", min_length=1, max_length=512, pattern=LOG_GROUP)
    logStreamNamePrefix: str = optional(
        "The start of the log streams' names.", min_length=1, max_length=512, pattern=LOG_STREAM_PREFIX
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
        pattern=REMOTE_WRITE_URL,
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
        "Key-value pairs that are authenticated together with the data. They are not secret.", max_length=8
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
        pattern=VISIBLE,
    )
    entryPointArguments: list[str] = optional("The arguments of the program, in order.", max_length=ARGUMENTS_MAX)
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
        "The query, or the S3 location of a file with it.",
        min_length=1,
        max_length=10_280,
        pattern=VISIBLE,
    )
    initQueryFile: str = optional(
        "S3 location of a file with statements to run first.",
        min_length=1,
        max_length=256,
        pattern=VISIBLE,
    )
    parameters: str = optional(
        "Options of the Hive command line, such as --hiveconf key=value.",
        min_length=1,
        max_length=PARAMETERS_MAX,
        pattern=VISIBLE,
    )


class JobDriver(Shape, json_schema_extra=EXACTLY_ONE):
    """What runs: Spark or Hive, exactly one of them."""

    sparkSubmit: SparkSubmit = optional("A Spark job.")
    hive: Hive = optional("A Hive job.")


class JobRunExecutionIamPolicy(Shape):
    """Restricts the execution role: the run may do only what both the role and the policy allow."""

    policy: PolicyText = optional(
        "An IAM policy as JSON, on one line.", min_length=1, max_length=2048, pattern=POLICY_DOCUMENT
    )
    policyArns: list[PolicyArn] = optional("ARNs of IAM policies.", max_length=10)


class RetryPolicy(Shape):
    """How often EMR Serverless itself retries a failed run."""

    maxAttempts: int = optional(
        "BATCH only: the total number of attempts, including the first. 1, the default, never retries.",
        ge=1,
        le=RETRIES_MAX,
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
        "The application to run on, by its id.", min_length=1, max_length=64, pattern=APPLICATION_ID
    )
    clientToken: str = required(
        "The idempotency token. The reconciler sets it.",
        min_length=1,
        max_length=64,
        pattern=CLIENT_TOKEN,
    )
    executionRoleArn: RoleArn = required("The IAM role that the run acts as.")
    executionIamPolicy: JobRunExecutionIamPolicy = optional("Restricts the execution role for this run.")
    jobDriver: JobDriver = optional("What runs.")
    configurationOverrides: ConfigurationOverrides = optional("Settings that override the application's for this run.")
    tags: Tags = optional("Tags of the run: up to 48, because the reconciler adds two of its own.")
    executionTimeoutMinutes: int = optional(
        "Minutes after which the run is cancelled: 5 to 10080 for BATCH; not for STREAMING. Default: 720.",
        ge=0,
        le=1_000_000,
    )
    name: str = optional(
        "The run's name in AWS. Default: metadata.name.", min_length=1, max_length=256, pattern=VISIBLE
    )
    mode: Literal["BATCH", "STREAMING"] = optional("BATCH, the default, ends by itself; STREAMING runs until stopped.")
    retryPolicy: RetryPolicy = optional("How often EMR Serverless itself retries a failed run.")
    flexExecution: FlexExecution = optional("Whether the run uses Flex capacity.")
