"""Posting one document to a webhook."""

from __future__ import annotations

import pytest

from reconciler.app import notifications as webhook
from reconciler.app.notifications import post
from reconciler.errors import NotificationFailed
from tests.app.webhook_receiver import hook


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes the pauses between retries."""
    monkeypatch.setattr(webhook, "PAUSE_SECONDS", 0)


def test_a_document_arrives_as_json_with_its_headers() -> None:
    """Once, if the answer is good."""
    with hook() as there:
        post(there.url, {"text": "häld"}, {"Authorization": "Bearer t"})
    assert there.documents == [{"text": "häld"}]
    assert (there.headers[0]["Authorization"], there.headers[0]["Content-Type"]) == ("Bearer t", "application/json")


def test_temporary_failures_are_retried() -> None:
    """Statuses 429 and 503, then success."""
    with hook(429, 503) as there:
        post(there.url, {"text": "x"})
    assert len(there.documents) == 3


@pytest.mark.parametrize(("answers", "tries"), [((404,), 1), ((302,), 1), ((500,) * 9, 4)])
def test_a_refusal_is_an_error_without_the_address(answers: tuple[int, ...], tries: int) -> None:
    """Permanent statuses are not retried, redirections are not followed, and the path, which may be a secret, is not
    printed."""
    with hook(*answers) as there, pytest.raises(NotificationFailed) as caught:
        post(there.url, {"text": "x"})
    assert len(there.documents) == tries
    assert "127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_address_where_nobody_listens_is_an_error() -> None:
    """The message names the host, without details of a library."""
    with hook() as there:
        url = there.url
    with pytest.raises(NotificationFailed, match=r"the webhook at 127\.0\.0\.1 could not be reached"):
        post(url, {"text": "x"})
