"""Every error the reconciler raises on purpose.

    ReconcilerError                exit 1
    ├── UsageError                 exit 64: the command line is wrong
    ├── CheckoutMoved              files, commit and ledger were not of one state
    ├── SpecErrors                 problems in files, all of a run together
    ├── GuardError                 a check refused to go on; nothing was sent
    │   ├── AccountMismatch        credentials of another account
    │   ├── ClockSkew              this machine's clock and AWS's differ too much
    │   ├── LimitExceeded          maxSubmissions, maxCancellations
    │   └── LocalLedgerInCI        a SQLite ledger on a runner that forgets it
    ├── PlanFileError              a plan file that cannot be read, or is of another project
    │   └── StalePlan              a plan file whose specs changed since
    ├── LedgerError
    │   ├── LedgerMissing          a command that needs a ledger found none
    │   ├── LedgerCorrupt          what is stored is not a log
    │   ├── LedgerRolledBack       it lacks batches that it had
    │   ├── LedgerMoved            it was copied to another address, and ended
    │   ├── LedgerReadOnly         it cannot be written
    │   ├── LedgerFull             no room to write
    │   ├── LedgerFormatNewer      written by a newer reconciler
    │   ├── LedgerPinned           it belongs to another project, target, account or region
    │   ├── LedgerDenied           credentials are missing, wrong, or may not do what is needed
    │   ├── LedgerStoreMissing     there is no bucket or table of that name
    │   ├── LedgerStoreInvalid     the bucket or table cannot hold a ledger as it is
    │   └── LedgerUnreachable      no answer; what was written is not known
    ├── NotificationFailed         a webhook did not accept a notification
    └── ServiceError               AWS answered a read with an error, or not at all

What may live here: exception types, their fields and their wording. What may not: anything that raises them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: where (1-based line and column), what, and what would be right.

    `path` is as the user can open it (relative to the project folder where that is shorter). `rule` is a stable
    identifier such as `unknown-field`. `source_line` is the offending line as written, without its line end; `None`
    where the file has no such line (it cannot be read, it is not text), or it is too long to show.
    """

    path: str
    line: int
    col: int
    message: str
    rule: str = "invalid"
    severity: Severity = "error"
    source_line: str | None = None

    def order(self) -> tuple[str, int, int, str]:
        """The order problems are told in: by place, then by what they say."""
        return (self.path, self.line, self.col, self.message)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.col}: {self.message}"


class ReconcilerError(Exception):
    """The base of every error raised on purpose; `exit_code` is what the command ends with."""

    exit_code = 1


class UsageError(ReconcilerError):
    """The command line asks for something that does not exist or does not go together."""

    exit_code = 64


class CheckoutMoved(ReconcilerError):
    """Files, commit and ledger were not of one state: something changed the checkout while it was read."""

    def __init__(self, root: object) -> None:
        super().__init__(
            f"the checkout in {root} changed while it was read, or another pass ran from it: nothing was sent. Run "
            "again when nothing else, such as git pull, is working on it"
        )


class SpecErrors(ReconcilerError):
    """Everything wrong in the files of one run, sorted by place.

    `specs` are the names of all specs that were read, with the path and first line of each.
    """

    def __init__(self, problems: Sequence[Problem], specs: Sequence[tuple[str, str, int]] = ()) -> None:
        self.problems = tuple(sorted(problems, key=Problem.order))
        self.specs = tuple(specs)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class GuardError(ReconcilerError):
    """A check refused to go on; nothing was sent."""


class AccountMismatch(GuardError):
    """The credentials at hand belong to another account than the target names."""

    def __init__(self, target: str, expected: str, actual: str) -> None:
        self.target, self.expected, self.actual = target, expected, actual
        super().__init__(
            f"target {target} is account {expected}, but the credentials at hand are of account {actual}: "
            f"nothing was sent. Use credentials of {expected}, or another target."
        )


class ClockSkew(GuardError):
    """This machine's clock and AWS's differ by more than is allowed for; `seconds` is how far ours is ahead."""

    def __init__(self, seconds: float, allowed: float) -> None:
        self.seconds = seconds
        ahead = "ahead of" if seconds > 0 else "behind"
        super().__init__(
            f"this machine's clock is {abs(seconds):.0f} s {ahead} AWS's, and at most {allowed:.0f} s are allowed: "
            "nothing was sent. Deadlines and settling times rest on the clock; set it, by NTP for one."
        )


class LimitExceeded(GuardError):
    """The plan holds more actions of a kind than the target allows in one pass."""

    def __init__(self, limit: str, allowed: int, planned: int, option: str) -> None:
        self.limit, self.allowed, self.planned = limit, allowed, planned
        super().__init__(
            f"{limit} is {allowed}, and this plan holds {planned}: nothing was sent. "
            f"If that is what you mean, allow it once with {option} {planned}."
        )


class LocalLedgerInCI(GuardError):
    """CI=true and a SQLite ledger: every runner would start from nothing and submit everything again."""

    def __init__(self, ledger: str) -> None:
        super().__init__(
            f"the ledger {ledger} is a local file and CI=true: each runner would start from nothing and submit "
            "everything again. Use an s3:// or dynamodb:// ledger, or --local-ledger if this file is kept."
        )


class PlanFileError(ReconcilerError):
    """A plan file that cannot be read, or that was made for something else."""


class StalePlan(PlanFileError):
    """Specs changed since the plan was created: name, the ledger head in the plan, the head now."""

    def __init__(self, changed: Sequence[tuple[str, int, int]]) -> None:
        self.changed = tuple(changed)
        lines = [f"  {name}: planned at ledger head {head}, now {now}" for name, head, now in self.changed]
        message = "the plan is stale; nothing was sent. Changed since the plan was created:"
        super().__init__("\n".join([message, *lines, "Plan again."]))


class RenameMoved(ReconcilerError):
    """A rename of the plan cannot be recorded any more, because of what another pass recorded since."""

    def __init__(self, name: str, old: str) -> None:
        self.name, self.old = name, old
        super().__init__(f"{old} or {name} changed since the plan was created: nothing was sent. Plan again")


class PlanNotExpected(ReconcilerError):
    """The plan is not the approved one: `changes` are what it has now, a sentence for each spec."""

    def __init__(self, expected: str, actual: str, changes: Sequence[str]) -> None:
        self.expected, self.actual, self.changes = expected, actual, tuple(changes)
        lines = "\n".join(f"  {change}" for change in self.changes) or "  no change of any spec"
        super().__init__(
            f"the plan is {actual}, and {expected} was expected: nothing was sent. It now has:\n{lines}\n"
            "Review the plan, and expect its id"
        )


class LedgerError(ReconcilerError):
    """The ledger cannot be used as it is."""


class LedgerMissing(LedgerError):
    """There is no ledger yet where the target says it is."""


class LedgerCorrupt(LedgerError):
    """What is stored is not a log, or a batch of it cannot be read."""


class LedgerRolledBack(LedgerError):
    """The ledger lacks batches that it had, or has others in their place: an older copy was put back."""


class LedgerMoved(LedgerError):
    """The ledger was copied to another address, and ended there: nothing may be appended to it."""


class LedgerReadOnly(LedgerError):
    """The ledger can be read and not written."""


class LedgerFull(LedgerError):
    """There is no room left to write."""


class LedgerFormatNewer(LedgerError):
    """The ledger was written by a newer reconciler."""


class LedgerPinned(LedgerError):
    """The ledger belongs to another project, target, account or region than the one at hand."""


class LedgerDenied(LedgerError):
    """There are no credentials for the ledger, or they may not do what is needed. Nothing was written."""


class LedgerStoreMissing(LedgerError):
    """The bucket or table that should hold the ledger does not exist: not the same as an empty one."""


class LedgerStoreInvalid(LedgerError):
    """The bucket or table cannot hold a ledger as it is: another region, other keys, items that expire."""


class LedgerUnreachable(LedgerError):
    """The ledger did not answer; what was being written is there or not, and only a later read can tell."""


class NotificationFailed(ReconcilerError):
    """A webhook did not take what it was told."""


class ServiceError(ReconcilerError):
    """AWS answered a read with an error, or not at all. `code` is AWS's error code or the client's exception name."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        self.operation, self.code, self.message = operation, code, message
        super().__init__(f"{operation}: {code}: {message}")
