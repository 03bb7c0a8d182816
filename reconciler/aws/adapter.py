"""Contains code that all adapters share: transmitting a request, complete listings, tags, parallel calls, unknown
states."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from reconciler.aws.clients import Aws
from reconciler.aws.errors import clean, translate_errors, unexpected_reply
from reconciler.aws.outcome import ReplyFields, transmit
from reconciler.core.ports import Instant, NotSent, Outcome, Wanted
from reconciler.core.times import parse_time
from reconciler.errors import ServiceError
from reconciler.model.base import JSON, Strict
from reconciler.model.kind import SPEC_TAG, TOKEN_TAG
from reconciler.values import dataclass

Item = TypeVar("Item")
Result = TypeVar("Result")
Described = Mapping[str, Any]
"""The description of a run in AWS's reply."""


def submit(
    aws: Aws,
    service: str,
    method: str,
    request: JSON,
    *,
    reply_fields: ReplyFields,
    deadline: Instant,
    model: type[Strict] | None = None,
) -> Outcome:
    """Sends `request` with a method of the boto3 client for `service`, at most once. Returns errors of the network, AWS
    and botocore as outcomes, and never raises them.

    botocore's own validation is slow, so it is skipped if `model` accepts the request. If a newer `model` rejects the
    request of an older intent, botocore validates it.
    """
    try:
        client = aws.submitter(service) if _is_valid(request, model) else aws.submitter(service, validates=True)
        call = getattr(client, method)
    except ServiceError as error:
        return NotSent(error.code, error.message)
    return transmit(call, request, reply_fields, deadline, aws.clock)


def _is_valid(request: JSON, model: type[Strict] | None) -> bool:
    if model is None:
        return False
    try:
        model.model_validate(request)
    except ValidationError:
        return False
    return True


def pages(
    operation: str, call: Callable[..., Mapping[str, Any]], items: str, id_field: str, **query: object
) -> Iterator[dict[str, Described]]:
    """Yields all pages of a listing. Each page maps ids to items. `items` is the field of the reply that contains the
    list.

    Raises `ServiceError`, also for a reply without the list and for a listing that never ends.
    """
    token: dict[str, str] = {}
    while True:
        with translate_errors(operation):
            answer = call(**query, **token)
            if items not in answer:  # without an error, all runs would look absent
                raise unexpected_reply(operation, "the reply contains no list")
            page = {item[id_field]: item for item in answer[items]}
        yield page
        if not answer.get("nextToken"):
            return
        if token == {"nextToken": answer["nextToken"]}:
            raise unexpected_reply(operation, "the listing does not end")
        token = {"nextToken": answer["nextToken"]}


def each(items: Iterable[Item], call: Callable[[Item], Result], at_once: int) -> list[Result]:
    """Returns the results of `call` for each item, in order, with `at_once` parallel calls. Raises the first error."""
    pool = ThreadPoolExecutor(at_once)
    try:
        return list(pool.map(call, items))
    finally:
        # After an error, calls that have not started are not made.
        pool.shutdown(cancel_futures=True)


def unknown_state(word: object, reason: object) -> str:
    """Returns the error message for a state that this version does not support, with AWS's reason for it, if there is
    one. States are never guessed."""
    why = f" ({text})" if (text := clean(reason)) else ""
    return f"AWS reports the state {word!r}{why}, which this version does not know"


@dataclass(frozen=True, slots=True)
class Tagged:
    """The tags of a run, and the time when AWS created it, or `None` if AWS does not return it."""

    tags: Mapping[str, str]
    created_at: datetime | None


def answers(wanted: Sequence[Wanted], runs: Mapping[str, Tagged]) -> dict[str, Sequence[str] | str]:
    """Returns, for each token and each owner tag in `wanted`, the ids of the runs in a complete listing that have it.
    The result is keyed by token and by owner.
    """
    by_token: dict[str, list[str]] = {want.token: [] for want in wanted}
    by_owner = {want.owner: (want, list[str]()) for want in wanted if want.owner is not None}
    for run_id, run in runs.items():
        token, owner = run.tags.get(TOKEN_TAG, ""), run.tags.get(SPEC_TAG, "")
        by_token.get(token, []).append(run_id)
        if owner in by_owner:
            want, others = by_owner[owner]
            if token not in want.recorded and (run.created_at is None or run.created_at >= parse_time(want.since)):
                others.append(run_id)
    by_key = {**by_token, **{owner: others for owner, (_, others) in by_owner.items()}}
    return {key: run_ids or () for key, run_ids in by_key.items()}


def merged(lookups: Iterable[Mapping[str, Sequence[str] | str]]) -> dict[str, Sequence[str] | str]:
    """Merges the results of several listings. The runs of one owner may be in several of them."""
    whole: dict[str, Sequence[str] | str] = {}
    for key, answer in (pair for lookup in lookups for pair in lookup.items()):
        before = whole.get(key, ())
        joined = not isinstance(answer, str) and not isinstance(before, str)
        whole[key] = ([*before, *answer] or ()) if joined else answer
    return whole
