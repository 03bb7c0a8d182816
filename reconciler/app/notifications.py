"""Posts notifications about the specs of a pass to webhooks, each at most once."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reconciler import __version__
from reconciler.app.session import Session
from reconciler.core.events import Notified
from reconciler.core.identity import Place
from reconciler.core.notifications import Notification, after_results, new_notifications
from reconciler.core.plan import ActionResult, Plan
from reconciler.core.ports import Moved
from reconciler.core.settings import change_of_settings
from reconciler.core.state import Recorded, Submission
from reconciler.core.times import time_text
from reconciler.errors import LedgerError, NotificationFailed
from reconciler.model.base import JSON
from reconciler.model.project import Webhook
from reconciler.render.runs import console_url
from reconciler.render.text import plain, sentence

if TYPE_CHECKING:
    from urllib3 import PoolManager

log = logging.getLogger(__name__)

CONNECT_SECONDS, READ_SECONDS = 3, 5
RETRIES = 3
PAUSE_SECONDS = 0.3  # doubled with each retry
RETRIED_STATUSES = (408, 429, 500, 502, 503, 504)
"""HTTP statuses after which the request is retried."""


def post(url: str, document: JSON, headers: Mapping[str, str] | None = None) -> None:
    """Posts `document` as JSON. Retries up to `RETRIES` times if the connection fails or the status is one of
    `RETRIED_STATUSES`.

    Raises `NotificationFailed`, which does not contain the address, because every part of the address may be a secret.
    """
    from urllib3.util import Retry, Timeout  # takes longer than all other imports of a pass without webhooks

    retry = Retry(
        RETRIES, redirect=0, status_forcelist=RETRIED_STATUSES, allowed_methods=None, backoff_factor=PAUSE_SECONDS
    )
    sent = {"Content-Type": "application/json", "User-Agent": f"reconciler/{__version__}", **(headers or {})}
    failure = None
    with _urllib3_silent():
        try:
            with _pool(url) as pool:
                body, timeout = json.dumps(document).encode(), Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
                answer = pool.request("POST", url, body=body, headers=sent, retries=retry, timeout=timeout)
        except Exception as error:  # noqa: BLE001 - the text of any error may contain the address
            failure = type(error).__name__
    if failure is not None:  # raised outside of `except`, so that no library error becomes its context
        raise NotificationFailed(f"it could not be reached: {failure}")
    if not 200 <= answer.status < 300:
        raise NotificationFailed(f"it answered {answer.status}")


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
    """Returns a connection pool, through the proxy that the environment sets for this address, if any."""
    from urllib.request import getproxies, proxy_bypass

    import urllib3

    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()


def notification_json(notification: Notification, place: Place, at: str, run: Submission | None = None) -> JSON:
    """Returns the document for a webhook, masked. Chat services show the field ``text``. `run` is the submission that
    the notification is about."""
    submission = notification.submission
    url = console_url(place, run.kind, run.content.location, run.run_id) if run else None
    return {
        "text": notification_text(notification, place) + (f" {url}" if url else ""),
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
        "client_token": notification.client_token,
        "commit": notification.commit,
        "at": at,
    }


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
    """Posts the failures, holds and lost runs of a pass to the target's webhooks.

    Each notification is posted at most once across all passes, because it is recorded in the ledger first. An
    unreachable webhook is logged and does not stop the pass.
    """
    webhooks = session.target.notify
    settings = change_of_settings(plan)
    if not webhooks or (settings is not None and settings.stale):
        return  # the webhooks of an old checkout may not be those that people read
    now, recorded = session.now(), session.ledger.recorded
    after = after_results(plan, results, recorded) if results else plan
    for notification in new_notifications(after, recorded, now):
        wanted = [webhook for webhook in webhooks if notification.kinds & set(webhook.events)]
        if wanted and _record(session, notification, time_text(now)):
            run = recorded.by_token.get(notification.client_token or "")
            document = notification_json(notification, session.place, time_text(now), run)
            for webhook in wanted:
                _post(webhook, document, session.environ)


def _record(session: Session, notification: Notification, at: str) -> bool:
    """Records a notification. Returns whether this process recorded it and therefore posts it."""

    def not_recorded(recorded: Recorded) -> str | None:
        return "it was posted before" if notification.key in recorded.spec(notification.name).notified else None

    kinds = tuple(sorted(str(kind) for kind in notification.kinds))
    event = Notified(at=at, name=notification.name, key=notification.key, kinds=kinds)
    try:
        appended = session.ledger.append([event], not_recorded)
    except LedgerError as error:
        log.warning("no notification of %s (%s): %s", notification.name, notification.reason, error)
        return False
    return not isinstance(appended, Moved)


def _post(webhook: Webhook, document: Mapping[str, object], environ: Mapping[str, str]) -> None:
    try:
        url = webhook.url or _variable(webhook.urlEnv or "", environ)
        headers = {name: _variable(variable, environ) for name, variable in webhook.headersEnv.items()}
        post(url, dict(document), headers)
    except NotificationFailed as error:
        webhook_name = f"the webhook of {webhook.urlEnv}" if webhook.urlEnv else "a webhook of the project file"
        log.warning("no notification of %s of %s by %s: %s", document["reason"], document["spec"], webhook_name, error)


def _variable(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name, "")
    if not value:
        raise NotificationFailed(f"the environment variable {name} is not set")
    return value
