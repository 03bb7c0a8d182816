"""The ports that a pass needs: clock, ledger, AWS services and quotas, with one to four methods each."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from threading import Event
from typing import Protocol, runtime_checkable

from reconciler.core import events as e
from reconciler.core.events import Observed
from reconciler.core.state import Recorded
from reconciler.model.base import JSON, Loc
from reconciler.values import dataclass


class Clock(Protocol):
    """Reads the time."""

    def now(self) -> float:
        """Returns the wall clock, in seconds since the epoch."""
        ...

    def boot(self) -> float:
        """Returns the boot-time clock, in seconds since some fixed moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Waits for this number of seconds."""
        ...


STEP_SECONDS = 0.2


def pause(clock: Clock, seconds: float, stop: Event | None) -> bool:
    """Waits in short steps, so that a command that is asked to stop does not wait any longer. Returns whether the whole
    time has passed."""
    # The time slept is added up, so that a change of the system clock cannot make the pause longer.
    left = seconds
    while left > 0 and not (stop is not None and stop.is_set()):
        clock.sleep(min(left, STEP_SECONDS))
        left -= STEP_SECONDS
    return left <= 0


class Store(Protocol):
    """Stores the batches of a ledger. The only write is an append at a position that is still free."""

    @property
    def address(self) -> str:
        """The name of the store in messages, such as ``sqlite:///.reconciler/ledger.sqlite``."""
        ...

    def append(self, position: int, batch: bytes) -> bytes:
        """Writes `batch` at `position` (1, 2, 3 …) if the position is free, durably, in one transmission.

        Returns the batch at `position` afterwards: `batch` itself if this call won, else the batch of another writer.
        Raises `LedgerUnreachable` if the reply was lost, so that the batch may or may not have been written. Raises
        another `LedgerError` if it is certain that nothing was written (read-only, full).
        """
        ...

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Yields the batches after a position, in order, as (position, batch). Creates nothing; raises
        `LedgerMissing` if there is no ledger."""
        ...

    def get(self, position: int) -> bytes | None:
        """Returns the batch at one position, in one request, or `None` if the position is free. Raises the errors of
        `read`."""
        ...


@runtime_checkable
class Snapshots(Protocol):
    """Keeps snapshots of the folded state, so that only few batches have to be read. Optional for a store.

    Readers check every snapshot, because it may be missing, old or damaged. A `LedgerError` only makes reading slower.
    """

    def newest_snapshot(self) -> tuple[int, bytes] | None:
        """Returns the newest snapshot as (position, content), or `None` if there is none. Creates nothing."""
        ...

    def keep_snapshot(self, position: int, content: bytes) -> None:
        """Keeps the snapshot of a position. It may replace older ones, and should not replace a newer one."""
        ...


Precondition = Callable[[Recorded], str | None]
"""Checks whether an append is still valid; called again if other writers appended first. Returns an objection or
`None`."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Another writer appended first and the precondition now fails, so nothing was written. `why` is a sentence."""

    why: str


class Ledger(Protocol):
    """The log of one project and target, read into a `Recorded` that is updated by every append. Thread-safe."""

    @property
    def recorded(self) -> Recorded:
        """The fold of everything read or written so far."""
        ...

    def refresh(self) -> Recorded:
        """Reads what other writers have appended since, and returns the fold. Raises `LedgerError`."""
        ...

    def append(self, events: Sequence[e.Event], valid: Precondition) -> int | Moved:
        """Appends one batch and returns its position, or `Moved`. Checks `valid` before every attempt. Raises
        `LedgerError`; after `LedgerUnreachable`, the batch may or may not be in the ledger."""
        ...

    def batch(self, position: int) -> Sequence[e.Event]:
        """Returns the events at one position."""
        ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """AWS accepted the request: exactly one run exists because of this transmission."""

    run_id: str
    arn: str | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """It is certain that nothing reached AWS. `code` is the exception name of the client, or ``DeadlinePassed``."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Refused:
    """AWS refused the request for a temporary reason: throttling (`throttled`), credentials or clock. The same bytes
    may be sent again later."""

    code: str
    message: str
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Declined:
    """AWS refused the content, so sending it again would not help. Recorded as ``rejected``."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Any other outcome: a run may or may not exist. `conflict` is true if AWS has received our token before (409);
    then sending it again immediately would not give a new answer."""

    code: str
    message: str
    conflict: bool = False


Outcome = Accepted | NotSent | Refused | Declined | Ambiguous
"""The outcome of one transmission (R3 of docs/protocol.md). The page, the ledger and the results use other words:

    outcome       docs/protocol.md   event                    ActionOutcome
    `Accepted`    accepted           `Submitted`              SUBMITTED
    `NotSent`     unsent             `Unsent`                 UNSENT
    `Refused`     refused            `Unsent` (`refused`)     UNSENT
    `Declined`    rejected           `Rejected`               REJECTED
    `Ambiguous`   ambiguous          `Unclear`                UNKNOWN; ADOPTED if a lookup then finds the run
"""


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment, by two clocks. A deadline has passed if it has passed by either clock.

    `wall` is seconds since the epoch; `boot` is seconds of the boot-time clock (`time.CLOCK_BOOTTIME`, else the
    monotonic clock), which keeps running while a machine sleeps.
    """

    wall: float
    boot: float


@dataclass(frozen=True, slots=True)
class RunRef:
    """A run to query: the token of the submission, the run id in AWS, and its location (`Content.location`).

    `grace_seconds` is the time for its cleanup when it is cancelled; `None` means AWS's default. `since` is the
    time of its first intent (ISO 8601), before which only adopted runs were created. `ended` means that its end is
    recorded, and that only details are missing that a listing may not have.
    """

    token: str
    run_id: str
    location: Mapping[str, str]
    grace_seconds: int | None = None
    since: str | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A submission to look for: its token, the location of its run, and the time of its first intent (ISO 8601).

    `name` is the run name in its request, `until` the deadline of its newest send. They narrow the search; `None` means
    any name or any time. `owner` is a spec tag, ``PROJECT/TARGET/NAME``: the search also returns other runs with this
    tag, created since then, whose token is not in `recorded`. If `owner` is `None`, it returns no other runs.
    `streaming` is whether the run, or another run of the owner, is a streaming run, or `None` if this is unknown.
    """

    token: str
    location: Mapping[str, str]
    since: str
    name: str | None = None
    until: str | None = None
    owner: str | None = None
    recorded: Container[str] = field(default=(), compare=False)
    streaming: bool | None = None


@dataclass(frozen=True, slots=True)
class RunReport:
    """The state of one run. `exists` is false if AWS has no such run. `state` is a `RunState` value.

    Times are ISO 8601 text, by AWS's clock; `detail` is the reason that AWS gives, and `usage` contains other reported
    fields of the run. `definition` and `partial` are as in `Observed`.
    """

    exists: bool
    state: str = ""
    aws_state: str = ""
    detail: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    usage: JSON | None = None
    created_at: str | None = None
    definition: str | None = None
    partial: bool = False

    def event(self, name: str, ref: RunRef, at: str) -> Observed:
        """Returns the event that records this report."""
        return Observed(
            at=at,
            name=name,
            token=ref.token,
            run_id=ref.run_id,
            state=self.state,
            aws_state=self.aws_state,
            detail=self.detail,
            started_at=self.started_at,
            finished_at=self.finished_at,
            usage=self.usage,
            created_at=self.created_at,
            definition=self.definition,
            partial=self.partial or None,
        )


class Service(Protocol):
    """One AWS service that runs jobs. Every method may be called from several threads."""

    def submit(self, request: JSON, deadline: Instant) -> Outcome:
        """Transmits `request` exactly as it is, at most once, and not after `deadline`. Never raises for errors of
        the network, AWS or botocore, but returns an outcome."""
        ...

    def observe(self, runs: Sequence[RunRef]) -> Mapping[str, RunReport | str]:
        """Returns the state of each run, by token, or the reason as a string if the state could not be read."""
        ...

    def find(self, wanted: Sequence[Wanted]) -> Mapping[str, Sequence[str] | str]:
        """Returns, by token, the ids of the runs that carry the token as their tag. The ids are empty if a complete
        listing had no match. If the listing was incomplete or a candidate could not be read, the value is a string with
        the reason. If an `owner` is given, the result may also have the ids of the other runs with this tag, by
        owner."""
        ...

    def cancel(self, run: RunRef, reason: str) -> None:
        """Asks AWS to stop a run. Has no effect on a run that has ended. Raises `ServiceError`."""
        ...


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run as AWS describes it by its id. `name` is the name that AWS shows, `created_at` is ISO 8601 text.

    `report` is its state, or a sentence if this version does not support that state.
    """

    run_id: str
    name: str | None
    tags: Mapping[str, str]
    created_at: str
    report: RunReport | str


@runtime_checkable
class Inventory(Protocol):
    """Lists the runs in AWS, no matter who started them. An adapter may implement it in addition to `Service`.

    `fsck` and `adopt` need it and passes do not. Without it, specs of the kind can still be planned and applied, but
    `fsck` reports that it cannot compare the kind, and `adopt` refuses to adopt its runs.
    """

    def place(self, location: Mapping[str, str]) -> str:
        """Returns a description of where runs with this `location` are listed: ``application 00f…``, ``queue etl``.
        Locations with equal descriptions are listed once."""
        ...

    def listed(self, location: Mapping[str, str], since: str | None) -> Sequence[str]:
        """Returns the ids of every run where `location` is listed, in any state, without the children of arrays.

        With `since`, only runs created after this time (ISO 8601); with `None`, all that AWS still lists. Raises
        `ServiceError`, even if only a part of the listing failed.
        """
        ...

    def described(self, location: Mapping[str, str], run_ids: Sequence[str]) -> Mapping[str, RunFacts]:
        """Returns these runs by id, without those that AWS does not have. Raises `ServiceError`."""
        ...


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run as AWS describes it, in the fields of the service's API. `defaults` is the resource whose settings AWS
    merged into it, such as the job definition, or `None` if there is none or it could not be read."""

    facts: RunFacts
    description: JSON
    defaults: JSON | None = None


@runtime_checkable
class RunSource(Protocol):
    """Reads whole descriptions of runs, from which `import` makes specs. An adapter may implement it in addition to
    `Service`."""

    def whole(self, run_ids: Sequence[str], locations: Sequence[Mapping[str, str]]) -> Mapping[str, FoundRun]:
        """Returns the runs with these ids or ARNs, in any application or queue, keyed by the given ids. Runs that AWS
        does not have are left out. `locations` are searched first. Raises `ServiceError`."""
        ...


class Answer(StrEnum):
    """The result of checking a resource that a request names."""

    OK = "ok"
    WARNING = "warning"  # it exists, and may lead to a surprise
    ERROR = "error"  # it is missing, or does not fit the request
    NOT_ASKED = "not-asked"  # AWS could not be asked, or did not answer


@dataclass(frozen=True, slots=True)
class Verdict:
    """One result: the spec, the path of the field in its request, and one sentence."""

    name: str
    loc: Loc
    answer: Answer
    message: str


@runtime_checkable
class Verifier(Protocol):
    """Checks, with read-only calls, whether the AWS resources that requests name exist and fit. An adapter may
    implement it in addition to `Service`."""

    def verify(self, requests: Mapping[str, JSON]) -> Iterator[Verdict]:
        """Yields the results for `requests`, which maps names of specs to requests. Never raises if AWS does not
        answer."""
        ...


Services = Callable[[str], Service]
"""Returns the service of a kind, by the name of the kind. Creates the service on the first call."""


class Quota(Protocol):
    """Limits the rate of calls to AWS, by operation."""

    def acquire(self, operation: str, stop: Event | None = None) -> bool:
        """Waits until a call may be made, and counts the call. If `stop` is set first, counts nothing and returns
        `False`."""
        ...

    def take(self, operation: str) -> bool:
        """Counts a call and returns `True` if it may be made now; otherwise returns `False` immediately."""
        ...

    def release(self, operation: str) -> None:
        """Undoes one count of `acquire` or `take`, because the call was not made."""
        ...
