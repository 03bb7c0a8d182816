"""A mapping whose values are made when they are first accessed, such as the records in a snapshot, of which a plan of
few changed specs needs few."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping, MutableMapping
from copy import deepcopy
from typing import Any, Generic, TypeVar

T = TypeVar("T")

FEW = 8
"""If more than one row in so many is needed, all are made, because making all at once takes less time for each."""


class LazyRows(Generic[T]):
    """Objects that are made from the rows of some columns when they are first accessed. Each is made once.

    `make` returns the object of a row, `make_all` those of all rows in order, and `column` the values of one field in
    all rows. Threads that access the same row at the same time get the same object.
    """

    def __init__(
        self,
        number: int,
        make: Callable[[int], T],
        make_all: Callable[[], Iterable[T]],
        column: Callable[[str], Iterable[Any]],
    ) -> None:
        self.number, self.made = number, dict[int, T]()
        self._make, self._make_all, self._column = make, make_all, column

    def __getitem__(self, row: int) -> T:
        """Returns the object of a row. Raises `IndexError` if there is no such row, and the errors of `make`."""
        held = self.made.get(row)
        if held is not None:
            return held
        if not 0 <= row < self.number:
            raise IndexError(f"there are {self.number} rows, and no row {row}")
        if FEW * len(self.made) < self.number:
            return self.made.setdefault(row, self._make(row))
        for number, each in enumerate(self._make_all()):
            self.made.setdefault(number, each)
        return self.made[row]

    def passing(self, test: Callable[..., bool], fields: tuple[str, ...]) -> set[int]:
        """Returns the rows whose fields passed a test when the columns were written."""
        values = zip(*map(self._column, fields), strict=True)
        return {row for row, each in enumerate(values) if test(*each)}


class LazyMapping(MutableMapping[str, T]):
    """A mapping from names to objects, of which some are rows that are made when they are first accessed. It behaves
    like a dictionary that contains all objects from the start."""

    def __init__(self, rows: LazyRows[T], held: Mapping[str, T | int]) -> None:
        self._rows, self._held = rows, dict(held)  # an integer is the number of a row

    def __getitem__(self, name: str) -> T:
        held = self._held[name]
        return self._rows[held] if type(held) is int else held  # type: ignore[return-value]

    def __setitem__(self, name: str, value: T) -> None:
        self._held[name] = value

    def __delitem__(self, name: str) -> None:
        del self._held[name]

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
        return LazyMapping(self._rows, self._held)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, T]:
        return deepcopy(dict(self), memo)

    def where(self, test: Callable[..., bool], fields: tuple[str, ...]) -> Iterator[T]:
        """Yields the objects whose fields pass a test. Rows that were not accessed and do not pass are not made."""
        passing, made = self._rows.passing(test, fields), self._rows.made
        for name, held in [*self._held.items()]:
            value = made.get(held) if type(held) is int else held
            if value is None:
                if held in passing:
                    yield self[name]
            elif test(*(getattr(value, field) for field in fields)):
                yield value  # type: ignore[misc]


def where(values: Mapping[str, T], test: Callable[..., bool], *fields: str) -> Iterator[T]:
    """Yields the objects in a mapping whose fields pass a test, without making others."""
    if isinstance(values, LazyMapping):
        return values.where(test, fields)
    return (value for value in values.values() if test(*(getattr(value, field) for field in fields)))
