"""Evaluates the expressions of GitHub's workflow files, `${{ … }}`, as far as this repository uses them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(\d+(?:\.\d+)?)|([A-Za-z_][\w-]*)|(\|\||&&|==|!=|[!()\[\].,]))")
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
LITERALS = {"true": True, "false": False, "null": None}


def evaluated(text: str, contexts: Mapping[str, Any]) -> Any:
    """Returns a text with its expressions replaced. If the text is a single expression, returns its value, of any
    type."""
    whole = EXPRESSION.fullmatch(text.strip())
    if whole:
        return value_of(whole[1], contexts)
    return EXPRESSION.sub(lambda match: as_text(value_of(match[1], contexts)), text)


def condition(text: str | bool, contexts: Mapping[str, Any], *, failed: bool, cancelled: bool = False) -> bool:
    """Returns whether the condition of an `if:` is true. Without a status function, it is true only if no earlier step
    has failed."""
    words = str(text).strip()
    words = EXPRESSION.fullmatch(words)[1] if EXPRESSION.fullmatch(words) else words  # type: ignore[index]
    status = {"always": True, "cancelled": cancelled, "failure": failed, "success": not failed}
    if not re.search(rf"\b({'|'.join(status)})\(\)", words) and failed:
        return False
    return bool(value_of(words, {**contexts, "status": status}))


def as_text(value: Any) -> str:
    """Returns a value in the form that GitHub inserts into text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def value_of(source: str, contexts: Mapping[str, Any]) -> Any:
    """Returns the value of one expression. Raises `ValueError` for syntax that it does not support."""
    parser = _Parser(source, contexts)
    value = parser.either()
    if parser.at != len(parser.tokens):
        raise ValueError(f"not understood in {source!r}: {parser.tokens[parser.at :]}")
    return value


class _Parser:
    def __init__(self, source: str, contexts: Mapping[str, Any]) -> None:
        self.tokens: list[str] = []
        self.contexts, self.at, position = contexts, 0, 0
        while source[position:].strip():
            match = TOKEN.match(source, position)
            if match is None:
                raise ValueError(f"not understood: {source[position:]!r}")
            self.tokens.append(next(part for part in match.groups() if part is not None))
            position = match.end()

    def taken(self, *wanted: str) -> str | None:
        """Consumes the next token if it is one of `wanted`."""
        if self.at < len(self.tokens) and self.tokens[self.at] in wanted:
            self.at += 1
            return self.tokens[self.at - 1]
        return None

    def either(self) -> Any:
        value = self.both()
        while self.taken("||"):
            other = self.both()
            value = value or other
        return value

    def both(self) -> Any:
        value = self.equal()
        while self.taken("&&"):
            other = self.equal()
            value = value and other
        return value

    def equal(self) -> Any:
        value = self.negated()
        while sign := self.taken("==", "!="):
            same = _same(value, self.negated())
            value = same if sign == "==" else not same
        return value

    def negated(self) -> Any:
        return not self.negated() if self.taken("!") else self.member()

    def member(self) -> Any:
        value = self.atom()
        while sign := self.taken(".", "["):
            if sign == ".":
                key: Any = self.tokens[self.at]
                self.at += 1
            else:
                key = self.either()
                assert self.taken("]"), self.tokens
            value = _item(value, key)
        return value

    def atom(self) -> Any:
        token = self.tokens[self.at]
        self.at += 1
        if token == "(":
            value = self.either()
            assert self.taken(")"), self.tokens
            return value
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token[0].isdigit():
            return json.loads(token)
        if token in LITERALS:
            return LITERALS[token]
        return self.call(token) if self.taken("(") else self.contexts.get(token)

    def call(self, name: str) -> Any:
        arguments = []
        while not self.taken(")"):
            arguments.append(self.either())
            self.taken(",")
        match name, arguments:
            case "fromJSON", [text]:
                return json.loads(as_text(text))
            case "format", [pattern, *values]:
                return re.sub(r"\{(\d+)\}", lambda match: as_text(values[int(match[1])]), pattern)
            case "contains", [where, what]:
                return what in where
            case _, [] if name in self.contexts.get("status", {}):
                return self.contexts["status"][name]
        raise ValueError(f"no function {name} of {len(arguments)} values")


def _item(value: Any, key: Any) -> Any:
    if isinstance(value, list):
        return value[int(key)] if int(key) < len(value) else None
    return value.get(key) if isinstance(value, Mapping) else None


def _same(one: Any, other: Any) -> bool:
    """Returns whether two values are equal. As on GitHub, null equals an empty text, because both become 0."""
    return (one or 0) == (other or 0) if not (one and other) else one == other
