"""The ports: what the effects of a pass need from the world, each one to four methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Protocol, runtime_checkable

from reconciler.core import events as e
from reconciler.core.events import Observed
from reconciler.core.state import Recorded
from reconciler.model.base import JSON


class Clock(Protocol):
    """Where the time comes from."""

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
    """Where the batches of a ledger are kept. The one primitive is: append at a position, if nobody has."""

    @property
    def address(self) -> str:
        """What to call it in messages, such as ``sqlite:///.reconciler/ledger.sqlite``."""
        ...

    def append(self, position: int, batch: bytes) -> bytes:
        """Puts `batch` at `position` (1, 2, 3 …) if nothing is there, durably, in one transmission.

        Returns what is at `position` afterwards: `batch` itself if this call won, else what somebody else had put
        there. Raises `LedgerUnreachable` where the reply was lost: then it is there or not. Raises another
        `LedgerError` where nothing was written for certain (read-only, full).
        """
        ...

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """The batches after a position, in order, as (position, batch). Creates nothing; raises `LedgerMissing`
        where there is no ledger."""
        ...

    def get(self, position: int) -> bytes | None:
        """The batch at one position, in one request; `None` where nothing is there. Raises as `read` does."""
        ...


@runtime_checkable
class Snapshots(Protocol):
    """What a store may offer beside `Store`: a place for what its batches add up to, so that few must be read.

    Never the truth: it may be lost, old or mixed up, and who reads it checks it. A `LedgerError` costs only time.
    """

    def newest_snapshot(self) -> tuple[int, bytes] | None:
        """That of the highest position at hand, as (position, content); `None` without one. Creates nothing."""
        ...

    def keep_snapshot(self, position: int, content: bytes) -> None:
        """Keeps the snapshot of a position. Older ones may be given up for it, a newer one should not be."""
        ...


Precondition = Callable[[Recorded], str | None]
"""Asked again whenever others have written first: `None` where an append still makes sense, else why not."""


@dataclass(frozen=True, slots=True)
class Appended:
    """The events are in the ledger, at `position`."""

    position: int


@dataclass(frozen=True, slots=True)
class Moved:
    """Others wrote first and the events no longer make sense: nothing was written. `why` is a sentence."""

    why: str


class Ledger(Protocol):
    """The log of one (project, target), read into a `Recorded` that follows every append. Safe for threads."""

    @property
    def recorded(self) -> Recorded:
        """The fold of everything read or written so far."""
        ...

    def refresh(self) -> Recorded:
        """Reads what others have written since, and returns the fold."""
        ...

    def append(self, events: Sequence[e.Event], valid: Precondition) -> Appended | Moved:
        """Appends one batch. `valid` is asked before every try. Raises `LedgerError`; after `LedgerUnreachable`
        nobody knows whether the batch is there."""
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
    """Nothing reached AWS for certain. `code` is the client's exception name, or ``DeadlinePassed``."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Refused:
    """AWS answered no for a passing reason: throttling (`throttled`), credentials, clock. The same bytes may go again
    later."""

    code: str
    message: str
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Declined:
    """AWS answered no to the content: going again would not help. Recorded as ``rejected``."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Everything else: a run exists or not, and nothing that was received can tell. `conflict`: AWS has seen our token
    before (409), so sending it again at once would tell nothing new."""

    code: str
    message: str
    conflict: bool = False


Outcome = Accepted | NotSent | Refused | Declined | Ambiguous
"""What one transmission led to (R3 of docs/protocol.md)."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment after which a send must not be transmitted, by two clocks; the later of the two readings counts.

    `wall` is seconds since the epoch; `boot` is seconds of the boot-time clock (`time.CLOCK_BOOTTIME`, else the
    monotonic one), which goes on while a machine sleeps.
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

    `name` narrows a look down to runs of that name, where a miss does no harm; `None`: the tag alone decides.
    """

    token: str
    location: Mapping[str, str]
    since: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class RunReport:
    """The state of one run. `exists` is false if AWS knows no such run. `state` is a `RunState` value.

    Times are ISO 8601 text; `detail` is AWS's own reason, `usage` what else it says of the run, in its own words.
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
        """Transmits `request` exactly as it is, at most once, and not after `deadline`. Never raises for what the
        network, AWS or botocore do: an outcome says it."""
        ...

    def observe(self, runs: Sequence[RunRef]) -> Mapping[str, RunReport | str]:
        """The state of each run, by token; a string where it could not be learnt, saying why."""
        ...

    def find(self, wanted: Sequence[Wanted]) -> Mapping[str, Sequence[str] | str]:
        """The run ids that carry each token as their tag, by token: empty after a complete listing without one, a
        string where the listing was not complete or a candidate could not be read."""
        ...

    def cancel(self, run: RunRef, reason: str) -> None:
        """Asks AWS to stop a run; nothing happens to one that has ended. Raises `ServiceError`."""
        ...


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run as AWS describes it by its id. `name` is what AWS shows it by, `created_at` ISO 8601 text.

    `report` is its state, or a sentence where that is a word this version does not know.
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

        `since`: created after this time (ISO 8601; `None`: all that AWS still tells). Raises `ServiceError`, also where
        the listing is not complete.
        """
        ...

    def described(self, location: Mapping[str, str], run_ids: Sequence[str]) -> Mapping[str, RunFacts]:
        """These runs by id; one that AWS does not know is left out. Raises `ServiceError`."""
        ...


Services = Callable[[str], Service]
"""The service of a kind, by the kind's name; made when it is first asked for."""


class Quota(Protocol):
    """How many calls AWS takes in a time, by operation."""

    def acquire(self, operation: str, stop: Event | None = None) -> bool:
        """Waits until a call may be made, and counts it. `False`: `stop` was set first, and nothing was counted."""
        ...

    def release(self, operation: str) -> None:
        """Takes back one count of `acquire`: the call was not made."""
        ...
