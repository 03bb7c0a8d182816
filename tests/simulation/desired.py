"""Generates the content of git: one spec that is edited, removed, suspended and restored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any

from reconciler.core.desired import Desired, DesiredSpec
from reconciler.core.identity import Content, Source, digest
from reconciler.model.spec import Policy
from tests.builders import PLACE

NAME = "orders"
BATCH, EMR = "BatchJob", "EmrServerlessJobRun"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The spec as of one commit. `content` determines what runs, and is `None` if the spec is absent. A changed `tag`
    does not start a run. `pending` is the time within which a run must start, and `backoff` is the number of further
    attempts."""

    content: str | None = "A"
    suspended: bool = False
    tag: str = "1"
    deletion: str = "Orphan"
    concurrency: str = "Forbid"
    pending: int | None = None
    backoff: int = 0

    @property
    def asks(self) -> str | None:
        """Returns the content that must run, or `None`."""
        return None if self.suspended else self.content


def edited(wanted: Wanted, dice: Random) -> Wanted:
    """Returns the next commit. The content of the spec usually changes. Sometimes the spec is removed or suspended, or
    gets another tag."""
    roll = dice.random()
    if wanted.content is None or wanted.suspended:
        return replace(wanted, content=dice.choice("AB"), suspended=False)
    if roll < 0.45:
        return replace(wanted, content="B" if wanted.content == "A" else "A")
    if roll < 0.7:
        return replace(wanted, content=None)
    if roll < 0.85:
        return replace(wanted, suspended=True)
    return replace(wanted, tag="2" if wanted.tag == "1" else "1")


@cache
def desired(kind: str, wanted: Wanted, on_unknown: str) -> Desired:
    """Returns the desired state for the plan. It also contains a spec outside the selection, so that the project is
    never empty."""
    spec = _spec(kind, wanted)
    return Desired(
        place=PLACE,
        specs={NAME: spec} if spec is not None else {},
        names=frozenset({NAME, "other"} if spec is not None else {"other"}),
        selected=frozenset({NAME}),
        on_unknown=on_unknown,
    )


def content_of(request: Mapping[str, Any]) -> str:
    """Returns the content of a sent request."""
    if "jobDriver" in request:
        return str(request["jobDriver"]["sparkSubmit"]["entryPoint"][-1])
    return str(request["containerOverrides"]["command"][0])


def _spec(kind: str, wanted: Wanted) -> DesiredSpec | None:
    if wanted.content is None:
        return None
    policy = Policy.model_validate(
        {
            "suspend": wanted.suspended,
            "deletionPolicy": wanted.deletion,
            "concurrencyPolicy": wanted.concurrency,
            "pendingTimeoutSeconds": wanted.pending,
            "backoffLimit": wanted.backoff,
            "backoffSeconds": 0 if wanted.backoff else 60,
        }
    )
    request, location = _request(kind, wanted.content, wanted.tag)
    return DesiredSpec(
        name=NAME,
        kind=kind,
        content=Content(
            digest=digest(kind, policy.revision, request),
            request=request,
            location=location,
            deletion_policy=policy.deletionPolicy,
            source=Source("orders.yaml", 1),
        ),
        policy=policy,
        labels={},
    )


def _request(kind: str, content: str, tag: str) -> tuple[dict[str, Any], dict[str, str]]:
    if kind == BATCH:
        request = {
            "jobName": NAME,
            "jobQueue": "etl",
            "jobDefinition": "orders:1",
            "containerOverrides": {"command": [content]},
            "tags": {"v": tag},
        }
        return request, {"jobQueue": "etl", "jobName": NAME}
    request = {
        "name": NAME,
        "applicationId": "app",
        "executionRoleArn": "arn:aws:iam::444455556666:role/jobs",
        "jobDriver": {"sparkSubmit": {"entryPoint": f"s3://jobs/{content}"}},
        "tags": {"v": tag},
    }
    return request, {"applicationId": "app"}
