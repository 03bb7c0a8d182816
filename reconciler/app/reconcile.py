"""The loop: read, observe, plan, apply, notify."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from reconciler import __version__
from reconciler.app.connections import rates
from reconciler.app.options import selected_names
from reconciler.apply.executor import execute
from reconciler.apply.intents import Provenance
from reconciler.aws.quota import pace
from reconciler.core.absence import absences, conflicts, vanished
from reconciler.core.decide import changed_names, plan
from reconciler.core.desired import Desired, newest_commit
from reconciler.core.events import Absent, Observed, intent_of
from reconciler.core.fold import overlay
from reconciler.core.plan import ActionOutcome, ActionType
from reconciler.errors import UsageError
from reconciler.model.kind import kind_named
from reconciler.model.project import Limits
from reconciler.model.spec import suspension
from reconciler.specs.git import actor, read_checkout
from reconciler.specs.load import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.app.session import Session
    from reconciler.core.desired import DesiredSpec
    from reconciler.core.events import Event
    from reconciler.core.plan import Action, ActionResult, Change, Plan
    from reconciler.core.state import Recorded
    from reconciler.model.base import JSON


@dataclass(frozen=True, slots=True)
class Survey:
    """What a pass knows before it acts.

    `specs` are all of the target's, selected or not; `selected` narrows a command down, `None`: all. `limits` are
    those of this pass. `desired` is what the plan was made from.
    """

    plan: Plan
    desired: Desired
    recorded: Recorded
    specs: Mapping[str, DesiredSpec]
    selected: frozenset[str] | None
    limits: Limits


def survey(
    session: Session,
    *,
    refresh: bool,
    record: bool,
    explain: bool = True,
    lasting: bool = False,
    now: datetime | None = None,
) -> Survey:
    """Reads, looks and plans. With `record` what was seen is written to the ledger before planning, otherwise it is
    laid over in memory and nothing is written anywhere. Without `refresh` AWS is not asked; without `explain`
    the plan tells no field differences. A `lasting` plan, which is carried out later and elsewhere, rests only on
    absence that the ledger holds.

    Raises `SpecErrors`, `UsageError` for a selection of nothing, `LedgerError`, `GuardError`, `ServiceError`.
    """
    specs = load(session.root, targets=[session.place.target], warn=False).specs[session.place.target]
    session.access.name_runs(run_names(specs))
    recorded = session.ledger.refresh()
    recorded.forget_findings()
    selected = _selected(session, specs, recorded)
    if refresh:
        concerned = _concerned(specs, selected)
        recorded = _look(session, recorded, concerned, record=record, lasting=lasting)
    desired = replace(_desired(session, specs, recorded, selected), may_repeat=not lasting)
    if refresh and record and not recorded.intends:
        find_previous_runs(session, desired.specs.values(), recorded)
    made = plan(desired, recorded, now or session.now())
    made = replace(made, warnings=(*made.warnings, *pace(made, rates(session.target))))
    return Survey(explained(session, made) if explain else made, desired, recorded, specs, selected, desired.limits)


def _concerned(specs: Mapping[str, DesiredSpec], selected: frozenset[str] | None) -> frozenset[str] | None:
    """The selection and what it depends on: whether that has ended matters to this pass."""
    if selected is None:
        return None
    mine = [spec for name, spec in specs.items() if name in selected]
    gates = {dependency.name for spec in mine for dependency in spec.policy.dependsOn}
    named = {name for spec in mine for name in kind_named(spec.kind).spec_dependencies(spec.request)}
    return selected | gates | named


def find_previous_runs(session: Session, specs: Iterable[DesiredSpec], recorded: Recorded) -> None:
    """Before the first intent of a ledger: the runs that AWS has of these very specs are laid over `recorded`, for the
    plan to adopt. The ledger may be new; it may also have been lost. A look that fails is laid over too, and the plan
    says so."""
    from reconciler.aws import observe as earlier

    unknown = [spec for spec in specs if recorded.spec(spec.name).newest is None]
    if not unknown:
        return
    session.access.check()
    earlier.find_previous_runs(unknown, session.place, session.access.service, session.now()).lay_over(recorded)


def run_names(specs: Mapping[str, DesiredSpec]) -> dict[str, str]:
    """What the specs call their runs, by the specs' own names."""
    return {name: spec.request[kind_named(spec.kind).name_field] for name, spec in specs.items()}


def _selected(session: Session, specs: Mapping[str, DesiredSpec], recorded: Recorded) -> frozenset[str] | None:
    """The selection, with an eye on other targets only where a name is not found in this one."""
    try:
        return selected_names(session.choice, specs, recorded.specs, {})
    except UsageError:
        elsewhere = load(session.root, warn=False).specs
        return selected_names(session.choice, specs, recorded.specs, elsewhere)


def _look(
    session: Session, recorded: Recorded, selected: frozenset[str] | None, *, record: bool, lasting: bool
) -> Recorded:
    """Asks AWS about every run that may still change and every submission that may have one; about none, AWS is not
    even connected to."""
    open_names = {s.name for s in (*recorded.live(), *recorded.unresolved())}
    if not (open_names if selected is None else open_names & selected):
        return recorded
    from reconciler.aws.observe import observe

    session.access.check()
    looked_at = session.now()
    observed, sighting = observe(recorded, session.access.service, selected, looked_at)
    sighting.lay_over(recorded)
    absent = absences(recorded, looked_at, session.target.settleSeconds)
    gone = vanished(recorded, sighting.unseen, looked_at, session.target.settleSeconds)
    events = (*observed, *conflicts(recorded, looked_at), *absent, *gone)
    for lost in gone:
        if isinstance(lost, Observed):  # that is known now
            recorded.observe_errors.pop(lost.token, None)
    if record:
        if (
            absent or gone
        ):  # they prove something by their time, to every other pass too: a clock that is off would lie to them
            session.access.check_clock()
        from reconciler.apply.executor import record_observations

        record_observations(session.ledger, events)
    else:
        overlay(recorded, [event for event in events if not lasting or not isinstance(event, Absent)])
    return recorded


def _desired(
    session: Session, specs: Mapping[str, DesiredSpec], recorded: Recorded, selected: frozenset[str] | None
) -> Desired:
    """What git asks for, with the age of the checkout relative to the commits that matter to this plan."""
    choice, target = session.choice, session.target
    desired = Desired(
        place=session.place,
        specs={name: spec for name, spec in specs.items() if selected is None or name in selected},
        names=frozenset(specs),
        selected=selected,
        others={name: spec for name, spec in specs.items() if selected is not None and name not in selected},
        suspension=suspension(session.project.spec.suspend),
        limits=choice.limits(target.limits),
        settle_seconds=target.settleSeconds,
        on_unknown=target.onUnknown,
        allow_rollback=choice.allow_rollback,
    )
    commits = {commit for record in changed_names(desired, recorded) if (commit := newest_commit(record))}
    return replace(desired, checkout=read_checkout(session.root, sorted(commits)))


def explained(session: Session, made: Plan) -> Plan:
    """The plan with field differences laid in: each request that changed against the one that was sent before it.

    Only those two requests are read and compared: whether there is a difference was decided by the digests.
    """
    compared = [
        (action.client_token, action.compared_with, action.request, action)
        for action in made.actions
        if action.request is not None and action.compared_with is not None and action.client_token is not None
    ]
    if not compared:
        return made
    batches = dict(session.ledger.batches(sorted({position for _, position, _, _ in compared})))
    return made.with_changes(
        {token: _changes(action, request, batches[position]) for token, position, request, action in compared}
    )


def _changes(action: Action, request: JSON, compared_with: Sequence[Event]) -> tuple[Change, ...]:
    from reconciler.render.diff import explain

    intent = intent_of(compared_with, action.name)
    if not intent.request:  # of a run that was recorded again, and whose content nobody knows
        return ()
    return explain(kind_named(action.kind), intent.request, request)


CALLS = {ActionType.SUBMIT, ActionType.REPLACE, ActionType.CANCEL}


def check_account(session: Session, plan: Plan) -> None:
    """Asks AWS whose credentials these are and what time it is, if the plan has anything to send; the emulator has no
    others. Raises `AccountMismatch`, `ClockSkew`, `ServiceError`."""
    if not session.target.is_emulator and any(action.action in CALLS for action in plan.actions):
        session.access.check()
        session.access.check_clock()


def perform(
    session: Session, plan: Plan, progress: Callable[[Action, ActionResult], None] | None, stop: threading.Event
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
    from reconciler.apply.executor import record_begins

    undone = {
        action.name
        for action, result in zip(plan.actions, results, strict=True)
        if action.missed and result.outcome not in {ActionOutcome.RECORDED, ActionOutcome.NONE}
    }
    begins = [begin for begin in plan.begins if begin.name not in undone]
    if begins:
        record_begins(session.ledger, begins, session.now(), actor)
