"""The first half of a pass: read what git asks for and what the ledger holds, look at AWS, and plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from reconciler.errors import UsageError
from reconciler.model.kinds import kind_named
from reconciler.plan.decide import changed_names, plan
from reconciler.plan.desired import Desired, Limits
from reconciler.plan.settling import absences, conflicts
from reconciler.plan.stale import newest_commit
from reconciler.plan.suspension import suspension
from reconciler.plan.vanished import vanished
from reconciler.recorded.events import Absent, Observed, intent_of
from reconciler.recorded.fold import overlay
from reconciler.specs.checkout import read_checkout
from reconciler.specs.load import load
from reconciler.wiring.access import rates
from reconciler.wiring.choice import selected_names
from reconciler.wiring.pace import pace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.model.strict import JSON
    from reconciler.plan.action import Action
    from reconciler.plan.change import Change
    from reconciler.plan.desired import DesiredSpec
    from reconciler.plan.value import Plan
    from reconciler.recorded.events import Event
    from reconciler.recorded.state import Recorded
    from reconciler.wiring.session import Session


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
        look_for_earlier(session, desired.specs.values(), recorded)
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


def look_for_earlier(session: Session, specs: Iterable[DesiredSpec], recorded: Recorded) -> None:
    """Before the first intent of a ledger: the runs that AWS has of these very specs are laid over `recorded`, for the
    plan to adopt. The ledger may be new; it may also have been lost. A look that fails is laid over too, and the plan
    says so."""
    from reconciler.observe import earlier

    unknown = [spec for spec in specs if recorded.spec(spec.name).newest is None]
    if not unknown:
        return
    session.access.check()
    earlier.look_for_earlier(unknown, session.place, session.access.service, session.now()).lay_over(recorded)


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
    from reconciler.observe.look import observe

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
        from reconciler.apply.record import record_observations

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
        limits=choice.limits(Limits(target.limits.maxSubmissions, target.limits.maxCancellations)),
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
    from reconciler.diff.explain import explain

    intent = intent_of(compared_with, action.name)
    if not intent.request:  # of a run that was recorded again, and whose content nobody knows
        return ()
    return explain(kind_named(action.kind), intent.request, request)
