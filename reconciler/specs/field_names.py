"""Finds the fields of a model by path, and the correct names of misspelt fields."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, get_args

from reconciler.core.times import seconds_of
from reconciler.model.base import Loc, Strict


def known_fields(model: type[Strict], loc: Loc) -> tuple[str, ...]:
    """Returns the fields that `model` has inside the mapping at `loc`, or no fields if the value at `loc` is not a
    model."""
    models: list[type[Strict]] = [model]
    for element in loc:
        if isinstance(element, int):
            continue
        annotations = [outer.model_fields[element].annotation for outer in models if element in outer.model_fields]
        models = [inner for annotation in annotations for inner in _models(annotation)] or models
    return tuple(dict.fromkeys(name for each in models for name in each.model_fields))


def fields_inside(model: type[Strict], loc: Loc) -> tuple[str, ...]:
    """Returns the fields of the mapping at `loc`, or of each mapping in the list at `loc`. Returns no fields for any
    other value."""
    above = tuple(element for element in loc if isinstance(element, str))[:-1]
    inside = known_fields(model, loc)
    return inside if inside != known_fields(model, above) else ()


UNITS = {"Seconds": 1, "Minutes": 60, "Hours": 3600, "Days": 86_400}
"""The length of a unit in seconds, by the suffix of the names of fields that use the unit."""


def in_unit(name: object, value: object) -> str:
    """Returns ``: write 3600`` for a duration such as ``1h`` in a field whose name ends with ``Seconds``. Returns an
    empty string for any other field or value, and for a duration that is not a whole number of the field's unit."""
    size = next((size for unit, size in UNITS.items() if str(name).endswith(unit)), None)
    if size is None or not isinstance(value, str):
        return ""
    try:
        number = seconds_of(value) / size
    except ValueError:
        return ""
    return f": write {int(number)}" if number.is_integer() else ""


DEEPEST_SEARCH = 4


def path_of_field(model: type[Strict], name: str) -> Loc | None:
    """Returns the shortest path to a field with this name in `model`, or `None` if there is no such field."""
    level: list[tuple[Loc, type[Strict]]] = [((), model)]
    for _ in range(DEEPEST_SEARCH):
        for path, each in level:
            if name in each.model_fields:
                return (*path, name)
        level = [
            ((*path, field), inner)
            for path, each in level
            for field, info in each.model_fields.items()
            for inner in _models(info.annotation)
        ]
    return None


def _models(annotation: Any) -> list[type[Strict]]:  # noqa: ANN401 - a type annotation
    """Returns the models in an annotation: the annotation itself, or the models in its list, its mapping or the
    branches of its union."""
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def meant_field(model: type[Strict], loc: Loc, value: Any) -> str | None:  # noqa: ANN401 - any document
    """Returns the field name that the last name in a path is probably a misspelling of. Returns `None` if no field is a
    certain match, or if `value` already has that field."""
    name = _meant(str(loc[-1]), known_fields(model, loc[:-1]))
    around = value
    for element in loc[:-1]:
        around = _member(around, element)
    return name if isinstance(around, dict) and name not in around else None


NEARLY = 0.85  # minimum of difflib's ratio
SHORTEST_START = 6  # letters


def _meant(word: str, names: Sequence[str]) -> str | None:
    """Returns the name that was most likely meant by the misspelt `word`.

    `word` differs from the name in case, in separators, or in one or two letters, or is a prefix of only this name.
    """
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
    """Returns a copy of a value in which the field at `loc` is renamed to `name`, in the same position."""
    if not loc:
        return value
    first = loc[0]
    if isinstance(value, dict) and first in value:
        if len(loc) == 1:
            return {name if key == first else key: inner for key, inner in value.items()}
        return {**value, first: renamed(value[first], loc[1:], name)}
    if isinstance(value, list) and isinstance(first, int) and first < len(value):
        return [*value[:first], renamed(value[first], loc[1:], name), *value[first + 1 :]]
    return renamed(value, loc[1:], name)  # pydantic adds the branch of a union, which is not in the document


def _member(value: Any, element: str | int) -> Any:  # noqa: ANN401 - any document
    if isinstance(value, dict) and element in value:
        return value[element]
    if isinstance(value, list) and isinstance(element, int) and element < len(value):
        return value[element]
    return value
