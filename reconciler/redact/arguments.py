"""Finds secrets in a list of arguments by the name before them, for programs whose manual is not known.

``--password x`` is certainly a secret, and is found in `reconciler.redact.text`. The forms here are less certain:
``PASSWORD x``, ``password:x``, ``-u bob:x``, ``-p x``. Therefore a value that looks like an ordinary word, a number or
a path is shown.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache

from reconciler.redact.commands import has_program
from reconciler.redact.shapes import REFERENCE, Span, harmless, secret_key, words

ORDINARY = (
    r"[A-Za-z][a-z]*(?:[_./ -][a-z]+)*|[A-Z][A-Z0-9]*(?:[_-][A-Z0-9]+)*|-?[\d.,]{1,9}|(?:\w+:)?/.*|\w+://.*"
    r"|\.{1,2}/.*|\d{4}-\d\d-\d\d.*|v?\d+(?:\.\d+)+"
)
NAME = r"[A-Za-z_][\w.-]*"
COLON = rf"(?P<dash>--?|/)?(?P<key>{NAME}):(?P<s>(?!//)\S.*)"
USERS = frozenset({"-u", "-U", "--user", "--username", "-user", "-username", "--login", "-l"})
LOGINS = USERS | {"--auth", "--userpwd", "--proxy-user"}
PAIR = r"(?P<user>[^:\s/]+):(?P<s>[^\s:/]\S*)"
MIXED = r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[^\s/.:=,]{8,}|(?=.*[A-Za-z])(?=.*\d)(?=.*[!@#$%^&*])[^\s/]{8,}"


# Every name of a secret contains one of these in lower case. Most texts contain none and are not searched for names.
HINTS = (
    "secret", "pass", "pwd", "pw", "token", "cred", "key", "userinfo", "authorization", "bearer", "auth", "pat",
    "cookie", "login", "jwt", "otp",
)  # fmt: skip
OPTIONS = ("-p", "-u", "-U", "-l", "--user")


def may_have_names(text: str) -> bool:
    """Returns whether a text may contain the name of a secret."""
    return any(map(text.lower().__contains__, HINTS))


def _may_have_secrets(text: str) -> bool:
    return any(map(text.__contains__, OPTIONS)) or may_have_names(text)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL)


def is_ordinary(value: str) -> bool:
    """Returns whether a value looks like a word, a number, a date, a version, a path or an address, or refers to a
    secret."""
    return _compiled(rf"{ORDINARY}|{REFERENCE}").fullmatch(value) is not None


def named_spans(arguments: Sequence[str]) -> dict[int, Span]:
    """Returns the secret part of each argument that is probably one, based on a name in it or before it."""
    return dict(_spans(arguments)) if _may_have_secrets(" ".join(arguments)) else {}


def word_spans(text: str) -> Iterator[Span]:
    """Yields the secrets among the words of a command line. A value after a name without dashes must look random,
    because the text may also be a sentence or a query."""
    is_command = " " in text and _may_have_secrets(text)
    words_of_text = list(_compiled(r"[^\s\"']+").finditer(text)) if is_command else []
    for index, (start, end) in _spans([word[0] for word in words_of_text], in_text=True):
        yield words_of_text[index].start() + start, words_of_text[index].start() + end


def _spans(arguments: Sequence[str], *, in_text: bool = False) -> Iterator[tuple[int, Span]]:
    has_user, known = False, has_program(arguments)  # of a known program, the manual says what its options mean
    for index, argument in enumerate(arguments):
        before = arguments[index - 1] if index else ""
        if match := _compiled(COLON).fullmatch(argument):
            hidden = secret_key(match["key"]) and not harmless(match["key"], match["s"])
            if hidden and (match["dash"] or not is_ordinary(match["s"])):
                yield index, match.span("s")
        if _follows_name(before, argument) and (not in_text or _compiled(MIXED).fullmatch(argument)):
            yield index, (0, len(argument))
        elif not known and before in LOGINS and (login := _compiled(PAIR).fullmatch(argument)):
            if not is_ordinary(login["s"]):
                yield index, login.span("s")
        elif not known and before in {"-p", "--auth"} and _is_password(argument, has_user=has_user and before == "-p"):
            yield index, (0, len(argument))
        elif not known and argument[:2] == "-p" and _compiled(MIXED).fullmatch(argument[2:]):
            yield index, (2, len(argument))
        has_user = has_user or before in USERS


def _follows_name(before: str, argument: str) -> bool:
    """Returns whether an argument is a secret because the one before it is the name of a secret, without dashes."""
    last = words(before)[-2:] if _compiled(NAME).fullmatch(before) else ()
    if not (secret_key("_".join(last)) or secret_key("_".join(last[-1:]))):
        return False
    if argument.startswith("-") or harmless(before, argument):
        return False
    is_word = _compiled(r"[a-z]+").fullmatch(argument) is not None
    return not is_ordinary(argument) or (before.isupper() and is_word)


def _is_password(argument: str, *, has_user: bool) -> bool:
    if has_user:
        return not argument.startswith("-") and not _compiled(r"[\d.:-]+|.*/.*").fullmatch(argument)
    return _compiled(MIXED).fullmatch(argument) is not None and not is_ordinary(argument)
