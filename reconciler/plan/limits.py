"""How much one pass may submit: what runs by itself and is too much waits for the next pass."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.plan.action import Action, ActionType, Reason
from reconciler.plan.desired import Limits
from reconciler.plan.submits import stopped

COUNTED = {Reason.NEW, Reason.SPEC_CHANGED, Reason.REVISION_CHANGED}
"""Submissions that somebody asked for with a change: more than the limit refuse the whole plan."""

DEFERRED = {Reason.SLOT_DUE, Reason.RETRY, Reason.RESTART, Reason.BACKFILL}
"""Submissions that come by themselves: those beyond the limit wait."""

SENDS = {ActionType.SUBMIT, ActionType.REPLACE}


def within(actions: Sequence[Action], limits: Limits) -> list[Action]:
    """The actions with those beyond `maxSubmissions` waiting: the oldest slots go first, then by name."""
    most = limits.max_submissions
    if most is None:
        return list(actions)
    counted = sum(a.action in SENDS and a.reason in COUNTED for a in actions)
    deferred = [(a.slot or "", a.name, index) for index, a in enumerate(actions) if _waits(a)]
    late = {index for _, _, index in sorted(deferred)[max(0, most - counted) :]}
    message = f"maxSubmissions is {most}: it waits for the next pass"
    return [
        stopped(a, ActionType.WAIT, Reason.LIMIT, message) if index in late else a for index, a in enumerate(actions)
    ]


def _waits(action: Action) -> bool:
    return action.action in SENDS and action.reason in DEFERRED
