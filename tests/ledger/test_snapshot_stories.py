"""Tests several logs over one store whose snapshots are lost, restored or damaged: every read gives the same state."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.events import Event, Intended
from reconciler.core.ledger_changes import MovedAway
from reconciler.ledger import snapshot as cache
from reconciler.ledger.log import Log
from reconciler.ledger.verify import verify
from tests.campaigns import examples
from tests.core.histories import INTENTS, possible, stories
from tests.ledger.builders import PLACE, MemoryStore, StandingClock, always, intended, submitted

LOGS = 3
STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(0, LOGS - 1)),
    st.tuples(st.just("close"), st.integers(0, LOGS - 1)),
    st.tuples(st.just("open"), st.integers(0, LOGS - 1)),
    st.tuples(st.sampled_from(["lose", "bring back", "damage", "cut"]), st.integers(0, 20)),
)


def fresh(store: MemoryStore) -> Log:
    """Returns a log of the default place."""
    return Log(store, PLACE, "0.1.0", StandingClock())


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores a snapshot every few positions."""
    monkeypatch.setattr(cache, "EVERY", 2)
    monkeypatch.setattr(cache, "AT_THE_END", 1)


@pytest.mark.usefixtures("_often")
def test_a_read_is_what_the_batches_add_up_to():
    """Whatever happened to the snapshots, the state of every log equals the state without them."""

    @settings(max_examples=examples(8, soak=375))
    @given(stories(10), st.lists(STEPS, max_size=25))
    def check(story: list[Event], steps: list[tuple[str, int]]) -> None:
        store = MemoryStore()
        logs = [fresh(store) for _ in range(LOGS)]
        # After the ledger moved away, its logs refuse every append.
        events = (event for event in possible(story)[len(INTENTS) :] if not isinstance(event, MovedAway))
        logs[0].append(INTENTS, always)
        kept: list[tuple[int, bytes]] = []
        for what, number in steps:
            _step(store, logs, kept, what, number, next(events, None) if what == "append" else None)
            bare = MemoryStore()
            bare.batches = dict(store.batches)
            whole = fresh(bare).refresh()
            assert whole == fresh(store).refresh()
            assert all(whole == log.refresh() for log in logs)

    check()


def _step(
    store: MemoryStore, logs: list[Log], kept: list[tuple[int, bytes]], what: str, number: int, event: Event | None
) -> None:
    if store.snapshot is not None and store.snapshot not in kept:
        kept.append(store.snapshot)
    position, content = store.snapshot or (1, b"")
    match what:
        case "append" if event is not None:
            outcome = logs[number].append([event], always)
            # The log refuses a second token for a submission, although the event could be folded.
            assert isinstance(outcome, int) or (isinstance(event, Intended) and "intended before" in outcome.why)
        case "close":
            logs[number].close()
        case "open":
            logs[number] = fresh(store)
        case "lose":
            store.snapshot = None
        case "bring back" if kept:
            store.snapshot = kept[number % len(kept)]
        case "damage" if content:
            at = number * 37 % len(content)
            store.snapshot = (position, content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        case "cut":
            store.snapshot = (position, content[: -number - 1])
        case _:
            pass


@pytest.mark.usefixtures("_often")
def test_threads_that_keep_snapshots_all_the_time():
    """Snapshots are created while other threads append. Each snapshot is the state at one position."""
    store, numbers = MemoryStore(), count()
    log = fresh(store)
    log.append([intended("first", "r1-f")], always)

    def work(_: int) -> None:
        number = next(numbers)
        log.append([intended(f"job-{number}", f"r1-{number}")], always)
        log.append([submitted(f"r1-{number}", f"run-{number}", f"job-{number}")], always)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(60)))
    assert store.snapshot is not None
    assert log.recorded == fresh(store).refresh()
    assert verify(store, PLACE).wrong() == set()
