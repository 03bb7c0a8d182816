"""Patches shipped code temporarily: the source text of a function, or a constant. If the text or the constant is
missing, this is an error."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from textwrap import dedent
from typing import Any, Protocol


class PatchedTextMissing(AssertionError):
    """Raised if the shipped code was changed after the patch was written. Rewrite the patch."""


class Patch(Protocol):
    """One change to shipped code."""

    def applied(self) -> Any:
        """Returns a context manager that applies the change inside the block."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """Replaces each `old`, which must occur exactly once, with `new` in the source of one function. `where` is
    ``module:function`` or ``module:Class.method``, relative to ``reconciler``."""

    where: str
    edits: tuple[tuple[str, str], ...]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """See `Patch`."""
        module, owner, name, original = _found(self.where)
        source = dedent(inspect.getsource(_function(original)))
        for old, new in self.edits:
            if source.count(old) != 1:
                raise PatchedTextMissing(f"{self.where} holds {source.count(old)} times: {old!r}")
            source = source.replace(old, new)
        code = compile("from __future__ import annotations\n" + source, self.where, "exec")
        made: dict[str, Any] = {}
        exec(code, vars(module), made)
        with _replaced(owner, name, original, made[name]):
            yield


@dataclass(frozen=True, slots=True)
class Value:
    """Replaces a constant ``module:NAME``, relative to ``reconciler``. The value of the constant must be `was`."""

    where: str
    was: Any
    value: Any

    @contextmanager
    def applied(self) -> Iterator[None]:
        """See `Patch`."""
        module, owner, name, original = _found(self.where)
        if original != self.was:
            raise PatchedTextMissing(f"{self.where} is {original!r}, not {self.was!r}")
        assert owner is module
        with _replaced(owner, name, original, self.value, everywhere=False):
            yield


@contextmanager
def all_applied(patches: tuple[Patch, ...]) -> Iterator[None]:
    """Applies all patches inside the block."""
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch.applied())
        yield


def _function(original: Any) -> Any:
    """Returns the function itself, or the getter of a property."""
    return original.fget if isinstance(original, property) else original


def _found(where: str) -> tuple[Any, Any, str, Any]:
    """Returns the module, the object that contains the name, the name itself, and its current value."""
    path, _, dotted = where.partition(":")
    module = import_module(f"reconciler.{path}")
    *owners, name = dotted.split(".")
    owner: Any = module
    for step in owners:
        owner = vars(owner)[step]
    if name not in vars(owner):
        raise PatchedTextMissing(f"there is no {where}")
    return module, owner, name, vars(owner)[name]


@contextmanager
def _replaced(owner: Any, name: str, original: Any, new: Any, *, everywhere: bool = True) -> Iterator[None]:
    """Sets a name, and every other name in the shipped modules that refers to the same function."""
    places: list[tuple[Callable[[str, Any], None], str]] = [(_setter(owner), name)]
    for module_name, module in list(sys.modules.items()):
        if everywhere and module is not owner and module_name.startswith(("reconciler.", "tests.simulation.")):
            places += [(_setter(module), other) for other, held in vars(module).items() if held is original]
    for put, other in places:
        put(other, new)
    try:
        yield
    finally:
        for put, other in places:
            put(other, original)


def _setter(owner: Any) -> Callable[[str, Any], None]:
    return lambda name, value: setattr(owner, name, value)
