"""The events of a ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from reconciler.core.event_fields import Few, Flag, Number, Request, Text, Texts, Time, Times
from reconciler.core.identity import Content, Source, SubmissionKey
from reconciler.errors import LedgerCorrupt
from reconciler.model.base import JSON

FORMAT = 1
"""Version of the event format, pinned by the first event; a higher one is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The base of all events. `at` is when it was written down, by the clock of the machine that wrote it."""

    type: ClassVar[str]
    at: Time


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Event):
    """The first event of every ledger: what it belongs to."""

    type: ClassVar[str] = "opened"
    project: Text
    target: Text
    account: Text
    region: Text
    format: Number
    tool_version: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed(Event):
    """Everything before was moved here from the ledger `ledger` of another place, which the fields name.

    That ledger had `positions` batches, the last with the checksum `head`. The first event here says the new place,
    so that all the batches have other checksums than there.
    """

    type: ClassVar[str] = "renamed"
    project: Text
    target: Text
    account: Text
    region: Text
    ledger: Text
    positions: Number
    head: Text
    actor: Text
    tool_version: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecEvent(Event):
    """An event of one spec."""

    name: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecRenamed(SpecEvent):
    """All that is recorded of the spec `renamed_from` is that of `name` from here on. Tokens stay as they are."""

    type: ClassVar[str] = "spec-renamed"
    renamed_from: Text
    commit: Text | None = None
    uncommitted: Flag | None = None
    actor: Text
    tool_version: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionEvent(SpecEvent):
    """An event of one submission, known by its token."""

    token: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledSince(SpecEvent):
    """From `since` on, the slots of `schedule` in `time_zone` are due; earlier ones are not.

    With `stopped` (``suspended``, ``removed`` or ``unscheduled``) no slot is due until a later event starts the
    schedule again.
    """

    type: ClassVar[str] = "scheduled-since"
    kind: Text
    since: Time
    schedule: Text
    time_zone: Text
    stopped: Text | None = None
    actor: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed(SpecEvent):
    """Slots that came due and never run. `reason` is one of `MissedReason`.

    They are those in `slots`; without it, every slot from `first` to `last` that was not submitted. `count` is their
    number, `None` if there were too many to count. Up to `settled` every slot is handled.
    """

    type: ClassVar[str] = "missed"
    first: Time
    last: Time
    count: Number | None = None
    slots: Times | None = None
    reason: Text
    settled: Time | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillAsked(SpecEvent):
    """An operator asks for runs of past slots, in this order, each once more whatever became of it before."""

    type: ClassVar[str] = "backfill-asked"
    slots: Times
    reason: Text | None = None
    actor: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified(SpecEvent):
    """A notification is about to be sent: recorded first, so that it is sent at most once.

    `key` identifies what happened, such as ``rejected:TOKEN``; `kinds` are those of `plan.notice.NotificationKind`.
    """

    type: ClassVar[str] = "notified"
    key: Text
    kinds: Texts


BY_HAND = "hand"
"""`Adopted.by` if an operator chose the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning(SubmissionEvent):
    """An event that begins a submission, and holds its request.

    `uncommitted`: the project had changes that `commit` lacks. `wire` are the keys of the JSON form,
    in which key and content are flat, in the order that they have had from the first release on.
    """

    wire: ClassVar[Sequence[str]]
    name: Text = field(init=False, repr=False, compare=False)  # that of the key
    kind: Text
    key: SubmissionKey
    content: Content
    reason: Text | None = None
    commit: Text | None = None
    uncommitted: Flag | None = None
    actor: Text
    tool_version: Text

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.key.name)

    @property
    def request(self) -> JSON:
        """The request of the content."""
        return self.content.request or {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended(Beginning):
    """A send is about to be transmitted: durably recorded before the call (R1 of docs/protocol.md).

    The request of `content` is exactly what is transmitted. `not_after` is the time after which this send must not
    start. `owner` names the process. `proven` says that every earlier send was proven absent before this one was
    intended. `backoff_limit` is the spec's at the time; `settled_slots` is the last slot up to which every slot was
    dealt with before this one was intended.
    """

    type: ClassVar[str] = "intended"
    wire: ClassVar[Sequence[str]] = (
        "at", "name", "token", "kind", "generation", "slot", "attempt", "send", "digest", "revision", "request",
        "locate", "not_after", "owner", "reason", "deletion_policy", "streaming", "proven", "backoff_limit",
        "settled_slots", "source", "commit", "uncommitted", "actor", "tool_version",
    )  # fmt: skip
    send: Few
    not_after: Time
    owner: Text
    reason: Text
    proven: Flag | None = None
    backoff_limit: Few | None = None
    settled_slots: Time | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted(SubmissionEvent):
    """AWS accepted the send: `run_id` is the id of its job run or job."""

    type: ClassVar[str] = "submitted"
    send: Few
    run_id: Text
    arn: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent(SubmissionEvent):
    """The send never reached AWS, or AWS refused it for a temporary reason (`refused`); it may be sent again.

    `code` is AWS's error code or the client's exception name.
    """

    type: ClassVar[str] = "unsent"
    send: Few
    code: Text
    message: Text
    refused: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected(SubmissionEvent):
    """AWS rejected the content of this submission; sending it again would not help."""

    type: ClassVar[str] = "rejected"
    send: Few
    code: Text
    message: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear(SubmissionEvent):
    """The outcome of a send is unclear: the intent stays unresolved. `conflict`: AWS answered that the token was used,
    which ends repeats of the send."""

    type: ClassVar[str] = "unclear"
    send: Few
    code: Text
    message: Text
    conflict: Flag | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted(SubmissionEvent):
    """A run belongs to this submission: found by its tag, or, `by` ``hand``, chosen by the operator `actor`."""

    type: ClassVar[str] = "adopted"
    run_id: Text
    arn: Text | None = None
    by: Text = "tag"
    reason: Text | None = None
    actor: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManuallyAdopted(Beginning):
    """An operator made a run without an intent a spec's current submission: nothing was sent.

    `content` is what the spec asked for at the time, `owner` the spec whose tag the run carries,
    ``PROJECT/TARGET/NAME``, `None` without one.
    """

    type: ClassVar[str] = "taken"
    wire: ClassVar[Sequence[str]] = (
        "at", "name", "token", "kind", "generation", "slot", "attempt", "digest", "revision", "request", "locate",
        "run_id", "owner", "reason", "deletion_policy", "streaming", "source", "commit", "uncommitted", "actor",
        "tool_version",
    )  # fmt: skip
    run_id: Text
    owner: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentAccepted(SubmissionEvent):
    """An operator took the content of a spec as applied, without a run.

    The run of the submission `token` counts as the run of this content from here on; without such a submission, `token`
    is that of generation `generation`, which is never sent.
    """

    type: ClassVar[str] = "accepted"
    kind: Text
    generation: Number | None = None
    digest: Text
    revision: Number
    deletion_policy: Text = "Orphan"
    source: Source | None = None
    reason: Text | None = None
    commit: Text | None = None
    uncommitted: Flag | None = None
    actor: Text
    tool_version: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved(SubmissionEvent):
    """An operator decided about an unresolved submission.

    `decision` is ``submit``: what was sent so far counts as absent, and the same submission may be sent again; or
    ``abandon``: it is never sent again. `send` is the newest send that the operator saw, `forced` that the decision
    came before the submission had settled.
    """

    type: ClassVar[str] = "resolved"
    decision: Text
    send: Few
    reason: Text | None = None
    actor: Text
    forced: Flag | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflicted(SubmissionEvent):
    """Several runs carry the tag of one submission: an operator decides."""

    type: ClassVar[str] = "conflicted"
    run_ids: Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent(SubmissionEvent):
    """A complete listing, started at `looked_at`, had no run with the submission's tag."""

    type: ClassVar[str] = "absent"
    looked_at: Time


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded(SubmissionEvent):
    """The submission is proven absent and the spec no longer asks for it: it is never sent again."""

    type: ClassVar[str] = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed(SubmissionEvent):
    """The state of a run as AWS reported it.

    `state` is one of `RunState`; `aws_state` and `detail` are the service's own state and reason. `usage` is what else
    it reports: ``billedResourceUtilization``, ``attempts``, ``statusSummary``.
    """

    type: ClassVar[str] = "observed"
    run_id: Text
    state: Text
    aws_state: Text
    detail: Text | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    usage: Request | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAsked(SubmissionEvent):
    """This run is to be cancelled: recorded before AWS is asked, so that its end counts as ours.

    `run_id` is `None` if the submission is unresolved: then the run is cancelled after it is adopted. `replacing`: it
    makes room for a newer run of its spec.
    """

    type: ClassVar[str] = "cancel-asked"
    run_id: Text | None = None
    reason: Text
    actor: Text
    replacing: Flag | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAccepted(SubmissionEvent):
    """AWS accepted the request to cancel; until this is recorded, passes ask again, which AWS allows."""

    type: ClassVar[str] = "cancel-accepted"
    run_id: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen(SubmissionEvent):
    """AWS, asked at `looked_at` about a live run, did not find it."""

    type: ClassVar[str] = "unseen"
    run_id: Text
    looked_at: Time


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAsked(SubmissionEvent):
    """An operator asks for a new attempt after this submission, the newest one, whatever its end was."""

    type: ClassVar[str] = "retry-asked"
    reason: Text | None = None
    actor: Text


def intent_of(batch: Iterable[Event], name: str, token: str) -> Beginning:
    """Returns the event that began a submission, among those of one position. Raises `LedgerCorrupt` without one."""
    for event in batch:
        if isinstance(event, Beginning) and event.token == token:
            return event
    raise LedgerCorrupt(f"the ledger has no intent of {name} at a position where one was recorded")
