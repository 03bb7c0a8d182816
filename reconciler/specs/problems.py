"""Converts errors from the reader, the models and AWS's rules into problems with a location, a line, a message and a
suggestion."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from reconciler.errors import Problem, Severity
from reconciler.model.base import Loc, Remark, Strict, Unquoted, part, source_text
from reconciler.model.kind import MODULES, RESERVED_FIELD, RequestProblems, kind_named
from reconciler.model.spec import SpecDocument
from reconciler.redact.request import is_secret_at
from reconciler.redact.text import SENSITIVE
from reconciler.specs.field_names import (
    elsewhere,
    field_paths,
    fields_inside,
    in_unit,
    known_fields,
    meant_field,
    renamed,
    spelling,
)
from reconciler.specs.parse import Node, SourceText, find, offset_in_scalar, path_text
from reconciler.specs.secret_lines import SHORTEST_SECRET, SecretLines
from reconciler.specs.wrong_values import INSIDE, SHAPES_BY_ERROR, error_message, no_placeholder, proposal, suggestion
from reconciler.specs.yaml_nodes import MOST_PROBLEMS, TOO_MANY, Document, Flaw, Unreadable

MOST_SUGGESTED = 20
REQUEST: Loc = ("spec", "request")
TARGETS: Loc = ("spec", "targets")
KEY = "[key]"  # pydantic appends it to the path of a mapping's key
LOCATION = "location"  # the rule name of problems that only record a location
MISSING, UNKNOWN = "missing", "extra_forbidden"
_LENGTHS = frozenset({"string_too_short", "string_too_long", "too_short", "too_long"})  # messages without the value


def at(source: SourceText, offset: int, message: str, rule: str, severity: Severity = "error") -> Problem:
    """Returns a problem at an offset of a file, and shows the line."""
    line, col, shown = source.located(offset)
    return Problem(source.path, line, col, message, rule, severity, shown)


def unreadable(source: SourceText, error: Unreadable) -> Iterator[Problem]:
    """Yields the flaws of a file that cannot be read any further, followed by the problem that stopped the reading."""
    yield at(source, error.offset, error.message, error.rule)
    for flaw in error.flaws:
        yield at(source, flaw.offset, _about_flaw(source, flaw), flaw.rule)


def _about_flaw(source: SourceText, flaw: Flaw) -> str:
    message = _about(flaw.loc, flaw.message)
    return message if flaw.first is None else f"{message} (the other is in line {source.position(flaw.first)[0]})"


class TooMany(Exception):
    """Raised if a document has more problems than are reported. `problems` contains the first problems, followed by a
    final problem about the limit.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(TOO_MANY)
        self.problems = tuple(problem for problem in problems if problem.rule != LOCATION)


class View:
    """One document of a file and its problems. Every problem of the document is reported through this class."""

    def __init__(self, source: SourceText, document: Document) -> None:
        self.source, self.document = source, document
        self._reported: list[Problem] = []
        self._names: dict[Loc, str] = {}  # the misspelt field names, by the correct path

    @cached_property
    def _secrets(self) -> SecretLines:  # few documents have a problem
        return SecretLines(self.source, self.document)

    def at(self, offset: int, message: str, rule: str, severity: Severity = "error") -> Problem:
        """Returns a problem at an offset, with secrets in its line hidden. Raises `TooMany`."""
        problem = at(self.source, offset, message, rule, severity)
        # A line with a whole request may contain a secret.
        if rule == LOCATION and "request" not in (problem.source_line or ""):
            return problem  # created for every document but rarely shown
        if len(self._reported) >= MOST_PROBLEMS:
            raise TooMany([*self._reported, at(self.source, offset, TOO_MANY, "too-many")])
        self._reported.append(self._secrets.hidden(problem, offset))
        return self._reported[-1]

    def problem(
        self, loc: Loc, message: str, rule: str, severity: Severity = "error", *, on_key: bool = False
    ) -> Problem:
        """Returns a problem at a path, which its message contains. If `on_key` is true, the problem is located at the
        key instead of the value.
        """
        loc = self._as_written(loc)
        node = find(self.document, loc)
        return self.at(node.key_offset if on_key else node.offset, _about(loc, message), rule, severity)

    def _as_written(self, loc: Loc) -> Loc:
        """Converts a path with corrected field names into the path as written in the document."""
        if not self._names:
            return loc
        return tuple(self._names.get(loc[: index + 1], element) for index, element in enumerate(loc))

    def in_text(self, loc: Loc, offset: int, message: str, rule: str) -> Problem:
        """Returns a problem at a ``${`` inside a string, by its offset in the string's value."""
        loc = self._as_written(loc)
        node = find(self.document, loc)
        nth = node.value.count("${", 0, offset) if isinstance(node.value, str) else 0
        start = offset_in_scalar(self.source.text, node, self._secrets.end(node), "${", nth)
        return self.at(start, _about(loc, message), rule)

    def location(self, loc: Loc) -> Problem:
        """Returns a problem at the location of a path, without a message. The caller adds the message later."""
        return self.at(find(self.document, self._as_written(loc)).offset, "", LOCATION)

    def position(self, loc: Loc) -> tuple[int, int]:
        """Returns the line and column of a path."""
        return self.source.position(find(self.document, self._as_written(loc)).offset)

    def flaws(self) -> Iterator[Problem]:
        """Yields the syntactic faults of the document."""
        for flaw in self.document.flaws:
            yield self.at(flaw.offset, _about_flaw(self.source, flaw), flaw.rule)

    def refused(
        self,
        error: ValidationError,
        model: type[Strict],
        value: Any,  # noqa: ANN401 - what the model refused
        prefix: Loc = (),
        *,
        form: Callable[[Any], Any] = lambda value: value,
    ) -> tuple[list[Problem], Any]:
        """Returns the problems that a model found in a value, and the value with misspelt field names corrected.

        A field with a misspelt name is checked under the correct name, so that errors inside the field are reported
        too. `prefix` is the path of the model's root in the document. `form` converts a value to the form that the
        model expects.
        """
        problems: list[Problem] = []
        left: ValidationError | None = error
        while left is not None:
            details, meant = left.errors(include_url=False), value
            # After a name is corrected, the model checks the field, and may refuse more names in it.
            for detail in details[:MOST_PROBLEMS]:
                loc = tuple(detail["loc"])
                if detail["type"] == UNKNOWN and (name := meant_field(model, loc, meant)) is not None:
                    problems += filter(None, [self._refused(detail, model, prefix)])
                    self._names[(*prefix, *loc[:-1], name)] = str(loc[-1])
                    meant = renamed(meant, loc, name)
            if meant is value:
                problems += filter(None, [self._refused(detail, model, prefix) for detail in details])
                break
            value, left = meant, None
            try:
                model.model_validate(form(value))
            except ValidationError as next_error:
                left = next_error
            except RequestProblems as next_problems:
                problems += self.remarks(next_problems.remarks, prefix)
        return problems, value

    def remarks(self, remarks: Iterable[Remark], prefix: Loc, severity: Severity = "error") -> Iterator[Problem]:
        """Yields the problems that rules outside the model found."""
        for remark in remarks:
            if remark.word:
                yield self._about_word(remark, (*prefix, *remark.loc), severity)
            else:
                yield self.problem((*prefix, *remark.loc), remark.message, remark.rule, severity)

    def _about_word(self, remark: Remark, loc: Loc, severity: Severity) -> Problem:
        """Returns a problem at one word of a text, or at the setting of a mapping that the text is rendered from. The
        word is hidden if the text contains a secret."""
        loc = _setting(loc, find(self.document, loc).value, remark.word.partition("=")[0])
        node, offset, message = find(self.document, loc), 0, remark.message
        if isinstance(node.value, str):
            offset = offset_in_scalar(self.source.text, node, self._secrets.end(node), remark.word, remark.nth)
        may_be_secret = len(remark.word) >= SHORTEST_SECRET and not remark.word.startswith("--")
        if may_be_secret and self._secrets.hides(node):
            message = message.replace(remark.word, SENSITIVE)
        return self.at(max(offset, node.offset), _about(loc, message), remark.rule, severity)

    def _refused(self, detail: Mapping[str, Any], model: type[Strict], prefix: Loc) -> Problem | None:
        kind, loc = detail["type"], self._as_written((*prefix, *detail["loc"]))
        node = find(self.document, loc)
        if kind == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]:
            return None  # pydantic counts only valid entries; invalid entries have their own problems
        if kind == MISSING:
            return self.problem((*node.loc, loc[-1]), "is missing", MISSING)
        if kind == UNKNOWN:
            message = f"unknown field {path_text(node.loc)}"
            return self.at(node.key_offset, message + self._meant(detail["loc"], model, prefix), "unknown-field")
        if isinstance(node.value, Unquoted) and any(flaw.offset == node.offset for flaw in self.document.flaws):
            return None  # a null or another syntactic flaw, already reported at this offset
        names = fields_inside(model, detail["loc"]) if kind in INSIDE else ()
        problem = self._wrong_value(detail, node, names, on_key=loc[-1:] == (KEY,))
        if not 0 < len(names) <= MOST_SUGGESTED:
            return problem
        return replace(problem, message=f"{problem.message}; {INSIDE[kind]} {', '.join(names)}")

    def _meant(self, loc: Loc, model: type[Strict], prefix: Loc) -> str:
        """Returns a hint about what an unknown field was meant to be: a field with a similar spelling, a field that
        belongs elsewhere in the document, or the list of existing fields."""
        name, names = str(loc[-1]), [name for name in known_fields(model, loc[:-1]) if name != RESERVED_FIELD]
        if spelling(name, names) is None:
            kind = part(self.document.value).get("kind")
            request_model = kind_named(kind).model if kind in MODULES else None
            by_name = field_paths(SpecDocument if prefix else model, REQUEST, request_model)
            path = elsewhere(by_name, (*prefix, *loc[:-1]), name)
            if path is not None and path[-1] != RESERVED_FIELD:
                path = (*path[:2], "NAME", *path[2:]) if path[:2] == TARGETS and len(path) > 2 else path
                return f"; did you mean {path[-1] if path[-1] in names else path_text(path)}?"
            if prefix == REQUEST and len(loc) == 1 and (other := _kind_with(name)) is not None:
                return f"; it is a field of {other}, and the kind is {kind}"
        return suggestion(name, names, "expected one of" if len(names) <= MOST_SUGGESTED else "")

    def _wrong_value(
        self, detail: Mapping[str, Any], node: Node, names: Sequence[str] = (), *, on_key: bool
    ) -> Problem:
        """Returns a problem that shows the value: a scalar as written, any other value as the model received it. A
        secret is hidden."""
        kind = detail["type"]
        value = detail["input"] if isinstance(node.value, dict | list) else node.value
        secret = self._secrets.hides(node) or is_secret_at(node.loc[2:], source_text(value))
        shown = _stand_in(value) if secret and kind not in _LENGTHS else value
        message = error_message(kind, detail["msg"], detail["input"] if on_key else shown, detail.get("ctx", {}))
        expected = SHAPES_BY_ERROR.get(kind)
        if expected is not None and not (secret or is_secret_at(node.loc[2:], value)):
            message += proposal(expected, value, names)
        message += no_placeholder(kind, node.loc, value)
        if kind == "int_type" and not on_key:
            message += in_unit(node.loc[-1], value)
        if secret:
            self._secrets.hide(node.loc)
            message = message.replace(f'write "{SENSITIVE}" in quotes', "write it in quotes")
        return self.problem(node.loc, message, kind, on_key=on_key)


def _setting(loc: Loc, value: object, key: str) -> Loc:
    """Returns the path of a key that a mapping, or a mapping in it, has. Returns `loc` for any other value."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        if name == key or (isinstance(inner, dict) and key in inner):
            return (*loc, name) if name == key else (*loc, name, key)
    return loc


def _kind_with(field: str) -> str | None:
    """Returns the kind whose request has a field with exactly this name, or `None`."""
    return next((name for name in MODULES if field in kind_named(name).model.model_fields), None)


def _about(loc: Loc, message: str) -> str:
    """Prefixes a message with a path: ``spec.request.applicationId is missing``, ``spec.revision: expected an integer
    …``."""
    if not loc:
        return message
    separator = " " if message.startswith(("is ", "has ", "must ")) else ": "
    return f"{path_text(loc)}{separator}{message}"


def _stand_in(value: object) -> object:
    """Returns a value of the same type to show instead of a secret scalar."""
    if isinstance(value, dict | list):
        return value
    return SENSITIVE if isinstance(value, str) else Unquoted(SENSITIVE)


def merged(by_target: Iterable[tuple[str, Problem]], targets: Sequence[str]) -> Iterator[Problem]:
    """Yields the problems of several targets, each problem once. If only some of the targets have a problem, its
    message lists these targets.
    """
    by_problem: dict[Problem, dict[str, None]] = {}
    for target, problem in by_target:
        by_problem.setdefault(problem, {})[target] = None
    for problem, names in by_problem.items():
        if len(names) == len(targets):
            yield problem
        else:
            word = "target" if len(names) == 1 else "targets"
            yield replace(problem, message=f"{problem.message} ({word} {', '.join(names)})")
