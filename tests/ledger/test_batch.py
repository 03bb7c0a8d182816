"""Tests how batches are encoded as bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import LedgerCorrupt, LedgerFormatNewer
from reconciler.ledger.chained_batches import Batch, checksum, decode, encode
from tests.campaigns import in_one_test
from tests.ledger.builders import AT, intended, submitted


def test_a_batch_comes_back_as_it_was():
    """Events, nonce, time and chain are unchanged after encoding and decoding."""
    batch = Batch("n-1", AT, checksum(b"before"), (intended(), submitted()))
    assert batch == decode(encode(batch), 2, "memory://")


def test_the_form_is_pinned():
    """The bytes of a batch never change, because the chains of old ledgers depend on them."""
    expected = (
        b'{"format":1,"nonce":"n-1","at":"2026-11-22T02:00:00.000Z","prev":null,"events":[{"type":"submitted",'
        b'"at":"2026-11-22T02:00:00.000Z","name":"caf\\u00e9","token":"r1-aa","send":1,"run_id":"job-1"}]}'
    )
    assert expected == encode(Batch("n-1", AT, None, (submitted(name="café"),)))


def test_only_events_of_the_named_specs_are_decoded():
    """Other events are left out without an error, even if their name is not a text."""
    form = json.loads(encode(Batch("n", AT, None, (submitted(name="a"), submitted(name="b"), submitted(name="c")))))
    form["events"][1]["name"] = []
    batch = decode(json.dumps(form).encode(), 1, "memory://", frozenset({"c"}))
    assert batch.events == (submitted(name="c"),)


@given(st.text(), st.text())
def test_any_text_survives(run_id: str, name: str):
    """All text that AWS or a user can supply is unchanged after decoding, including lone surrogates."""
    batch = Batch("n", AT, None, (submitted(run_id=run_id, name=name),))
    assert batch == decode(encode(batch), 1, "memory://")


@in_one_test(
    "raw",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"format":"1"}',
        b'{"format":true,"nonce":"n","at":"t","prev":null,"events":[]}',
        b'{"format":0,"nonce":"n","at":"t","prev":null,"events":[]}',
        b'{"format":1,"nonce":1,"at":"t","prev":null,"events":[]}',
        b'{"format":1,"nonce":"n","prev":null,"events":[]}',
        b'{"format":1,"nonce":"n","at":"t","events":[]}',
        b'{"format":1,"nonce":"n","at":"t","prev":7,"events":[]}',
        b'{"format":1,"nonce":"n","at":"t","prev":null}',
        b'{"format":1,"nonce":"n","at":"t","prev":null,"events":{}}',
        b'{"format":1,"nonce":"n","at":"t","prev":null,"events":[[]]}',
        b'{"format":1,"nonce":"n","at":"t","prev":null,"events":[{"type":1}]}',
        b'{"format":1,"nonce":"n","at":"t","prev":null,"events":[{"type":"submitted"}]}',
    ],
)
def test_what_is_not_a_batch_is_damage(raw: bytes):
    """The error contains the position and the ledger's address."""
    with pytest.raises(LedgerCorrupt, match=r"position 7 of .*memory://|memory:// is damaged at position 7"):
        decode(raw, 7, "memory://")


def test_a_newer_batch_is_refused():
    """The error for a newer format tells the user to upgrade, whatever the batch contains otherwise."""
    with pytest.raises(LedgerFormatNewer, match="position 3 of the ledger memory:// has format 2"):
        decode(b'{"format":2,"surprise":true}', 3, "memory://")


def test_an_event_of_a_newer_version_is_refused():
    """The error for an unknown event type tells the user to upgrade, and contains the position."""
    form = json.loads(encode(Batch("n", AT, None, ())))
    form["events"] = [{"type": "teleported", "at": AT}]
    with pytest.raises(LedgerFormatNewer, match=r"position 3 of memory://.*teleported"):
        decode(json.dumps(form).encode(), 3, "memory://")


def test_an_optional_field_of_a_newer_version_is_passed_over():
    """Later versions may add fields to the events of this version."""
    form = json.loads(encode(Batch("n", AT, None, (submitted(),))))
    form["events"][0]["mood"] = "good"
    form["extra"] = 1
    assert (submitted(),) == decode(json.dumps(form).encode(), 1, "memory://").events
