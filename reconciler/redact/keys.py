"""Decides by its name whether a value is a secret.

Masking too much is a risk too, since nobody reviews what is masked. So a value under a secret-looking name is shown if
it is clearly something else: a reference to a secret, a class name, a count, a path.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

NOT_SECRET = frozenset({"clienttoken", "reconciler:token"})
"""The reconciler's own tokens. They identify runs and are not secrets."""

MAX_KEY = 300  # characters of a name that are looked at


@cache
def _secret_words() -> re.Pattern[str]:
    """Matches a name split into lower-case words: Spark's own redaction pattern (secret, password, token, access.key)
    and the names that other tools use."""
    return re.compile(
        r"secret|passw(?:or)?d|passphrase|passcode|credential|userinfo"
        r"|(?:^| )[a-z0-9]*tokens?(?: |$)"
        r"|(?:^| )(?:[a-z0-9]*pwd|(?!(?:by|com|sur|tres)pass)[a-z0-9]*pass|authorization|bearer)(?: |$)"
        r"|(?:access|api|private|secret|encryption|decryption|signing|master|account|shared|storage|ssh|auth|license"
        r"|subscription|webhook|sas) ?keys?(?: |$)"
    )


@cache
def _boundaries() -> re.Pattern[str]:
    """Matches where one word of a name ends and the next begins: separators, ``aB``, ``ABc``."""
    return re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@lru_cache(maxsize=4096)
def words(key: str) -> tuple[str, ...]:
    """``fs.s3a.secretKey`` → ``("fs", "s3a", "secret", "key")``."""
    return tuple(word.lower() for word in _boundaries().split(key[:MAX_KEY]) if word)


@lru_cache(maxsize=4096)
def secret_key(key: str) -> bool:
    """Whether a field, variable, setting or option of this name usually holds a secret."""
    return key.lower() not in NOT_SECRET and _secret_words().search(" ".join(words(key))) is not None


@cache
def _reference() -> re.Pattern[str]:
    """Matches values that name a secret instead of holding it: Secrets Manager and Parameter Store ARNs, EMR
    Serverless's ``EMR.secret@NAME``, Batch's ``Ref::name``, CloudFormation's ``{{resolve:…}}``, placeholders, shell
    variables."""
    return re.compile(
        r"arn:aws[a-z-]*:(?:secretsmanager|ssm|kms|iam):\S*"
        r"|EMR\.secret@\S+|Ref::[A-Za-z_]\w*|\{\{resolve:[^}]*\}\}"
        r"|\$?\$\{[A-Za-z_][\w.:%-]*\}|\$[A-Z_][A-Z0-9_]*"
    )


CLASS = r"[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)+"
PATH = r"(?:(?:s3|s3a|s3n|hdfs|file|local|abfss|gs|https?)://|\.{0,2}/|~/)[^\s@?]*"
NAME = r"[A-Za-z_][\w./-]*"
PLAIN_BY_LAST_WORD = {
    "provider": CLASS + rf"(?:\s*,\s*{CLASS})*",
    "providers": CLASS + rf"(?:\s*,\s*{CLASS})*",
    "class": CLASS,
    "factory": CLASS,
    "impl": CLASS,
    "file": PATH,
    "path": PATH,
    "dir": PATH,
    "location": PATH,
    "pwd": r"\.{0,2}/\S*",  # the working folder, as shells export it
    "arn": r"arn:\S+",
    "url": r"[a-z][a-z0-9+.-]*://\S+",
    "uri": r"[a-z][a-z0-9+.-]*://\S+",
    "endpoint": r"(?:[a-z][a-z0-9+.-]*://\S+|[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?)",
    "name": NAME,
    "user": NAME,
    "username": NAME,
    "column": NAME,
    "algorithm": NAME,
    "type": r"[A-Za-z_-]{1,24}",
    "version": r"\d{1,4}(?:\.\d{1,4})*|AWSCURRENT|AWSPREVIOUS",
}
"""The pattern of a harmless value, by the last word of its name: ``credentials.provider`` is a class. Such a value is
still searched for secrets by shape."""

SCHEMES = frozenset({"basic", "bearer", "digest", "negotiate", "ntlm", "token"})
"""Words before the credential in an Authorization header."""

COUNTS = frozenset({
    "max", "min", "num", "number", "count", "limit", "length", "size", "retries", "tokens",
    "ttl", "timeout", "expiry", "expiration", "expires", "lifetime", "interval", "period", "duration", "age",
    "days", "hours", "minutes", "seconds", "ms",
})  # fmt: skip


@cache
def _plain(last_word: str) -> re.Pattern[str] | None:
    pattern = PLAIN_BY_LAST_WORD.get(last_word)
    return re.compile(pattern) if pattern else None


def harmless(key: str, value: object) -> bool:
    """Whether a value under a secret-looking name is clearly not a secret: empty, a boolean, a reference to a secret, a
    count under a name that counts, or what the last word of the name says (a class, a path, a name)."""
    text = str(value).strip()
    if isinstance(value, bool) or text.lower() in {"", "none", "null", "true", "false", "yes", "no"}:
        return True
    if _reference().fullmatch(text):
        return True
    parts = words(key)
    if not parts:
        return False
    if parts[-1] == "authorization":
        scheme, _, rest = text.partition(" ")
        if scheme.lower() in SCHEMES and (not rest.strip() or _reference().fullmatch(rest.strip())):
            return True
    if parts[-1] in COUNTS and re.fullmatch(r"-?[0-9]{1,12}(?:\.[0-9]{1,3})?\s?[a-z]{0,7}", text):
        return True
    plain = _plain(parts[-1])
    return plain is not None and plain.fullmatch(text) is not None
