"""The steps of a pass: read, observe, plan, apply, notify.

```text
inputs = read(session)                             # specs from files, submissions from the ledger, in one state
record(session, inputs, observe(session, inputs))  # what AWS reports of open runs, and runs that a ledger has lost
plan = make_plan(session, inputs)                  # writes nothing; again if `look_for_other_ledgers` finds runs
results = apply_plan(session, plan, None, stop)    # checks account, clock, settings; renames; intents, calls, outcomes
record_applied(session, plan, results)             # schedules in force, and what git declared
notify(session, plan, results)                     # each event once
```

`prepare` contains the first three steps, and every command that applies starts with it unless it has a plan file.
`reconcile` runs all steps for a service. `apply`, and `reconciler reconcile` without `--every`, run the last three in
`reconciler.cli.plan.show_and_apply` and the commands that call it, because they print or ask between the steps: a
change of the order must be made in both. A plan that is only shown (`preview`) adds the observation in memory
(`assume`) instead of recording it.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from reconciler import __version__
from reconciler.app.connections import rates
from reconciler.app.inputs import PassInputs, desired_state, in_one_state, read, untracked_warnings
from reconciler.app.other_ledgers import find_previous_runs, look_for_other_ledgers
from reconciler.app.specs_at_rest import SpecsAtRest
from reconciler.app.webhooks import notify
from reconciler.core import decide
from reconciler.core.decide_scheduled import archived_slots
from reconciler.core.events import Absent, Observed, Unseen, intent_of
from reconciler.core.fold import overlay
from reconciler.core.observations import incomplete, is_recorded
from reconciler.core.plan import ActionOutcome, ActionType, Reason
from reconciler.core.renames import after_renames, find_renames
from reconciler.core.settings import others_applied, settling_seconds
from reconciler.core.state import RunState
from reconciler.core.times import time_text
from reconciler.core.unresolved import absences, conflicts, lost_runs
from reconciler.errors import LedgerError, ReconcilerError
from reconciler.model.kind import kind_named
from reconciler.specs.git import actor
from reconciler.values import dataclass

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from reconciler.app.session import Session
    from reconciler.apply.intents import Provenance
    from reconciler.core.desired import DesiredSpec
    from reconciler.core.events import SubmissionEvent
    from reconciler.core.plan import Action, ActionResult, Plan
    from reconciler.core.state import Recorded, Submission
    from reconciler.model.base import JSON
    from reconciler.model.kind import Rate


@dataclass(frozen=True, slots=True)
class Pass:
    """A completed pass. `results` are in the order of the plan's actions; `specs` are the specs of the target."""

    plan: Plan
    results: tuple[ActionResult, ...]
    recorded: Recorded
    specs: Mapping[str, DesiredSpec]


def reconcile(session: Session, stop: threading.Event) -> Pass | None:
    """Runs one pass without confirmation. Returns `None` if `stop` was set before anything was sent.

    An invalid spec and the specs that depend on it are put on hold; other specs are not affected. Raises
    `LimitExceeded` if the plan exceeds the limits of the target, and the errors of the steps.
    """
    inputs, plan = prepare(session, tolerant=True)
    plan.check_limits(session.limits)
    if stop.is_set():
        return None
    results = apply_plan(session, plan, None, stop)
    if not stop.is_set():  # otherwise content that was not sent would count as applied
        record_applied(session, plan, results)
    notify(session, plan, results)
    return Pass(plan, results, inputs.recorded, inputs.specs)


def prepare(session: Session, *, tolerant: bool = False) -> tuple[PassInputs, Plan]:
    """Runs the first half of a pass: reads, observes, records and plans. `tolerant` is as in `read`."""

    def attempt() -> tuple[PassInputs, Plan]:
        inputs = read(session, tolerant=tolerant)
        # Not in `read`, because `plan` and `status` still show a ledger that was copied elsewhere and ended.
        session.ledger.check_open()
        record(session, inputs, observe(session, inputs))
        plan = make_plan(session, inputs)
        # The search needs a plan, because it covers only what the plan submits. Runs that it finds change the plan.
        if look_for_other_ledgers(session, plan, inputs.recorded):
            plan = make_plan(session, inputs)
        return inputs, plan

    return in_one_state(attempt)


def observe(session: Session, inputs: PassInputs) -> Sequence[SubmissionEvent]:
    """Queries AWS about live runs and unresolved submissions, and returns new observations as events.

    Observations that no event can record (runs found by tag, failed lookups) are added to `inputs.recorded`. If no run
    or submission is open, no connection to AWS is made. Raises `GuardError` and `ServiceError` if the account cannot be
    confirmed.
    """
    recorded = inputs.recorded
    settle_seconds = settling_seconds(session.target, recorded)
    names = inputs.concerned
    now = session.now()
    ended = (run for runs in incomplete(recorded, now).values() for run in runs)
    open_names = {submission.name for submission in (*recorded.live(), *recorded.unresolved(), *ended)}
    # Without open runs, `plan` and `status` work without credentials, and a pass at rest makes no calls.
    if not (open_names if names is None else open_names & names):
        return ()
    from reconciler.aws.observe import observe as look

    with session.aws.reading("reading the states of runs"):
        now = session.now()
        states, sighting = look(
            recorded, session.aws.service, names, now, lambda submission: _sent_request(session, submission)
        )
    sighting.lay_over(recorded)
    lost = lost_runs(recorded, sighting.unseen, now, settle_seconds)
    for event in lost:
        if isinstance(event, Observed):  # the run is treated as lost, so its state is not unclear any more
            recorded.observe_errors.pop(event.token, None)
    return (*states, *conflicts(recorded, now), *absences(recorded, now, settle_seconds), *lost)


def _sent_request(session: Session, submission: Submission) -> JSON:
    """Returns the request of a submission's newest intent, or an empty request if the ledger cannot be read now."""
    try:
        events = session.ledger.batch(submission.intent_position)
        return intent_of(events, submission.name, submission.token).request or {}
    except LedgerError:
        return {}  # the request only narrows the lookup by its name, so the lookup takes more calls without it


def record(session: Session, inputs: PassInputs, events: Sequence[SubmissionEvent]) -> None:
    """Writes an observation to the ledger, and searches for runs that may be missing from a new or rolled-back ledger.

    Raises `LedgerError`, and `ClockSkew` before writing an event whose time other passes rely on as proof.
    """
    from reconciler.apply.recording import record_observations

    # AWS may change the reason of a waiting run at any rate. All changes are shown, but not all are recorded.
    events = [each for each in events if not isinstance(each, Observed) or _is_recorded(inputs.recorded, each)]
    if any(_proves_by_its_time(event) for event in events):
        session.aws.check_clock()
    record_observations(session.ledger, events)
    find_previous_runs(session, inputs.chosen.values(), inputs.recorded)


def _is_recorded(recorded: Recorded, event: Observed) -> bool:
    submission = recorded.by_token.get(event.token)
    return submission is None or is_recorded(submission, event)


def _proves_by_its_time(event: SubmissionEvent) -> bool:
    """Returns whether other passes rely on the time of this event to conclude that a submission is absent or a run is
    lost."""
    return isinstance(event, Absent | Unseen) or (isinstance(event, Observed) and event.state == RunState.LOST)


def assume(inputs: PassInputs, events: Sequence[SubmissionEvent], *, absence: bool = True) -> None:
    """Adds an observation to `inputs.recorded` in memory, without writing it.

    If `absence` is false, lookups in AWS that found nothing are left out, because a plan that is applied later may
    depend only on recorded lookups.
    """
    overlay(inputs.recorded, [event for event in events if absence or not isinstance(event, Absent)])


def make_plan(session: Session, inputs: PassInputs, *, now: datetime | None = None, may_repeat: bool = True) -> Plan:
    """Makes the plan from the inputs and observations. `may_repeat` is set if the plan is applied immediately (R6 of
    docs/protocol.md).

    Raises `UsageError` if git cannot describe the checkout.
    """
    desired, now = desired_state(session, inputs, may_repeat=may_repeat), now or session.now()
    if inputs.recorded.archives:
        # The slots of a renamed spec are archived under its former name until the rename is recorded.
        view = after_renames(inputs.recorded, find_renames(desired, inputs.recorded).pending)
        session.ledger.recall(view, archived_slots(desired, view, now))
    plan = decide.plan(desired, inputs.recorded, now)
    others = [*untracked_warnings(session, inputs, plan)]
    if plan.pending:  # the quotas of a kind are in its module, which takes long to import
        others += quota_warnings(plan, rates(session.target, {action.kind for action in plan.pending}))
    return replace(plan, warnings=(*plan.warnings, *others), problems=inputs.problems)


WARN_ABOVE_SECONDS = 60.0
"""The minimum delay in seconds for which a plan contains a warning."""


def quota_warnings(plan: Plan, rates: Mapping[str, Rate]) -> Iterator[str]:
    """Yields a warning for each operation whose quota delays the plan's submissions by a minute or more."""
    calls = Counter(kind_named(a.kind).operation for a in plan.actions if a.action is ActionType.SUBMIT)
    for operation, count in sorted(calls.items()):
        rate = rates.get(operation)
        if rate is not None and (seconds := (count - rate.burst) / rate.perSecond) >= WARN_ABOVE_SECONDS:
            yield (
                f"{count} {operation} calls take about {round(seconds / 60)} min: AWS's quota is {rate.perSecond:g} a "
                f"second after the first {rate.burst}"
            )


def preview(
    session: Session,
    *,
    refresh: bool,
    now: datetime | None = None,
    applied_later: bool = False,
    tolerant: bool = False,
    shown: str | None = None,
) -> tuple[PassInputs, Plan]:
    """Reads the inputs and makes a plan without writing anything, for commands that show state. Calls AWS only with
    `refresh`. `applied_later` is set if the plan is saved in a file. `tolerant` is as in `read`. `shown` is the format
    of a plan that may skip files of specs without pending actions."""
    at_rest = SpecsAtRest.of(session, shown, at_another_time=now is not None, saved=applied_later) if shown else None

    def attempt() -> tuple[PassInputs, Plan]:
        inputs = read(session, tolerant=tolerant, at_rest=at_rest)
        if refresh:
            assume(inputs, observe(session, inputs), absence=not applied_later)
        plan = make_plan(session, inputs, now=now, may_repeat=not applied_later)
        return inputs, plan if at_rest is None else at_rest.completed(plan, inputs)

    inputs, plan = in_one_state(attempt)
    if at_rest is not None:
        at_rest.keep(inputs, plan)
    return inputs, plan


def check_account_and_clock(session: Session, plan: Plan) -> None:
    """Checks the account and the clock against AWS if the plan sends anything, or records events that depend on the
    time, such as missed slots and schedules that start.

    Raises `AccountMismatch`, `ClockSkew`, `ServiceError`. The emulator has only one account and uses this machine's
    clock.
    """
    if session.target.is_emulator:
        return
    if any(action.effective for action in plan.actions) or plan.schedule_changes:
        session.aws.check_account()
        timed = any(action.missed or action.reason is Reason.NOT_STARTED for action in plan.actions)
        session.aws.check_clock(needed=timed or bool(plan.schedule_changes))


def apply_plan(
    session: Session, plan: Plan, progress: Callable[[Action, ActionResult], None] | None, stop: threading.Event
) -> tuple[ActionResult, ...]:
    """Carries out the plan and returns the results in the order of its actions.

    Each intent records the commit that the plan was made from. Raises the errors of `check_account_and_clock` before
    anything is sent.
    """
    from reconciler.apply.executor import execute

    check_account_and_clock(session, plan)  # before the first append, so that a wrong account records nothing
    provenance = provenance_of(session, plan)
    check_settings(session, plan)
    # Before the actions, whose events name the new names.
    record_renames(session, plan, provenance)

    # Called before each action, because the clock and the settings may change during a long apply.
    def check() -> None:
        session.aws.check_clock()
        check_settings(session, plan)

    return execute(
        plan,
        ledger=session.ledger,
        services=session.aws.service,
        clock=session.clock,
        provenance=provenance,
        claim_seconds=session.target.claimSeconds,
        settle_seconds=session.target.settleSeconds,
        quota=session.aws.quota,
        check=check,
        progress=progress,
        stop=stop,
    )


def check_settings(session: Session, plan: Plan) -> None:
    """Raises `ReconcilerError` if another pass has applied different settings of the project file since the plan was
    made, as far as this process has read the ledger."""
    others = others_applied(plan.settings_digest, plan.ledger_position, session.ledger.recorded)
    if plan.pending and others is not None:
        raise ReconcilerError(f"{others}. Nothing more was sent")


def record_renames(session: Session, plan: Plan, provenance: Provenance | None = None) -> None:
    """Records the renames of a plan, because actions and operator decisions use the new names.

    Raises `LedgerError`, and `RenameMoved` if another pass changed a renamed spec since the plan was made.
    """
    if plan.renames:
        from reconciler.apply.recording import record_renames as append_renames

        append_renames(session.ledger, plan, time_text(session.now()), provenance or provenance_of(session, plan))


def provenance_of(session: Session, plan: Plan) -> Provenance:
    """Returns who applies the plan, from which commit, with which version, and in which process."""
    import socket

    from reconciler.apply.intents import Provenance

    return Provenance(
        commit=plan.commit,
        uncommitted=plan.uncommitted,
        actor=actor(session.environ, session.root),
        tool_version=__version__,
        # With a random part, because host names and process ids repeat in containers.
        owner=f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}",
    )


def record_applied(session: Session, plan: Plan, results: Sequence[ActionResult]) -> None:
    """Records the schedules that start or stop with this plan, and the content that was applied. Raises `LedgerError`.

    Runs after the actions, which depend on the state before, and after their results were printed, so that the operator
    sees the run ids even if the ledger fails now.
    """
    from reconciler.apply.recording import record_declarations, record_schedule_changes

    # Missed slots that could not be recorded would be lost by a new start of the schedule. The next pass does both.
    undone = {
        action.name
        for action, result in zip(plan.actions, results, strict=True)
        if action.missed and result.outcome not in {ActionOutcome.RECORDED, ActionOutcome.NONE}
    }
    changes = [change for change in plan.schedule_changes if change.name not in undone]
    pending = [each for each in plan.declarations if each.name not in undone]
    if not changes and not pending:
        return  # without changes, git need not be called a second time to find the actor
    provenance = provenance_of(session, plan)
    if changes:
        check_account_and_clock(session, plan)  # the actions may have taken a long time
        record_schedule_changes(session.ledger, plan, changes, session.now(), provenance.actor)
    if pending:
        record_declarations(session.ledger, pending, plan.actions, time_text(session.now()), provenance)
