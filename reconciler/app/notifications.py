"""Notifications: what a pass led to, posted to webhooks, each event at most once."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.util import Retry, Timeout

from reconciler import __version__
from reconciler.core.events import Notified
from reconciler.core.identity import Place
from reconciler.core.notifications import Notification, after_results, notices
from reconciler.core.ports import Moved
from reconciler.core.times import time_text
from reconciler.errors import LedgerError, NotificationFailed
from reconciler.model.base import JSON
from reconciler.render.text import plain, sentence

if TYPE_CHECKING:
    from reconciler.app.session import Session
    from reconciler.core.plan import ActionResult, Plan
    from reconciler.core.state import Recorded
    from reconciler.model.project import Webhook

TIMEOUT = Timeout(connect=3, read=5)
RETRIES = 3
PAUSE_SECONDS = 0.3  # doubled with each retry
PASSING = (408, 429, 500, 502, 503, 504)
"""Answers that another try may better."""


def post(url: str, document: JSON, headers: Mapping[str, str] | None = None) -> None:
    """Posts `document` as JSON; up to `RETRIES` times more where the connection fails or the answer is one of
    `PASSING`.

    Raises `NotificationFailed`, which names the host only: the rest of the address may be a secret.
    """
    host = urlsplit(url).hostname or "?"
    retry = Retry(RETRIES, redirect=0, status_forcelist=PASSING, allowed_methods=None, backoff_factor=PAUSE_SECONDS)
    sent = {"Content-Type": "application/json", "User-Agent": f"reconciler/{__version__}", **(headers or {})}
    try:
        with _pool(url) as pool:
            body = json.dumps(document).encode()
            answer = pool.request("POST", url, body=body, headers=sent, retries=retry, timeout=TIMEOUT)
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise NotificationFailed(f"the webhook at {host} was not reached: {type(error).__name__}") from None
    if not 200 <= answer.status < 300:
        raise NotificationFailed(f"the webhook at {host} answered {answer.status}")


def _pool(url: str) -> urllib3.PoolManager:
    """Connections, through the proxy that the environment names for this address, if it names one."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()


def notice_json(notice: Notification, place: Place, at: str) -> JSON:
    """The document that a webhook gets; ``text`` is what Slack and its like show. Masked, as all that people read."""
    return {
        "text": notice_text(notice, place),
        "project": place.project,
        "target": place.target,
        "spec": notice.name,
        "kinds": sorted(str(kind) for kind in notice.kinds),
        "reason": notice.reason,
        "message": sentence(notice.message),
        "generation": notice.generation,
        "slot": notice.slot,
        "attempt": notice.attempt,
        "run_id": notice.run_id,
        "client_token": notice.client_token,
        "commit": notice.commit,
        "at": at,
    }


def notice_text(notice: Notification, place: Place) -> str:
    """``analytics/prod: orders-daily: retries-exhausted: run 00f1 failed (generation 3, commit 1a2b3c4d5e6f)``."""
    which = f"slot {notice.slot}" if notice.slot else f"generation {notice.generation}" if notice.generation else ""
    more = [
        which,
        f"run {notice.run_id}" if notice.run_id else "",
        f"commit {notice.commit[:12]}" if notice.commit else "",
    ]
    said = ", ".join(part for part in more if part)
    message = f": {sentence(notice.message)}" if notice.message else ""
    place_and_name = f"{place.project}/{place.target}: {notice.name}"
    return f"{plain(place_and_name)}: {plain(notice.reason)}{message}" + (f" ({plain(said)})" if said else "")


log = logging.getLogger(__name__)


def notify(session: Session, plan: Plan, results: Sequence[ActionResult]) -> None:
    """Posts what the pass led to to the target's webhooks.

    Each event is posted at most once, whichever pass finds it: the ledger records it first. A webhook that cannot be
    reached is logged and stops nothing.
    """
    webhooks = session.target.notify
    if not webhooks:
        return
    now, recorded = session.now(), session.ledger.recorded
    for notice in notices(after_results(plan, results, recorded) if results else plan, recorded, now):
        wanted = [webhook for webhook in webhooks if notice.kinds & set(webhook.events)]
        if wanted and _is_ours(session, notice, time_text(now)):
            document = notice_json(notice, session.place, time_text(now))
            for webhook in wanted:
                _post(webhook, document, session.environ)


def _is_ours(session: Session, notice: Notification, at: str) -> bool:
    """Whether this process is the one that tells."""

    def valid(recorded: Recorded) -> str | None:
        return "told already" if notice.key in recorded.spec(notice.name).notified else None

    kinds = tuple(sorted(str(kind) for kind in notice.kinds))
    try:
        appended = session.ledger.append([Notified(at=at, name=notice.name, key=notice.key, kinds=kinds)], valid)
    except LedgerError as error:
        log.warning("nobody was told of %s (%s): %s", notice.name, notice.reason, error)
        return False
    return not isinstance(appended, Moved)


def _post(webhook: Webhook, document: Mapping[str, object], environ: Mapping[str, str]) -> None:

    try:
        url = webhook.url or _variable(webhook.urlEnv or "", environ)
        headers = {name: _variable(variable, environ) for name, variable in webhook.headersEnv.items()}
        post(url, dict(document), headers)
    except NotificationFailed as error:
        log.warning("%s of %s was not told: %s", document["reason"], document["spec"], error)


def _variable(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name, "")
    if not value:
        raise NotificationFailed(f"the environment variable {name} is not set")
    return value
