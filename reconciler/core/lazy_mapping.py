"""A mapping whose values are made when they are first accessed, such as the records in a snapshot, of which a plan of
few changed specs needs few."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping, MutableMapping, Sequence
from copy import deepcopy
from itertools import count
from typing import Any, Generic, TypeVar

T = TypeVar("T")

FEW = 8
"""If more than one row in so many is needed, all are made, because making all at once takes less time for each."""


class LazyRows(Generic[T]):
    """Objects that are made from the rows of some columns when they are first accessed. Each is made once.

    `names` are the names of the rows. `make` returns the object of a row, `make_all` returns the objects of all rows in
    order, and `column` the values of one field in all rows. Threads that access the same row at the same time get the
    same object.
    """

    def __init__(
        self,
        names: Sequence[str],
        make: Callable[[int], T],
        make_all: Callable[[], Iterable[T]],
        column: Callable[[str], Iterable[Any]],
    ) -> None:
        self.names, self.made = names, dict[int, T]()
        self._make, self._make_all, self._column = make, make_all, column

    def __getitem__(self, row: int) -> T:
        """Returns the object of a row. Raises `IndexError` if there is no such row, and the errors of `make`."""
        held = self.made.get(row)
        if held is not None:
            return held
        if not 0 <= row < len(self.names):
            raise IndexError(f"there are {len(self.names)} rows, and no row {row}")
        if FEW * len(self.made) < len(self.names):
            return self.made.setdefault(row, self._make(row))
        for number, each in enumerate(self._make_all()):
            self.made.setdefault(number, each)
        return self.made[row]

    def passing(self, test: Callable[..., bool], fields: tuple[str, ...]) -> set[int]:
        """Returns the rows whose fields passed a test when the columns were written."""
        values = [*zip(*map(self._column, fields), strict=True)]
        try:
            different = set(values)  # few, so the test is called a few times instead of for each row
        except TypeError:
            return {row for row, each in enumerate(values) if test(*each)}
        passing = {each for each in different if test(*each)}
        return {row for row, each in enumerate(values) if each in passing} if passing else set()


class LazyMapping(MutableMapping[str, T]):
    """A mapping from names to objects, of which some are rows that are made when they are first accessed. It behaves
    like a dictionary that contains all objects from the start."""

    def __init__(self, rows: LazyRows[T]) -> None:
        self._rows = rows
        self._held: dict[str, T | int] = dict(zip(rows.names, count(), strict=False))  # an integer is a row
        self._added = dict[str, T]()  # the objects that are no rows

    def __getitem__(self, name: str) -> T:
        held = self._held[name]
        return self._rows[held] if type(held) is int else held  # type: ignore[return-value]

    def __setitem__(self, name: str, value: T) -> None:
        self._held[name] = self._added[name] = value

    def __delitem__(self, name: str) -> None:
        del self._held[name]
        self._added.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, name: object) -> bool:
        return name in self._held

    def keys(self) -> KeysView[str]:
        """Returns the names, without making an object."""
        return self._held.keys()

    def __copy__(self) -> LazyMapping[T]:
        other = LazyMapping(self._rows)
        other._held, other._added = dict(self._held), dict(self._added)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, T]:
        return deepcopy(dict(self), memo)

    def where(self, test: Callable[..., bool], fields: tuple[str, ...]) -> Iterator[T]:
        """Yields the objects whose fields pass a test, in any order. Other rows that were not accessed are not
        made."""
        rows, held, values = self._rows, self._held, list(self._added.values())
        # Objects that were made may have changed since the columns were written.
        candidates = sorted(rows.passing(test, fields) | rows.made.keys())
        values += [rows[row] for row in candidates if held.get(rows.names[row]) == row]
        return (value for value in values if test(*(getattr(value, field) for field in fields)))


def where(values: Mapping[str, T], test: Callable[..., bool], *fields: str) -> Iterator[T]:
    """Yields the objects in a mapping whose fields pass a test, in any order, without making others."""
    if isinstance(values, LazyMapping):
        return values.where(test, fields)
    return (value for value in values.values() if test(*(getattr(value, field) for field in fields)))
