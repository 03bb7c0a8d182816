"""Performs the effects of procedures through the ports."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from threading import Event
from typing import assert_never

from reconciler.apply import effects as f
from reconciler.apply.effects import Procedure
from reconciler.core.plan import ActionResult
from reconciler.core.ports import Ambiguous, Clock, Ledger, NotSent, Outcome, Quota, RunRef, Services, Wanted
from reconciler.errors import LedgerError, ReconcilerError, ServiceError

STEP_SECONDS = 0.2
"""The maximum number of seconds that a wait continues after the command was asked to stop."""


@dataclass(frozen=True, slots=True)
class World:
    """The ports that effects use. `stop` is set when the command is asked to end; nothing is sent after that."""

    ledger: Ledger
    services: Services
    clock: Clock
    quota: Quota
    stop: Event


def drive(procedure: Procedure, world: World) -> ActionResult:
    """Runs a procedure to its end. Raises only unexpected errors."""
    answer: object = None
    failure: LedgerError | None = None
    while True:
        try:
            effect = procedure.send(answer) if failure is None else procedure.throw(failure)
        except StopIteration as stop:
            result = stop.value
            assert isinstance(result, ActionResult)  # noqa: S101 - a procedure returns one
            return result
        answer, failure = None, None
        try:
            answer = _carry_out(effect, world)
        except LedgerError as error:
            failure = error


def _carry_out(effect: f.Effect, world: World) -> object:
    answer: object
    match effect:
        case f.Acquire():
            answer = world.quota.acquire(effect.operation, world.stop)
        case f.Release():
            answer = None
            world.quota.release(effect.operation)
        case f.ReadClock():
            answer = f.Reading(world.clock.now(), world.clock.boot())
        case f.Append():
            answer = world.ledger.append(effect.events, effect.valid)
        case f.Transmit():
            answer = _transmit(effect, world)
        case f.Look():
            answer = _look(effect.kind, effect.wanted, world)
        case f.Cancel():
            answer = _cancel(effect, world)
        case f.Pause():
            answer = _pause(effect.seconds, world)
        case _:
            assert_never(effect)
    return answer


def _transmit(effect: f.Transmit, world: World) -> Outcome:
    """Transmits once. If a service raises an error in violation of its contract, the outcome is unclear, never a
    refusal. If the service cannot be created, nothing was transmitted."""
    if world.stop.is_set():
        return NotSent("Stopped", "the command was stopped before this was sent")
    try:
        service = world.services(effect.kind)
    except ServiceError as error:
        return NotSent(error.code, error.message)
    except Exception as error:  # noqa: BLE001 - nothing was transmitted before any of these errors
        message = str(error) if isinstance(error, ReconcilerError) else "the service could not be reached"
        return NotSent(type(error).__name__, message)
    try:
        return service.submit(effect.request, effect.deadline)
    except Exception as error:  # noqa: BLE001 - after this line a request may be in progress
        return Ambiguous(type(error).__name__, "unexpected failure while sending")


def _look(kind: str, wanted: Wanted, world: World) -> object:
    sys.audit("reconciler.looking", kind)
    try:
        answer: object = world.services(kind).find([wanted]).get(wanted.token, "it was not looked for")
    except ServiceError as error:
        answer = str(error)
    sys.audit("reconciler.looked", kind)
    return answer


def _cancel(effect: f.Cancel, world: World) -> str | None:
    location = world.ledger.recorded.by_token[effect.token].content.location
    sys.audit("reconciler.cancelling", effect.kind)
    try:
        world.services(effect.kind).cancel(RunRef(effect.token, effect.run_id, location), effect.reason)
    except ServiceError as error:
        return str(error)
    sys.audit("reconciler.cancelled", effect.kind)
    return None


def _pause(seconds: float, world: World) -> bool:
    """Waits in short steps, so that a stopped command does not wait for the full time."""
    left = seconds
    while not world.stop.is_set() and left > 0:
        world.clock.sleep(min(left, STEP_SECONDS))
        left -= STEP_SECONDS
    return not world.stop.is_set()
