"""Converts the reply of GetJobRun to the input of StartJobRun (`reconciler.model.import_descriptions.Described`)."""

from collections.abc import Iterator, Sequence

from reconciler.model.base import JSON, part
from reconciler.model.emr_serverless.start_job_run import StartJobRunRequest
from reconciler.model.import_descriptions import DescribedRequest, modelled, own_tags

TIMEOUT_MINUTES = 720
"""The timeout of a BATCH run that sets none, from the API reference of StartJobRun. A STREAMING run has 0."""

REPORTED = {
    "applicationId", "jobRunId", "arn", "createdBy", "createdAt", "updatedAt", "executionRole", "state", "stateDetails",
    "releaseLabel", "attempt", "attemptCreatedAt", "attemptUpdatedAt", "startedAt", "endedAt", "tags",
    "queuedDurationMilliseconds", "totalExecutionDurationSeconds", "totalResourceUtilization",
    "billedResourceUtilization", "networkConfiguration",
}  # fmt: skip
"""The fields of the reply that are not part of a request, or have another name there."""


def runs_in(reply: JSON) -> Sequence[JSON]:
    """Returns the run in a reply of GetJobRun."""
    run = part(reply, "jobRun")
    return [run] if "jobRunId" in run and "applicationId" in run else []


def run_id(description: JSON) -> str:
    """Returns the id of the run."""
    return str(description["jobRunId"])


def request_of(description: JSON, _defaults: JSON | None) -> DescribedRequest:
    """Returns the input of StartJobRun for the described run."""
    run = {name: value for name, value in description.items() if name not in REPORTED}
    added = dict(_added(description))
    request = modelled(
        {
            **{name: value for name, value in run.items() if name not in added},
            "applicationId": description.get("applicationId"),
            "executionRoleArn": description.get("executionRole"),
            "tags": own_tags(description.get("tags")),
        },
        StartJobRunRequest,
    )
    monitoring = part(request, "configurationOverrides", "monitoringConfiguration")
    persistence = "managedPersistenceMonitoringConfiguration"
    if monitoring.get(persistence) == {"enabled": True}:
        del monitoring[persistence]
        added[f"configurationOverrides.monitoringConfiguration.{persistence}"] = "enabled"
        request = modelled(request, StartJobRunRequest)
    left_out = [f"{name} {value}" for name, value in added.items()]
    left_out += sorted((run.keys() | description.keys() & REPORTED) - request.keys() - added.keys() - {"executionRole"})
    left_out += sorted(f"tags.{key}" for key in description.get("tags") or {} if key not in request.get("tags", {}))
    return DescribedRequest(request, tuple(name for name in left_out if name != "tags"))


def _added(run: JSON) -> Iterator[tuple[str, object]]:
    """Yields the fields that have the value that AWS sets by default, with this value."""
    streaming = run.get("mode") == "STREAMING"
    if run.get("executionTimeoutMinutes") == (0 if streaming else TIMEOUT_MINUTES):
        yield "executionTimeoutMinutes", run["executionTimeoutMinutes"]
    if run.get("mode") == "BATCH":
        yield "mode", run["mode"]
    if not streaming and run.get("retryPolicy") == {"maxAttempts": 1}:
        yield "retryPolicy", "maxAttempts 1"


def target_request(_target: JSON) -> JSON | None:
    """Returns `None`: rules of EventBridge have no targets of this service."""
    return None
