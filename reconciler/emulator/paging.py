"""Pages: at most so many items, and a token from which the next page goes on."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

from reconciler.emulator.wire import Invalid

Item = TypeVar("Item")


def token(position: int) -> str:
    """An opaque token for a position, of the characters both services allow."""
    return base64.urlsafe_b64encode(f"after:{position}".encode()).decode()


def position(text: str | None) -> int | None:
    """The position in a token; `None` for the first page. Raises `Invalid` for what `token` did not make."""
    if text is None:
        return None
    try:
        word, _, number = base64.urlsafe_b64decode(text.encode()).decode().partition(":")
        found = int(number)
    except (binascii.Error, ValueError) as error:
        raise Invalid("nextToken: is not a token of this listing") from error
    if word != "after":
        raise Invalid("nextToken: is not a token of this listing")
    return found


def page(items: Iterable[Item], size: int, place: Callable[[Item], int]) -> tuple[list[Item], str | None]:
    """The first `size` items, and the token of the next page; `None` where nothing is left.

    `place` gives the position of an item, after which the next page goes on. Reads one item more than it returns.
    """
    found = list(islice(items, size + 1))
    if len(found) <= size:
        return found, None
    return found[:size], token(place(found[size - 1]))
