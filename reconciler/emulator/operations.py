"""What a service of the emulator is: its operations as functions, and how it says no."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.emulator.records import Records
from reconciler.emulator.settings import Settings

Params = dict[str, Any]
"""The validated input of an operation, by member name."""


@dataclass(frozen=True, slots=True)
class Context:
    """What an operation works with: the state inside its transaction, and the time (seconds since the epoch), which
    is read once per call."""

    records: Records
    now: float

    @property
    def settings(self) -> Settings:
        """The settings as this transaction sees them."""
        return self.records.settings


def _no_rules(_params: Params) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `run` returns the output's members, and raises `Invalid`, `Missing` or `Conflict`.

    `writes`: it needs a write transaction. `rules`: what the service documents beyond its model, as problems found.
    """

    run: Callable[[Params, Context], Params]
    writes: bool = False
    rules: Callable[[Params], Sequence[str]] = _no_rules


@dataclass(frozen=True, slots=True)
class Service:
    """One service: its name in botocore, its operations, and its error codes with their HTTP status."""

    name: str
    operations: Mapping[str, Operation]
    invalid: tuple[str, int]
    missing: tuple[str, int]
    internal: tuple[str, int]
    strict_enums: bool
    conflict: tuple[str, int] = ("ConflictException", 409)
