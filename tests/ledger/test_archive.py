"""Tests long ledgers. The state remains small, and archived submissions are read from the batches."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.app.history import find, spec_history, submission_history
from reconciler.core import events as e
from reconciler.core.archive import Indexed
from reconciler.core.event_codec import IntendedAs, encode
from reconciler.core.fold import fold
from reconciler.core.identity import Content, Source, SubmissionKey, client_token
from reconciler.core.ports import Moved
from reconciler.core.state import Recorded, Submission
from reconciler.core.times import parse_time, seconds_text, time_text
from reconciler.errors import LedgerCorrupt, ReconcilerError
from reconciler.ledger import log as log_module
from reconciler.ledger.chained_batches import Batch, checksum, decode
from reconciler.ledger.chained_batches import encode as encode_batch
from reconciler.ledger.history import History
from reconciler.ledger.log import Log
from reconciler.ledger.verify import verify
from tests.growth import operations
from tests.ledger.builders import PLACE, MemoryStore, StandingClock, always

START = datetime(2026, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
NAMES = ("orders", "views")
SLOTS = 300
KIND = "BatchJob"


def slot_of(number: int) -> str:
    """Returns slot `number` of a schedule with a slot every 15 minutes."""
    return seconds_text(START + QUARTER * number)


def token_of(name: str, number: int, attempt: int = 1) -> str:
    """Returns the token of a slot."""
    return client_token(PLACE, KIND, SubmissionKey(name, slot=slot_of(number), attempt=attempt), "sha256:00")


def request_of(name: str, number: int, attempt: int = 1) -> dict[str, Any]:
    """Returns the request of a slot, as it was sent. The request of every fifth slot is quite different."""
    request = {"jobName": name, "at": slot_of(number), "tags": {"token": token_of(name, number, attempt)}}
    return {**request, "command": ["x" * 900, str(number // 100)], **({"other": "y" * 2000} if number % 5 == 0 else {})}


def intent(name: str, number: int, attempt: int = 1, token: str | None = None, after: float = 1) -> e.Intended:
    """Returns the intent of a slot, recorded some seconds after the slot."""
    moment = START + QUARTER * number + timedelta(seconds=after)
    return e.Intended(
        at=time_text(moment), token=token or token_of(name, number, attempt), kind=KIND,
        key=SubmissionKey(name, slot=slot_of(number), attempt=attempt),
        content=Content("sha256:00", request=request_of(name, number, attempt), location={"jobName": name},
                        source=Source("a.yaml", 1)),
        send=1, not_after=time_text(moment + timedelta(seconds=30)), owner="host", reason="slot-due", actor="ops",
        tool_version="0.1.0", settled_slots=slot_of(number - 1),
    )  # fmt: skip


def seen(name: str, number: int, state: str = "succeeded", attempt: int = 1) -> e.Observed:
    """Returns the event that the run of a slot ended, five minutes after the slot."""
    at = time_text(START + QUARTER * number + timedelta(minutes=5))
    return e.Observed(
        at=at, name=name, token=token_of(name, number, attempt), run_id=f"{name}-{number}", state=state,
        aws_state=state.upper(), finished_at=at,
    )  # fmt: skip


def write(log: Log, slots: range, name: str = "orders") -> None:
    """Appends all events of some slots. The run of every seventh slot fails."""
    for number in slots:
        at = time_text(START + QUARTER * number + timedelta(seconds=2))
        log.append([intent(name, number)], always)
        submitted = e.Submitted(at=at, name=name, token=token_of(name, number), send=1, run_id=f"{name}-{number}")
        log.append([submitted], always)
        log.append([seen(name, number, "failed" if number % 7 == 0 else "succeeded")], always)


def opened(store: MemoryStore) -> Log:
    """Returns a log over a store."""
    return Log(store, PLACE, "0.1.0", StandingClock())


@pytest.fixture(scope="module")
def long_store() -> MemoryStore:
    """Returns a ledger with 300 slots of two specs."""
    store = MemoryStore()
    before, log_module.INDEXED = log_module.INDEXED, 40
    try:
        log = opened(store)
        since = time_text(START)
        log.append(
            [
                e.ScheduledSince(at=since, name=name, kind=KIND, since=since, schedule="*/15 * * * *", time_zone="UTC")
                for name in NAMES
            ],
            always,
        )
        for number in range(1, SLOTS + 1):
            for name in NAMES:
                write(log, range(number, number + 1), name)
        log.close()
    finally:
        log_module.INDEXED = before
    return store


@pytest.fixture
def store(long_store: MemoryStore) -> MemoryStore:
    """Returns a copy of the ledger above."""
    made = MemoryStore()
    made.batches, made.snapshot = dict(long_store.batches), long_store.snapshot
    return made


def whole(store: MemoryStore) -> Recorded:
    """Returns the state of a ledger in which nothing is archived."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reconciler.core.retention.ENDED_RUNS", 10**9)
        recorded = Recorded()
        for position, raw in sorted(store.batches.items()):
            fold(recorded, position, decode(raw, position, "memory").events, History(store))
    return recorded


def loaded(log: Log) -> dict[str, Submission]:
    """Returns every archived submission, keyed by token and read through its entry."""
    found = log.history.find(log.recorded, lambda entry: bool(entry.token))
    return {submission.token: submission for submission in (log.history.load(*each) for each in found)}


@pytest.fixture(scope="module")
def every(long_store: MemoryStore) -> Recorded:
    """Returns the state of the ledger above, in which nothing is archived."""
    return whole(long_store)


@pytest.mark.parametrize("cold", [False, True])
def test_the_state_does_not_grow_and_lacks_nothing(store: MemoryStore, every: Recorded, cold: bool):
    """A long ledger gives the same small state with and without its snapshot. The archived submissions that are read
    from the batches equal those in a state that archives nothing."""
    if cold:
        store.snapshot = None
    log = opened(store)
    recorded = log.refresh()

    archived = loaded(log)

    assert max(len(record.submissions) for record in recorded.specs.values()) <= 60
    assert {token: archived.get(token) or recorded.by_token[token] for token in every.by_token} == every.by_token
    assert not archived.keys() & recorded.by_token.keys()
    assert recorded.number == len(every.by_token) == 2 * SLOTS
    assert len(recorded.unindexed) < 40 + 60
    assert len(recorded.indexes) >= 10


def test_the_state_after_four_times_the_history_is_as_large():
    """The number of submissions in the state is limited, however long the history is."""
    sizes = []
    log = opened(MemoryStore())
    for slots in (range(1, 121), range(121, 481)):
        write(log, slots)
        sizes.append(len(log.recorded.by_token))
    assert max(sizes) <= 60
    assert abs(sizes[1] - sizes[0]) <= 20


def test_work_grows_with_the_history(monkeypatch: pytest.MonkeyPatch):
    """With four times as many slots, a read without a snapshot, `verify`, and a read of the whole history need about
    four times as many operations. An append, a read with a snapshot, and a read of the newest events need about as many
    as before."""
    monkeypatch.setattr("reconciler.ledger.log.INDEXED", 10)
    few, many = (_operations(slots) for slots in (150, 600))
    for name in ("fold", "verify", "history"):
        assert many[name] <= 4.5 * few[name], name
    for name in ("append", "resume", "newest"):
        assert many[name] <= 1.5 * few[name], name


def _operations(slots: int) -> dict[str, int]:
    """Returns the number of operations of each step, with a ledger of this many slots."""
    store = MemoryStore()
    writer = opened(store)
    write(writer, range(1, slots - 20))
    counts = {"append": operations(lambda: write(writer, range(slots - 20, slots + 1)))}
    writer.close()
    reader, cold = opened(store), opened(MemoryStore())
    cold._store.batches.update(store.batches)  # type: ignore[attr-defined]
    return counts | {
        "resume": operations(reader.refresh),
        "fold": operations(cold.refresh),
        "verify": operations(lambda: verify(store, PLACE)),
        "history": operations(lambda: [*spec_history(reader, "orders")]),
        "newest": operations(lambda: [*spec_history(reader, "orders", limit=20)]),
    }


def test_a_sound_long_ledger(store: MemoryStore):
    """Verifying the ledger finds no problem, and its snapshot equals the state computed from the batches."""
    report = verify(store, PLACE)
    assert report.wrong() == set()
    assert report.recorded == opened(store).refresh()


@pytest.mark.parametrize("cold", [False, True])
def test_late_events_of_an_archived_submission(store: MemoryStore, cold: bool):
    """A late outcome, or a retry of an old slot, moves a submission and its other attempts back into the state, for
    every reader."""
    log = opened(store)
    log.refresh()
    name, number = "orders", 14
    token = token_of(name, number)
    assert token not in log.recorded.by_token

    asked = e.RetryAsked(at=time_text(START + QUARTER * 400), name=name, token=token, actor="ops")
    assert isinstance(log.append([asked], always), int)
    late = e.Submitted(at=asked.at, name=name, token=token_of(name, 15), send=1, run_id="another")
    assert isinstance(log.append([late], always), int)

    if cold:
        store.snapshot = None
    fresh, every = opened(store).refresh(), whole(store)
    for recorded in (log.recorded, fresh):
        assert recorded.by_token[token] == every.by_token[token]
        assert recorded.by_token[token_of(name, 15)].conflict == (f"{name}-15", "another")
        positions = [s.first_position for s in recorded.specs[name].submissions]
        assert positions == sorted(positions)
        assert recorded.number == len(every.by_token)
    assert fresh == log.recorded
    assert verify(store, PLACE).wrong() == set()


def test_an_outcome_without_an_intent_is_still_damage(store: MemoryStore):
    """An event that is invalid without an archive is also invalid with one."""
    log = opened(store)
    stray = e.Submitted(at=time_text(START), name="orders", token="r1-" + "0" * 48, send=1, run_id="x")
    with pytest.raises(LedgerCorrupt, match="without an intent"):
        log.append([stray], always)

    last = max(store.batches)
    raw = Batch("n", stray.at, checksum(store.batches[last]), (stray,))
    store.batches[last + 1] = encode_batch(raw)
    with pytest.raises(LedgerCorrupt, match="without an intent"):
        opened(store).refresh()


def test_an_archived_slot_is_not_intended_again(store: MemoryStore):
    """The log refuses a second intent with another token for an archived slot, but accepts the next attempt, which
    moves the first attempt back into the state."""
    log = opened(store)
    log.refresh()
    again = log.append([intent("orders", 14, token="r1-other", after=10**7)], always)
    assert isinstance(again, Moved)
    assert "was intended before" in again.why

    assert isinstance(log.append([intent("orders", 14, attempt=2, after=10**7)], always), int)
    attempts = [s.attempt for s in log.recorded.specs["orders"].submissions if s.slot == slot_of(14)]
    assert attempts == [1, 2]


def test_the_history_of_a_spec(store: MemoryStore):
    """The history contains all events of a spec in order, or the newest events, or the events since a time."""
    log = opened(store)
    events = [each for page in spec_history(log, "orders") for each in page.events]
    expected = [
        (position, log.history.whole(event))
        for position, raw in sorted(store.batches.items())
        for event in decode(raw, position, "memory").events
        if getattr(event, "name", None) == "orders"
    ]
    assert events == expected
    assert [each for page in spec_history(log, "orders", limit=40) for each in page.events] == expected[-40:]
    since = START + QUARTER * 200
    assert [each for page in spec_history(log, "orders", since=since) for each in page.events] == [
        (position, event) for position, event in expected if event.at >= time_text(since)
    ]


def test_a_repeated_request_is_stored_once(store: MemoryStore):
    """Intents in a long history are stored as differences, and when read, they are exactly as they were sent. This also
    applies to a changed request, to a later process, and to a copy."""
    log = opened(store)
    stored = [event for position, raw in store.batches.items() for event in decode(raw, position, "memory").events]
    repeated = [event for event in stored if isinstance(event, IntendedAs)]
    assert len(repeated) > SLOTS
    assert max(len(encode_batch(Batch("", "", None, (event,)))) for event in repeated) < 900
    intents = [event for page in spec_history(log, "orders") for event in page.intents.values()]
    assert {intent.key.slot for intent in intents} == {slot_of(number) for number in range(1, SLOTS + 1)}
    for each in intents:
        number = round((parse_time(each.key.slot or "") - START) / QUARTER)
        assert json.dumps(each.request) == json.dumps(request_of("orders", number))
        assert each == intent("orders", number)


def test_pages_of_a_history_know_the_intents(store: MemoryStore):
    """The intent of each submission is available even if it is on an earlier page, because it determines which secrets
    are masked in later events."""
    log = opened(store)
    for page in spec_history(log, "orders", limit=31):
        tokens = {event.token for _, event in page.events if isinstance(event, e.SubmissionEvent)}
        assert page.intents.keys() == tokens
        assert all(intent.request["at"] == intent.key.slot for intent in page.intents.values())


def test_old_runs_and_tokens_are_found(store: MemoryStore):
    """`why` finds an archived submission by its run id or by the start of its token, together with the previously
    accepted submission."""
    log = opened(store)
    _, history = submission_history(log, "orders-14")
    assert ("orders", 3) == (history.name, len(history.events))
    assert history.previous is not None
    assert history.previous.slot == slot_of(13)
    assert [change.path for change in history.changes] == ["at", "tags.token"]

    assert find(log, token_of("views", 20)[:20]).slot == slot_of(20)
    with pytest.raises(ReconcilerError, match="no spec, run or token"):
        find(log, "orders-9999")


def test_the_index_is_appended_once_and_by_writers_only(store: MemoryStore, monkeypatch: pytest.MonkeyPatch):
    """If two writers both have many new entries, they append only one index. A reader appends nothing."""
    monkeypatch.setattr("reconciler.ledger.log.INDEXED", 5)
    first, second = opened(store), opened(store)
    first.refresh()
    second.refresh()
    before = max(store.batches)
    note = e.Notified(at=time_text(START), name="orders", key="k", kinds=())
    first.append([note], always)
    second.append([note], always)

    events = [event for position in range(before + 1, max(store.batches) + 1) for event in first.batch(position)]
    assert Counter(event.type for event in events)["notified"] == 2
    entries = [entry for event in events if isinstance(event, Indexed) for entry in event.entries]
    assert len(entries) == len(set(entries))
    assert first.refresh() == second.refresh() == opened(store).refresh()


def test_the_form_of_an_index():
    """An index in the ledger is a list of strings, so that its batch is small and fast to decode."""
    form = encode(
        Indexed(at=time_text(START), entries=("2026-01-01T00:15:00Z|1|+|aa|bb|3,1|orders",), tool_version="1")
    )
    assert form["type"] == "indexed"
    assert form["entries"] == ("2026-01-01T00:15:00Z|1|+|aa|bb|3,1|orders",)
