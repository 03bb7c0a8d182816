"""What to do about a spec with a schedule: one run for each slot, and the slots that never run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from reconciler.core.gates import depended, placed, suspended
from reconciler.core.identity import Content, SubmissionKey
from reconciler.core.plan import Action, ActionType, MissedSlots, Reason, stopped
from reconciler.core.retries import Attempts, attempts_of, decide_attempts, last_of
from reconciler.core.schedule import Due, due_slots, in_force, overdue_slots
from reconciler.core.submission import Phase, RunState, Submission
from reconciler.core.submits import SpecContext, submit
from reconciler.core.times import MissedReason, next_slot, parse_time
from reconciler.core.unresolved import of_submission

UNDONE = {Phase.UNSENT, Phase.SUPERSEDED}


def decide_scheduled(case: SpecContext) -> Sequence[Action]:
    """The actions of one spec, oldest slot first: how its open runs stand, attempts that follow a bad end, slots that
    are due, and one that says which slots are missed."""
    told, attempts = _chains(case)
    due = due_slots(case.record, case.spec.policy, case.now)
    if case.stopped is not None:
        actions = [*told, _suspended(case, due)]
    else:
        missed = due.missed or _left_behind(case)
        submits = [*attempts, *_due_submits(case, due), *_backfill(case, due)]
        settled = due.handled_until if not missed else None
        submits = [replace(a, handled_until=settled if a.reason is Reason.SLOT_DUE else None) for a in submits]
        actions = [*told, *_skip(case, missed, due.handled_until), *_shortened(_in_turn(submits, case), due)]
    following = next_slot(case.spec.policy.schedule or "", case.spec.policy.timeZone, case.now)
    actions = actions or [_in_sync(case)]
    return [replace(action, next_slot=following) for action in sorted(actions, key=_age)]


def _age(action: Action) -> tuple[str, int]:
    return (action.slot or "", action.attempt)


def _chains(case: SpecContext) -> tuple[list[Action], list[Action]]:
    """How the slots that something was submitted for stand, and the further attempts that are due."""
    told: list[Action] = []
    attempts: list[Action] = []
    for chain in _open(case):
        action = _chain_action(case, chain)
        if action is not None:
            (attempts if action.action is ActionType.SUBMIT else told).append(action)
    one_offs = [run for run in case.record.live if run.slot is None]
    return [*told, *(of_submission(s, case.record, ActionType.NONE, Reason.IN_SYNC) for s in one_offs)], attempts


def _open(case: SpecContext) -> Iterator[Attempts]:
    """The slots whose story may go on, oldest first: of all others there is nothing to say, and there may be very many
    of them."""
    newest = case.record.newest
    chains: dict[str, list[Submission]] = {}
    for submission in case.record.submissions:
        if submission.slot is not None and not submission.unresolved:
            chains.setdefault(submission.slot, []).append(submission)
    for slot in sorted(chains):
        last = max(chains[slot], key=lambda s: s.attempt)
        failed = last.run_state is RunState.FAILED and last.attempt <= last.backoff_limit
        asked = last.live or last.retry_asked_at is not None
        if asked or failed or last.phase in UNDONE or (newest is not None and slot == newest.slot):
            yield attempts_of(chains[slot], last)


def _chain_action(case: SpecContext, chain: Attempts) -> Action | None:
    """What there is to say or to do about one slot; `None` where its story is over.

    Attempts by themselves end with a change of the spec, with a newer slot where only the newest counts, and with a
    limit that was lower when the slot ran. What is held is held until the spec changes or the next slot is submitted.
    """
    last = last_of(chain)
    if last.live or last.retry_asked_at is not None:
        return decide_attempts(case, chain)
    if not any(s.counts for s in chain) or last.digest != case.spec.digest:
        return None  # nothing came of it yet, so it is due or missed; or the spec is another one now
    newest = case.record.newest is not None and case.record.newest.slot == last.slot
    if not newest and _is_over(case, chain, last):
        return None
    action = decide_attempts(case, chain)
    return action if action.action is not ActionType.NONE and (newest or action.action is not ActionType.HOLD) else None


def _is_over(case: SpecContext, chain: Attempts, last: Submission) -> bool:
    """Whether the attempts of an older slot have ended because a newer one was submitted after it."""
    policy = case.spec.policy
    top = max((s for s in case.record.submissions if s.slot is not None), key=lambda s: s.slot or "")
    newer = (top.slot or "") > (last.slot or "") and top.first_intent_at > last.first_intent_at
    only_newest = policy.concurrencyPolicy == "Replace" or policy.restartPolicy == "Always"
    if newer and (only_newest or (policy.concurrencyPolicy == "Forbid" and not policy.catchup)):
        return True
    return len([s for s in chain if s.accepted]) > last.backoff_limit


def _due_submits(case: SpecContext, due: Due) -> Iterator[Action]:
    """A submit for each due slot, the first of a slot or, after one that never arrived, the next."""
    for slot in due.waiting:
        earlier = [s for s in case.record.submissions if s.slot == slot]
        if not earlier:
            yield submit(case, SubmissionKey(case.spec.name, slot=slot), Reason.SLOT_DUE)
            continue
        action = decide_attempts(case, attempts_of(earlier, earlier[0]))
        if action.action is ActionType.SUBMIT:
            yield action
        else:  # superseded: it was given up for a change, and the slot is still due
            last = max(earlier, key=lambda s: s.attempt)
            yield submit(case, replace(last.key, attempt=last.attempt + 1), Reason.SLOT_DUE)


def _backfill(case: SpecContext, due: Due) -> Iterator[Action]:
    """A submit for each slot that a person asked for, after whatever was submitted for it before."""
    for slot in case.record.backfill:
        earlier = [s for s in case.record.submissions if s.slot == slot]
        if slot in due.waiting or parse_time(slot) > case.now or any(s.live or s.unresolved for s in earlier):
            continue
        attempt = max((s.attempt for s in earlier), default=0) + 1
        yield submit(case, SubmissionKey(case.spec.name, slot=slot, attempt=attempt), Reason.BACKFILL)


def _in_turn(submits: Iterable[Action], case: SpecContext) -> Iterator[Action]:
    """The submits as far as they may go now: all of them with Allow, else one, and the others wait for it."""
    policy = case.spec.policy
    allow = policy.concurrencyPolicy == "Allow"
    in_order = policy.catchup and policy.concurrencyPolicy != "Replace"  # else a new slot goes before old attempts
    taken: Action | None = None
    for asked in sorted(submits, key=lambda a: (a.reason is Reason.BACKFILL, _rank(a, in_order), a.slot or "")):
        action = depended(asked, case)
        if action.action is not ActionType.SUBMIT:
            yield action
        elif allow:
            yield replace(action, beside=True)
        elif taken is not None:
            message = f"slot {taken.slot} goes first"
            yield stopped(action, ActionType.WAIT, Reason.CONCURRENCY, message)
        else:
            action = placed(action, case, may_replace=asked.reason is Reason.SLOT_DUE)
            taken = action
            yield action


def _rank(submit: Action, in_order: bool) -> int:
    return 0 if in_order or submit.reason is Reason.SLOT_DUE else 1


def _shortened(actions: Iterable[Action], due: Due) -> list[Action]:
    """The same without a line for each slot of a long queue: what waits is told by its first slot, and a number."""
    kept: list[Action] = []
    waiting: dict[Reason, list[Action]] = {}
    for action in actions:
        if action.action is ActionType.WAIT and action.reason is not Reason.BACKOFF and action.attempt == 1:
            waiting.setdefault(action.reason, []).append(action)
        else:
            kept.append(action)
    for same in waiting.values():
        first, others = same[0], len(same) - 1
        said = f"; {others} more {'slot waits' if others == 1 else 'slots wait'}" if others else ""
        kept.append(replace(first, message=first.message + said))
    if due.more and kept:
        kept[-1] = replace(kept[-1], message=f"{kept[-1].message}; more slots are due after these".lstrip("; "))
    return kept


def _left_behind(case: SpecContext) -> tuple[MissedSlots, ...]:
    """The slots of a schedule that stood still or was another one, when the one of the spec begins."""
    found = case.record.schedule
    if found is None or in_force(case.record, case.spec.policy):
        return ()
    if found.stopped == "suspended":
        return overdue_slots(case.record, case.now, MissedReason.SUSPENDED)
    return overdue_slots(case.record, case.now, MissedReason.RESCHEDULED) if found.stopped is None else ()


def _skip(case: SpecContext, missed: Sequence[MissedSlots], settled: str | None) -> Iterator[Action]:
    """One action that records all slots which never run."""
    if not missed:
        return
    action = submit(case, SubmissionKey(case.spec.name, slot=missed[-1].last), Reason.MISSED)
    skipped = stopped(action, ActionType.SKIP, Reason.MISSED, "; ".join(map(missed_words, missed)))
    yield replace(skipped, missed=tuple(missed), client_token=None, handled_until=settled or missed[-1].last)


def missed_words(missed: MissedSlots) -> str:
    """``95 slots from 2026-… to 2026-… never run: passed over``."""
    why = {
        MissedReason.DEADLINE: "later than startingDeadlineSeconds",
        MissedReason.PASSED_OVER: "without catchup only the newest due slot runs",
        MissedReason.DEPENDENCY: "a slot it depends on was missed",
        MissedReason.SUSPENDED: "due while it was suspended",
        MissedReason.RESCHEDULED: "due by the schedule as it was before",
    }[MissedReason(missed.reason)]
    if missed.count == 1:
        return f"slot {missed.first} never runs: {why}"
    number = "many" if missed.count is None else str(missed.count)
    return f"{number} slots from {missed.first} to {missed.last} never run: {why}"


def _suspended(case: SpecContext, due: Due) -> Action:
    """The wait of a whole spec, with the oldest slot that is due."""
    slot = due.waiting[0] if due.waiting else None
    bare = _bare(case, ActionType.WAIT, Reason.SUSPENDED)
    action = submit(case, SubmissionKey(case.spec.name, slot=slot), Reason.SLOT_DUE) if slot else bare
    return suspended(action, case) or action


def _in_sync(case: SpecContext) -> Action:
    """Nothing is due: the newest submission stands for the spec, if there is one."""
    record, newest = case.record, case.record.newest
    if newest is None or newest.slot is None or newest.unresolved:
        return _bare(case, ActionType.NONE, Reason.IN_SYNC)
    told = decide_attempts(case, attempts_of([s for s in record.submissions if s.slot == newest.slot], newest))
    if told.action is ActionType.NONE:
        return told
    return of_submission(newest, record, ActionType.NONE, Reason.IN_SYNC, source=case.spec.source)


def _bare(case: SpecContext, action: ActionType, reason: Reason) -> Action:
    """An action about no slot at all."""
    spec = case.spec
    content = Content(spec.digest, source=spec.source)
    return Action(spec.name, spec.kind, action, reason, content=content, ledger_head=case.record.head)
