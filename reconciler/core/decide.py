"""Makes the plan of a pass from the specs in git, the recorded state and the time.

Module `decide_scheduled` decides about specs with a schedule, and module `cancels` about runs that are cancelled.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.core.approval import plan_id
from reconciler.core.cancels import cancel_asked, cancel_not_started, decide_removed, has_started_after_all
from reconciler.core.changes import changes, differs, is_applied, pending_declarations, recorded_kind
from reconciler.core.decide_scheduled import decide_scheduled
from reconciler.core.declarations import PROJECT_NAME, PendingDeclaration
from reconciler.core.desired import Desired, DesiredSpec, InvalidSpec, overdue, sentence, stale_message
from reconciler.core.due_slots import schedule_changes
from reconciler.core.durations import usual
from reconciler.core.gates import (
    apply_concurrency_policy,
    limit_submissions,
    pass_gates,
    wait_for_dependencies,
    wait_for_replaced_run,
)
from reconciler.core.identity import NO_CONTENT, SubmissionKey, digests
from reconciler.core.plan import SENDS, Action, ActionType, Plan, Reason, SpecChange, stopped
from reconciler.core.previous_runs import decide_previous_runs, hold_without_look, may_lack_runs
from reconciler.core.renames import after_renames, find_renames, rename_hints
from reconciler.core.retries import decide_attempts
from reconciler.core.settings import held_back, pending_settings, settings_change
from reconciler.core.state import Phase, Recorded, SpecRecord, Submission
from reconciler.core.submission import attempts_of, ended_at
from reconciler.core.submit_actions import SpecContext, another_send, of_submission, submit_action, wait_if_suspended
from reconciler.core.suggestions import retry, suggested_commands
from reconciler.core.times import seconds_text
from reconciler.core.unresolved import decide_unresolved
from reconciler.values import dataclass

UNKNOWNS = frozenset({Reason.UNKNOWN, Reason.SETTLING, Reason.CONFLICT})
"""Reasons for actions about which an operator may have more information than AWS reports."""

ENDS = frozenset({Reason.RETRIES_EXHAUSTED, Reason.CANCELLED_OUTSIDE, Reason.LOST, Reason.REJECTED})
"""Reasons for holds that the command `retry` ends."""


def plan(desired: Desired, recorded: Recorded, now: datetime) -> Plan:
    """Returns the plan of one pass. Pure and total.

    Every selected name in `desired` and `recorded` has at least one action. An unresolved submission has its own
    action. Nothing new is submitted for its spec until the submission is resolved, with one exception: later slots do
    not wait for a slot on hold. Actions are sorted by name, then by age of the submission. If changes exceed the
    limits, `Plan.check` raises; slots and retries beyond the limit wait.
    """
    desired, settings = _with_settings(desired, recorded)
    renames = find_renames(desired, recorded)
    recorded = after_renames(recorded, renames.pending)  # an apply records the renames before any action
    names = _names(desired, recorded)
    invalid = {name: why for name in names if (why := why_invalid(name, desired, recorded)) is not None}
    usable = [name for name in names if name not in invalid and name not in renames.conflicts]
    different = [
        name for name in usable if name in renames.pending or differs(desired.specs.get(name), recorded.spec(name))
    ]
    desired = replace(desired, unapplied=frozenset(different)) if desired.applied_only else desired
    stale = {name for name in different if stale_message(recorded.spec(name), desired) is not None}
    runs = _PreviousRuns(recorded.intends, any((*recorded.runs_by_token.values(), *recorded.runs_by_spec.values())))
    in_force = [name for name in usable if name not in stale and desired.stale is None]

    def decided(name: str) -> Sequence[Action]:
        if name in invalid:
            return decide_invalid(invalid[name], recorded.spec(name), recorded, desired, now)
        return _decide(name, desired, recorded, now, runs, stale=name in stale, conflict=renames.conflicts.get(name))

    actions = [held_back(action, desired.stale) for name in names for action in decided(name)]
    actions = [_with_details(action, desired, recorded, now) for action in limit_submissions(actions, desired.limits)]
    created_at = seconds_text(now)
    git_changes = (*settings, *changes(desired, recorded, different, actions, created_at, renames=renames.pending))
    return Plan(
        place=desired.place,
        created_at=created_at,
        ledger_position=recorded.position,
        actions=tuple(actions),
        commit=desired.checkout.commit,
        warnings=(*renames.notes, *_warnings(desired, recorded, actions)),
        uncommitted=desired.checkout.uncommitted,
        schedule_changes=tuple(schedule_changes(in_force, desired, recorded)),
        overdue=desired.suspension is not None and overdue(desired.suspension, now),
        changes=git_changes,
        declarations=tuple(_declarations(desired, recorded, usable, set(different))),
        plan_id=plan_id(git_changes, actions, desired, recorded),
        settings_digest=desired.settings_digest,
    )


def _with_settings(desired: Desired, recorded: Recorded) -> tuple[Desired, tuple[SpecChange, ...]]:
    """Returns the desired state and the change of the settings, if there is one. If the change is stale, the pass does
    nothing."""
    change = settings_change(desired, recorded)
    if change is None:
        return desired, ()
    return replace(desired, stale=f"{PROJECT_NAME}: {change.message}" if change.stale else None), (change,)


def _declarations(
    desired: Desired, recorded: Recorded, names: Sequence[str], different: set[str]
) -> Iterable[PendingDeclaration]:
    """Yields the declarations that an apply records: first that of the settings, then those of the specs."""
    if desired.stale is None:
        yield from pending_settings(desired, recorded)
        yield from pending_declarations(desired, recorded, names, different)


def why_invalid(name: str, desired: Desired, recorded: Recorded) -> InvalidSpec | None:
    """Returns the reason why a spec is on hold because it is invalid in git or may be in an unreadable file, or `None`
    if its desired state is known."""
    why, record = desired.invalid.get(name), recorded.spec(name)
    if why is None and name not in desired.names:  # an invalid spec may still have a former name
        why = next((each for old, each in desired.invalid.items() if recorded.current_name(old) == name), None)
    if why is not None:
        return None if why.elsewhere and not _in_use(record) else why
    if desired.unnamed is None or name in desired.names or not _in_use(record):
        return None
    return desired.unnamed


def _in_use(record: SpecRecord) -> bool:
    """Returns whether removing a spec would have an effect, because it was applied or has runs that may still do
    work."""
    return is_applied(record) or bool(record.live) or bool(record.unresolved)


def decide_invalid(
    why: InvalidSpec, record: SpecRecord, recorded: Recorded, desired: Desired, now: datetime
) -> Sequence[Action]:
    """Returns the adoption of each run that was found by its tag, which is always safe, followed by the hold of the
    spec. Its desired state is unknown, so nothing is submitted, cancelled, withdrawn or treated as removed."""
    unresolved = [decide_unresolved(s, None, record, recorded, desired, now) for s in record.unresolved]
    hold = Action(
        name=record.name,
        kind=why.kind or recorded_kind(record),
        action=ActionType.HOLD,
        reason=Reason.INVALID_SPEC,
        content=replace(NO_CONTENT, source=why.source),
        ledger_head=record.head,
        message=why.message,
    )
    return [*(action for action in unresolved if action.action is ActionType.ADOPT), hold]


def _with_details(action: Action, desired: Desired, recorded: Recorded, now: datetime) -> Action:
    """Adds the usual durations and costs of the spec's runs to an action that submits one. To other actions, adds
    suggested commands if they need an operator."""
    if action.action not in SENDS:
        return _with_suggestions(action, desired, recorded)
    submissions = recorded.spec(action.name).submissions
    return replace(action, typical=usual(submissions, now, desired.prices)) if submissions else action


def _names(desired: Desired, recorded: Recorded) -> list[str]:
    """Returns the names that this pass decides about. A spec that exists but is not selected is left out, even if it is
    recorded."""
    invalid = {name for name, spec in desired.invalid.items() if not spec.elsewhere}
    names = desired.specs.keys() | (recorded.specs.keys() - desired.names) | invalid
    return sorted(names if desired.selected is None else names & desired.selected)


@dataclass(frozen=True, slots=True)
class _PreviousRuns:
    """Whether the ledger contains any intent, and whether this pass found any run in AWS by a token or by the tag of a
    spec. Both depend on all submissions, so they are computed once for all specs."""

    intends: bool
    exist: bool


def _decide(
    name: str,
    desired: Desired,
    recorded: Recorded,
    now: datetime,
    runs: _PreviousRuns,
    *,
    stale: bool,
    conflict: str | None = None,
) -> Sequence[Action]:
    """Returns the actions for one name: requested cancels first, then unresolved submissions, then everything else. If
    `stale` or `conflict` is set, the only action is a hold, because the checkout is too old to change the spec, or its
    rename is impossible."""
    record, spec = recorded.spec(name), desired.specs.get(name)
    asked = [run for run in record.cancels_to_confirm if not has_started_after_all(run)]
    cancels = [cancel_asked(run, record, spec, desired, now) for run in asked]
    # The time limit is a setting of the spec in git, which this pass may not apply in these cases.
    if record.live and not stale and conflict is None and name not in desired.unapplied:
        cancels += cancel_not_started(spec, record, recorded, desired, now)
    unresolved = [decide_unresolved(s, spec, record, recorded, desired, now) for s in record.unresolved]
    rest: Sequence[Action] = ()
    if not any(_blocks(action) for action in unresolved):
        context = None if spec is None else SpecContext(spec, record, recorded, desired, now)
        if context is not None and runs.exist and (previous := decide_previous_runs(context)) is not None:
            rest = [previous]
        elif conflict is not None:
            rest = [_hold(spec, record, Reason.RENAME_CONFLICT, conflict)]
        elif stale:
            rest = [_stale_hold(spec, record, recorded, desired, now)]
        elif context is not None:
            one_off = context.spec.policy.schedule is None
            rest = [decide_one_off(context)] if one_off else decide_scheduled(context)
            if recorded.look_errors and may_lack_runs(recorded, name, intends=runs.intends):
                rest = hold_without_look(context, rest)
        else:  # if a slot is on hold, the hold already describes the spec
            removed = decide_removed(record, desired, now)
            rest = [a for a in removed if a.action is not ActionType.NONE] if unresolved else removed
    shown = {action.client_token for action in (*cancels, *unresolved)}
    return [*cancels, *unresolved, *(a for a in rest if a.action is not ActionType.NONE or a.client_token not in shown)]


def _stale_hold(
    spec: DesiredSpec | None, record: SpecRecord, recorded: Recorded, desired: Desired, now: datetime
) -> Action:
    """Returns the hold for a spec that this checkout may not change. The hold refers to the spec's next submit or
    newest submission."""
    message = stale_message(record, desired) or ""
    baseline = record.baseline
    if spec is not None and spec.policy.schedule is None and (baseline is None or baseline.digest != spec.digest):
        case = SpecContext(spec, record, recorded, desired, now)
        wanted = submit_action(case, SubmissionKey(spec.name, record.next_generation), Reason.SPEC_CHANGED)
        return stopped(wanted, ActionType.HOLD, Reason.STALE_CHECKOUT, message)
    return _hold(spec, record, Reason.STALE_CHECKOUT, message)


def _hold(spec: DesiredSpec | None, record: SpecRecord, reason: Reason, message: str) -> Action:
    """Returns a hold for a whole spec. The hold refers to the newest submission if there is one."""
    newest = record.newest
    if newest is not None:
        source = spec.source if spec is not None else newest.content.source
        return of_submission(newest, record, ActionType.HOLD, reason, message, source=source)
    kind = spec.kind if spec is not None else record.schedule.kind if record.schedule is not None else ""
    content = NO_CONTENT if spec is None else replace(spec.content, request=None)
    return Action(
        record.name, kind, ActionType.HOLD, reason, content=content, ledger_head=record.head, message=message
    )  # fmt: skip


def _blocks(unresolved: Action) -> bool:
    """Returns whether an unresolved submission blocks all other submissions of its spec. A slot that is on hold for an
    operator does not block later slots."""
    return unresolved.slot is None or unresolved.action is not ActionType.HOLD


def _with_suggestions(action: Action, desired: Desired, recorded: Recorded) -> Action:
    """Returns the action. If later passes cannot resolve the submission either, suggested commands for an operator are
    added."""
    held = recorded.by_token.get(action.client_token or "")
    if action.action is ActionType.HOLD and action.reason is not Reason.STALE_CHECKOUT and held is not None:
        action = replace(action, since=seconds_text(ended_at(held)))
    if action.action is ActionType.HOLD and action.reason in ENDS:
        return replace(action, suggested=retry(action.name, action.slot, desired.invocation))
    if action.effective or action.reason not in UNKNOWNS or action.suggested is not None:
        return action
    commands = suggested_commands(
        action.name, action.client_token, recorded, desired.invocation, desired.settle_seconds
    )
    return replace(action, suggested=commands)


def _warnings(desired: Desired, recorded: Recorded, actions: Iterable[Action]) -> Iterable[str]:
    """Yields warnings about the whole plan that operators should read before they confirm it."""
    if not desired.names and recorded.specs:
        yield "the project has no spec for this target, so nothing is cancelled"
    if (moved := recorded.moved) is not None:
        yield (
            f"this ledger ended: it was copied to {moved.ledger}, as the ledger of {moved.place}; nothing can be "
            "applied"
        )
    for action in actions:
        if action.action is ActionType.SUBMIT and (error := recorded.look_errors.get(action.client_token or "")):
            yield f"could not check whether another ledger started a run of {action.name}: {error}"
        if error := recorded.observe_errors.get(action.client_token or ""):
            yield f"could not read the state of run {action.run_id} of {action.name}: {error}"
    if recorded.project is None and recorded.specs and desired.settings is not None:
        yield (
            f"the settings of {PROJECT_NAME} that were applied last are not in the ledger, so it is unknown "
            "whether this "
            "plan changes them. The next apply records them"
        )
    if desired.checkout.uncommitted and any(action.action is ActionType.SUBMIT for action in actions):
        yield (
            "the project has uncommitted changes: submissions will be recorded against commit "
            f"{(desired.checkout.commit or '')[:12]}, which lacks these changes"
        )
    if desired.checkout.unborn and any(action.action in SENDS for action in actions):
        yield (
            "the git repository has no commit yet: no run can be traced to one, and nothing prevents an old checkout "
            "from undoing a new one. Commit the specs first"
        )
    for spec in desired.specs.values():
        yield from (f"{doubt}. `validate` refuses it; it is sent as version 0.1.0 sent it" for doubt in spec.doubts)
    yield from rename_hints(desired, recorded)


def changed_names(desired: Desired, recorded: Recorded) -> list[SpecRecord]:
    """Returns the records for which the age of the checkout matters. Their spec differs from the content that last ran
    or was applied, was applied but never ran, was removed from git, has an unresolved submission, or returns to a run
    that is being replaced."""
    records = []
    pending = find_renames(desired, recorded).pending
    recorded = after_renames(recorded, pending)
    for name in _names(desired, recorded):
        record, spec = recorded.spec(name), desired.specs.get(name)
        baseline = record.baseline
        differs_from_run = record.newest is not None and (
            spec is None
            or baseline is None
            or baseline.digest != spec.digest
            or baseline.replaced
            or bool(record.unresolved)
        )
        is_recorded = name in recorded.specs or record.predecessor is not None
        never_ran = is_recorded and record.newest is None and spec is not None
        if name in pending or differs_from_run or never_ran or (is_recorded and differs(spec, record)):
            records.append(record)
    return records


DECIDED = {Phase.REJECTED, Phase.ABANDONED}


def decide_one_off(context: SpecContext) -> Action:
    """Returns one action for a one-off spec: a submit if the spec differs from the newest accepted submission, another
    attempt of that submission, or its state."""
    spec, record = context.spec, context.record
    baseline, newest = record.baseline, record.newest
    # A replaced run was stopped for newer content. If that never ran and git returns to this content, it runs again.
    if baseline is not None and baseline.digest == spec.digest and not baseline.replaced:
        return _attempted(context, decide_attempts(context, attempts_of(record.submissions, baseline)))
    # AWS rejected exactly this content, or an operator abandoned it, so the same content is not submitted again.
    if newest is not None and newest.phase in DECIDED and newest.digest == spec.digest:
        return _attempted(context, decide_attempts(context, attempts_of(record.submissions, newest)))
    action = _submission(context)
    if baseline is not None and baseline.replaced and baseline.live:
        return wait_if_suspended(action, spec, context.desired, context.now) or wait_for_replaced_run(action, baseline)
    return pass_gates(action, context)


def _attempted(context: SpecContext, action: Action) -> Action:
    """Returns the attempt, the wait at a gate that stops it, or the state of the spec if there is no attempt."""
    if action.action is ActionType.SUBMIT:
        if (wait := wait_if_suspended(action, context.spec, context.desired, context.now)) is not None:
            return wait
        # Unlike in `pass_gates`, the age of the checkout does not matter, because the content is the one that ran last.
        ready = wait_for_dependencies(action, context)
        return apply_concurrency_policy(ready, context) if ready.action is ActionType.SUBMIT else ready
    what, how = context.desired.suspension_of(context.spec) or ("", None)
    if how is not None and overdue(how, context.now) and action.action is ActionType.NONE:
        return replace(action, overdue=True, message=action.message or sentence(what, how, context.now))
    return action


def _submission(context: SpecContext) -> Action:
    """Returns the submit of the spec's current content: a new generation, or another send of a submission that never
    reached AWS."""
    spec, record = context.spec, context.record
    newest = record.newest
    reason = _reason(spec, record.baseline)
    if newest is not None and _never_arrived(newest, spec):
        return another_send(context, newest, reason, f"the last send did not reach AWS ({newest.error})")
    return submit_action(context, SubmissionKey(spec.name, record.next_generation), reason, _history(spec, record))


def _never_arrived(newest: Submission, spec: DesiredSpec) -> bool:
    # The newest submission of a one-off spec is that of a slot if its schedule was removed.
    return newest.phase is Phase.UNSENT and newest.digest == spec.digest and newest.generation is not None


def _reason(spec: DesiredSpec, baseline: Submission | None) -> Reason:
    if baseline is None:
        return Reason.NEW
    # Version 0.1.0 sent some requests in another form, which has another digest.
    before = digests(spec.kind, baseline.revision, spec.request)
    if baseline.digest != spec.digest and baseline.digest in before:
        return Reason.REVISION_CHANGED
    return Reason.SPEC_CHANGED


def _history(spec: DesiredSpec, record: SpecRecord) -> str:
    """Returns a note for a submit whose content was accepted before, because its run was replaced or an earlier
    generation had the same content. The note is empty if there is no such submission."""
    baseline = record.baseline
    if baseline is not None and baseline.digest == spec.digest:
        return f"run {baseline.run_id} was cancelled for other content, which did not run"
    generation = record.generation_of(spec.digest)
    return f"the same content as generation {generation}, which will run again" if generation is not None else ""
