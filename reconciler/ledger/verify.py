"""Checks a whole ledger, batch by batch, and reports every problem in it. Does not rely on snapshots."""

import json
from dataclasses import field
from enum import StrEnum

from reconciler.core import events as e
from reconciler.core.fold import fold
from reconciler.core.fsck import Finding, Severity, failures
from reconciler.core.identity import Place
from reconciler.core.ports import Snapshots, Store
from reconciler.core.state import Recorded
from reconciler.core.suggestions import after_rollback
from reconciler.errors import LedgerCorrupt, LedgerError
from reconciler.ledger.append import intended_before
from reconciler.ledger.chained_batches import Batch, Chain, checksum, decode, pin_of
from reconciler.ledger.history import History
from reconciler.ledger.snapshot import Mark, Snapshot, unpack
from reconciler.values import dataclass


class LedgerCheck(StrEnum):
    """The checks, in the order of the report."""

    STORE = "store"  # everything could be read
    POSITIONS = "positions"  # 1, 2, 3 …, none missing
    CHAIN = "chain"  # each batch has the checksum of the one before
    BATCHES = "batches"  # each can be decoded
    PIN = "pin"  # only the first event contains a place, and it is the place of the ledger
    EVENTS = "events"  # each event is valid after the events before it
    SNAPSHOT = "snapshot"  # the stored state equals the state computed from the batches


@dataclass(slots=True)
class Report:
    """The result of a check. `ledger_id` is the random nonce of the first batch, which a copy keeps, `head` is the
    checksum of the last batch, and `recorded` is the state after all events. These fields are meaningful only if there
    is no problem.
    """

    address: str
    ledger_id: str | None = None
    positions: int = 0
    events: int = 0
    head: str | None = None
    recorded: Recorded = field(default_factory=Recorded)
    findings: list[Finding] = field(default_factory=list)

    def wrong(self) -> set[LedgerCheck]:
        """The checks that failed."""
        return {LedgerCheck(finding.check) for finding in failures(self.findings)}


RESTORE = "Restore the ledger from a copy. Never continue with a new, empty one: everything would run again."
BLINDING = {LedgerCheck.STORE, LedgerCheck.POSITIONS, LedgerCheck.BATCHES, LedgerCheck.EVENTS}
"""Checks whose failure makes the resulting state unknown."""

IGNORED = "It is ignored, and replaced as the ledger grows."


def verify(store: Store, place: Place) -> Report:
    """Checks the ledger of a place. Raises `LedgerMissing` if there is none, `LedgerUnreachable` if it does not
    respond, and any other `LedgerError` that is not about the stored content.
    """
    content = _content(store)
    walked = _Walk(store, place, content)
    try:
        for position, raw in store.read(0):
            walked.add(position, raw)
    except LedgerCorrupt as error:
        walked.wrong(LedgerCheck.STORE, walked.chain.position + 1, str(error), RESTORE)
    return walked.report()


Content = tuple[int, Mark | None, Snapshot | None]
"""A stored snapshot: its position, its mark (`None` if it is damaged), and the state (`None` if it is damaged or was
written by another version).
"""


def _content(store: Store) -> Content | None:
    """Returns the newest snapshot, or `None` if there is none.

    The snapshot is read before the log. If the log is shorter than the snapshot, it was therefore rolled back.
    """
    try:
        stored = store.newest_snapshot() if isinstance(store, Snapshots) else None
    except LedgerError:
        return None
    return None if stored is None else (stored[0], *unpack(stored[1]))


class _Walk:
    """A check in progress. If `_blind` is true, an earlier event is lost, so the state is unknown from here on."""

    def __init__(self, store: Store, place: Place, content: Content | None) -> None:
        self.chain = Chain(store.address, place)
        self._report = Report(store.address)
        self._history = History(store)
        self._place, self._content = place, content
        self._mark, self._snapshot = (None, None) if content is None else content[1:]
        self._at_mark: str | None = None
        self._blind = False
        self._linked = True  # whether the previous batch could be read

    # --- one position after the other ---------------------------------------------------------------------------------

    def add(self, position: int, raw: bytes) -> None:
        """Checks one batch and moves to it, even if it is damaged."""
        if position != self.chain.position + 1:
            self._gap(position)
        link = self.chain.link
        batch = self._decoded(position, raw)
        if self._linked and _prev(batch, raw, link) != link:
            what = f"does not follow position {position - 1}" if position > 1 else "follows another batch"
            self.wrong(LedgerCheck.CHAIN, position, f"{what}: one of the batches was changed or inserted", RESTORE)
        if batch is not None:
            self._events(position, batch)
        self.chain.move(position, raw)
        self._linked = True
        self._report.positions = position
        if not self._blind:
            self._report.head = self.chain.link
            self._compare(position, raw)

    def wrong(self, check: LedgerCheck, position: int | None, message: str, advice: str) -> None:
        """Adds a failure of a check."""
        self._report.findings.append(Finding(Severity.FAIL, message, check, position, advice=advice))
        self._blind = self._blind or check in BLINDING

    def _gap(self, position: int) -> None:
        first, last = self.chain.position + 1, position - 1
        which = f"position {first} is missing" if first == last else f"positions {first} to {last} are missing"
        self.wrong(LedgerCheck.POSITIONS, first, f"{which}, but position {position} exists", RESTORE)
        self._linked = False

    def _decoded(self, position: int, raw: bytes) -> Batch | None:
        try:
            return decode(raw, position, self.chain.address)
        except LedgerCorrupt as error:
            self.wrong(LedgerCheck.BATCHES, position, str(error), RESTORE)
        except LedgerError as error:  # a newer format
            self.wrong(LedgerCheck.BATCHES, position, str(error), "Verify it with that version.")
        return None

    def _events(self, position: int, batch: Batch) -> None:
        self._report.events += len(batch.events)
        if position == 1:
            self._report.ledger_id = batch.nonce
            self._pin(batch)
        elif any(isinstance(event, e.Opened) for event in batch.events):
            self.wrong(LedgerCheck.PIN, position, "the event that opens the ledger occurs a second time", RESTORE)
        if self._blind:
            return
        recorded, problem = self._report.recorded, None
        try:
            events = [self._history.whole(event) for event in batch.events]
            problem = intended_before(recorded, events, self._history)
            fold(recorded, position, batch.events, self._history)
        except (LedgerError, ValueError, TypeError, KeyError) as error:
            problem = str(error)
        if problem is not None:
            self.wrong(LedgerCheck.EVENTS, position, f"its events cannot follow the ones before: {problem}", RESTORE)

    def _pin(self, first: Batch) -> None:
        theirs, ours = pin_of(first), self._place
        if theirs is None:
            self.wrong(LedgerCheck.PIN, 1, "its first event does not name the ledger's project and target", RESTORE)
        elif theirs != ours:
            self.wrong(
                LedgerCheck.PIN, 1, f"the ledger belongs to {theirs}, and this is {ours}",
                "Use another ledger, or the project and target that it belongs to. "
                "`ledger copy --rename` moves it",
            )  # fmt: skip

    # --- the snapshot -------------------------------------------------------------------------------------------------

    def _compare(self, position: int, raw: bytes) -> None:
        if self._mark is None or self._mark.position != position:
            return
        self._at_mark = checksum(raw)
        snapshot = self._snapshot
        if self._at_mark == self._mark.link and snapshot is not None and snapshot.recorded != self._report.recorded:
            self.wrong(
                LedgerCheck.SNAPSHOT, position,
                f"the snapshot of position {position} differs from the state computed from the batches: it was changed",
                f"Replace it now: reconciler ledger verify --new-snapshot -t {self._place.target}",
            )  # fmt: skip

    def _lost(self) -> None:
        """Adds a failure if the snapshot shows that batches were lost, unless an operator accepted the loss."""
        mark, report = self._mark, self._report
        accepted = {(each.lost_position, each.lost_head) for each in report.recorded.rollbacks}
        if mark is None or (mark.position, mark.link) in accepted:
            return
        if mark.position > report.positions:
            self.wrong(
                LedgerCheck.SNAPSHOT, report.positions + 1,
                f"there is a snapshot of position {mark.position}, and the ledger ends at {report.positions}: "
                "it was rolled back", after_rollback(self._place.target),
            )  # fmt: skip
        elif self._at_mark not in {None, mark.link}:
            self.wrong(
                LedgerCheck.SNAPSHOT, mark.position,
                f"the snapshot of position {mark.position} was made from a different batch than the stored one: the "
                "ledger was rolled back and written again", after_rollback(self._place.target),
            )  # fmt: skip

    def report(self) -> Report:
        """Returns the report after the last batch. A check without a failure passed, unless damage made it
        impossible.
        """
        report = self._report
        if LedgerCheck.STORE not in {finding.check for finding in report.findings}:
            self._lost()
        failed = {finding.check for finding in report.findings}
        report.findings += [Finding(*self._passed(check), check) for check in LedgerCheck if check not in failed]
        order = {check: number for number, check in enumerate(LedgerCheck)}
        report.findings.sort(key=lambda finding: (order[LedgerCheck(finding.check)], finding.position or 0))
        return report

    def _passed(self, check: LedgerCheck) -> tuple[Severity, str]:
        """Returns the result of a check without a failure: it passed, or damage made it impossible."""
        report, last = self._report, self._report.positions
        if check is LedgerCheck.SNAPSHOT:
            return self._snapshot_result()
        if check is LedgerCheck.EVENTS and self._blind:
            checked = report.recorded.position
            return Severity.WARN, f"events were checked up to position {checked}: damage hides the rest"
        return Severity.OK, {
            LedgerCheck.STORE: "everything could be read",
            LedgerCheck.POSITIONS: f"1 to {last}, none missing",
            LedgerCheck.CHAIN: (
                f"each batch contains the checksum of the one before; that of the last batch is {self.chain.link}"
            ),
            LedgerCheck.BATCHES: f"all {last} can be read by this version",
            LedgerCheck.PIN: str(self._place),
            LedgerCheck.EVENTS: f"all {report.events} can follow the ones before them",
        }[check]

    def _snapshot_result(self) -> tuple[Severity, str]:
        if self._content is None:
            return Severity.WARN, "there is none"
        which = f"the snapshot of position {self._content[0]}"
        if self._snapshot is None:
            return Severity.WARN, f"{which} is damaged or of another version. {IGNORED}"
        if self._at_mark != self._snapshot.link:
            return Severity.WARN, f"{which} is of batches that were given up. {IGNORED}"
        if self._blind:
            return Severity.WARN, f"{which} cannot be checked"
        return Severity.OK, f"{which} equals the state computed from the batches"


def _prev(batch: Batch | None, raw: bytes, default: str | None) -> object:
    """Returns the `prev` of a batch, even if its events cannot be read. Returns `default` if it has none."""
    if batch is not None:
        return batch.prev
    try:
        return json.loads(raw)["prev"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return default
