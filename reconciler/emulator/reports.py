"""What the emulator reports about runs with certain names beyond their outcome: reasons, exit codes, late replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

MAX_LIST = 10_000
"""The maximum number of failed children, the maximum size of an array."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a run waits and fails, and when AWS reports why. Times are in seconds.

    `waiting_reason` is reported while it waits for its start. `start_seconds` is how long it waits, `None` for the time
    in `Settings`; with `never_starts`, it waits until it is stopped. AWS cancels it after it has waited
    `queue_limit_seconds`. The children `failed_children` of an array fail. `exit_code` and `reason` are those of the
    container or pod of a failed run. Reasons, exit codes and billed resources are reported `late_seconds` after the
    state that they belong to began.
    """

    waiting_reason: str = ""
    start_seconds: float | None = None
    never_starts: bool = False
    queue_limit_seconds: float | None = None
    failed_children: tuple[int, ...] = ()
    exit_code: int = 1
    reason: str = ""
    late_seconds: float = 0.0

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Report:
        """Returns the report of a JSON object that `is_report` accepts."""
        return cls(**{**values, "failed_children": tuple(values.get("failed_children", ()))})

    def starts_after(self, seconds: float) -> float | None:
        """Returns how long the run waits: `seconds` unless the report has another time, `None` if it never starts."""
        if self.never_starts:
            return None
        return seconds if self.start_seconds is None else self.start_seconds


NO_REPORT = Report()
"""The report of a run whose name is not in the setting."""


def is_report(value: object) -> bool:
    """Returns whether a value of the setting `reports` is valid."""
    if isinstance(value, Report):
        return True
    return isinstance(value, Mapping) and all(name in _CHECKS and _CHECKS[name](each) for name, each in value.items())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 1024


def _is_index(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_LIST


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "waiting_reason": _is_text,
    "start_seconds": lambda value: value is None or _is_number(value),
    "never_starts": lambda value: isinstance(value, bool),
    "queue_limit_seconds": lambda value: value is None or _is_number(value),
    "failed_children": lambda value: isinstance(value, list | tuple) and all(map(_is_index, value)),
    "exit_code": lambda value: _is_index(value) and value <= 255,
    "reason": _is_text,
    "late_seconds": _is_number,
}
NAMES = tuple(field.name for field in fields(Report))
"""The members of a report."""
