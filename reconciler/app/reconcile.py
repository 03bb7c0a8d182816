"""The loop of every pass: read, observe, plan, apply, notify.

```text
inputs = read(session)                                    # specs from files, submissions from the ledger
record(session, inputs, observe(session, inputs))         # what AWS says of open runs and submissions
plan = make_plan(session, inputs)                         # pure; writes nothing
results = apply_plan(session, plan, progress, stop)       # intents, calls, outcomes
record_applied(session, plan, results)                    # schedules in force, and what git declared
notify(session, plan, results)                            # each event once
```

`reconcile` runs these steps for a service; `apply` shows the plan and confirms it before `apply_plan`, and prints the
results before `record_applied`. A dry run stops after `make_plan` and lays the observation over in memory (`assume`)
instead of recording it.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from uuid import uuid4

from reconciler import __version__
from reconciler.app.notifications import notify
from reconciler.app.options import selected_names
from reconciler.app.session import rates
from reconciler.aws.quota import quota_warnings
from reconciler.core.absence import absences, conflicts, lost_runs
from reconciler.core.decide import changed_names, plan
from reconciler.core.desired import Desired, newest_commit
from reconciler.core.events import Absent, Observed, Unseen
from reconciler.core.fold import overlay
from reconciler.core.plan import ActionOutcome, ActionType
from reconciler.core.state import RunState
from reconciler.core.times import time_text
from reconciler.errors import Problem, UsageError
from reconciler.model.kind import kind_named
from reconciler.model.spec import suspension
from reconciler.specs.broken import UsableSpecs, load_usable
from reconciler.specs.git import actor, read_checkout, untracked
from reconciler.specs.project import load

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from reconciler.app.session import Session
    from reconciler.apply.intents import Provenance
    from reconciler.core.desired import DesiredSpec, InvalidSpec
    from reconciler.core.events import SubmissionEvent
    from reconciler.core.plan import Action, ActionResult, Plan
    from reconciler.core.state import Recorded

MOST_NAMED = 5  # specs in one warning


@dataclass(frozen=True, slots=True)
class PassInputs:
    """What a pass reads before it asks AWS.

    `specs` are the specs of the target by name, selected or not, but for those that are not valid or depend on such:
    `invalid`. `selected` are the names that the command is about, `None` for all. `recorded` is the fold of the ledger;
    observations change it in place. `unnamed` and `problems` are as in `UsableSpecs`.
    """

    specs: Mapping[str, DesiredSpec]
    selected: frozenset[str] | None
    recorded: Recorded
    invalid: Mapping[str, InvalidSpec] = field(default_factory=dict)
    unnamed: InvalidSpec | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The names of all specs of the target, valid or not."""
        return frozenset(self.specs) | {name for name, spec in self.invalid.items() if not spec.elsewhere}


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass that was carried out: `results` are in the order of the plan's actions."""

    plan: Plan
    results: tuple[ActionResult, ...]
    recorded: Recorded


def reconcile(session: Session, stop: threading.Event) -> Pass | None:
    """Runs one pass without confirmation. Returns `None` if `stop` was set before anything was sent.

    A spec that is not valid is on hold, with those that depend on it, and does not stop the others. Raises
    `LimitExceeded` if the plan exceeds the limits of the target, and as the five steps do.
    """
    inputs, made = prepare(session, tolerant=True)
    made.check(session.limits)
    if stop.is_set():
        return None
    results = apply_plan(session, made, None, stop)
    if not stop.is_set():
        record_applied(session, made, results)
    notify(session, made, results)
    return Pass(made, results, inputs.recorded)


def prepare(session: Session, *, tolerant: bool = False) -> tuple[PassInputs, Plan]:
    """Does the first half of a pass that acts: reads, observes, records and plans. `tolerant` as for `read`."""
    inputs = read(session, tolerant=tolerant)
    record(session, inputs, observe(session, inputs))
    return inputs, make_plan(session, inputs)


def read(session: Session, *, tolerant: bool = False) -> PassInputs:
    """Reads the specs and the ledger, and applies the selection of the command line.

    With `tolerant`, what is wrong with a spec puts it on hold. Else it raises `SpecErrors`. Raises `LedgerError`, and
    `UsageError` if the selection names nothing.
    """
    usable = _usable(session, tolerant=tolerant)
    invalid = {**usable.dependents, **usable.invalid}
    specs = {name: spec for name, spec in usable.specs.items() if name not in invalid}
    session.aws.name_runs(run_names(specs))
    recorded = session.ledger.refresh()
    recorded.forget_findings()
    selected = _selected(session, {**invalid, **usable.specs}, recorded)
    problems = usable.problems if selected is None else _problems_of(selected, invalid)
    return PassInputs(specs, selected, recorded, invalid, usable.unnamed, problems)


def _usable(session: Session, *, tolerant: bool) -> UsableSpecs:
    target = session.place.target
    if tolerant:
        return load_usable(session.project_file, target)
    return UsableSpecs(load(session.project_file, targets=[target], warn=False).specs[target])


def _problems_of(names: Collection[str], invalid: Mapping[str, InvalidSpec]) -> tuple[Problem, ...]:
    problems = {problem for name in names if name in invalid for problem in invalid[name].problems}
    return tuple(sorted(problems, key=Problem.order))


def observe(session: Session, inputs: PassInputs) -> Sequence[SubmissionEvent]:
    """Asks AWS about live runs and unresolved submissions, and returns what is new as events.

    What no event can hold (runs found by tag, failed look-ups) is laid over `inputs.recorded`. If nothing is open, AWS
    is not even connected to. Raises `GuardError` and `ServiceError` if the account cannot be confirmed.
    """
    recorded, settle_seconds = inputs.recorded, session.target.settleSeconds
    names = _concerned(inputs)
    open_names = {submission.name for submission in (*recorded.live(), *recorded.unresolved())}
    if not (open_names if names is None else open_names & names):
        return ()
    from reconciler.aws.observe import observe as look

    session.aws.check()
    now = session.now()
    states, sighting = look(recorded, session.aws.service, names, now)
    sighting.lay_over(recorded)
    lost = lost_runs(recorded, sighting.unseen, now, settle_seconds)
    for event in lost:
        if isinstance(event, Observed):  # the run counts as lost, so its state is no longer unclear
            recorded.observe_errors.pop(event.token, None)
    return (*states, *conflicts(recorded, now), *absences(recorded, now, settle_seconds), *lost)


def record(session: Session, inputs: PassInputs, events: Sequence[SubmissionEvent]) -> None:
    """Writes an observation to the ledger; before the first intent of a ledger, also looks for runs of a lost one.

    Raises `LedgerError`, and `ClockSkew` before an event whose time proves something to other passes is written.
    """
    from reconciler.apply.executor import record_observations

    if any(_proves_by_its_time(event) for event in events):
        session.aws.check_clock()
    record_observations(session.ledger, events)
    if not inputs.recorded.intends:
        find_previous_runs(session, _chosen(inputs).values(), inputs.recorded)


def _proves_by_its_time(event: SubmissionEvent) -> bool:
    """Whether other passes conclude from the time of this event that a submission is absent, or a run lost."""
    return isinstance(event, Absent | Unseen) or (isinstance(event, Observed) and event.state == RunState.LOST)


def assume(inputs: PassInputs, events: Sequence[SubmissionEvent], *, absence: bool = True) -> None:
    """Lays an observation over `inputs.recorded` in memory and writes nothing.

    Without `absence`, an empty look at AWS does not count: a plan that is applied later must rest on recorded looks.
    """
    overlay(inputs.recorded, [event for event in events if absence or not isinstance(event, Absent)])


def make_plan(session: Session, inputs: PassInputs, *, now: datetime | None = None, may_repeat: bool = True) -> Plan:
    """Plans from what was read and observed. With `may_repeat` the plan is applied at once (R6 of docs/protocol.md).

    Raises `UsageError` if git cannot be asked about the checkout.
    """
    desired = _desired(session, inputs, may_repeat=may_repeat)
    made = plan(desired, inputs.recorded, now or session.now())
    others = (*untracked_warnings(session, inputs, made), *quota_warnings(made, rates(session.target)))
    return replace(made, warnings=(*made.warnings, *others), problems=inputs.problems)


def untracked_warnings(session: Session, inputs: PassInputs, made: Plan) -> Iterator[str]:
    """Yields a warning about specs that are about to run and that git does not track."""
    submits = {action.name for action in made.actions if action.action in {ActionType.SUBMIT, ActionType.REPLACE}}
    specs = (spec for name, spec in inputs.specs.items() if name in submits and made.commit is not None)
    missing = untracked(session.root, [spec.source.path for spec in specs if spec.source is not None])
    if missing:
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        yield (
            f"git does not track {', '.join(missing[:MOST_NAMED])}{more}: no commit has what will run. Add and commit "
            "what is to run, and see .gitignore if git add refuses"
        )


def preview(
    session: Session,
    *,
    refresh: bool,
    now: datetime | None = None,
    applied_later: bool = False,
    tolerant: bool = False,
) -> tuple[PassInputs, Plan]:
    """Reads and plans without writing anything, for commands that show state; asks AWS only with `refresh`. With
    `applied_later` the plan is saved in a file. `tolerant` as for `read`."""
    inputs = read(session, tolerant=tolerant)
    if refresh:
        assume(inputs, observe(session, inputs), absence=not applied_later)
    return inputs, make_plan(session, inputs, now=now, may_repeat=not applied_later)


def check_account(session: Session, made: Plan) -> None:
    """Asks AWS for account and time if the plan sends anything, or records what rests on the time, such as missed slots
    and schedules that begin.

    Raises `AccountMismatch`, `ClockSkew`, `ServiceError`. The emulator has no other accounts and no other clock.
    """
    if session.target.is_emulator:
        return
    if any(action.effective for action in made.actions) or made.schedule_changes:
        session.aws.check()
        session.aws.check_clock(needed=bool(made.schedule_changes) or any(action.missed for action in made.actions))


def apply_plan(
    session: Session, made: Plan, progress: Callable[[Action, ActionResult], None] | None, stop: threading.Event
) -> tuple[ActionResult, ...]:
    """Carries out the plan and returns results in the order of its actions.

    Each intent records the commit that the plan was made from. Raises as `check_account` does, before anything is sent.
    """
    from reconciler.apply.executor import execute

    check_account(session, made)
    return execute(
        made,
        ledger=session.ledger,
        services=session.aws.service,
        clock=session.clock,
        provenance=_provenance(session, made),
        claim_seconds=session.target.claimSeconds,
        settle_seconds=session.target.settleSeconds,
        quota=session.aws.quota,
        check=session.aws.check_clock,
        progress=progress,
        stop=stop,
    )


def find_previous_runs(session: Session, specs: Iterable[DesiredSpec], recorded: Recorded) -> None:
    """Looks in AWS for runs of specs that the ledger has no submission of, so that the plan adopts them.

    The ledger may be new, or it may have been lost. A failed look is kept too, and the plan warns about it.
    """
    from reconciler.aws import observe as aws_observe

    unknown = [spec for spec in specs if recorded.spec(spec.name).newest is None]
    if unknown:
        session.aws.check()
        aws_observe.find_previous_runs(unknown, session.place, session.aws.service, session.now()).lay_over(recorded)


def run_names(specs: Mapping[str, DesiredSpec]) -> dict[str, str]:
    """The names that the specs give their runs, by spec name."""
    return {name: spec.request[kind_named(spec.kind).name_field] for name, spec in specs.items()}


def _selected(
    session: Session, specs: Mapping[str, DesiredSpec | InvalidSpec], recorded: Recorded
) -> frozenset[str] | None:
    """The selected names. Other targets are read only if a name is missing in this one, to say where it is."""
    try:
        return selected_names(session.options, specs, recorded.specs, {})
    except UsageError:
        elsewhere = load(session.project_file, warn=False).specs
        return selected_names(session.options, specs, recorded.specs, elsewhere)


def _chosen(inputs: PassInputs) -> dict[str, DesiredSpec]:
    return {name: spec for name, spec in inputs.specs.items() if inputs.selected is None or name in inputs.selected}


def _concerned(inputs: PassInputs) -> frozenset[str] | None:
    """The selected names and their dependencies: whether those have ended matters to this pass."""
    if inputs.selected is None:
        return None
    chosen = _chosen(inputs).values()
    gates = {dependency.name for spec in chosen for dependency in spec.policy.dependsOn}
    named = {name for spec in chosen for name in kind_named(spec.kind).spec_dependencies(spec.request)}
    return inputs.selected | gates | named


def _desired(session: Session, inputs: PassInputs, *, may_repeat: bool) -> Desired:
    """Returns the specs in git, with the checkout's age relative to the commits that matter to this plan."""
    chosen, target = _chosen(inputs), session.target
    desired = Desired(
        place=session.place,
        specs=chosen,
        names=inputs.names,
        selected=inputs.selected,
        others={name: spec for name, spec in inputs.specs.items() if name not in chosen},
        suspension=suspension(session.project.spec.suspend),
        limits=session.limits,
        settle_seconds=target.settleSeconds,
        on_unknown=target.onUnknown,
        allow_rollback=session.options.allow_rollback,
        may_repeat=may_repeat,
        invalid=inputs.invalid,
        unnamed=inputs.unnamed,
        directory=session.invocation.directory,
        local_ledger=session.invocation.local_ledger,
    )
    commits = {commit for each in changed_names(desired, inputs.recorded) if (commit := newest_commit(each))}
    return replace(desired, checkout=read_checkout(session.root, sorted(commits)))


def _provenance(session: Session, made: Plan) -> Provenance:
    """Returns who applies the plan, from which commit, with which version, and in which process."""
    from reconciler.apply.intents import Provenance

    return Provenance(
        commit=made.commit,
        uncommitted=made.uncommitted,
        actor=actor(session.environ, session.root),
        tool_version=__version__,
        owner=f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}",
    )


def record_applied(session: Session, made: Plan, results: Sequence[ActionResult]) -> None:
    """Records the schedules that begin or stop with this plan, and what was applied. Raises `LedgerError`.

    Runs after the actions, which rest on the state as it was, and after their results were printed: if the ledger is
    gone by then, the operator still sees the run ids. A spec whose missed slots could not be recorded is left
    to the next pass: with a new beginning of its schedule recorded, those slots would be forgotten.
    """
    from reconciler.apply.declare import record_declarations
    from reconciler.apply.executor import record_schedule_changes

    undone = {
        action.name
        for action, result in zip(made.actions, results, strict=True)
        if action.missed and result.outcome not in {ActionOutcome.RECORDED, ActionOutcome.NONE}
    }
    changes = [change for change in made.schedule_changes if change.name not in undone]
    pending = [each for each in made.declarations if each.name not in undone]
    if not changes and not pending:
        return  # a pass at rest does not ask git for the actor a second time
    provenance = _provenance(session, made)
    if changes:
        check_account(session, made)  # the actions may have taken long
        record_schedule_changes(session.ledger, changes, session.now(), provenance.actor)
    if pending:
        record_declarations(session.ledger, pending, made.actions, time_text(session.now()), provenance)
