"""What keeps a submit from happening now, in the order of what a person should hear first."""

from __future__ import annotations

from dataclasses import replace

from reconciler.plan.action import Action, ActionType, MissedSlots, Reason
from reconciler.plan.case import Case
from reconciler.plan.concurrency import placed
from reconciler.plan.dependencies import Unmet, dependencies
from reconciler.plan.stale import stale_message
from reconciler.plan.submits import stopped, with_run_ids
from reconciler.plan.suspension import overdue, sentence
from reconciler.recorded.slots import MissedReason

LATER_ATTEMPTS = {Reason.RETRY, Reason.RESTART}
"""Their dependencies were met when the first attempt was submitted."""


def suspended(action: Action, case: Case) -> Action | None:
    """The wait for the end of a suspension; `None` where nothing is suspended."""
    if case.stopped is None:
        return None
    what, how = case.stopped
    wait = stopped(action, ActionType.WAIT, Reason.SUSPENDED, sentence(what, how, case.now))
    return replace(wait, overdue=overdue(how, case.now))


def changed(action: Action, case: Case) -> Action:
    """A submit that runs because the spec says something new, behind every gate."""
    if (wait := suspended(action, case)) is not None:
        return wait
    if stale := stale_message(case.record, case.desired):
        return stopped(action, ActionType.HOLD, Reason.STALE_CHECKOUT, stale)
    return ready(action, case)


def ready(action: Action, case: Case, *, may_replace: bool = True) -> Action:
    """A submit behind its dependencies and the live runs of its spec."""
    met = depended(action, case)
    return placed(met, case, may_replace=may_replace) if met.action is ActionType.SUBMIT else met


def depended(action: Action, case: Case) -> Action:
    """A submit behind its dependencies: a wait that names what is missing, or, for a slot that waits for one that never
    comes, a skip. What a person asked for is no such slot: they may ask for the other one too."""
    if action.action is not ActionType.SUBMIT:
        return action
    found = dependencies(case, action.slot)
    if not isinstance(found, Unmet):
        return with_run_ids(action, case.spec, found.run_ids) if action.send == 1 else action
    if action.reason in LATER_ATTEMPTS and not case_names_runs(case):
        return action
    if found.missed and action.slot is not None and action.reason is not Reason.BACKFILL:
        return _missed(action, found)
    hint = "; backfill that too" if found.missed and action.reason is Reason.BACKFILL else ""
    return stopped(action, ActionType.WAIT, Reason.DEPENDENCY, found.message + hint)


def case_names_runs(case: Case) -> bool:
    """Whether the request itself names the runs of other specs, which every attempt needs."""
    return "dependsOn" in case.spec.request


def _missed(action: Action, unmet: Unmet) -> Action:
    slot = action.slot or ""
    stretch = MissedSlots(slot, slot, 1, (slot,), str(MissedReason.DEPENDENCY))
    return replace(stopped(action, ActionType.SKIP, Reason.MISSED, unmet.message), missed=(stretch,))
