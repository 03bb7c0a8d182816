"""Runs procedures of several actions in one thread, so that one append records the intents or outcomes of all of them.

An append takes about as long as a call to AWS. After the append of the intents, the sends of the group follow one after
the other, without waiting for a quota, a pause or a lookup. If calls become slow, groups become smaller.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from reconciler.apply.effects import Acquire, Append, AppendGroup, Cancel, Effect, Look, Pause, Transmit, read_clock

Steps = Generator[Effect, object, None]
"""Runs the procedures of one spec one after the other. Ends after their results have been reported."""


class _Lane:
    """The steps of one spec. `effect` is the effect that they wait for, or `None` after the last step. `until` is the
    end of the current pause, by the boot-time clock, or `None` if there is no pause."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.effect: Effect | None = None
        self.until: float | None = None
        self.answer(None)

    def answer(self, answer: object) -> None:
        """Sends the answer to the effect to the steps. If the answer is an exception, raises it in the steps."""
        self.until = None
        try:
            self.effect = self._steps.throw(answer) if isinstance(answer, Exception) else self._steps.send(answer)
        except StopIteration:
            self.effect = None


def together(specs: Iterator[Steps], size: int, claim_seconds: float) -> Steps:
    """Runs the steps of all specs, at most `size` specs at a time. If a send starts later than half of `claim_seconds`
    after its intent, specs run one at a time until sends start quickly again.

    The interpreter must raise the exception of an effect at the effect's `yield`. The exception then ends only the
    procedure that yielded the effect.
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
            yield from _append_together(appending)
        elif waiting := [lane for lane in lanes if lane.effect is not None]:
            yield from _wait(waiting)
        lanes = [lane for lane in lanes if lane.effect is not None]


def _advance(lanes: list[_Lane], size: int, claim_seconds: float, room: int) -> Generator[Effect, object, int]:
    """Runs each spec up to its next append or its next effect that may take long. Returns how many specs may run at a
    time from now on."""
    for lane in lanes:
        while True:
            match lane.effect:
                case Acquire():
                    # Waiting for a token here would delay the sends of intents that are already recorded.
                    if not (yield replace(lane.effect, wait=False)):
                        break
                    lane.answer(True)
                case Transmit():
                    reading = yield from read_clock()
                    late = lane.effect.deadline.boot - reading.boot < claim_seconds / 2
                    room = 1 if late else size
                    yield from _forward(lane)
                case Pause() if lane.until is None:
                    lane.until = (yield from read_clock()).boot + lane.effect.seconds
                    break
                case None | Append() | Look() | Cancel() | Pause():
                    break  # what may take long must not delay the sends of the specs that follow
                case _:
                    yield from _forward(lane)
    return room


def _append_together(lanes: list[_Lane]) -> Generator[Effect, object, None]:
    """Appends the events of all specs that wait for an append, in one batch."""
    if len(lanes) == 1:
        yield from _forward(lanes[0])
        return
    parts = [lane.effect for lane in lanes if isinstance(lane.effect, Append)]
    answers = yield AppendGroup(parts)
    assert isinstance(answers, Sequence)  # noqa: S101 - narrows what the interpreter sends
    for lane, answer in zip(lanes, answers, strict=True):
        lane.answer(answer)


def _wait(lanes: list[_Lane]) -> Generator[Effect, object, None]:
    """Passes on one effect that may take long: calls to AWS first, then pauses, then a wait for a quota token. The
    pauses of several specs run at the same time."""
    for lane in lanes:
        if isinstance(lane.effect, Look | Cancel):
            yield from _forward(lane)
            return
    paused = [(lane.until, lane) for lane in lanes if lane.until is not None]
    if not paused:
        yield from _forward(lanes[0])
        return
    end = min(until for until, _ in paused)
    goes_on = yield Pause(end - (yield from read_clock()).boot)
    for until, lane in paused:
        if until <= end or not goes_on:
            lane.answer(goes_on)


def _forward(lane: _Lane) -> Generator[Effect, object, None]:
    """Passes the effect of one spec on to the interpreter, and the answer back. If the effect fails, the
    exception is raised in the procedure of this spec only."""
    assert lane.effect is not None  # noqa: S101 - a spec that has ended is not run
    try:
        answer: object = yield lane.effect
    except Exception as error:  # noqa: BLE001 - the other specs go on
        answer = error
    lane.answer(answer)
