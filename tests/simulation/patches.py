"""Changing shipped code for a while: text of a function's own source, or a constant. What is not there is an error."""

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
    """The shipped code is not what the patch was written for: write the patch anew."""


class Patch(Protocol):
    """One change to shipped code."""

    def applied(self) -> Any:
        """A context manager: inside the block the change holds."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """In the source of one function each `old` (exactly once) becomes `new`, one after the other. `where` is
    ``module:function`` or ``module:Class.method``, below ``reconciler``."""

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
    """A constant of a module below ``reconciler``, ``module:NAME``, becomes another; `was` is what it must be."""

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
    """Inside the block all of them hold."""
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch.applied())
        yield


def _function(original: Any) -> Any:
    """The function itself, of a property too."""
    return original.fget if isinstance(original, property) else original


def _found(where: str) -> tuple[Any, Any, str, Any]:
    """The module, what holds the name, the name, and what is there now."""
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
    """Sets a name, and every other name of a shipped module that means the same function."""
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
