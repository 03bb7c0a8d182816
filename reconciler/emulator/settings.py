"""Defines the settings of the emulator: account, durations, outcomes, existing resources, and the faults of its stored
world."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, TypeGuard, get_args

from reconciler.errors import UsageError

MAX_LIST = 10_000
"""The maximum number of failed children, which is also the maximum size of an array."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a run waits and fails, and when the emulator reports the reasons. Times are in seconds.

    `waiting_reason` is reported while the run waits to start. `start_seconds` is how long it waits; if `None`, the time
    in `Settings` applies. With `never_starts`, the run waits until it is stopped. A run that has waited
    `queue_limit_seconds` is cancelled. `failed_children` are the indexes of the children of an array that fail.
    `exit_code` and `reason` describe the container or pod of a failed run. Reasons, exit codes and billed resources are
    reported `late_seconds` after the run entered the state that they belong to.
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
    return isinstance(value, Mapping) and all(
        name in _REPORT_CHECKS and _REPORT_CHECKS[name](each) for name, each in value.items()
    )


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 1024


def _is_index(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_LIST


_REPORT_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "waiting_reason": _is_text,
    "start_seconds": lambda value: value is None or _is_amount(value),
    "never_starts": lambda value: isinstance(value, bool),
    "queue_limit_seconds": lambda value: value is None or _is_amount(value),
    "failed_children": lambda value: isinstance(value, list | tuple) and all(map(_is_index, value)),
    "exit_code": lambda value: _is_index(value) and value <= 255,
    "reason": _is_text,
    "late_seconds": _is_amount,
}
NAMES = tuple(field.name for field in fields(Report))
"""The names of the members of a report."""


Outcome = Literal["succeeded", "failed"]
OUTCOMES = get_args(Outcome)
Mismatch = Literal["conflict", "first"]
MAX_SECONDS = 1e12
"""The maximum duration. With longer durations, times could not be represented as dates."""
_MAX_OFFSET = 1e9


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings. Times are in seconds. Raises `UsageError` for invalid values.

    The durations and outcome of a run are fixed when it is accepted. Changes apply only to runs that are accepted
    later.
    """

    account: str = "000000000000"  # of every ARN, and of GetCallerIdentity
    region: str = "us-east-1"  # of every ARN
    release_label: str = "emr-7.9.0"  # of every EMR Serverless application
    start_seconds: float = 2.0  # from acceptance (Batch: from the end of the last dependency) to RUNNING
    run_seconds: float | None = 20.0  # in RUNNING; None: until stopped, like streaming runs that do not fail
    stop_seconds: float = 1.0  # from the cancellation of a started run to its end
    outcome: Outcome = "succeeded"  # how runs end
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)  # `outcome` by exact `name` or `jobName`
    durations: Mapping[str, float | None] = field(default_factory=dict)  # `run_seconds` by exact name
    reports: Mapping[str, Report] = field(default_factory=dict)  # reasons and late replies, by exact name
    # The existing resources; None: everything that a request names. Definitions are ``name`` (any revision) or
    # ``name:revision``.
    applications: tuple[str, ...] | None = None
    queues: tuple[str, ...] | None = None
    definitions: tuple[str, ...] | None = None
    retention_seconds: float | None = (
        7 * 24 * 3600.0
    )  # how long an ended run can be looked up, in Batch 7 days; None: forever
    # Faults in stored state (`FAULTS`), none by default:
    listing_lag_seconds: float = 0.0  # how long after its acceptance a run is missing from listings
    describe_lag_seconds: float = 0.0  # how long after its acceptance a run is missing from lookups by id
    listing_retention_seconds: float | None = None  # `retention_seconds` for listings, if shorter
    describe_retention_seconds: float | None = None  # `retention_seconds` for lookups by id, if shorter
    token_seconds: float | None = None  # how long a client token is remembered; None: forever
    token_mismatch: Mismatch = (
        "conflict"  # the reply to a remembered token with another body: an error, or the first run
    )
    signature_seconds: float | None = (
        None  # how old X-Amz-Date may be when a request is processed, in AWS 900; None: any
    )
    clock_offset_seconds: float = 0.0  # how far the service's clock, and its Date header, are ahead of `time.time`

    def __post_init__(self) -> None:
        problems = setting_problems({name: getattr(self, name) for name in _CHECKS})
        if problems:
            raise UsageError(f"emulator settings: {'; '.join(problems)}")
        given: Mapping[str, Any] = self.reports
        reports = {k: v if isinstance(v, Report) else Report.from_json(v) for k, v in given.items()}
        object.__setattr__(self, "reports", reports)
        for name in ("outcomes", "durations", "reports"):
            # Read-only, because the threads of a server share the settings.
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        for name in ("applications", "queues", "definitions"):
            names = getattr(self, name)
            object.__setattr__(self, name, None if names is None else tuple(names))

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """Returns a copy of the settings with these changes. Raises `UsageError` for unknown names and invalid
        values.
        """
        unknown = sorted(set(changes) - set(_CHECKS))
        if unknown:
            raise UsageError(f"unknown emulator setting: {', '.join(unknown)}")
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as a JSON object."""
        values = {name: getattr(self, name) for name in _CHECKS}
        forms = {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}
        forms["reports"] = {name: dataclasses.asdict(report) for name, report in self.reports.items()}
        return forms


def setting_problems(values: Mapping[str, Any]) -> list[str]:
    """Returns a message for each invalid value in `values`, with the allowed values."""
    checks = [(name, *_CHECKS[name]) for name in _CHECKS if name in values]
    return [f"{name} must be {allowed}" for name, is_valid, allowed in checks if not is_valid(values[name])]


def is_seconds(value: object) -> TypeGuard[float]:
    """Returns whether a value is a duration: a number of at least 0. `True` is an `int` in Python, but it does not
    count as a duration."""
    return _is_number(value, MAX_SECONDS) and value >= 0


def _is_number(value: object, limit: float) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= limit


def _is_seconds_or_null(value: object) -> bool:
    return value is None or is_seconds(value)


def _is_names_or_null(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(name, str) for name in value)


def _matches(pattern: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _by_name(is_valid: Callable[[Any], bool]) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, Mapping) and all(isinstance(name, str) and is_valid(item) for name, item in value.items())
    )


Check = tuple[Callable[[Any], bool], str]
"""A check of a value, and a description of the allowed values."""

_SECONDS: Check = (is_seconds, "seconds, 0 or more")
_SECONDS_OR_NULL: Check = (_is_seconds_or_null, "seconds, 0 or more, or null")
_NAMES_OR_NULL: Check = (_is_names_or_null, "a list of names, or null for everything")
_FAULT_CHECKS: Mapping[str, Check] = {
    "listing_lag_seconds": _SECONDS,
    "describe_lag_seconds": _SECONDS,
    "listing_retention_seconds": _SECONDS_OR_NULL,
    "describe_retention_seconds": _SECONDS_OR_NULL,
    "token_seconds": _SECONDS_OR_NULL,
    "token_mismatch": (lambda value: value in get_args(Mismatch), f"one of {', '.join(get_args(Mismatch))}"),
    "signature_seconds": _SECONDS_OR_NULL,
    "clock_offset_seconds": (
        lambda value: _is_number(value, _MAX_OFFSET),
        "seconds, ahead of the clock or (negative) behind it",
    ),
}
FAULTS = tuple(_FAULT_CHECKS)
"""The settings that simulate faults in stored state. A fault plan sets them."""

_CHECKS: Mapping[str, Check] = {
    "account": (_matches(r"[0-9]{12}"), "twelve digits"),
    "region": (_matches(r"[a-z0-9-]+"), "a region name such as eu-west-1"),
    "release_label": (_matches(r"[A-Za-z0-9._/-]{1,64}"), "a label such as emr-7.9.0"),
    "start_seconds": _SECONDS,
    "run_seconds": _SECONDS_OR_NULL,
    "stop_seconds": _SECONDS,
    "outcome": (lambda value: value in OUTCOMES, f"one of {', '.join(OUTCOMES)}"),
    "outcomes": (_by_name(lambda value: value in OUTCOMES), "names to outcomes"),
    "durations": (_by_name(_is_seconds_or_null), "names to seconds"),
    "reports": (_by_name(is_report), f"names to objects with some of {', '.join(NAMES)}"),
    "applications": _NAMES_OR_NULL,
    "queues": _NAMES_OR_NULL,
    "definitions": _NAMES_OR_NULL,
    "retention_seconds": _SECONDS_OR_NULL,
    **_FAULT_CHECKS,
}
"""Maps each setting, in the order of the fields, to its check and a description of the allowed values."""
