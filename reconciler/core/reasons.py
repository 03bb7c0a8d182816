"""The types of actions, the reasons for them, and the slots that never run."""

from enum import StrEnum

from reconciler.core.event_fields import Number, Text, Texts
from reconciler.values import dataclass


class ActionType(StrEnum):
    """The type of an action. The order is that of the summary."""

    SUBMIT = "submit"
    REPLACE = "replace"
    ADOPT = "adopt"
    CANCEL = "cancel"
    SKIP = "skip"
    WAIT = "wait"
    HOLD = "hold"
    NONE = "none"


class Reason(StrEnum):
    """The reason for an action."""

    NEW = "new"
    SPEC_CHANGED = "spec-changed"
    REVISION_CHANGED = "revision-changed"
    SLOT_DUE = "slot-due"
    RETRY = "retry"
    RESTART = "restart"
    BACKFILL = "backfill"
    FOUND = "found"
    SPEC_REMOVED = "spec-removed"
    ASKED = "asked"
    NOT_STARTED = "not-started"
    MISSED = "missed"
    SUPERSEDED = "superseded"
    DEPENDENCY = "dependency"
    CONCURRENCY = "concurrency"
    BACKOFF = "backoff"
    SETTLING = "settling"
    REPLACING = "replacing"
    SUSPENDED = "suspended"
    QUOTA = "quota"
    LIMIT = "limit"
    RETRIES_EXHAUSTED = "retries-exhausted"
    UNKNOWN = "unknown"
    LOST = "lost"
    REJECTED = "rejected"
    CONFLICT = "conflict"
    CANCELLED_OUTSIDE = "cancelled-outside"
    STALE_CHECKOUT = "stale-checkout"
    INVALID_SPEC = "invalid-spec"
    RENAME_CONFLICT = "rename-conflict"
    IN_SYNC = "in-sync"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class MissedSlots:
    """Slots that came due and never run, for one `MissedReason`.

    `slots` lists them; `None` if there are too many. Then they are all slots from `first` to `last` that were not
    submitted. `count` is their number, `None` if there are too many to count.
    """

    first: Text
    last: Text
    count: Number | None
    slots: Texts | None
    reason: Text
