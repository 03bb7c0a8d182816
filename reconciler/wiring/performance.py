"""The second half of a pass: do what the plan says, with what each intent says of who did it from what."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from threading import Event
from typing import TYPE_CHECKING
from uuid import uuid4

from reconciler import __version__
from reconciler.apply.execute import execute
from reconciler.apply.intent import Provenance
from reconciler.plan.action import ActionType
from reconciler.plan.result import ActionOutcome
from reconciler.specs.checkout import actor

if TYPE_CHECKING:
    from reconciler.plan.action import Action
    from reconciler.plan.result import ActionResult
    from reconciler.plan.value import Plan
    from reconciler.wiring.session import Session

CALLS = {ActionType.SUBMIT, ActionType.REPLACE, ActionType.CANCEL}


def check_account(session: Session, plan: Plan) -> None:
    """Asks AWS whose credentials these are and what time it is, if the plan has anything to send; the emulator has no
    others. Raises `AccountMismatch`, `ClockOff`, `ServiceError`."""
    if not session.target.is_emulator and any(action.action in CALLS for action in plan.actions):
        session.access.check()
        session.access.check_clock()


def perform(
    session: Session, plan: Plan, progress: Callable[[Action, ActionResult], None] | None, stop: Event
) -> tuple[ActionResult, ...]:
    """Carries out the plan; results are in the order of its actions. The commit that each intent records is the one
    that the plan was made from."""
    check_account(session, plan)
    provenance = Provenance(
        commit=plan.commit,
        uncommitted=plan.uncommitted,
        actor=actor(session.environ, session.root),
        tool_version=__version__,
        owner=f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}",
    )
    results = execute(
        plan,
        ledger=session.ledger,
        services=session.access.service,
        clock=session.clock,
        provenance=provenance,
        claim_seconds=session.target.claimSeconds,
        settle_seconds=session.target.settleSeconds,
        quota=session.access.quota,
        progress=progress,
        stop=stop,
    )
    if not stop.is_set():
        _write_down_begins(session, plan, results, provenance.actor)
    return results


def _write_down_begins(session: Session, plan: Plan, results: Sequence[ActionResult], actor: str) -> None:
    """Records the schedules that begin or stop with this plan, after its actions: those rest on the schedule as it was.

    One whose missed slots could not be recorded is left to the next pass. Raises `LedgerError`.
    """
    from reconciler.apply.record import record_begins

    undone = {
        action.name
        for action, result in zip(plan.actions, results, strict=True)
        if action.missed and result.outcome not in {ActionOutcome.RECORDED, ActionOutcome.NONE}
    }
    begins = [begin for begin in plan.begins if begin.name not in undone]
    if begins:
        record_begins(session.ledger, begins, session.now(), actor)
