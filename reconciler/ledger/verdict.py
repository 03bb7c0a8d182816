"""What is said about a ledger that was walked."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.recorded.state import Recorded


class Subject(StrEnum):
    """What is looked at, in the order in which it is told."""

    STORE = "store"  # whether all of it could be read
    POSITIONS = "positions"  # 1, 2, 3 …, none missing
    CHAIN = "chain"  # each batch holds the checksum of the one before
    BATCHES = "batches"  # each can be decoded
    PIN = "pin"  # the first event says whose ledger it is, and only that
    EVENTS = "events"  # each can follow what came before it
    SNAPSHOT = "snapshot"  # adds up to what the batches do


class Judgement(StrEnum):
    """How something was found."""

    OK = "OK"
    NG = "NG"
    SKIP = "SKIP"  # there is nothing to look at, or damage hides it


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a verdict: a sentence, the position where something is wrong, and what to do about it."""

    subject: Subject
    judgement: Judgement
    message: str
    position: int | None = None
    advice: str | None = None


@dataclass(slots=True)
class Verdict:
    """What a walk found. `head` is the checksum of the batch at the last position, `recorded` what the events add up
    to: both mean something only where nothing is wrong."""

    address: str
    positions: int = 0
    events: int = 0
    head: str | None = None
    recorded: Recorded = field(default_factory=Recorded)
    findings: list[Finding] = field(default_factory=list)

    def wrong(self) -> set[Subject]:
        """What something is wrong with."""
        return {finding.subject for finding in self.findings if finding.judgement is Judgement.NG}
