"""Configures what the emulator reports about runs with certain names, besides their outcome: reasons, exit codes,
delays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

MAX_LIST = 10_000
"""The maximum number of failed children, which is also the maximum size of an array."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a run waits and fails, and when the emulator reports the reasons. Times are in seconds.

    `waiting_reason` is reported while the run waits to start. `start_seconds` is how long it waits; if `None`, the time
    in `Settings` applies. With `never_starts`, the run waits until it is stopped. A run that has waited
    `queue_limit_seconds` is cancelled. `failed_children` are the indexes of the children of an array that fail.
    `exit_code` and `reason` are those of the container or pod of a failed run. Reasons, exit codes and billed resources
    are reported `late_seconds` after the run entered the state that they belong to.
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
        """Returns the report in a JSON object that `is_report` accepts."""
        return cls(**{**values, "failed_children": tuple(values.get("failed_children", ()))})

    def starts_after(self, seconds: float) -> float | None:
        """Returns how many seconds the run waits to start: `seconds`, unless the report contains another time. Returns
        `None` if the run never starts."""
        if self.never_starts:
            return None
        return seconds if self.start_seconds is None else self.start_seconds


NO_REPORT = Report()
"""The report for a run whose name is not in the setting `reports`."""


def is_report(value: object) -> bool:
    """Returns whether `value` is valid as a value in the setting `reports`."""
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
"""The names of the members of a report."""
