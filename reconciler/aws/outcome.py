"""Transmits a request once and never after its deadline, and classifies the outcome. Only replies on an allow-list
count as proof; all others are ambiguous.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

from reconciler.aws.errors import (
    CLOCK_SKEW,
    CREDENTIALS,
    THROTTLING,
    clean,
    code_of,
    message_of,
    request_id_of,
    status_of,
)
from reconciler.core.ports import Accepted, Ambiguous, Clock, Declined, Instant, NotSent, Outcome, Refused
from reconciler.redact.request import secrets_of
from reconciler.values import dataclass

GUARD_ID = "reconciler-one-transmission"


class DeadlinePassed(Exception):
    """Raised if the deadline of the send has passed. Nothing was transmitted."""


class TransmissionRefused(Exception):
    """Raised for a transmission outside `once`, or for a second transmission in the same block."""


@dataclass(slots=True)
class Transmission:
    """The state of one call. `sent` counts its transmissions."""

    deadline: Instant
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
def once(deadline: Instant, clock: Clock) -> Iterator[Transmission]:
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


REFUSED = THROTTLING | CREDENTIALS | CLOCK_SKEW
"""AWS's codes for a temporary refusal."""


DECLINED = frozenset({"ValidationException", "ResourceNotFoundException", "AccessDenied", "AccessDeniedException"})
"""AWS's codes for a refusal of the content, in every service; an adapter adds its own."""


CONFLICT = 409


SUBMIT_UNPROVEN = frozenset({408, CONFLICT})
"""4xx statuses that do not show whether a submission was rejected: a timeout in transit, or a client token that we used
before. A 429 is not among them, because its code decides: one in `THROTTLING` proves that no run was started.
"""


@dataclass(frozen=True, slots=True)
class ReplyFields:
    """Describes the reply with which a service confirms that it accepted a request.

    `run_id` and `arn` are fields of its reply. `echo` is a field that must be equal in the reply and the request.
    `declined` are the service's codes for a refusal of the content, in addition to `DECLINED`.
    """

    run_id: str
    arn: str
    echo: str
    declined: frozenset[str] = frozenset()


def transmit(
    call: Callable[..., Mapping[str, Any]],
    request: Mapping[str, Any],
    reply_fields: ReplyFields,
    deadline: Instant,
    clock: Clock,
) -> Outcome:
    """Calls AWS once with the unchanged `request`, and classifies the reply. `call` is a method of a guarded client.

    Never raises for an error of the network, AWS or botocore.
    """
    with once(deadline, clock) as transmission:
        try:
            answer = call(**request)
        except Exception as error:  # noqa: BLE001 - the lists below name what proves something; all else is ambiguous
            sys.audit("reconciler.answered", type(error).__name__)
            return classify(error, transmission, reply_fields, secrets_of(dict(request)))
    sys.audit("reconciler.answered")
    return accepted(answer, request, reply_fields)


def classify(
    error: Exception, transmission: Transmission, reply_fields: ReplyFields, secrets: Sequence[str] = ()
) -> Outcome:
    """Classifies an exception of a call that was transmitted at most once; its message is kept without `secrets`."""
    code, message = code_of(error), message_of(error, secrets)
    # The hook of `guard` has not let the request pass, whatever the error is (R3).
    if not transmission.sent:
        return NotSent("DeadlinePassed" if isinstance(error, DeadlinePassed) else code, message)
    if type(error) in {EndpointConnectionError, ConnectTimeoutError}:
        return NotSent(code, message)  # exactly these types, because related types can occur after delivery
    if isinstance(error, ClientError):
        return _refusal(error, code, message, reply_fields)
    return Ambiguous(code, message)


def accepted(answer: Mapping[str, Any], request: Mapping[str, Any], reply_fields: ReplyFields) -> Outcome:
    """Returns `Accepted` if the reply contains a run id and our own values. A reply without an error does not show that
    a run was created.
    """
    run_id, arn = answer.get(reply_fields.run_id), answer.get(reply_fields.arn)
    if not isinstance(run_id, str) or not run_id:
        return Ambiguous("UnexpectedReply", f"the reply reports success without {reply_fields.run_id}")
    if answer.get(reply_fields.echo) != request.get(reply_fields.echo):
        return Ambiguous("UnexpectedReply", f"the reply has a different {reply_fields.echo} from that of the request")
    return Accepted(run_id, arn if isinstance(arn, str) else None)


def _refusal(error: ClientError, code: str, message: str, reply_fields: ReplyFields) -> Outcome:
    status = status_of(error)
    if request_id_of(error) is None:
        return Ambiguous(code, f"HTTP {status} without a request id: not a reply from AWS itself")
    if not 400 <= status < 500 or status in SUBMIT_UNPROVEN:
        return Ambiguous(code, clean(f"HTTP {status}: {message}"), conflict=status == CONFLICT)
    if code in REFUSED:
        return Refused(code, message, throttled=code in THROTTLING)
    if code in DECLINED or code in reply_fields.declined:
        return Declined(code, message)
    return Ambiguous(code, clean(f"HTTP {status}: {message}"))
