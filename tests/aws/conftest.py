"""Makes clients of the stub server: short timeouts, invented credentials, closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from reconciler.app.session import SystemClock
from reconciler.aws.clients import Aws
from reconciler.core.ports import Clock
from tests.aws.stub import Stub, silence

Connect = Callable[..., Aws]

CREDENTIALS = ("AKIAEXAMPLE", "secret")


@pytest.fixture
def aws() -> Iterator[Connect]:
    """Makes an `Aws` for an endpoint."""
    made: list[Aws] = []

    def connect(endpoint_url: str | None, clock: Clock | None = None, read_seconds: float = 5.0) -> Aws:
        made.append(
            Aws("eu-west-1", endpoint_url, CREDENTIALS, clock=clock or SystemClock(), timeouts=(0.5, read_seconds))
        )
        return made[-1]

    yield connect
    for each in made:
        each.close()


@dataclass(frozen=True)
class Wired:
    """A server and its clients, kept for a module: making a client takes botocore longer than any call."""

    stub: Stub
    aws: Aws


@pytest.fixture(scope="module")
def wired() -> Iterator[Wired]:
    """A server on which tests call `stub.play` first; the first test makes the clients, in its environment."""
    with Stub(silence) as stub:
        wired = Wired(stub, Aws("eu-west-1", stub.url, CREDENTIALS, timeouts=(0.5, 5), clock=SystemClock()))
        yield wired
        wired.aws.close()
