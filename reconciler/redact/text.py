"""Masks secrets in text: log lines, errors, lines of spec files, commands, parameter strings."""

import binascii
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from urllib.parse import quote, quote_plus

from reconciler.redact.arguments import is_ordinary, may_have_names, word_spans
from reconciler.redact.commands import BARE, SUBSTITUTION, command_spans, up_to_quote
from reconciler.redact.escape import escape, lines_text
from reconciler.redact.shapes import Span, harmless, secret_key, shape_spans

SENSITIVE = "(sensitive)"
LONGEST_HARMLESS = 2000  # characters of a path, a class, a reference

# Each pattern matches a name and the separator before its value; the value is read from there. Because of the
# look-behind, a name starts only at the start of a word, so that a long word is read only once.
NAME = r"(?<![\w.\-])(?<!reconciler:)(?P<key>-{0,2}[A-Za-z_][\w.\-]*)"
# A quote that may be escaped; in JSON inside JSON, three times. The number is bounded, so that each run of backslashes
# is read only once.
MAYBE = r"\\{0,15}[\"']?"
QUOTE = r"(?P<q>\\{0,15}[\"'])"
CLOSED = r"\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'"
OPEN = r"[\"'][^\n]*"  # the quote ends on another line or was cut off
VALUE = rf"(?:{SUBSTITUTION}|(?:{CLOSED})+(?:{BARE})*|{OPEN}|(?:{BARE})+)"
ENTRY = rf"(?:{CLOSED}|{OPEN}|(?:\$\{{[^}}\s]*\}}|[^\s,}}\]\"'])+)"  # in a list or mapping on one line
REST = r"\S[^\n]*"

# Patterns of a name, each with the pattern of the value that follows.
NAMES = (
    (rf"{NAME}\s{{0,3}}(?:=>|:=|=)\s{{0,3}}", VALUE),  # password=x, -Dpassword=x, --conf spark.password=x, ?token=x
    # "password": "x", also in a JSON string, and d["password"] = "x"
    (rf"{QUOTE}(?P<key>[^\"'\\\n]{{1,200}})(?P=q)\s{{0,3}}\]?\s*(?::|=>?)\s*", ENTRY),
    (  # {name: DB_PASSWORD, value: x}
        rf"(?i:\b(?:parameter)?(?:name|key)){MAYBE}\s*[:=]\s*{MAYBE}(?P<key>[\w.\-]+){MAYBE}(?:\s*,\s*|\s+){MAYBE}"
        rf"(?i:(?:parameter)?value){MAYBE}\s*[:=]\s*",
        ENTRY,
    ),
    (r"(?<![\w.\-:/])(?P<key>--?[A-Za-z][\w.\-]*):(?=\S)(?!//)", VALUE),  # --password:x
    (r"<(?P<key>[A-Za-z][\w.\-]*)>", r"[^<\n]+(?=</)"),  # <password>x</password>
    (r"(?i:name>)(?P<key>[\w.\-]+)</\w+>\s*<(?i:value)>", r"[^<\n]+"),
)
OPTIONS = (
    (rf"{NAME}\s+", VALUE),  # --password x
    (rf"{QUOTE}(?P<key>--?[A-Za-z][\w.\-]*)(?P=q)\s*,\s*", ENTRY),  # ["--password", "x"]
    (rf"{NAME}\s*,\s*", ENTRY),  # [--password, x]
)
LESS_CERTAIN = (  # a value that looks like an ordinary word is shown
    (rf"\(\s*{QUOTE}(?P<key>[\w.\-]+)(?P=q)\s*,\s*", ENTRY),  # conf.set("spark.x.password", "y")
    (r"(?<![\w.\-/])(?P<key>[a-z]\w*(?:\.[\w\-]+)+)[ \t]+", r"(?!-)[^\s\"']+"),  # as in spark-defaults.conf
    (r"(?<![\w.\-:/])/?(?P<key>[A-Za-z_][\w.\-]*):(?!//)", r"[^\s\"',;]+"),  # password:x
)
COLONS = (
    (r"(?m)^[ \t]*(?:-[ \t]+)*(?P<key>[\w.\-/:]*[\w\-])[ \t]*:[ \t]+", REST),  # a line of YAML
    (rf"{NAME}:[ \t]+", ENTRY),  # in a flow mapping, and in logs
)

BLOCK_START = r"[|>][+-]?\d?|\*+"  # not an anchor or a tag, because a password may start with & or ! too
FLAG = r"--?[A-Za-z][\w.-]*(?:=.*)?"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def is_secret_option(text: str) -> bool:
    """Returns whether an argument is an option, such as ``--db-password``, whose value is the next argument."""
    return text.startswith("-") and "=" not in text and _is_flag(text) and secret_key(text)


def is_option_value(option: str, value: str) -> bool:
    """Returns whether to hide `value`, the argument after a secret `option`. Another option is not a value."""
    return not _is_flag(value) and not harmless(option, value)


def _is_flag(text: str) -> bool:
    return re.fullmatch(FLAG, text, re.DOTALL) is not None


LONGEST_REMEMBERED = 1000  # characters


def secret_spans(text: str, *, colons: bool = True, beside_key_id: bool = False) -> list[Span]:
    """Returns the parts of `text` that look like secrets, sorted and without overlaps.

    If `colons` is true, the text after ``password:`` is included. Set it to false for sentences, in which a colon
    usually follows the name of a field.
    """
    search = _remembered if len(text) <= LONGEST_REMEMBERED else _found
    return [*search(text, colons, beside_key_id)]


def may_be_json(text: str) -> bool:
    """Returns whether a text starts like a JSON object or list, in which secrets have names."""
    return text.lstrip().startswith(("{", "["))


def is_clean(text: str, beside_key_id: bool) -> bool:
    """Returns whether a text is short, has no part that looks like a secret, and is not JSON that may contain a
    secret."""
    return len(text) <= LONGEST_REMEMBERED and _is_clean(text, beside_key_id)


@lru_cache(maxsize=8192)
def _is_clean(text: str, beside_key_id: bool) -> bool:
    return not may_be_json(text) and not _found(text, True, beside_key_id)


def _found(text: str, colons: bool, beside_key_id: bool) -> tuple[Span, ...]:
    spans = [*shape_spans(text, beside_key_id=beside_key_id), *command_spans(text), *_encoded(text)]
    words = word_spans(text) if colons else ()
    return tuple(merged_spans([*spans, *_after_names(text, colons), *words]))


ENCODED = r"(?<![\w+/=-])(?=[\w+/-]{0,40}[a-z])(?=[\w+/-]{0,40}[A-Z])[\w+/-]{20,100000}={0,2}(?![\w+/=-])"


def _encoded(text: str) -> Iterator[Span]:
    """Yields base64 whose content has the name and the value of a secret, such as ``{"password": "x"}``."""
    for match in _compiled(ENCODED).finditer(text) if len(text) >= 20 else ():
        word = match[0].rstrip("=").replace("-", "+").replace("_", "/")
        try:
            inner = binascii.a2b_base64(word + "=" * (-len(word) % 4)).decode()
        except ValueError:
            continue
        if inner.isascii() and (shape_spans_in(inner) or _after_names(inner, True)):
            yield match.span()


def shape_spans_in(text: str) -> bool:
    """Returns whether a text contains something that looks like a secret."""
    return next(iter(shape_spans(text)), None) is not None


# Cached, because specs share most of their texts, and a pass checks each text several times.
_remembered = lru_cache(maxsize=8192)(_found)


def _after_names(text: str, colons: bool) -> list[Span]:
    """Returns the positions of the values after names of secrets."""
    spans: list[Span] = []
    if not may_have_names(text):
        return spans
    for pattern, values in NAMES:
        spans += _values(text, pattern, values, secret_key, _is_assigned_secret)
    for pattern, values in OPTIONS:
        spans += _values(text, pattern, values, is_secret_option, is_option_value)
    for pattern, values in LESS_CERTAIN:
        spans += _values(text, pattern, values, _ends_secret, _is_unusual)
    if colons:
        for pattern, values in COLONS:
            spans += _values(text, pattern, values, secret_key, _is_assigned_secret)
    return spans


def _values(
    text: str, names: str, values: str, is_name: Callable[[str], bool], is_secret: Callable[[str, str], bool]
) -> Iterator[Span]:
    """Yields the secret values after each match of `names` that `is_name` accepts."""
    end = 0
    for match in _compiled(names).finditer(text):
        if match.end() >= end and is_name(match["key"]):
            span = _value(text, match, values)
            if span and _is_hidden(text[span[0] : span[1]], match["key"], is_secret):
                end = span[1]
                yield span


def _is_hidden(value: str, key: str, is_secret: Callable[[str, str], bool]) -> bool:
    """Returns whether to hide a value. A value that is masked already, or that is on the following lines (a YAML
    block), is not hidden. A value that is longer than any harmless value counts as a secret."""
    # Without further checks, because a long value would be read again for each name in it.
    if len(value) > LONGEST_HARMLESS:
        return True
    bare = value.strip("\\\"'")
    return is_secret(key, bare) and not bare.startswith("(sensitive") and re.fullmatch(BLOCK_START, bare) is None


def _ends_secret(name: str) -> bool:
    return secret_key(name.rpartition(".")[2])


def _is_unusual(key: str, value: str) -> bool:
    return not harmless(key, value) and not is_ordinary(value)


def _is_assigned_secret(key: str, value: str) -> bool:
    return not harmless(key, value)


def _value(text: str, match: re.Match[str], values: str) -> Span | None:
    """Returns the span of the value after a name. If the name is quoted, the value ends at the same quote; otherwise it
    is the match of `values`."""
    quote = match.groupdict().get("q")
    quoted = up_to_quote(quote).match(text, match.end()) if quote else None
    value = quoted or _compiled(values).match(text, match.end())
    return value.span() if value else None


def merged_spans(spans: list[Span]) -> list[Span]:
    """Returns sorted spans, with overlapping and adjacent ones joined."""
    merged: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def replaced(text: str, spans: list[Span]) -> str:
    """Returns `text` with each of the sorted spans replaced with ``(sensitive)``."""
    if not spans:
        return text
    parts: list[str] = []
    position = 0
    for start, end in spans:
        parts += (text[position:start], SENSITIVE)
        position = end
    return "".join((*parts, text[position:]))


def mask_text(text: str) -> str:
    """Returns `text` (a log line, an error, one or several lines of a spec) with likely secrets as ``(sensitive)``.

    Finds secrets by shape anywhere, and by name in ``password: x``, ``password=x``, ``--password x`` and ``"password":
    "x"``. A name on another line has no effect here; use `masked` on the whole request for that.
    """
    return replaced(text, secret_spans(text))


def mask_sentence(text: str) -> str:
    """Masks our own messages, like `mask_text`, except that ``spec.request.password: unknown field`` is not a
    secret."""
    return replaced(text, secret_spans(text, colons=False))


def without(text: str, secrets: Iterable[str]) -> str:
    """Redacts known secrets, longest first, echoed in foreign text such as AWS error messages: as written, and as
    quoted in JSON, HTML, URLs and Python's ``repr``."""
    for secret in secrets:
        for form in dict.fromkeys(_forms(secret)):
            text = text.replace(form, SENSITIVE)
    return text


def _forms(secret: str) -> Iterator[str]:
    import html  # noqa: PLC0415 - few commands have secrets to find

    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield html.escape(secret)
    yield quote(secret, safe="", errors="replace")
    yield quote_plus(secret, errors="replace")


# --- logs -------------------------------------------------------------------------------------------------------------


def mask_record(record: logging.LogRecord, *, tracebacks: bool) -> None:
    """Masks and escapes the formatted text of a log record, tracebacks included. Without `tracebacks`, drops the text
    that would be printed after the message."""
    if not tracebacks:
        record.exc_info = record.exc_text = record.stack_info = None
    record.msg = masked_lines(_message(record))
    # Otherwise the formatter would apply the arguments to the masked text.
    record.args = None
    # A formatter prints `exc_text`, if it is set, instead of formatting the exception.
    if record.exc_info and not record.exc_text:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    if record.exc_text:
        record.exc_text = masked_lines(record.exc_text)
    if record.stack_info:
        record.stack_info = masked_lines(record.stack_info)


def masked_lines(text: str) -> str:
    """Returns `text` with secrets masked and control characters escaped, safe for terminals and CI runners. Keeps
    lines."""
    return lines_text(escape(mask_text(text), single_line=False).split("\n"))


def _message(record: logging.LogRecord) -> str:
    """Returns the formatted message. If the message and its arguments do not match, returns both, so that nothing is
    lost."""
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return f"{record.msg} {record.args!r}"
