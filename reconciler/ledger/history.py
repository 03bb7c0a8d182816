"""Reads the history of a ledger on demand: batches at given positions, and archived submissions, found with an
index."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from threading import RLock
from typing import TypeVar

from reconciler.core import events as e
from reconciler.core.archive import SPEC, Entry, Indexed, owns, run_digits, token_digits
from reconciler.core.event_codec import IntendedAs, as_difference, like, restored
from reconciler.core.fold import fold
from reconciler.core.ports import Store
from reconciler.core.state import Recorded, SpecRecord, Submission
from reconciler.errors import LedgerCorrupt, LedgerError
from reconciler.ledger.chained_batches import checksum, corrupt, decode

DENSE = 4
"""The maximum number of positions to read for each wanted position. If the wanted positions are further apart, each is
fetched separately.
"""

GETS = 8
"""The number of positions fetched in parallel."""

INDEXES_HELD = 16
SUBMISSIONS_HELD = 1024
BASES_HELD = 1024
"""The maximum numbers of cached items: index batches, archived submissions with their events, and batches with intents
that later intents refer to."""

Key = TypeVar("Key")
Value = TypeVar("Value")
Select = Callable[[Entry], bool]


class History:
    """The history of the ledger in a store. Implements `core.archive.Recall`. Only one thread at a time may read
    archived submissions."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = RLock()  # for the bases, which several threads read
        self._bases: OrderedDict[int, Sequence[e.Intended]] = OrderedDict()
        self._indexes: OrderedDict[int, tuple[str, Sequence[str]]] = OrderedDict()
        self._events: OrderedDict[str, Sequence[tuple[int, e.SubmissionEvent]]] = OrderedDict()

    # --- batches ------------------------------------------------------------------------------------------------------

    def batch(self, position: int, names: Container[str] | None = None) -> Sequence[e.Event]:
        """Returns the events at one position, or only those about the specs in `names`. Raises `LedgerError` if the
        ledger has no such position."""
        return [self.whole(event) for event in self._stored(position, names)]

    def _stored(self, position: int, names: Container[str] | None = None) -> Sequence[e.Event]:
        raw = self._store.get(position)
        if raw is None:
            raise self._nothing_at(position)
        return decode(raw, position, self._store.address, names).events

    def checksum_at(self, position: int) -> str | None:
        """Returns the checksum of the batch at a position, or `None` if there is none. Raises `LedgerError`."""
        raw = self._store.get(position)
        return None if raw is None else checksum(raw)

    def whole(self, event: e.Event, *, request: bool = True) -> e.Event:
        """Returns a stored event in full. The fields and the request of an intent may be stored in the batch of an
        earlier intent. If `request` is false, the request is empty. Raises `LedgerError`."""
        if not isinstance(event, IntendedAs):
            return event
        bases = (base for base in self.bases(event.base) if like(base.token) == event.like)
        intents = (restored(event, base, request=request) for base in bases)
        intent = next((intent for intent in intents if intent is not None), None)
        if intent is None:
            why = f"position {event.base} has no intent of {event.name} that a later one is the difference from"
            raise LedgerCorrupt(f"the ledger {self._store.address} is damaged: {why}. Restore it from a copy.")
        return intent

    def shortened(self, recorded: Recorded, event: e.Event) -> e.Event:
        """Returns an intent of a spec with a long history as the difference from an earlier intent, if that is shorter.
        Returns all other events unchanged."""
        if not isinstance(event, e.Intended):
            return event
        record = recorded.spec(event.name)
        if record.archive is None or record.base is None:
            return event
        try:
            bases = self.bases(record.base)
        except LedgerError:
            return event
        base = next((each for each in bases if each.name == record.name_at(record.base)), None)
        shorter = as_difference(event, base, record.base) if base is not None else None
        if base is None or shorter is None or restored(shorter, base) != event:  # the exact request must be kept
            return event
        return shorter

    def bases(self, position: int) -> Sequence[e.Intended]:
        """Returns the complete intents at a position. Later intents may refer to them. Raises `LedgerError`."""
        with self._lock:
            if position not in self._bases:
                intents = [event for event in self._stored(position) if isinstance(event, e.Intended)]
                _hold(self._bases, position, intents, BASES_HELD)
            return self._bases[position]

    def batches(
        self, positions: Sequence[int], names: Container[str] | None = None
    ) -> Iterator[tuple[int, Sequence[e.Event]]]:
        """Yields each of the given positions, in ascending order, with its events, or only those about the specs in
        `names`. Positions that are far apart are fetched separately; nearby positions are read in one sequence. Raises
        `LedgerError` if the ledger has no batch at one of the positions.
        """
        if len(positions) == 1:  # needs no threads, which take long to import
            yield positions[0], self.batch(positions[0], names)
            return
        if len(positions) < DENSE or len(positions) * DENSE <= positions[-1] - positions[0]:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - few commands read these batches

            with ThreadPoolExecutor(GETS) as pool:
                for start in range(0, len(positions), SUBMISSIONS_HELD):  # limits the number of batches in memory
                    some = positions[start : start + SUBMISSIONS_HELD]
                    yield from zip(some, pool.map(partial(self.batch, names=names), some), strict=True)
            return
        wanted = iter(positions)
        position = next(wanted, None)
        for stored, raw in self._store.read(positions[0] - 1):
            if stored == position:
                events = decode(raw, stored, self._store.address, names).events
                yield stored, [self.whole(event) for event in events]
                position = next(wanted, None)
            if position is None:
                return
        raise self._nothing_at(position)

    def _nothing_at(self, position: int | None) -> LedgerError:
        return LedgerError(f"the ledger {self._store.address} has no batch at position {position}")

    def newest_positions(
        self, recorded: Recorded, record: SpecRecord, *, limit: int | None = None, since: str | None = None
    ) -> list[int]:
        """Returns the positions of the events about a spec, in ascending order: the newest `limit`, or all. With
        `since`, events that were recorded earlier than this time may be missing."""
        positions = {*record.positions, *(position for s in record.submissions for position in s.positions)}
        if record.archive is not None:
            for before, at, texts in self._entries(recorded):
                newer = sum(position >= before for position in positions) if limit is not None else 0
                if (limit is not None and newer >= limit) or (since is not None and at is not None and at < since):
                    break
                name = record.name if not record.former_names else ""
                # An entry ends with the name of its spec. Most entries are about other specs, so they are not parsed.
                some = (self._parsed(text, before) for text in texts if text.endswith(name))
                positions.update(position for entry in some if owns(record, entry) for position in entry.positions)
        return sorted(positions)[-limit if limit is not None else 0 :]

    # --- archived submissions -----------------------------------------------------------------------------------------

    def of_group(self, recorded: Recorded, record: SpecRecord, where: str) -> Sequence[Submission]:
        """Returns all attempts of one slot or generation of a spec, oldest first, as `core.archive.Recall` requires."""
        return self.of_groups(recorded, {record.name: {where}}).get(record.name, {}).get(where, ())

    def of_groups(
        self, recorded: Recorded, wanted: Mapping[str, set[str] | frozenset[str]]
    ) -> Mapping[str, dict[str, list[Submission]]]:
        """Returns all attempts of the given slots and generations (`archive.where_of`), keyed by spec, oldest first.
        Slots that are not archived have no attempts here. Reads nothing if the state has no entries, as in an export.
        """
        if not recorded.unindexed and not recorded.indexes:
            return {}
        places = {where for wheres in wanted.values() for where in wheres}
        slots = sorted(where for where in places if not where.startswith("g"))
        between = (slots[0], slots[-1]) if slots and len(slots) == len(places) else None
        records = [recorded.spec(name) for name in wanted]
        done: dict[str, dict[str, list[Submission]]] = {
            name: {where: [] for where in wheres} for name, wheres in wanted.items()
        }
        for entry in self._selected(recorded, lambda where: where in places, between):
            record = next((r for r in records if entry.where in wanted[r.name] and owns(r, entry)), None)
            if record is not None:
                done[record.name][entry.where].append(self.load(record, entry))
        for groups in done.values():
            for submissions in groups.values():
                submissions.sort(key=lambda submission: submission.first_position)
        return done

    def of_token(self, recorded: Recorded, token: str) -> Sequence[Submission]:
        """Returns all attempts of the slot or generation that a token belongs to, as `core.archive.Recall` requires."""
        digits = token_digits(token)
        for record, entry in self.find(recorded, lambda entry: entry.token == digits):
            attempts = self.of_group(recorded, record, entry.where)
            if any(submission.token == token for submission in attempts):
                return attempts
        return ()

    def of_run(self, recorded: Recorded, run_id: str) -> Sequence[Submission]:
        """Returns the archived submissions that have this run, newest first."""
        digits = run_digits(run_id)
        loaded = (self.load(*each) for each in self.find(recorded, lambda entry: entry.run == digits))
        return [submission for submission in loaded if submission.run_id == run_id]

    def archived(self, recorded: Recorded, records: Sequence[SpecRecord], since: str) -> Iterator[Submission]:
        """Yields the archived submissions of the given specs, newest first: all that have an event after `since`, and
        some older submissions."""
        seen: set[str] = set()
        for position, at, texts in self._entries(recorded):
            if not records or (at is not None and at < since):
                return
            for entry in (self._parsed(text, position) for text in reversed(texts)):
                record = next((each for each in records if owns(each, entry)), None)
                if entry.token and entry.token not in seen and record is not None:
                    seen.add(entry.token)
                    yield self.load(record, entry)

    def counted(self, recorded: Recorded, record: SpecRecord, slots: Collection[str]) -> set[str]:
        """Returns the slots among `slots` that have an archived submission that counts (`Submission.counts`)."""
        if record.archive is None or not slots or min(slots) > record.archive.slot:
            return set()
        entries = self._selected(recorded, lambda where: where in slots, (min(slots), max(slots)))
        return {entry.where for entry in entries if entry.counts and owns(record, entry)}

    def accepted(self, recorded: Recorded, record: SpecRecord, after: int, before: int) -> Iterator[Submission]:
        """Yields the archived submissions of a spec that AWS accepted and whose first event is between the positions
        `after` and `before`, newest first."""
        entries: list[Entry] = []
        for position, _, texts in self._entries(recorded):
            if position <= after:  # the index entry of a submission is in a later batch than its events
                break
            parsed = (self._parsed(text, position) for text in texts if text.endswith(record.name_at(before)))
            entries += (each for each in parsed if after < each.positions[0] < before and each.where != SPEC)
        for entry in sorted(entries, key=lambda entry: entry.positions[0], reverse=True):
            if owns(record, entry) and (submission := self.load(record, entry)).accepted:
                yield submission

    def find(self, recorded: Recorded, select: Select) -> Iterator[tuple[SpecRecord, Entry]]:
        """Yields the entries of archived submissions that `select` accepts, newest first, each with the record of its
        spec."""
        for entry in self._selected(recorded, bool, None):
            if select(entry) and (record := _owner(recorded, entry)) is not None:
                yield record, entry

    def _selected(
        self, recorded: Recorded, at: Callable[[str], object], between: tuple[str, str] | None
    ) -> Iterator[Entry]:
        """Yields the entries of archived submissions whose `Entry.where` satisfies `at`, newest first. With `between`,
        reads only index batches that contain a slot in this range."""
        seen: set[str] = set()
        for position, _, texts in self._entries(recorded, between):
            for text in reversed(texts):
                if at(text.partition("|")[0]):
                    entry = self._parsed(text, position)
                    # A submission that was archived more than once has several entries. The newest one is complete.
                    if entry.token not in seen:
                        seen.add(entry.token)
                        yield entry

    def _entries(
        self, recorded: Recorded, between: tuple[str, str] | None = None
    ) -> Iterator[tuple[int, str | None, Sequence[str]]]:
        """Yields groups of index entries as text, newest first. Each group has a position that all its entries precede,
        and the time when the group was appended, or `None` for the group in memory."""
        yield recorded.position + 1, None, recorded.unindexed
        for reference in reversed(recorded.indexes):
            position, *slots = reference.split("|")
            if between is None or (slots and slots[0] <= between[1] and between[0] <= slots[-1]):
                yield int(position), *self._index(int(position))

    def _index(self, position: int) -> tuple[str, Sequence[str]]:
        if position not in self._indexes:
            event = next((event for event in self.batch(position) if isinstance(event, Indexed)), None)
            if event is None:
                raise corrupt(position, self._store.address, "it has no index of archived submissions")
            _hold(self._indexes, position, (event.at, event.entries), INDEXES_HELD)
        return self._indexes[position]

    def _parsed(self, text: str, position: int) -> Entry:
        try:
            return Entry.of(text)
        except ValueError as error:
            raise corrupt(position, self._store.address, "its index of archived submissions is unreadable") from error

    def load(self, record: SpecRecord, entry: Entry) -> Submission:
        """Returns the archived submission of an entry, rebuilt from its events."""
        if entry.text not in self._events:
            events = [
                (position, event)
                for position, batch in self.batches(entry.positions, record.names)
                for event in batch
                if isinstance(event, e.SubmissionEvent) and token_digits(event.token) == entry.token
            ]
            _hold(self._events, entry.text, events, SUBMISSIONS_HELD)
        scratch = Recorded()
        for position, event in self._events[entry.text]:
            fold(scratch, position, [event])
        submission = next(iter(scratch.by_token.values()), None)
        if submission is None:
            raise LedgerCorrupt(f"the ledger {self._store.address} has no events of an archived submission")
        # The events contain the name of the spec at that time.
        submission.key = replace(submission.key, name=record.name)
        return submission


def _owner(recorded: Recorded, entry: Entry) -> SpecRecord | None:
    # Usually this is the owner. It is another record if the name was given to a new spec after a rename.
    likely = recorded.specs.get(recorded.current_name(entry.name))
    if likely is not None and owns(likely, entry):
        return likely
    return next((record for record in recorded.specs.values() if owns(record, entry)), None)


def _hold(held: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> None:
    held[key] = value
    while len(held) > most:
        held.popitem(last=False)
