"""Converts errors from the reader, the models and AWS's rules into problems with a location, a line, a message and a
suggestion."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from reconciler.errors import Problem, Severity
from reconciler.model.arns import region_problem
from reconciler.model.base import PATTERN_HINTS, Loc, Remark, Strict, Unquoted, part, source_text
from reconciler.model.kind import MODULES, RESERVED_FIELD, RequestProblems, kind_named
from reconciler.model.project import REGION_PATTERN
from reconciler.redact.request import is_secret_at
from reconciler.redact.text import SENSITIVE
from reconciler.specs.field_names import fields_inside, in_unit, known_fields, meant_field, path_of_field, renamed
from reconciler.specs.parse import A_SPACE_AFTER_THE_COLON, Node, SourceText, find, offset_in_scalar, path_text
from reconciler.specs.secret_lines import SHORTEST_SECRET, SecretLines
from reconciler.specs.yaml_nodes import INTEGER, MOST_PROBLEMS, TOO_MANY, Document, Unreadable, meaning

Context = Mapping[str, Any]
LONGEST_SHOWN = 60  # characters of a value; longer values are not shown


def error_message(kind: str, message: str, value: object, context: Context) -> str:
    """Returns a sentence that describes a pydantic error, given its type, its message, the refused value and its
    context."""
    if kind in _BY_TYPE:
        return _BY_TYPE[kind](value, context)
    if kind in _TYPES:
        return f"expected {_TYPES[kind]}, got {_shown(value)}{_one_entry(kind, value)}"
    if kind == "value_error":
        return str(context.get("error", message))
    return message[:1].lower() + message[1:]


def suggestion(word: str, names: Iterable[str], otherwise: str = "") -> str:
    """Returns ``; did you mean X?`` if one of `names` is similar to `word`. Otherwise returns `otherwise`, if given,
    followed by the names.
    """
    lower = {name.lower(): name for name in names}
    close = get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {lower[close[0]]}?"
    return f"; {otherwise} {', '.join(lower.values())}" if otherwise and lower else ""


def _shown(value: object) -> str:
    """Formats a refused value for a message."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = source_text(value)
    if text is None:
        return "nothing"
    shown = text if len(text) <= LONGEST_SHOWN and text.isprintable() else ""
    if isinstance(value, str):
        return f'"{shown}"' if shown else "a string"
    return f"{shown} ({meaning(text)})" if shown else meaning(text)


def _string(value: object, _: Context) -> str:
    text = source_text(value)
    if isinstance(value, dict | list):
        return f"expected a string, got {_shown(value)}"
    return f'expected a string, got {text} ({meaning(text)}): write "{text}" in quotes' if text else "expected a string"


def _integer(value: object, _: Context) -> str:
    if isinstance(value, str) and INTEGER.fullmatch(value):
        return f"expected an integer: write {value} without quotes"
    return f"expected an integer, got {_shown(value)}{_plainly(value)}"


def _plainly(value: object) -> str:
    """Returns the decimal spelling of an integer such as ``0x1F``, or an empty string if its value is not certain."""
    try:
        return f": write {int(value.source.lower().replace('_', ''), 0)}" if isinstance(value, Unquoted) else ""
    except ValueError:
        return ""


def _boolean(value: object, _: Context) -> str:
    text = (source_text(value) or "").lower()
    for meant, spellings in (("true", {"yes", "on", "y", "true", "1"}), ("false", {"no", "off", "n", "false", "0"})):
        if text in spellings:
            return f"expected true or false: write {meant}, without quotes"
    return f"expected true or false, got {_shown(value)}"


def _choice(value: object, context: Context) -> str:
    expected = str(context.get("expected", "")).replace("'", "")
    close = suggestion(value, expected.replace(" or ", ", ").split(", ")) if isinstance(value, str) else ""
    return f"expected {expected}, got {_shown(value)}{close}"


def _pattern(value: object, context: Context) -> str:
    pattern, shown = str(context.get("pattern")), _shown(value)
    message = PATTERN_HINTS.get(pattern) or f"must match {pattern}"
    if pattern == REGION_PATTERN and isinstance(value, str) and (problem := region_problem(value)):
        return problem if problem.endswith("?") else f"{problem}: {message}"
    return message + (f"; got {shown}" if shown != "a string" else "")


def _length(value: object, context: Context) -> str:
    one, many = ("character", "characters") if isinstance(value, str) else ("entry", "entries")
    key, bound = ("max_length", "at most") if "max_length" in context else ("min_length", "at least")
    limit = context[key]
    length = f", got {len(value):,}" if isinstance(value, str | dict | list | tuple) else ""
    return f"must have {bound} {limit:,} {one if limit == 1 else many}{length}"


def _range(_: object, context: Context) -> str:
    bounds = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    return next((f"must be {bounds[key]} {context[key]}" for key in bounds if key in context), "is out of range")


_TYPES = {
    **dict.fromkeys(("int_type", "int_from_float", "float_type"), "a number"),
    "bool_type": "a boolean",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "a mapping"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
}
NOT_TEXT = frozenset(_TYPES)
"""The types of errors about values that cannot be strings and therefore cannot contain a placeholder."""


def _no_placeholder(kind: str, loc: Loc, value: object) -> str:
    """Returns advice about a placeholder at a path that cannot have one, or an empty string if there is no such
    placeholder."""
    if not isinstance(value, str) or "${" not in value.replace("$${", ""):
        return ""
    if loc[:2] != REQUEST:
        of_project = loc[:2] == ("spec", "targets") and all(isinstance(each, str) for each in loc[2:]) and len(loc) > 2
        what = "a policy field" if loc[:1] == ("spec",) and not of_project else "outside of it"
        return f"; placeholders are for text of the request; this is {what}: write the value itself"
    if kind not in _TYPES:
        return ""
    return (
        f"; placeholders are for text of the request; this is {_TYPES[kind]}: write the value itself; if it "
        "differs between targets, write a spec for each (spec.targets)"
    )


def _one_entry(kind: str, value: object) -> str:
    """Returns the correction for a text in the position of a mapping or a list, or an empty string."""
    if not isinstance(value, str) or len(value) > LONGEST_SHOWN or "${" in value:
        return ""
    if _TYPES[kind] == "a list":
        words = value.split() if value.isprintable() and not re.search("[\"'\\\\]", value) else ()
        return f": write [{', '.join(json.dumps(word, ensure_ascii=False) for word in words)}]" if words else ""
    return f": {A_SPACE_AFTER_THE_COLON}" if re.match(r"[\w.-]+ *[:：]\S", value) else ""


_BY_TYPE: dict[str, Callable[[object, Context], str]] = {
    "string_type": _string,
    **dict.fromkeys(("int_type", "int_from_float"), _integer),
    "bool_type": _boolean,
    **dict.fromkeys(("literal_error", "enum"), _choice),
    "string_pattern_mismatch": _pattern,
    **dict.fromkeys(("string_too_short", "string_too_long", "too_short", "too_long"), _length),
    **dict.fromkeys(("greater_than", "greater_than_equal", "less_than", "less_than_equal"), _range),
}


MOST_SUGGESTED = 20
REQUEST: Loc = ("spec", "request")
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
        yield at(source, flaw.offset, _about(flaw.loc, flaw.message), flaw.rule)


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
            yield self.at(flaw.offset, _about(flaw.loc, flaw.message), flaw.rule)

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
        """Returns a problem at one word of a text. The word is hidden if the text contains a secret."""
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
            others = [name for name in known_fields(model, detail["loc"][:-1]) if name != RESERVED_FIELD]
            message = f"unknown field {path_text(node.loc)}"
            hint = suggestion(str(loc[-1]), others) or self._other_path(model, str(loc[-1]), prefix)
            if not hint and len(others) <= MOST_SUGGESTED:
                hint = f"; expected one of {', '.join(others)}"
            return self.at(node.key_offset, message + hint, "unknown-field")
        if isinstance(node.value, Unquoted) and any(flaw.offset == node.offset for flaw in self.document.flaws):
            return None  # a null or another syntactic flaw, already reported at this offset
        problem = self._wrong_value(detail, node, on_key=loc[-1:] == (KEY,))
        names = fields_inside(model, detail["loc"]) if kind in ("model_type", "list_type", "tuple_type") else ()
        if not 0 < len(names) <= MOST_SUGGESTED:
            return problem
        what = "it has" if kind == "model_type" else "each entry has"
        return replace(problem, message=f"{problem.message}; {what} {', '.join(names)}")

    def _other_path(self, model: type[Strict], name: str, prefix: Loc) -> str:
        """Returns a hint that a field belongs somewhere else in the request, or an empty string."""
        kind = part(self.document.value).get("kind")
        if not prefix and kind in MODULES:
            prefix, model = REQUEST, kind_named(kind).model
        path = path_of_field(model, name) if prefix else None
        return f"; did you mean {path_text((*prefix, *path))}?" if path is not None else ""

    def _wrong_value(self, detail: Mapping[str, Any], node: Node, *, on_key: bool) -> Problem:
        """Returns a problem that shows the value: a scalar as written, any other value as the model received it. A
        secret is hidden."""
        kind = detail["type"]
        value = detail["input"] if isinstance(node.value, dict | list) else node.value
        secret = self._secrets.hides(node) or is_secret_at(node.loc[2:], source_text(value))
        shown = _stand_in(value) if secret and kind not in _LENGTHS else value
        message = error_message(kind, detail["msg"], detail["input"] if on_key else shown, detail.get("ctx", {}))
        message += _no_placeholder(kind, node.loc, value)
        if kind == "int_type" and not on_key:
            message += in_unit(node.loc[-1], value)
        if secret:
            self._secrets.hide(node.loc)
            message = message.replace(f'write "{SENSITIVE}" in quotes', "write it in quotes")
        return self.problem(node.loc, message, kind, on_key=on_key)


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
