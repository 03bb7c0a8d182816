"""Encodes objects of dataclasses as JSON and decodes them, by the types of their fields.

An object is a list of its field values in order. Many objects of one class are encoded by columns: a list for each
field with its values in all of them, or with the one value that all have. They are decoded sooner, and an unused field
takes no room. Columns can also be decoded row by row, when an object is first accessed.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from itertools import count, repeat
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, ParamSpec, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from reconciler.core.lazy_mapping import LazyRows
from reconciler.core.submission import Submission
from reconciler.errors import LedgerCorrupt
from reconciler.values import uncollected

P = ParamSpec("P")
Decoded = TypeVar("Decoded")

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


@cache
def hints_of(kind: type) -> dict[str, Any]:
    """Returns the types of the fields of a dataclass, which are needed for the version and for the conversion."""
    return get_type_hints(kind)


def coder_of(hint: Any, reference: Coder) -> Coder:  # noqa: ANN401 - a type as it is written in an annotation
    """Returns the functions that convert values of a type. `reference` converts submissions. Raises `TypeError` for an
    unsupported type."""
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
        return coder_of_objects(cast("type", hint), reference)
    raise TypeError(f"the snapshot codec does not support {hint}")


def _optional(hint: Any, reference: Coder) -> Coder:  # noqa: ANN401 - a type as it is written in an annotation
    coders = [coder_of(part, reference) for part in get_args(hint) if part is not NoneType]
    if not any(coders):
        return None
    if len(coders) > 1 or coders[0] is None:
        raise TypeError(f"the snapshot codec cannot tell the parts of {hint} apart")
    to, back = coders[0]
    return (lambda value: None if value is None else to(value), lambda form: None if form is None else back(form))


def _collection(origin: type, arguments: tuple[Any, ...], reference: Coder) -> Coder:
    if issubclass(origin, Mapping):
        return _mapping(arguments, reference)
    item = coder_of(arguments[0], reference)
    if origin is tuple and arguments[1:] != (...,):
        raise TypeError(f"the snapshot codec supports tuples of one type only, not {arguments}")
    if item is None and origin is list:
        return None
    to, back = item or (_same, _same)
    ordered: Turn = sorted if issubclass(origin, AbstractSet) else list
    into: Turn = {"Set": frozenset, "Sequence": list}.get(origin.__name__, origin)
    return (lambda values: ordered(map(to, values)), lambda form: into(map(back, form)))


def _mapping(arguments: tuple[Any, ...], reference: Coder) -> Coder:
    key, value = (coder_of(argument, reference) for argument in arguments)
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


def coder_of_objects(kind: type, reference: Coder) -> tuple[Turn, Turn]:
    """Returns the functions that convert objects of a dataclass to lists and back."""
    hints = hints_of(kind)
    names = [field.name for field in fields(kind)]
    coders = [(place, coder) for place, name in enumerate(names) if (coder := coder_of(hints[name], reference))]
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


def to_columns(kind: type, rows: Sequence[Any], reference: Coder = None) -> list[Any]:
    """Returns the values of each field of objects of a dataclass. If the value of a field is itself an object of a
    dataclass, the fields of that object have columns too."""
    columns = list[Any]()
    for field in fields(kind):
        hint, values = hints_of(kind)[field.name], list(map(attrgetter(field.name), rows))
        if is_dataclass(hint):
            columns.append(to_columns(cast("type", hint), values, reference))
        elif (part := _optional_part(hint)) is not None:
            held = [row for row, value in enumerate(values) if value is not None]
            inner = to_columns(part, [values[row] for row in held], reference)
            columns.append({ROWS: None if len(held) == len(values) else held, COLUMNS: inner})
        else:
            coder = coder_of(hint, reference)
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


def from_columns(kind: type, columns: Sequence[Any], number: int, reference: Coder = None) -> Iterator[Any]:
    """Yields the objects of a dataclass from the columns of their fields. Raises `ValueError` if the columns have other
    numbers of values."""
    _check_number(kind, columns)
    hints = [hints_of(kind)[field.name] for field in fields(kind)]
    return map(kind, *(_values(hint, column, number, reference) for hint, column in zip(hints, columns, strict=True)))


def _values(hint: Any, column: Any, number: int, reference: Coder) -> Iterable[Any]:  # noqa: ANN401 - a type, a column
    """Returns the values of a column, which contains one value for all objects or one for each."""
    if is_dataclass(hint):
        return from_columns(cast("type", hint), column, number, reference)
    if isinstance(column, dict):
        part = _optional_part(hint)
        return _shared(column, number) if part is None else _with_gaps(part, column, number, reference)
    values: Iterable[Any] = column
    if len(column) == 1 and number > 1:
        (value,) = column
        # Each object gets its own list, because the fold changes lists in place.
        values = map(type(value), repeat(value, number)) if isinstance(value, list | dict) else repeat(value, number)
    else:
        _check_length(column, number)
    coder = coder_of(hint, reference)
    return values if coder is None else map(coder[1], values)


def _shared(column: Mapping[str, Any], number: int) -> Iterable[Any]:
    numbers = column[NUMBERS]
    _check_length(numbers, number)
    return map(column[VALUES].__getitem__, numbers)


def _with_gaps(kind: type, column: Mapping[str, Any], number: int, reference: Coder) -> Iterable[Any]:
    """Returns the objects of an optional field, with `None` for each object without one."""
    rows = column[ROWS]
    if rows is None:
        return from_columns(kind, column[COLUMNS], number, reference)
    values = [None] * number
    for row, value in zip(rows, from_columns(kind, column[COLUMNS], len(rows), reference), strict=True):
        values[row] = value
    return values


def _object_of_row(kind: type, columns: Sequence[Any], number: int, reference: Coder) -> Callable[[int], Any]:
    """Returns a function that decodes the object in one row of the columns of a dataclass. Raises `ValueError` as
    `from_columns` does."""
    _check_number(kind, columns)
    hints = [hints_of(kind)[field.name] for field in fields(kind)]
    parts = [_value_of_row(hint, column, number, reference) for hint, column in zip(hints, columns, strict=True)]
    return lambda row: kind(*[part(row) for part in parts])


def _value_of_row(hint: Any, column: Any, number: int, reference: Coder) -> Callable[[int], Any]:  # noqa: ANN401
    """Returns a function that decodes the value in one row of a column."""
    if is_dataclass(hint):
        return _object_of_row(cast("type", hint), column, number, reference)
    if isinstance(column, dict) and (part := _optional_part(hint)) is not None:
        rows = range(number) if column[ROWS] is None else column[ROWS]
        places, inner = dict(zip(rows, count())), _object_of_row(part, column[COLUMNS], len(rows), reference)
        return lambda row: inner(places[row]) if row in places else None
    coder, form = coder_of(hint, reference), _form_of_row(column, number)
    if coder is None:
        return form
    back = coder[1]
    return lambda row: back(form(row))


def _form_of_row(column: Any, number: int) -> Callable[[int], Any]:  # noqa: ANN401 - a column
    """Returns a function that returns the JSON value in one row of a column."""
    if isinstance(column, dict):
        numbers, values = column[NUMBERS], column[VALUES]
        _check_length(numbers, number)
        return lambda row: values[numbers[row]]
    if len(column) == 1 and number > 1:
        (value,) = column
        return (lambda _: type(value)(value)) if isinstance(value, list | dict) else lambda _: value
    _check_length(column, number)
    return cast("Callable[[int], Any]", column.__getitem__)


def _check_number(kind: type, columns: Sequence[Any]) -> None:
    if len(columns) != len(fields(kind)):
        raise ValueError(f"{kind.__name__} has {len(fields(kind))} fields, the form {len(columns)}")


def _check_length(column: Sequence[Any], number: int) -> None:
    if len(column) != number:
        raise ValueError(f"a column has {len(column)} values, and there are {number} objects")


def _same(value: Any) -> Any:  # noqa: ANN401 - any value
    return value


def lazy_rows(kind: type, columns: Sequence[Any], names: Sequence[str], reference: Coder = None) -> LazyRows[Any]:
    """Returns the objects of a dataclass whose fields are in columns, by the names of the rows. Raises `ValueError` for
    columns of other lengths."""
    number = len(names)
    make = _object_of_row(kind, columns, number, reference)
    columns_of = {field.name: column for field, column in zip(fields(kind), columns, strict=True)}

    def make_all() -> list[Any]:
        with uncollected():
            return list(from_columns(kind, columns, number, reference))

    def column(field: str) -> list[Any]:
        return list(_values(hints_of(kind)[field], columns_of[field], number, reference))

    return LazyRows(names, _checked(make), _checked(make_all), _checked(column))


def _checked(decode: Callable[P, Decoded]) -> Callable[P, Decoded]:
    """Returns a function that raises `LedgerCorrupt` instead of the errors of invalid values."""

    def decoded(*arguments: P.args, **named: P.kwargs) -> Decoded:
        try:
            return decode(*arguments, **named)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise LedgerCorrupt(
                "the snapshot of the ledger has an invalid value, so another program wrote it. Replace it: reconciler "
                "ledger verify --new-snapshot"
            ) from error

    return decoded
