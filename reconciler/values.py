"""Creates dataclasses, regular expressions and many objects quickly: every command creates those of the modules it
imports, and one for each spec and submission.

`dataclasses.dataclass` compiles the source of up to seven methods for each class, which took a third of the start-up
time of a plan. Here only ``__init__`` is compiled, when the first object of a class is created, and the other methods
are shared functions. The result is a normal dataclass with one difference: ``frozen`` is checked by mypy only, and not
when an attribute is set. A regular expression is compiled when it is first used.
"""

from __future__ import annotations

import dataclasses
import gc
import re
from contextlib import contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - exported, so that mypy treats both alike
else:

    def dataclass(cls=None, /, *, frozen=False, eq=True, **options):  # noqa: ANN001, ANN003, ANN201
        """Makes a class a dataclass. It accepts the arguments of `dataclasses.dataclass`."""

        def made(cls):  # noqa: ANN001, ANN202
            own = cls.__dict__
            new = dataclasses.dataclass(cls, init=False, eq=False, repr=False, **options)
            if "__init__" not in own:
                new.__init__ = _compiled_on_first_use(new)
            if "__repr__" not in own:
                new.__repr__ = _described
            if eq:
                _compare(new, own, frozen=frozen)
            if frozen and options.get("slots") and len(new.__match_args__) == len(new.__dataclass_fields__):
                new.__reduce__ = _reduced
            return new

        return made if cls is None else made(cls)


def _compiled_on_first_use(cls: Any) -> Callable[..., None]:  # noqa: ANN401 - a class whose method is replaced
    def __init__(self: object, *args: object, **named: object) -> None:  # noqa: N807 - a method
        cls.__init__ = _initializer(cls)
        cls.__init__(self, *args, **named)

    return __init__


def _initializer(cls: type) -> Callable[..., None]:
    """Compiles the ``__init__`` of a dataclass, which has a parameter for each field and calls ``__post_init__``."""
    values: dict[str, Any] = {"MISSING": dataclasses.MISSING}
    parameters: dict[bool, list[str]] = {False: ["self"], True: []}  # keyed by whether they are given only by name
    body = []
    for field in dataclasses.fields(cls):
        name, is_made = field.name, field.default_factory is not dataclasses.MISSING
        has_default = is_made or field.default is not dataclasses.MISSING
        values |= {f"default_{name}": field.default, f"make_{name}": field.default_factory}
        default = f"make_{name}()" if is_made else f"default_{name}"
        if field.init:
            parameters[bool(field.kw_only)].append(f"{name}=default_{name}" if has_default else name)
            body.append(
                f" self.{name} = {default} if {name} is MISSING else {name}" if is_made else f" self.{name} = {name}"
            )
        elif has_default:
            body.append(f" self.{name} = {default}")
    if hasattr(cls, "__post_init__"):
        body.append(" self.__post_init__()")
    named = ["*", *parameters[True]] if parameters[True] else []
    source = [f"def __init__({', '.join(parameters[False] + named)}):", *body, " pass"]
    exec("\n".join(source), values)  # noqa: S102 - only names of fields
    method: Callable[..., None] = values["__init__"]
    method.__qualname__ = f"{cls.__qualname__}.__init__"
    return method


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


def _reduced(self: Any) -> tuple[type, tuple[object, ...]]:  # noqa: ANN401 - any dataclass
    """Returns how to copy an object, which is by its class and its fields. `dataclasses` has slower methods, which list
    the fields of the class for each object."""
    return self.__class__, tuple(getattr(self, name) for name in self.__match_args__)


def _getter(names: list[str]) -> Callable[[object], object]:
    """Returns a function that returns the values of some attributes of an object."""
    return attrgetter(*names) if names else lambda _: ()


def _described(self: Any) -> str:  # noqa: ANN401 - any dataclass
    """Formats an object as `dataclasses.dataclass` does."""
    shown = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def regex(source: str, flags: int = 0) -> re.Pattern[str]:
    """Returns a regular expression that is compiled when it is first used."""
    return cast("re.Pattern[str]", _Pattern(source, flags))


class _Pattern:
    """Provides the attributes of the compiled pattern. Each attribute is stored on first use, so that later uses are
    fast."""

    def __init__(self, source: str, flags: int) -> None:
        self.pattern, self._flags = source, flags

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of a pattern
        value = getattr(re.compile(self.pattern, self._flags), name)
        setattr(self, name, value)
        return value


@contextmanager
def uncollected() -> Iterator[None]:
    """Context manager: disables the garbage collector in the block, because it would scan hundreds of thousands of new
    objects many times and free nothing. After the block, the objects count as old, so that the next collection does not
    scan them either."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.freeze()
            gc.unfreeze()  # moves the frozen objects to the oldest generation
            gc.enable()
