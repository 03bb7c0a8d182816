"""Tests which notifications are kept because a webhook did not accept them, and when they are posted again."""

from __future__ import annotations

from datetime import timedelta

from reconciler.core.notification_retries import Redelivering, Undelivered, may_ask, waiting, webhook_id
from reconciler.model.project import Webhook
from tests.builders import NOW, at, recorded
from tests.campaigns import in_one_test


def undelivered(key: str = "held:1", *, seconds: float = 0, since: float = 0, attempts: int = 1) -> Undelivered:
    """Returns a notification that the webhook HOOK did not accept."""
    return Undelivered(
        at=at(seconds), spec="orders", key=key, webhook="HOOK", since=at(since), attempts=attempts,
        document={"text": key},
    )  # fmt: skip


@in_one_test(
    ("attempts", "seconds"), [(0, 0), (1, 0), (2, 60), (3, 120), (7, 1920), (8, 3600), (30, 3600), (1_000_000, 3600)]
)
def test_the_pause_grows_to_an_hour(attempts: int, seconds: int):
    """The first pass after a failure posts immediately, and so does the first pass after a notification that was never
    posted."""
    failed = undelivered(attempts=attempts)

    assert may_ask([failed, undelivered("other", attempts=0)], NOW + timedelta(seconds=seconds))
    assert seconds == 0 or not may_ask([failed], NOW + timedelta(seconds=seconds - 1))


def test_a_notification_waits_for_a_day_and_the_oldest_comes_first():
    """After a day, the notification is no longer posted, and the next event deletes it, so that the state does not
    grow."""
    events = [undelivered("new", since=60), undelivered("old"), undelivered("older", since=-3600)]

    soon = recorded(*events).undelivered
    late = recorded(*events, undelivered("last", seconds=86400, since=86400)).undelivered

    assert [each.key for each in waiting(soon, "HOOK", NOW)] == ["older", "old", "new"]
    assert [each.key for each in waiting(soon, "HOOK", NOW + timedelta(seconds=86400))] == ["new"]
    assert sorted(each.key for each in late.values()) == ["last", "new"]
    assert waiting(soon, "OTHER", NOW) == []


def test_what_is_posted_again_waits_no_more():
    """A notification is not posted again after an attempt with an unknown outcome, because it may have arrived."""
    claim = Redelivering(at=at(), spec="orders", key="held:1", webhook="HOOK")

    assert recorded(undelivered(), claim).undelivered == {}
    assert len(recorded(undelivered(), claim, undelivered(attempts=2)).undelivered) == 1
    assert recorded(claim).undelivered == {}


def test_the_name_of_a_webhook_has_nothing_of_its_address():
    """The identifier of a webhook is the name of its variable, or a digest that never changes."""
    by_address = [webhook_id(Webhook(url="https://hooks.example/s3cr3t")) for _ in range(2)]

    assert webhook_id(Webhook(urlEnv="RECONCILER_NOTIFY_X")) == "RECONCILER_NOTIFY_X"
    assert by_address[0] == by_address[1]
    assert "s3cr3t" not in by_address[0]
