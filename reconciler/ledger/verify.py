"""What is said about a ledger that was walked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.core import events as e
from reconciler.core.findings import Finding, Severity, failures
from reconciler.core.fold import fold
from reconciler.core.identity import Place
from reconciler.core.ports import Snapshots, Store
from reconciler.core.state import Recorded
from reconciler.errors import LedgerCorrupt, LedgerError
from reconciler.ledger.codec import Batch, Chain, checksum, decode, described, pin_of
from reconciler.ledger.log import intended_before
from reconciler.ledger.snapshot import Snapshot, unpack


class Subject(StrEnum):
    """What is looked at, in the order in which it is told."""

    STORE = "store"  # whether all of it could be read
    POSITIONS = "positions"  # 1, 2, 3 …, none missing
    CHAIN = "chain"  # each batch holds the checksum of the one before
    BATCHES = "batches"  # each can be decoded
    PIN = "pin"  # the first event says whose ledger it is, and only that
    EVENTS = "events"  # each can follow what came before it
    SNAPSHOT = "snapshot"  # adds up to what the batches do


@dataclass(slots=True)
class Report:
    """The result of a walk. `head` is the checksum of the batch at the last position, `recorded` what the events add up
    to: both mean something only where nothing is wrong."""

    address: str
    positions: int = 0
    events: int = 0
    head: str | None = None
    recorded: Recorded = field(default_factory=Recorded)
    findings: list[Finding] = field(default_factory=list)

    def wrong(self) -> set[Subject]:
        """What something is wrong with."""
        return {Subject(finding.check) for finding in failures(self.findings)}


RESTORE = "Restore the ledger from a copy; never go on with a new, empty one: everything would run again."
BLINDING = {Subject.STORE, Subject.POSITIONS, Subject.BATCHES, Subject.EVENTS}
"""What is wrong with these hides what events add up to."""

PASSED_OVER = "Nothing rests on it: it is passed over, and replaced as the ledger grows."


def verify(store: Store, place: Place) -> Report:
    """Walks the ledger of a place. Raises `LedgerMissing` where there is none, `LedgerUnreachable` where it did not
    answer, and any other `LedgerError` that says nothing about what is stored."""
    content = _content(store)
    walked = _Walk(store.address, place, content[1] if content is not None and content[1] is not None else None)
    try:
        for position, raw in store.read(0):
            walked.add(position, raw)
    except LedgerCorrupt as error:
        walked.wrong(Subject.STORE, walked.chain.position + 1, str(error), RESTORE)
    return walked.verdict(content)


def _content(store: Store) -> tuple[int, Snapshot | None] | None:
    """The newest snapshot, read before the log: nothing can have been appended to that since. `None` without one; the
    second is `None` where it is damaged or of another version."""
    try:
        found = store.newest_snapshot() if isinstance(store, Snapshots) else None
    except LedgerError:
        return None
    return None if found is None else (found[0], unpack(found[1]))


class _Walk:
    """A walk under way. `blind`: something before was lost, so that what events add up to is not known."""

    def __init__(self, address: str, place: Place, snapshot: Snapshot | None) -> None:
        self.chain = Chain(address, place)
        self._verdict = Report(address)
        self._place, self._snapshot = place, snapshot
        self._blind = False
        self._linked = True  # whether the batch before is known

    # --- one position after the other ---------------------------------------------------------------------------------

    def add(self, position: int, raw: bytes) -> None:
        """Looks at one batch and goes on to it, whatever it is."""
        if position != self.chain.position + 1:
            self._gap(position)
        link = self.chain.link
        batch = self._decoded(position, raw)
        if self._linked and _prev(batch, raw, link) != link:
            said = f"does not follow position {position - 1}" if position > 1 else "follows another batch"
            self.wrong(Subject.CHAIN, position, f"{said}: one of them was changed or put there", RESTORE)
        if batch is not None:
            self._events(position, batch)
        self.chain.move(position, raw)
        self._linked = True
        self._verdict.positions = position
        if not self._blind:
            self._verdict.head = self.chain.link
            self._compare(position, raw)

    def wrong(self, subject: Subject, position: int | None, message: str, advice: str) -> None:
        """Notes something that is wrong."""
        self._verdict.findings.append(Finding(Severity.FAIL, message, subject, position, advice=advice))
        self._blind = self._blind or subject in BLINDING

    def _gap(self, position: int) -> None:
        first, last = self.chain.position + 1, position - 1
        which = f"position {first} is missing" if first == last else f"positions {first} to {last} are missing"
        self.wrong(Subject.POSITIONS, first, f"{which}, and position {position} is there", RESTORE)
        self._linked = False

    def _decoded(self, position: int, raw: bytes) -> Batch | None:
        try:
            return decode(raw, position, self.chain.address)
        except LedgerCorrupt as error:
            self.wrong(Subject.BATCHES, position, str(error), RESTORE)
        except LedgerError as error:  # of a newer format: it says so, and what to do
            self.wrong(Subject.BATCHES, position, str(error), "Verify it with that version.")
        return None

    def _events(self, position: int, batch: Batch) -> None:
        self._verdict.events += len(batch.events)
        if position == 1:
            self._pin(batch)
        elif any(isinstance(event, e.Opened) for event in batch.events):
            self.wrong(Subject.PIN, position, "the ledger is opened a second time", RESTORE)
        if self._blind:
            return
        why = intended_before(self._verdict.recorded, batch.events)
        try:
            fold(self._verdict.recorded, position, batch.events)
        except (LedgerError, ValueError, TypeError, KeyError) as error:
            why = str(error)
        if why is not None:
            self.wrong(Subject.EVENTS, position, f"its events cannot follow what came before: {why}", RESTORE)

    def _pin(self, first: Batch) -> None:
        theirs, ours = pin_of(first), self._place
        if theirs is None:
            self.wrong(Subject.PIN, 1, "it does not begin by saying what the ledger belongs to", RESTORE)
        elif theirs != ours:
            self.wrong(
                Subject.PIN, 1, f"the ledger belongs to {described(theirs)}, and this is {described(ours)}",
                "Use another ledger, or the project and target it belongs to; a deliberate move is: "
                "reconciler ledger copy --rename",
            )  # fmt: skip

    # --- the snapshot -------------------------------------------------------------------------------------------------

    def _compare(self, position: int, raw: bytes) -> None:
        snapshot = self._snapshot
        if snapshot is None or snapshot.recorded.position != position:
            return
        if snapshot.link != checksum(raw):
            self.wrong(
                Subject.SNAPSHOT, position,
                f"the snapshot of position {position} was made from another batch than is stored there",
                "The ledger was rolled back and written again, or the snapshot is another's. Look for a copy of the "
                f"ledger that is right. {PASSED_OVER}",
            )  # fmt: skip
        elif snapshot.recorded != self._verdict.recorded:
            self.wrong(
                Subject.SNAPSHOT, position,
                f"the snapshot of position {position} is not what the batches add up to: somebody changed it",
                "Replace it now: reconciler ledger verify --new-snapshot",
            )  # fmt: skip

    def verdict(self, content: tuple[int, Snapshot | None] | None) -> Report:
        """The end of the walk: what was not found wrong is right, where it could be seen."""
        verdict = self._verdict
        told = {finding.check for finding in verdict.findings}
        beyond = self._snapshot is not None and self._snapshot.recorded.position > verdict.positions
        if beyond and Subject.STORE not in told and content is not None:
            self.wrong(
                Subject.SNAPSHOT, verdict.positions + 1,
                f"there is a snapshot of position {content[0]}, and the ledger ends at {verdict.positions}: "
                "it was rolled back", f"{RESTORE} {PASSED_OVER}",
            )  # fmt: skip
            told.add(Subject.SNAPSHOT)
        verdict.findings += [self._silent(subject, content) for subject in Subject if subject not in told]
        verdict.findings.sort(key=lambda finding: (list(Subject).index(Subject(finding.check)), finding.position or 0))
        return verdict

    def _silent(self, subject: Subject, content: tuple[int, Snapshot | None] | None) -> Finding:
        verdict = self._verdict
        last = verdict.positions
        if subject is Subject.SNAPSHOT:
            return self._snapshot_finding(content)
        if subject is Subject.EVENTS and self._blind:
            message = f"events are judged up to position {verdict.recorded.position}: what comes then hides the rest"
            return Finding(Severity.WARN, message, subject)
        message = {
            Subject.STORE: "everything could be read",
            Subject.POSITIONS: f"1 to {last}, none missing",
            Subject.CHAIN: f"each batch holds the checksum of the one before; the last one's is {self.chain.link}",
            Subject.BATCHES: f"all {last} can be read by this version",
            Subject.PIN: described(self._place),
            Subject.EVENTS: f"all {verdict.events} can follow what came before them",
        }[subject]
        return Finding(Severity.OK, message, subject)

    def _snapshot_finding(self, content: tuple[int, Snapshot | None] | None) -> Finding:
        if content is None:
            return Finding(Severity.WARN, "there is none", Subject.SNAPSHOT)
        position, snapshot = content
        if snapshot is None:
            message = f"that of position {position} is damaged or of another version. {PASSED_OVER}"
            return Finding(Severity.WARN, message, Subject.SNAPSHOT)
        if self._blind:
            return Finding(Severity.WARN, f"that of position {position} cannot be judged", Subject.SNAPSHOT)
        return Finding(Severity.OK, f"that of position {position} is what the batches add up to", Subject.SNAPSHOT)


def _prev(batch: Batch | None, raw: bytes, unknown: str | None) -> object:
    """What a batch says comes before it, even where its events cannot be read; `unknown` where it says nothing."""
    if batch is not None:
        return batch.prev
    try:
        return json.loads(raw)["prev"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return unknown
