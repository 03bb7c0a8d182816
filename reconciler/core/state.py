"""The recorded state: submissions and their runs, folded from events, together with observations of this pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import field, fields

from reconciler.core.archive import Archive
from reconciler.core.declarations import Declaration, ProjectDeclaration
from reconciler.core.identity import Place, SubmissionKey
from reconciler.core.lazy_mapping import where
from reconciler.core.ledger_changes import AcceptedRollback, MovedTo
from reconciler.core.notification_retries import Undelivered
from reconciler.core.submission import RUN_STATES, CountsAs, Phase, RunState, Send, Submission, is_live, is_unresolved
from reconciler.core.times import Schedule, SlotRange, parse_time
from reconciler.values import dataclass

__all__ = [
    "OF_THE_PASS", "RUN_STATES", "CountsAs", "FormerName", "Phase", "Recorded", "RunState", "Send", "Sighting",
    "SpecRecord", "Submission",
]  # fmt: skip

OF_THE_PASS = "of the pass"
"""The metadata key that marks a field with observations of this pass. These are not part of the fold and are never
saved."""


@dataclass(frozen=True, slots=True)
class FormerName:
    """The name that a record had until the event at `position` renamed it to `renamed_to`, from checkout `commit`.

    `generation`, `slot` and `attempt` are the highest of the submissions under this name. A new spec with this name
    never reuses them, because they are part of tokens.
    """

    name: str
    renamed_to: str
    position: int
    commit: str | None = None
    generation: int = 0
    slot: str = ""
    attempt: int = 0

    def attempts_of(self, key: SubmissionKey) -> int:
        """Returns the highest attempt that may have been intended for the generation or slot of a key under this
        name."""
        had = key.generation <= self.generation if key.generation is not None else (key.slot or "") <= self.slot
        return self.attempt if had else 0


@dataclass(slots=True)
class SpecRecord:
    """Everything that the ledger records about one spec.

    `head` is the position of the newest event about it that can make plans stale, or 0; a plan made at another head is
    stale. `positions` are the positions of events about the spec itself; its submissions have their own positions.
    `submissions` are in the order of their first intents, and empty if only a schedule has started. `schedule` is the
    schedule that is or was in force, or `None` before the first. `missed` are slots that never run, `handled_until` is
    the last slot up to which all are handled, and `backfill` are the slots that an operator requested and that are not
    intended yet, in that order. `notified` are the keys of the notifications that were sent. `declaration` records the
    content of the spec that was applied last, or `None` before the first, and `undeclared` is true if the spec was
    removed from git since. `former_names` are the names that it had before, oldest first. `predecessor` describes
    another record that had this name before and was renamed. `archive` is the summary of ended submissions that are not
    in `submissions` any more. `base` is the position of the newest intent that is stored whole; later ones may be
    stored as differences from it.
    """

    name: str
    head: int = 0
    positions: list[int] = field(default_factory=list)
    submissions: list[Submission] = field(default_factory=list)
    schedule: Schedule | None = None
    missed: list[SlotRange] = field(default_factory=list)
    handled_until: str | None = None
    backfill: list[str] = field(default_factory=list)
    notified: list[str] = field(default_factory=list)
    declaration: Declaration | None = None
    undeclared: bool = False
    former_names: list[FormerName] = field(default_factory=list)
    predecessor: FormerName | None = None
    archive: Archive | None = None
    base: int | None = None

    def touch(self, position: int, submission: Submission | None = None, *, moves: bool = True) -> None:
        """Records the event at `position` with this spec or with `submission`. With `moves`, plans made earlier become
        stale."""
        self.head = max(self.head, position if moves else 0)
        positions = self.positions if submission is None else submission.positions
        if position not in positions[-1:]:  # a batch may contain several events about it
            positions.append(position)

    def is_missed(self, slot: str) -> bool:
        """Returns whether a slot of the schedule in force was recorded as missed."""
        if self.schedule is None or parse_time(slot) <= parse_time(self.schedule.since):
            return False
        if any(slot in missed for missed in reversed(self.missed)):
            return True
        # Ranges of missed slots are dropped when `handled_until` passes them.
        return slot <= (self.handled_until or "") and not any(s.slot == slot and s.counts for s in self.submissions)

    @property
    def newest(self) -> Submission | None:
        """The submission with the newest first intent."""
        return self.submissions[-1] if self.submissions else None

    @property
    def baseline(self) -> Submission | None:
        """The newest submission that was accepted, is unresolved, or was marked as applied; the spec is compared with
        it. Rejected and unsent submissions do not count, because they never ran."""
        return next((s for s in reversed(self.submissions) if s.accepted or s.unresolved or s.applied), None)

    @property
    def unresolved(self) -> list[Submission]:
        """Submissions that may have a run that is missing from the ledger."""
        return [s for s in self.submissions if s.unresolved]

    @property
    def live(self) -> list[Submission]:
        """Submissions with a run that may still do work."""
        return [s for s in self.submissions if s.live]

    @property
    def cancels_to_confirm(self) -> list[Submission]:
        """Live runs whose cancellation was requested and that AWS has not confirmed."""
        return [run for run in self.live if run.cancel_asked_at is not None and run.cancel_accepted_at is None]

    def name_at(self, position: int) -> str:
        """Returns the name of the spec in events at a position."""
        return next((former.name for former in self.former_names if position < former.position), self.name)

    @property
    def names(self) -> set[str]:
        """The name of the spec and the names that it had before."""
        return {self.name, *(former.name for former in self.former_names)}

    @property
    def declared_at(self) -> int:
        """The position of the newest declaration, or else of the event that took over the name from another record, or
        0."""
        if self.declaration is not None:
            return self.declaration.position
        return self.predecessor.position if self.predecessor is not None else 0

    @property
    def next_generation(self) -> int:
        """The highest generation ever intended under this name, plus one."""
        used = self.predecessor.generation if self.predecessor is not None else 0
        archived = self.archive.generation if self.archive is not None else 0
        return 1 + max((used, archived, *(s.generation or 0 for s in self.submissions)))

    def generation_of(self, digest: str) -> int | None:
        """Returns the generation of the newest accepted submission with a digest. Returns `None` if there is none, or
        if it is the submission of a slot."""
        accepted = [s for s in self.submissions if s.accepted and s.digest == digest][-1:]
        archived = self.archive.contents.get(digest) if self.archive is not None else None
        if archived is not None and (not accepted or accepted[0].first_position < archived[0]):
            return archived[1] or None
        return accepted[0].generation if accepted else None

    def next_attempt(self, key: SubmissionKey, earlier: Iterable[Submission] | None) -> int:
        """Returns the number of the next attempt of the generation or slot of `key`: one more than was ever intended
        under this name. `earlier` are its attempts in this record. If they were not read (`None`), the number is above
        those of all attempts of the record."""
        used = self.predecessor.attempts_of(key) if self.predecessor is not None else 0
        if earlier is None:
            used, earlier = max(used, self.archive.attempt if self.archive is not None else 0), self.submissions
        return 1 + max((used, *(s.attempt for s in earlier)))


@dataclass(slots=True)
class Recorded:
    """The fold of a ledger up to `position`, with the observations of this pass.

    `place` is from the first event. `project` are the settings applied last, or `None` before the first. `moved` is the
    place that the ledger was moved to, or `None` if it is in use; `rollbacks` are the accepted rollbacks, oldest first.
    `specs` and `by_token` may be lazy, so use `lazy_mapping.where` to find a few of many records.
    `former_names` are the names that records had before. `unindexed` are the entries of archived submissions
    (`archive.Entry`) that are not in any batch yet. `indexes` are the positions of the batches that contain the other
    entries, each with the first and the last slot in its batch. `recalled` has the archived submissions that this pass
    needs, by name and slot; a slot with an empty entry never ran. `undelivered` are the notifications that a webhook
    has not accepted, by `delivery_id`.

    `runs_by_token` maps tokens to the runs that carry them. An entry is empty if a complete listing found no run, and
    missing without a lookup. `runs_by_spec` maps names to runs with the spec's tag that are missing from the
    ledger, if they were looked up. `look_errors` and `observe_errors` map tokens to the reason why a lookup, or a
    query of the state of a live run, failed; an error is not absence. If `overlaid`, the specs include observations
    without events, so they are not a fold.
    """

    position: int = 0
    place: Place | None = None
    project: ProjectDeclaration | None = None
    moved: MovedTo | None = None
    rollbacks: list[AcceptedRollback] = field(default_factory=list)
    specs: MutableMapping[str, SpecRecord] = field(default_factory=dict)
    by_token: MutableMapping[str, Submission] = field(default_factory=dict)
    former_names: dict[str, FormerName] = field(default_factory=dict)
    undelivered: dict[str, Undelivered] = field(default_factory=dict)
    unindexed: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    recalled: dict[str, dict[str, list[Submission]]] = field(default_factory=dict, metadata={OF_THE_PASS: True})
    runs_by_token: dict[str, tuple[str, ...]] = field(default_factory=dict, metadata={OF_THE_PASS: True})
    runs_by_spec: dict[str, tuple[str, ...]] = field(default_factory=dict, metadata={OF_THE_PASS: True})
    look_errors: dict[str, str] = field(default_factory=dict, metadata={OF_THE_PASS: True})
    observe_errors: dict[str, str] = field(default_factory=dict, metadata={OF_THE_PASS: True})
    overlaid: bool = field(default=False, metadata={OF_THE_PASS: True})

    def spec(self, name: str) -> SpecRecord:
        """Returns the record of a spec, or a new empty record without adding it."""
        record = self.specs.get(name)
        if record is not None:
            return record
        former = self.former_names.get(name)
        # Plans that were made before the rename are stale for a new spec with this name.
        return SpecRecord(name, head=former.position if former is not None else 0, predecessor=former)

    def current_name(self, name: str) -> str:
        """Returns the current name of a record after all renames; the name itself if there are none."""
        seen = {name}
        while name not in self.specs and (former := self.former_names.get(name)) is not None:
            name = former.renamed_to
            if name in seen:
                break
            seen.add(name)
        return name

    def record(self, name: str) -> SpecRecord:
        """Returns the record of a spec, and adds an empty one if there is none."""
        return self.specs.setdefault(name, self.spec(name))

    @property
    def archives(self) -> bool:
        """Whether any submission is archived."""
        return next(where(self.specs, _has_archived, "archive"), None) is not None

    @property
    def number(self) -> int:
        """The number of submissions, including archived ones."""
        archives = (record.archive for record in where(self.specs, _has_archived, "archive"))
        return len(self.by_token) + sum(archive.number for archive in archives if archive is not None)

    @property
    def intends(self) -> bool:
        """Whether anything was ever intended to be sent. If not, an earlier ledger may have been lost."""
        sent = any(send.number for submission in self.by_token.values() for send in submission.sends)
        return sent or next(where(self.specs, _has_sent, "archive"), None) is not None

    def at_slot(self, name: str, slot: str) -> list[Submission] | None:
        """Returns the attempts of a slot, or `None` if they may be archived and this pass has not read them."""
        record = self.spec(name)
        held = [submission for submission in record.submissions if submission.slot == slot]
        if held or record.archive is None or not record.archive.may_have(slot, None):
            return held
        return self.recalled.get(name, {}).get(slot)

    def become(self, other: Recorded) -> None:
        """Replaces the state with the state of another fold, and keeps the observations of this pass."""
        for held in fields(self):
            if OF_THE_PASS not in held.metadata:
                setattr(self, held.name, getattr(other, held.name))

    def forget_findings(self) -> None:
        """Drops the observations of an earlier pass."""
        for findings in (self.recalled, self.runs_by_token, self.runs_by_spec, self.look_errors, self.observe_errors):
            findings.clear()

    def unresolved(self) -> Iterator[Submission]:
        """Yields all submissions that may have a run that is missing from the ledger, sorted by name."""
        names = {submission.name for submission in where(self.by_token, is_unresolved, "phase")}
        return (s for name in sorted(names) for s in self.spec(name).unresolved)

    def live(self) -> Iterator[Submission]:
        """Yields all submissions with a live run, sorted by name."""
        names = {submission.name for submission in where(self.by_token, is_live, "run_state", "reassigned_to")}
        return (s for name in sorted(names) for s in self.spec(name).live)

    def touched_since(self, position: int) -> set[str]:
        """Returns the names of the specs about which the ledger has events after a position."""

        def touched(positions: Sequence[int]) -> bool:
            return bool(positions) and positions[-1] > position

        specs = {record.name for record in where(self.specs, touched, "positions")}
        return specs | {submission.name for submission in where(self.by_token, touched, "positions")}


def _has_archived(archive: Archive | None) -> bool:
    return archive is not None and archive.number > 0


def _has_sent(archive: Archive | None) -> bool:
    return archive is not None and archive.sent


@dataclass(frozen=True, slots=True)
class Sighting:
    """The result of one lookup in AWS. The fields are as in `Recorded`; `unseen` are the tokens of live runs that AWS
    did not find."""

    runs_by_token: Mapping[str, Sequence[str]] = field(default_factory=dict)
    look_errors: Mapping[str, str] = field(default_factory=dict)
    observe_errors: Mapping[str, str] = field(default_factory=dict)
    unseen: frozenset[str] = frozenset()
    runs_by_spec: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def lay_over(self, recorded: Recorded) -> None:
        """Adds these observations to `recorded`, in memory."""
        recorded.runs_by_token.update({token: tuple(ids) for token, ids in self.runs_by_token.items()})
        recorded.runs_by_spec.update({name: tuple(ids) for name, ids in self.runs_by_spec.items()})
        recorded.look_errors.update(self.look_errors)
        recorded.observe_errors.update(self.observe_errors)
