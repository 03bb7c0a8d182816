"""Where a run is: its states over time, as pure functions of what was stored about it.

Nothing here reads a clock. A timeline is every state a run has had and will have if nobody interferes, so that the
state at a moment is a look-up, and a listing can be answered from two stored numbers (when a run ends, and how).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Stop:
    """Somebody asked at `at` (seconds since the epoch) to end the run, or one child of it.

    `verb`: ``cancel`` and ``terminate`` as the APIs have them; ``finish`` ends it at once as `succeeded` says, by the
    control endpoint. `child`: an array index as text, ``""`` for the whole run.
    """

    verb: Literal["cancel", "terminate", "finish"]
    at: float
    reason: str = ""
    succeeded: bool = False
    child: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides a run's states; fixed at acceptance, but for the stops and for what dependencies do.

    `run_seconds` `None`: until stopped. `attempts`: how often it starts at most. `timeout_seconds`: of one attempt
    (Batch), or of the run (EMR Serverless). `released_at`: when the last dependency succeeds, `None` for never.
    `blocked_at`: when a dependency fails, `None` for never. `array`: how many children, 0 for none. `stops`
    are in the order they were asked for; one that comes too late, or does nothing in that state, changes nothing.
    """

    accepted_at: float
    start_seconds: float
    run_seconds: float | None
    stop_seconds: float
    fails: bool
    attempts: int = 1
    timeout_seconds: float | None = None
    released_at: float | None = 0.0
    blocked_at: float | None = None
    array: int = 0
    sequential: bool = False
    stops: tuple[Stop, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As a JSON object."""
        plain = {name: getattr(self, name) for name in _FACTS}
        return {**plain, "stops": [dataclasses.asdict(stop) for stop in self.stops]}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Facts:
        """From `plain`."""
        return cls(**{**plain, "stops": tuple(Stop(**stop) for stop in plain["stops"])})

    def stopped(self, stop: Stop) -> Facts:
        """These facts with a stop added."""
        return dataclasses.replace(self, stops=(*self.stops, stop))


_FACTS = tuple(fact.name for fact in dataclasses.fields(Facts))


@dataclass(frozen=True, slots=True)
class Step:
    """From `at` on, the run is in `state`. `attempt` counts from 1. `by`: the verb of the stop that ended a Batch
    job, empty where it ended by itself."""

    at: float
    state: str
    attempt: int = 1
    detail: str = ""
    by: str = ""


Timeline = Sequence[Step]
"""Steps in the order of time; the first is the acceptance."""

EMR_ENDED = frozenset({"SUCCESS", "FAILED", "CANCELLED"})
BATCH_ENDED = frozenset({"SUCCEEDED", "FAILED"})
ENDED = EMR_ENDED | BATCH_ENDED


def current(timeline: Timeline, now: float) -> Step:
    """The step that holds at `now`: the last one begun, the first one where the clock stands before acceptance."""
    begun = [step for step in timeline if step.at <= now]
    return begun[-1] if begun else timeline[0]


def so_far(timeline: Timeline, now: float) -> Timeline:
    """The steps begun by `now`, at least the first."""
    return [step for step in timeline if step.at <= now] or timeline[:1]


def end(timeline: Timeline) -> Step | None:
    """The step that ends the run, past or future; `None` where only a stop can end it."""
    return timeline[-1] if timeline[-1].state in ENDED else None


def interrupted(timeline: Timeline, at: float, tail: Sequence[Step]) -> Timeline:
    """The timeline with everything after `at` replaced by `tail`; as it was if the run had ended by then."""
    kept = so_far(timeline, at)
    if kept[-1].state in ENDED:
        return timeline
    return [*kept, *(dataclasses.replace(step, attempt=kept[-1].attempt) for step in tail)]


# --- EMR Serverless ---------------------------------------------------------------------------------------------------


def emr_timeline(facts: Facts) -> Timeline:
    """SUBMITTED, PENDING, SCHEDULED, RUNNING, then SUCCESS, FAILED or (stopped, timed out) CANCELLING, CANCELLED."""
    timeline = _emr_attempts(facts)
    if facts.timeout_seconds is not None:
        running_at = facts.accepted_at + facts.start_seconds
        timeline = _emr_cancelled(timeline, running_at + facts.timeout_seconds, facts, _EMR_DETAIL["timeout"])
    for stop in facts.stops:
        if stop.verb == "finish":
            state = "SUCCESS" if stop.succeeded else "FAILED"
            timeline = interrupted(timeline, stop.at, [Step(stop.at, state, detail=_EMR_DETAIL[state])])
        else:
            timeline = _emr_cancelled(timeline, stop.at, facts, _EMR_DETAIL["cancel"])
    return timeline


_EMR_DETAIL = {
    "SUCCESS": "The job run completed.",
    "FAILED": "The job run failed: its driver exited with code 1.",
    "timeout": "The job run reached its execution timeout.",
    "cancel": "The job run was cancelled on request.",
}


def _emr_attempts(facts: Facts) -> Timeline:
    at, third = facts.accepted_at, facts.start_seconds / 3
    steps = []
    for attempt in range(1, facts.attempts + 1):
        for state in ("SUBMITTED", "PENDING", "SCHEDULED", "RUNNING"):
            steps.append(Step(at, state, attempt))
            at += third if state != "RUNNING" else 0.0
        if facts.run_seconds is None:
            return steps
        at += facts.run_seconds
        if not facts.fails:
            return [*steps, Step(at, "SUCCESS", attempt, _EMR_DETAIL["SUCCESS"])]
    return [*steps, Step(at, "FAILED", facts.attempts, _EMR_DETAIL["FAILED"])]


def _emr_cancelled(timeline: Timeline, at: float, facts: Facts, why: str) -> Timeline:
    state = current(timeline, at).state
    if state == "CANCELLING":
        return timeline
    ended_at = at + (facts.stop_seconds if state == "RUNNING" else 0.0)
    return interrupted(timeline, at, [Step(at, "CANCELLING", detail=why), Step(ended_at, "CANCELLED", detail=why)])


# --- AWS Batch --------------------------------------------------------------------------------------------------------

EXIT_FAILED = "Essential container in task exited"
EXIT_TIMEOUT = "Job attempt duration exceeded timeout"
BLOCKED = "Dependent Job failed"
CHILD_FAILED = "Array Child Job failed"
_CANCELLABLE = frozenset({"SUBMITTED", "PENDING", "RUNNABLE"})


def batch_timeline(facts: Facts) -> Timeline:
    """SUBMITTED, PENDING, RUNNABLE, STARTING, RUNNING, SUCCEEDED or FAILED; of an array's parent: SUBMITTED, PENDING
    while children live, then SUCCEEDED or FAILED."""
    return _array_timeline(facts) if facts.array else _job_timeline(facts, "", facts.released_at, facts.blocked_at)


def child_timeline(facts: Facts, index: int) -> Timeline:
    """One child of an array job."""
    if not facts.sequential:
        return _job_timeline(facts, str(index), facts.released_at, facts.blocked_at)
    return _sequence(facts)[index]


def children(facts: Facts) -> list[tuple[int, Timeline]]:
    """Every child of an array job, grouped: how many share a timeline. The order is not the index."""
    if facts.sequential:
        return [(1, timeline) for timeline in _sequence(facts)]
    single = {stop.child for stop in facts.stops if stop.child}
    alike = (facts.array - len(single), _job_timeline(facts, "", facts.released_at, facts.blocked_at))
    groups = [
        alike,
        *((1, _job_timeline(facts, child, facts.released_at, facts.blocked_at)) for child in sorted(single)),
    ]
    return [(count, timeline) for count, timeline in groups if count]


def stop_takes(verb: str, state: str) -> bool:
    """Whether CancelJob or TerminateJob does anything to a job in `state`."""
    return state in _CANCELLABLE or (verb != "cancel" and state not in BATCH_ENDED)


@functools.lru_cache(maxsize=8)
def _sequence(facts: Facts) -> Sequence[Timeline]:
    """The children of an array job whose children wait for one another. Kept for a while: there are up to 10,000, and
    a listing asks for each."""
    timelines: list[Timeline] = []
    released_at, blocked_at = facts.released_at, facts.blocked_at
    for index in range(facts.array):
        timelines.append(_job_timeline(facts, str(index), released_at, blocked_at))
        last = end(timelines[-1])
        released_at = last.at if last is not None and last.state == "SUCCEEDED" else None
        if last is not None and last.state == "FAILED" and blocked_at is None:
            blocked_at = last.at
    return timelines


def _array_timeline(facts: Facts) -> Timeline:
    waiting = [Step(facts.accepted_at, "SUBMITTED"), Step(facts.accepted_at + facts.start_seconds / 4, "PENDING")]
    ends = [end(timeline) for _, timeline in children(facts)]
    finished = [step for step in ends if step is not None]
    if len(finished) < len(ends):
        return waiting
    at = max(step.at for step in finished)
    failed = next((step for step in finished if step.state == "FAILED"), None)
    return interrupted(waiting, at, [_parent_end(at, failed)])


def _parent_end(at: float, failed: Step | None) -> Step:
    if failed is None:
        return Step(at, "SUCCEEDED")
    return Step(at, "FAILED", detail=failed.detail if failed.by else CHILD_FAILED, by=failed.by)


def _job_timeline(facts: Facts, child: str, released_at: float | None, blocked_at: float | None) -> Timeline:
    timeline = _batch_attempts(facts, released_at)
    if blocked_at is not None:
        blocked_at = max(blocked_at, facts.accepted_at)
        timeline = interrupted(timeline, blocked_at, [Step(blocked_at, "FAILED", detail=BLOCKED)])
    for stop in facts.stops:
        if stop.child in ("", child):
            timeline = _batch_stopped(timeline, stop, facts.stop_seconds)
    return timeline


def _batch_attempts(facts: Facts, released_at: float | None) -> Timeline:
    at, quarter = facts.accepted_at, facts.start_seconds / 4
    steps = [Step(at, "SUBMITTED"), Step(at + quarter, "PENDING")]
    if released_at is None:
        return steps
    at = max(at + 2 * quarter, released_at)
    for attempt in range(1, facts.attempts + 1):
        steps += [Step(at, "RUNNABLE", attempt), Step(at + quarter, "STARTING", attempt)]
        at += 2 * quarter
        steps.append(Step(at, "RUNNING", attempt))
        if facts.timeout_seconds is not None and not _runs_within(facts, facts.timeout_seconds):
            return [*steps, Step(at + facts.timeout_seconds, "FAILED", attempt, EXIT_TIMEOUT)]
        if facts.run_seconds is None:
            return steps
        at += facts.run_seconds
        if not facts.fails:
            return [*steps, Step(at, "SUCCEEDED", attempt, EXIT_FAILED)]
    return [*steps, Step(at, "FAILED", facts.attempts, EXIT_FAILED)]


def _runs_within(facts: Facts, seconds: float) -> bool:
    return facts.run_seconds is not None and facts.run_seconds <= seconds


def _batch_stopped(timeline: Timeline, stop: Stop, stop_seconds: float) -> Timeline:
    if stop.verb == "finish":
        state = "SUCCEEDED" if stop.succeeded else "FAILED"
        return interrupted(timeline, stop.at, [Step(stop.at, state, detail=EXIT_FAILED)])
    state = current(timeline, stop.at).state
    if not stop_takes(stop.verb, state):
        return timeline
    ended_at = stop.at + (0.0 if state in _CANCELLABLE else stop_seconds)
    return interrupted(timeline, ended_at, [Step(ended_at, "FAILED", detail=stop.reason, by=stop.verb)])
