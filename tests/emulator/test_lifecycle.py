"""Tests the states of runs over time, which are computed from stored facts."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.emulator import lifecycle
from reconciler.emulator.lifecycle import Facts, Step, Stop, batch_timeline, child_timeline, current, emr_timeline, end

FACTS = Facts(accepted_at=100.0, start_seconds=12.0, run_seconds=20.0, stop_seconds=1.0, fails=False)
SECONDS = st.floats(min_value=0, max_value=1000)
STOPS = st.lists(
    st.builds(
        Stop,
        verb=st.sampled_from(["cancel", "terminate", "finish"]),
        at=st.floats(min_value=100, max_value=3000),
        succeeded=st.booleans(),
    ),
    max_size=3,
).map(lambda stops: tuple(sorted(stops, key=lambda stop: stop.at)))
FACTS_OF_ANY_RUN = st.builds(
    Facts,
    accepted_at=st.just(100.0),
    start_seconds=SECONDS,
    run_seconds=st.none() | SECONDS,
    stop_seconds=SECONDS,
    fails=st.booleans(),
    attempts=st.integers(min_value=1, max_value=4),
    timeout_seconds=st.none() | SECONDS,
    released_at=st.none() | st.floats(min_value=0, max_value=2000),
    blocked_at=st.none() | st.floats(min_value=0, max_value=2000),
    array=st.sampled_from([0, 2, 5]),
    sequential=st.booleans(),
    stops=STOPS,
)


def states(timeline: lifecycle.Timeline) -> list[tuple[float, str]]:
    """Returns the time and the state of each step."""
    return [(step.at, step.state) for step in timeline]


def test_an_emr_run_passes_through_its_states_to_success() -> None:
    """Three states share the time before the start. After these, the run is RUNNING, and then SUCCESS."""
    expected = [(100, "SUBMITTED"), (104, "PENDING"), (108, "SCHEDULED"), (112, "RUNNING"), (132, "SUCCESS")]
    assert expected == states(emr_timeline(FACTS))


def test_a_failing_emr_run_is_retried_as_its_policy_says() -> None:
    """Each attempt passes through the states again. The run fails when the last attempt fails."""
    timeline = emr_timeline(dataclasses.replace(FACTS, fails=True, attempts=2))

    assert [step.attempt for step in timeline] == [1, 1, 1, 1, 2, 2, 2, 2, 2]
    assert (timeline[-1].at, timeline[-1].state) == (164, "FAILED")


def test_an_emr_run_past_its_timeout_is_cancelled() -> None:
    """AWS cancels a run that exceeds its timeout. The run does not count as failed."""
    timeline = emr_timeline(dataclasses.replace(FACTS, timeout_seconds=5.0))

    assert states(timeline)[3:] == [(112, "RUNNING"), (117, "CANCELLING"), (118, "CANCELLED")]


def test_a_cancelled_emr_run_that_has_not_started_ends_at_once() -> None:
    """The run ends at once, because no worker has to be stopped."""
    timeline = emr_timeline(dataclasses.replace(FACTS, stops=(Stop("cancel", 105.0),)))

    assert states(timeline)[1:] == [(104, "PENDING"), (105, "CANCELLING"), (105, "CANCELLED")]


def test_a_second_cancellation_changes_nothing() -> None:
    """The first cancellation determines when the run ends."""
    once = dataclasses.replace(FACTS, stops=(Stop("cancel", 115.0),), stop_seconds=10.0)
    twice = dataclasses.replace(once, stops=(Stop("cancel", 115.0), Stop("cancel", 117.0)))

    assert emr_timeline(once) == emr_timeline(twice)


def test_a_batch_job_passes_through_its_states_to_success() -> None:
    """Four states share the time before the start. After these, the job is RUNNING, and then SUCCEEDED."""
    expected = [(100, "SUBMITTED"), (103, "PENDING"), (106, "RUNNABLE"), (109, "STARTING"), (112, "RUNNING")]
    assert [*expected, (132, "SUCCEEDED")] == states(batch_timeline(FACTS))


def test_a_batch_job_waits_for_its_dependencies_in_pending() -> None:
    """The job becomes RUNNABLE when its last dependency succeeds."""
    timeline = batch_timeline(dataclasses.replace(FACTS, released_at=500.0))

    assert states(timeline)[1:5] == [(103, "PENDING"), (500, "RUNNABLE"), (503, "STARTING"), (506, "RUNNING")]


def test_a_batch_job_whose_dependency_never_ends_stays_pending() -> None:
    """The dependency never ends, so only a request to stop the job can end it."""
    timeline = batch_timeline(dataclasses.replace(FACTS, released_at=None))

    assert (timeline[-1].state, end(timeline)) == ("PENDING", None)


def test_a_batch_job_fails_when_its_dependency_fails() -> None:
    """The job fails at the same time as its dependency, without having run, and has a reason."""
    timeline = batch_timeline(dataclasses.replace(FACTS, released_at=None, blocked_at=120.0))

    assert Step(120.0, "FAILED", detail=lifecycle.BLOCKED) == timeline[-1]


def test_a_timed_out_batch_job_is_not_retried() -> None:
    """AWS Batch does not retry jobs that exceeded their timeout."""
    timeline = batch_timeline(dataclasses.replace(FACTS, run_seconds=None, timeout_seconds=60.0, attempts=3))

    assert Step(172.0, "FAILED", 1, lifecycle.EXIT_TIMEOUT) == timeline[-1]


def test_cancellation_does_not_stop_a_starting_job_and_termination_does() -> None:
    """CancelJob stops only jobs that have not reached STARTING. TerminateJob stops all jobs."""
    cancelled = dataclasses.replace(FACTS, stops=(Stop("cancel", 110.0, "why"),))
    terminated = dataclasses.replace(FACTS, stops=(Stop("terminate", 110.0, "why"),))

    assert batch_timeline(FACTS) == batch_timeline(cancelled)
    assert Step(111.0, "FAILED", 1, "why", "terminate") == batch_timeline(terminated)[-1]


def test_an_array_ends_with_its_last_child_and_fails_with_any() -> None:
    """A single terminated child makes the parent fail, after the other children have ended."""
    facts = dataclasses.replace(FACTS, array=5, stops=(Stop("terminate", 115.0, "why", child="3"),))

    assert [(count, timeline[-1].state) for count, timeline in lifecycle.children(facts)] == [
        (5 - 1, "SUCCEEDED"),
        (1, "FAILED"),
    ]
    assert Step(132.0, "FAILED", 1, "why", "terminate") == batch_timeline(facts)[-1]


def test_the_children_of_a_sequential_array_run_one_after_another() -> None:
    """Each child starts when the previous child ends."""
    facts = dataclasses.replace(FACTS, array=3, sequential=True)

    ends = [child_timeline(facts, index)[-1].at for index in range(3)]
    assert ends == [132.0, 132.0 + 26.0, 132.0 + 52.0]
    assert batch_timeline(facts)[-1].at == 184.0


def test_a_failed_child_of_a_sequential_array_fails_the_ones_after_it() -> None:
    """The later children never run, and the parent's reason is the failure of the earlier child."""
    facts = dataclasses.replace(FACTS, array=3, sequential=True, fails=True)

    assert [child_timeline(facts, index)[-1].detail for index in range(3)] == [
        lifecycle.EXIT_FAILED,
        lifecycle.BLOCKED,
        lifecycle.BLOCKED,
    ]
    assert batch_timeline(facts)[-1].detail == lifecycle.CHILD_FAILED


def test_a_sequential_array_of_endless_children_waits_for_the_first() -> None:
    """The other children and the parent remain PENDING."""
    facts = dataclasses.replace(FACTS, array=3, sequential=True, run_seconds=None)

    assert [child_timeline(facts, index)[-1].state for index in range(3)] == ["RUNNING", "PENDING", "PENDING"]
    assert None is end(batch_timeline(facts))


@settings(deadline=None)
@given(FACTS_OF_ANY_RUN)
def test_steps_are_in_order_and_only_the_last_one_is_an_end(facts: Facts) -> None:
    """Whatever is stored about a run, its timeline starts at acceptance and is sorted by time."""
    for timeline in (emr_timeline(facts), batch_timeline(facts)):
        moments = [step.at for step in timeline]
        assert moments[0] == 100.0
        assert sorted(moments) == moments
        assert not any(step.state in lifecycle.ENDED for step in timeline[:-1])


@settings(deadline=None)
@given(FACTS_OF_ANY_RUN, st.floats(min_value=100, max_value=4000))
def test_a_run_that_has_ended_stays_as_it_ended(facts: Facts, later: float) -> None:
    """A request to stop a run after its end changes nothing."""
    for timeline_of in (emr_timeline, batch_timeline):
        last = end(timeline_of(facts))
        if last is not None and last.at <= later and all(stop.at <= later for stop in facts.stops):
            stopped = facts.stopped(Stop("terminate", later, "late"))
            assert last.state == current(timeline_of(stopped), later).state


@settings(deadline=None)
@given(FACTS_OF_ANY_RUN)
def test_facts_survive_being_stored(facts: Facts) -> None:
    """Facts are unchanged after they were written to JSON and read again."""
    assert facts == Facts.from_json(facts.to_json())
