"""Defines the building blocks of operations: input, context, errors, pages."""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from reconciler.emulator.records import Records
from reconciler.emulator.settings import Settings

Item = TypeVar("Item")
Params = dict[str, Any]
"""The validated input or the output of an operation, by member name."""


@dataclass(frozen=True, slots=True)
class Context:
    """The state inside an operation's transaction, and the time in seconds since the epoch, which is read once per
    call."""

    records: Records
    now: float

    @property
    def settings(self) -> Settings:
        """The settings in this transaction."""
        return self.records.settings


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `run` returns the members of the output, or raises `Invalid`, `Missing` or `Conflict`.

    With `writes`, the operation needs a write transaction. `rules` yields violations of limits that are documented but
    are not in botocore's model.
    """

    run: Callable[[Params, Context], Params]
    writes: bool = False
    rules: Callable[[Params], Iterable[str]] = lambda _params: ()


@dataclass(frozen=True, slots=True)
class Service:
    """One service: its name in botocore, its operations, and the code and HTTP status of each kind of error.

    Unless `strict_enums` is true, enum values are accepted in upper and lower case.
    """

    name: str
    operations: Mapping[str, Operation]
    errors: Mapping[type[Exception], tuple[str, int]]
    strict_enums: bool


class AwsError(Exception):
    """An error as AWS returns it: code (``ValidationException``), message, HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code, self.message, self.status = code, message, status
        super().__init__(f"{code}: {message}")


class Rejected(Exception):
    """Raised if the service rejects the request. Each service has its own error code for each subclass."""


class Invalid(Rejected):
    """Raised if the request breaks a rule of the service."""


class Missing(Rejected):
    """Raised if the request names something that does not exist."""


class Conflict(Rejected):
    """Raised if the request repeats the client token of an earlier request but has another body."""


def next_token(position: int) -> str:
    """Encodes a position as an opaque token, of characters that both services allow."""
    return base64.urlsafe_b64encode(f"after:{position}".encode()).decode()


def position_after(params: Params) -> int | None:
    """Decodes the position in the request's `nextToken`, or returns `None` for the first page. Raises `Invalid` for a
    token that `next_token` did not make."""
    token = params.get("nextToken")
    if token is None:
        return None
    try:
        word, _, number = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        position = int(number)
    except (binascii.Error, ValueError) as error:
        raise Invalid("nextToken: is not a token of this listing") from error
    if word != "after":
        raise Invalid("nextToken: is not a token of this listing")
    return position


def page(items: Iterable[Item], size: int, position_of: Callable[[Item], int]) -> tuple[list[Item], str | None]:
    """Returns the first `size` items, and the token of the next page, or `None` if there are no more items.

    `position_of` returns the position after which the next page starts, if this item is the last of its page.
    """
    taken = list(islice(items, size + 1))  # one more, to check whether another page follows
    if len(taken) <= size:
        return taken, None
    return taken[:size], next_token(position_of(taken[size - 1]))


def page_of(items: Sequence[Item], size: int, params: Params) -> tuple[Sequence[Item], str | None]:
    """Returns the page of a whole list that the request's `nextToken` selects, and the token of the next page."""
    start = position_after(params) or 0
    return items[start : start + size], next_token(start + size) if start + size < len(items) else None
