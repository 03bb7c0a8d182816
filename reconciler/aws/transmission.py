"""One call, one transmission, and none after its deadline.

A hook on botocore's ``before-send`` fires after a request is signed and right before it goes out: the last moment at
which time can be checked. So a process that was frozen between its intent and its call wakes up and sends nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from reconciler.core.ports import Clock, Deadline

GUARD_ID = "reconciler-one-transmission"


class DeadlinePassed(Exception):
    """The send's time is over; nothing was transmitted."""


class TransmissionRefused(Exception):
    """A transmission that no call has asked for, or a second one of the same call."""


@dataclass(slots=True)
class Transmission:
    """What has become of one call. `sent` counts the times it was let out."""

    deadline: Deadline
    clock: Clock
    sent: int = 0

    def pass_on(self) -> None:
        """Lets the request out, once and in time; raises otherwise."""
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
    """Inside the block, in this thread, a guarded client may transmit once and not after `deadline`."""
    transmission = Transmission(deadline, clock)
    reset = _CURRENT.set(transmission)
    try:
        yield transmission
    finally:
        _CURRENT.reset(reset)


def guard(client: Any) -> None:  # noqa: ANN401 - a boto3 client
    """Makes `client` refuse every transmission outside `once`. Doing it again changes nothing.

    The hook is registered last, so that whatever waits in another hook has waited before the time is checked.
    """
    client.meta.events.register_last("before-send", _before_send, unique_id=GUARD_ID)


def _before_send(**_: object) -> None:
    transmission = _CURRENT.get()
    if transmission is None:
        raise TransmissionRefused("a call outside the one-transmission guard is not transmitted")
    transmission.pass_on()
