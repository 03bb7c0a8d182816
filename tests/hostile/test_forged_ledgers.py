"""Tests that reading, planning from and showing a forged ledger leads either to output or to an error message of one
sentence."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.app.history import spec_history, submission_history
from reconciler.core import events as e
from reconciler.core.decide import plan
from reconciler.core.event_codec import encode
from reconciler.errors import LedgerError, ReconcilerError
from reconciler.ledger.chained_batches import checksum
from reconciler.ledger.log import Log
from reconciler.render.history import history_text, why_text
from reconciler.render.plan_text import plan_text
from reconciler.render.status import rows, status_text
from tests.builders import NOW, PLACE, at, desired, spec
from tests.campaigns import examples
from tests.core.histories import possible, stories
from tests.hostile.values import ANYTHING
from tests.ledger.builders import MemoryStore, StandingClock

OPENED = e.Opened(
    at=at(-9999),
    project=PLACE.project,
    target=PLACE.target,
    account=PLACE.account,
    region=PLACE.region,
    format=e.FORMAT,
    tool_version="0.1.0",
)


def chained(batches: list[Any]) -> MemoryStore:
    """Returns a store with these batches and a valid hash chain."""
    store = MemoryStore()
    before: str | None = None
    for position, form in enumerate(batches, 1):
        linked = {**form, "prev": before} if isinstance(form, dict) and "prev" in form else form
        raw = json.dumps(linked).encode()
        store.batches[position] = raw
        before = checksum(raw)
    return store


def batch(*forms: Any) -> dict[str, Any]:
    """Returns one batch."""
    return {"format": 1, "nonce": "n", "at": at(), "prev": None, "events": list(forms)}


def printed(store: MemoryStore) -> str:
    """Returns what commands print about a ledger, or the error that they end with."""
    log = Log(store, PLACE, "0.1.0", StandingClock())
    try:
        recorded = log.refresh()
        made = plan(desired(spec("B", "orders"), spec("A", "views")), recorded, NOW)
        text = [plan_text(made), status_text(rows(made, recorded), NOW)]
        pages = [page for name in sorted(recorded.specs) for page in spec_history(log, name)]
        text += [history_text(page.events, intents=page.intents) for page in pages]
        for token in sorted(recorded.by_token):
            _, history = submission_history(log, token)
            text.append(why_text(history))
    except ReconcilerError as error:
        return str(error)
    return "\n".join(text)


SLOT = "2026-11-22T01:00:00Z"
LIKELY = {
    "schedule": "0 * * * *",
    "time_zone": "UTC",
    "reason": "new",
    "kind": "BatchJob",
    **dict.fromkeys(("first", "last", "settled", "settled_slots"), SLOT),
    "slots": [SLOT],
    "source": {"path": "a.yaml", "line": 1},
}


def likely(form: dict[str, Any]) -> dict[str, Any]:
    """Generates an event with plausible values instead of random words."""
    return {key: LIKELY.get(key, value) if value is not None else None for key, value in form.items()}


def mutated(draw: st.DrawFn, form: dict[str, Any]) -> dict[str, Any]:
    """Generates an event with one of its fields, or a nested field, replaced with any value."""
    key = draw(st.sampled_from(sorted(form)))
    if isinstance(form[key], dict) and form[key] and draw(st.booleans()):
        inner = draw(st.sampled_from(sorted(form[key])))
        return {**form, key: {**form[key], inner: draw(ANYTHING)}}
    if draw(st.integers(0, 9)) == 0:
        return {name: value for name, value in form.items() if name != key}
    return {**form, key: draw(ANYTHING)}


@st.composite
def forgeries(draw: st.DrawFn) -> list[Any]:
    """Generates a history with one event per batch, in which a few events were changed, repeated, removed or moved."""
    forms = [likely(encode(event)) for event in possible(draw(stories(8)))]
    for _ in range(draw(st.integers(1, 3))):
        if not forms:
            break
        index = draw(st.integers(0, len(forms) - 1))
        match draw(st.integers(0, 5)):
            case 0:
                forms.insert(draw(st.integers(0, len(forms))), forms[index])
            case 1:
                del forms[index]
            case _:
                forms[index] = mutated(draw, forms[index])
    return [batch(encode(OPENED)), *map(batch, forms)]


@settings(max_examples=examples(12, soak=625), derandomize=True)
@given(forgeries())
def test_a_forged_event_gives_output_or_an_error(batches):
    """Any event leads to output, or to an error that is raised on purpose."""
    assert printed(chained(batches))


@settings(max_examples=examples(12, soak=625), derandomize=True)
@given(st.lists(st.one_of(ANYTHING, st.dictionaries(st.sampled_from(list(batch())), ANYTHING)), max_size=3))
def test_any_json_as_a_batch_gives_output_or_an_error(batches):
    """The same applies to JSON that is not a batch, with a valid or a broken hash chain."""
    assert printed(chained([batch(encode(OPENED)), *batches]))
    assert printed(chained(batches))


@settings(max_examples=examples(12, soak=625), derandomize=True)
@given(st.binary(max_size=60), st.data())
def test_damaged_bytes_give_output_or_an_error(noise, data):
    """The same applies to a valid ledger in which some bytes of a batch were changed."""
    intent = encode(desired_intent())
    store = chained([batch(encode(OPENED)), batch(intent)])
    position = data.draw(st.integers(1, 2))
    whole = store.batches[position]
    cut = data.draw(st.integers(0, len(whole)))
    store.batches[position] = whole[:cut] + noise + whole[cut + len(noise) :]
    assert printed(store)


def desired_intent() -> e.Intended:
    """Returns a valid intent."""
    from tests.builders import intended

    return intended()


def test_a_deep_request_is_damage():
    """JSON that is nested too deeply for the code is reported with its position."""
    deep: Any = "x"
    for _ in range(400):
        deep = [deep]
    form = {**encode(desired_intent()), "request": {"parameters": deep}}
    message = printed(chained([batch(encode(OPENED)), batch(form)]))
    assert "position 2" in message
    assert "invalid request" in message


def test_a_forged_ledger_is_a_ledger_error():
    """A value of the wrong type is reported as damage, with the position, event and field."""
    form = {**encode(desired_intent()), "attempt": "1"}
    log = Log(chained([batch(encode(OPENED)), batch(form)]), PLACE, "0.1.0", StandingClock())
    try:
        log.refresh()
    except LedgerError as error:
        message = str(error)
    assert message == (
        "position 2 of memory://: a 'intended' event of the ledger has an invalid attempt: "
        "input should be a valid integer"
    )
