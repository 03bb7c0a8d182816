"""Computes the states of runs over time, as pure functions of the stored data.

Nothing here reads a clock. A timeline contains every state that a run has had and will have if it is not stopped.
Therefore the state at any time is a simple lookup, and a listing needs only two stored values: the time and the state
in which a run ends.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from reconciler.emulator.settings import NO_REPORT, Report


@dataclass(frozen=True, slots=True)
class Stop:
    """A request to end a run, or one child of an array job."""

    verb: Literal["cancel", "terminate", "finish"]  # finish is from the control endpoint
    at: float  # seconds since the epoch
    reason: str = ""
    succeeded: bool = False  # for finish: how the run ends
    child: str = ""  # an array index; empty: the whole run


@dataclass(frozen=True, slots=True)
class Facts:
    """The data that determine a run's states. They are fixed when the run is accepted, except for stops and the results
    of dependencies."""

    accepted_at: float
    start_seconds: float | None  # None: until stopped
    run_seconds: float | None  # None: until stopped
    stop_seconds: float
    fails: bool
    attempts: int = 1  # the maximum number of starts
    timeout_seconds: float | None = None  # of one attempt (Batch), or of the run (EMR Serverless)
    released_at: float | None = 0.0  # when the last dependency succeeds; None: never
    blocked_at: float | None = None  # when a dependency fails; None: never
    array: int = 0  # the number of children
    sequential: bool = False  # whether children wait for one another
    report: Report = NO_REPORT
    stops: tuple[Stop, ...] = ()  # in the order of the requests; a stop without effect in the current state is ignored

    def to_json(self) -> dict[str, Any]:
        """Returns the facts as a JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Facts:
        """Reads the output of `to_json`."""
        report = Report.from_json(values.get("report", {}))
        return cls(**{**values, "stops": tuple(Stop(**stop) for stop in values["stops"]), "report": report})

    def stopped(self, stop: Stop) -> Facts:
        """Returns a copy of the facts with `stop` added."""
        return dataclasses.replace(self, stops=(*self.stops, stop))


@dataclass(frozen=True, slots=True)
class Step:
    """The run is in `state` from `at` on."""

    at: float
    state: str
    attempt: int = 1
    detail: str = ""
    by: str = ""  # the kind of the stop request that ended a Batch job


Timeline = Sequence[Step]
"""The steps of a run, sorted by time. The first step is the acceptance."""

EMR_ENDED = frozenset({"SUCCESS", "FAILED", "CANCELLED"})
BATCH_ENDED = frozenset({"SUCCEEDED", "FAILED"})
ENDED = EMR_ENDED | BATCH_ENDED


def steps_until(timeline: Timeline, now: float) -> Timeline:
    """Returns the steps that have started by `now`. Always includes the first step, because the clock may have been set
    back."""
    return [step for step in timeline if step.at <= now] or timeline[:1]


def current(timeline: Timeline, now: float) -> Step:
    """Returns the step that the run is in at `now`."""
    return steps_until(timeline, now)[-1]


def end(timeline: Timeline) -> Step | None:
    """Returns the step that ends the run, past or future, or `None` if only a stop can end it."""
    return timeline[-1] if timeline[-1].state in ENDED else None


def _interrupted(timeline: Timeline, at: float, tail: Sequence[Step]) -> Timeline:
    """Replaces everything after `at` with `tail`, unless the run ended before."""
    before = steps_until(timeline, at)
    if before[-1].state in ENDED:
        return timeline
    return [*before, *(dataclasses.replace(step, attempt=before[-1].attempt) for step in tail)]


# --- EMR Serverless ---------------------------------------------------------------------------------------------------

_EMR_DETAIL = {
    "SUCCESS": "The job run completed.",
    "FAILED": "The job run failed: its driver exited with code 1.",
    "timeout": "The job run reached its execution timeout.",
    "cancel": "The job run was cancelled on request.",
    "queue": "The job run timed out in the queue of its application.",
}
_EMR_WAITING = frozenset({"SUBMITTED", "QUEUED", "PENDING", "SCHEDULED"})


def emr_timeline(facts: Facts) -> Timeline:
    """Returns the steps SUBMITTED, PENDING, SCHEDULED and RUNNING, then SUCCESS or FAILED. A run that is stopped or
    times out ends with CANCELLING and CANCELLED."""
    timeline = _emr_attempts(facts)
    if facts.report.queue_limit_seconds is not None:
        at = facts.accepted_at + facts.report.queue_limit_seconds
        if current(timeline, at).state in _EMR_WAITING:
            timeline = _interrupted(timeline, at, [Step(at, "CANCELLED", detail=_EMR_DETAIL["queue"])])
    if facts.timeout_seconds is not None and facts.start_seconds is not None:
        running_at = facts.accepted_at + facts.start_seconds
        timeline = _emr_cancelled(timeline, running_at + facts.timeout_seconds, facts, _EMR_DETAIL["timeout"])
    for stop in facts.stops:
        if stop.verb == "finish":
            state = "SUCCESS" if stop.succeeded else "FAILED"
            timeline = _interrupted(timeline, stop.at, [Step(stop.at, state, detail=_EMR_DETAIL[state])])
        else:
            timeline = _emr_cancelled(timeline, stop.at, facts, _EMR_DETAIL["cancel"])
    return timeline


def _emr_attempts(facts: Facts) -> Timeline:
    # The time before RUNNING is divided equally between the three states before it.
    at, third = facts.accepted_at, (facts.start_seconds or 0.0) / 3
    reason = facts.report.waiting_reason
    steps: list[Step] = []
    for attempt in range(1, facts.attempts + 1):
        for state in ("SUBMITTED", "PENDING", "SCHEDULED", "RUNNING"):
            if state == "RUNNING" and facts.start_seconds is None:
                return steps
            steps.append(Step(at, state, attempt, reason if state == "SCHEDULED" else ""))
            at += third if state != "RUNNING" else 0.0
        if facts.run_seconds is None:
            return steps
        at += facts.run_seconds
        if not facts.fails:
            return [*steps, Step(at, "SUCCESS", attempt, _EMR_DETAIL["SUCCESS"])]
    return [*steps, Step(at, "FAILED", facts.attempts, _EMR_DETAIL["FAILED"])]


def _emr_cancelled(timeline: Timeline, at: float, facts: Facts, detail: str) -> Timeline:
    state = current(timeline, at).state
    if state == "CANCELLING":  # the first cancellation decides when the run ends
        return timeline
    ended_at = at + (facts.stop_seconds if state == "RUNNING" else 0.0)
    tail = [Step(at, "CANCELLING", detail=detail), Step(ended_at, "CANCELLED", detail=detail)]
    return _interrupted(timeline, at, tail)


# --- AWS Batch --------------------------------------------------------------------------------------------------------

EXIT_FAILED = "Essential container in task exited"
EXIT_TIMEOUT = "Job attempt duration exceeded timeout"
BLOCKED = "Dependent Job failed"
CHILD_FAILED = "Array Child Job failed"
NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
_CANCELLABLE = frozenset({"SUBMITTED", "PENDING", "RUNNABLE"})


def batch_timeline(facts: Facts) -> Timeline:
    """Returns the steps SUBMITTED, PENDING, RUNNABLE, STARTING and RUNNING, then SUCCEEDED or FAILED. The parent of an
    array is SUBMITTED, then PENDING while children are live, then SUCCEEDED or FAILED."""
    return _array_timeline(facts) if facts.array else _job_timeline(facts, "", facts.released_at, facts.blocked_at)


def child_timeline(facts: Facts, index: int) -> Timeline:
    """Returns the timeline of one child of an array job."""
    if not facts.sequential:
        return _job_timeline(facts, str(index), facts.released_at, facts.blocked_at)
    return _sequence(facts)[index]


def children(facts: Facts) -> list[tuple[int, Timeline]]:
    """Returns the timelines of the children of an array job, each with its number of children. The result is not sorted
    by index.
    """
    if facts.sequential:
        return [(1, timeline) for timeline in _sequence(facts)]
    # Only children that fail or are stopped differ from the others, so an array of 10,000 needs few timelines.
    failed = {str(index) for index in facts.report.failed_children if index < facts.array}
    stopped = sorted(failed | {stop.child for stop in facts.stops if stop.child})
    groups = [(facts.array - len(stopped), ""), *((1, child) for child in stopped)]
    return [
        (count, _job_timeline(facts, child, facts.released_at, facts.blocked_at)) for count, child in groups if count
    ]


def can_stop(verb: str, state: str) -> bool:
    """Returns whether CancelJob (``cancel``) or TerminateJob has an effect on a job in `state`."""
    return state in _CANCELLABLE or (verb != "cancel" and state not in BATCH_ENDED)


@functools.lru_cache(maxsize=8)
def _sequence(facts: Facts) -> Sequence[Timeline]:
    """Returns the timelines of children that wait for one another. Cached, because a listing reads all of them, and
    there may be 10,000."""
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
    pending_at = facts.accepted_at + (facts.start_seconds or 0.0) / 4
    waiting = [Step(facts.accepted_at, "SUBMITTED"), Step(pending_at, "PENDING", detail=facts.report.waiting_reason)]
    ends = [end(timeline) for _, timeline in children(facts)]
    finished = [step for step in ends if step is not None]
    if len(finished) < len(ends):
        return waiting
    at = max(step.at for step in finished)
    failed = next((step for step in finished if step.state == "FAILED"), None)
    if failed is None:
        return _interrupted(waiting, at, [Step(at, "SUCCEEDED")])
    detail = failed.detail if failed.by else CHILD_FAILED
    return _interrupted(waiting, at, [Step(at, "FAILED", detail=detail, by=failed.by)])


def _job_timeline(facts: Facts, child: str, released_at: float | None, blocked_at: float | None) -> Timeline:
    fails = facts.fails or (child != "" and int(child) in facts.report.failed_children)
    timeline = _batch_attempts(dataclasses.replace(facts, fails=fails), released_at)
    if facts.report.queue_limit_seconds is not None:
        timeline = _stopped_by_queue(timeline, facts.report)
    if blocked_at is not None:
        # The other job may have failed before this one was submitted.
        blocked_at = max(blocked_at, facts.accepted_at)
        timeline = _interrupted(timeline, blocked_at, [Step(blocked_at, "FAILED", detail=BLOCKED)])
    for stop in facts.stops:
        if stop.child in ("", child):
            timeline = _batch_stopped(timeline, stop, facts.stop_seconds)
    return timeline


def _batch_attempts(facts: Facts, released_at: float | None) -> Timeline:
    at, quarter = facts.accepted_at, (facts.start_seconds or 0.0) / 4
    steps = [Step(at, "SUBMITTED"), Step(at + quarter, "PENDING")]
    if released_at is None:
        return steps
    timeout = facts.timeout_seconds
    times_out = timeout is not None and (facts.run_seconds is None or facts.run_seconds > timeout)
    at = max(at + 2 * quarter, released_at)
    for attempt in range(1, facts.attempts + 1):
        steps.append(Step(at, "RUNNABLE", attempt, facts.report.waiting_reason))
        if facts.start_seconds is None:
            return steps
        steps.append(Step(at + quarter, "STARTING", attempt))
        at += 2 * quarter
        steps.append(Step(at, "RUNNING", attempt))
        if timeout is not None and times_out:  # AWS Batch does not retry jobs that it stopped for their timeout
            return [*steps, Step(at + timeout, "FAILED", attempt, EXIT_TIMEOUT)]
        if facts.run_seconds is None:
            return steps
        at += facts.run_seconds
        if not facts.fails:
            # AWS gives the same reason for a container that exits with 0.
            return [*steps, Step(at, "SUCCEEDED", attempt, EXIT_FAILED)]
    return [*steps, Step(at, "FAILED", facts.attempts, EXIT_FAILED)]


def _stopped_by_queue(timeline: Timeline, report: Report) -> Timeline:
    """Cancels a job that has been RUNNABLE for as long as the time limit of its queue, as `jobStateTimeLimitActions`
    does."""
    waits = next((step for step in timeline if step.state == "RUNNABLE"), None)
    at = waits.at + (report.queue_limit_seconds or 0.0) if waits is not None else 0.0
    if waits is None or current(timeline, at).state != "RUNNABLE":
        return timeline
    return _interrupted(timeline, at, [Step(at, "FAILED", detail=report.waiting_reason or NO_CAPACITY, by="cancel")])


def _batch_stopped(timeline: Timeline, stop: Stop, stop_seconds: float) -> Timeline:
    if stop.verb == "finish":
        state = "SUCCEEDED" if stop.succeeded else "FAILED"
        return _interrupted(timeline, stop.at, [Step(stop.at, state, detail=EXIT_FAILED)])
    state = current(timeline, stop.at).state
    if not can_stop(stop.verb, state):
        return timeline
    # A job that ends by itself before this time keeps its own end.
    ended_at = stop.at + (0.0 if state in _CANCELLABLE else stop_seconds)
    return _interrupted(timeline, ended_at, [Step(ended_at, "FAILED", detail=stop.reason, by=stop.verb)])
