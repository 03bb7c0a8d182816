"""All errors that reconciler raises on purpose.

    ReconcilerError                exit 1
    ├── UsageError                 exit 64: the command line is wrong
    ├── CheckoutMoved              files, commit and ledger did not belong to one state
    ├── SpecErrors                 all problems in the files of one run
    ├── GuardError                 a check refused to continue; nothing was sent
    │   ├── AccountMismatch        credentials of another account
    │   ├── ClockSkew              this machine's clock and AWS's differ too much
    │   ├── LimitExceeded          maxSubmissions, maxCancellations
    │   └── LocalLedgerInCI        a SQLite ledger on a runner that does not keep files
    ├── PlanFileError              a plan file that cannot be read, or is for another project
    │   └── StalePlan              a plan file whose specs changed since
    ├── LedgerError
    │   ├── LedgerMissing          a command that needs a ledger found none
    │   ├── LedgerCorrupt          the stored content is not a log
    │   ├── LedgerRolledBack       it lacks batches that it had
    │   ├── LedgerMoved            it was copied to another address and ended
    │   ├── LedgerReadOnly         it cannot be written
    │   ├── LedgerFull             no space left for writing
    │   ├── LedgerFormatNewer      written by a newer reconciler
    │   ├── LedgerPinned           it belongs to another project, target, account or region
    │   ├── LedgerDenied           credentials are missing, wrong, or lack a permission
    │   ├── LedgerStoreMissing     the bucket or table does not exist
    │   ├── LedgerStoreInvalid     the bucket or table is unsuitable for a ledger
    │   └── LedgerUnreachable      no answer; the outcome of a write is unknown
    ├── NotificationFailed         a webhook did not accept a notification
    └── ServiceError               AWS answered a read with an error, or not at all

Allowed here: exception types, their fields and their messages. Not allowed: anything that raises them.
"""

from collections.abc import Sequence
from typing import Literal

from reconciler.values import dataclass

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in a file: its location (1-based line and column), what is wrong, and how to fix it.

    `path` is as the user can open it (relative to the project folder if that is shorter). `rule` is a stable identifier
    such as `unknown-field`. `source_line` is the offending line as written, without its line end. It is `None` if the
    file has no such line (it cannot be read, or is not text), or if the line is too long to show.
    """

    path: str
    line: int
    col: int
    message: str
    rule: str = "invalid"
    severity: Severity = "error"
    source_line: str | None = None

    def order(self) -> tuple[str, int, int, str]:
        """The sort key of problems: by location, then by message."""
        return (self.path, self.line, self.col, self.message)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.col}: {self.message}"


class ReconcilerError(Exception):
    """The base of every error raised on purpose. `exit_code` is the exit code of the command."""

    exit_code = 1


class UsageError(ReconcilerError):
    """The command line refers to something that does not exist, or combines options that exclude each other."""

    exit_code = 64


class CheckoutMoved(ReconcilerError):
    """The files, the commit and the ledger do not match, because the checkout changed while they were read."""

    def __init__(self, root: object) -> None:
        super().__init__(
            f"the checkout in {root} changed while it was read, or another pass ran from it: nothing was sent. Run "
            "again when nothing else, such as git pull, is working on it"
        )


class SpecErrors(ReconcilerError):
    """All problems in the files of one run, sorted by location.

    `specs` maps the names of all specs that were read to the path and first line of each.
    """

    def __init__(self, problems: Sequence[Problem], specs: Sequence[tuple[str, str, int]] = ()) -> None:
        self.problems = tuple(sorted(problems, key=Problem.order))
        self.specs = tuple(specs)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class GuardError(ReconcilerError):
    """A check refused to continue; nothing was sent."""


class AccountMismatch(GuardError):
    """The credentials belong to another account than the target."""

    def __init__(self, target: str, expected: str, actual: str) -> None:
        self.target, self.expected, self.actual = target, expected, actual
        super().__init__(
            f"target {target} is account {expected}, but the credentials belong to account {actual}: "
            f"nothing was sent. Use credentials of {expected}, or another target."
        )


class ClockSkew(GuardError):
    """This machine's clock and AWS's differ by more than the limit. `seconds` is the time by which this machine's clock
    is ahead."""

    def __init__(self, seconds: float, allowed: float) -> None:
        self.seconds = seconds
        ahead = "ahead of" if seconds > 0 else "behind"
        super().__init__(
            f"this machine's clock is {abs(seconds):.0f} s {ahead} AWS's, and at most {allowed:.0f} s are allowed: "
            "nothing was sent. Deadlines and settling times depend on the clock. Synchronize it, for example with NTP."
        )


class LimitExceeded(GuardError):
    """The plan has more submissions or cancellations than the target allows in one pass."""

    def __init__(self, limit: str, allowed: int, planned: int, option: str) -> None:
        self.limit, self.allowed, self.planned = limit, allowed, planned
        super().__init__(
            f"{limit} is {allowed}, and this plan has {planned}: nothing was sent. "
            f"If that is intended, allow it once with {option} {planned}."
        )


class LocalLedgerInCI(GuardError):
    """The ledger is a SQLite file on a CI runner: every runner would start with an empty ledger and submit everything
    again."""

    def __init__(self, ledger: str) -> None:
        super().__init__(
            f"the ledger {ledger} is a local file and CI=true: each runner would start from nothing and submit "
            "everything again. Use an s3:// or dynamodb:// ledger, or --local-ledger if this file is kept."
        )


class PlanFileError(ReconcilerError):
    """A plan file that cannot be read, or that was made for another project, target, account or region."""


class StalePlan(PlanFileError):
    """Specs changed since the plan was created. `changed` has their names, the ledger heads in the plan, and the
    current heads."""

    def __init__(self, changed: Sequence[tuple[str, int, int]]) -> None:
        self.changed = tuple(changed)
        lines = [f"  {name}: planned at ledger head {head}, now {now}" for name, head, now in self.changed]
        message = "the plan is stale; nothing was sent. Changed since the plan was created:"
        super().__init__("\n".join([message, *lines, "Plan again."]))


class RenameMoved(ReconcilerError):
    """A rename in the plan can no longer be recorded, because another pass has recorded events about the spec since
    then."""

    def __init__(self, name: str, old: str) -> None:
        self.name, self.old = name, old
        super().__init__(f"{old} or {name} changed since the plan was created: nothing was sent. Plan again")


class PlanNotExpected(ReconcilerError):
    """The plan is not the approved one. `changes` describes its current changes, in one sentence for each spec."""

    def __init__(self, expected: str, actual: str, changes: Sequence[str]) -> None:
        self.expected, self.actual, self.changes = expected, actual, tuple(changes)
        lines = "\n".join(f"  {change}" for change in self.changes) or "  no change to any spec"
        super().__init__(
            f"the plan id is {actual}, but {expected} was expected: nothing was sent. The plan now contains:\n{lines}\n"
            "Review the plan, and pass its id to --expect"
        )


class LedgerError(ReconcilerError):
    """The ledger cannot be used as it is."""


class LedgerMissing(LedgerError):
    """There is no ledger yet at the target's ledger address."""


class LedgerCorrupt(LedgerError):
    """The stored content is not a log, or one of its batches cannot be read."""


class LedgerRolledBack(LedgerError):
    """The ledger no longer has some of its batches, or has other batches at their positions, because an older copy was
    restored."""


class LedgerMoved(LedgerError):
    """The ledger was copied to another address and ended there, so nothing may be appended to it."""


class LedgerReadOnly(LedgerError):
    """The ledger can be read but not written."""


class LedgerFull(LedgerError):
    """There is no space left for writing."""


class LedgerFormatNewer(LedgerError):
    """The ledger was written by a newer reconciler."""


class LedgerPinned(LedgerError):
    """The ledger belongs to a project, target, account or region other than the current one."""


class LedgerDenied(LedgerError):
    """The credentials for the ledger are missing or lack a permission. Nothing was written."""


class LedgerStoreMissing(LedgerError):
    """The bucket or table of the ledger does not exist, which is not the same as an empty one."""


class LedgerStoreInvalid(LedgerError):
    """The bucket or table is unsuitable for a ledger, because it is in another region, has other keys, or lets items
    expire."""


class LedgerUnreachable(LedgerError):
    """The ledger did not respond. A batch that was being written may or may not be stored; only a later read can show
    this."""


class NotificationFailed(ReconcilerError):
    """A webhook did not accept a notification."""


class ServiceError(ReconcilerError):
    """A read from AWS failed or got no reply. `code` is the error code of AWS or the exception name of the client."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        self.operation, self.code, self.message = operation, code, message
        super().__init__(f"{operation}: {code}: {message}")
