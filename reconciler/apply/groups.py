"""Runs procedures of several actions in one thread, so that one append records the intents or outcomes of all of them.

An append costs about as much as a call to AWS. Between the append of intents and the calls that they announce, nothing
waits: no quota, no pause, no look. So each send starts as soon as the sends before it in its group have ended, and if
the calls become slow, groups become small.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from reconciler.apply.effects import (
    Acquire,
    Append,
    AppendGroup,
    Cancel,
    Effect,
    Look,
    Pause,
    Transmit,
    read_clock,
)

Steps = Generator[Effect, object, None]
"""The procedures of one spec, one after the other. Ends after their results have been reported."""


class _Lane:
    """The steps of one spec. `effect` is the effect that they wait for, `None` at their end. `until` is the end of a
    pause, by the boot-time clock; `None` outside of one."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.effect: Effect | None = None
        self.until: float | None = None
        self.answer(None)

    def answer(self, answer: object) -> None:
        """Continues with the answer to the effect, or raises it there if it is an exception."""
        self.until = None
        try:
            self.effect = self._steps.throw(answer) if isinstance(answer, Exception) else self._steps.send(answer)
        except StopIteration:
            self.effect = None


def together(specs: Iterator[Steps], size: int, claim_seconds: float) -> Steps:
    """Runs the steps of all specs, at most `size` specs at a time. After a send that started later than half of
    `claim_seconds` after its intent, specs are run one at a time until sends are quick again.

    The interpreter must raise the exceptions of an effect at its `yield`. They end only the procedure that it is of.
    """
    if size == 1:
        for steps in specs:
            yield from steps
        return
    lanes: list[_Lane] = []
    room = size
    while True:
        if not any(lane.until is not None or isinstance(lane.effect, Transmit) for lane in lanes):
            lanes += map(_Lane, islice(specs, max(0, room - len(lanes))))
        if not lanes:
            return
        room = yield from _advance(lanes, size, claim_seconds, room)
        if appending := [lane for lane in lanes if isinstance(lane.effect, Append)]:
            yield from _append(appending)
        elif waiting := [lane for lane in lanes if lane.effect is not None]:
            yield from _wait(waiting)
        lanes = [lane for lane in lanes if lane.effect is not None]


def _advance(lanes: list[_Lane], size: int, claim_seconds: float, room: int) -> Generator[Effect, object, int]:
    """Runs each spec up to its next append, or to an effect that may take long. Returns how many specs may run at a
    time from now on."""
    for lane in lanes:
        while True:
            match lane.effect:
                case Acquire():
                    if not (yield replace(lane.effect, wait=False)):
                        break
                    lane.answer(True)
                case Transmit():
                    reading = yield from read_clock()
                    late = lane.effect.deadline.boot - reading.boot < claim_seconds / 2
                    room = 1 if late else size
                    yield from _carry_out(lane)
                case Pause() if lane.until is None:
                    lane.until = (yield from read_clock()).boot + lane.effect.seconds
                    break
                case None | Append() | Look() | Cancel() | Pause():
                    break
                case _:
                    yield from _carry_out(lane)
    return room


def _append(lanes: list[_Lane]) -> Generator[Effect, object, None]:
    """Appends what all of these specs wait for, in one batch."""
    if len(lanes) == 1:
        yield from _carry_out(lanes[0])
        return
    parts = [lane.effect for lane in lanes if isinstance(lane.effect, Append)]
    answers = yield AppendGroup(parts)
    assert isinstance(answers, Sequence)  # noqa: S101 - narrows what the interpreter sends
    for lane, answer in zip(lanes, answers, strict=True):
        lane.answer(answer)


def _wait(lanes: list[_Lane]) -> Generator[Effect, object, None]:
    """Carries out one effect that may take long: calls to AWS first, then pauses, then a wait for a quota token. Pauses
    of several specs pass at the same time."""
    for lane in lanes:
        if isinstance(lane.effect, Look | Cancel):
            yield from _carry_out(lane)
            return
    paused = [(lane.until, lane) for lane in lanes if lane.until is not None]
    if not paused:
        yield from _carry_out(lanes[0])
        return
    end = min(until for until, _ in paused)
    goes_on = yield Pause(end - (yield from read_clock()).boot)
    for until, lane in paused:
        if until <= end or not goes_on:
            lane.answer(goes_on)


def _carry_out(lane: _Lane) -> Generator[Effect, object, None]:
    """Carries out the effect of one spec. If that fails, the exception is raised in the procedure of this spec only."""
    assert lane.effect is not None  # noqa: S101 - a spec that has ended is not run
    try:
        answer: object = yield lane.effect
    except Exception as error:  # noqa: BLE001 - the other specs go on
        answer = error
    lane.answer(answer)
