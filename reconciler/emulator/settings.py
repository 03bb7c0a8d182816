"""How the embedded AWS behaves: account, durations, outcomes, what exists."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeGuard, get_args

from reconciler.errors import UsageError

Outcome = Literal["succeeded", "failed"]
OUTCOMES = get_args(Outcome)
Mismatch = Literal["conflict", "first"]
MISMATCHES = get_args(Mismatch)
MOST_SECONDS = 1e12
"""More than anybody waits; past it, times are no dates any more."""
_MOST_OFFSET = 1e9
WEEK = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set. Times are seconds. Raises `UsageError` for values that make no sense.

    `account`, `region`    of every ARN, and of GetCallerIdentity.
    `release_label`        of every EMR Serverless application.
    `start_seconds`        from acceptance (Batch: from the end of the last dependency) to RUNNING.
    `run_seconds`          in RUNNING; `None`: until somebody stops it. A streaming run that does not fail ignores it.
    `stop_seconds`         from a cancellation of a started run to its end.
    `outcome`              how runs end.
    `outcomes`             the same for single names (exact `name` or `jobName`), before `outcome`.
    `durations`            `run_seconds` for single names.
    `applications`, `queues`, `definitions`  what exists; `None`: everything a request names. Definitions are
                           ``name`` (any revision) or ``name:revision``.
    `retention_seconds`    how long an ended run is still known; AWS Batch says seven days. `None`: for ever.

    Faults of the world (`FAULTS`), none by default:

    `listing_lag_seconds`, `describe_lag_seconds`  how long after its acceptance a run is not in listings, and not known
                           by its id.
    `listing_retention_seconds`, `describe_retention_seconds`  `retention_seconds` for one of the two.
    `token_seconds`        how long a client token is remembered; after that it starts another run. `None`: for ever.
    `token_mismatch`       what a known token with another body gives: ``conflict``, or the ``first`` run.
    `signature_seconds`    how old a signature (X-Amz-Date) may be when a request is processed; AWS: 900. `None`: any.
    `clock_offset_seconds` how far the service's clock, and its Date, is ahead of `time.time`.

    Durations and outcomes are fixed for a run when it is accepted; changes apply to runs accepted later.
    """

    account: str = "000000000000"
    region: str = "us-east-1"
    release_label: str = "emr-7.9.0"
    start_seconds: float = 2.0
    run_seconds: float | None = 20.0
    stop_seconds: float = 1.0
    outcome: Outcome = "succeeded"
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    durations: Mapping[str, float | None] = field(default_factory=dict)
    applications: tuple[str, ...] | None = None
    queues: tuple[str, ...] | None = None
    definitions: tuple[str, ...] | None = None
    retention_seconds: float | None = WEEK
    listing_lag_seconds: float = 0.0
    describe_lag_seconds: float = 0.0
    listing_retention_seconds: float | None = None
    describe_retention_seconds: float | None = None
    token_seconds: float | None = None
    token_mismatch: Mismatch = "conflict"
    signature_seconds: float | None = None
    clock_offset_seconds: float = 0.0

    def __post_init__(self) -> None:
        problems = [f"{name} {problem}" for name, problem in _problems(self)]
        if problems:
            raise UsageError(f"emulator settings: {'; '.join(problems)}")
        for name in ("outcomes", "durations"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        for name in ("applications", "queues", "definitions"):
            known = getattr(self, name)
            object.__setattr__(self, name, None if known is None else tuple(known))

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """These settings with some replaced. Raises `UsageError` for unknown names and impossible values."""
        unknown = sorted(set(changes) - {known.name for known in dataclasses.fields(self)})
        if unknown:
            raise UsageError(f"unknown emulator setting: {', '.join(unknown)}")
        return dataclasses.replace(self, **changes)

    def plain(self) -> dict[str, Any]:
        """The settings as a JSON object."""
        values = {known.name: getattr(self, known.name) for known in dataclasses.fields(self)}
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}

    def text(self) -> str:
        """The settings as JSON text, as the state file keeps them."""
        return json.dumps(self.plain(), sort_keys=True)


FAULTS = (
    "listing_lag_seconds",
    "describe_lag_seconds",
    "listing_retention_seconds",
    "describe_retention_seconds",
    "token_seconds",
    "token_mismatch",
    "signature_seconds",
    "clock_offset_seconds",
)
"""The settings that are faults of the world: a fault plan sets these."""


def _problems(settings: Settings) -> list[tuple[str, str]]:
    """Each wrong setting, with what would be right."""
    checks = {
        **_fault_checks(settings),
        "account": (_matches(settings.account, r"[0-9]{12}"), "twelve digits"),
        "region": (_matches(settings.region, r"[a-z0-9-]+"), "a region name such as eu-west-1"),
        "release_label": (_matches(settings.release_label, r"[A-Za-z0-9._/-]{1,64}"), "a label such as emr-7.9.0"),
        "start_seconds": (_is_seconds(settings.start_seconds), "seconds, 0 or more"),
        "stop_seconds": (_is_seconds(settings.stop_seconds), "seconds, 0 or more"),
        "run_seconds": (_is_seconds(settings.run_seconds, none=True), "seconds, 0 or more, or null"),
        "retention_seconds": (_is_seconds(settings.retention_seconds, none=True), "seconds, 0 or more, or null"),
        "outcome": (settings.outcome in OUTCOMES, f"one of {', '.join(OUTCOMES)}"),
        "outcomes": (_maps(settings.outcomes, lambda value: value in OUTCOMES), "names to outcomes"),
        "durations": (_maps(settings.durations, lambda value: _is_seconds(value, none=True)), "names to seconds"),
        "applications": (_is_known(settings.applications), "a list of names, or null for everything"),
        "queues": (_is_known(settings.queues), "a list of names, or null for everything"),
        "definitions": (_is_known(settings.definitions), "a list of names, or null for everything"),
    }
    return [(name, f"must be {right}") for name, (fine, right) in checks.items() if not fine]


def _fault_checks(settings: Settings) -> dict[str, tuple[bool, str]]:
    offset, lags = "clock_offset_seconds", ("listing_lag_seconds", "describe_lag_seconds")
    limits = ("listing_retention_seconds", "describe_retention_seconds", "token_seconds", "signature_seconds")
    return {
        **{name: (_is_seconds(getattr(settings, name)), "seconds, 0 or more") for name in lags},
        **{name: (_is_seconds(getattr(settings, name), none=True), "seconds, 0 or more, or null") for name in limits},
        "token_mismatch": (settings.token_mismatch in MISMATCHES, f"one of {', '.join(MISMATCHES)}"),
        offset: (_is_offset(settings.clock_offset_seconds), "seconds, ahead of the clock or (negative) behind it"),
    }


def _matches(value: object, pattern: str) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_seconds(value: object, *, none: bool = False) -> bool:
    if value is None:
        return none
    return _is_number(value) and value >= 0


def _is_offset(value: object) -> bool:
    return _is_number(value) and abs(value) <= _MOST_OFFSET


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST_SECONDS


def _maps(value: object, fine: Any) -> bool:  # noqa: ANN401 - a predicate over any JSON value
    return isinstance(value, Mapping) and all(isinstance(name, str) and fine(item) for name, item in value.items())


def _is_known(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(name, str) for name in value)
