"""The names that a model knows at a path, for suggestions."""

from __future__ import annotations

from typing import Any, get_args

from reconciler.model.kind import Loc
from reconciler.model.strict import Strict


def known_fields(model: type[Strict], loc: Loc) -> tuple[str, ...]:
    """The fields that `model` knows inside the mapping at `loc`; empty where that is no model."""
    models: list[type[Strict]] = [model]
    for element in loc:
        if isinstance(element, int):
            continue
        inner = [found for outer in models if element in outer.model_fields for found in _inside(outer, element)]
        if inner:
            models = inner
    return tuple(dict.fromkeys(name for found in models for name in found.model_fields))


def _inside(model: type[Strict], name: str) -> list[type[Strict]]:
    return _models(model.model_fields[name].annotation)


def _models(annotation: Any) -> list[type[Strict]]:  # noqa: ANN401 - a type annotation
    """The models that an annotation mentions: as itself, in a list or mapping, or as a branch of a union."""
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]
