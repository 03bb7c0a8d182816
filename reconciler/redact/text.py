"""Secrets inside texts: log lines, errors, lines of spec files, commands, parameter strings."""

from __future__ import annotations

import html
import json
import logging
import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from urllib.parse import quote, quote_plus

from reconciler.redact.escape import escape, lines_text
from reconciler.redact.keys import harmless, secret_key
from reconciler.redact.shapes import Span, shape_spans

SENSITIVE = "(sensitive)"
LONGEST_HARMLESS = 2000  # characters of a path, a class, a reference

# Each of these matches a name and what stands between it and its value; the value is read from there on. The
# look-behind lets a name begin only where a word begins, so that long words are read once.
NAME = r"(?<![\w.\-])(?<!reconciler:)(?P<key>-{0,2}[A-Za-z_][\w.\-]*)"
MAYBE = (
    r"\\{0,15}[\"']?"  # a quote that may be escaped, in JSON inside JSON three times; bounded: each run is read once
)
QUOTE = r"(?P<q>\\{0,15}[\"'])"
NAMES = (
    rf"{NAME}\s?=\s?",  # password=x, -Dpassword=x, --conf spark.password=x, ?token=x
    rf"{QUOTE}(?P<key>[^\"'\\\n]{{1,200}})(?P=q)\s*(?::|=>?)\s*",  # "password": "x", also inside a JSON string
    # {name: DB_PASSWORD, value: x}
    rf"(?i:\bname){MAYBE}\s*[:=]\s*{MAYBE}(?P<key>[\w.\-]+){MAYBE}\s*,\s*{MAYBE}(?i:value){MAYBE}\s*[:=]\s*",
)
OPTIONS = (
    rf"{NAME}\s+",  # --password x
    rf"{QUOTE}(?P<key>--?[A-Za-z][\w.\-]*)(?P=q)\s*,\s*",  # ["--password", "x"]
    rf"{NAME}\s*,\s*",  # [--password, x]
)
LINE_NAME = r"(?m)^[ \t]*(?:-[ \t]+)*(?P<key>[\w.\-/:]*[\w\-])[ \t]*:[ \t]+"  # a line of YAML
PROSE_NAME = rf"{NAME}:[ \t]+"  # in a flow mapping, and in logs

# A value in plain text ends at white space, at a quote that closes what is around it, and where the next name begins.
CLOSED = r"\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'"
OPEN = r"[\"'][^\n]*"  # the quote ends on another line, or was cut off
BARE = r"(?!\\{0,15}[\"'](?:[\s,;:&\])}\\]|$))(?:[^\s&;,]|[&;,](?![\w.\-]+=)(?=[^\s&;,]))"
VALUE = rf"(?:(?:{CLOSED})+(?:{BARE})*|{OPEN}|(?:{BARE})+)"
ENTRY = rf"(?:{CLOSED}|{OPEN}|(?:\$\{{[^}}\s]*\}}|[^\s,}}\]\"'])+)"  # in a list or mapping on one line
REST = r"\S[^\n]*"

BLOCK_START = r"[|>][+-]?\d?|\*+"  # not an anchor or a tag: a password may begin with & or ! too
FLAG = r"--?[A-Za-z][\w-]*(?:=.*)?"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@lru_cache(maxsize=16)
def _quoted(quote: str) -> re.Pattern[str]:
    """A value between two of `quote`, which may be escaped itself; one with a further backslash does not end it."""
    q = re.escape(quote)
    return re.compile(rf"{q}(?:(?!{q})[^\n]|(?<=\\){q})*(?:{q}|$)")


def is_secret_option(text: str) -> bool:
    """Whether an argument is an option, such as ``--db-password``, whose value is the next argument."""
    return text.startswith("-") and "=" not in text and _is_flag(text) and secret_key(text)


def is_option_value(option: str, value: str) -> bool:
    """Whether `value`, the argument after a secret `option`, is to be hidden: another option is not a value."""
    return not _is_flag(value) and not harmless(option, value)


def _is_flag(text: str) -> bool:
    return re.fullmatch(FLAG, text, re.DOTALL) is not None


# Something of this, in lower case, is in every text that holds a secret by name or by shape. Most texts hold none, and
# are not read any further.
HINTS = (
    "secret", "pass", "pwd", "token", "credential", "key", "userinfo", "authorization", "bearer", "x-auth",
    "identified", "akia", "asia", "eyj", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox",
    "xapp-", "hooks.slack", "aiza", "k_live_", "k_test_", "sk-", "dapi", "npm_", "pypi-", "sig=", "signature=",
)  # fmt: skip
LONG_RUN = r"[A-Za-z0-9+/]{40}"


def _may_hold(text: str) -> bool:
    """Whether it is worth looking closer."""
    low = text.lower()
    return (
        any(map(low.__contains__, HINTS))
        or ("@" in low and ("://" in low or "jdbc:" in low))
        or (len(low) >= 40 and _compiled(LONG_RUN).search(text) is not None)
    )


def secret_spans(text: str, *, colons: bool = True, beside_key_id: bool = False) -> list[Span]:
    """The parts of `text` that look like secrets, sorted and apart.

    `colons`: also what follows ``password:``. Off for sentences, where a colon ends a name more often than not.
    """
    if not _may_hold(text):
        return []
    found = [*shape_spans(text, beside_key_id=beside_key_id), *_named(text), *_after_options(text)]
    if colons:
        found += (*_after(text, LINE_NAME, REST), *_after(text, PROSE_NAME, ENTRY))
    return _apart(found)


def _named(text: str) -> Iterator[Span]:
    """Values given to a name."""
    assigned, *keyed = NAMES
    yield from _after(text, assigned, VALUE)
    for pattern in keyed:
        yield from _after(text, pattern, ENTRY)


def _after(text: str, names: str, values: str) -> Iterator[Span]:
    end = 0
    for match in _compiled(names).finditer(text):
        if match.end() >= end and secret_key(match["key"]):
            span = _value(text, match, values)
            if span and (_is_long(span) or not _is_harmless(match["key"], _bare(text, span))):
                end = span[1]
                yield span


def _after_options(text: str) -> Iterator[Span]:
    spaced, *listed = OPTIONS
    for pattern, values in ((spaced, VALUE), *((pattern, ENTRY) for pattern in listed)):
        end = 0
        for match in _compiled(pattern).finditer(text):
            if match.end() >= end and is_secret_option(match["key"]):
                span = _value(text, match, values)
                if span and (_is_long(span) or _is_hidden_option(match["key"], _bare(text, span))):
                    end = span[1]
                    yield span


def _is_long(span: Span) -> bool:
    """Whether a value is longer than anything that is no secret. It is then read once, and not again from each name
    that may be inside it."""
    return span[1] - span[0] > LONGEST_HARMLESS


def _is_harmless(key: str, value: str) -> bool:
    return harmless(key, value) or _is_shown(value)


def _is_hidden_option(key: str, value: str) -> bool:
    return is_option_value(key, value) and not _is_shown(value)


def _value(text: str, match: re.Match[str], values: str) -> Span | None:
    """Where the value after a name is: up to the same quote where the name is quoted, else as `values` says."""
    quote = match.groupdict().get("q")
    quoted = _quoted(quote).match(text, match.end()) if quote else None
    value = quoted or _compiled(values).match(text, match.end())
    return value.span() if value else None


def _bare(text: str, span: Span) -> str:
    return text[span[0] : span[1]].strip("\\\"'")


def _is_shown(value: str) -> bool:
    """Whether there is nothing to hide any more, or the value comes on the next lines (a YAML block)."""
    return value.startswith("(sensitive") or re.fullmatch(BLOCK_START, value) is not None


def _apart(spans: list[Span]) -> list[Span]:
    """Sorted, with overlapping and touching ones made one."""
    apart: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if apart and start <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
        else:
            apart.append((start, end))
    return apart


def replaced(text: str, spans: list[Span], replacement: str = SENSITIVE) -> str:
    """`text` with each of the spans, sorted and apart, replaced."""
    parts: list[str] = []
    position = 0
    for start, end in spans:
        parts += (text[position:start], replacement)
        position = end
    return "".join((*parts, text[position:]))


def mask_text(text: str) -> str:
    """`text` (a log line, an error, a line of a spec, several lines) with what looks like a secret as ``(sensitive)``.

    By shape wherever it is; by name in ``password: x``, ``password=x``, ``--password x``, ``"password": "x"``. One line
    does not tell that its value belongs to a name on another line: there `masked` on the whole request does.
    """
    return replaced(text, secret_spans(text))


def mask_sentence(text: str) -> str:
    """As `mask_text`, for sentences of our own, in which ``spec.request.password: unknown field`` is no secret."""
    return replaced(text, secret_spans(text, colons=False))


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
    yield html.escape(secret)
    yield quote(secret, safe="", errors="replace")
    yield quote_plus(secret, errors="replace")


class MaskingFilter(logging.Filter):
    """Masks and escapes the formatted text of every record that passes, tracebacks included. It lets all of them pass.

    Put it on handlers: a filter on a logger does not see the records of the loggers below it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Replaces the record's message, and what would be printed after it."""
        record.msg = _shown(_message(record))
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = _shown(record.exc_text)
        if record.stack_info:
            record.stack_info = _shown(record.stack_info)
        return True


def _shown(text: str) -> str:
    return lines_text(escape(mask_text(text), single_line=False).split("\n"))


def _message(record: logging.LogRecord) -> str:
    """The formatted message; where it and its arguments do not go together, both, so that nothing is lost."""
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return f"{record.msg} {record.args!r}"
