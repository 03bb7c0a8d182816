"""Clients of the stub server: short timeouts, made-up credentials, closed at the end."""

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
    """A server and the clients of it, kept for a module: making a client takes botocore longer than any call."""

    stub: Stub
    aws: Aws


@pytest.fixture(scope="module")
def wired() -> Iterator[Wired]:
    """Tests call `stub.play` first; clients are made in the first test, in its environment."""
    with Stub(silence) as stub:
        wired = Wired(stub, Aws("eu-west-1", stub.url, CREDENTIALS, timeouts=(0.5, 5), clock=SystemClock()))
        yield wired
        wired.aws.close()
