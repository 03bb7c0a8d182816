"""Tests intents that are stored as differences from earlier intents: nothing is lost, and a wrong base is detected."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.event_codec import IntendedAs, as_difference, decode, encode, restored
from reconciler.core.events import Intended
from reconciler.core.fold import fold
from reconciler.core.state import Recorded
from reconciler.errors import LedgerCorrupt, LedgerFormatNewer
from tests.builders import intended

KEYS = st.sampled_from(["a", "b", "a/b", "~", "~1", "tags"])
VALUES = st.recursive(
    st.one_of(st.text("xyz\u0000é", max_size=3), st.integers(-2, 2), st.booleans(), st.none(), st.just(1.0)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
REQUESTS = st.dictionaries(KEYS, VALUES, max_size=4)


def sent(request: dict[str, Any], token: str, generation: int = 1, **more: Any) -> Intended:
    """Returns an intent whose request contains its token, as sent."""
    event = intended("A", generation, token=token, **more)
    return replace(
        event, content=replace(event.content, request={"job": request, "clientToken": token, "pad": "x" * 3000})
    )


@given(before=REQUESTS, after=REQUESTS, more=st.sampled_from([{}, {"reason": "retry"}, {"commit": "c", "send": 2}]))
def test_a_difference_is_restored_exactly(before: dict[str, Any], after: dict[str, Any], more: dict[str, Any]):
    """The base and the difference restore the whole intent, with the same bytes in its request."""
    base, event = sent(before, "r1-aaaa", commit="b"), sent(after, "r1-bbbb", 2, **more)
    stored = as_difference(event, base, 7)
    assert stored is not None
    read = decode(json.loads(json.dumps(encode(stored))))
    assert isinstance(read, IntendedAs)

    whole = restored(read, base)
    assert whole is not None
    assert json.dumps(encode(whole)) == json.dumps(encode(event) | {"type": "intended"}) or encode(whole) == encode(
        event
    )
    assert json.dumps(whole.request) == json.dumps(event.request)


def test_the_same_request_needs_no_other():
    """If only the token differs, the difference is empty and short."""
    stored = as_difference(sent({"a": 1}, "r1-bbbb"), sent({"a": 1}, "r1-aaaa"), 7)
    assert stored is not None
    assert stored.changes is None
    assert len(json.dumps(encode(stored))) < 300


def test_requests_that_differ_much_are_stored_whole():
    """An intent is stored in full if its request has too little in common with the request of the base."""
    base, event = sent({"a": 1}, "r1-aaaa"), sent({"a": ["y" * 7000]}, "r1-bbbb")
    assert as_difference(event, base, 7) is None


def test_another_base_is_noticed():
    """A difference is never applied to another base. If the base is missing, the ledger is corrupt."""
    base, event = sent({"a": 1}, "r1-aaaa"), sent({"a": 2}, "r1-bbbb")
    stored = as_difference(event, base, 7)
    assert stored is not None
    assert restored(stored, sent({"a": 1, "b": 2}, "r1-aaaa")) is None
    assert restored(replace(stored, changes={"/z/0": 1}), base) is None
    with pytest.raises(LedgerCorrupt, match="needs an earlier one"):
        fold(Recorded(), 9, [stored])


def test_an_older_version_asks_for_an_upgrade():
    """A difference has its own event type, so that an older version does not report the ledger as corrupt."""
    with pytest.raises(LedgerFormatNewer, match="Upgrade"):
        decode({"type": "intended-as-2", "at": "2026-01-01T00:00:00Z"})
