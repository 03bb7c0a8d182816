"""Tests posting a document to a webhook."""

from __future__ import annotations

import logging

import pytest

from reconciler.app import webhooks
from reconciler.app.webhooks import LONGEST_TEXT, notification_json, post
from reconciler.core.notifications import Notification, NotificationKind
from reconciler.errors import NotificationFailed
from tests.app.webhook_receiver import hook
from tests.builders import PLACE
from tests.campaigns import in_one_test


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes the pauses between retries."""
    monkeypatch.setattr(webhooks, "PAUSE_SECONDS", 0)


def test_a_document_arrives_as_json_with_its_headers() -> None:
    """If the response is successful, the document is sent once."""
    with hook() as there:
        post(there.url, {"text": "häld"}, {"Authorization": "Bearer t"})
    assert there.documents == [{"text": "häld"}]
    assert (there.headers[0]["Authorization"], there.headers[0]["Content-Type"]) == ("Bearer t", "application/json")


def test_temporary_failures_are_retried() -> None:
    """The receiver returns 429, then 503, then 200."""
    with hook(429, 503) as there:
        post(there.url, {"text": "x"})
    assert len(there.documents) == 3


def test_a_receiver_cannot_hold_up_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client ignores `Retry-After` and does not read a response body that never arrives."""
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    with hook(429, 503, Retry_After="3600", Content_Length="1000000") as there:
        post(there.url, {"text": "x"})
    assert len(there.documents) == 3
    assert set(pauses) == {0}


@pytest.mark.parametrize(("answers", "tries"), [((404,), 1), ((302,), 1), ((500,) * 9, 4)])
def test_a_refusal_is_an_error_without_the_address(answers: tuple[int, ...], tries: int) -> None:
    """Permanent errors are not retried, redirects are not followed, and the URL's path, which may be a secret, is not
    printed."""
    with hook(*answers) as there, pytest.raises(NotificationFailed) as caught:
        post(there.url, {"text": "x"})
    assert len(there.documents) == tries
    assert str(caught.value) == f"it answered {answers[0]}"


def test_an_address_where_nobody_listens_is_an_error() -> None:
    """The error message contains no text from the HTTP library."""
    with hook() as there:
        url = there.url
    with pytest.raises(NotificationFailed, match=r"^it could not be reached: MaxRetryError$"):
        post(url, {"text": "x"})


@in_one_test("kind", list(NotificationKind))
def test_hostile_text_in_a_notification_is_inert(kind: NotificationKind):
    """In a notification of any kind, names and AWS messages cannot mention a channel or form a link, and they contain
    no control characters and have a limited length."""
    hostile = "<!channel> <https://evil.example|console> & <@U1>\n\x1b[2J\u202e\x00" + "x" * 10_000
    notification = Notification("k", frozenset({kind}), "<!here>", str(kind), hostile, None, None, None, None)
    text = notification_json(notification, PLACE, "2026-11-22T02:00:00Z", logs="reconciler logs <x>")["text"]
    assert "&lt;!channel&gt; &lt;https://evil.example|console&gt; &amp; &lt;@U1&gt;" in text
    assert not set("<>\n\x1b\u202e\x00") & set(text)
    assert LONGEST_TEXT < len(text) < LONGEST_TEXT + 200


CANARY = "c4n4ry"

ADDRESSES = {
    "nobody listens": "http://127.0.0.1:1/hooks/c4n4ry?key=c4n4ry#c4n4ry",
    "no such host": "http://c4n4ry.invalid/c4n4ry",
    "user": "http://c4n4ry:c4n4ry@127.0.0.1:1/",
    "no scheme": "hooks.example.com/c4n4ry",
    "another scheme": "file:///c4n4ry",
    "only the secret": "c4n4ry",
    "not a port": "http://127.0.0.1:c4n4ry/",
    "not an address": "http://[c4n4ry/",
    "control characters": "http://127.0.0.1:1/c4n4ry\r\nHost: c4n4ry",
    "no text": "http://127.0.0.1:1/c4n4ry\udcff",
    "no host name": "http://c4n4ry" + "x" * 300 + ".\u00e4/c4n4ry",
    "another form of a host name": "http://c4n4ry\u2100.example.com/",
}


@pytest.mark.parametrize("address", [*ADDRESSES, "redirected", "refused", "failing"])
def test_no_part_of_an_address_is_in_logs_or_errors(address: str, caplog: pytest.LogCaptureFixture):
    """Tests that no kind of invalid address appears in the log, for every logger at every level. The error has no cause
    and no context either."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "urllib3")
    statuses = {"redirected": (302,), "refused": (403,), "failing": (500,) * 9}.get(address, ())
    with hook(*statuses, location=f"http://127.0.0.1:1/{CANARY}") as there:
        url = ADDRESSES.get(address, f"{there.url}/{CANARY}?key={CANARY}")
        with pytest.raises(NotificationFailed) as caught:
            post(url, {"text": "x"}, {"Authorization": "Bearer c4n4ry"})
    assert CANARY not in f"{caplog.text} {caught.value!r}"
    assert caught.value.__context__ is None
    assert [record.name for record in caplog.records if record.name.startswith("urllib3")] == []


@pytest.mark.parametrize("value", ["c4n4ry\r\nX: y", "c4n4ry\u2603"])
def test_no_header_is_in_errors(value: str, caplog: pytest.LogCaptureFixture):
    """If the value cannot be sent as a header, the error does not contain the value."""
    with hook() as there, pytest.raises(NotificationFailed) as caught:
        post(there.url, {"text": "x"}, {"Authorization": value})
    assert CANARY not in f"{caplog.text} {caught.value!r}"
