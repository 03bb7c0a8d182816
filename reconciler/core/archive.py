"""Archives ended submissions on which no decision depends any more. The state keeps only a summary of them for each
spec. All other data about them is read from the ledger on demand, with the help of index entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from hashlib import sha256
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, ClassVar, Protocol

from reconciler.core.event_fields import Text, Texts
from reconciler.core.events import Event
from reconciler.core.identity import TOKEN_PREFIX, SubmissionKey
from reconciler.errors import LedgerCorrupt
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.core.state import Recorded, SpecRecord
    from reconciler.core.submission import Submission


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed(Event):
    """Contains index entries, which record the positions of the events of archived submissions in the ledger. Each line
    is the text of an `Entry`.

    With these, a reader of the state finds a submission without reading the whole ledger.
    """

    type: ClassVar[str] = "indexed"
    entries: Texts
    tool_version: Text


@dataclass(slots=True)
class Archive:
    """A summary of the archived submissions of one spec, kept in the state.

    `number` is their number; `sent` is true if any of them was sent. `slot`, `generation` and `attempt` are the highest
    values among them. `contents` maps the digest of each accepted content to two values of the newest submission with
    this content: its first ledger position and its generation (0 for a slot). `kept` is the number of submissions that
    were left in the state by the last archiving.
    """

    number: int = 0
    sent: bool = False
    slot: str = ""
    generation: int = 0
    attempt: int = 0
    contents: dict[str, list[int]] = field(default_factory=dict)
    kept: int = 0

    def may_have(self, slot: str | None, generation: int | None) -> bool:
        """Returns whether submissions of a slot or generation may be archived."""
        if not self.number:
            return False
        return slot <= self.slot if slot is not None else (generation or 0) <= self.generation

    def add(self, submission: Submission) -> None:
        """Adds a submission to the summary."""
        self.number += 1
        self.sent = self.sent or any(send.number for send in submission.sends)
        self.slot = max(self.slot, submission.slot or "")
        self.generation = max(self.generation, submission.generation or 0)
        self.attempt = max(self.attempt, submission.attempt)
        first = submission.first_position
        if submission.accepted and self.contents.get(submission.digest, [0])[0] <= first:
            self.contents[submission.digest] = [first, submission.generation or 0]


TOKEN_DIGITS = 16
RUN_DIGITS = 8
"""The number of digits of a token, and of the hash of a run id, in an entry. They only select candidates, which are
then compared with the events."""

SLOT_LENGTH = len("2026-11-22T02:00:00Z")

SPEC = ""
"""The value of `Entry.where` for events about a spec itself, not about one of its submissions."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The positions of the events of one submission, or of a spec itself.

    `name` is the name of the spec in its first event. `where` is the slot, ``g`` followed by the generation, or `SPEC`.
    `counts` is as in `Submission.counts`. `token` and `run` are the digits by which the entry is found.
    """

    name: str
    where: str
    positions: tuple[int, ...]
    attempt: int = 0
    counts: bool = False
    token: str = ""
    run: str = ""

    @property
    def slot(self) -> str | None:
        """Returns the slot, or `None` for a generation or a spec."""
        return None if self.where == SPEC or self.where.startswith("g") else self.where

    @property
    def text(self) -> str:
        """The entry as text in the ledger: ``SLOT|ATTEMPT|+|TOKEN|RUN|POSITIONS|NAME``. Each position after the first
        is written as its difference from the previous one."""
        first, *_ = self.positions
        steps = ",".join(map(str, (first, *(after - before for before, after in pairwise(self.positions)))))
        mark = "+" if self.counts else "-"
        return "|".join((self.where, str(self.attempt), mark, self.token, self.run, steps, self.name))

    @staticmethod
    def of(text: str) -> Entry:
        """Parses the text of an entry. Raises `ValueError` for any other text."""
        where, attempt, mark, token, run, steps, name = text.split("|", 6)
        positions = tuple(accumulate(map(int, steps.split(","))))
        return Entry(name, where, positions, int(attempt), mark == "+", token, run)


def entry_of(submission: Submission, name: str) -> Entry:
    """Returns the entry of a submission whose first event has the name `name`."""
    return Entry(
        name, where_of(submission.key), tuple(submission.positions), submission.attempt, submission.counts,
        token_digits(submission.token), run_digits(submission.run_id),
    )  # fmt: skip


def is_plain_slot(slot: str) -> bool:
    """Returns whether a slot has the form of the slots of schedules. Text in this form sorts by time and fits into an
    entry."""
    return len(slot) == SLOT_LENGTH and slot[10] == "T" and slot.endswith("Z")


def token_digits(token: str) -> str:
    """Returns the digits by which an entry is found by its token."""
    # The parts of an entry are separated by `|`.
    return token.removeprefix(TOKEN_PREFIX)[:TOKEN_DIGITS].replace("|", "")


def run_digits(run_id: str | None) -> str:
    """Returns the digits by which an entry is found by its run id; empty without a run."""
    return sha256(run_id.encode()).hexdigest()[:RUN_DIGITS] if run_id is not None else ""


def where_of(key: SubmissionKey) -> str:
    """Returns the `Entry.where` of the slot or generation of a key."""
    return key.slot if key.slot is not None else f"g{key.generation}"


def owns(record: SpecRecord, entry: Entry) -> bool:
    """Returns whether an entry belongs to a record. The record may have had other names, and another record may have
    had its name before."""
    first, before = entry.positions[0], record.predecessor
    return entry.name == record.name_at(first) and (before is None or first > before.position)


class Recall(Protocol):
    """Reads archived submissions from the ledger."""

    def of_group(self, recorded: Recorded, record: SpecRecord, where: str) -> Sequence[Submission]:
        """Returns all attempts of one slot or generation (`where_of`) of a spec, oldest first. The result is empty if
        they are not archived."""
        ...

    def of_token(self, recorded: Recorded, token: str) -> Sequence[Submission]:
        """Returns all attempts of the slot or generation of the submission with this token, oldest first. The result is
        empty if they are not archived."""
        ...

    def whole(self, event: Event, *, request: bool = True) -> Event:
        """Returns a stored event, completed with the values that it takes from an earlier event. Without `request`, its
        request may be missing. Raises `LedgerCorrupt` if the earlier event is not in the ledger."""
        ...


class _Nothing:
    """Finds nothing. It is used for a state without archived submissions."""

    def of_group(self, recorded: Recorded, record: SpecRecord, where: str) -> Sequence[Submission]:
        return ()

    def of_token(self, recorded: Recorded, token: str) -> Sequence[Submission]:
        return ()

    def whole(self, event: Event, *, request: bool = True) -> Event:
        raise LedgerCorrupt(f"a {event.type!r} event needs an earlier one, which cannot be read")


NOTHING: Recall = _Nothing()
