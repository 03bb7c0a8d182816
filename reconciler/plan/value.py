"""The plan itself: a sorted list of actions that counts itself and refuses itself when it is too much."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from reconciler.errors import LimitExceeded
from reconciler.identity.digest import Place
from reconciler.plan.action import Action, ActionType, Reason
from reconciler.plan.begins import Begin
from reconciler.plan.change import Change
from reconciler.plan.desired import Limits
from reconciler.plan.limits import COUNTED


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pass would do. `actions` are sorted by name, then oldest submission first: text, JSON, markdown and apply
    all rely on that order. `ledger_position` is the last position read. `created_at` is ISO 8601 text to the second.
    `warnings` are sentences for people about the plan as a whole. `commit` is what the specs were read from, with
    changes that it does not hold where `uncommitted` says so. `begins` are schedules that begin or stop with it.
    `overdue`: the project is suspended for longer than was meant.
    """

    place: Place
    created_at: str
    ledger_position: int
    actions: tuple[Action, ...]
    commit: str | None = None
    warnings: tuple[str, ...] = ()
    uncommitted: bool = False
    begins: tuple[Begin, ...] = ()
    overdue: bool = False

    def summary(self) -> dict[str, int]:
        """How many actions there are of each type; every type appears."""
        counts = Counter(action.action for action in self.actions)
        return {str(kind): counts[kind] for kind in ActionType}

    @property
    def pending(self) -> tuple[Action, ...]:
        """The actions that do something."""
        return tuple(action for action in self.actions if action.effective)

    @property
    def held(self) -> tuple[Action, ...]:
        """The actions that need a person or an answer: held, settling, or a wait that should have ended."""
        return tuple(a for a in self.actions if a.action is ActionType.HOLD or a.reason is Reason.SETTLING or a.overdue)

    def check(self, limits: Limits) -> None:
        """Raises `LimitExceeded`, with the numbers, where the plan is more than one pass may do."""
        submissions = sum(
            a.reason in COUNTED for a in self.actions if a.action in {ActionType.SUBMIT, ActionType.REPLACE}
        )
        cancellations = sum(a.action is ActionType.CANCEL for a in self.actions)
        if limits.max_submissions is not None and submissions > limits.max_submissions:
            raise LimitExceeded("maxSubmissions", limits.max_submissions, submissions, "--max-submissions")
        if limits.max_cancellations is not None and cancellations > limits.max_cancellations:
            raise LimitExceeded("maxCancellations", limits.max_cancellations, cancellations, "--max-cancellations")

    def with_changes(self, changes: dict[str, tuple[Change, ...]]) -> Plan:
        """The same plan with field differences laid in, by client token."""
        return replace(
            self,
            actions=tuple(
                replace(action, changes=changes[action.client_token]) if action.client_token in changes else action
                for action in self.actions
            ),
        )
