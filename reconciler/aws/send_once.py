"""Guards a client so that each call is transmitted once, and never after its deadline."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from reconciler.core.ports import Clock, Deadline
from reconciler.values import dataclass

GUARD_ID = "reconciler-one-transmission"


class DeadlinePassed(Exception):
    """Raised if the deadline of the send has passed. Nothing was transmitted."""


class TransmissionRefused(Exception):
    """Raised for a transmission outside `once`, or for a second transmission in the same block."""


@dataclass(slots=True)
class Transmission:
    """The state of one call. `sent` counts its transmissions."""

    deadline: Deadline
    clock: Clock
    sent: int = 0

    def pass_on(self) -> None:
        """Allows the request if it is the first one and the deadline has not passed; raises otherwise."""
        if self.sent:
            raise TransmissionRefused("this call was transmitted before: it is not transmitted again")
        sys.audit("reconciler.signed")
        if self.clock.now() > self.deadline.wall or self.clock.boot() > self.deadline.boot:
            raise DeadlinePassed("the deadline of this send passed before it went out: nothing was sent")
        self.sent += 1
        sys.audit("reconciler.sending")


_CURRENT: ContextVar[Transmission | None] = ContextVar("transmission", default=None)


@contextmanager
def once(deadline: Deadline, clock: Clock) -> Iterator[Transmission]:
    """Allows a guarded client to make one transmission before `deadline`, in this thread and only inside the `with`
    block."""
    transmission = Transmission(deadline, clock)
    reset = _CURRENT.set(transmission)
    try:
        yield transmission
    finally:
        _CURRENT.reset(reset)


def guard(client: Any) -> None:  # noqa: ANN401 - a boto3 client
    """Makes `client` refuse every transmission outside `once`. A second call has no effect.

    The hook is registered last, so that other hooks have finished waiting before the time is checked.
    """
    client.meta.events.register_last("before-send", _before_send, unique_id=GUARD_ID)


def _before_send(**_: object) -> None:
    transmission = _CURRENT.get()
    if transmission is None:
        raise TransmissionRefused("a call outside the one-transmission guard is not transmitted")
    transmission.pass_on()
