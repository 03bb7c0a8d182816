"""The actions of a plan, side by side: one job's failure never stops the others and never ends as success."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread

from reconciler.apply import decided, protocol
from reconciler.apply.driver import World, drive
from reconciler.apply.steps import Steps
from reconciler.identity.digest import Place
from reconciler.model.kinds import kind_named
from reconciler.model.strict import JSON
from reconciler.plan.action import Action, ActionType
from reconciler.plan.result import ActionOutcome, ActionResult
from reconciler.plan.settling import is_repeat
from reconciler.plan.value import Plan
from reconciler.ports import Clock, Ledger, Quota, Services
from reconciler.recorded.events import Intended, intent_of

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


Progress = Callable[[Action, ActionResult], None]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who does this, from what: recorded with each intent.

    `commit` is the checked-out commit, `None` outside git, and `uncommitted` says that it does not hold all; `owner`
    names the process, such as ``host:pid:random``.
    """

    commit: str | None
    actor: str
    tool_version: str
    owner: str
    uncommitted: bool = False


@dataclass(frozen=True, slots=True)
class _Pass:
    """What every action of one pass shares."""

    place: Place
    world: World
    provenance: Provenance
    claim_seconds: int
    settle_seconds: int


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
    task = _Pass(plan.place, world, provenance, claim_seconds, settle_seconds)
    results = [ActionResult(ActionOutcome.NONE) for _ in plan.actions]
    waiting: SimpleQueue[int] = SimpleQueue()
    done: SimpleQueue[tuple[int, ActionResult]] = SimpleQueue()
    pending = {index for index, action in enumerate(plan.actions) if action.effective}
    for index in sorted(pending):
        waiting.put(index)

    def work() -> None:
        while True:
            try:
                index = waiting.get_nowait()
            except Empty:
                return
            done.put((index, _perform(plan.actions[index], task)))

    for _ in range(min(workers, len(pending))):
        Thread(target=work, daemon=True).start()
    for index, result in _collect(pending, done, world):
        results[index] = result
        if progress is not None:
            progress(plan.actions[index], result)
    return tuple(results)


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


def _perform(action: Action, task: _Pass) -> ActionResult:
    """One action to its end, whatever happens to it."""
    if task.world.stop.is_set():
        return ActionResult(ActionOutcome.UNSENT, error=protocol.NEVER_STOPPED)
    try:
        return drive(_steps(action, task), task.world)
    except Exception as error:  # one job's unforeseen failure stays its own, and is no success
        log.exception("%s: unforeseen failure", action.name)
        return ActionResult(ActionOutcome.UNKNOWN, error=f"unforeseen failure: {type(error).__name__}")


def _steps(action: Action, task: _Pass) -> Steps:
    """The protocol of one action."""
    match action.action:
        case ActionType.SUBMIT:
            return protocol.submit(_intent(action, task))
        case ActionType.ADOPT:
            return decided.adopt(action, action.run_id or "")
        case ActionType.CANCEL:
            reason = f"reconciler: {action.reason} by {task.provenance.actor}"
            return decided.cancel(action, reason, task.provenance.actor)
        case ActionType.SKIP:
            return decided.supersede(action, task.settle_seconds)
        case _:
            raise ValueError(f"{action.action} is not acted on by this version")


def _intent(action: Action, task: _Pass) -> protocol.Intent:
    """The intent of a submit. A further send of the same submission transmits the bytes of the first again."""
    token, kind = action.client_token or "", kind_named(action.kind)
    request, locate = _bytes_to_send(action, token, task)
    earlier = task.world.ledger.recorded.by_token.get(token)

    def describe(number: int, at: str, not_after: str, proven: bool) -> Intended:
        source = {"path": action.source.path, "line": action.source.line} if action.source else {}
        return Intended(
            at=at,
            name=action.name,
            token=token,
            kind=action.kind,
            generation=action.generation,
            slot=action.slot,
            attempt=action.attempt,
            send=number,
            digest=action.digest or "",
            revision=action.revision,
            request=request,
            locate=dict(locate),
            not_after=not_after,
            owner=task.provenance.owner,
            reason=str(action.reason),
            deletion_policy=action.deletion_policy,
            streaming=action.streaming,
            proven=proven or None,
            source=source,
            commit=task.provenance.commit,
            uncommitted=task.provenance.uncommitted or None,
            actor=task.provenance.actor,
            tool_version=task.provenance.tool_version,
        )

    return protocol.Intent(
        action=action,
        token=token,
        request=request,
        operation=kind.operation,
        claim_seconds=task.claim_seconds,
        settle_seconds=task.settle_seconds,
        idempotent=kind.token_field is not None,
        began=earlier.first_intent_at if earlier else None,
        repeats=earlier is not None and is_repeat(earlier, task.settle_seconds),
        describe=describe,
    )


def _bytes_to_send(action: Action, token: str, task: _Pass) -> tuple[JSON, Mapping[str, str]]:
    """The request to transmit and where its run will be: of a further send exactly what the last intent holds."""
    if not token or action.request is None:
        raise ValueError("a submit without a token or a request")
    if action.send == 1:
        return kind_named(action.kind).as_sent(action.request, token, task.place.owner(action.name)), action.locate
    recorded = task.world.ledger.recorded.by_token[token]
    intent = intent_of(task.world.ledger.batch(recorded.intent_position), action.name)
    return intent.request, recorded.locate
