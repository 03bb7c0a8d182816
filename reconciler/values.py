"""Creates dataclasses quickly, because every command creates the classes that it imports.

`dataclasses.dataclass` compiles the source of up to seven methods for each class, which took a third of the start of a
plan. Here only ``__init__`` is compiled, and the other methods are shared functions. The result is a normal dataclass
with one difference: ``frozen`` is checked by mypy only, and not when an attribute is set.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - exported, so that mypy treats both alike
else:

    def dataclass(cls=None, /, *, frozen=False, eq=True, **options):  # noqa: ANN001, ANN003, ANN201
        """Makes a class a dataclass. The arguments are those of `dataclasses.dataclass`."""

        def made(cls):  # noqa: ANN001, ANN202
            own = cls.__dict__
            new = dataclasses.dataclass(cls, eq=False, repr=False, **options)
            if "__repr__" not in own:
                new.__repr__ = _described
            if eq:
                _compare(new, own, frozen=frozen)
            return new

        return made if cls is None else made(cls)


def _compare(cls: type, own: Any, *, frozen: bool) -> None:  # noqa: ANN401 - the namespace of a class
    """Adds the methods that compare the fields of two objects of a class, and compute the hash of one."""
    fields = [field for field in dataclasses.fields(cls) if field.compare]
    if "__eq__" not in own:
        compared = _getter([field.name for field in fields])

        def equal(self: object, other: object) -> bool:
            return compared(self) == compared(other) if other.__class__ is self.__class__ else NotImplemented

        cls.__eq__ = equal  # type: ignore[method-assign, assignment]
    if own.get("__hash__") is None:
        hashed = _getter([field.name for field in fields if field.hash is not False])

        def hash_of(self: object) -> int:
            return hash(hashed(self))

        cls.__hash__ = hash_of if frozen else None  # type: ignore[method-assign, assignment]


def _getter(names: list[str]) -> Callable[[object], object]:
    """Returns a function that returns the values of some attributes of an object."""
    return attrgetter(*names) if names else lambda _: ()


def _described(self: Any) -> str:  # noqa: ANN401 - any dataclass
    """Formats an object as `dataclasses.dataclass` does."""
    shown = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"
