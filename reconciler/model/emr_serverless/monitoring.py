"""The settings a run of EMR Serverless can override: applications, logs and metrics, disks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reconciler.model.hints import (
    KMS_KEY_ARN,
    LOG_GROUP,
    LOG_STREAM_PREFIX,
    LOG_URI,
    REMOTE_WRITE_URL,
    VISIBLE,
    WORD,
)
from reconciler.model.request import Shape, optional, required

Text1024 = Annotated[str, Field(min_length=1, max_length=1024, pattern=VISIBLE)]
PropertyValue = Annotated[str, Field(max_length=1024, pattern=VISIBLE)]
KmsKeyArn = Annotated[str, Field(min_length=20, max_length=2048, pattern=KMS_KEY_ARN)]
Word = Annotated[str, Field(min_length=1, max_length=50, pattern=WORD)]
LogTypes = Annotated[list[Word], Field(min_length=1, max_length=5)]
ContextKey = Annotated[str, Field(min_length=1, max_length=128)]
ContextValue = Annotated[str, Field(min_length=1, max_length=384)]


class Configuration(Shape):
    """Settings of one configuration file of an application, such as spark-defaults."""

    classification: Text1024 = required("The configuration file: spark-defaults, hive-site …")
    properties: dict[Text1024, PropertyValue] = optional("The settings, as strings.", max_length=100)
    configurations: list[Configuration] = optional("Further configurations within this one.", max_length=100)


class S3MonitoringConfiguration(Shape):
    """Logs to S3."""

    logUri: str = optional(
        "Where the logs go, such as s3://my-bucket/logs/.", min_length=1, max_length=10_280, pattern=LOG_URI
    )
    encryptionKeyArn: KmsKeyArn = optional("The KMS key that encrypts them.")


class ManagedPersistenceMonitoringConfiguration(Shape):
    """Logs that EMR Serverless keeps itself."""

    enabled: bool = optional("Whether it keeps them. Default: true.")
    encryptionKeyArn: KmsKeyArn = optional("The KMS key that encrypts them.")


class CloudWatchLoggingConfiguration(Shape):
    """Logs to CloudWatch."""

    enabled: bool = required("Whether logs go to CloudWatch.")
    logGroupName: str = optional("The log group.", min_length=1, max_length=512, pattern=LOG_GROUP)
    logStreamNamePrefix: str = optional(
        "What the names of the log streams start with.", min_length=1, max_length=512, pattern=LOG_STREAM_PREFIX
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
        "The remote write URL of the workspace.", min_length=1, max_length=10_280, pattern=REMOTE_WRITE_URL
    )


class MonitoringConfiguration(Shape):
    """Where logs and metrics of the run go."""

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
    """Settings that replace the application's for one run."""

    applicationConfiguration: list[Configuration] = optional("Settings of Spark, Hive and others.", max_length=100)
    monitoringConfiguration: MonitoringConfiguration = optional("Where logs and metrics go.")
    diskEncryptionConfiguration: DiskEncryptionConfiguration = optional("Encryption of the workers' local disks.")
