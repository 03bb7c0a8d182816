"""Creates submissions with an unknown outcome, by ending their process after it recorded the intent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from reconciler.core.events import Event, Intended
from reconciler.core.times import time_text
from tests.builders import intended
from tests.cli.world import World
from tests.ledger.builders import always


@dataclass(frozen=True)
class Doubt:
    """The unresolved submission of a spec."""

    world: World
    name: str
    token: str
    request: dict[str, Any]
    generation: int

    def arrive(self) -> str:
        """Lets the request arrive late, and returns the id of its run."""
        return submitted_by_others(self.world, self.sent)

    @property
    def sent(self) -> dict[str, Any]:
        """Returns the request as it was sent, with the two tags of its run."""
        owner = f"shop/{self.world.target}/{self.name}"
        return {**self.request, "tags": {"reconciler:token": self.token, "reconciler:spec": owner}}


def in_doubt(world: World, name: str, *, hours: float = 1, argument: str = "A") -> Doubt:
    """Writes a Batch spec, and an intent for it that is some hours old and has no outcome."""
    world.batch(name, argument)
    planned = world.run("plan", "--format", "json", "--only", name).json["actions"][0]
    doubt = Doubt(world, name, planned["client_token"], planned["request"], planned["generation"])
    write(world, _intent({**planned, "request": doubt.sent}, hours))
    return doubt


def _intent(planned: dict[str, Any], hours: float) -> Intended:
    """Returns the intent of a planned action, some hours old."""
    sent = time_text(datetime.now(UTC) - timedelta(hours=hours))
    same = ("name", "kind", "generation", "digest", "request", "revision")
    more = {key: planned[key] for key in same} | {"location": planned["locate"]}
    return intended(at=sent, not_after=sent, token=planned["client_token"], **more)


def write(world: World, *events: Event) -> None:
    """Appends events to the ledger."""
    log = world.log()
    log.append(events, always)
    log.close()


def submitted_by_others(world: World, request: dict[str, Any]) -> str:
    """Submits a Batch job as another user, and returns its id."""
    with batch_of_others(world) as batch:
        job_id: str = batch.submit_job(**request)["jobId"]
    return job_id


def terminated_by_others(world: World, job_id: str) -> None:
    """Terminates a Batch job as another user."""
    with batch_of_others(world) as batch:
        batch.terminate_job(jobId=job_id, reason="in the way")


@contextmanager
def batch_of_others(world: World) -> Iterator[Any]:
    """Returns the Batch client of another user."""
    keys = {"aws_access_key_id": "someone", "aws_secret_access_key": "else"}
    batch = boto3.client("batch", endpoint_url=world.aws.url, region_name="eu-west-1", **keys)
    try:
        yield batch
    finally:
        batch.close()
