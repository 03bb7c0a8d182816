"""Makes clients for the stub server, with fictitious credentials, and closes them at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from reconciler.app.session import SystemClock
from reconciler.aws.clients import Aws
from reconciler.core.ports import Clock
from tests.aws.stub import Stub, silence
from tests.waiting import PATIENCE_SECONDS

Connect = Callable[..., Aws]

CREDENTIALS = ("AKIAEXAMPLE", "secret")
PATIENT = (PATIENCE_SECONDS, PATIENCE_SECONDS)
"""Timeouts that clients do not reach even on a busy machine."""


@pytest.fixture
def aws() -> Iterator[Connect]:
    """Yields a function that makes an `Aws` for an endpoint."""
    made: list[Aws] = []

    def connect(endpoint_url: str | None, clock: Clock | None = None, timeouts: tuple[float, float] = PATIENT) -> Aws:
        made.append(Aws("eu-west-1", endpoint_url, CREDENTIALS, clock=clock or SystemClock(), timeouts=timeouts))
        return made[-1]

    yield connect
    for each in made:
        each.close()


@dataclass(frozen=True)
class Wired:
    """Contains a server and its clients, kept for a module, because botocore takes longer to make a client than to make
    a call."""

    stub: Stub
    aws: Aws


@pytest.fixture(scope="module")
def wired() -> Iterator[Wired]:
    """Yields a server on which tests call `stub.play` first. The first test creates the clients in its environment."""
    with Stub(silence) as stub:
        wired = Wired(stub, Aws("eu-west-1", stub.url, CREDENTIALS, timeouts=PATIENT, clock=SystemClock()))
        yield wired
        wired.aws.close()
