"""The result of one check: what `fsck`, `ledger init` and `ledger verify` print and what decides their exit codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How a check ended. `WARN` never changes an exit code: advice, or a check that could not be made."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of one check, with a message of one sentence.

    `check` names the check in JSON, `position` is a position of the ledger. `name`, `run_id` and `token` identify a
    submission. `advice` is what to do about it, `commands` are those of ours that an operator can choose from.
    """

    severity: Severity
    message: str
    check: str = ""
    position: int | None = None
    name: str | None = None
    run_id: str | None = None
    token: str | None = None
    commands: tuple[str, ...] = ()
    advice: str | None = None


def ok(message: str) -> Finding:
    """A finding of a check that passed."""
    return Finding(Severity.OK, message)


def warn(message: str) -> Finding:
    """A finding with advice, or of a check that could not be made."""
    return Finding(Severity.WARN, message)


def fail(message: str) -> Finding:
    """A finding of a check that failed."""
    return Finding(Severity.FAIL, message)


def failures(findings: Iterable[Finding]) -> list[Finding]:
    """The findings of the checks that failed, in their order."""
    return [finding for finding in findings if finding.severity is Severity.FAIL]
