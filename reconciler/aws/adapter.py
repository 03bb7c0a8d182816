"""Code that all adapters share: transmitting a request, complete listings, parallel calls, unknown states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from reconciler.aws.clients import Aws
from reconciler.aws.errors import translate_errors, unexpected_reply
from reconciler.aws.transmission import Reply, transmit
from reconciler.core.ports import Deadline, NotSent, Outcome
from reconciler.errors import ServiceError
from reconciler.model.base import JSON

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Described = Mapping[str, Any]
"""A run as AWS describes it."""


def submit(aws: Aws, service: str, method: str, request: JSON, *, reply: Reply, deadline: Deadline) -> Outcome:
    """Transmits `request` by a method of boto3's client of `service`, at most once. Never raises for what the network,
    AWS or botocore do."""
    try:
        call = getattr(aws.submitter(service), method)
    except ServiceError as error:
        return NotSent(error.code, error.message)
    return transmit(call, request, reply, deadline, aws.clock)


def pages(
    operation: str, call: Callable[..., Mapping[str, Any]], items: str, id_field: str, **query: object
) -> Iterator[dict[str, Described]]:
    """The pages of a listing to its end, items by id. `items` is the field of the answer that holds the list.

    An answer without the list is an error, and so is a listing without an end: both would look like absence. Raises
    `ServiceError`.
    """
    token: dict[str, str] = {}
    while True:
        with translate_errors(operation):
            answer = call(**query, **token)
            if items not in answer:
                raise unexpected_reply(operation, "the reply holds no list")
            page = {item[id_field]: item for item in answer[items]}
        yield page
        if not answer.get("nextToken"):
            return
        if token == {"nextToken": answer["nextToken"]}:
            raise unexpected_reply(operation, "the listing does not end")
        token = {"nextToken": answer["nextToken"]}


def each(items: Iterable[Item], call: Callable[[Item], Answer], at_once: int) -> list[Answer]:
    """The answers of `call` for each item, in order, `at_once` calls at a time. Raises the first error."""
    pool = ThreadPoolExecutor(at_once)
    try:
        return list(pool.map(call, items))
    finally:
        pool.shutdown(cancel_futures=True)


def unknown_state(word: object) -> str:
    """The sentence for a state that this version does not know: it is an error, never a guess."""
    return f"AWS reports the state {word!r}, which this version does not know"
