"""Encodes the recorded state as JSON and decodes it.

The codec derives the JSON form from the fields of the state's dataclasses: each object is a list of its field values in
order. Submissions and specs, which make up most of the state, are encoded in columns: for each field, a list of its
values in all objects, or the single value that all objects have. Columns are faster to decode, and an unused field
takes no space. A reference to a submission is encoded as its number, so that decoding creates each submission only
once. Observations made during a pass are left out. A snapshot is valid only for the version of the fold that it
contains.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from functools import cache
from hashlib import sha256
from itertools import repeat
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from reconciler.core.state import OF_THE_PASS, Recorded, SpecRecord, Submission
from reconciler.model.base import JSON

Turn = Callable[[Any], Any]
Coder = tuple[Turn, Turn] | None
"""The functions that convert values of a type to JSON and back, or `None` if no conversion is needed."""

COLUMNS = "columns"
"""The key of objects that are encoded by columns."""

ROWS = "rows"
"""The key of the numbers of the objects that have a value for an optional field, or of null if all of them have one."""

VALUES, NUMBERS = "values", "numbers"
"""The keys of a column with few different mappings: these mappings, and for each object the number of its mapping."""

PLAIN = {str, int, float, bool, NoneType, object, Any}
DERIVED, SPECS = "by_token", "specs"
"""The field that is rebuilt from the submissions, and the field that contains the specs."""

FOLD = 1
"""The version of the fold. Raise it if the same events now lead to another state than before, so that older snapshots
are not used. `tests/ledger/fold_sources.json` contains digests of the modules that fold events. A test fails if one of
these modules has changed, as a reminder to decide whether this number must be raised."""


@cache
def fold_version() -> str:
    """Returns the version that a usable snapshot must have: the version of the fold, and a digest of the fields of the
    state, which determine the form of a snapshot."""
    shape = sha256("\n".join(_shape(Recorded)).encode()).hexdigest()
    return f"{FOLD}-{shape[:24]}"


def _shape(kind: type) -> list[str]:
    """Returns the fields of a dataclass and of the dataclasses in it, and the values of enums, as text."""
    lines, rest, seen = list[str](), list[Any]([kind]), {kind}
    while rest:
        each = rest.pop()
        if issubclass(each, Enum):
            lines.append(f"{each.__name__}: {[member.value for member in each]}")
            continue
        kept = [field for field in fields(each) if OF_THE_PASS not in field.metadata]
        hints = _hints(each)
        lines.append(f"{each.__name__}: {[(field.name, _text(hints[field.name])) for field in kept]}")
        parts = {part for field in kept for part in _parts(hints[field.name])}
        found = {part for part in parts if is_dataclass(part) or issubclass(part, Enum)}
        rest += sorted(found - seen, key=lambda part: part.__name__)
        seen |= found
    return lines


def _text(hint: Any) -> str:  # noqa: ANN401 - a type as it is written in an annotation
    """Returns a type as text that is the same in every process: `repr` contains addresses of functions."""
    arguments = get_args(hint)
    if get_origin(hint) in {Union, UnionType}:
        return " | ".join(map(_text, arguments))
    name = getattr(get_origin(hint) or hint, "__name__", str(hint))
    return f"{name}[{', '.join(map(_text, arguments))}]" if arguments else name


def _parts(hint: Any) -> Iterator[type]:  # noqa: ANN401 - a type as it is written in an annotation
    """Yields the types in an annotation."""
    if isinstance(hint, type) and not get_args(hint):
        yield hint
    for argument in get_args(hint):
        yield from _parts(argument)


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Returns the types of the fields of a dataclass, which are needed for the version and for the conversion."""
    return get_type_hints(kind)


def to_json(recorded: Recorded) -> JSON:
    """Returns the recorded state as a JSON object. Raises `TypeError` for a field of an unsupported type."""
    submissions = list(recorded.by_token.values())
    numbers = {id(submission): number for number, submission in enumerate(submissions)}
    reference: Coder = (lambda submission: numbers[id(submission)], int)
    form: JSON = {"submissions": {COLUMNS: _columns(Submission, submissions)}}
    for field, coder in _kept(reference):
        value = getattr(recorded, field.name)
        form[field.name] = value if coder is None else coder[0](value)
    form[SPECS] = [list(recorded.specs), _columns(SpecRecord, list(recorded.specs.values()), reference)]
    return form


def from_json(form: Mapping[str, Any]) -> Recorded:
    """Returns the state in a JSON object. Raises `ValueError`, `TypeError`, `KeyError` or `IndexError` for an object
    that `to_json` of this version never returns."""
    submissions: list[Submission] = []
    reference: Coder = (int, submissions.__getitem__)
    submissions += _submissions(form["submissions"])
    values = {
        field.name: form[field.name] if coder is None else coder[1](form[field.name])
        for field, coder in _kept(reference)
    }
    specs = _specs(form[SPECS], reference)
    return Recorded(**values, specs=specs, by_token={submission.token: submission for submission in submissions})


def _specs(form: Any, reference: Coder) -> dict[str, SpecRecord]:  # noqa: ANN401 - any JSON value
    """Returns the specs in a JSON value. Older snapshots have a mapping from names to lists instead of columns."""
    if isinstance(form, dict):
        back = _whole(SpecRecord, reference)[1]
        return {name: back(record) for name, record in form.items()}
    names, columns = form
    return dict(zip(names, _from_columns(SpecRecord, columns, len(names), reference), strict=True))


def _submissions(form: Any) -> Iterator[Submission]:  # noqa: ANN401 - any JSON value
    """Yields the submissions in a JSON value. Older snapshots have a list for each submission instead of columns."""
    if isinstance(form, list):
        return map(_whole(Submission, None)[1], form)
    columns = form[COLUMNS]
    tokens = columns[[field.name for field in fields(Submission)].index("token")]
    return cast("Iterator[Submission]", _from_columns(Submission, columns, len(tokens)))


def _kept(reference: Coder) -> list[tuple[Field[Any], Coder]]:
    """Returns the fields of the state that are encoded without columns, with their coders."""
    hints = _hints(Recorded)
    return [
        (field, _coder(hints[field.name], reference))
        for field in fields(Recorded)
        if field.name not in {DERIVED, SPECS} and OF_THE_PASS not in field.metadata
    ]


def _coder(hint: Any, reference: Coder) -> Coder:  # noqa: ANN401 - a type as it is written in an annotation
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Submission:
        return reference
    if hint in PLAIN:
        return None
    if origin in {Union, UnionType}:
        return _optional(hint, reference)
    if isinstance(origin, type) and issubclass(origin, Collection):
        return _collection(origin, arguments, reference)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return (attrgetter("value"), {member.value: member for member in hint}.__getitem__)
    if is_dataclass(hint):
        return _whole(cast("type", hint), reference)
    raise TypeError(f"the snapshot codec does not support {hint}")


def _optional(hint: Any, reference: Coder) -> Coder:  # noqa: ANN401 - a type as it is written in an annotation
    coders = [_coder(part, reference) for part in get_args(hint) if part is not NoneType]
    if not any(coders):
        return None
    if len(coders) > 1 or coders[0] is None:
        raise TypeError(f"the snapshot codec cannot tell the parts of {hint} apart")
    to, back = coders[0]
    return (lambda value: None if value is None else to(value), lambda form: None if form is None else back(form))


def _collection(origin: type, arguments: tuple[Any, ...], reference: Coder) -> Coder:
    if issubclass(origin, Mapping):
        return _mapping(arguments, reference)
    item = _coder(arguments[0], reference)
    if origin is tuple and arguments[1:] != (...,):
        raise TypeError(f"the snapshot codec supports tuples of one type only, not {arguments}")
    if item is None and origin is list:
        return None
    to, back = item or (_same, _same)
    ordered: Turn = sorted if issubclass(origin, AbstractSet) else list
    into: Turn = {"Set": frozenset, "Sequence": list}.get(origin.__name__, origin)
    return (lambda values: ordered(map(to, values)), lambda form: into(map(back, form)))


def _mapping(arguments: tuple[Any, ...], reference: Coder) -> Coder:
    key, value = (_coder(argument, reference) for argument in arguments)
    if arguments[0] is str:
        if value is None:
            return None
        to, back = value
        return (
            lambda values: {name: to(held) for name, held in values.items()},
            lambda form: {name: back(held) for name, held in form.items()},
        )
    (key_to, key_back), (to, back) = key or (_same, _same), value or (_same, _same)
    return (
        lambda values: [[key_to(name), to(held)] for name, held in values.items()],
        lambda form: {key_back(name): back(held) for name, held in form},
    )


def _whole(kind: type, reference: Coder) -> tuple[Turn, Turn]:
    """Returns the functions that convert objects of a dataclass to lists and back."""
    hints = _hints(kind)
    names = [field.name for field in fields(kind)]
    coders = [(place, coder) for place, name in enumerate(names) if (coder := _coder(hints[name], reference))]
    positional = not any(field.kw_only for field in fields(kind))
    values_of = attrgetter(*names) if len(names) > 1 else lambda held: (getattr(held, names[0]),)

    def to(held: Any) -> list[Any]:  # noqa: ANN401 - an object of `kind`
        values = list(values_of(held))
        for place, (turn, _) in coders:
            values[place] = turn(values[place])
        return values

    def back(form: list[Any]) -> Any:  # noqa: ANN401 - an object of `kind`
        if len(form) != len(names):
            raise ValueError(f"{kind.__name__} has {len(names)} fields, the form {len(form)}")
        if positional and not coders:
            return kind(*form)
        values = list(form)
        for place, (_, turn) in coders:
            values[place] = turn(values[place])
        return kind(*values) if positional else kind(**dict(zip(names, values, strict=True)))

    return to, back


def _columns(kind: type, rows: Sequence[Any], reference: Coder = None) -> list[Any]:
    """Returns the values of each field of objects of a dataclass. If the value of a field is itself an object of a
    dataclass, the fields of that object have columns too."""
    columns = list[Any]()
    for field in fields(kind):
        hint, values = _hints(kind)[field.name], list(map(attrgetter(field.name), rows))
        if is_dataclass(hint):
            columns.append(_columns(cast("type", hint), values, reference))
        elif (part := _optional_part(hint)) is not None:
            held = [row for row, value in enumerate(values) if value is not None]
            inner = _columns(part, [values[row] for row in held], reference)
            columns.append({ROWS: None if len(held) == len(values) else held, COLUMNS: inner})
        else:
            coder = _coder(hint, reference)
            column = values if coder is None else list(map(coder[0], values))
            columns.append(column[:1] if _are_all_alike(column) else _once_each(column, hint))
    return columns


def _optional_part(hint: Any) -> type | None:  # noqa: ANN401 - a type
    """Returns the dataclass of a field whose values are objects of it or `None`. For any other field, returns
    `None`."""
    part = _without_none(hint)
    return None if part is hint or not is_dataclass(part) else cast("type", part)


def _without_none(hint: Any) -> Any:  # noqa: ANN401 - a type
    parts = [part for part in get_args(hint) if part is not NoneType]
    return parts[0] if get_origin(hint) in {Union, UnionType} and len(parts) == 1 else hint


def _once_each(column: list[Any], hint: Any) -> Any:  # noqa: ANN401 - a type, and a column
    """Returns a column that contains each of a few different mappings only once. Specs have only a few different
    policies. Objects share these mappings after decoding, so this applies only to fields of type `Mapping`, whose
    values are never changed."""
    if get_origin(_without_none(hint)) is not Mapping:
        return column
    texts = list(map(json.dumps, column))
    different = dict(zip(texts, column, strict=True))
    if 2 * len(different) > len(column):
        return column
    numbers = {text: number for number, text in enumerate(different)}
    return {VALUES: list(different.values()), NUMBERS: [numbers[text] for text in texts]}


def _are_all_alike(column: Sequence[Any]) -> bool:
    """Returns whether all values of a column are the same simple value, which can be written once. Equal numbers inside
    other values could differ in their type."""
    if not column or (isinstance(column[0], list | dict) and column[0]):
        return False
    return column.count(column[0]) == len(column) and len(set(map(type, column))) == 1


def _from_columns(kind: type, columns: Sequence[Any], number: int, reference: Coder = None) -> Iterator[Any]:
    """Yields the objects of a dataclass from the columns of their fields. Raises `ValueError` if the columns have other
    numbers of values."""
    if len(columns) != len(fields(kind)):
        raise ValueError(f"{kind.__name__} has {len(fields(kind))} fields, the form {len(columns)}")
    hints = [_hints(kind)[field.name] for field in fields(kind)]
    return map(kind, *(_values(hint, column, number, reference) for hint, column in zip(hints, columns, strict=True)))


def _values(hint: Any, column: Any, number: int, reference: Coder) -> Iterable[Any]:  # noqa: ANN401 - a type, a column
    """Returns the values of a column, which contains one value for all objects or one for each."""
    if is_dataclass(hint):
        return _from_columns(cast("type", hint), column, number, reference)
    if isinstance(column, dict):
        part = _optional_part(hint)
        return _shared(column, number) if part is None else _with_gaps(part, column, number, reference)
    values: Iterable[Any] = column
    if len(column) == 1 and number > 1:
        (value,) = column
        values = map(type(value), repeat(value, number)) if isinstance(value, list | dict) else repeat(value, number)
    elif len(column) != number:
        raise ValueError(f"a column has {len(column)} values, and there are {number} objects")
    coder = _coder(hint, reference)
    return values if coder is None else map(coder[1], values)


def _shared(column: Mapping[str, Any], number: int) -> Iterable[Any]:
    numbers = column[NUMBERS]
    if len(numbers) != number:
        raise ValueError(f"a column has {len(numbers)} values, and there are {number} objects")
    return map(column[VALUES].__getitem__, numbers)


def _with_gaps(kind: type, column: Mapping[str, Any], number: int, reference: Coder) -> Iterable[Any]:
    """Returns the objects of an optional field, with `None` for each object without one."""
    rows = column[ROWS]
    if rows is None:
        return _from_columns(kind, column[COLUMNS], number, reference)
    values = [None] * number
    for row, value in zip(rows, _from_columns(kind, column[COLUMNS], len(rows), reference), strict=True):
        values[row] = value
    return values


def _same(value: Any) -> Any:  # noqa: ANN401 - any value
    return value
