"""Tests how a pass reads runs from AWS: which runs it reads, which events it records, and which errors it reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.aws.observe import UNKNOWN_RUN, observe
from reconciler.core import events as e
from reconciler.core.fold import fold
from reconciler.core.identity import Content, Source, SubmissionKey
from reconciler.core.ports import Instant, Outcome, RunRef, RunReport, Service, Services, Wanted
from reconciler.core.state import Recorded, Sighting
from reconciler.errors import ServiceError
from reconciler.model.base import JSON
from tests.waiting import PATIENCE_SECONDS

AT = "2026-11-22T02:00:00.000Z"
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
BATCH, EMR = "BatchJob", "EmrServerlessJobRun"


def intent(name: str, kind: str = BATCH) -> e.Intended:
    """Returns the first intent of a one-off spec."""
    return e.Intended(
        at=AT,
        token=f"r1-{name}",
        kind=kind,
        key=SubmissionKey(name, 1),
        content=Content("sha256:00", request={}, location={"place": name}, source=Source("x.yaml", 1)),
        send=1,
        not_after=AT,
        owner="host/1",
        reason="new",
        actor="ops",
        tool_version="0.1.0",
    )


def submitted(name: str) -> e.Submitted:
    """Returns the event that AWS has accepted the run."""
    return e.Submitted(at=AT, name=name, token=f"r1-{name}", send=1, run_id=f"run-{name}")


def observed(name: str, state: str, aws_state: str) -> e.Observed:
    """Returns an earlier observation of the run."""
    return e.Observed(at=AT, name=name, token=f"r1-{name}", run_id=f"run-{name}", state=state, aws_state=aws_state)


def recorded(*events: e.Event) -> Recorded:
    """Returns the state that these events lead to."""
    made = Recorded()
    fold(made, 1, events)
    return made


@dataclass
class Answering:
    """A fake service with prepared answers that records its calls."""

    reports: Mapping[str, RunReport | str] = field(default_factory=dict)
    found: Mapping[str, Sequence[str] | str] = field(default_factory=dict)
    observed: list[RunRef] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)

    def submit(self, request: JSON, deadline: Instant) -> Outcome:
        """Never called, because observing submits nothing."""
        raise AssertionError((request, deadline))

    def observe(self, runs: Sequence[RunRef]) -> Mapping[str, RunReport | str]:
        """Returns the prepared reports."""
        self.observed += runs
        return self.reports

    def find(self, wanted: Sequence[Wanted]) -> Mapping[str, Sequence[str] | str]:
        """Returns the prepared runs."""
        self.wanted += wanted
        return self.found

    def cancel(self, run: RunRef, reason: str) -> None:
        """Never called, because observing cancels nothing."""
        raise AssertionError((run, reason))


def only(service: Service) -> Services:
    """Returns the same service for every kind."""
    return lambda _: service


RUNNING = RunReport(exists=True, state="running", aws_state="RUNNING")


def test_a_new_state_is_an_event():
    """A new state of a live run becomes an event if it is not in the ledger."""
    report = RunReport(True, "failed", "FAILED", "OOM", "2026-11-22T02:10:00Z", "2026-11-22T02:20:00Z")
    service = Answering({"r1-a": report})
    events, sighting = observe(recorded(intent("a"), submitted("a")), only(service), None, NOW)
    expected = e.Observed(
        at="2026-11-22T03:00:00.000Z",
        name="a",
        token="r1-a",
        run_id="run-a",
        state="failed",
        aws_state="FAILED",
        detail="OOM",
        started_at="2026-11-22T02:10:00Z",
        finished_at="2026-11-22T02:20:00Z",
    )
    assert (expected,) == events
    assert Sighting() == sighting
    ref = RunRef("r1-a", "run-a", {"place": "a"}, since="2026-11-22T02:00:00.000Z")
    assert [ref] == service.observed


@pytest.mark.parametrize(
    ("before", "new"), [(("running", "RUNNING"), 0), (("running", "CANCELLING"), 1), (("submitted", "RUNNABLE"), 1)]
)
def test_a_state_that_is_known_is_no_event(before: tuple[str, str], new: int):
    """Both AWS's state and ours are compared with the ledger."""
    state = recorded(intent("a"), submitted("a"), observed("a", *before))
    events, _ = observe(state, only(Answering({"r1-a": RUNNING})), None, NOW)
    assert new == len(events)


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
def test_a_run_that_has_ended_is_never_asked_for_again(end: str):
    """Ended runs are not read again, because AWS deletes them after some time."""
    service = Answering()
    observe(recorded(intent("a"), submitted("a"), observed("a", end, "X")), only(service), None, NOW)
    assert (service.observed, service.wanted) == ([], [])


def test_nothing_to_ask_makes_no_service():
    """Without live runs and unresolved submissions, no client is created."""

    def services(kind: str) -> Service:
        raise AssertionError(kind)

    assert ((), Sighting()) == observe(Recorded(), services, None, NOW)


def test_unresolved_submissions_are_looked_for():
    """A lookup can find a run, find none in a complete listing, or fail. These are three different outcomes."""
    state = recorded(intent("a"), intent("b"), intent("c"))
    service = Answering(found={"r1-a": ["run-1"], "r1-b": (), "r1-c": "ListJobs: AccessDenied: no"})
    events, sighting = observe(state, only(service), None, NOW)
    assert events == ()
    assert Sighting({"r1-a": ("run-1",), "r1-b": ()}, {"r1-c": "ListJobs: AccessDenied: no"}) == sighting
    assert [Wanted(f"r1-{name}", {"place": name}, AT, until=AT, streaming=False) for name in "abc"] == service.wanted


@pytest.mark.parametrize(
    ("request_", "name"), [({"name": "orders"}, "orders"), ({}, None), ({"name": 7}, None), ({"jobName": "x"}, None)]
)
def test_a_look_is_narrowed_by_the_name_that_was_sent(request_: JSON, name: str | None):
    """A lookup uses the name in the recorded request, and covers the time up to the newest send. If the recorded
    request cannot be read, the lookup covers all names."""
    service = Answering(found={"r1-a": ()})
    state = recorded(intent("a", "EmrServerlessJobRun"))
    observe(state, only(service), None, NOW, lambda submission: {"r1-a": request_}[submission.token])
    assert service.wanted == [Wanted("r1-a", {"place": "a"}, AT, name, AT, streaming=False)]


def test_a_conflict_is_looked_for_again():
    """A submission with a conflict is looked up in each pass, because somebody may have resolved it."""
    conflict = e.Conflicted(at=AT, name="a", token="r1-a", run_ids=("x", "y"))
    service = Answering(found={"r1-a": ["x"]})
    _, sighting = observe(recorded(intent("a"), conflict), only(service), None, NOW)
    assert {"r1-a": ("x",)} == sighting.runs_by_token


def test_a_submission_that_is_settled_is_not_looked_for():
    """Rejected and unsent submissions have no run."""
    rejected = e.Rejected(at=AT, name="a", token="r1-a", send=1, code="X", message="no")
    unsent = e.Unsent(at=AT, name="b", token="r1-b", send=1, code="X", message="no")
    service = Answering()
    observe(recorded(intent("a"), rejected, intent("b"), unsent), only(service), None, NOW)
    assert service.wanted == []


def test_only_selected_names_are_asked_about():
    """No calls are made for specs outside the selection."""
    state = recorded(intent("a"), submitted("a"), intent("b"), submitted("b"), intent("c"), intent("d"))
    service = Answering({"r1-a": RUNNING}, {"r1-c": ()})
    observe(state, only(service), {"a", "c"}, NOW)
    assert ["run-a"] == [ref.run_id for ref in service.observed]
    assert ["r1-c"] == [want.token for want in service.wanted]


def test_a_run_that_aws_does_not_know_has_not_ended():
    """A run that AWS does not have may be lost. A later plan decides whether it is lost."""
    events, sighting = observe(
        recorded(intent("a"), submitted("a")), only(Answering({"r1-a": RunReport(exists=False)})), None, NOW
    )
    assert events == ()
    assert {"r1-a": UNKNOWN_RUN} == sighting.observe_errors


@pytest.mark.parametrize(
    ("reports", "said"),
    [
        ({"r1-a": "DescribeJobs: AccessDenied: no"}, "AccessDenied"),
        ({}, "does not contain this run"),
        ({"r1-a": RunReport(True, "melted", "MELTED")}, "melted"),
    ],
)
def test_what_could_not_be_learnt_is_said(reports: Mapping[str, RunReport | str], said: str):
    """An error, a missing reply or an invalid state is reported for that run only."""
    events, sighting = observe(recorded(intent("a"), submitted("a")), only(Answering(reports)), None, NOW)
    assert events == ()
    assert said in sighting.observe_errors["r1-a"]


def test_silence_about_a_submission_is_not_absence():
    """If the reply lacks a token, this is an error for the token."""
    _, sighting = observe(recorded(intent("a")), only(Answering()), None, NOW)
    assert sighting.runs_by_token == {}
    assert "does not contain this submission" in sighting.look_errors["r1-a"]


@dataclass
class Raising(Answering):
    """A service that violates its contract."""

    error: Exception = field(default_factory=lambda: RuntimeError("broken"))

    def observe(self, runs: Sequence[RunRef]) -> Mapping[str, RunReport | str]:
        """Raises the error."""
        raise self.error

    def find(self, wanted: Sequence[Wanted]) -> Mapping[str, Sequence[str] | str]:
        """Raises the error."""
        raise self.error


@pytest.mark.parametrize(
    ("error", "said"),
    [(ServiceError("ListJobs", "AccessDenied", "no"), "ListJobs: AccessDenied: no"), (KeyError("x"), "KeyError: 'x'")],
)
@pytest.mark.parametrize("when", ["made", "asked"])
def test_one_service_s_failure_stops_no_other(error: Exception, said: str, when: str):
    """An exception from one service is reported as an error for the tokens of that service only."""
    state = recorded(
        intent("a", EMR), submitted("a"), intent("b", EMR), intent("c", BATCH), submitted("c"), intent("d", BATCH)
    )
    working = Answering({"r1-c": RUNNING}, {"r1-d": ["run-d"]})

    def services(kind: str) -> Service:
        if kind == BATCH:
            return working
        if when == "made":
            raise error
        return Raising(error=error)

    events, sighting = observe(state, services, None, NOW)
    assert ["c"] == [event.name for event in events]
    assert Sighting({"r1-d": ("run-d",)}, {"r1-b": said}, {"r1-a": said}) == sighting


def test_events_are_in_order_of_name():
    """The order does not depend on which service replies first."""
    state = recorded(
        *(event for name in "dbca" for event in (intent(name, EMR if name in "bd" else BATCH), submitted(name)))
    )
    service = Answering({f"r1-{name}": RUNNING for name in "abcd"})
    events, _ = observe(state, only(service), None, NOW)
    assert ["a", "b", "c", "d"] == [event.name for event in events]


def test_services_are_asked_at_the_same_time():
    """This test ends only if both services are called at the same time."""
    together = Barrier(2, timeout=PATIENCE_SECONDS)

    class Meeting(Answering):
        def observe(self, runs: Sequence[RunRef]) -> Mapping[str, RunReport | str]:
            together.wait()
            return {ref.token: RUNNING for ref in runs}

    state = recorded(intent("a", EMR), submitted("a"), intent("b", BATCH), submitted("b"))
    events, _ = observe(state, lambda _: Meeting(), None, NOW)
    assert len(events) == 2


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["unresolved", "live", "ended", "rejected"])))
def test_every_open_submission_has_exactly_one_answer(cases: dict[str, str]):
    """Each live run has either an event or an error, and each unresolved submission has either a result or an error."""
    more: dict[str, list[Callable[[str], e.Event]]] = {
        "unresolved": [],
        "live": [submitted],
        "ended": [submitted, lambda name: observed(name, "succeeded", "X")],
        "rejected": [lambda name: e.Rejected(at=AT, name=name, token=f"r1-{name}", send=1, code="X", message="no")],
    }
    state = recorded(
        *(event for name in cases for event in (intent(name), *(make(name) for make in more[cases[name]])))
    )
    service = Answering({"r1-a": RUNNING, "r1-b": "no"}, {"r1-a": (), "r1-c": ["x"]})
    events, sighting = observe(state, only(service), None, NOW)
    of = {case: {f"r1-{name}" for name in cases if cases[name] == case} for case in more}
    assert of["live"] == {event.token for event in events} ^ set(sighting.observe_errors)
    assert of["unresolved"] == set(sighting.runs_by_token) ^ set(sighting.look_errors)
