"""Posts notifications about the specs of a pass to webhooks, until each webhook has accepted each notification once."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reconciler import __version__
from reconciler.app.session import Session
from reconciler.core.events import Notified
from reconciler.core.identity import Place
from reconciler.core.notification_retries import Redelivering, Undelivered, delivery_id, may_ask, waiting, webhook_id
from reconciler.core.notifications import Notification, after_results, new_notifications
from reconciler.core.plan import ActionResult, Plan
from reconciler.core.ports import Moved
from reconciler.core.settings import change_of_settings
from reconciler.core.state import Recorded, Submission
from reconciler.core.times import time_text
from reconciler.errors import LedgerError, NotificationFailed
from reconciler.model.base import JSON
from reconciler.render.text import plain, sentence

if TYPE_CHECKING:
    from datetime import datetime

    from urllib3 import PoolManager

log = logging.getLogger(__name__)

CONNECT_SECONDS, READ_SECONDS = 3, 5
RETRIES = 3
PAUSE_SECONDS = 0.3  # doubled with each retry
LONGEST_TEXT = 3000
"""The maximum number of characters of a text in a chat. Slack shortens messages of more than 4,000 characters."""
RETRIED_STATUSES = (408, 429, 500, 502, 503, 504)
"""HTTP statuses after which the request is retried."""


def post(url: str, document: JSON, headers: Mapping[str, str] | None = None) -> None:
    """Posts `document` as JSON. Retries up to `RETRIES` times if no connection is made or the status is one of
    `RETRIED_STATUSES`.

    Raises `NotificationFailed`, which does not contain the address, because every part of the address may be a secret.
    """
    from urllib3.util import Retry, Timeout  # its import takes longer than all others in a pass without webhooks

    sent = {"Content-Type": "application/json", "User-Agent": f"reconciler/{__version__}", **(headers or {})}
    # Without a reply, the webhook may still have received the document, so only connections are retried.
    unconnected = Retry(RETRIES, read=0, status=0, other=0, backoff_factor=PAUSE_SECONDS)
    body, timeout = json.dumps(document).encode(), Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
    failure, status = None, 0
    with _urllib3_silent():
        try:
            with _pool(url) as pool:
                for retry in range(RETRIES + 1):
                    # The body is not read, because a receiver could send it forever. A `Retry-After` is not waited for,
                    # because it may be hours: later passes post the notification again.
                    answer = pool.request(
                        "POST", url, body=body, headers=sent, retries=unconnected, timeout=timeout, redirect=False,
                        preload_content=False,
                    )  # fmt: skip
                    status = answer.status
                    answer.close()
                    if status not in RETRIED_STATUSES or retry == RETRIES:
                        break
                    time.sleep(PAUSE_SECONDS * 2**retry)
        except Exception as error:  # noqa: BLE001 - the text of any error may contain the address
            failure = type(error).__name__
    if failure is not None:  # raised outside of `except`, so that no library error becomes its context
        raise NotificationFailed(f"it could not be reached: {failure}")
    if not 200 <= status < 300:
        raise NotificationFailed(f"it answered {status}")


@contextmanager
def _urllib3_silent() -> Iterator[None]:
    """Silences urllib3, because its log messages contain addresses, such as warnings about retries."""
    logger = logging.getLogger("urllib3")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _pool(url: str) -> PoolManager:
    """Returns a connection pool, which uses the proxy that the environment sets for this address, if any."""
    from urllib.request import getproxies, proxy_bypass

    import urllib3

    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()


def notification_json(
    notification: Notification, place: Place, at: str, run: Submission | None = None, logs: str | None = None
) -> JSON:
    """Returns the document for a webhook, masked. Chat services show the field ``text``. `run` is the submission that
    the notification is about, `logs` the command that shows its logs."""
    submission = notification.submission
    url = place.console_url(run.kind, run.content.location, run.run_id) if run else None
    return {
        "text": chat_text(notification_text(notification, place))
        + (f" {url}" if url else "")
        + (f" Logs: {chat_text(plain(logs))}" if logs else ""),
        "project": place.project,
        "target": place.target,
        "spec": notification.name,
        "kinds": sorted(str(kind) for kind in notification.kinds),
        "reason": notification.reason,
        "message": sentence(notification.message),
        "generation": submission.generation if submission else None,
        "slot": submission.slot if submission else None,
        "attempt": submission.attempt if submission else 1,
        "run_id": notification.run_id,
        "aws_state": run.aws_state if run else None,
        "detail": sentence(run.detail) if run and run.detail else None,
        "location": dict(run.content.location) if run else None,
        "console_url": url,
        "logs": logs,
        "client_token": notification.client_token,
        "commit": notification.commit,
        "at": at,
    }


def chat_text(text: str) -> str:
    """Returns text that cannot mention a channel or disguise a link: Slack's control characters are escaped, and a long
    text is truncated.

    https://docs.slack.dev/messaging/formatting-message-text
    """
    short = text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def notification_text(notification: Notification, place: Place) -> str:
    """Returns text such as ``analytics/prod: orders-daily: retries-exhausted: run 00f1 failed (generation 3, commit
    1a2b3c4d5e6f)``."""
    more = [
        notification.submission.label if notification.submission else "",
        f"run {notification.run_id}" if notification.run_id else "",
        f"commit {notification.commit[:12]}" if notification.commit else "",
    ]
    details = ", ".join(part for part in more if part)
    message = f": {sentence(notification.message)}" if notification.message else ""
    prefix = plain(f"{place.project}/{place.target}: {notification.name}")
    return f"{prefix}: {plain(notification.reason)}{message}" + (f" ({plain(details)})" if details else "")


def notify(session: Session, plan: Plan, results: Sequence[ActionResult]) -> None:
    """Posts the failures, holds and lost runs of a pass to the target's webhooks, and the notifications that a webhook
    did not accept in earlier passes.

    Each notification is recorded in the ledger before it is posted. It is never posted again to a webhook that accepted
    it, or to which an attempt was interrupted. If a webhook did not accept it, later passes post it again for a day. An
    unreachable webhook is logged and does not stop the pass.
    """
    settings = change_of_settings(plan)
    if not session.target.notify or (settings is not None and settings.stale):
        return  # the webhooks in an old checkout may no longer be in use
    now, recorded = session.now(), session.ledger.recorded
    after = after_results(plan, results, recorded) if results else plan
    deliveries = Deliveries(session, now)
    try:
        deliveries.repeat()
        for notification in new_notifications(after, recorded, now):
            run = recorded.by_token.get(notification.client_token or "")
            document = notification_json(notification, session.place, time_text(now), run, _logs(session, run))
            deliveries.deliver(notification, document)
    except LedgerError as error:
        log.warning("no further notifications in this pass: %s", error)


def _logs(session: Session, run: Submission | None) -> str | None:
    """Returns the command that shows the logs of a run. Returns `None` if there is no run, and for the emulator,
    because it has no logs."""
    if run is None or run.run_id is None or run.started_at is None or session.target.is_emulator:
        return None
    return session.invocation.command("logs", run.run_id)


class Deliveries:
    """Posts notifications to the webhooks of a target in one pass. After a webhook fails, it is not called again in the
    same pass."""

    def __init__(self, session: Session, now: datetime) -> None:
        self._session, self._at = session, time_text(now)
        self._webhooks = {webhook_id(webhook): webhook for webhook in session.target.notify}
        pending = {each: waiting(session.ledger.recorded.undelivered, each, now) for each in self._webhooks}
        self._pending = {each: mine for each, mine in pending.items() if may_ask(mine, now)}
        # A webhook that failed recently is not called in this pass. What is new for it is recorded for later.
        self._failing = self._webhooks.keys() - self._pending.keys()

    def repeat(self) -> None:
        """Posts the notifications that webhooks did not accept before, the oldest first. Raises `LedgerError`."""
        for identifier, pending in self._pending.items():
            for earlier in pending:
                if identifier in self._failing:
                    break
                claim = Redelivering(at=self._at, spec=earlier.spec, key=earlier.key, webhook=identifier)

                def unchanged(recorded: Recorded, earlier: Undelivered = earlier) -> str | None:
                    same = recorded.undelivered.get(delivery_id(earlier)) == earlier
                    return None if same else "another process is posting it"

                # Recorded first, so that only one of several processes posts it, and none posts it again after a kill.
                if not isinstance(self._session.ledger.append([claim], unchanged), Moved):
                    self._post(replace(earlier, at=self._at))

    def deliver(self, notification: Notification, document: JSON) -> None:
        """Records a new notification and posts it to each webhook that subscribes to its kind. For a webhook that is
        failing, it is recorded as undelivered at the same time. Raises `LedgerError`."""

        def is_new(recorded: Recorded) -> str | None:
            return (
                ("it has already been posted")
                if notification.key in recorded.spec(notification.name).notified
                else None
            )

        kinds = tuple(sorted(str(kind) for kind in notification.kinds))
        first = Notified(at=self._at, name=notification.name, key=notification.key, kinds=kinds)
        wanted = [
            Undelivered(
                at=self._at, spec=first.name, key=first.key, webhook=identifier, since=self._at, attempts=0,
                document=document,
            )
            for identifier, webhook in self._webhooks.items()
            if notification.kinds & set(webhook.events)
        ]  # fmt: skip
        later = [each for each in wanted if each.webhook in self._failing]
        if wanted and not isinstance(self._session.ledger.append([first, *later], is_new), Moved):
            for each in wanted:
                if each not in later:
                    self._post(each)

    def _post(self, delivery: Undelivered) -> None:
        """Posts a notification to its webhook, and records a failure."""
        webhook, environ = self._webhooks[delivery.webhook], self._session.environ
        try:
            url = webhook.url or _variable(webhook.urlEnv or "", environ)
            headers = {name: _variable(variable, environ) for name, variable in webhook.headersEnv.items()}
            post(url, {**delivery.document, "id": _document_id(self._session.place, delivery)}, headers)
        except NotificationFailed as error:
            name = f"the webhook of {webhook.urlEnv}" if webhook.urlEnv else "a webhook of the project file"
            about = delivery.document
            log.warning("no notification of %s of %s by %s: %s", about.get("reason"), about.get("spec"), name, error)
            self._failing.add(delivery.webhook)
            self._session.ledger.append([replace(delivery, attempts=delivery.attempts + 1)], lambda _: None)


def _document_id(place: Place, delivery: Undelivered) -> str:
    """Returns an identifier for the notification, which is the same each time the notification is posted."""
    return sha256(f"{place.project}/{place.target} {delivery.spec} {delivery.key}".encode()).hexdigest()[:32]


def _variable(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name, "")
    if not value:
        raise NotificationFailed(f"the environment variable {name} is not set")
    return value
