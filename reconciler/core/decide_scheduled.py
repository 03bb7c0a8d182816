"""Decides about the slots of a scheduled spec: the run of each slot, and the slots that never run. Finds the archived
slots that a plan needs, so that they can be read from the ledger before the plan is made."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.core.cron import next_slot
from reconciler.core.desired import Desired, DesiredSpec
from reconciler.core.due_slots import Due, due_slots, in_force, is_behind, overdue_slots
from reconciler.core.gates import apply_concurrency_policy, wait_for_dependencies
from reconciler.core.identity import Content, SubmissionKey
from reconciler.core.plan import Action, ActionType, MissedSlots, Reason, stopped
from reconciler.core.previous_runs import may_lack_runs, newest_slots
from reconciler.core.retention import UNDONE, no_longer_retried
from reconciler.core.retries import decide_attempts
from reconciler.core.state import Recorded, SpecRecord, Submission
from reconciler.core.submission import Attempts, attempts_of, last_of
from reconciler.core.submit_actions import SpecContext, of_submission, submit_action, wait_if_suspended
from reconciler.core.times import MissedReason, parse_time
from reconciler.model.kind import kind_named


def decide_scheduled(context: SpecContext) -> Sequence[Action]:
    """Returns the actions of one spec, oldest slot first: states of open slots, further attempts, due slots, and one
    action for missed slots."""
    states, attempts = _open_slots(context)
    due = due_slots(context.record, context.spec.policy, context.now)
    if context.desired.suspension_of(context.spec) is not None:
        actions = [*states, _suspended_wait(context, due)]
    else:
        missed = due.missed or _missed_before(context)
        submits = [*attempts, *_due_submits(context, due), *_backfill(context, due)]
        # Only the skip that records missed slots may advance `handled_until`. Otherwise they would be lost if the skip
        # failed.
        until = due.handled_until if not missed else None
        submits = [replace(a, handled_until=until if a.reason is Reason.SLOT_DUE else None) for a in submits]
        actions = [*states, *_skip(context, missed, due.handled_until), *_shortened(_in_turn(submits, context), due)]
    following = next_slot(context.spec.policy.schedule or "", context.spec.policy.timeZone, context.now)
    actions = actions or [_in_sync(context)]
    return [replace(action, next_slot=following) for action in sorted(actions, key=_age)]


def _age(action: Action) -> tuple[str, int]:
    return (action.slot or "", action.attempt)


def _open_slots(context: SpecContext) -> tuple[list[Action], list[Action]]:
    """Returns the states of the submitted slots that are still open, and the further attempts that are due."""
    states: list[Action] = []
    submits: list[Action] = []
    top = max((s for s in context.record.submissions if s.slot is not None), key=lambda s: s.slot or "", default=None)
    for attempts in _open_attempts(context):
        action = _slot_action(context, attempts, top or attempts[-1])
        if action is not None:
            (submits if action.action is ActionType.SUBMIT else states).append(action)
    one_offs = [run for run in context.record.live if run.slot is None]
    return [*states, *(of_submission(s, context.record, ActionType.NONE, Reason.IN_SYNC) for s in one_offs)], submits


def _open_attempts(context: SpecContext) -> Iterator[Attempts]:
    """Yields the attempts of slots that may need an action, oldest first. Finished slots are left out early, because
    there may be many of them."""
    newest = context.record.newest
    by_slot: dict[str, list[Submission]] = {}
    for submission in context.record.submissions:
        if submission.slot is not None and not submission.unresolved:
            by_slot.setdefault(submission.slot, []).append(submission)
    for slot in sorted(by_slot):
        last = max(by_slot[slot], key=lambda s: s.attempt)
        failed = last.failed and last.attempt <= last.backoff_limit
        asked = last.live or last.retry_asked_at is not None
        if asked or failed or last.phase in UNDONE or (newest is not None and slot == newest.slot):
            yield attempts_of(by_slot[slot], last)


def _slot_action(context: SpecContext, attempts: Attempts, top: Submission) -> Action | None:
    """Returns the action or state of one slot, or `None` if the slot is finished.

    Automatic attempts end when the spec changes, when a newer slot replaces this one, and at the backoffLimit that the
    spec had when the slot ran. A hold ends when the spec changes or the next slot is submitted.
    """
    last = last_of(attempts)
    if last.live or last.retry_asked_at is not None:
        return decide_attempts(context, attempts)
    if not any(s.counts for s in attempts) or last.digest != context.spec.digest:
        return None  # the slot never ran, so it is due or missed; or the spec has changed
    newest = context.record.newest is not None and context.record.newest.slot == last.slot
    if not newest and _is_over(context, attempts, last, top):
        return None
    action = decide_attempts(context, attempts)
    return action if action.action is not ActionType.NONE and (newest or action.action is not ActionType.HOLD) else None


def _is_over(context: SpecContext, attempts: Attempts, last: Submission, top: Submission) -> bool:
    """Returns whether a slot is not attempted again because a newer slot was submitted after it. `top` is the
    submission of the newest slot."""
    policy = context.spec.policy
    newer = (top.slot or "") > (last.slot or "") and top.first_intent_at > last.first_intent_at
    only_newest = policy.concurrencyPolicy == "Replace" or policy.restartPolicy == "Always"
    if no_longer_retried(last, top):
        return True
    if newer and (only_newest or (policy.concurrencyPolicy == "Forbid" and not policy.catchup)):
        return True
    return len([s for s in attempts if s.accepted]) > last.backoff_limit


def _due_submits(context: SpecContext, due: Due) -> Iterator[Action]:
    """Yields a submit for each due slot: the first submission or, if that never reached AWS, the next one."""
    for slot in due.waiting:
        earlier = [s for s in context.record.submissions if s.slot == slot]
        if not earlier:
            key = SubmissionKey(context.spec.name, slot=slot)
            yield submit_action(context, replace(key, attempt=context.record.next_attempt(key, ())), Reason.SLOT_DUE)
            continue
        action = decide_attempts(context, attempts_of(earlier, earlier[0]))
        if action.action is ActionType.SUBMIT:
            yield action
        else:  # superseded: abandoned because the content changed, and the slot is still due
            last = max(earlier, key=lambda s: s.attempt)
            attempt = context.record.next_attempt(last.key, earlier)
            yield submit_action(context, replace(last.key, attempt=attempt), Reason.SLOT_DUE)


def _backfill(context: SpecContext, due: Due) -> Iterator[Action]:
    """Yields a submit for each slot that an operator asked for, even if it was submitted before."""
    for slot in context.record.backfill:
        earlier = context.recorded.at_slot(context.record.name, slot)
        if slot in due.waiting or parse_time(slot) > context.now or any(s.live or s.unresolved for s in earlier or ()):
            continue
        key = SubmissionKey(context.spec.name, slot=slot)
        yield submit_action(context, replace(key, attempt=context.record.next_attempt(key, earlier)), Reason.BACKFILL)


def _in_turn(submits: Iterable[Action], context: SpecContext) -> Iterator[Action]:
    """Yields the submits that may be sent now, and a wait for each of the others. With ``concurrencyPolicy: Allow``,
    all may be sent, otherwise one."""
    policy = context.spec.policy
    allow = policy.concurrencyPolicy == "Allow"
    in_order = policy.catchup and policy.concurrencyPolicy != "Replace"  # else a new slot would precede old attempts
    first: Action | None = None
    for asked in sorted(submits, key=lambda a: (a.reason is Reason.BACKFILL, _rank(a, in_order), a.slot or "")):
        action = wait_for_dependencies(asked, context)
        # A slot that waits for a dependency does not hold back the slots after it.
        if action.action is not ActionType.SUBMIT:
            yield action
        elif allow:
            yield replace(action, beside=True)
        elif first is not None:
            message = f"slot {first.slot} runs first"
            yield stopped(action, ActionType.WAIT, Reason.CONCURRENCY, message)
        else:
            # Only a new slot replaces a live run. An attempt or a backfill of an older slot must not stop a newer one.
            action = apply_concurrency_policy(action, context, may_replace=asked.reason is Reason.SLOT_DUE)
            first = action
            yield action


def _rank(submit: Action, in_order: bool) -> int:
    return 0 if in_order or submit.reason is Reason.SLOT_DUE else 1


def _shortened(actions: Iterable[Action], due: Due) -> list[Action]:
    """Returns the actions with a long queue shortened to its first waiting slot and the number of slots behind it."""
    kept: list[Action] = []
    waiting: dict[Reason, list[Action]] = {}
    for action in actions:
        if action.action is ActionType.WAIT and action.reason is not Reason.BACKOFF and action.attempt == 1:
            waiting.setdefault(action.reason, []).append(action)
        else:
            kept.append(action)
    for same in waiting.values():
        first, others = same[0], len(same) - 1
        more = f"; {others} more {'slot waits' if others == 1 else 'slots wait'}" if others else ""
        kept.append(replace(first, message=first.message + more))
    if due.more and kept:
        kept[-1] = replace(kept[-1], message=f"{kept[-1].message}; more slots are due after these".lstrip("; "))
    return kept


def _missed_before(context: SpecContext) -> tuple[MissedSlots, ...]:
    """Returns the slots that were missed under a suspended or former schedule, when the schedule of the spec starts."""
    former = context.record.schedule
    if former is None or in_force(context.record, context.spec.policy):
        return ()
    if former.stopped == "suspended":
        return overdue_slots(context.record, context.now, MissedReason.SUSPENDED)
    return overdue_slots(context.record, context.now, MissedReason.RESCHEDULED) if former.stopped is None else ()


def _skip(context: SpecContext, missed: Sequence[MissedSlots], until: str | None) -> Iterator[Action]:
    """Yields one action that records all slots that never run."""
    if not missed:
        return
    action = submit_action(context, SubmissionKey(context.spec.name, slot=missed[-1].last), Reason.MISSED)
    skipped = stopped(action, ActionType.SKIP, Reason.MISSED, "; ".join(map(missed_words, missed)))
    yield replace(skipped, missed=tuple(missed), client_token=None, handled_until=until or missed[-1].last)


def missed_words(missed: MissedSlots) -> str:
    """Describes missed slots: ``95 slots from 2026-… to 2026-… never run: due while it was suspended``."""
    why = {
        MissedReason.DEADLINE: "later than startingDeadlineSeconds",
        MissedReason.PASSED_OVER: "without catchup only the newest due slot runs",
        MissedReason.DEPENDENCY: "a slot it depends on was missed",
        MissedReason.SUSPENDED: "due while it was suspended",
        MissedReason.RESCHEDULED: "due by the former schedule",
        MissedReason.REMOVED: "the spec was removed before the slot ran",
    }[MissedReason(missed.reason)]
    if missed.count == 1:
        return f"slot {missed.first} never runs: {why}"
    number = "many" if missed.count is None else str(missed.count)
    return f"{number} slots from {missed.first} to {missed.last} never run: {why}"


def _suspended_wait(context: SpecContext, due: Due) -> Action:
    """Returns the wait of a suspended spec, with its oldest due slot."""
    slot = due.waiting[0] if due.waiting else None
    bare = _bare(context, ActionType.WAIT, Reason.SUSPENDED)
    action = submit_action(context, SubmissionKey(context.spec.name, slot=slot), Reason.SLOT_DUE) if slot else bare
    return wait_if_suspended(action, context.spec, context.desired, context.now) or action


def _in_sync(context: SpecContext) -> Action:
    """Returns the action that reports the state of a spec without due slots: the state of its newest submission, if
    there is one."""
    record, newest = context.record, context.record.newest
    if newest is None or newest.slot is None or newest.unresolved:
        return _bare(context, ActionType.NONE, Reason.IN_SYNC)
    state = decide_attempts(context, attempts_of([s for s in record.submissions if s.slot == newest.slot], newest))
    if state.action is ActionType.NONE:
        return state
    return of_submission(newest, record, ActionType.NONE, Reason.IN_SYNC, source=context.spec.source)


def _bare(context: SpecContext, action: ActionType, reason: Reason) -> Action:
    """Returns an action about the spec that does not refer to a slot."""
    spec = context.spec
    content = Content(spec.digest, source=spec.source)
    return Action(spec.name, spec.kind, action, reason, content=content, ledger_head=context.record.head)


def archived_slots(desired: Desired, recorded: Recorded, now: datetime) -> Mapping[str, frozenset[str]]:
    """Returns the archived slots that the plan needs, by spec: slots to backfill, slots on which a slot that is not
    archived yet depends, and slots that a search for missing runs covers. `recorded` is the state after the renames of
    the plan."""
    wanted: dict[str, set[str]] = {}
    for name, spec in desired.specs.items():
        record = recorded.specs.get(name)
        if record is None or spec.policy.schedule is None:
            continue
        for other, slot in _asked(spec, record, recorded, now):
            if recorded.at_slot(other, slot) is None:
                wanted.setdefault(other, set()).add(slot)
    return {name: frozenset(slots) for name, slots in wanted.items()}


def _asked(spec: DesiredSpec, record: SpecRecord, recorded: Recorded, now: datetime) -> Iterator[tuple[str, str]]:
    """Yields the slots that decisions about one spec need, each with the name of its spec."""
    yield from ((spec.name, slot) for slot in record.backfill)
    if record.archive is not None and record.archive.number and may_lack_runs(recorded, spec.name, intends=True):
        for slot in newest_slots(spec.policy.schedule or "", spec.policy.timeZone, now):
            yield spec.name, slot
    others = {dependency.name for dependency in spec.policy.dependsOn}
    others |= set(kind_named(spec.kind).spec_dependencies(spec.request))
    for other in sorted(others):
        archive = recorded.spec(other).archive
        if archive is not None and archive.number:
            yield from ((other, slot) for slot in _behind(spec, record, archive.slot, now))


def _may_be_sent(submission: Submission) -> bool:
    """Returns whether the slot of a submission may be sent again or retried."""
    failed = submission.failed and submission.attempt <= submission.backoff_limit
    return failed or submission.phase in UNDONE or submission.retry_asked_at is not None


def _behind(spec: DesiredSpec, record: SpecRecord, archived: str, now: datetime) -> Iterator[str]:
    """Yields the slots of a spec that it may submit now and that are not after `archived`."""
    yield from (slot for slot in record.backfill if slot <= archived)
    yield from {s.slot for s in record.submissions if s.slot is not None and s.slot <= archived and _may_be_sent(s)}
    if is_behind(record, archived):
        yield from due_slots(record, spec.policy, now).waiting
