"""The plan as a value: actions with their types and reasons, changes, limits and results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import field, replace
from enum import StrEnum
from typing import Any, Literal

from reconciler.core.declarations import PROJECT_KIND, PROJECT_NAME, PendingDeclaration
from reconciler.core.durations import Usual
from reconciler.core.event_fields import Flag, Number, Request, Text, TextMapping, Texts
from reconciler.core.identity import NO_CONTENT, Content, Place, Source, SubmissionKey
from reconciler.core.suggestions import SuggestedCommands
from reconciler.errors import LimitExceeded, Problem
from reconciler.model.base import JSON
from reconciler.model.project import Limits
from reconciler.values import dataclass


class ActionType(StrEnum):
    """The type of an action. The summary uses this order."""

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
    """Slots that came due and never run, all for the same `MissedReason`.

    `slots` lists them, or is `None` if there are too many. In that case, they are all slots from `first` to `last` that
    were not submitted. `count` is their number, or `None` if there are too many to count.
    """

    first: Text
    last: Text
    count: Number | None
    slots: Texts | None
    reason: Text


Op = Literal["add", "remove", "change", "reorder"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two requests.

    `path` uses AWS's field names, such as ``jobDriver.sparkSubmit.entryPointArguments[1]``; `before` is `None` for an
    addition, and `after` is `None` for a removal. ``reorder`` means the same entries in another order, which `before`
    and `after` list. Values are masked only when they are printed. `sensitive` marks a secret that only a neighbouring
    value reveals, such as the argument after ``--password``; all other secrets are recognized when they are printed.
    """

    path: Text
    op: Op
    before: Any
    after: Any
    sensitive: Flag = False


@dataclass(frozen=True, slots=True)
class Action:
    """The action of a pass for one submission, or the reason why the pass does nothing.

    `key` identifies the submission, or is `None` if there is none. `content` is what it runs. It has a request only for
    a submit, a replacement, or the adoption of a run without an intent. It is empty only for a name without any
    submission and without a spec. `ledger_head` is the position of the newest event about the spec at the time of the
    plan. `run_id` is the run that is adopted, cancelled or waited for. `replaces` is the run that a replacement
    cancels, and `replaces_label` is its label, such as ``generation 2``. `message` is one sentence without secrets.
    `compared_with` is the ledger position of the intent that `changes` refer to, and `compared_token` is its token.
    `send` is the number of the transmission. `overdue` marks a wait that should have ended and needs an operator;
    `suggested` contains the commands for the operator. `template` is the request from which the digest is computed, if
    it is not `request`: with ``${run.slot}``, which is rendered in `time_zone`, and with the names of specs instead of
    `run_ids`. `backoff_limit` is the number of further attempts that the spec allows. `missed` contains the slots that
    a skip records, and `handled_until` is the last slot up to which all are handled afterwards. `beside` is true if
    other submissions of the spec may be intended at the same time. `next_slot` is the time when the spec is due next.
    `since` is the time when the submission of a hold ended or was sent, or `None` if the hold is new with this plan.
    `typical` contains the usual durations and costs of the spec's runs, if this is a submit after successful runs.
    """

    name: Text
    kind: Text
    action: ActionType
    reason: Reason
    key: SubmissionKey | None = None
    content: Content = NO_CONTENT
    client_token: Text | None = None
    ledger_head: Number = 0
    run_id: Text | None = None
    replaces: Text | None = None
    changes: tuple[Change, ...] = ()
    message: Text = ""
    compared_with: Number | None = None
    send: Number = 1
    overdue: Flag = False
    suggested: SuggestedCommands | None = None
    template: Request | None = None
    time_zone: Text = "UTC"
    run_ids: TextMapping = field(default_factory=dict)
    backoff_limit: Number = 0
    missed: tuple[MissedSlots, ...] = ()
    handled_until: Text | None = None
    beside: Flag = False
    next_slot: Text | None = None
    since: Text | None = None
    replaces_label: Text = ""
    compared_token: Text | None = None
    typical: Usual | None = None

    @property
    def generation(self) -> int | None:
        """The generation of the submission, or `None` for a slot or without a submission."""
        return self.key.generation if self.key else None

    @property
    def slot(self) -> str | None:
        """The slot of the submission, or `None` for a one-off or without a submission."""
        return self.key.slot if self.key else None

    @property
    def attempt(self) -> int:
        """The attempt of the submission, from 1."""
        return self.key.attempt if self.key else 1

    @property
    def digest(self) -> str | None:
        """The digest of the content, or `None` without content."""
        return self.content.digest or None

    @property
    def request(self) -> JSON | None:
        """The request of the content."""
        return self.content.request

    @property
    def source(self) -> Source | None:
        """The location of the spec now, or when it was submitted."""
        return self.content.source

    @property
    def effective(self) -> bool:
        """Whether this action calls AWS or writes to the ledger."""
        return self.action not in {ActionType.WAIT, ActionType.HOLD, ActionType.NONE}


class ChangeType(StrEnum):
    """How a spec in git differs from the content applied last."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    RENAMED = "renamed"


class Effect(StrEnum):
    """The effect of a change of a spec."""

    RUNS_NOW = "runs-now"
    NEXT_SLOT = "next-slot"
    WAITS = "waits"
    RUN_GOES_ON = "run-goes-on"
    RUN_IS_CANCELLED = "run-is-cancelled"
    NO_RUN = "no-run"


class Origin(StrEnum):
    """Whether the pull request made a change, or the change was already on its base and had not been applied yet."""

    THIS_CHANGE = "this-change"
    ALREADY_ON_BASE = "already-on-base"


@dataclass(frozen=True, slots=True)
class SpecChange:
    """How one spec in git differs from the content applied last, and when the difference takes effect.

    `fields` are the differing fields of the policy, by name, and those of the request, which begin with ``request.``;
    the latter are filled in from the ledger when a plan is explained. `effect_at` is the slot of a `NEXT_SLOT`.
    `message` describes the effect in one sentence. `declared_commit` is the commit of the declaration used for the
    comparison, or `None` if there is none.

    `content` and `time_zone` are those in git, or `None` for a removed spec. `compared_with` is the ledger position of
    the event with the earlier request, or `None` if the request is the same or the earlier one is unknown; `token` is
    the submission that this event is the intent of, or `None` for a declaration. `compared_slot` is the slot for which
    the earlier request was rendered, or `None` for a template; `compared_name` is the name of the spec at that time. A
    `stale` change has no effect from this checkout. `origin` is `None` if the plan was not compared with a base;
    `origin_note` describes another change of the spec on the base. `renamed_from` is the current name of the record of
    a renamed spec.
    """

    name: Text
    kind: Text
    change: ChangeType
    effect: Effect
    message: Text = ""
    effect_at: Text | None = None
    fields: tuple[Change, ...] = ()
    declared_commit: Text | None = None
    content: Content | None = None
    time_zone: Text = "UTC"
    compared_with: Number | None = None
    token: Text | None = None
    compared_slot: Text | None = None
    stale: Flag = False
    origin: Origin | None = None
    origin_note: Text = ""
    renamed_from: Text | None = None
    compared_name: Text = ""

    @property
    def source(self) -> Source | None:
        """The location of the spec or the project file, or `None` for a removed spec."""
        own = self.content.source if self.content is not None else None
        return Source(PROJECT_NAME, 1) if self.kind == PROJECT_KIND else own

    @property
    def takes_effect_later(self) -> bool:
        """Whether the change takes effect after this pass."""
        at_once = self.kind == PROJECT_KIND or (self.change is ChangeType.RENAMED and self.effect is not Effect.WAITS)
        return not (self.stale or at_once or self.change is ChangeType.REMOVED or self.effect is Effect.RUNS_NOW)


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions of a pass and what they depend on, as a value without effects.

    `actions` are sorted by name, then oldest submission first: text, JSON, markdown and apply rely on that order.
    `created_at` is ISO 8601 text to the second, `ledger_position` the last position read. `commit` is that of the
    checkout. `uncommitted` is true if the project has uncommitted changes. `warnings` are sentences about the plan as a
    whole. `schedule_changes` are schedules that start or stop with this plan. `overdue` is true if the suspension of
    the project should have ended by now. `changes` are the differences between git and the last-applied content: of the
    project file (`core.settings`), then of specs by name. `declarations` are the declarations of specs that an apply
    records. `plan_id` identifies the changes in git and their effects (`core.approval`). `base` is the commit that the
    plan was compared with, if any. `problems` are those in project files. `settings_digest` is that of the settings.
    """

    place: Place
    created_at: Text
    ledger_position: Number
    actions: tuple[Action, ...]
    commit: Text | None = None
    warnings: Texts = ()
    uncommitted: Flag = False
    schedule_changes: tuple[ScheduleChange, ...] = ()
    overdue: Flag = False
    changes: tuple[SpecChange, ...] = ()
    declarations: tuple[PendingDeclaration, ...] = ()
    plan_id: Text = ""
    base: Text | None = None
    problems: tuple[Problem, ...] = ()
    settings_digest: Text = ""

    @property
    def renames(self) -> dict[str, str]:
        """The renames that an apply records: the former name of each record, by its new name."""
        return {c.name: c.renamed_from for c in self.changes if c.renamed_from is not None and not c.stale}

    def summary(self) -> dict[str, int]:
        """Returns the number of actions of each type and, with a base, of changes of each origin. All types appear."""
        counts = Counter(action.action for action in self.actions)
        return {str(kind): counts[kind] for kind in ActionType} | self.origins()

    def origins(self) -> dict[str, int]:
        """Returns the number of changes of each origin; empty without a base."""
        counts = Counter(change.origin for change in self.changes)
        return {str(origin): counts[origin] for origin in Origin} if self.base is not None else {}

    @property
    def pending_on_base(self) -> tuple[SpecChange, ...]:
        """The changes that were already on the base, and that an apply of this checkout would carry out."""
        return tuple(c for c in self.changes if c.origin is Origin.ALREADY_ON_BASE and not c.stale)

    @property
    def pending(self) -> tuple[Action, ...]:
        """The effective actions."""
        return tuple(action for action in self.actions if action.effective)

    @property
    def held(self) -> tuple[Action, ...]:
        """The actions that need an operator or a reply from AWS: holds, settling submissions, overdue waits."""
        return tuple(a for a in self.actions if a.action is ActionType.HOLD or a.reason is Reason.SETTLING or a.overdue)

    def check_limits(self, limits: Limits) -> None:
        """Raises `LimitExceeded`, with the numbers, if the plan exceeds a limit of one pass."""
        if (refusal := self.refusal(limits)) is not None:
            raise refusal

    def refusal(self, limits: Limits) -> LimitExceeded | None:
        """Returns the error for a plan that exceeds a limit of one pass, or `None` if it exceeds none."""
        submissions = sum(a.reason in COUNTED for a in self.actions if a.action in SENDS)
        cancels = [a for a in self.actions if a.action is ActionType.CANCEL]
        cancellations = sum(a.reason is not Reason.NOT_STARTED for a in cancels)  # these have done no work yet
        if limits.maxSubmissions is not None and submissions > limits.maxSubmissions:
            return LimitExceeded("maxSubmissions", limits.maxSubmissions, submissions, "--max-submissions")
        if cancellations > limits.maxCancellations:
            return LimitExceeded("maxCancellations", limits.maxCancellations, cancellations, "--max-cancellations")
        return None

    def with_changes(
        self, changes: dict[str, tuple[Change, ...]], requests: Mapping[str, tuple[Change, ...]] | None = None
    ) -> Plan:
        """Returns the same plan with field differences: `changes` by client token of an action, and `requests` by name
        of a changed spec, whose changes are added after those of the policy."""
        more = requests or {}
        actions = tuple(
            replace(a, changes=changes[a.client_token]) if a.client_token in changes else a for a in self.actions
        )
        specs = tuple(replace(c, fields=(*c.fields, *more[c.name])) if c.name in more else c for c in self.changes)
        return replace(self, actions=actions, changes=specs)


SENDS = {ActionType.SUBMIT, ActionType.REPLACE}
COUNTED = {Reason.NEW, Reason.SPEC_CHANGED, Reason.REVISION_CHANGED}
"""Reasons for submissions that follow a change. If their number exceeds the limit, the whole plan is refused."""


class ActionOutcome(StrEnum):
    """The outcome of an action. The summary after an apply uses this order."""

    SUBMITTED = "submitted"  # AWS accepted it: it has a run id
    ADOPTED = "adopted"  # a run that carries its tag was found and recorded
    CANCELLED = "cancelled"  # AWS was asked to stop the run
    RECORDED = "recorded"  # recorded in the ledger, without a call to AWS
    UNKNOWN = "unknown"  # sent, with an unclear answer: the next lookup resolves it
    REJECTED = "rejected"  # AWS refused its content
    UNSENT = "unsent"  # nothing reached AWS, or AWS refused it for a temporary reason
    NONE = "none"  # there was nothing to do


@dataclass(frozen=True, slots=True)
class ActionResult:
    """The result of one action. `outcome` is an `ActionOutcome` value. `run_id` is the run that was submitted, adopted
    or cancelled, or `None` if there is none. `error` is ``CODE: message``, or `None` without an error."""

    outcome: str
    run_id: str | None = None
    error: str | None = None


def stopped(action: Action, kind: ActionType, reason: Reason, message: str) -> Action:
    """Returns an action about the same submission that does not submit it in this pass."""
    bare = replace(action.content, request=None)
    return replace(action, action=kind, reason=reason, message=message, content=bare, template=None, run_ids={})


@dataclass(frozen=True, slots=True)
class ScheduleChange:
    """A schedule that starts with the next apply or, if `stopped` is set, stops with it."""

    name: Text
    kind: Text
    schedule: Text
    time_zone: Text
    stopped: Text | None = None
