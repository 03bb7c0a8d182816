"""Tests what the EMR Serverless adapter does in addition to the contract of all adapters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.app.session import SystemClock
from reconciler.aws.clients import Aws
from reconciler.core.ports import RunRef, RunReport, Service, Wanted
from reconciler.core.times import time_text
from reconciler.errors import ServiceError
from tests.aws.conftest import CREDENTIALS
from tests.aws.fake_aws import Answer, FakeAws, Handler
from tests.aws.wires import EMR


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeAws]:
    """Yields the server for all tests of this module."""
    with FakeAws() as fake:
        yield fake


@pytest.fixture(scope="module")
def emr(fake: FakeAws) -> Iterator[Service]:
    """Yields the adapter that uses that server."""
    aws = Aws("eu-west-1", fake.url, CREDENTIALS, clock=SystemClock())
    yield EMR.connect(aws)
    aws.close()


def refs(count: int) -> list[RunRef]:
    """Returns references to the runs 0, 1, 2 …"""
    return [EMR.ref(number) for number in range(count)]


def report_of(fake: FakeAws, emr: Service, state: str, **run: Any) -> RunReport:
    """Returns the report for one run."""
    fake.play(GetJobRun=EMR.describing(EMR.run("run-1", state, **run)))
    report = emr.observe([EMR.ref(1)])["r1-1"]
    assert isinstance(report, RunReport)
    return report


def test_a_report_has_times_and_a_reason(fake: FakeAws, emr: Service):
    """Times are text in UTC. The detail is AWS's reason."""
    times = {"createdAt": 1_763_776_790, "startedAt": 1_763_776_800, "endedAt": 1_763_776_860.5, "updatedAt": 1}
    assert report_of(fake, emr, "FAILED", **times, stateDetails="OOM") == RunReport(
        exists=True,
        state="failed",
        aws_state="FAILED",
        detail="OOM",
        started_at="2025-11-22T02:00:00.000Z",
        finished_at="2025-11-22T02:01:00.500Z",
        created_at="2025-11-22T01:59:50.000Z",
        partial=True,
    )


def test_a_report_has_what_was_billed(fake: FakeAws, emr: Service):
    """Usage has AWS's own names and units."""
    billed = {"vCPUHour": 1.5, "memoryGBHour": 6.0, "storageGBHour": 0.0}
    report = report_of(fake, emr, "SUCCESS", updatedAt=1, billedResourceUtilization=billed)
    assert report.usage == {"billedResourceUtilization": billed}


def test_a_run_that_has_not_ended_has_no_end(fake: FakeAws, emr: Service):
    """The time of the last change is the end time only if the run has ended."""
    assert report_of(fake, emr, "RUNNING", updatedAt=1).finished_at is None
    assert report_of(fake, emr, "SUCCESS", updatedAt=1).finished_at == "1970-01-01T00:00:01.000Z"


def test_an_answer_about_another_run_is_an_error(fake: FakeAws, emr: Service):
    """If the reply describes another run, it is not used, because its state and tags belong to that run."""
    fake.play(GetJobRun=lambda _: (200, {"jobRun": EMR.run("other", token="r1-1")}), ListJobRuns=EMR.listing(["a"]))
    assert isinstance(emr.observe([EMR.ref(1)])["r1-1"], str)
    assert isinstance(emr.find(EMR.wanted("r1-1"))["r1-1"], str)


def test_few_runs_are_asked_for_one_by_one(fake: FakeAws, emr: Service):
    """To observe three runs of an application, no listing is needed."""
    fake.play(GetJobRun=EMR.describing(*(EMR.run(f"run-{number}") for number in range(3))))
    assert len(emr.observe(refs(3))) == 3
    assert fake.calls == {"GetJobRun": 3}


LIVE = {"submitted", "running"}


def lists(runs: dict[str, str]) -> Handler:
    """Returns an answer to ListJobRuns: the runs in the queried states, fifty per page."""

    def answer(given: dict[str, Any]) -> Answer:
        chosen = [(run_id, state) for run_id, state in runs.items() if state in given.get("states", EMR.states)]
        start = int(given.get("nextToken", ["0"])[0])
        form = [{"id": run_id, "state": state, "stateDetails": "x"} for run_id, state in chosen[start : start + 50]]
        return 200, {"jobRuns": form} | ({"nextToken": str(start + 50)} if start + 50 < len(chosen) else {})

    return answer


def test_many_runs_are_read_from_a_listing(fake: FakeAws, emr: Service):
    """Runs that were submitted long ago are read from a listing of live runs. Only runs that are not listed are read by
    single calls."""
    live = {f"run-{number}": "RUNNING" for number in range(100)}
    fake.play(ListJobRuns=lists(live), GetJobRun=EMR.describing(EMR.run("run-100", "SUCCESS")))
    old = [replace(ref, since="2025-01-01T00:00:00.000Z") for ref in refs(102)]
    reports = emr.observe(old)
    assert fake.calls == {"ListJobRuns": 2, "GetJobRun": 2}
    assert set(fake.inputs[0]["states"]) == {word for word, state in EMR.states.items() if state in LIVE}
    assert [str(reports[ref.token].state) for ref in old] == [*["running"] * 100, "succeeded", ""]  # type: ignore[union-attr]


def test_many_ends_are_read_from_a_listing(fake: FakeAws, emr: Service):
    """Five hundred runs that ended between two passes are read with one call for every fifty runs. The listing shows
    the end and its reason; later passes read the other details."""
    now = time_text(datetime.now(UTC))
    fake.play(ListJobRuns=lists({f"run-{number}": "FAILED" for number in range(500)}), GetJobRun=EMR.describing())
    reports = emr.observe([replace(ref, since=now) for ref in refs(500)])
    assert fake.calls == {"ListJobRuns": 10}
    assert {each.state for each in reports.values() if isinstance(each, RunReport)} == {"failed"}
    assert all(isinstance(each, RunReport) and each.partial and each.detail == "x" for each in reports.values())
    assert len(reports) == 500


def test_the_details_of_few_ends_are_read_at_once(fake: FakeAws, emr: Service):
    """If only a few runs have ended, GetJobRun returns when they started and what they used. If it fails, the listing
    still shows that they ended."""
    states = {f"run-{number}": "RUNNING" for number in range(60)} | {"run-7": "SUCCESS", "run-8": "SUCCESS"}
    whole = EMR.run("run-7", "SUCCESS", startedAt=1_763_776_800, updatedAt=1_763_776_900)
    fake.play(ListJobRuns=lists(states), GetJobRun=EMR.describing(whole))
    reports = emr.observe([replace(ref, since=time_text(datetime.now(UTC))) for ref in refs(60)])
    assert fake.calls == {"ListJobRuns": 2, "GetJobRun": 2}
    known, proven = reports["r1-7"], reports["r1-8"]
    assert isinstance(known, RunReport)
    assert known.started_at == "2025-11-22T02:00:00.000Z"
    assert isinstance(proven, RunReport)
    assert (proven.exists, proven.state, proven.partial) == (True, "succeeded", True)


def test_details_of_a_recorded_end_are_not_read_from_a_listing(fake: FakeAws, emr: Service):
    """Runs whose end is recorded are read by GetJobRun, because a listing does not have their details."""
    fake.play(ListJobRuns=lists({}), GetJobRun=EMR.describing(*(EMR.run(f"run-{n}", "SUCCESS") for n in range(9))))
    assert len(emr.observe([replace(ref, ended=True) for ref in refs(9)])) == 9
    assert fake.calls == {"GetJobRun": 9}


def test_a_stream_does_not_make_the_listing_of_ends_long(fake: FakeAws, emr: Service):
    """If the application has an old live run, reconciler lists live runs first, and then the ended runs since the
    oldest of the remaining runs."""
    now = time_text(datetime.now(UTC))
    runs = [replace(EMR.ref(0), since="2025-01-01T00:00:00.000Z")]
    runs += [replace(EMR.ref(number), since=now) for number in range(1, 100)]
    fake.play(ListJobRuns=lists({"run-0": "RUNNING"} | {f"run-{n}": "SUCCESS" for n in range(1, 100)}))
    reports = emr.observe(runs)
    assert fake.calls == {"ListJobRuns": 3}
    assert "createdAtAfter" not in fake.inputs[0]
    assert fake.inputs[1]["createdAtAfter"][0] > "2026"
    assert len(reports) == 100


def test_a_long_listing_is_left_when_it_saves_nothing(fake: FakeAws, emr: Service):
    """If an application is full of other users' runs, reconciler stops listing one page after our runs would have
    fitted."""
    pages = [[f"other-{number}-{page}" for number in range(50)] for page in range(20)]
    described = EMR.describing(*(EMR.run(f"run-{number}") for number in range(6)))
    fake.play(ListJobRuns=EMR.listing(*pages), GetJobRun=described)
    reports = emr.observe(refs(6))
    assert fake.calls == {"ListJobRuns": 2, "GetJobRun": 6}
    assert all(isinstance(each, RunReport) and each.exists for each in reports.values())


@pytest.mark.parametrize("answer", [(403, "AccessDeniedException"), (200, {}), (200, {"jobRuns": [{}]})])
def test_a_listing_that_fails_costs_calls_and_no_answer(answer: Answer, fake: FakeAws, emr: Service):
    """Without a listing, each run is read by a single call."""
    described = EMR.describing(*(EMR.run(f"run-{number}") for number in range(5)))
    fake.play(ListJobRuns=lambda _: answer, GetJobRun=described)
    reports = emr.observe(refs(5))
    assert all(isinstance(each, RunReport) and each.exists for each in reports.values())


def test_an_unknown_state_in_a_listing_is_an_error_too(fake: FakeAws, emr: Service):
    """A run whose listed state is unknown is read by a single call, and then reported as an error."""
    names = [f"run-{number}" for number in range(5)]
    described = EMR.describing(*(EMR.run(name, "PONDERING") for name in names))
    fake.play(ListJobRuns=EMR.listing(names, state="PONDERING"), GetJobRun=described)
    assert {str} == {type(each) for each in emr.observe(refs(5)).values()}


def test_an_application_is_listed_since_the_first_intent(fake: FakeAws, emr: Service):
    """One pair of listings per application serves all submissions, from shortly before the first intent."""
    fake.play(ListJobRuns=EMR.listing(["a"], ["b"]), GetJobRun=EMR.describing(EMR.run("a"), EMR.run("b")))
    later = EMR.wanted("r1-3", since="2026-11-22T03:00:00.000Z")
    assert emr.find([*EMR.wanted("r1-1"), *later]) == {"r1-1": (), "r1-3": ()}
    assert fake.calls == {"ListJobRuns": 4, "GetJobRun": 2}
    assert fake.inputs[0] == {
        "applicationId": "00app",
        "maxResults": ["50"],
        "createdAtAfter": ["2026-11-22T01:58:00Z"],
    }


def listing_of(runs: list[dict[str, Any]]) -> Handler:
    """Returns an answer to ListJobRuns: one page with these runs."""
    return lambda _: (200, {"jobRuns": [{"id": run["jobRunId"], "state": "SUCCESS", **run} for run in runs]})


@pytest.fixture
def fresh(fake: FakeAws) -> Iterator[Service]:
    """Yields an adapter that has read no run yet."""
    aws = Aws("eu-west-1", fake.url, CREDENTIALS, clock=SystemClock())
    yield EMR.connect(aws)
    aws.close()


def wanted(token: str, name: str | None, since: str, until: str | None) -> Wanted:
    """Returns a submission in the application of the tests."""
    return Wanted(token, EMR.location, f"2025-11-{since}:00.000Z", name, until and f"2025-11-{until}:00.000Z")


def test_runs_of_other_names_are_not_read(fake: FakeAws, fresh: Service):
    """Of six hundred runs, the adapter reads only those that the listing shows with the submission's name or without a
    name. The tag then identifies the submission's run."""
    others = [EMR.run(f"other-{number}", name=f"job-{number}", createdAt=1_763_776_800) for number in range(600)]
    ours = [EMR.run("a", token="r1-1", name="orders"), EMR.run("b", token="r1-2", name="orders"), EMR.run("c")]
    fake.play(ListJobRuns=listing_of([*others, *ours]), GetJobRun=EMR.describing(*others, *ours))
    assert fresh.find([wanted("r1-1", "orders", "22T02:00", "22T02:01")]) == {"r1-1": ["a"]}
    assert fake.calls == {"ListJobRuns": 2, "GetJobRun": 3}


def test_a_held_submission_does_not_cost_more_from_pass_to_pass(fake: FakeAws, fresh: Service):
    """The listed period ends half an hour after the last deadline, a newer submission has a period of its own, and no
    run is read twice."""
    runs = [EMR.run(f"run-{number}", name="orders", createdAt=1_763_776_800) for number in range(40)]
    fake.play(ListJobRuns=listing_of(runs), GetJobRun=EMR.describing(*runs))
    held, near, newer = (
        wanted("r1-1", "orders", "22T02:00", "22T02:01"),
        wanted("r1-2", "orders", "22T02:20", "22T02:21"),
        wanted("r1-3", "orders", "24T02:00", None),
    )
    for _ in range(3):
        assert fresh.find([newer, held, near]) == {"r1-1": (), "r1-2": (), "r1-3": ()}
    assert fake.calls == {"ListJobRuns": 12, "GetJobRun": 40}
    asked = [(given.get("createdAtAfter"), given.get("createdAtBefore")) for given in fake.inputs if "mode" in given]
    assert (
        asked
        == [
            (["2025-11-22T01:58:00Z"], ["2025-11-22T02:51:00Z"]),
            (["2025-11-24T01:58:00Z"], None),
        ]
        * 3
    )


def test_a_young_run_is_read_again(fake: FakeAws, fresh: Service):
    """A recently created run may not have its tags yet. A window whose end is in the future has no end."""
    now = datetime.now(UTC)
    young = EMR.run("a", name="orders", createdAt=now.timestamp())
    fake.play(ListJobRuns=listing_of([young]), GetJobRun=EMR.describing(young))
    want = Wanted("r1-1", EMR.location, time_text(now), "orders", time_text(now))
    assert fresh.find([want]) == {"r1-1": ()}
    fake.operations["GetJobRun"] = EMR.describing(EMR.run("a", token="r1-1", name="orders"))
    assert fresh.find([want]) == {"r1-1": ["a"]}
    assert all("createdAtBefore" not in given for given in fake.inputs)


def test_streaming_runs_are_listed_separately_too(fake: FakeAws, emr: Service):
    """AWS does not document whether a listing without a mode contains streaming runs, so its result does not prove
    absence."""

    def answer(given: dict[str, Any]) -> Answer:
        runs = [{"id": "s", "state": "RUNNING"}] if given.get("mode") == ["STREAMING"] else []
        return 200, {"jobRuns": runs}

    fake.play(ListJobRuns=answer, GetJobRun=EMR.describing(EMR.run("s", "RUNNING", "r1-1")))
    assert emr.find(EMR.wanted("r1-1")) == {"r1-1": ["s"]}
    stream = replace(EMR.wanted("r1-1")[0], streaming=True)
    assert emr.find([stream]) == {"r1-1": ["s"]}


@pytest.mark.parametrize(
    ("streaming", "owner", "modes"),
    [
        (False, None, [None]),
        (False, "p/t/orders", [None]),
        (True, None, ["STREAMING"]),
        (True, "p/t/orders", [None, "STREAMING"]),
        (None, None, [None, "STREAMING"]),
    ],
)
def test_only_modes_that_a_run_may_have_are_listed(
    streaming: bool | None, owner: str | None, modes: list[str | None], fake: FakeAws, emr: Service
):
    """For a run that is known to be a batch run or a streaming run, one listing is enough. Two listings are needed if
    the mode is unknown, or if the spec's earlier runs were streaming runs."""
    fake.play(ListJobRuns=EMR.listing([]))
    assert emr.find([replace(EMR.wanted("r1-1")[0], streaming=streaming, owner=owner)])["r1-1"] == ()
    assert [given.get("mode", [None])[0] for given in fake.inputs] == modes


def test_cancel(fake: FakeAws, emr: Service):
    """The adapter calls CancelJobRun."""
    fake.play(CancelJobRun=lambda _: (200, {"applicationId": "00app", "jobRunId": "run-1"}))
    emr.cancel(EMR.ref(1), "replaced")
    assert fake.inputs == [{"applicationId": "00app", "jobRunId": "run-1"}]


def test_a_cancelled_run_has_its_time_for_cleanup(fake: FakeAws, emr: Service):
    """The adapter passes the grace period, even if it is 0."""
    for seconds in (0, 60):
        fake.play(CancelJobRun=lambda _: (200, {"applicationId": "00app", "jobRunId": "run-1"}))
        emr.cancel(replace(EMR.ref(1), grace_seconds=seconds), "replaced")
        assert fake.inputs[0]["shutdownGracePeriodInSeconds"] == [str(seconds)]


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        ("Job run timed out in the queue", "failed"),
        ("Exceeded timeout", "failed"),
        ("Cancelled by a user", "cancelled"),
    ],
)
def test_a_timeout_of_aws_is_a_failure(reason: str, state: str, fake: FakeAws, emr: Service):
    """AWS reports a run that it stopped after a timeout as cancelled, with its own reason."""
    assert report_of(fake, emr, "CANCELLED", updatedAt=1, stateDetails=reason).state == state


@pytest.mark.parametrize("state", ["SUCCESS", "FAILED", "CANCELLED", "CANCELLING"])
def test_cancelling_a_run_that_ends_anyway_raises_nothing(state: str, fake: FakeAws, emr: Service):
    """AWS's refusal is ignored for a run that has ended or is being cancelled."""
    fake.play(CancelJobRun=lambda _: (400, "ValidationException"), GetJobRun=EMR.describing(EMR.run("run-1", state)))
    emr.cancel(EMR.ref(1), "replaced")


@pytest.mark.parametrize("runs", [[], [EMR.run("run-1", "PONDERING")]], ids=["unknown", "unknown state"])
def test_a_refused_cancel_of_an_unclear_run_is_raised(runs: list[dict[str, Any]], fake: FakeAws, emr: Service):
    """In any other case, the caller gets AWS's refusal."""
    fake.play(CancelJobRun=lambda _: (400, "ValidationException"), GetJobRun=EMR.describing(*runs))
    with pytest.raises(ServiceError, match="CancelJobRun: ValidationException: said no"):
        emr.cancel(EMR.ref(1), "replaced")
