"""The actions of a plan. Effects obey `action` only; `reason` is for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.strict import JSON
from reconciler.plan.change import Change
from reconciler.plan.desired import Source
from reconciler.plan.remedy import Remedy


class ActionType(StrEnum):
    """What is done. The order is that of the summary."""

    SUBMIT = "submit"
    REPLACE = "replace"
    ADOPT = "adopt"
    CANCEL = "cancel"
    SKIP = "skip"
    WAIT = "wait"
    HOLD = "hold"
    NONE = "none"


class Reason(StrEnum):
    """Why."""

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
    IN_SYNC = "in-sync"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class MissedSlots:
    """Slots that came due and never run, for one `MissedReason`.

    `slots` names them; `None` where they are too many, and every slot from `first` to `last` that was not submitted is
    meant. `count` is their number, `None` where there are too many to count.
    """

    first: str
    last: str
    count: int | None
    slots: tuple[str, ...] | None
    reason: str


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a pass does, or does not do, about one submission.

    `generation` and `slot`: which run; both `None` where no run is meant. `client_token` and `digest` are `None` only
    for a name without any submission and without a spec. `ledger_head` is the position of the newest event about the
    spec when this was planned. `run_id` is the run adopted, cancelled or waited for. `replaces` is the run that a
    replacement cancels. `request` is the rendered request of a submit or replace, else `None`. `compared_with` is the
    ledger position of the intent that `changes` are relative to. `send` is the number of the transmission that a
    submit is. `overdue` marks a wait that should have ended by now and needs a person. `message` is one sentence for
    people, without secrets; `remedy` is what they can do about an unknown.

    `template` is the request as the digest counts it, where that is not `request`: with ``${run.slot}``, which stands
    in `time_zone`, and with the names of specs in the place of `run_ids`. `missed` are the slots that a skip records,
    `settled_slots` the last slot up to which every one is dealt with once the action is done. `beside` says that
    other submissions of the spec may be intended at the same time. `next_slot` is when the spec is due next.
    """

    name: str
    kind: str
    action: ActionType
    reason: Reason
    generation: int | None = None
    slot: str | None = None
    attempt: int = 1
    digest: str | None = None
    client_token: str | None = None
    ledger_head: int = 0
    run_id: str | None = None
    replaces: str | None = None
    source: Source | None = None
    changes: tuple[Change, ...] = ()
    request: JSON | None = None
    message: str = ""
    compared_with: int | None = None
    send: int = 1
    revision: int = 1
    deletion_policy: str = "Orphan"
    streaming: bool = False
    locate: Mapping[str, str] = field(default_factory=dict)
    overdue: bool = False
    remedy: Remedy | None = None
    template: JSON | None = None
    time_zone: str = "UTC"
    run_ids: Mapping[str, str] = field(default_factory=dict)
    backoff_limit: int = 0
    missed: tuple[MissedSlots, ...] = ()
    settled_slots: str | None = None
    beside: bool = False
    next_slot: str | None = None

    @property
    def effective(self) -> bool:
        """Whether this action does something: it calls AWS or writes to the ledger."""
        return self.action not in {ActionType.WAIT, ActionType.HOLD, ActionType.NONE}
