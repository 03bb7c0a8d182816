"""Secrets that somebody else repeats, where no name beside them and no shape tells that they are secrets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from html import escape
from urllib.parse import quote, quote_plus

from reconciler.mask.text import SENSITIVE


def without(text: str, secrets: Iterable[str]) -> str:
    """`text` with these secrets, longest first, as ``(sensitive)``: the way they are, and the ways that programs quote
    them: in JSON, in HTML, in an address, in Python's ``repr``."""
    for secret in secrets:
        for form in dict.fromkeys(_forms(secret)):
            text = text.replace(form, SENSITIVE)
    return text


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield escape(secret)
    yield quote(secret, safe="", errors="replace")
    yield quote_plus(secret, errors="replace")
