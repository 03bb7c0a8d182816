"""One document to one webhook."""

from __future__ import annotations

import pytest

from reconciler.app import notifications as webhook
from reconciler.app.notifications import post
from reconciler.errors import NotificationFailed
from tests.app.webhook_receiver import hook


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without pauses."""
    monkeypatch.setattr(webhook, "PAUSE_SECONDS", 0)


def test_a_document_arrives_as_json_with_its_headers() -> None:
    """Once, where the answer is good."""
    with hook() as there:
        post(there.url, {"text": "häld"}, {"Authorization": "Bearer t"})
    assert there.told == [{"text": "häld"}]
    assert (there.headers[0]["Authorization"], there.headers[0]["Content-Type"]) == ("Bearer t", "application/json")


def test_passing_trouble_is_tried_again() -> None:
    """Too many, broken, then fine."""
    with hook(429, 503) as there:
        post(there.url, {"text": "x"})
    assert len(there.told) == 3


@pytest.mark.parametrize(("answers", "tries"), [((404,), 1), ((302,), 1), ((500,) * 9, 4)])
def test_a_no_is_an_error_without_the_address(answers: tuple[int, ...], tries: int) -> None:
    """What more tries do not mend is not tried again; redirections are not followed; the path may be a secret."""
    with hook(*answers) as there, pytest.raises(NotificationFailed) as said:
        post(there.url, {"text": "x"})
    assert len(there.told) == tries
    assert "127.0.0.1" in str(said.value)
    assert "secret" not in str(said.value)


def test_an_address_where_nobody_listens_is_an_error() -> None:
    """With the host, and no traceback of a library."""
    with hook() as there:
        url = there.url
    with pytest.raises(NotificationFailed, match=r"the webhook at 127\.0\.0\.1 could not be reached"):
        post(url, {"text": "x"})
