"""One batch of events as bytes, and the chain that ties each batch to the one before it.

The form is a JSON object ``{"format": 1, "nonce": …, "at": …, "prev": …, "events": […]}``. `prev` is the sha256 of the
bytes of the batch before, in hex, and null for the first: a batch that is taken out, changed or put elsewhere breaks
the chain. `nonce` is how a writer whose reply was lost knows its own batch again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from reconciler.errors import LedgerCorrupt, LedgerError, LedgerFormatNewer
from reconciler.recorded import events
from reconciler.recorded.events import Event

FORMAT = 1
"""Version of the batch form; a higher one is refused."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one writer put at one position. `at` is its clock's time, ISO 8601; `prev` is `None` for position 1."""

    nonce: str
    at: str
    prev: str | None
    events: tuple[Event, ...]


def checksum(raw: bytes) -> str:
    """What the next batch carries as `prev`: sha256 of a batch's bytes, in hex."""
    return sha256(raw).hexdigest()


def encode(batch: Batch) -> bytes:
    """The bytes of a batch: ASCII JSON without white space. Raises `ValueError` for what JSON cannot say."""
    form = {
        "format": FORMAT,
        "nonce": batch.nonce,
        "at": batch.at,
        "prev": batch.prev,
        "events": [events.encode(event) for event in batch.events],
    }
    return json.dumps(form, separators=(",", ":"), allow_nan=False).encode("ascii")


def decode(raw: bytes, position: int, address: str) -> Batch:
    """The batch that `raw` holds; `position` and `address` are for the messages.

    Raises `LedgerFormatNewer` for a batch or an event that a newer reconciler wrote, `LedgerCorrupt` for what no
    reconciler wrote.
    """
    form = _object(raw, position, address)
    if form["format"] > FORMAT:
        raise LedgerFormatNewer(
            f"position {position} of the ledger {address} has format {form['format']}, this version reads {FORMAT}: "
            "it was written by a newer reconciler. Upgrade to that version."
        )
    if not _well_formed(form):
        raise corrupt(position, address, "its fields are not those of a batch")
    try:
        decoded = tuple(events.decode(event) for event in form["events"])
    except LedgerError as error:
        raise type(error)(f"position {position} of {address}: {error}") from error
    return Batch(form["nonce"], form["at"], form["prev"], decoded)


def corrupt(position: int, address: str, why: str) -> LedgerCorrupt:
    """The error for a position that cannot be what a reconciler wrote there."""
    return LedgerCorrupt(
        f"the ledger {address} is damaged at position {position}: {why}. Nothing was changed. "
        "Restore it from a copy; never go on with a new, empty one: everything would run again."
    )


def _object(raw: bytes, position: int, address: str) -> dict[str, Any]:
    try:
        form = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise corrupt(position, address, "it is not JSON") from error
    if not isinstance(form, dict) or type(form.get("format")) is not int or form["format"] < 1:
        raise corrupt(position, address, "it is not a batch")
    return form


def _well_formed(form: dict[str, Any]) -> bool:
    listed: Sequence[object] | None = form.get("events") if isinstance(form.get("events"), list) else None
    return (
        isinstance(form.get("nonce"), str)
        and isinstance(form.get("at"), str)
        and "prev" in form
        and isinstance(form["prev"], str | None)
        and listed is not None
        and all(isinstance(event, dict) and isinstance(event.get("type"), str) for event in listed)
    )
