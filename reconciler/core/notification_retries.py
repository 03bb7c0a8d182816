"""Keeps notifications that a webhook has not accepted: the events that record them, and the times at which they are
posted again."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import ClassVar

from reconciler.core.event_fields import Few, Request, Text, Time
from reconciler.core.events import Event
from reconciler.core.times import parse_time
from reconciler.model.project import Webhook
from reconciler.values import dataclass

REPEATED = timedelta(hours=24)
"""How long after its event a notification may be posted again."""

FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
"""The pause after the second failed attempt, which doubles with each further failed attempt, and its upper limit. There
is no pause after the first failed attempt, so that the next pass tries again a webhook that was down for one pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered(Event):
    """A webhook did not accept a notification. If `attempts` is 0, nothing was posted to it, because it was already
    failing.

    `spec`, `key` and `since` are the spec, the key and the time of the `notified` event. `webhook` is the `webhook_id`
    of the entry in the project file, which does not contain the address. `document` is the content to post, without
    secrets.
    """

    type: ClassVar[str] = "undelivered"
    spec: Text
    key: Text
    webhook: Text
    since: Time
    attempts: Few
    document: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Redelivering(Event):
    """An undelivered notification is about to be posted again. This is recorded before the post, so that two processes
    do not both post it, and so that it is not posted again after an attempt with an unknown outcome."""

    type: ClassVar[str] = "redelivering"
    spec: Text
    key: Text
    webhook: Text


def webhook_id(webhook: Webhook) -> str:
    """Returns an identifier of a webhook that does not reveal its address: the name of its environment variable, or a
    digest."""
    return webhook.urlEnv or "sha256:" + sha256((webhook.url or "").encode()).hexdigest()


def delivery_id(event: Undelivered | Redelivering) -> str:
    """Returns the identifier of a notification for one webhook."""
    return f"{event.webhook} {event.spec} {event.key}"


def add_delivery(undelivered: dict[str, Undelivered], event: Undelivered | Redelivering) -> None:
    """Adds an event to the undelivered notifications, in place, and drops notifications that are too old."""
    if isinstance(event, Redelivering):
        undelivered.pop(delivery_id(event), None)
        return
    for old in [key for key, each in undelivered.items() if _is_over(each, parse_time(event.at))]:
        del undelivered[old]
    undelivered[delivery_id(event)] = event


def _is_over(each: Undelivered, now: datetime) -> bool:
    return now - parse_time(each.since) >= REPEATED


def waiting(undelivered: Mapping[str, Undelivered], webhook: str, now: datetime) -> list[Undelivered]:
    """Returns the notifications that should still be posted to a webhook, oldest first."""
    mine = (each for each in undelivered.values() if each.webhook == webhook and not _is_over(each, now))
    return sorted(mine, key=lambda each: (each.since, each.spec, each.key))


def may_ask(pending: Iterable[Undelivered], now: datetime) -> bool:
    """Returns whether the pause after a webhook's last failed attempt is over. `pending` are the undelivered
    notifications of the webhook."""
    return all(now - parse_time(each.at) >= _pause(each.attempts) for each in pending if each.attempts)


def _pause(attempts: int) -> timedelta:
    # More doublings would not make the pause longer, and a large number of attempts would overflow `timedelta`.
    return min(FIRST_PAUSE * 2 ** min(attempts - 2, 16), LONGEST_PAUSE) if attempts > 1 else timedelta(0)
