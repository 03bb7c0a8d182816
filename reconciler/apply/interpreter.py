"""Performs the effects of procedures through the ports."""

import sys
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from dataclasses import field
from itertools import islice
from threading import Event, Lock
from typing import TypeVar, assert_never

from reconciler.apply import effects as f
from reconciler.core.ports import (
    Ambiguous,
    Clock,
    Instant,
    Ledger,
    Moved,
    NotSent,
    Outcome,
    Quota,
    RunRef,
    Services,
    Wanted,
    pause,
)
from reconciler.core.state import Recorded
from reconciler.errors import LedgerUnreachable, ReconcilerError, ServiceError
from reconciler.values import dataclass

AppendAnswer = int | Moved | Exception


@dataclass(slots=True, eq=False)
class _Group:
    """The parts of one append, and their answers. There are no answers until a thread has appended the parts."""

    parts: Sequence[f.Append]
    answers: Sequence[AppendAnswer] = ()


@dataclass(frozen=True, slots=True)
class World:
    """The ports that effects use. `stop` is set when the command is asked to end; nothing is sent after that.

    `groups` are the appends that wait until another thread has finished its append and released `turn`."""

    ledger: Ledger
    services: Services
    clock: Clock
    quota: Quota
    stop: Event
    groups: deque[_Group] = field(default_factory=deque)
    turn: Lock = field(default_factory=Lock)


Result = TypeVar("Result")


def drive(procedure: Generator[f.Effect, object, Result], world: World) -> Result:
    """Runs a procedure to its end and returns its result. Errors of effects are raised inside the procedure."""
    answer: object = None
    failure: Exception | None = None
    while True:
        try:
            effect = procedure.send(answer) if failure is None else procedure.throw(failure)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        answer, failure = None, None
        try:
            answer = _perform_effect(effect, world)
        except Exception as error:  # noqa: BLE001 - the procedure decides what it means for its actions
            failure = error


def _perform_effect(effect: f.Effect, world: World) -> object:
    """Calls the port that an effect needs, and returns its answer."""
    answer: object
    match effect:
        case f.Acquire():
            quota, operation = world.quota, effect.operation
            answer = quota.acquire(operation, world.stop) if effect.wait else quota.take(operation)
        case f.Release():
            answer = None
            world.quota.release(effect.operation)
        case f.ReadClock():
            answer = Instant(world.clock.now(), world.clock.boot())
        case f.Append():
            answer = world.ledger.append(effect.events, effect.valid)
        case f.AppendGroup():
            answer = _append_in_turn(effect.parts, world)
        case f.Transmit():
            answer = _transmit(effect, world)
        case f.Look():
            answer = _look(effect.kind, effect.wanted, world)
        case f.Cancel():
            answer = _cancel(effect, world)
        case f.Pause():
            pause(world.clock, effect.seconds, world.stop)
            answer = not world.stop.is_set()
        case _:
            assert_never(effect)
    return answer


def _append_in_turn(parts: Sequence[f.Append], world: World) -> Sequence[AppendAnswer]:
    """Appends the parts of a group, together with the parts of all other threads that wait for `turn`."""
    group = _Group(parts)
    # The group is in the queue before this thread waits for the lock, so that the thread that appends next includes it.
    world.groups.append(group)
    with world.turn:
        if not group.answers:  # otherwise another thread has appended it too
            groups = [world.groups.popleft() for _ in range(len(world.groups))]
            answers = iter(_append_group([part for each in groups for part in each.parts], world.ledger))
            for each in groups:
                each.answers = list(islice(answers, len(each.parts)))
    return group.answers


def _append_group(parts: Sequence[f.Append], ledger: Ledger) -> list[AppendAnswer]:
    """Appends several parts in one batch, or in two if the ledger refuses the batch as a whole. Skips parts that are no
    longer valid."""
    if len(parts) == 1:
        return [_append_alone(parts[0], ledger)]
    answer, objections = _append_all(dict(enumerate(parts)), ledger)
    if objections:
        others = [part for index, part in enumerate(parts) if index not in objections]
        answers = iter(_append_group(others, ledger) if others else ())
        return [Moved(objections[index]) if index in objections else next(answers) for index in range(len(parts))]
    if answer is None:
        # The reason may concern one part only, such as a second intent of a submission or a request that is too large.
        half = len(parts) // 2
        return [*_append_group(parts[:half], ledger), *_append_group(parts[half:], ledger)]
    return [answer] * len(parts)


def _append_all(parts: Mapping[int, f.Append], ledger: Ledger) -> tuple[AppendAnswer | None, Mapping[int, str]]:
    """Appends some parts in one batch. Returns the answer, or `None` if nothing was written. Also returns the reasons
    why parts are no longer valid, by index."""
    objections: dict[int, str] = {}

    def valid(recorded: Recorded) -> str | None:
        # Each part is about another spec (`executor._by_name`), so one part cannot make another part invalid.
        checked = {index: part.valid(recorded) for index, part in parts.items()}
        objections.update({index: why for index, why in checked.items() if why is not None})
        return next(iter(objections.values()), None)

    try:
        answer = ledger.append([event for part in parts.values() for event in part.events], valid)
    except LedgerUnreachable as error:  # the batch may have been written
        return error, objections
    except Exception:  # noqa: BLE001 - each part raises its own error when it is appended alone
        return None, objections
    return (None if isinstance(answer, Moved) else answer), objections


def _append_alone(part: f.Append, ledger: Ledger) -> AppendAnswer:
    try:
        return ledger.append(part.events, part.valid)
    except Exception as error:  # noqa: BLE001 - it is raised in the procedure of this part
        return error


def _transmit(effect: f.Transmit, world: World) -> Outcome:
    """Transmits once. If a service raises an error in violation of its contract, the outcome is unclear, never a
    refusal. If the service cannot be created, nothing was transmitted."""
    if world.stop.is_set():
        # R10: the signal to stop may have arrived while the intent was appended.
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
        # A reply without this token is an error, because only an empty list counts as absence (R4).
        answer: object = world.services(kind).find([wanted]).get(wanted.token, "it was not searched for")
    except ServiceError as error:
        answer = str(error)
    sys.audit("reconciler.looked", kind)
    return answer


def _cancel(effect: f.Cancel, world: World) -> str | None:
    recorded = world.ledger.recorded
    submission = recorded.by_token[effect.token]
    # The spec may have left git, so the grace period is the one that was applied last.
    applied = recorded.spec(submission.name).declaration
    grace = applied.policy.get("shutdownGracePeriodSeconds") if applied is not None else None
    ref = RunRef(effect.token, effect.run_id, submission.content.location, grace)
    sys.audit("reconciler.cancelling", effect.kind)
    try:
        world.services(effect.kind).cancel(ref, effect.reason)
    except ServiceError as error:
        return str(error)
    sys.audit("reconciler.cancelled", effect.kind)
    return None
