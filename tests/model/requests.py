"""Contains builders of requests, each with an obvious default, and functions that return the problems and warnings of a
request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.model.base import Loc
from reconciler.model.kind import Kind, kind_named

EMR = kind_named("EmrServerlessJobRun")
BATCH = kind_named("BatchJob")
CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
KINDS = {"emr_serverless": EMR, "batch": BATCH}


def emr(**fields: Any) -> dict[str, Any]:
    """Returns a Spark run in the form of a spec, with these fields added."""
    return {
        "applicationId": "00f1k2sd0vgq8u09",
        "executionRoleArn": "arn:aws:iam::123456789012:role/emr-jobs",
        "name": "pi",
        "jobDriver": {"sparkSubmit": {"entryPoint": "s3://bucket/pi.py"}},
        **fields,
    }


def batch(**fields: Any) -> dict[str, Any]:
    """Returns a Batch job in the form of a spec, with these fields added."""
    return {"jobName": "example", "jobQueue": "HighPriority", "jobDefinition": "sleep60", **fields}


def spark(**fields: Any) -> dict[str, Any]:
    """Returns a Spark run with `fields` in its driver."""
    return emr(jobDriver={"sparkSubmit": {"entryPoint": "s3://bucket/pi.py", **fields}})


def monitoring(**fields: Any) -> dict[str, Any]:
    """Returns a run with `fields` in its monitoring configuration."""
    return emr(configurationOverrides={"monitoringConfiguration": fields})


def container(**fields: Any) -> dict[str, Any]:
    """Returns a job with `fields` in its container overrides."""
    return batch(containerOverrides=fields)


def resource(kind: str, value: str) -> dict[str, Any]:
    """Returns a job with one resource requirement."""
    return container(resourceRequirements=[{"type": kind, "value": value}])


def pod(**fields: Any) -> dict[str, Any]:
    """Returns a job with `fields` in its pod overrides."""
    return batch(eksPropertiesOverride={"podProperties": fields})


def nodes(**fields: Any) -> dict[str, Any]:
    """Returns a job with one override of a range of nodes."""
    return batch(nodeOverrides={"nodePropertyOverrides": [{"targetNodes": "0:3", **fields}]})


def kind_of(request: dict[str, Any]) -> Kind:
    """Returns the kind of a request, which is determined by a field that only this kind has."""
    return BATCH if "jobQueue" in request or "jobDefinition" in request else EMR


def sent(kind: Kind, request: dict[str, Any]) -> dict[str, Any]:
    """Returns the request as it would be sent. Tags and tokens of the wrong type are kept, so that validation can
    refuse them."""
    form = kind.as_sent(
        request if isinstance(request.get("tags", {}), dict) else {**request, "tags": {}}, "r1-0", "p/t/n"
    )
    if not isinstance(request.get("tags", {}), dict):
        form["tags"] = request["tags"]
    if "clientToken" in request:
        form["clientToken"] = request["clientToken"]
    return form


def problems(kind: Kind, request: dict[str, Any]) -> dict[Loc, str]:
    """Returns the violated rule for each path at which a request is refused."""
    form = sent(kind, request)
    by_loc = {remark.loc: remark.rule for remark in kind.check(form)}
    try:
        kind.model.model_validate(form)
    except ValidationError as error:
        by_loc |= {tuple(each["loc"]): each["type"] for each in error.errors()}
    return by_loc


def warnings(kind: Kind, request: dict[str, Any]) -> dict[Loc, str]:
    """Returns the rule for each path that has a warning."""
    return {remark.loc: remark.rule for remark in kind.warn(sent(kind, request))}


def corpus(*names: str) -> list[Any]:
    """Returns the cases of corpus files as parameters, and one skipped case for a missing file."""
    return [case for name in names for case in _cases(CORPUS / f"{name}.jsonl")]


def rows(*names: str) -> list[dict[str, Any]]:
    """Returns the cases of corpus files that are at hand."""
    return [case.values[0] for case in corpus(*names) if not case.marks]


def _cases(path: Path) -> Iterator[Any]:
    if not path.exists():
        yield pytest.param({}, id="no-corpus", marks=pytest.mark.skip(reason=f"{path.name} is not at hand"))
        return
    for line in path.read_text().splitlines():
        case = json.loads(line)
        yield pytest.param(case, id=case["id"])
