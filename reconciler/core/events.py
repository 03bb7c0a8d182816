"""The events of a ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, ClassVar

from reconciler.core.event_fields import invalid_field
from reconciler.errors import LedgerCorrupt, LedgerFormatNewer
from reconciler.model.base import JSON
from reconciler.model.kind import MODULES

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
    wrong = invalid_field(event_type, form)
    if wrong is not None:
        raise LedgerCorrupt(f"a {event_type.type!r} event of the ledger has {wrong}")
    if form.get("kind", NO_KIND) not in _KINDS:
        raise LedgerFormatNewer(
            f"the ledger holds an event of kind {form['kind']!r}, which this version does not know: "
            "it was written by a newer reconciler. Upgrade to that version."
        )
    return event_type(**{name: form[name] for name, _ in known if name in form})


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledSince(SpecEvent):
    """From `since` on, the slots of `schedule` in `time_zone` are due; earlier ones are not, whatever was before.

    With `stopped` (``suspended``, ``removed`` or ``unscheduled``) the schedule stands still from `since` on, until a
    later event starts it again.
    """

    type: ClassVar[str] = "scheduled-since"
    kind: str
    since: str
    schedule: str
    time_zone: str
    stopped: str | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed(SpecEvent):
    """Slots that came due and never run. `reason` is one of `MissedReason`.

    Meant are the slots of `slots`; where that is absent, every slot from `first` to `last` that was not submitted.
    `count` is their number, `None` where there were too many to count. `settled` is the last slot up to which every
    slot is dealt with.
    """

    type: ClassVar[str] = "missed"
    first: str
    last: str
    count: int | None = None
    slots: tuple[str, ...] | None = None
    reason: str
    settled: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillAsked(SpecEvent):
    """A person asks for runs of past slots, in this order, each once more whatever became of it before."""

    type: ClassVar[str] = "backfill-asked"
    slots: tuple[str, ...]
    reason: str | None = None
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified(SpecEvent):
    """People are told of something that happened: written before it is sent, so that it is told at most once.

    `key` stands for what happened, such as ``rejected:TOKEN``; `kinds` are those of `plan.notice.NotificationKind`.
    """

    type: ClassVar[str] = "notified"
    key: str
    kinds: tuple[str, ...]


__all__ = [
    "FORMAT",
    "BackfillAsked",
    "Event",
    "Missed",
    "Notified",
    "Opened",
    "Renamed",
    "ScheduledSince",
    "SpecEvent",
    "SubmissionEvent",
    "decode",
    "encode",
    "event_types",
]

BY_HAND = "hand"
"""`Adopted.by` where a person said which run it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended(SubmissionEvent):
    """A send is about to be transmitted: written, durably, before the call (R1 of docs/protocol.md).

    `request` is exactly what is transmitted. `not_after` is the time after which this send must not start. `locate`
    holds the fields by which its run is found again; `source` is ``{"path", "line"}``; `owner` names the process.
    `uncommitted` says that the project had changes which `commit` does not hold, `proven` that every earlier send was
    proven absent before this one was intended. `backoff_limit` is the spec's at the time; `settled_slots` is the last
    slot up to which every slot was dealt with before this one was intended.
    """

    type: ClassVar[str] = "intended"
    kind: str
    generation: int | None = None
    slot: str | None = None
    attempt: int
    send: int
    digest: str
    revision: int
    request: JSON
    locate: Mapping[str, str]
    not_after: str
    owner: str
    reason: str
    deletion_policy: str
    streaming: bool = False
    proven: bool | None = None
    backoff_limit: int | None = None
    settled_slots: str | None = None
    source: JSON
    commit: str | None = None
    uncommitted: bool | None = None
    actor: str
    tool_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted(SubmissionEvent):
    """AWS accepted the send: `run_id` is its job run or job id."""

    type: ClassVar[str] = "submitted"
    send: int
    run_id: str
    arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent(SubmissionEvent):
    """The send never reached AWS, or AWS refused it for a passing reason (`refused`); the submission may be sent again.

    `code` is AWS's error code or the client's exception name.
    """

    type: ClassVar[str] = "unsent"
    send: int
    code: str
    message: str
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected(SubmissionEvent):
    """AWS said no to the content of this submission; sending it again would not help."""

    type: ClassVar[str] = "rejected"
    send: int
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear(SubmissionEvent):
    """The outcome of a send is not known: the intent stays unresolved. `conflict`: AWS answered that it has seen the
    token, which ends repeats of the send."""

    type: ClassVar[str] = "unclear"
    send: int
    code: str
    message: str
    conflict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted(SubmissionEvent):
    """A run is this submission's: found by its tag, or, `by` ``hand``, said to be so by `actor` for `reason`."""

    type: ClassVar[str] = "adopted"
    run_id: str
    arn: str | None = None
    by: str = "tag"
    reason: str | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManuallyAdopted(SubmissionEvent):
    """A run that no intent stands for was made a spec's current submission by hand: nothing was sent.

    `request` is what the spec asked for at the time, `digest` its digest, `owner` the spec whose tag the run carries,
    ``PROJECT/TARGET/NAME``, `None` without one. The other fields are as in `Intended`.
    """

    type: ClassVar[str] = "taken"
    kind: str
    generation: int | None = None
    slot: str | None = None
    attempt: int = 1
    digest: str
    revision: int
    request: JSON
    locate: Mapping[str, str]
    run_id: str
    owner: str | None = None
    reason: str | None = None
    deletion_policy: str
    streaming: bool = False
    source: JSON
    commit: str | None = None
    uncommitted: bool | None = None
    actor: str
    tool_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved(SubmissionEvent):
    """A person decided what an unresolved submission is.

    `decision` is ``submit``: what was sent so far counts as absent, and the same submission may be sent again; or
    ``abandon``: it is never sent again. `send` is the newest send that the person saw, `forced` that it was decided
    before the submission had settled.
    """

    type: ClassVar[str] = "resolved"
    decision: str
    send: int
    reason: str | None = None
    actor: str
    forced: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflicted(SubmissionEvent):
    """Several runs carry the tag of one submission: a person decides."""

    type: ClassVar[str] = "conflicted"
    run_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent(SubmissionEvent):
    """A complete listing, begun at `looked_at`, held no run with the submission's tag."""

    type: ClassVar[str] = "absent"
    looked_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded(SubmissionEvent):
    """The submission is proven absent and the spec no longer asks for it: it is never sent again."""

    type: ClassVar[str] = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed(SubmissionEvent):
    """The state of a run as AWS gave it.

    `state` is one of `RunState`; `aws_state` is the service's own word; `detail` its reason in its own words. `usage`
    is what else it says, in its own words: ``billedResourceUtilization``, ``attempts``, ``statusSummary``.
    """

    type: ClassVar[str] = "observed"
    run_id: str
    state: str
    aws_state: str
    detail: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    usage: JSON | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAsked(SubmissionEvent):
    """This run is to be cancelled: written before AWS is asked, so that its end is known to be ours.

    `run_id` is `None` where the submission is unresolved: then the run is cancelled once it is adopted. `replacing`
    says that it makes room for a newer run of its spec.
    """

    type: ClassVar[str] = "cancel-asked"
    run_id: str | None = None
    reason: str
    actor: str
    replacing: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAccepted(SubmissionEvent):
    """AWS took the request to cancel; until this is written, a pass asks again, which AWS allows."""

    type: ClassVar[str] = "cancel-accepted"
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen(SubmissionEvent):
    """AWS, asked at `looked_at` about a run that was live, did not know it."""

    type: ClassVar[str] = "unseen"
    run_id: str
    looked_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAsked(SubmissionEvent):
    """A person asks for a fresh attempt of what this submission stands for, its newest one, whatever its end was."""

    type: ClassVar[str] = "retry-asked"
    reason: str | None = None
    actor: str


Beginning = Intended | ManuallyAdopted
"""What begins a submission, and holds its request."""


def intent_of(batch: Iterable[Event], name: str, token: str | None = None) -> Beginning:
    """What began a submission of a spec, among the events of one position: it holds the request. Of several, that of
    `token`, or the last. Raises `LedgerCorrupt` where there is none."""
    mine = [event for event in batch if isinstance(event, Beginning) and event.name == name]
    for event in reversed(mine):
        if token in {None, event.token}:
            return event
    raise LedgerCorrupt(f"the ledger holds no intent of {name} where one was recorded")
