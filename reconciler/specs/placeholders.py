"""Fills in ``${…}`` in the strings of a request, for one spec in one target.

A string is parsed once and filled in for each target. In a one-off spec every placeholder is replaced. In a scheduled
spec ``${run.slot}`` stays, and so does the escape ``$${`` before any literal ``${``, so that the stored request can be
read in one way only; `render_slot` of `reconciler.model.template` fills in the slot later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from reconciler.core.identity import Place
from reconciler.model.base import Loc
from reconciler.model.project import Project
from reconciler.model.template import ESCAPED, OPENING, SLOT, PlaceholderProblem, pieces
from reconciler.specs.document import MOST_CHARACTERS


class TooLarge(PlaceholderProblem):
    """The values of placeholders make the request larger than any request can be."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The placeholders that one spec may use in one target, with their values, by full name (``var.bucket``).

    `slots`: whether the spec has slots. `elsewhere`: the names that any target defines, each with one that does.
    """

    target: str
    values: Mapping[str, str]
    slots: bool
    elsewhere: Mapping[str, str] = field(default_factory=dict)


class Scopes:
    """The scopes of specs in some targets of a project."""

    def __init__(self, project: Project, targets: Sequence[str]) -> None:
        self.targets = tuple(targets)
        self.places = {name: _place(project, name) for name in targets}
        self._values = {name: _values(project, self.places[name]) for name in targets}
        self._elsewhere = {
            f"var.{variable}": name for name in project.spec.targets for variable in project.variables(name)
        }

    def of(self, target: str, spec: str, labels: Mapping[str, str], *, slots: bool) -> Scope:
        """The scope of a spec with this name and these labels in a target."""
        own = {"spec.name": spec, **{f"spec.label.{key}": value for key, value in labels.items()}}
        return Scope(target, {**self._values[target], **own}, slots, self._elsewhere)


def _place(project: Project, name: str) -> Place:
    target = project.target(name)
    return Place(project.name, name, target.account or "", target.region or "")


def _values(project: Project, place: Place) -> dict[str, str]:
    """The placeholders of a target that are the same for every spec."""
    return {
        "project.name": project.name,
        "target.name": place.target,
        "target.account": place.account,
        "target.region": place.region,
        **{f"var.{key}": value for key, value in project.variables(place.target).items()},
    }


def strings(value: Any) -> list[tuple[Loc, str]]:  # noqa: ANN401 - any JSON value
    """Every string of a value that contains a ``${``, with its path; keys are not among them."""
    texts: list[tuple[Loc, str]] = []
    _walk(value, (), texts, [])
    return texts


def keys(value: Any) -> list[Loc]:  # noqa: ANN401 - any JSON value
    """The path of every key that contains a ``${``."""
    names: list[Loc] = []
    _walk(value, (), [], names)
    return names


def _walk(value: Any, loc: Loc, texts: list[tuple[Loc, str]], names: list[Loc]) -> None:  # noqa: ANN401 - as above
    if isinstance(value, str):
        if OPENING in value:
            texts.append((loc, value))
    elif isinstance(value, dict):
        for key, inner in value.items():
            if OPENING in key:
                names.append((*loc, key))
            _walk(inner, (*loc, key), texts, names)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _walk(inner, (*loc, index), texts, names)


def render(text: str, scope: Scope, room: int = MOST_CHARACTERS) -> str:
    """A string with its placeholders filled in; if the spec has slots, as a template for `render_slot`.

    Raises `PlaceholderProblem`, also if the result is longer than `room` characters.
    """
    done: list[str] = []
    literal = ""
    for offset, piece in pieces(text):
        if piece.name == SLOT and scope.slots:
            if literal.endswith("$"):
                raise PlaceholderProblem(offset, f"a $ directly before ${{{SLOT}}} reads as an escape")
            inner = SLOT if piece.slot_format is None else f"{SLOT}:{piece.slot_format}"
            done += [escape(literal), f"${{{inner}}}"]
            literal = ""
        else:
            literal += piece.text if piece.name is None else _value(offset, piece.name, scope)
            if len(literal) > room:
                raise TooLarge(offset, "the values of placeholders make the request larger than 1 MiB")
    done.append(escape(literal) if scope.slots else literal)
    return "".join(done)


def escape(text: str) -> str:
    """Text as it must be written to be taken literally."""
    return text.replace(OPENING, ESCAPED)


def _value(offset: int, name: str, scope: Scope) -> str:
    value = scope.values.get(name)
    if value is not None:
        return value
    if name == SLOT:
        raise PlaceholderProblem(offset, f"${{{SLOT}}} is allowed only in specs with a schedule")
    if name in scope.elsewhere:
        message = f"{name} is defined in target {scope.elsewhere[name]}, but not in target {scope.target}"
        raise PlaceholderProblem(offset, message)
    names = list(dict.fromkeys([*scope.values, *scope.elsewhere, *([SLOT] if scope.slots else [])]))
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean ${{{close[0]}}}?" if close else f"expected one of {', '.join(sorted(names))}."
    raise PlaceholderProblem(offset, f"unknown placeholder ${{{name}}}; {hint} A literal ${{ is written $${{")
