"""Finds the fields of a model by their path, and the ones that misspelt names mean."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, get_args

from reconciler.model.base import Loc, Strict


def known_fields(model: type[Strict], loc: Loc) -> tuple[str, ...]:
    """The fields that `model` has inside the mapping at `loc`; empty if that is no model."""
    models: list[type[Strict]] = [model]
    for element in loc:
        if isinstance(element, int):
            continue
        annotations = [outer.model_fields[element].annotation for outer in models if element in outer.model_fields]
        models = [inner for annotation in annotations for inner in _models(annotation)] or models
    return tuple(dict.fromkeys(name for each in models for name in each.model_fields))


def _models(annotation: Any) -> list[type[Strict]]:  # noqa: ANN401 - a type annotation
    """The models that an annotation mentions: as itself, in a list or mapping, or as a branch of a union."""
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def meant_field(model: type[Strict], loc: Loc, value: Any) -> str | None:  # noqa: ANN401 - any document
    """The field that the last name of a path surely means; `None` if there is none, or `value` has that field too."""
    name = _meant(str(loc[-1]), known_fields(model, loc[:-1]))
    around = value
    for element in loc[:-1]:
        around = _member(around, element)
    return name if isinstance(around, dict) and name not in around else None


NEARLY = 0.85  # of difflib's ratio
SHORTEST_START = 6  # letters


def _meant(word: str, names: Sequence[str]) -> str | None:
    """The name that a misspelt one surely means: in another case, with other separators, a letter or two off, or the
    only one that it is the beginning of."""
    letters = _letters(word)
    same = [name for name in names if _letters(name) == letters]
    longer = [name for name in names if len(letters) >= SHORTEST_START and _letters(name).startswith(letters)]
    if same or len(longer) == 1:
        return [*same, *longer][0]
    close = get_close_matches(word, names, n=1, cutoff=NEARLY)
    return close[0] if close else None


def _letters(name: str) -> str:
    return "".join(char for char in name.lower() if char.isalnum())


def renamed(value: Any, loc: Loc, name: str) -> Any:  # noqa: ANN401 - any document
    """A copy of a value in which the field at a path has another name, at the same place."""
    if not loc:
        return value
    first = loc[0]
    if isinstance(value, dict) and first in value:
        if len(loc) == 1:
            return {name if key == first else key: inner for key, inner in value.items()}
        return {**value, first: renamed(value[first], loc[1:], name)}
    if isinstance(value, list) and isinstance(first, int) and first < len(value):
        return [*value[:first], renamed(value[first], loc[1:], name), *value[first + 1 :]]
    return renamed(value, loc[1:], name)  # pydantic adds the branch of a union, which no document has


def _member(value: Any, element: str | int) -> Any:  # noqa: ANN401 - any document
    if isinstance(value, dict) and element in value:
        return value[element]
    if isinstance(value, list) and isinstance(element, int) and element < len(value):
        return value[element]
    return value
