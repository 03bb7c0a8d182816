"""Executes the actions of a plan in parallel. An action that fails never stops the others and never counts as
success."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Thread

from reconciler.apply import actions, protocol
from reconciler.apply.effects import Procedure, always
from reconciler.apply.groups import Steps, together
from reconciler.apply.intents import ApplyContext, Provenance, adoption, submit_task
from reconciler.apply.interpreter import World, drive
from reconciler.apply.recording import outdated_check
from reconciler.core.plan import Action, ActionOutcome, ActionResult, ActionType, Plan, Reason
from reconciler.core.ports import Clock, Ledger, Quota, Services
from reconciler.errors import LedgerError, ReconcilerError

log = logging.getLogger(__name__)

GRACE_SECONDS = 7.0
"""The time in seconds that calls in flight have to end, and their outcomes to be recorded, after the command was asked
to stop."""

MOST_OPEN = 32
"""The maximum number of submissions of a pass whose intent is recorded but whose outcome is not. If the process is
killed, later passes have to resolve them, so the number is a small multiple of the number of parallel calls."""

MOST_TOGETHER = 8
"""The maximum number of specs whose intents are recorded in one append. A higher number would save little, because an
append takes about as long as a call."""

POLL_SECONDS = 0.2
"""The seconds between checks for a request to stop while a pass waits for results."""


Progress = Callable[[Action, ActionResult], None]


def execute(
    plan: Plan,
    *,
    ledger: Ledger,
    services: Services,
    clock: Clock,
    provenance: Provenance,
    claim_seconds: int,
    settle_seconds: int,
    quota: Quota,
    check: Callable[[], None] | None = None,
    workers: int = 8,
    progress: Progress | None = None,
    stop: Event | None = None,
) -> tuple[ActionResult, ...]:
    """Executes the plan and returns the results in the order of `plan.actions`. The outcome of an action that does
    nothing is `none`.

    After `stop` is set, no action starts, and calls in flight have `GRACE_SECONDS` to end. An action that has not ended
    by then is reported as unknown, and the next pass resolves it from its intent. `check` is called before each action.
    If it raises a `ReconcilerError`, such as for a clock or settings that have changed since the apply began, nothing
    is sent for this action. The calling thread calls `progress` when each action ends.
    """
    world = World(ledger, services, clock, quota, stop or Event())
    context = ApplyContext(plan.place, world, provenance, claim_seconds, settle_seconds, outdated_check(plan))
    results = [ActionResult(ActionOutcome.NONE) for _ in plan.actions]
    waiting: SimpleQueue[list[int]] = SimpleQueue()
    done: SimpleQueue[tuple[int, ActionResult]] = SimpleQueue()
    pending = {index for index, action in enumerate(plan.actions) if action.effective}
    for indexes in (names := _by_name(plan, pending)):
        waiting.put(indexes)

    def specs() -> Iterator[Steps]:
        with suppress(Empty):
            # All threads take specs from one queue, so that no thread is idle while specs wait.
            while True:
                yield steps(plan, waiting.get_nowait(), context, done.put, check)

    number = min(workers, len(names))
    groups = [together(specs(), _group_size(len(names), number), claim_seconds) for _ in range(number)]
    threads = [_started(group, world) for group in groups]
    for index, result in _collect(pending, done, world, threads):
        results[index] = result
        if progress is not None:
            progress(plan.actions[index], result)
    return tuple(results)


def _started(group: Steps, world: World) -> Thread:
    # A call that does not return must not keep the process alive after `GRACE_SECONDS`.
    thread = Thread(target=drive, args=(group, world), daemon=True)
    thread.start()
    return thread


def _group_size(specs: int, threads: int) -> int:
    """Returns how many specs one thread processes together. The number is small enough to give every thread work."""
    return max(1, min(MOST_TOGETHER, MOST_OPEN // threads, specs // threads))


def steps(
    plan: Plan,
    indexes: Sequence[int],
    context: ApplyContext,
    done: Callable[[tuple[int, ActionResult]], None],
    check: Callable[[], None] | None = None,
) -> Steps:
    """Yields the effects of one spec's actions, one action after the other. Calls `done` with the index and the result
    of each action."""
    for index in indexes:
        done((index, (yield from _run_action(plan.actions[index], context, check))))


def _by_name(plan: Plan, pending: set[int]) -> list[list[int]]:
    """Groups the effective actions by spec. The actions of one spec run one after the other, starting with submits."""
    names: dict[str, list[int]] = {}
    for index in sorted(pending):
        names.setdefault(plan.actions[index].name, []).append(index)
    # A submit requires that the ledger head has not changed since the plan, and the other actions change it.
    return [
        sorted(indexes, key=lambda i: plan.actions[i].action is not ActionType.SUBMIT) for indexes in names.values()
    ]


def _collect(
    pending: set[int], done: SimpleQueue[tuple[int, ActionResult]], world: World, threads: Sequence[Thread]
) -> Iterator[tuple[int, ActionResult]]:
    """Yields results as they arrive. After `stop`, or if no thread is left, yields the results that arrive within the
    grace period, and then reports all other actions as unknown."""
    left = set(pending)
    patience = GRACE_SECONDS
    while left and patience > 0:
        try:
            index, result = done.get(timeout=POLL_SECONDS)
        except Empty:
            ends = world.stop.is_set() or not any(thread.is_alive() for thread in threads)
            patience -= POLL_SECONDS if ends else 0.0
            continue
        left.discard(index)
        yield index, result
    for index in sorted(left):
        yield index, ActionResult(ActionOutcome.UNKNOWN, error="the command was stopped before its outcome was known")


def _run_action(action: Action, context: ApplyContext, check: Callable[[], None] | None) -> Procedure:
    """Runs one action to its end and returns a result even if it fails."""
    if context.world.stop.is_set():
        return ActionResult(ActionOutcome.UNSENT, error=protocol.STOPPED_BEFORE)
    try:
        if check is not None:
            check()
    except ReconcilerError as error:
        return ActionResult(ActionOutcome.UNSENT, error=str(error))
    try:
        try:
            procedure = _procedure(action, context)  # reads the request of an earlier send from the ledger
        except LedgerError as error:
            return ActionResult(ActionOutcome.UNSENT, error=f"nothing was sent: {error}")
        return (yield from procedure)
    except Exception as error:  # an error in one action must not stop the others or count as success
        log.exception("%s: unexpected failure: %s; -vv logs its traceback", action.name, type(error).__name__)
        return ActionResult(ActionOutcome.UNKNOWN, error=f"unexpected failure: {type(error).__name__}")


def _procedure(action: Action, context: ApplyContext) -> Procedure:  # noqa: PLR0911 - one for each action type
    """Returns the procedure of one action."""
    match action.action:
        case ActionType.SUBMIT:
            return protocol.submit(submit_task(action, context))
        case ActionType.ADOPT:
            if action.request is not None:  # the ledger contains no intent for this run
                return actions.adopt_unintended(adoption(action, context), action)
            return actions.adopt(action, action.run_id or "")
        case ActionType.CANCEL:
            reason = f"reconciler: {action.reason} by {context.provenance.actor}"
            # An operator's request does not depend on the content of the spec.
            valid = always if action.reason is Reason.ASKED else partial(context.outdated, action.name)
            return actions.cancel(action, reason, context.provenance.actor, valid)
        case ActionType.REPLACE:
            reason = f"reconciler: replaced ({action.reason}) by {context.provenance.actor}"
            valid = partial(context.outdated, action.name)
            return actions.cancel(_replaced(action, context), reason, context.provenance.actor, valid, replacing=True)
        case ActionType.SKIP if action.missed:
            return actions.miss(action)
        case ActionType.SKIP:
            return actions.supersede(action, context.settle_seconds)
        case _:
            raise ValueError(f"this version cannot apply the action {action.action}")


def _replaced(action: Action, context: ApplyContext) -> Action:
    """Returns the action that cancels the old run of a replacement. A later pass submits the new run after the old one
    has ended, because two runs of the spec must not overlap."""
    record = context.world.ledger.recorded.spec(action.name)
    old = next((run for run in record.submissions if run.run_id == action.replaces), None)
    if old is None:
        raise ValueError(f"a replacement of run {action.replaces}, which is not recorded")
    return replace(action, client_token=old.token, kind=old.kind, run_id=old.run_id)
