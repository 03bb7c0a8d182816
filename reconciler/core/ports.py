"""The ports that a pass needs: clock, ledger, AWS services and quotas, with one to four methods each."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Protocol, runtime_checkable

from reconciler.core import events as e
from reconciler.core.events import Observed
from reconciler.core.state import Recorded
from reconciler.model.base import JSON


class Clock(Protocol):
    """Reads the time."""

    def now(self) -> float:
        """Wall clock, seconds since the epoch."""
        ...

    def boot(self) -> float:
        """Boot-time clock, seconds since some fixed moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Waits."""
        ...


class Store(Protocol):
    """Stores the batches of a ledger. The one primitive is: append at a position, if nobody has."""

    @property
    def address(self) -> str:
        """Its name in messages, such as ``sqlite:///.reconciler/ledger.sqlite``."""
        ...

    def append(self, position: int, batch: bytes) -> bytes:
        """Puts `batch` at `position` (1, 2, 3 …) if nothing is there, durably, in one transmission.

        Returns what is at `position` afterwards: `batch` itself if this call won, else what another writer had put
        there. Raises `LedgerUnreachable` if the reply was lost: then it may be there or not. Raises another
        `LedgerError` if certainly nothing was written (read-only, full).
        """
        ...

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """The batches after a position, in order, as (position, batch). Creates nothing; raises `LedgerMissing`
        if there is no ledger."""
        ...

    def get(self, position: int) -> bytes | None:
        """The batch at one position, in one request; `None` if nothing is there. Raises as `read` does."""
        ...


@runtime_checkable
class Snapshots(Protocol):
    """Optional for a store: keeps snapshots of the folded state, so that few batches must be read.

    A snapshot is never trusted: it may be lost, old or damaged, and readers check it. A `LedgerError` costs only time.
    """

    def newest_snapshot(self) -> tuple[int, bytes] | None:
        """Returns the newest snapshot as (position, content); `None` without one. Creates nothing."""
        ...

    def keep_snapshot(self, position: int, content: bytes) -> None:
        """Keeps the snapshot of a position. It may replace older ones, and should not replace a newer one."""
        ...


Precondition = Callable[[Recorded], str | None]
"""Checks whether an append still makes sense; called again if others have written first. Returns an objection or
`None`."""


@dataclass(frozen=True, slots=True)
class Appended:
    """The events are in the ledger, at `position`."""

    position: int


@dataclass(frozen=True, slots=True)
class Moved:
    """Others wrote first and the precondition fails now: nothing was written. `why` is a sentence."""

    why: str


class Ledger(Protocol):
    """The log of one (project, target), read into a `Recorded` that follows every append. Safe for threads."""

    @property
    def recorded(self) -> Recorded:
        """The fold of everything read or written so far."""
        ...

    def refresh(self) -> Recorded:
        """Reads what others have written since, and returns the fold. Raises `LedgerError`."""
        ...

    def append(self, events: Sequence[e.Event], valid: Precondition) -> Appended | Moved:
        """Appends one batch. `valid` is checked before every try. Raises `LedgerError`; after `LedgerUnreachable` the
        batch may be there or not."""
        ...

    def batch(self, position: int) -> Sequence[e.Event]:
        """The events at one position."""
        ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """AWS accepted the request: exactly one run exists because of this transmission."""

    run_id: str
    arn: str | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """Certainly nothing reached AWS. `code` is the client's exception name, or ``DeadlinePassed``."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Refused:
    """AWS refused for a temporary reason: throttling (`throttled`), credentials, clock. The same bytes may be sent
    again later."""

    code: str
    message: str
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Declined:
    """AWS refused the content: sending it again would not help. Recorded as ``rejected``."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Everything else: a run may exist or not. `conflict`: AWS has seen our token before (409), so sending it again at
    once would give no new answer."""

    code: str
    message: str
    conflict: bool = False


Outcome = Accepted | NotSent | Refused | Declined | Ambiguous
"""What one transmission led to (R3 of docs/protocol.md)."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment after which a send must not be transmitted, by two clocks; the later of the two readings counts.

    `wall` is seconds since the epoch; `boot` is seconds of the boot-time clock (`time.CLOCK_BOOTTIME`, else the
    monotonic one), which keeps running while a machine sleeps.
    """

    wall: float
    boot: float


@dataclass(frozen=True, slots=True)
class RunRef:
    """A run to ask about: the submission's token, AWS's run id, and where it is (`Content.location`)."""

    token: str
    run_id: str
    location: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A submission to look for: its token, where its run would be, and when its first intent was (ISO 8601).

    `name` is the name that its request gives the run, `until` the deadline of its newest send. They narrow a look down;
    `None`: any name, any time. `owner` is the spec tag of other runs to look for on the way, ``PROJECT/TARGET/NAME``,
    created since then with a token that is not `known`; `None`: none.
    """

    token: str
    location: Mapping[str, str]
    since: str
    name: str | None = None
    until: str | None = None
    owner: str | None = None
    known: Container[str] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class RunReport:
    """The state of one run. `exists` is false if AWS knows no such run. `state` is a `RunState` value.

    Times are ISO 8601 text; `detail` is AWS's own reason, `usage` what else it reports of the run.
    """

    exists: bool
    state: str = ""
    aws_state: str = ""
    detail: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    usage: JSON | None = None

    def event(self, name: str, ref: RunRef, at: str) -> Observed:
        """The event that records this report."""
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
        )


class Service(Protocol):
    """One AWS service that runs jobs. Every method may be called from several threads."""

    def submit(self, request: JSON, deadline: Deadline) -> Outcome:
        """Transmits `request` exactly as it is, at most once, and not after `deadline`. Never raises for errors of the
        network, AWS or botocore: it returns an outcome."""
        ...

    def observe(self, runs: Sequence[RunRef]) -> Mapping[str, RunReport | str]:
        """Returns the state of each run, by token; a string if it could not be read, with the reason."""
        ...

    def find(self, wanted: Sequence[Wanted]) -> Mapping[str, Sequence[str] | str]:
        """Returns the run ids that carry each token as their tag, by token: empty after a complete listing without one,
        a string if the listing was not complete or a candidate could not be read. If an owner is wanted, the answer may
        also hold, by owner, the ids of those other runs."""
        ...

    def cancel(self, run: RunRef, reason: str) -> None:
        """Asks AWS to stop a run; nothing happens to one that has ended. Raises `ServiceError`."""
        ...


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run as AWS describes it by its id. `name` is what AWS shows it by, `created_at` ISO 8601 text.

    `report` is its state, or a sentence if this version does not know that state.
    """

    run_id: str
    name: str | None
    tags: Mapping[str, str]
    created_at: str
    report: RunReport | str


@runtime_checkable
class Inventory(Protocol):
    """Lists what is in AWS, whoever started it. An adapter may implement it beside `Service`.

    `fsck` and `adopt` need it and passes do not: without it a kind still plans and applies, `fsck` reports that it
    cannot compare that kind, and `adopt` refuses.
    """

    def place(self, location: Mapping[str, str]) -> str:
        """Where runs with this `location` are listed, in words: ``application 00f…``, ``queue etl``. Equal words, one
        listing."""
        ...

    def listed(self, location: Mapping[str, str], since: str | None) -> Sequence[str]:
        """The ids of every run in the place of `location`, in any state, without the children of arrays.

        `since`: created after this time (ISO 8601; `None`: all that AWS still lists). Raises `ServiceError`, also if
        the listing is not complete.
        """
        ...

    def described(self, location: Mapping[str, str], run_ids: Sequence[str]) -> Mapping[str, RunFacts]:
        """These runs by id; one that AWS does not know is left out. Raises `ServiceError`."""
        ...


Services = Callable[[str], Service]
"""Returns the service of a kind, by the kind's name; makes it at the first call."""


class Quota(Protocol):
    """Limits the rate of calls to AWS, by operation."""

    def acquire(self, operation: str, stop: Event | None = None) -> bool:
        """Waits until a call may be made, and counts it. If `stop` is set first, counts nothing and returns `False`."""
        ...

    def release(self, operation: str) -> None:
        """Takes back one count of `acquire`: the call was not made."""
        ...
