"""What a live run of the same spec means for a submit: nothing, a wait, or a replacement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reconciler.identity.instant import parse, seconds_text
from reconciler.plan.action import Action, ActionType, Reason
from reconciler.plan.case import Case
from reconciler.plan.submits import stopped
from reconciler.recorded.submission import Submission


def placed(action: Action, case: Case, *, may_replace: bool = True) -> Action:
    """The submit itself where the spec has no live run or allows several; else what `concurrencyPolicy` says.

    A replacement asks for the end of the newest run that was not asked yet; while those that were asked go on, it
    waits.
    """
    live = case.record.live
    policy = case.spec.policy.concurrencyPolicy
    if not live or policy == "Allow":
        return action
    if policy == "Replace" and may_replace:
        return _replacing(action, live)
    return _waiting(action, case, live[-1])


def _replacing(action: Action, live: Sequence[Submission]) -> Action:
    unasked = [run for run in live if run.cancel_asked_at is None]
    if unasked:
        old = unasked[-1]
        message = f"run {old.run_id} ({which(old)}) is cancelled first; this is submitted once it has ended"
        return replace(action, action=ActionType.REPLACE, replaces=old.run_id, message=message)
    return replacing(action, live[-1])


def replacing(action: Action, run: Submission) -> Action:
    """The wait for a run that was asked to end."""
    asked = seconds_text(parse(run.cancel_asked_at or run.first_intent_at))
    message = f"run {run.run_id} ({which(run)}) was asked to stop at {asked}, and has not ended yet"
    return replace(stopped(action, ActionType.WAIT, Reason.REPLACING, message), run_id=run.run_id)


def _waiting(action: Action, case: Case, run: Submission) -> Action:
    doubt = case.recorded.observe_errors.get(run.token)
    message = f"run {run.run_id} of {which(run)} is live" + (f", as far as is known ({doubt})" if doubt else "")
    return replace(stopped(action, ActionType.WAIT, Reason.CONCURRENCY, message), run_id=run.run_id)


def which(run: Submission) -> str:
    """``generation 3`` or ``slot 2026-11-22T02:00:00Z``."""
    return f"slot {run.slot}" if run.slot is not None else f"generation {run.generation}"
