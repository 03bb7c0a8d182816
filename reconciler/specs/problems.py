"""From what the reader, the models and AWS's rules say to problems with a place, a line and a suggestion."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from reconciler.errors import Problem, Severity
from reconciler.model.base import Loc, Remark, Strict, Unquoted, source_text
from reconciler.model.kind import RESERVED_FIELD
from reconciler.redact.request import is_secret_at
from reconciler.redact.text import SENSITIVE
from reconciler.specs.locations import Found, SourceText, find, in_scalar, spelt
from reconciler.specs.messages import known_fields, near, said
from reconciler.specs.secret_lines import Span, hidden_line, hidden_message, secret_spans_in, written
from reconciler.specs.yaml_reader import MOST_PROBLEMS, TOO_MANY, Document, Unreadable

_LENGTHS = frozenset({"string_too_short", "string_too_long", "too_short", "too_long"})  # these show no value
KEY = "[key]"  # what pydantic adds to the path of a mapping's key
PLACE = "place"  # the rule of problems that are made to hold a place
MISSING, UNKNOWN = "missing", "extra_forbidden"


def at(source: SourceText, offset: int, message: str, rule: str, severity: Severity = "error") -> Problem:
    """A problem at an offset of a file, with the line shown."""
    line, col = source.position(offset)
    return Problem(source.path, line, col, message, rule, severity, source.line(line))


def unreadable(source: SourceText, error: Unreadable) -> Iterator[Problem]:
    """A file that cannot be read on, and what was wrong before that."""
    yield at(source, error.offset, error.message, error.rule)
    for flaw in error.flaws:
        yield at(source, flaw.offset, _about(flaw.loc, flaw.message), flaw.rule)


class TooMany(Exception):
    """A document with more problems than are told; `problems` are the first of them, and one that says so."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(TOO_MANY)
        self.problems = tuple(problem for problem in problems if problem.rule != PLACE)


@dataclass(frozen=True, slots=True)
class View:
    """One document of a file: everything that is said about it goes through here."""

    source: SourceText
    document: Document
    _secrets: list[list[Span]] = field(default_factory=list, compare=False, repr=False)  # one list, once looked for
    _told: list[Problem] = field(default_factory=list, compare=False, repr=False)

    def at(self, offset: int, message: str, rule: str, severity: Severity = "error") -> Problem:
        """A problem at an offset, with the line shown as far as it is no secret. Raises `TooMany`."""
        problem = at(self.source, offset, message, rule, severity)
        if rule == PLACE and "request" not in (problem.source_line or ""):
            return problem  # made for every document, and seldom shown
        if len(self._told) >= MOST_PROBLEMS:
            raise TooMany([*self._told, at(self.source, offset, TOO_MANY, "too-many")])
        self._told.append(_line_hidden(problem, self.source, offset, self._spans()))
        return self._told[-1]

    def _spans(self) -> list[Span]:
        if not self._secrets:
            self._secrets.append(secret_spans_in(self.source, self.document))
        return self._secrets[0]

    def _hide(self, loc: Loc) -> None:
        """Makes a value, which a model refused, a secret of the document."""
        span, spans = written(self.source, self.document, loc), self._spans()
        index = bisect_left(spans, span)
        if spans[index : index + 1] != [span]:
            insort(spans, span)

    def problem(
        self, loc: Loc, message: str, rule: str, severity: Severity = "error", *, on_key: bool = False
    ) -> Problem:
        """A problem at a path, which the message names; `on_key` places it at the key instead of the value."""
        found = find(self.document, loc)
        offset = found.key_offset if on_key else found.offset
        return self.at(offset, _about(loc, message), rule, severity)

    def in_text(self, loc: Loc, offset: int, message: str, rule: str) -> Problem:
        """A problem at a ``${`` inside a string, by its offset in the string's value."""
        found = find(self.document, loc)
        return self.at(in_scalar(self.source.text, found, offset), _about(loc, message), rule)

    def place(self, loc: Loc, *, on_key: bool = False) -> str:
        """``path:line:col`` of a path."""
        found = find(self.document, loc)
        line, col = self.source.position(found.key_offset if on_key else found.offset)
        return f"{self.source.path}:{line}:{col}"

    def flaws(self) -> Iterator[Problem]:
        """What the text itself has wrong."""
        for flaw in self.document.flaws:
            yield self.at(flaw.offset, _about(flaw.loc, flaw.message), flaw.rule)

    def refused(self, error: ValidationError, model: type[Strict], prefix: Loc = ()) -> Iterator[Problem]:
        """What a model refuses. `prefix`: where in the document the model's root is."""
        for detail in error.errors(include_url=False):
            problem = self._refused(detail, model, prefix)
            if problem is not None:
                yield problem

    def remarks(self, remarks: Iterable[Remark], prefix: Loc, severity: Severity = "error") -> Iterator[Problem]:
        """What rules beyond the model say."""
        for remark in remarks:
            yield self.problem((*prefix, *remark.loc), remark.message, remark.rule, severity)

    def _refused(self, detail: Mapping[str, Any], model: type[Strict], prefix: Loc) -> Problem | None:
        kind, loc = detail["type"], (*prefix, *detail["loc"])
        found = find(self.document, loc)
        if kind == MISSING:
            return self.problem((*found.loc, loc[-1]), "is missing", MISSING)
        if kind == UNKNOWN:
            known = known_fields(model, tuple(detail["loc"][:-1]))
            return self._unknown(loc, [name for name in known if name != RESERVED_FIELD])
        if isinstance(found.value, Unquoted) and any(flaw.offset == found.offset for flaw in self.document.flaws):
            return None  # a null, or another flaw of the text, already said there
        value = self._value(detail, found)
        secret = is_secret_at(_named(self.document.value, found.loc), source_text(value)) or self._is_hidden(found)
        shown = _hidden(value) if secret and kind not in _LENGTHS else value
        on_key = loc[-1:] == (KEY,)
        message = said(kind, detail["msg"], detail["input"] if on_key else shown, detail.get("ctx", {}))
        if secret:
            self._hide(found.loc)
            message = message.replace(f'write "{SENSITIVE}" in quotes', "write it in quotes")
        return self.problem(found.loc, message, kind, on_key=on_key)

    def _is_hidden(self, found: Found) -> bool:
        spans = self._spans()
        index = bisect_left(spans, found.offset, key=_start)
        return spans[index : index + 1] != [] and spans[index][0] == found.offset and _is_scalar(found.value)

    @staticmethod
    def _value(detail: Mapping[str, Any], found: Found) -> object:
        """The refused value: as the document has it where it is a scalar, else as the model saw it."""
        return detail["input"] if isinstance(found.value, dict | list) else found.value

    def _unknown(self, loc: Loc, known: Sequence[str]) -> Problem:
        found = find(self.document, loc)
        name = str(loc[-1])
        hint = near(name, known) or (f"; known are {', '.join(known)}" if 0 < len(known) <= 12 else "")
        return self.at(found.key_offset, f"unknown field {spelt(found.loc)}{hint}", "unknown-field")


def _about(loc: Loc, message: str) -> str:
    """``spec.request.applicationId is missing``, ``spec.revision: an integer is due here …``."""
    if not loc:
        return message
    return f"{spelt(loc)} {message}" if message.startswith(("is ", "has ", "must ")) else f"{spelt(loc)}: {message}"


def _named(value: Any, loc: Loc) -> Loc:  # noqa: ANN401 - any document
    """A path inside a request in which an entry of a list that has a name stands under it: names tell secrets."""
    named: list[str | int] = []
    for element in loc:
        value = value[element]
        name = value.get("name") if isinstance(value, dict) else None
        named.append(name if isinstance(element, int) and isinstance(name, str) else element)
    return tuple(named[2:])


def _hidden(value: object) -> object:
    """A stand-in for a scalar that must not be shown, of the same kind."""
    if isinstance(value, dict | list):
        return value
    return SENSITIVE if isinstance(value, str) else Unquoted(SENSITIVE)


def _line_hidden(problem: Problem, source: SourceText, offset: int, spans: Sequence[Span]) -> Problem:
    """The problem, which is at `offset`, with its line and message shown without what is in `spans`."""
    column, line = problem.col - 1, problem.source_line
    start, text = (offset - column, line) if line is not None else source.around(offset)
    spans = spans[bisect_left(spans, start, key=_end) : bisect_right(spans, start + len(text), key=_start)]
    message = hidden_message(problem.message, text, start, spans)
    if line is not None:
        line = hidden_line(line, start, column, spans)
    return replace(problem, message=message, source_line=line)


def _is_scalar(value: object) -> bool:
    return not isinstance(value, dict | list)


def _start(span: Span) -> int:
    return span[0]


def _end(span: Span) -> int:
    return span[1]


def merged(found: Sequence[tuple[str, Problem]], targets: Sequence[str]) -> Iterator[Problem]:
    """Problems that were found target by target, each once; those that not all targets have name theirs."""
    by_problem: dict[Problem, list[str]] = {}
    for target, problem in found:
        names = by_problem.setdefault(problem, [])
        if target not in names:
            names.append(target)
    for problem, names in by_problem.items():
        if len(names) == len(targets):
            yield problem
        else:
            word = "target" if len(names) == 1 else "targets"
            yield replace(problem, message=f"{problem.message} ({word} {', '.join(names)})")
