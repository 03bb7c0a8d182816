"""Notifications that a webhook has not accepted: the events that record them, and when they are posted again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import ClassVar

from reconciler.core.event_fields import Few, Request, Text, Time
from reconciler.core.events import Event
from reconciler.core.times import parse_time
from reconciler.model.project import Webhook

REPEATED = timedelta(hours=24)
"""How long a notification is posted again."""

FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
"""The pause after the second failed attempt, which doubles with each further one, and its limit. After the first one
there is no pause, so that a webhook that was down for one pass is asked in the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered(Event):
    """A webhook did not accept a notification; with 0 `attempts`, it was not asked, because it was failing.

    `spec` and `key` are those of the `notified` event, `since` is its time. `webhook` is `webhook_id` of the entry in
    the project file, without its address. `document` is what is posted, without secrets.
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
    """An undelivered notification is about to be posted again. This is recorded first, so that two processes do not
    post it, and nothing is posted again after an attempt whose end is unknown."""

    type: ClassVar[str] = "redelivering"
    spec: Text
    key: Text
    webhook: Text


def webhook_id(webhook: Webhook) -> str:
    """Returns a name of a webhook that reveals nothing about its address: the environment variable, or a digest."""
    return webhook.urlEnv or "sha256:" + sha256((webhook.url or "").encode()).hexdigest()


def delivery_id(event: Undelivered | Redelivering) -> str:
    """Returns the identifier of a notification for one webhook."""
    return f"{event.webhook} {event.spec} {event.key}"


def add_delivery(undelivered: dict[str, Undelivered], event: Undelivered | Redelivering) -> None:
    """Adds an event to the notifications that are not delivered, in place, and drops those that are too old."""
    if isinstance(event, Redelivering):
        undelivered.pop(delivery_id(event), None)
        return
    for old in [key for key, each in undelivered.items() if _is_over(each, parse_time(event.at))]:
        del undelivered[old]
    undelivered[delivery_id(event)] = event


def _is_over(each: Undelivered, now: datetime) -> bool:
    return now - parse_time(each.since) >= REPEATED


def waiting(undelivered: Mapping[str, Undelivered], webhook: str, now: datetime) -> list[Undelivered]:
    """Returns the notifications that a webhook has not accepted and still should, the oldest first."""
    mine = (each for each in undelivered.values() if each.webhook == webhook and not _is_over(each, now))
    return sorted(mine, key=lambda each: (each.since, each.spec, each.key))


def may_ask(pending: Iterable[Undelivered], now: datetime) -> bool:
    """Returns whether the pause after the last failed attempt of a webhook is over. `pending` are its notifications."""
    return all(now - parse_time(each.at) >= _pause(each.attempts) for each in pending if each.attempts)


def _pause(attempts: int) -> timedelta:
    return min(FIRST_PAUSE * 2 ** min(attempts - 2, 16), LONGEST_PAUSE) if attempts > 1 else timedelta(0)
