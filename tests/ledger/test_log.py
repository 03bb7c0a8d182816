"""Tests the log over a store: reading, appending, lost replies, damage."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count

import pytest

from reconciler.core.events import Conflicted, Event, Observed, Opened
from reconciler.core.identity import Place
from reconciler.core.ports import Moved, Store
from reconciler.core.state import Phase, Recorded
from reconciler.errors import (
    LedgerCorrupt,
    LedgerError,
    LedgerFormatNewer,
    LedgerFull,
    LedgerPinned,
    LedgerReadOnly,
    LedgerUnreachable,
)
from reconciler.ledger.append import WRITE_PAUSES
from reconciler.ledger.chained_batches import Batch, checksum, decode, encode
from reconciler.ledger.log import Log
from tests.campaigns import in_one_test
from tests.ledger.builders import AT, PLACE, LosingStore, MemoryStore, StandingClock, always, intended, submitted


def log_over(store: Store, place: Place = PLACE) -> Log:
    """Returns a log as a pass opens it."""
    return Log(store, place, "0.1.0", StandingClock())


def opened() -> Opened:
    """Returns the first event of a ledger of `PLACE`."""
    return Opened(
        at=AT,
        project=PLACE.project,
        target=PLACE.target,
        account=PLACE.account,
        region=PLACE.region,
        format=1,
        tool_version="0.1.0",
    )


def put(store: MemoryStore, *batches: tuple[Event, ...]) -> None:
    """Writes batches without checking the events in them."""
    for position, events in enumerate(batches, 1):
        before = store.batches.get(position - 1)
        store.batches[position] = encode(
            Batch(f"n{position}", AT, None if before is None else checksum(before), events)
        )


def test_a_missing_ledger_reads_as_empty_and_stays_missing():
    """Reading a missing ledger returns an empty state and creates nothing."""
    store = MemoryStore()
    log = log_over(store)
    assert Recorded() == log.refresh()
    assert not log.exists
    assert store.batches == {}


def test_the_first_append_pins_the_ledger():
    """The first append adds an event that pins the ledger to its project, target, account and region."""
    store = MemoryStore()
    log = log_over(store)
    assert 1 == log.append([intended()], always)
    first = decode(store.batches[1], 1, "memory://").events
    assert replace(opened(), at=first[0].at) == first[0]
    assert (intended(),) == first[1:]
    assert Place("analytics", "prod", "444455556666", "eu-west-1") == log.recorded.place
    assert log.exists


def test_only_the_first_append_pins():
    """Later batches contain only their own events."""
    store = MemoryStore()
    log = log_over(store)
    log.append([intended()], always)
    assert 2 == log.append([submitted()], always)
    assert [submitted()] == list(log.batch(2))
    assert [intended()] == list(log.batch(1))[1:]


def test_what_is_appended_is_in_the_fold():
    """The recorded state contains each append without another read."""
    log = log_over(MemoryStore())
    recorded = log.recorded
    log.append([intended()], always)
    assert Phase.INTENDED is recorded.by_token["r1-aa"].phase
    log.append([submitted()], always)
    assert recorded.by_token["r1-aa"].run_id == "job-1"
    assert recorded is log.recorded


def test_another_log_reads_the_same():
    """The state depends only on the ledger."""
    store = MemoryStore()
    writer = log_over(store)
    writer.append([intended()], always)
    writer.append([submitted()], always)
    assert writer.recorded == log_over(store).refresh()


def test_a_position_that_is_not_there_is_an_error():
    """Reading the events at a position past the end is an error."""
    log = log_over(MemoryStore())
    log.append([intended()], always)
    with pytest.raises(LedgerError, match="no batch at position 2"):
        log.batch(2)


@pytest.mark.parametrize("positions", [[], [1], [2, 3], [1, 30], [1, 2, 3, 4, 29, 30], list(range(1, 31))])
def test_some_positions_are_read(positions: list[int]):
    """The events at these positions are returned in order, whether the positions are close together or far apart."""
    log = log_over(MemoryStore())
    for number in range(1, 31):
        log.append([intended(f"job-{number}", f"r1-{number}")], always)
    assert [(number, intended(f"job-{number}", f"r1-{number}")) for number in positions] == [
        (position, events[-1]) for position, events in log.history.batches(positions)
    ]


@pytest.mark.parametrize("positions", [[1, 2], [1, 20]])
def test_some_positions_that_are_not_there(positions: list[int]):
    """A position past the end is an error, however it is read."""
    log = log_over(MemoryStore())
    log.append([intended()], always)
    with pytest.raises(LedgerError, match=f"no batch at position {positions[-1]}"):
        list(log.history.batches(positions))


def test_the_loser_reads_what_is_new_and_tries_again():
    """The second writer reads the first writer's events, checks its precondition again, and uses the next position."""
    store = MemoryStore()
    ours, theirs = log_over(store), log_over(store)
    ours.refresh()
    theirs.append([intended("orders", "r1-aa")], always)
    seen: list[int] = []

    def valid(recorded: Recorded) -> None:
        seen.append(len(recorded.by_token))

    assert 2 == ours.append([intended("clicks", "r1-bb")], valid)
    assert seen == [1]  # the ledger was read before the first attempt
    theirs.append([submitted()], always)
    assert 4 == ours.append([submitted("r1-bb", "job-2", "clicks")], valid)
    assert seen == [1, 2, 2]


def test_the_loser_gives_up_where_its_events_make_no_sense_any_more():
    """The objection of `valid` is returned, and nothing is written."""
    store = MemoryStore()
    ours, theirs = log_over(store), log_over(store)
    ours.append([intended("first", "r1-00")], always)
    theirs.append([intended("orders", "r1-aa")], always)

    def valid(recorded: Recorded) -> str | None:
        return "somebody intends it" if "r1-aa" in recorded.by_token else None

    assert Moved("somebody intends it") == ours.append([intended("orders", "r1-aa")], valid)
    assert len(store.batches) == 2


def test_a_second_intent_under_another_token_is_refused():
    """A submission has only one token, even if the caller uses another."""
    store = MemoryStore()
    log = log_over(store)
    log.append([intended("orders", "r1-aa", generation=1)], always)
    assert isinstance(log.append([intended("orders", "r1-bb", generation=1)], always), Moved)
    assert 2 == log.append([intended("orders", "r1-aa", generation=1, send=2)], always)
    assert 3 == log.append([intended("orders", "r1-cc", generation=1, attempt=2)], always)


@in_one_test(("before", "after"), [(1, 0), (0, 1), (3, 0), (0, 3), (2, 2)])
def test_a_lost_reply_is_asked_for_at_the_same_position(before: int, after: int):
    """Whether the request or the reply was lost, the batch is stored once, and the writer recognizes it."""
    store = LosingStore(MemoryStore(), before, after)
    log = log_over(store)
    assert 1 == log.append([intended()], always)
    assert [1] * (before + after + 1) == store.asked
    assert 2 == log.append([submitted()], always)
    assert [position for position, _ in store.read(0)] == [1, 2]


def test_a_lost_reply_at_a_position_that_others_took_is_a_loss():
    """The batch of the other writer is read, and this writer's batch is written at the next position."""
    memory = MemoryStore()
    log_over(memory).append([intended("theirs", "r1-bb")], always)
    ours = log_over(LosingStore(memory, before=1))
    ours._store, hidden = MemoryStore(), ours._store  # this log reads before the other writer's batch is written
    ours.refresh()
    ours._store = hidden
    assert 2 == ours.append([intended("ours", "r1-aa")], always)
    assert {"r1-aa", "r1-bb"} == set(ours.recorded.by_token)


def test_a_ledger_that_never_answers_is_given_up_in_bounded_time():
    """After a few attempts, the outcome is unknown; a later read determines it."""
    clock = StandingClock()
    memory = MemoryStore()
    log = Log(LosingStore(memory, before=0, after=99), PLACE, "0.1.0", clock)
    with pytest.raises(LedgerUnreachable, match="position 1 in 6 tries"):
        log.append([intended()], always)
    assert list(WRITE_PAUSES) == clock.slept
    assert "r1-aa" not in log.recorded.by_token
    assert "r1-aa" in log.refresh().by_token


def test_after_an_unclear_write_the_next_append_sees_it():
    """The writer finds its own unconfirmed batch before it writes anything else."""
    store = LosingStore(MemoryStore(), after=6)
    log = log_over(store)
    with pytest.raises(LedgerUnreachable):
        log.append([intended()], always)

    def valid(recorded: Recorded) -> str | None:
        return "it is there" if recorded.by_token else None

    assert Moved("it is there") == log.append([intended()], valid)


class _Failing(MemoryStore):
    """A store that raises one of the given errors at each append."""

    def __init__(self, *errors: LedgerError) -> None:
        super().__init__()
        self.errors = iter(errors)

    def append(self, position: int, batch: bytes) -> bytes:
        for error in self.errors:
            raise error
        return super().append(position, batch)


@pytest.mark.parametrize("error", [LedgerFull("no room"), LedgerReadOnly("read-only"), LedgerCorrupt("damaged")])
def test_what_was_certainly_not_written_is_told_at_once(error: LedgerError):
    """An error that proves that nothing was written is raised without a retry, and the state does not change."""
    log = log_over(_Failing(error))
    with pytest.raises(type(error)):
        log.append([intended()], always)
    assert Recorded() == log.recorded
    assert 1 == log.append([intended()], always)


def test_a_full_disk_after_a_lost_reply_is_not_certain():
    """The first attempt may have written the batch, so `LedgerUnreachable` is raised."""
    log = log_over(_Failing(LedgerUnreachable("lost."), LedgerFull("no room")))
    with pytest.raises(LedgerUnreachable, match=r"lost\. Then: no room"):
        log.append([intended()], always)


def test_events_that_could_not_be_read_again_are_never_written():
    """An outcome without an intent is refused before it is sent to the store."""
    store = MemoryStore()
    log = log_over(store)
    with pytest.raises(LedgerCorrupt):
        log.append([submitted()], always)
    assert store.batches == {}
    assert Recorded() == log.recorded


def test_values_that_no_reader_accepts_are_never_written():
    """An intent with a number or a text that cannot be read again is refused before it is sent to the store."""
    store, event = MemoryStore(), intended()
    for bad in (
        replace(event, content=replace(event.content, revision=2**53 + 1)),
        replace(event, backoff_limit=1_000_001),
        replace(event, reason="\ud800"),
    ):
        with pytest.raises(LedgerError, match="nothing was written or sent"):
            log_over(store).append([bad], always)
    assert store.batches == {}


def test_events_of_one_batch_may_build_on_each_other():
    """An intent and its outcome can be in the same batch."""
    log = log_over(MemoryStore())
    assert 1 == log.append([intended(), submitted()], always)
    assert log.recorded.by_token["r1-aa"].run_id == "job-1"


@pytest.mark.parametrize(
    "other",
    [
        Place("billing", "prod", "444455556666", "eu-west-1"),
        Place("analytics", "staging", "444455556666", "eu-west-1"),
        Place("analytics", "prod", "111122223333", "eu-west-1"),
        Place("analytics", "prod", "444455556666", "us-east-1"),
    ],
)
def test_the_ledger_of_another_place_is_refused(other: Place):
    """The error contains both places. Nothing is read into memory, and nothing is written."""
    store = MemoryStore()
    log_over(store).append([intended()], always)
    log = log_over(store, other)
    for use in (log.refresh, lambda: log.append([intended("x", "r1-x")], always)):
        with pytest.raises(LedgerPinned) as caught:
            use()
        for part in ("analytics", "prod", "444455556666", "eu-west-1", other.project, other.target, other.account):
            assert part in str(caught.value)
    assert Recorded() == log.recorded
    assert len(store.batches) == 1


@pytest.mark.parametrize("first", [(intended(),), ()])
def test_a_ledger_that_does_not_say_whose_it_is_is_damaged(first: tuple[Event, ...]):
    """The first event must be the pin."""
    store = MemoryStore()
    put(store, first)
    with pytest.raises(LedgerCorrupt, match="position 1"):
        log_over(store).refresh()


def test_a_newer_event_format_is_refused():
    """The pin contains the format of the events."""
    store = MemoryStore()
    put(store, (replace(opened(), format=2),))
    with pytest.raises(LedgerFormatNewer):
        log_over(store).refresh()


def test_a_gap_is_named():
    """A missing position in the middle is damage."""
    store = MemoryStore()
    put(store, (opened(), intended()), (), ())
    del store.batches[2]
    log = log_over(store)
    with pytest.raises(LedgerCorrupt, match="damaged at position 2: it is missing, but position 3 exists"):
        log.refresh()


def test_a_changed_batch_breaks_the_chain_at_the_next():
    """A single changed byte in an old batch is detected."""
    store = MemoryStore()
    put(store, (opened(), intended()), (submitted(),))
    store.batches[1] = store.batches[1].replace(b"orders.yaml", b"errors.yaml")
    with pytest.raises(LedgerCorrupt, match="damaged at position 2: it does not follow"):
        log_over(store).refresh()


def test_a_first_batch_that_follows_another_is_damage():
    """A log whose start was cut off is damaged."""
    store = MemoryStore()
    store.batches[1] = encode(Batch("n", AT, checksum(b"before"), (opened(),)))
    with pytest.raises(LedgerCorrupt, match="position 1"):
        log_over(store).refresh()


@pytest.mark.parametrize("event", [submitted("r1-zz"), replace(intended(), owner="other")])
def test_a_damaged_batch_leaves_the_state_before_it(event: Event):
    """The state up to the damage remains consistent, and reading again raises the same error."""
    store = MemoryStore()
    log = log_over(store)
    log.append([intended()], always)
    before = log_over(store).refresh()
    head = store.batches[1]
    good = replace(submitted(), run_id="job-9")
    store.batches[2] = encode(Batch("n", AT, checksum(head), (good, event, submitted("r1-zz"))))
    for _ in range(2):
        with pytest.raises(LedgerCorrupt, match="damaged at position 2"):
            log.refresh()
        assert before == log.recorded
    del store.batches[2]
    assert 2 == log.append([submitted()], always)


def test_an_unknown_state_word_is_a_newer_format():
    """A value that this version does not support was written by a newer version. The log does not change."""
    store = MemoryStore()
    put(store, (opened(), intended(), submitted()))
    observed = Observed(at=AT, name="orders", token="r1-aa", run_id="job-1", state="melted", aws_state="X")
    store.batches[2] = encode(Batch("n", AT, checksum(store.batches[1]), (observed,)))
    log = log_over(store)
    with pytest.raises(LedgerFormatNewer, match="'melted'"):
        log.refresh()
    assert log.recorded.position == 1


def test_a_value_of_another_type_is_damage():
    """If a value has the wrong type, the error from the fold contains the position."""
    store = MemoryStore()
    put(store, (opened(), intended(), submitted()))
    cancel = Conflicted(at=AT, name="orders", token="r1-aa", run_ids=7)  # type: ignore[arg-type]
    intent = intended(token="r1-bb", generation=2)
    broken = replace(cancel, token="r1-bb")
    store.batches[2] = encode(Batch("n", AT, checksum(store.batches[1]), (intent, broken)))
    with pytest.raises(LedgerCorrupt, match="position 2"):
        log_over(store).refresh()


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_ledger_that_was_rolled_back_is_noticed(kept: int):
    """A log that is shorter than before is damaged, because otherwise submissions would be repeated."""
    store = MemoryStore()
    log = log_over(store)
    for number in range(3):
        log.append([intended(f"job-{number}", f"r1-{number}")], always)
    store.batches = {position: raw for position, raw in store.batches.items() if position <= kept}
    with pytest.raises(LedgerCorrupt):
        log.refresh()


def test_a_ledger_that_was_exchanged_is_noticed():
    """The last batch that was read must be unchanged."""
    store, other = MemoryStore(), MemoryStore()
    log = log_over(store)
    log.append([intended()], always)
    log_over(other).append([intended()], always)
    store.batches = other.batches
    with pytest.raises(LedgerCorrupt, match="differs from what was read before"):
        log.refresh()


def test_when_even_the_start_cannot_be_read_again_nothing_is_known():
    """If the undamaged part cannot be read again, the state is empty, and the next refresh starts from the
    beginning."""

    class Fading(MemoryStore):
        reads = 0

        def read(self, after: int) -> Iterator[tuple[int, bytes]]:
            self.reads += 1
            if self.reads == 3:
                raise LedgerUnreachable("gone for a moment")
            return super().read(after)

    store = Fading()
    log = log_over(store)
    put(store, (opened(), intended()))
    log.refresh()
    put(store, (opened(), intended()), (submitted("r1-zz"),))
    with pytest.raises(LedgerCorrupt):
        log.refresh()
    assert (log.recorded.position, log.recorded.by_token) == (0, {})
    del store.batches[2]
    assert list(log.refresh().by_token) == ["r1-aa"]


def test_threads_share_a_log():
    """The events from every thread are stored once, in one chain."""
    store = MemoryStore()
    log = log_over(store)
    numbers = count()

    def work(_: int) -> int:
        number = next(numbers)
        done = log.append([intended(f"job-{number}", f"r1-{number}")], always)
        assert isinstance(done, int)
        return done

    with ThreadPoolExecutor(8) as pool:
        positions = list(pool.map(work, range(200)))
    assert list(range(1, 201)) == sorted(positions)
    assert log.recorded == log_over(store).refresh()
    assert len(log.recorded.by_token) == 200


def test_several_logs_share_a_store():
    """Independent writers create one chain that contains each event once."""
    store = MemoryStore()

    def work(writer: int) -> None:
        log = log_over(store)
        for number in range(25):
            name = f"job-{writer}-{number}"
            assert isinstance(log.append([intended(name, f"r1-{name}")], always), int)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(log_over(store).refresh().by_token) == 100


def test_closing_a_log_over_a_store_that_holds_nothing_open():
    """A log can be closed in any state."""
    log = log_over(MemoryStore())
    log.close()
    assert 1 == log.append([intended()], always)
