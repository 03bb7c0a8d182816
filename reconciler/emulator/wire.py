"""What crosses the seam between HTTP and the services: a call, a reply, an AWS error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from werkzeug.datastructures import Headers

CONTROL_PREFIX = "/_emulator/"
"""Where the control endpoint is; no AWS call begins so."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request as received. `path` is still percent-encoded; `query` holds decoded lists of values; names of
    `headers` ignore case."""

    method: str
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP response. Headers hold everything but the content length."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Handler = Callable[[Call], Reply]
"""Answers one call. Never raises, except `ConnectionError`: then the connection is closed without an answer, or as a
`Cut` says."""


class Cut(ConnectionError):
    """The connection is to end without a whole answer: `raw` are bytes sent before, as they are.

    `end`: ``close`` in good order; ``reset`` by RST; ``hang`` when the client gives up, and not before.
    """

    def __init__(self, raw: bytes = b"", end: Literal["close", "reset", "hang"] = "close") -> None:
        self.raw, self.end = raw, end
        super().__init__("cut on purpose")


class AwsError(Exception):
    """An answer that AWS gives as an error: its code (``ValidationException``), message and HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code, self.message, self.status = code, message, status
        super().__init__(f"{code}: {message}")


class Invalid(Exception):
    """The request breaks a rule of the service; each service has its own code for that."""


class Missing(Exception):
    """The request names something that does not exist; each service has its own code for that."""


class Conflict(Exception):
    """The request clashes with an earlier one: the same client token with another body."""
