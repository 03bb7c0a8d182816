"""Lists the AWS resources and permissions that requests of StartJobRun need. The functions implement `Needs`.

Actions and resource types: "Actions, resources, and condition keys for Amazon EMR Serverless" of the Service
Authorization Reference.
"""

from collections.abc import Iterator, Sequence

from reconciler.model.arns import Arns
from reconciler.model.base import JSON, part, text
from reconciler.model.emr_serverless.spark_parameters import settings
from reconciler.model.resources_and_permissions import EVERY, Grant, Need, Resource, Role, objects

APPLICATION = "application"
LOG_GROUP = "/aws/emr-serverless"
"""The log group of runs that log to CloudWatch, unless they set another."""

FILES = ("--jars", "--py-files", "--files", "--archives", "--properties-file")
SPARK, HIVE = ("jobDriver", "sparkSubmit"), ("jobDriver", "hive")
MONITORING = ("configurationOverrides", "monitoringConfiguration")


def needs(request: JSON) -> Iterator[Need]:
    """Yields the application, the role, the program and its files, and the locations of logs."""
    if application := text(request, "applicationId"):
        yield Need(APPLICATION, application, ("applicationId",))
    if role := text(request, "executionRoleArn"):
        yield Need(Resource.ROLE, role, ("executionRoleArn",))
    yield from objects(part(request, *SPARK).get("entryPoint"), (*SPARK, "entryPoint"))
    for field in ("query", "initQueryFile"):
        yield from objects(part(request, *HIVE).get(field), (*HIVE, field))
    parameters = text(part(request, *SPARK), "sparkSubmitParameters")
    try:
        options = settings(parameters)[1] if parameters else {}
    except ValueError:
        options = {}
    for name in FILES:
        yield from (Need(each.type, each.name.partition("#")[0], each.loc) for each in objects(options.get(name), ()))
    yield from _logs(part(request, *MONITORING))


def _logs(monitoring: JSON) -> Iterator[Need]:
    s3, watch = "s3MonitoringConfiguration", "cloudWatchLoggingConfiguration"
    if address := text(part(monitoring, s3), "logUri"):
        yield Need(Resource.PREFIX, address, (*MONITORING, s3, "logUri"))
    logging = part(monitoring, watch)
    if logging.get("enabled"):
        group = text(logging, "logGroupName")
        yield Need(Resource.LOG_GROUP, group or LOG_GROUP, (*MONITORING, watch, *(("logGroupName",) if group else ())))


def grants(requests: Sequence[JSON], arns: Arns) -> Iterator[Grant]:
    """Yields the permissions for the applications and their runs, and for passing the roles of the runs."""
    apply, stop = frozenset({Role.APPLY}), frozenset({Role.APPLY, Role.OPERATE})
    ids = sorted({str(request["applicationId"]) for request in requests})
    applications = tuple(arns.of("emr-serverless", "/applications/", name) for name in ids)
    runs = tuple(f"{arn}/jobruns/*" for arn in applications)
    roles = tuple(sorted({str(request["executionRoleArn"]) for request in requests}))
    yield Grant("ApplicationsAreListed", frozenset({Role.OPERATE}), ("emr-serverless:ListApplications",))
    read = frozenset({Role.PLAN, Role.OPERATE})
    yield Grant("ApplicationsAreRead", read, ("emr-serverless:GetApplication",), applications)
    yield Grant("RunsAreListed", EVERY, ("emr-serverless:ListJobRuns",), applications)
    yield Grant("RunsAreRead", EVERY, ("emr-serverless:GetJobRun",), runs)
    yield Grant("RunsAreStarted", apply, ("emr-serverless:StartJobRun",), applications)
    yield Grant("RunsAreTagged", apply, ("emr-serverless:TagResource",), runs)
    yield Grant("RunsAreStopped", stop, ("emr-serverless:CancelJobRun",), runs)
    yield Grant("DashboardsAreOpened", frozenset({Role.OPERATE}), ("emr-serverless:GetDashboardForJobRun",), runs)
    storage = (part(request, *MONITORING, "s3MonitoringConfiguration") for request in requests)
    if keys := tuple(sorted({key for settings in storage if (key := text(settings, "encryptionKeyArn"))})):
        yield Grant("LogFilesAreDecrypted", frozenset({Role.OPERATE}), ("kms:Decrypt",), keys)
    passed = {"StringEquals": {"iam:PassedToService": "emr-serverless.amazonaws.com"}}
    yield Grant("RolesArePassed", apply, ("iam:PassRole",), roles, passed)
