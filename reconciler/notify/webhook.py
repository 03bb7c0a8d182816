"""One document to one webhook, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.util import Retry, Timeout

from reconciler import __version__
from reconciler.errors import NotTold
from reconciler.model.strict import JSON

TIMEOUT = Timeout(connect=3, read=5)
RETRIES = 3
PAUSE_SECONDS = 0.3  # doubled with each retry
PASSING = (408, 429, 500, 502, 503, 504)
"""Answers that another try may better."""


def post(url: str, document: JSON, headers: Mapping[str, str] | None = None) -> None:
    """Posts `document` as JSON; up to `RETRIES` times more where the connection fails or the answer is one of
    `PASSING`. Raises `NotTold`, which names the host and never the rest of the address: it may be a secret."""
    host = urlsplit(url).hostname or "?"
    retry = Retry(RETRIES, redirect=0, status_forcelist=PASSING, allowed_methods=None, backoff_factor=PAUSE_SECONDS)
    sent = {"Content-Type": "application/json", "User-Agent": f"reconciler/{__version__}", **(headers or {})}
    try:
        with _pool(url) as pool:
            body = json.dumps(document).encode()
            answer = pool.request("POST", url, body=body, headers=sent, retries=retry, timeout=TIMEOUT)
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise NotTold(f"the webhook at {host} was not reached: {type(error).__name__}") from None
    if not 200 <= answer.status < 300:
        raise NotTold(f"the webhook at {host} answered {answer.status}")


def _pool(url: str) -> urllib3.PoolManager:
    """Connections, through the proxy that the environment names for this address, if it names one."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()
