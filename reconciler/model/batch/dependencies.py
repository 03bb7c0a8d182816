"""Dependencies of a job on other specs of the project: `dependsOn: [{spec: extract, type: N_TO_N}]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.model.request import entries, text
from reconciler.model.strict import JSON


def spec_dependencies(request: JSON) -> Sequence[str]:
    """The names of the other specs that the request depends on, in order."""
    return [name for _, entry in entries(request, "dependsOn") if (name := text(entry, "spec")) is not None]


def resolved(request: JSON, job_ids: Mapping[str, str]) -> JSON:
    """The request with the job ids of `job_ids`, by name of spec, where it names specs. The input stays as it is.

    Raises `KeyError` for a name without a job id.
    """
    if not spec_dependencies(request):
        return request
    return {**request, "dependsOn": [_with_job_id(entry, job_ids) for entry in request["dependsOn"]]}


def _with_job_id(entry: JSON, job_ids: Mapping[str, str]) -> JSON:
    """The entry with `jobId` in the place of `spec`, so that the order of its fields stays."""
    return dict(("jobId", job_ids[value]) if key == "spec" else (key, value) for key, value in entry.items())
