"""Contains events, clocks and stores for the tests of ledgers, with a default for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

from reconciler.core.events import Event, Intended, Submitted
from reconciler.core.identity import Content, Place, Source, SubmissionKey
from reconciler.core.ports import Store
from reconciler.core.state import Recorded
from reconciler.errors import LedgerMissing, LedgerUnreachable

PLACE = Place("analytics", "prod", "444455556666", "eu-west-1")
AT = "2026-11-22T02:00:00.000Z"


def intended(
    name: str = "orders", token: str = "r1-aa", generation: int = 1, attempt: int = 1, send: int = 1
) -> Intended:
    """Returns the intent of a one-off Batch job."""
    return Intended(
        at=AT,
        token=token,
        kind="BatchJob",
        key=SubmissionKey(name, generation, attempt=attempt),
        content=Content(
            digest="sha256:00",
            request={"jobName": name},
            location={"jobQueue": "q", "jobName": name},
            source=Source("orders.yaml", 1),
        ),
        send=send,
        not_after="2026-11-22T02:00:30.000Z",
        owner="host/1",
        reason="new",
        actor="ops",
        tool_version="0.1.0",
    )


def submitted(token: str = "r1-aa", run_id: str = "job-1", name: str = "orders") -> Submitted:
    """Returns the outcome of a first send."""
    return Submitted(at=AT, name=name, token=token, send=1, run_id=run_id)


def always(_: Recorded) -> None:
    """Returns no objection, because the events are valid whatever other writers have written."""


def without_pin(events: tuple[Event, ...]) -> tuple[Event, ...]:
    """Returns the events of the first batch without the pin, the event that the log adds."""
    return events[1:]


@dataclass
class StandingClock:
    """A clock that only sleeping advances. `slept` contains the requested durations in seconds."""

    moment: float = 1_795_312_800.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        """Returns the current time."""
        return self.moment

    def boot(self) -> float:
        """Returns the current time."""
        return self.moment

    def sleep(self, seconds: float) -> None:
        """Advances the clock."""
        self.slept.append(seconds)
        self.moment += seconds


class MemoryStore:
    """The reference implementation of `ports.Store`, based on a dictionary."""

    address = "memory://"

    def __init__(self) -> None:
        self.batches: dict[int, bytes] = {}
        self.snapshot: tuple[int, bytes] | None = None
        self._lock = Lock()

    def append(self, position: int, batch: bytes) -> bytes:
        """Implements `ports.Store`."""
        with self._lock:
            return self.batches.setdefault(position, batch)

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Implements `ports.Store`."""
        with self._lock:
            found = sorted((position, batch) for position, batch in self.batches.items() if position > after)
            if not self.batches:
                raise LedgerMissing("there is no ledger at memory://")
        return iter(found)

    def get(self, position: int) -> bytes | None:
        """Implements `ports.Store`."""
        if not self.batches:
            raise LedgerMissing("there is no ledger at memory://")
        return self.batches.get(position)

    def newest_snapshot(self) -> tuple[int, bytes] | None:
        """Implements `ports.Snapshots`."""
        return self.snapshot

    def keep_snapshot(self, position: int, content: bytes) -> None:
        """Implements `ports.Snapshots`."""
        self.snapshot = (position, content)


@dataclass
class LosingStore:
    """A working store that loses messages. The requests of the first `before` writes are lost, and then the replies to
    `after` writes."""

    store: Store
    before: int = 0
    after: int = 0
    asked: list[int] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Returns the address of the store."""
        return self.store.address

    def append(self, position: int, batch: bytes) -> bytes:
        """Implements `ports.Store`."""
        self.asked.append(position)
        if self.before:
            self.before -= 1
            raise LedgerUnreachable("the request was lost")
        held = self.store.append(position, batch)
        if self.after:
            self.after -= 1
            raise LedgerUnreachable("the reply was lost")
        return held

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Implements `ports.Store`."""
        return self.store.read(after)

    def get(self, position: int) -> bytes | None:
        """Implements `ports.Store`."""
        return self.store.get(position)
