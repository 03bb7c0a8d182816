"""The events of a ledger."""

from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import ClassVar

from reconciler.core.event_fields import Few, Flag, Number, Request, Text, Texts, Time, Times
from reconciler.core.identity import Content, Source, SubmissionKey
from reconciler.errors import LedgerCorrupt
from reconciler.model.base import JSON
from reconciler.values import dataclass

FORMAT = 1
"""The version of the event format, pinned by the first event. A ledger with a higher version is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The base of all events. `at` is the time of recording, by the clock of the machine that recorded the event."""

    type: ClassVar[str]
    at: Time


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Event):
    """The first event of every ledger. It has the place that the ledger belongs to."""

    type: ClassVar[str] = "opened"
    project: Text
    target: Text
    account: Text
    region: Text
    format: Number
    tool_version: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecEvent(Event):
    """An event of one spec."""

    name: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecRenamed(SpecEvent):
    """From this event on, all records of the spec `renamed_from` belong to `name`. Tokens do not change."""

    type: ClassVar[str] = "spec-renamed"
    renamed_from: Text
    commit: Text | None = None
    uncommitted: Flag | None = None
    actor: Text
    tool_version: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionEvent(SpecEvent):
    """An event of one submission, identified by its token."""

    token: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledSince(SpecEvent):
    """From `since` on, the slots of `schedule` in `time_zone` are due; earlier ones are not.

    If `stopped` is set (``suspended``, ``removed`` or ``unscheduled``), no slot is due until a later event starts the
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

    The slots are those in `slots`; if it is `None`, they are all slots from `first` to `last` that were not submitted.
    `count` is their number, or `None` if there were too many to count. Every slot up to `settled` is handled.
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
    """An operator requests runs of past slots, in this order. Each slot runs once more, even if it has run before."""

    type: ClassVar[str] = "backfill-asked"
    slots: Times
    reason: Text | None = None
    actor: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified(SpecEvent):
    """A notification is about to be sent. It is recorded first, so that it is sent at most once.

    `key` identifies the occurrence, such as ``rejected:TOKEN``; `kinds` are values of `notifications.NotificationKind`.
    """

    type: ClassVar[str] = "notified"
    key: Text
    kinds: Texts


BY_HAND = "hand"
"""The value of `Adopted.by` if an operator chose the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning(SubmissionEvent):
    """An event that begins a submission and contains its request.

    `uncommitted` is true if the project had uncommitted changes. `wire` are the keys of the JSON form, in which key and
    content are flat, in the order of the first release.
    """

    wire: ClassVar[Sequence[str]]
    name: Text = field(init=False, repr=False, compare=False)  # the name in the key
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
    """A send is about to be transmitted. This is recorded durably before the call (R1 of docs/protocol.md).

    The request of `content` is exactly what is transmitted. The send must not start after `not_after`. `owner` names
    the process. `proven` is true if every earlier send was proven absent before this intent. `backoff_limit` is the
    limit of the spec at the time; `settled_slots` is the last slot up to which every slot was handled before this
    intent.
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
    """The send never reached AWS, or AWS refused it for a temporary reason (`refused`). It may be sent again.

    `code` is the error code of AWS or the exception name of the client.
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
    """The outcome of a send is unclear, so the intent remains unresolved. `conflict` is true if AWS answered that the
    token was used; then the send is not repeated."""

    type: ClassVar[str] = "unclear"
    send: Few
    code: Text
    message: Text
    conflict: Flag | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted(SubmissionEvent):
    """A run belongs to this submission, found by its tag or, if `by` is ``hand``, chosen by the operator `actor`."""

    type: ClassVar[str] = "adopted"
    run_id: Text
    arn: Text | None = None
    by: Text = "tag"
    reason: Text | None = None
    actor: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManuallyAdopted(Beginning):
    """An operator adopted a run without an intent as the current submission of a spec; nothing was sent.

    `content` is the content of the spec at that time. `owner` is the spec whose tag the run carries,
    ``PROJECT/TARGET/NAME``, or `None` if it has none.
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
    """An operator accepted the content of a spec as applied, without a run.

    From then on, the run of the submission `token` counts as the run of this content. Without such a submission,
    `token` is the token of generation `generation`, which is never sent.
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

    With the `decision` ``submit``, all sends so far count as absent, and the same submission may be sent again; with
    ``abandon``, it is never sent again. `send` is the newest send that the operator saw. `forced` is true if the
    decision was made before the submission had settled.
    """

    type: ClassVar[str] = "resolved"
    decision: Text
    send: Few
    reason: Text | None = None
    actor: Text
    forced: Flag | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflicted(SubmissionEvent):
    """Several runs carry the tag of one submission, so an operator must decide."""

    type: ClassVar[str] = "conflicted"
    run_ids: Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent(SubmissionEvent):
    """A complete listing, started at `looked_at`, had no run with the submission's tag."""

    type: ClassVar[str] = "absent"
    looked_at: Time


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded(SubmissionEvent):
    """The submission is proven absent and the spec no longer requests it, so it is never sent again."""

    type: ClassVar[str] = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed(SubmissionEvent):
    """The state of a run as AWS reported it.

    `state` is one of `RunState`; `aws_state` and `detail` are the service's own state and reason. `usage` has other
    reported fields: ``billedResourceUtilization``, ``attempts``, ``statusSummary``. `created_at` is when AWS created
    the run. `definition` is the job definition revision that AWS runs, or `None` for a service without. `partial` is
    whether AWS may still add a reason or usage to a run that has ended; then a later event of the run may add them.
    """

    type: ClassVar[str] = "observed"
    run_id: Text
    state: Text
    aws_state: Text
    detail: Text | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    usage: Request | None = None
    created_at: Time | None = None
    definition: Text | None = None
    partial: Flag | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAsked(SubmissionEvent):
    """The cancellation of this run was requested. This is recorded before AWS is called, so that the end of the run is
    attributed to us.

    `run_id` is `None` if the submission is unresolved; then the run is cancelled after it is adopted. `replacing` is
    whether a newer run of the spec replaces this one. `not_started` is true if the cancellation was requested because
    the run had not started in time; then its end counts as a failure.
    """

    type: ClassVar[str] = "cancel-asked"
    run_id: Text | None = None
    reason: Text
    actor: Text
    replacing: Flag | None = None
    not_started: Flag | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAccepted(SubmissionEvent):
    """AWS accepted the request to cancel. Until this is recorded, passes repeat the request, which is safe."""

    type: ClassVar[str] = "cancel-accepted"
    run_id: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen(SubmissionEvent):
    """A query at `looked_at` did not return a live run."""

    type: ClassVar[str] = "unseen"
    run_id: Text
    looked_at: Time


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAsked(SubmissionEvent):
    """An operator requests a new attempt after this newest submission, even if its run succeeded."""

    type: ClassVar[str] = "retry-asked"
    reason: Text | None = None
    actor: Text


def intent_of(batch: Iterable[Event], name: str, token: str) -> Beginning:
    """Returns the event in `batch` that began the submission. Raises `LedgerCorrupt` if there is none."""
    for event in batch:
        if isinstance(event, Beginning) and event.token == token:
            return event
    raise LedgerCorrupt(f"the ledger has no intent of {name} at a position where one was recorded")
