"""What must be so in the end: nothing stuck, nothing lost, nothing held without a cause."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from reconciler.core import events as e
from reconciler.core.plan import Action, ActionType, Plan, Reason
from tests.simulation.desired import content_of
from tests.simulation.oracle import CLOCKS

if TYPE_CHECKING:
    from reconciler.core.identity import SubmissionKey
    from tests.simulation.cloud import Run
    from tests.simulation.oracle import Oracle
    from tests.simulation.schedule import World

DAY = 86_400.0


def settled(made: Plan) -> bool:
    """Whether a plan has nothing to do, and waits for nothing that time and undisturbed passes would bring about."""
    waits = [action for action in made.actions if action.action is ActionType.WAIT]
    return not made.pending and all(action.reason is Reason.SUSPENDED for action in waits)


def judge(world: World, made: Plan) -> None:
    """Ends the story with a violation unless all is as promised."""
    for action in made.actions:
        if not _justified(world, action):
            world.oracle.broken(f"{action.action} {action.reason} without a cause: {action.message}")
    _nothing_lost(world.oracle, made)
    _nothing_missing(world, made)
    _no_content_twice(world.oracle)


def _justified(world: World, action: Action) -> bool:
    """Whether what stops a spec is really so."""
    oracle, token = world.oracle, action.client_token or ""
    runs = oracle.runs.get(token, [])
    match action.reason:
        case Reason.IN_SYNC | Reason.RETIRED:
            return True
        case Reason.SUSPENDED:
            return world.wanted.suspended
        case Reason.CONFLICT:
            return len(runs) > 1
        case Reason.REJECTED:
            return token in oracle.declined
        case Reason.RETRIES_EXHAUSTED:
            exhausted = (action.attempt or 1) > world.wanted.backoff
            return exhausted and (oracle.late(token) or any(run.failed for run in runs))
        case Reason.CANCELLED_OUTSIDE:
            return any(run.cancelled for run in runs) and not _asked(oracle, token)
        case Reason.UNKNOWN:
            return world.faults.on_unknown == "Hold" or world.timeline.now - oracle.first_intent(token) > DAY - CLOCKS
        case Reason.LOST:
            return _forgotten(world, action.run_id) or world.cloud.left_out[action.run_id or ""] > 0
        case _:
            return False


def _asked(oracle: Oracle, token: str) -> bool:
    return any(isinstance(outcome, e.CancelAsked) for outcome in oracle.outcomes.get(token, ()))


def _forgotten(world: World, run_id: str | None) -> bool:
    """Whether AWS does not tell any more how a run ended."""
    run = next((run for run in world.cloud.runs if run.run_id == run_id), None)
    return run is not None and world.timeline.now >= run.forgotten


def _nothing_lost(oracle: Oracle, made: Plan) -> None:
    """Every run that AWS accepted is in the ledger, or its submission is held for a person to see."""
    held = {action.client_token for action in made.actions if action.action is ActionType.HOLD}
    for token, runs in oracle.runs.items():
        known = oracle.known(token)
        for run in runs:
            if run.run_id not in known and not run.clone and token not in held:
                oracle.broken(f"run {run.run_id} was accepted, and nothing says so")


def _nothing_missing(world: World, made: Plan) -> None:
    """What the spec asks for is what was accepted last, or something says why not."""
    wanted = world.wanted.asks
    stopped = any(action.action in {ActionType.HOLD, ActionType.WAIT} for action in made.actions)
    if wanted is None or stopped:
        return
    generations = _accepted(world.oracle)
    if not generations or content_of(generations[-1].request) != wanted:
        world.oracle.broken(f"in sync, and what runs is not what the spec asks for ({wanted})")
    elif world.oracle.late(generations[-1].token or "") and not _forgotten(world, generations[-1].run_id):
        world.oracle.broken(f"in sync, and {generations[-1].run_id} never started")


def _no_content_twice(oracle: Oracle) -> None:
    """The same content runs again only after other content ran: nobody asked for more."""
    contents = [content_of(run.request) for run in _accepted(oracle) if _key(oracle, run).attempt == 1]
    for before, after in pairwise(contents):
        if before == after:
            oracle.broken(f"content {after} ran again though nothing else ran in between")


def _accepted(oracle: Oracle) -> list[Run]:
    """The runs that AWS accepted, in order of generation and attempt."""
    runs = [run for runs in oracle.runs.values() for run in runs if not run.clone]
    return sorted(runs, key=lambda run: (_key(oracle, run).generation or 0, _key(oracle, run).attempt))


def _key(oracle: Oracle, run: Run) -> SubmissionKey:
    return oracle.intents[run.token or ""][0].key
