"""Finds secrets by their shape, whatever their name. A match's group ``s`` is the secret, or else all of the match."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

Span = tuple[int, int]

# AWS: "Understanding unique ID prefixes" in the IAM guide. A key id alone is not a secret, but it identifies its owner.
ACCESS_KEY_ID = r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"

# The 40 characters of an AWS secret access key. Both cases are required, which excludes hex digests (git commits).
SECRET_ACCESS_KEY = (
    r"(?<![A-Za-z0-9/+=])(?=[A-Za-z0-9/+]{0,39}[a-z])(?=[A-Za-z0-9/+]{0,39}[A-Z])(?=[A-Za-z0-9/+]{0,39}[0-9])"
    r"[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"
)

SCHEME = r"(?i:basic|bearer|digest|negotiate|ntlm|token|apikey|api-key|aws4-hmac-sha256)"
ASSIGNED = r"\\{0,15}[\"']?[ \t]*(?::|=>?)[ \t]*\\{0,15}[\"']?"
REFERENCE = r"\$?\$\{[^}\s]*\}|\$[A-Z_][A-Z0-9_]*(?!\w)|Ref::|EMR\.secret@|\{\{resolve:|\(sensitive"
PARAMETER = r"[\w-]+=(?:\\{0,15}\"[^\"\\\n]*\\{0,15}\"|[^\s\"'\\,}\]]+)"
# What follows the scheme: parameters, as in Digest, or one word; not a reference, nor the scheme before a reference.
CREDENTIAL = (
    rf"(?!{REFERENCE}|{SCHEME}(?:[ \t]+(?:{REFERENCE})|\W*$))"
    rf"(?:{PARAMETER}(?:,[ \t]*{PARAMETER})+|{PARAMETER}|[^\s\"'\\,}}\]]+)"
)

SHAPES = (
    ACCESS_KEY_ID,
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    # JSON Web Tokens: a JSON object in base64url starts with "eyJ"
    r"(?<![\w-])eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]+)*",
    # GitHub, GitLab, Slack, Google, Stripe, Databricks, npm, PyPI and OpenAI tokens, by the prefixes they document
    r"(?<!\w)gh[pousr]_[A-Za-z0-9]{20,}",
    r"(?<!\w)github_pat_\w{20,}",
    r"(?<!\w)glpat-[\w-]{16,}",
    r"(?<!\w)xox[a-z]-[A-Za-z0-9-]{10,}",
    r"(?<!\w)xapp-[A-Za-z0-9-]{10,}",
    r"hooks\.slack\.com/services/(?P<s>[\w/]+)",
    r"(?<!\w)AIza[\w-]{35}",
    r"(?<!\w)[sr]k_(?:live|test)_[A-Za-z0-9]{10,}",
    r"(?<!\w)dapi[0-9a-f]{32}",
    r"(?<!\w)npm_[A-Za-z0-9]{36}",
    r"(?<!\w)pypi-[\w-]{50,}",
    r"(?<![\w-])sk-[A-Za-z0-9_-]{20,}",
    # scheme://user:password@host, also if the password contains @ or /; a port is not a password
    r"://[^/\s:@\"']{0,200}:(?P<s>[^\s/\"']{1,4000})@",
    r"://[^/\s:@\"']{0,200}:(?!\d+(?:/|$))(?P<s>[^\s\"'@]{1,200})@",
    r"https?://(?P<s>[A-Za-z0-9_.~-]{20,4000})@",
    r"jdbc:oracle:\w+:[^/\s@:]+/(?P<s>[^\s@]{1,400})@",
    # signed URLs: S3 and Azure
    r"(?i)[?&](?:x-amz-signature|signature|sig)=(?P<s>[^\s&\"']+)",
    r"(?i)(?<!\w)bearer\s+(?P<s>[A-Za-z0-9._~+/-]{8,}=*)",
    # headers: any scheme after Authorization itself, the usual schemes after any name that ends with it
    rf"(?i:(?<![\w.])(?:proxy-)?authorization){ASSIGNED}(?P<s>(?:[A-Za-z][\w-]*[ \t]+)?{CREDENTIAL})",
    rf"(?i:authorization){ASSIGNED}(?P<s>{SCHEME}[ \t]+{CREDENTIAL})",
    rf"(?i:(?<![\w.-])x-(?:[a-z]+-){{0,4}}(?:api-?key|key|token|secret|password|auth)):[ \t]*(?P<s>{CREDENTIAL})",
    r"(?i)\b(?:identified\s+by|password)\s+(?P<s>'[^'\n]+'|\"[^\"\n]+\")",
)


@cache
def _shapes() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(shape) for shape in SHAPES)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def has_access_key_id(text: str) -> bool:
    """Whether the text contains an AWS access key id: then a 40-character string near it is its secret key."""
    return ("AKIA" in text or "ASIA" in text) and _compiled(ACCESS_KEY_ID).search(text) is not None


def shape_spans(text: str, *, beside_key_id: bool = False) -> Iterator[Span]:
    """Where `text` contains something with the shape of a secret.

    `beside_key_id`: an AWS access key id is near, so a 40-character string counts as its secret key.
    """
    for pattern in _shapes():
        for match in pattern.finditer(text):
            yield match.span("s") if "s" in pattern.groupindex else match.span()
    if beside_key_id or has_access_key_id(text):
        yield from (match.span() for match in _compiled(SECRET_ACCESS_KEY).finditer(text))
    yield from _key_lines(text)


def _key_lines(text: str) -> Iterator[Span]:
    """Lines of only base64, as in the body of a private key; a digest in hex is not such a line."""
    for match in _compiled(r"(?m)^[ \t]*(?:- )?[\"']?([A-Za-z0-9+/]{60,}={0,2})[\"']?[ \t]*$").finditer(text):
        body = match[1]
        if re.search(r"[a-z]", body) and re.search(r"[A-Z]", body) and re.search(r"[0-9+/]", body):
            yield match.span(1)
