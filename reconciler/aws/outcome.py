"""What one transmission led to: an allow-list that fails closed.

Only answers that prove something count. That nothing was sent: an error before the request was let out, or exactly
one of two connection errors. That AWS said no: a 4xx of AWS's own with a code from the lists below. That a run exists:
a 2xx with a run id and our own name or application in it. Everything else is ambiguous, whatever it looks like: a
proxy's page, a 5xx, a timeout and an empty 200 may all have come after AWS accepted the request.

This holds only because a call is transmitted once: with retries, the last answer says nothing about the others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from reconciler.aws.transmission import DeadlinePassed, Transmission, once
from reconciler.core.ports import Accepted, Ambiguous, Clock, Deadline, Declined, NotSent, Outcome, Refused
from reconciler.redact.request import secrets_of

REFUSED = THROTTLING | CREDENTIALS | CLOCK_SKEW
"""AWS's codes for no, for a reason that passes."""

DECLINED = frozenset({"ValidationException", "ResourceNotFoundException", "AccessDenied", "AccessDeniedException"})
"""AWS's codes for no to the content, in every service; an adapter adds its own."""

CONFLICT = 409
UNPROVEN_STATUS = frozenset({408, CONFLICT})
"""4xx that may come after the request was accepted: a timeout on the way, and our own token used before."""


@dataclass(frozen=True, slots=True)
class Reply:
    """How a service says that it accepted a request.

    `run_id` and `arn` are the fields of its answer; `echo` is the field of answer and request that must agree.
    `declined` are its codes for no to the content, beside `DECLINED`.
    """

    run_id: str
    arn: str
    echo: str
    declined: frozenset[str] = frozenset()


def transmit(
    call: Callable[..., Mapping[str, Any]], request: Mapping[str, Any], reply: Reply, deadline: Deadline, clock: Clock
) -> Outcome:
    """Calls AWS once with `request` as it is, and says what is known afterwards. `call` is a guarded client's method.

    Never raises for what the network, AWS or botocore do.
    """
    with once(deadline, clock) as transmission:
        try:
            answer = call(**request)
        except Exception as error:  # noqa: BLE001 - the list of what proves something is below; all else is unclear
            sys.audit("reconciler.answered", type(error).__name__)
            return classify(error, transmission, reply, secrets_of(dict(request)))
    sys.audit("reconciler.answered")
    return accepted(answer, request, reply)


def classify(error: Exception, transmission: Transmission, reply: Reply, secrets: Sequence[str] = ()) -> Outcome:
    """What an exception proves, for a call that was transmitted at most once; its message without `secrets`."""
    code, message = code_of(error), message_of(error, secrets)
    if not transmission.sent:
        return NotSent("DeadlinePassed" if isinstance(error, DeadlinePassed) else code, message)
    if type(error) in {EndpointConnectionError, ConnectTimeoutError}:
        return NotSent(code, message)  # exactly these: their relatives can come after delivery
    if isinstance(error, ClientError):
        return _answered_no(error, code, message, reply)
    return Ambiguous(code, message)


def accepted(answer: Mapping[str, Any], request: Mapping[str, Any], reply: Reply) -> Outcome:
    """`Accepted` where the answer holds a run id and our own words; no exception is not a run id."""
    run_id, arn = answer.get(reply.run_id), answer.get(reply.arn)
    if not isinstance(run_id, str) or not run_id:
        return Ambiguous("UnexpectedReply", f"the reply was a success without {reply.run_id}")
    if answer.get(reply.echo) != request.get(reply.echo):
        return Ambiguous("UnexpectedReply", f"the reply is about another {reply.echo} than was asked for")
    return Accepted(run_id, arn if isinstance(arn, str) else None)


def _answered_no(error: ClientError, code: str, message: str, reply: Reply) -> Outcome:
    status = status_of(error)
    if request_id_of(error) is None:
        return Ambiguous(code, f"HTTP {status} without a request id: not an answer of AWS's own")
    if not 400 <= status < 500 or status in UNPROVEN_STATUS:
        return Ambiguous(code, clean(f"HTTP {status}: {message}"), conflict=status == CONFLICT)
    if code in REFUSED:
        return Refused(code, message, throttled=code in THROTTLING)
    if code in DECLINED or code in reply.declined:
        return Declined(code, message)
    return Ambiguous(code, clean(f"HTTP {status}: {message}"))
