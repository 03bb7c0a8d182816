"""Tests which reports of AWS are recorded: changes, at a limited rate, and details that AWS adds after the end of a
run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from reconciler.core import events as e
from reconciler.core.fold import fold
from reconciler.core.observations import (
    FIRST_REPORTS,
    LATE,
    MOST_LATE,
    REPORTS_APART,
    completes,
    differs,
    incomplete,
    is_recorded,
)
from reconciler.core.ports import RunReport
from reconciler.core.state import Recorded, RunState
from tests.builders import NOW, at, intended, outcome, recorded, token
from tests.campaigns import in_one_test


def seen(state: str = "submitted", word: str = "RUNNABLE", *, seconds: float = 0, **more: Any) -> e.Observed:
    """Returns an observation of the run."""
    return e.Observed(at=at(seconds), name="orders", token=token(), run_id="run-1", state=state, aws_state=word, **more)


def run_of(*events: e.Event) -> Recorded:
    """Returns the state of a submitted run after these events."""
    intent = intended()
    return recorded(intent, outcome("submitted", intent), *events)


@in_one_test(
    ("report", "new"),
    [
        (RunReport(True, "submitted", "RUNNABLE", "a"), False),
        (RunReport(True, "submitted", "RUNNABLE", "b"), True),
        (RunReport(True, "submitted", "STARTING", "a"), True),
        (RunReport(True, "running", "RUNNING", "a"), True),
        (RunReport(True, "submitted", "RUNNABLE", "a", definition="orders:7"), True),
        (RunReport(True, "submitted", "RUNNABLE", "a", usage={"attempts": 2}), False),
    ],
)
def test_a_report_is_new_if_state_word_reason_or_definition_differ(report: RunReport, new: bool):
    """A report that differs only in its usage is not new, because the usage changes with every child of an array."""
    assert differs(run_of(seen(detail="a")).by_token[token()], report) is new


def test_a_flapping_reason_is_recorded_at_a_bounded_rate():
    """A reason that changes every minute for a week is recorded twelve times, and then every six hours."""
    state, kept = run_of(), 0
    for minute in range(7 * 24 * 60):
        event = seen(detail=f"reason {minute % 2}", seconds=60 * minute)
        if is_recorded(state.by_token[token()], event):
            fold(state, 10 + minute, [event])
            kept += 1
    assert FIRST_REPORTS + 7 * 24 // (REPORTS_APART.total_seconds() / 3600) >= kept > FIRST_REPORTS + 7 * 3
    assert is_recorded(state.by_token[token()], seen("running", "RUNNING", seconds=7 * 24 * 3600))


def test_what_aws_adds_after_the_end_is_folded():
    """The reason, the usage and the end time are filled in. The run stays ended, and a complete report is never
    changed."""
    state = run_of(seen("failed", "FAILED", partial=True))
    fold(state, 5, [seen("failed", "FAILED", detail="OOM", usage={"attempts": 1}, seconds=60)])
    run = state.by_token[token()]
    assert (run.run_state, run.detail, run.usage, run.partial) == (RunState.FAILED, "OOM", {"attempts": 1}, False)
    fold(state, 6, [seen("failed", "FAILED", detail="later", seconds=90), seen("running", "RUNNING", seconds=91)])
    assert (run.run_state, run.detail) == (RunState.FAILED, "OOM")


def test_a_late_reason_tells_that_aws_ended_a_cancelled_run():
    """A later report can only change a cancelled run to a failed one."""
    state = run_of(seen("cancelled", "FAILED", partial=True), seen("failed", "FAILED", detail="CAPACITY:X"))
    assert state.by_token[token()].run_state is RunState.FAILED
    state = run_of(seen("succeeded", "SUCCESS", partial=True), seen("failed", "FAILED", detail="x"))
    assert state.by_token[token()].run_state is RunState.SUCCEEDED


def test_ended_runs_are_read_again_for_an_hour():
    """An ended run is read again for an hour while details are missing, but not if an older version recorded it."""
    ended = NOW - LATE
    assert incomplete(run_of(seen("failed", "FAILED", partial=True)), NOW)["BatchJob"][0].run_id == "run-1"
    old = (ended - NOW).total_seconds()
    assert incomplete(run_of(seen("failed", "FAILED", partial=True, seconds=old)), NOW) == {}
    assert incomplete(run_of(seen("failed", "FAILED")), NOW) == {}


def test_a_pass_reads_few_ended_runs_again():
    """A pass reads at most fifty ended runs of a kind again, however many have ended. The next pass chooses other runs,
    so that each run is read eventually."""
    events: list[e.Event] = []
    for number in range(1, 2 * MOST_LATE + 1):
        intent = intended(generation=number)
        events += [intent, outcome("submitted", intent)]
        of = {"name": "orders", "token": intent.token, "run_id": f"run-{number}"}
        end = {"state": "failed", "aws_state": "FAILED"}
        events.append(e.Observed(at=at(number - 2 * MOST_LATE), partial=True, **of, **end))  # type: ignore[arg-type]
    state = recorded(*events)
    passes = [incomplete(state, NOW + timedelta(seconds=second))["BatchJob"] for second in range(30)]
    assert {len(runs) for runs in passes} == {MOST_LATE}
    assert {run.run_id for runs in passes for run in runs} == {f"run-{n}" for n in range(1, 2 * MOST_LATE + 1)}


@in_one_test(
    ("report", "more"),
    [
        (RunReport(True, "failed", "FAILED", partial=True), False),
        (RunReport(True, "failed", "FAILED", "OOM", partial=True), True),
        (RunReport(True, "failed", "FAILED", usage={"attempts": 1}, partial=True), True),
        (RunReport(True, "failed", "FAILED"), True),  # AWS adds no more details
        (RunReport(True, "running", "RUNNING", "x"), False),
        (RunReport(exists=False), False),
    ],
)
def test_a_report_about_an_ended_run_is_new_if_it_has_more(report: RunReport, more: bool):
    """A report is new if it adds a reason or usage, or if AWS will not add any more details."""
    assert completes(run_of(seen("failed", "FAILED", partial=True)).by_token[token()], report) is more
