"""The actions of a plan, side by side: one job's failure never stops the others and never ends as success."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Event, Thread

from reconciler.apply import actions as decided
from reconciler.apply import protocol
from reconciler.apply.effects import Procedure
from reconciler.apply.intents import Provenance, Task, intent, taken
from reconciler.apply.interpreter import World, drive
from reconciler.core.events import SubmissionEvent
from reconciler.core.plan import Action, ActionOutcome, ActionResult, ActionType, Plan, ScheduleChange
from reconciler.core.ports import Clock, Ledger, Quota, Services
from reconciler.core.schedule import event_of
from reconciler.core.state import Recorded

log = logging.getLogger(__name__)

GRACE_SECONDS = 7.0
"""How long calls under way may go on to be recorded after the command was asked to stop."""

POLL_SECONDS = 0.2
"""How often a pass that waits for results looks whether it was asked to stop."""


class _NoQuota:
    """No limit: for a stand-in, which has none."""

    def acquire(self, operation: str, stop: Event | None = None) -> bool:
        """At once."""
        return stop is None or not stop.is_set()

    def release(self, operation: str) -> None:
        """Nothing to take back."""


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
    quota: Quota | None = None,
    workers: int = 8,
    progress: Progress | None = None,
    stop: Event | None = None,
) -> tuple[ActionResult, ...]:
    """Does what the plan says. Results are in the order of `plan.actions`, `none` for those that do nothing.

    After `stop` is set nothing new is begun, and calls under way get `GRACE_SECONDS`; what is not finished then is
    reported unknown, and its intent in the ledger says the rest to the next pass. `quota` is AWS's, `None`: there is
    none. `progress` is called from the
    calling thread as each action ends.
    """
    world = World(ledger, services, clock, quota or _NoQuota(), stop or Event())
    task = Task(plan.place, world, provenance, claim_seconds, settle_seconds)
    results = [ActionResult(ActionOutcome.NONE) for _ in plan.actions]
    waiting: SimpleQueue[list[int]] = SimpleQueue()
    done: SimpleQueue[tuple[int, ActionResult]] = SimpleQueue()
    pending = {index for index, action in enumerate(plan.actions) if action.effective}
    names = _by_name(plan, pending)
    for indexes in names:
        waiting.put(indexes)

    def work() -> None:
        while True:
            try:
                indexes = waiting.get_nowait()
            except Empty:
                return
            for index in indexes:
                done.put((index, _perform(plan.actions[index], task)))

    for _ in range(min(workers, len(names))):
        Thread(target=work, daemon=True).start()
    for index, result in _collect(pending, done, world):
        results[index] = result
        if progress is not None:
            progress(plan.actions[index], result)
    return tuple(results)


def _by_name(plan: Plan, pending: set[int]) -> list[list[int]]:
    """The actions that do something, those of one spec together. They are done one after the other, submits first:
    those rest on the ledger as it was planned from, which the others change."""
    names: dict[str, list[int]] = {}
    for index in sorted(pending):
        names.setdefault(plan.actions[index].name, []).append(index)
    return [
        sorted(indexes, key=lambda i: plan.actions[i].action is not ActionType.SUBMIT) for indexes in names.values()
    ]


def _collect(
    pending: set[int], done: SimpleQueue[tuple[int, ActionResult]], world: World
) -> Iterator[tuple[int, ActionResult]]:
    """Results as they come in; after `stop`, those that come within the grace, then what is left as unknown."""
    left = set(pending)
    patience = GRACE_SECONDS
    while left and patience > 0:
        try:
            index, result = done.get(timeout=POLL_SECONDS)
        except Empty:
            patience -= POLL_SECONDS if world.stop.is_set() else 0.0
            continue
        left.discard(index)
        yield index, result
    for index in sorted(left):
        yield index, ActionResult(ActionOutcome.UNKNOWN, error="the command was stopped before its outcome was known")


def _perform(action: Action, task: Task) -> ActionResult:
    """One action to its end, whatever happens to it."""
    if task.world.stop.is_set():
        return ActionResult(ActionOutcome.UNSENT, error=protocol.NEVER_STOPPED)
    try:
        return drive(_steps(action, task), task.world)
    except Exception as error:  # one job's unforeseen failure stays its own, and is no success
        log.exception("%s: unforeseen failure", action.name)
        return ActionResult(ActionOutcome.UNKNOWN, error=f"unforeseen failure: {type(error).__name__}")


def _steps(action: Action, task: Task) -> Procedure:  # noqa: PLR0911 - one case for each action
    """The protocol of one action."""
    match action.action:
        case ActionType.SUBMIT:
            return protocol.submit(intent(action, task))
        case ActionType.ADOPT:
            if action.request is not None:  # no intent stands for it
                return decided.take(taken(action, task), action)
            return decided.adopt(action, action.run_id or "")
        case ActionType.CANCEL:
            reason = f"reconciler: {action.reason} by {task.provenance.actor}"
            return decided.cancel(action, reason, task.provenance.actor)
        case ActionType.REPLACE:
            reason = f"reconciler: replaced ({action.reason}) by {task.provenance.actor}"
            return decided.cancel(_replaced(action, task), reason, task.provenance.actor, replacing=True)
        case ActionType.SKIP if action.missed:
            return decided.miss(action)
        case ActionType.SKIP:
            return decided.supersede(action, task.settle_seconds)
        case _:
            raise ValueError(f"{action.action} is not acted on by this version")


def _replaced(action: Action, task: Task) -> Action:
    """The cancel that a replacement begins with: that of the run which makes room. The submit follows in a later pass,
    once that run has ended."""
    record = task.world.ledger.recorded.spec(action.name)
    old = next((run for run in record.submissions if run.run_id == action.replaces), None)
    if old is None:
        raise ValueError(f"a replacement of run {action.replaces}, which is not recorded")
    return replace(action, client_token=old.token, kind=old.kind, run_id=old.run_id)


BATCH_EVENTS = 200
"""Observations in one append: a batch stays far below DynamoDB's item of 400 KB."""


def record_observations(ledger: Ledger, observed: Sequence[SubmissionEvent]) -> None:
    """Appends the states of runs as AWS gave them, and looks that found nothing. Raises `LedgerError`.

    Two passes that saw the same leave it written twice, which changes nothing.
    """
    for start in range(0, len(observed), BATCH_EVENTS):
        ledger.append(observed[start : start + BATCH_EVENTS], _always)


def record_schedule_changes(ledger: Ledger, begins: Sequence[ScheduleChange], now: datetime, actor: str) -> None:
    """Appends since when schedules are in force, or stand still; what another pass has written down already stays as
    it is. Raises `LedgerError`."""
    for start in range(0, len(begins), BATCH_EVENTS):
        chosen = begins[start : start + BATCH_EVENTS]
        made = ((begin, event_of(begin, ledger.recorded.spec(begin.name), now, actor)) for begin in chosen)
        events = {begin: event for begin, event in made if event is not None}

        def valid(recorded: Recorded, wanted: Sequence[ScheduleChange] = tuple(events)) -> str | None:
            taken = [begin.name for begin in wanted if event_of(begin, recorded.spec(begin.name), now, actor) is None]
            return f"another pass wrote down the schedule of {', '.join(taken)}" if taken else None

        if events:
            ledger.append(tuple(events.values()), valid)


def _always(_: Recorded) -> None:
    return None
