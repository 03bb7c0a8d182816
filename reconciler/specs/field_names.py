"""Finds the fields of a model by path, and what was meant by an unknown field: a misspelt name, a name that another
tool has for it, or a field that belongs elsewhere."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple, get_args, get_origin

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
    """Returns the fields of the mapping at `loc`, or of each mapping in the list or mapping at `loc`. Returns no fields
    for any other value."""
    return tuple(dict.fromkeys(name for each in _models_at(model, loc) for name in each.model_fields))


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


DEEPEST_SEARCH = 5
FEW_LEVELS, FEW_STEPS = 2, 3
GENERIC = frozenset({"image", "name", "type", "value"})
"""Names of fields that occur in many lists of mappings, such as `environment`. They are not suggested, because it is
unclear which of them was meant."""
OTHER_NAMES = {
    "backoffLimit": "retries maxretries retrylimit retrycount maxretryattempts numretries",
    "backoffSeconds": "retrydelay retryinterval retrydelayseconds",
    "schedule": "cron cronschedule cronexpression scheduleexpression interval trigger",
    "timeZone": "tz zone scheduleexpressiontimezone",
    "suspend": "paused pause disabled disable enabled enable ispaused active",
    "dependsOn": "needs requires depends upstream dependencies after",
    "startingDeadlineSeconds": "deadline deadlineseconds",
    "concurrencyPolicy": "concurrency maxactiveruns maxconcurrency maxconcurrentruns overlap overlappolicy",
    "request": "job jobtemplate template",
    "containerOverrides": "override overrides",
    "annotations": "description comment notes",
    "targets": "environments envs stages",
    "attemptDurationSeconds": "activedeadlineseconds timeoutseconds maxruntime maxruntimeseconds",
    "executionTimeoutMinutes": "timeout activedeadlineseconds timeoutminutes timeoutseconds maxruntime",
    "environment": "env envvars environmentvariables variables",
    "resourceRequirements": "resources requests limits cpu vcpu",
    "arrayProperties": "array arraysize completions parallelism",
    "entryPointArguments": "args arguments argv scriptarguments applicationarguments jobarguments",
    "entryPoint": "mainapplicationfile mainpythonfile script scriptlocation file jar mainjar pythonfile",
    "sparkSubmitParameters": "sparkparameters sparkconf sparkproperties conf mainclass class jars packages pyfiles",
    "query": "queryfile sql sqlfile",
    "logUri": "loglocation logs logpath s3loguri",
    "command": "args arguments entrypoint cmd",
    "jobQueue": "queue queuename jobqueuearn jobqueuename",
    "jobDefinition": "definition jobdefinitionname jobdefinitionarn",
    "executionRoleArn": "role rolearn executionrole jobrole jobrolearn",
    "applicationId": "application app appid",
    "name": "jobname",
}
"""The names that other tools have for a field, in lower case without separators."""


class FieldPath(NamedTuple):
    """The path of a field in a document. `listed` is the number of fields around it that are lists of mappings."""

    loc: Loc
    listed: int


@cache
def field_paths(
    model: type[Strict], request: Loc = (), request_model: type[Strict] | None = None
) -> dict[str, list[FieldPath]]:
    """Returns the paths of all fields of a document by name: those of its model, and those of the request at the path
    `request`, whose model depends on the kind."""
    by_name: dict[str, list[FieldPath]] = {}
    level = [(FieldPath((), 0), model)]
    for _ in range(len(request) + DEEPEST_SEARCH):
        inside: list[tuple[FieldPath, type[Strict]]] = []
        for outer, each in level:
            for name, info in each.model_fields.items():
                at = FieldPath((*outer.loc, name), outer.listed)
                by_name.setdefault(name, []).append(at)
                inner = [request_model] if at.loc == request and request_model else _models(info.annotation)
                listed = at.listed + (get_origin(info.annotation) in {list, tuple})
                inside += [(FieldPath(at.loc, listed), deeper) for deeper in inner]
        level = inside
    return by_name


def elsewhere(by_name: Mapping[str, Sequence[FieldPath]], loc: Loc, name: str) -> Loc | None:
    """Returns the nearest path of a field with this name, or with a name that other tools have for it: in the mapping
    at `loc`, inside it, around it, or among the first fields of the document. Returns `None` if there is none."""
    loc = tuple(element for element in loc if isinstance(element, str))
    letters = _letters(name)
    others = [field for field, words in OTHER_NAMES.items() if letters in words.split()]
    near = (each.loc for wanted in (name, *others) for each in by_name.get(wanted, ()) if _is_near(each, loc, wanted))
    return min(near, key=lambda path: _steps(loc, path), default=None)


def _is_near(field: FieldPath, loc: Loc, name: str) -> bool:
    path = field.loc
    if path[: len(loc)] == loc:
        return not (name in GENERIC and field.listed)
    return loc[: len(path) - 1] == path[:-1] or (len(path) <= FEW_LEVELS and _steps(loc, path) <= FEW_STEPS)


def _steps(start: Loc, path: Loc) -> int:
    """Returns the number of mappings to leave and to enter on the way from one path to another."""
    common = next((index for index, pair in enumerate(zip(start, path, strict=False)) if pair[0] != pair[1]), None)
    shared = min(len(start), len(path)) if common is None else common
    return len(start) + len(path) - 2 * shared


def _models_at(model: type[Strict], loc: Loc) -> list[type[Strict]]:
    """Returns the models at a path, or no models if the value there is not a mapping with certain fields."""
    models = [model]
    for element in loc:
        within = [each.model_fields[element] for each in models if element in each.model_fields]
        if within:  # otherwise it is an index, or the key of a mapping
            models = [inner for info in within for inner in _models(info.annotation)]
    return models


def _models(annotation: Any) -> list[type[Strict]]:  # noqa: ANN401 - a type annotation
    """Returns the models in an annotation: the annotation itself, or the models in its list, its mapping or the
    branches of its union."""
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def meant_field(model: type[Strict], loc: Loc, value: Any) -> str | None:  # noqa: ANN401 - any document
    """Returns the field name that the last name in a path is probably a misspelling of. Returns `None` if no field is a
    certain match, or if `value` already has that field."""
    name = spelling(str(loc[-1]), known_fields(model, loc[:-1]))
    around = value
    for element in loc[:-1]:
        around = _member(around, element)
    return name if isinstance(around, dict) and name not in around else None


NEARLY = 0.85  # minimum of difflib's ratio
SHORTEST_START = 6  # letters


def spelling(word: str, names: Sequence[str]) -> str | None:
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
