"""Makes the plan of a pass from the specs in git, the recorded state and the time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.core.approval import plan_id
from reconciler.core.changes import changes, differs, pending_declarations
from reconciler.core.desired import Desired, DesiredSpec, overdue, stale_message
from reconciler.core.identity import NO_CONTENT, SubmissionKey
from reconciler.core.one_off import decide_one_off, decide_previous_runs
from reconciler.core.plan import Action, ActionType, Plan, Reason, stopped, within
from reconciler.core.removed import cancel_asked, decide_removed
from reconciler.core.schedule import schedule_changes
from reconciler.core.scheduled import decide_scheduled
from reconciler.core.state import Recorded, SpecRecord
from reconciler.core.submission import Submission
from reconciler.core.submits import SpecContext, of_submission, submit
from reconciler.core.suggested_commands import adopt, retry, suggested_commands
from reconciler.core.times import seconds_text
from reconciler.core.unresolved import decide_unresolved

UNKNOWNS = frozenset({Reason.UNKNOWN, Reason.SETTLING, Reason.CONFLICT})
"""Reasons of actions about which an operator may know more than AWS reports."""

ENDS = frozenset({Reason.RETRIES_EXHAUSTED, Reason.CANCELLED_OUTSIDE, Reason.LOST, Reason.REJECTED})
"""Reasons of holds that `retry` ends."""


def plan(desired: Desired, recorded: Recorded, now: datetime) -> Plan:
    """Returns the plan of one pass. Pure and total.

    Every selected name in `desired` and `recorded` has at least one action; an unresolved submission has its own, and
    nothing new is submitted for its spec until it is resolved, or held as a slot that later slots do not wait for.
    Actions are sorted by name, then by age of the submission. If changes exceed the limits, `Plan.check` raises; slots
    and retries beyond the limit wait.
    """
    names = _names(desired, recorded)
    different = [name for name in names if differs(desired.specs.get(name), recorded.spec(name))]
    stale = {name for name in different if stale_message(recorded.spec(name), desired) is not None}
    decided = [action for name in names for action in _decide(name, desired, recorded, now, stale=name in stale)]
    actions = [_with_suggestions(action, desired, recorded) for action in within(decided, desired.limits)]
    created_at = seconds_text(now)
    git_changes = tuple(changes(desired, recorded, different, actions, created_at))
    return Plan(
        place=desired.place,
        created_at=created_at,
        ledger_position=recorded.position,
        actions=tuple(actions),
        commit=desired.checkout.commit,
        warnings=tuple(_warnings(desired, recorded, actions)),
        uncommitted=desired.checkout.uncommitted,
        schedule_changes=tuple(schedule_changes([name for name in names if name not in stale], desired, recorded)),
        overdue=desired.suspension is not None and overdue(desired.suspension, now),
        changes=git_changes,
        declarations=tuple(pending_declarations(desired, recorded, names, set(different))),
        plan_id=plan_id(desired.place, git_changes, actions, desired.specs, recorded),
    )


def _names(desired: Desired, recorded: Recorded) -> list[str]:
    """Returns the names in this pass: a spec that exists and is not selected is left alone, recorded or not."""
    names = desired.specs.keys() | (recorded.specs.keys() - desired.names)
    return sorted(names if desired.selected is None else names & desired.selected)


def _decide(name: str, desired: Desired, recorded: Recorded, now: datetime, *, stale: bool) -> Sequence[Action]:
    """Returns the actions of one name: requested cancels first, then unresolved submissions, then everything else. With
    `stale`, that is one hold: the checkout is too old to change the spec."""
    record, spec = recorded.spec(name), desired.specs.get(name)
    cancels = [cancel_asked(run, record, spec, desired, now) for run in record.cancels_to_confirm]
    unresolved = [decide_unresolved(s, spec, record, recorded, desired, now) for s in record.unresolved]
    rest: Sequence[Action] = ()
    if not any(_blocks(action) for action in unresolved):
        if (
            spec is not None
            and record.newest is None
            and (previous := decide_previous_runs(spec, recorded, desired)) is not None
        ):
            rest = [previous]
        elif stale:
            rest = [_stale_hold(spec, record, recorded, desired, now)]
        elif spec is not None:
            context = SpecContext(spec, record, recorded, desired, now)
            rest = [decide_one_off(context)] if spec.policy.schedule is None else decide_scheduled(context)
        elif not unresolved:
            rest = decide_removed(record, desired, now)
    shown = {action.client_token for action in (*cancels, *unresolved)}
    return [*cancels, *unresolved, *(a for a in rest if a.action is not ActionType.NONE or a.client_token not in shown)]


def _stale_hold(
    spec: DesiredSpec | None, record: SpecRecord, recorded: Recorded, desired: Desired, now: datetime
) -> Action:
    """Returns the hold of a spec that this checkout may not change, for its next submit or its newest submission."""
    message = stale_message(record, desired) or ""
    baseline = record.baseline
    if spec is not None and spec.policy.schedule is None and (baseline is None or baseline.digest != spec.digest):
        case = SpecContext(spec, record, recorded, desired, now)
        wanted = submit(case, SubmissionKey(spec.name, record.next_generation), Reason.SPEC_CHANGED)
        return stopped(wanted, ActionType.HOLD, Reason.STALE_CHECKOUT, message)
    newest = record.newest
    if newest is not None:
        source = spec.source if spec is not None else newest.content.source
        return of_submission(newest, record, ActionType.HOLD, Reason.STALE_CHECKOUT, message, source=source)
    kind = spec.kind if spec is not None else record.schedule.kind if record.schedule is not None else ""
    content = NO_CONTENT if spec is None else replace(spec.content, request=None)
    return Action(
        record.name, kind, ActionType.HOLD, Reason.STALE_CHECKOUT, content=content, ledger_head=record.head,
        message=message,
    )  # fmt: skip


def _blocks(unresolved: Action) -> bool:
    """Whether nothing else of the spec is submitted until this is resolved. A slot that is held for an operator blocks
    nothing: later slots run."""
    return unresolved.slot is None or unresolved.action is not ActionType.HOLD


def _with_suggestions(action: Action, desired: Desired, recorded: Recorded) -> Action:
    """Returns the action with the commands by which an operator can decide it, if later passes will not."""
    target = desired.place.target
    if action.action is ActionType.HOLD and action.reason in ENDS:
        return replace(action, suggested=retry(action.name, action.slot, target))
    if action.effective or action.reason not in UNKNOWNS:
        return action
    commands = suggested_commands(action.name, action.client_token, recorded, target, desired.settle_seconds)
    return replace(action, suggested=commands)


def _warnings(desired: Desired, recorded: Recorded, actions: Iterable[Action]) -> Iterable[str]:
    """Yields what operators should know about the plan as a whole before they confirm it."""
    if not desired.names and recorded.specs:
        yield "the project has no spec for this target: nothing is cancelled because of that"
    for action in actions:
        if action.action is ActionType.SUBMIT and (error := recorded.look_errors.get(action.client_token or "")):
            yield f"could not check whether AWS has a run of {action.name} from before this ledger: {error}"
        if error := recorded.observe_errors.get(action.client_token or ""):
            yield f"could not read the state of run {action.run_id} of {action.name}: {error}"
    if desired.checkout.uncommitted and any(action.action is ActionType.SUBMIT for action in actions):
        yield (
            "the project has uncommitted changes: submissions will be recorded against commit "
            f"{(desired.checkout.commit or '')[:12]}, which lacks these changes"
        )
    removed = {
        record.baseline.digest: record.baseline
        for record in recorded.specs.values()
        if record.name not in desired.names and record.baseline is not None
    }
    for action in actions:
        if action.action is ActionType.SUBMIT and action.reason is Reason.NEW and action.digest in removed:
            yield (
                f"{action.name} is new and equal to {removed[action.digest].name}, which is gone. Renamed? "
                f"It will run again under the new name.{_keep_run(action.name, removed[action.digest], desired)}"
            )


def _keep_run(name: str, gone: Submission, desired: Desired) -> str:
    """Says how a renamed spec keeps its run."""
    if gone.run_id is None:
        return ""
    return f" To keep the old run instead: {adopt(name, gone.run_id, desired.place.target)}"


def changed_names(desired: Desired, recorded: Recorded) -> list[SpecRecord]:
    """The records whose spec differs from what ran or was applied last, is gone, or has an unresolved submission: those
    for which the checkout's age matters."""
    records = []
    for name in _names(desired, recorded):
        record, spec = recorded.spec(name), desired.specs.get(name)
        baseline = record.baseline
        differs_from_run = record.newest is not None and (
            spec is None or baseline is None or baseline.digest != spec.digest or bool(record.unresolved)
        )
        if differs_from_run or (name in recorded.specs and differs(spec, record)):
            records.append(record)
    return records
