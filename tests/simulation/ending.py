"""Checks the end of a story: nothing is stuck or lost, and nothing is on hold without a cause."""

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
    """Returns whether a plan has nothing to do and waits for nothing that further passes without faults would
    complete."""
    waits = [action for action in made.actions if action.action is ActionType.WAIT]
    return not made.pending and all(action.reason is Reason.SUSPENDED for action in waits)


def judge(world: World, made: Plan) -> None:
    """Ends the story with a violation if a promise was broken."""
    for action in made.actions:
        if not _justified(world, action):
            world.oracle.broken(f"{action.action} {action.reason} without a cause: {action.message}")
    _nothing_lost(world.oracle, made)
    _nothing_missing(world, made)
    _no_content_twice(world.oracle)


def _justified(world: World, action: Action) -> bool:
    """Returns whether the reason why a spec is on hold is true."""
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
    """Returns whether AWS no longer shows how a run ended."""
    run = next((run for run in world.cloud.runs if run.run_id == run_id), None)
    return run is not None and world.timeline.now >= run.forgotten


def _nothing_lost(oracle: Oracle, made: Plan) -> None:
    """Checks that every run that AWS accepted is in the ledger, or that its submission is on hold."""
    held = {action.client_token for action in made.actions if action.action is ActionType.HOLD}
    for token, runs in oracle.runs.items():
        known = oracle.known(token)
        for run in runs:
            if run.run_id not in known and not run.clone and token not in held:
                oracle.broken(f"run {run.run_id} was accepted, and nothing says so")


def _nothing_missing(world: World, made: Plan) -> None:
    """Checks that the newest accepted run has the content of the spec, or that the plan contains the reason."""
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
    """Checks that the same content runs again only after other content ran, because the story never requests a
    repetition."""
    contents = [content_of(run.request) for run in _accepted(oracle) if _key(oracle, run).attempt == 1]
    for before, after in pairwise(contents):
        if before == after:
            oracle.broken(f"content {after} ran again though nothing else ran in between")


def _accepted(oracle: Oracle) -> list[Run]:
    """Returns the runs that AWS accepted, in order of generation and attempt."""
    runs = [run for runs in oracle.runs.values() for run in runs if not run.clone]
    return sorted(runs, key=lambda run: (_key(oracle, run).generation or 0, _key(oracle, run).attempt))


def _key(oracle: Oracle, run: Run) -> SubmissionKey:
    return oracle.intents[run.token or ""][0].key
