"""What an event is, its JSON form, and those that are about the whole ledger.

Each event is a frozen dataclass; its JSON form is ``{"type": …}`` and the fields that are not `None`. A type that is
not known here means that a newer reconciler wrote the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, ClassVar

from reconciler.errors import LedgerCorrupt, LedgerFormatNewer
from reconciler.model.kinds import MODULES
from reconciler.model.strict import JSON
from reconciler.recorded.typed import misfit

NO_KIND = ""  # of events that have none
_KINDS = frozenset({*MODULES, NO_KIND})

FORMAT = 1
"""Version of the event format, pinned by the first event; a higher one is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The base of all events. `at` is when it was written down, by the clock of the machine that wrote it."""

    type: ClassVar[str]
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Event):
    """The first event of every ledger: what it belongs to."""

    type: ClassVar[str] = "opened"
    project: str
    target: str
    account: str
    region: str
    format: int
    tool_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed(Event):
    """Everything before was moved here from the ledger `ledger` of another place, which the fields name.

    That ledger had `positions` batches, the last with the checksum `head`. The first event here says the new place,
    so that all the batches have other checksums than there.
    """

    type: ClassVar[str] = "renamed"
    project: str
    target: str
    account: str
    region: str
    ledger: str
    positions: int
    head: str
    actor: str
    tool_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecEvent(Event):
    """An event of one spec."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionEvent(SpecEvent):
    """An event of one submission, known by its token."""

    token: str


@cache
def event_types() -> dict[str, type[Event]]:
    """Every type that the ledger can hold, by its name there; `events` has them."""
    found: dict[str, type[Event]] = {}
    pending = [Event]
    while pending:
        for child in pending.pop().__subclasses__():
            pending.append(child)
            if "type" in child.__dict__:
                found[child.type] = child
    return found


@cache
def _fields(type_name: str) -> tuple[tuple[str, bool], ...]:
    """Field names of an event type, and whether each must be there."""
    return tuple((field.name, field.default is MISSING) for field in fields(event_types()[type_name]))


def encode(event: Event) -> JSON:
    """The JSON form of an event."""
    form: JSON = {"type": event.type}
    for name, _ in _fields(event.type):
        value = getattr(event, name)
        if value is not None:
            form[name] = value
    return form


def decode(form: Mapping[str, Any]) -> Event:
    """The event that a JSON form stands for.

    Unknown optional fields of a known type are passed over. Raises `LedgerFormatNewer` for a type that is not known,
    `LedgerCorrupt` for a missing field, and for a value that its field cannot hold.
    """
    event_type = event_types().get(form.get("type", ""))
    if event_type is None:
        raise LedgerFormatNewer(
            f"the ledger holds an event of type {form.get('type')!r}, which this version does not know: "
            "it was written by a newer reconciler. Upgrade to that version."
        )
    known = _fields(event_type.type)
    missing = [name for name, required in known if required and name not in form]
    if missing:
        raise LedgerCorrupt(f"a {event_type.type!r} event of the ledger lacks {', '.join(missing)}")
    wrong = misfit(event_type, form)
    if wrong is not None:
        raise LedgerCorrupt(f"a {event_type.type!r} event of the ledger has {wrong}")
    if form.get("kind", NO_KIND) not in _KINDS:
        raise LedgerFormatNewer(
            f"the ledger holds an event of kind {form['kind']!r}, which this version does not know: "
            "it was written by a newer reconciler. Upgrade to that version."
        )
    return event_type(**{name: form[name] for name, _ in known if name in form})
