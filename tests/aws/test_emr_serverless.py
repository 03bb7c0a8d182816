"""EMR Serverless behind the port: observe, find, cancel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.app.session import SystemClock
from reconciler.aws.clients import Aws
from reconciler.aws.emr_serverless import STATES, EmrServerless, connect
from reconciler.core.ports import RunRef, RunReport, Wanted
from reconciler.errors import ServiceError
from tests.aws.conftest import CREDENTIALS
from tests.aws.fake_aws import Answer, FakeAws

PLACE = {"applicationId": "00app"}
SINCE = "2026-11-22T02:00:00.000Z"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeAws]:
    """The server, for all tests of this module."""
    with FakeAws() as fake:
        yield fake


@pytest.fixture(scope="module")
def emr(fake: FakeAws) -> Iterator[EmrServerless]:
    """The adapter on that server."""
    aws = Aws("eu-west-1", fake.url, CREDENTIALS, clock=SystemClock())
    service = connect(aws)
    assert isinstance(service, EmrServerless)
    yield service
    aws.close()


def ref(number: int) -> RunRef:
    """One run."""
    return RunRef(f"r1-{number}", f"run-{number}", PLACE)


def refs(count: int) -> list[RunRef]:
    """Runs 0, 1, 2 …"""
    return [ref(number) for number in range(count)]


def run(run_id: str, state: str = "RUNNING", token: str | None = None, **more: object) -> dict[str, Any]:
    """One run as GetJobRun gives it."""
    tags = {} if token is None else {"tags": {"reconciler:token": token}}
    return {"applicationId": "00app", "jobRunId": run_id, "state": state, **tags, **more}


def getting(*runs: dict[str, Any]):
    """GetJobRun over these runs."""
    by_id = {each["jobRunId"]: each for each in runs}

    def answer(given: dict[str, Any]) -> Answer:
        found = by_id.get(given["jobRunId"])
        return (404, "ResourceNotFoundException") if found is None else (200, {"jobRun": found})

    return answer


def listing(*pages: list[tuple[str, str]]):
    """ListJobRuns over these pages of ids and states."""

    def answer(given: dict[str, Any]) -> Answer:
        number = int(given.get("nextToken", ["0"])[0])
        form: dict[str, Any] = {"jobRuns": [{"id": run_id, "state": state} for run_id, state in pages[number]]}
        if number + 1 < len(pages):
            form["nextToken"] = str(number + 1)
        return 200, form

    return answer


@pytest.mark.parametrize(("word", "state"), sorted(STATES.items()))
def test_every_state_has_a_word_of_ours(word: str, state: str, fake: FakeAws, emr: EmrServerless):
    """AWS's word is kept beside ours."""
    fake.play(GetJobRun=getting(run("run-1", word)))
    report = emr.observe([ref(1)])["r1-1"]
    assert isinstance(report, RunReport)
    assert (report.known, report.state, report.aws_state) == (True, state, word)


def test_the_words_are_botocore_s():
    """A state that AWS adds fails here before it surprises anybody."""
    import botocore.session

    model = botocore.session.get_session().get_service_model("emr-serverless")
    assert set(model.shape_for("JobRunState").enum) == set(STATES)


def test_a_report_says_when_and_why(fake: FakeAws, emr: EmrServerless):
    """Times are text in UTC; the detail is AWS's reason."""
    ended = run("run-1", "FAILED", startedAt=1_763_776_800, endedAt=1_763_776_860.5, updatedAt=1, stateDetails="OOM")
    fake.play(GetJobRun=getting(ended))
    expected = RunReport(
        known=True,
        state="failed",
        aws_state="FAILED",
        detail="OOM",
        started_at="2025-11-22T02:00:00.000Z",
        finished_at="2025-11-22T02:01:00.500Z",
    )
    assert expected == emr.observe([ref(1)])["r1-1"]


def test_a_report_says_what_was_billed(fake: FakeAws, emr: EmrServerless):
    """In AWS's own words and units, once it says so."""
    billed = {"vCPUHour": 1.5, "memoryGBHour": 6.0, "storageGBHour": 0.0}
    fake.play(GetJobRun=getting(run("run-1", "SUCCESS", updatedAt=1, billedResourceUtilization=billed)))
    report = emr.observe([ref(1)])["r1-1"]
    assert isinstance(report, RunReport)
    assert report.usage == {"billedResourceUtilization": billed}


def test_a_run_that_has_not_ended_has_no_end(fake: FakeAws, emr: EmrServerless):
    """The time of the last change is an end only for a run that has ended."""
    fake.play(GetJobRun=getting(run("run-1", "RUNNING", updatedAt=1), run("run-2", "SUCCESS", updatedAt=1)))
    reports = emr.observe([ref(1), ref(2)])
    assert [each.finished_at for each in reports.values() if isinstance(each, RunReport)] == [
        None,
        "1970-01-01T00:00:01.000Z",
    ]


def test_an_unknown_state_is_an_error(fake: FakeAws, emr: EmrServerless):
    """A word of a newer API is never guessed at."""
    fake.play(GetJobRun=getting(run("run-1", "PONDERING")))
    assert "PONDERING" in str(emr.observe([ref(1)])["r1-1"])


def test_an_unknown_run(fake: FakeAws, emr: EmrServerless):
    """A run that AWS does not have is not known, and that is no error."""
    fake.play(GetJobRun=getting())
    assert RunReport(known=False) == emr.observe([ref(1)])["r1-1"]


@pytest.mark.parametrize(
    "answer",
    [(403, "AccessDeniedException"), (200, {}), (200, []), (200, {"jobRun": {}}), (200, {"jobRun": run("other")})],
)
def test_an_answer_that_says_nothing_is_an_error(answer: Answer, fake: FakeAws, emr: EmrServerless):
    """Neither a refusal nor a damaged reply nor another run is taken for a state."""
    fake.play(GetJobRun=lambda _: answer)
    assert isinstance(emr.observe([ref(1)])["r1-1"], str)


def test_few_runs_are_asked_for_one_by_one(fake: FakeAws, emr: EmrServerless):
    """No listing for three runs of an application."""
    fake.play(GetJobRun=getting(*(run(f"run-{number}") for number in range(3))))
    assert len(emr.observe(refs(3))) == 3
    assert fake.calls == {"GetJobRun": 3}


def test_many_runs_are_read_from_a_listing(fake: FakeAws, emr: EmrServerless):
    """Live runs come from pages of fifty; only those that are not in it are asked for."""
    pages = [[(f"run-{number}", "RUNNING") for number in range(first, first + 50)] for first in (0, 50)]
    fake.play(ListJobRuns=listing(*pages), GetJobRun=getting(run("run-100", "SUCCESS")))
    reports = emr.observe(refs(102))
    assert fake.calls == {"ListJobRuns": 2, "GetJobRun": 2}
    assert set(fake.inputs[0]["states"]) == {word for word, state in STATES.items() if state.live}
    assert [str(each.state) for each in reports.values() if isinstance(each, RunReport)] == [
        *["running"] * 100,
        "succeeded",
        "",
    ]


def test_a_long_listing_is_left_when_it_saves_nothing(fake: FakeAws, emr: EmrServerless):
    """An application full of other people's runs costs at most half a call more for each of ours."""
    pages = [[(f"other-{number}-{page}", "RUNNING") for number in range(50)] for page in range(20)]
    fake.play(ListJobRuns=listing(*pages), GetJobRun=getting(*(run(f"run-{number}") for number in range(6))))
    reports = emr.observe(refs(6))
    assert fake.calls == {"ListJobRuns": 3, "GetJobRun": 6}
    assert all(isinstance(each, RunReport) and each.known for each in reports.values())


@pytest.mark.parametrize("answer", [(403, "AccessDeniedException"), (200, {}), (200, {"jobRuns": [{}]})])
def test_a_listing_that_fails_costs_calls_and_no_answer(answer: Answer, fake: FakeAws, emr: EmrServerless):
    """Without a listing each run is asked for."""
    fake.play(ListJobRuns=lambda _: answer, GetJobRun=getting(*(run(f"run-{number}") for number in range(5))))
    reports = emr.observe(refs(5))
    assert all(isinstance(each, RunReport) and each.known for each in reports.values())


def test_an_unknown_state_in_a_listing_is_an_error_all_the_same(fake: FakeAws, emr: EmrServerless):
    """A word that is not known is asked about again, and then told."""
    page = [(f"run-{number}", "PONDERING") for number in range(5)]
    fake.play(ListJobRuns=listing(page), GetJobRun=getting(*(run(run_id, state) for run_id, state in page)))
    assert {str} == {type(each) for each in emr.observe(refs(5)).values()}


def wanted(*tokens: str, since: str = SINCE) -> list[Wanted]:
    """Submissions to one application."""
    return [Wanted(token, PLACE, since) for token in tokens]


def test_found_by_the_tag_alone(fake: FakeAws, emr: EmrServerless):
    """Every run since shortly before the first intent is asked for its tags, in any state."""
    runs = [run("a", "SUCCESS", "r1-1"), run("b", "FAILED", "r1-2"), run("c"), run("d", "RUNNING", "r1-2")]
    pages = listing([("a", "SUCCESS"), ("b", "FAILED")], [("c", "RUNNING"), ("d", "RUNNING")])
    fake.play(ListJobRuns=pages, GetJobRun=getting(*runs))
    later = wanted("r1-3", since="2026-11-22T03:00:00.000Z")
    assert emr.find([*wanted("r1-1", "r1-2"), *later]) == {"r1-1": ["a"], "r1-2": ["b", "d"], "r1-3": ()}
    assert fake.calls == {"ListJobRuns": 4, "GetJobRun": 4}
    assert fake.inputs[0] == {
        "applicationId": "00app",
        "maxResults": ["50"],
        "createdAtAfter": ["2026-11-22T01:58:00Z"],
    }


def test_streaming_runs_are_listed_by_themselves_too(fake: FakeAws, emr: EmrServerless):
    """Whether a listing without a mode holds them is not documented: left out is not absent."""

    def answer(given: dict[str, Any]) -> Answer:
        runs = [{"id": "s", "state": "RUNNING"}] if given.get("mode") == ["STREAMING"] else []
        return 200, {"jobRuns": runs}

    fake.play(ListJobRuns=answer, GetJobRun=getting(run("s", "RUNNING", "r1-1")))
    assert emr.find(wanted("r1-1")) == {"r1-1": ["s"]}


def test_a_complete_empty_listing_is_absence(fake: FakeAws, emr: EmrServerless):
    """Nothing listed, nothing to ask for."""
    fake.play(ListJobRuns=listing([]))
    assert emr.find(wanted("r1-1")) == {"r1-1": ()}


def test_each_application_is_listed_for_all_that_is_wanted(fake: FakeAws, emr: EmrServerless):
    """An error of one application is not an error of another."""

    def answer(given: dict[str, Any]) -> Answer:
        return (200, {"jobRuns": []}) if given["applicationId"] == "00app" else (404, "ResourceNotFoundException")

    fake.play(ListJobRuns=answer)
    found = emr.find([*wanted("r1-1", "r1-2"), Wanted("r1-3", {"applicationId": "00gone"}, SINCE)])
    assert fake.calls == {"ListJobRuns": 3}  # both listings of the one, the first of the other
    assert (found["r1-1"], found["r1-2"]) == ((), ())
    assert "ResourceNotFoundException" in str(found["r1-3"])


@pytest.mark.parametrize("answer", [(403, "AccessDeniedException"), (404, "ResourceNotFoundException"), (200, {})])
def test_a_candidate_that_cannot_be_read_is_not_absence(answer: Answer, fake: FakeAws, emr: EmrServerless):
    """The run whose tags are unread may be the one."""
    fake.play(ListJobRuns=listing([("a", "RUNNING")]), GetJobRun=lambda _: answer)
    assert isinstance(emr.find(wanted("r1-1"))["r1-1"], str)


@pytest.mark.parametrize(
    "answer", [(403, "AccessDeniedException"), (200, {}), (200, []), (200, {"jobRuns": [], "nextToken": "again"})]
)
def test_a_listing_that_says_nothing_is_not_absence(answer: Answer, fake: FakeAws, emr: EmrServerless):
    """Neither a refusal nor a damaged reply nor an endless one is an empty list."""
    fake.play(ListJobRuns=lambda _: answer)
    assert isinstance(emr.find(wanted("r1-1"))["r1-1"], str)


def test_cancel(fake: FakeAws, emr: EmrServerless):
    """A live run is asked to stop."""
    fake.play(CancelJobRun=lambda _: (200, {"applicationId": "00app", "jobRunId": "run-1"}))
    emr.cancel(ref(1), "replaced")
    assert fake.inputs == [{"applicationId": "00app", "jobRunId": "run-1"}]


@pytest.mark.parametrize("state", ["SUCCESS", "FAILED", "CANCELLED", "CANCELLING"])
def test_cancelling_a_run_that_ends_anyway_is_quiet(state: str, fake: FakeAws, emr: EmrServerless):
    """Nothing happens to a run that has ended, whatever AWS says about it."""
    fake.play(CancelJobRun=lambda _: (400, "ValidationException"), GetJobRun=getting(run("run-1", state)))
    emr.cancel(ref(1), "replaced")


@pytest.mark.parametrize("runs", [[run("run-1")], [], [run("run-1", "PONDERING")]], ids=["live", "unknown", "strange"])
def test_a_refused_cancel_is_told(runs: list[dict[str, Any]], fake: FakeAws, emr: EmrServerless):
    """AWS's no reaches the caller unless the run is known to end."""
    fake.play(CancelJobRun=lambda _: (400, "ValidationException"), GetJobRun=getting(*runs))
    with pytest.raises(ServiceError, match="CancelJobRun: ValidationException: said no"):
        emr.cancel(ref(1), "replaced")


def test_without_credentials_nothing_is_known():
    """Every answer says why, and nothing is raised."""
    service = connect(Aws("eu-west-1", profile="nobody", clock=SystemClock()))
    assert "ProfileNotFound" in str(service.observe([ref(1)])["r1-1"])
    assert "ProfileNotFound" in str(service.find(wanted("r1-1"))["r1-1"])
    with pytest.raises(ServiceError, match="ProfileNotFound"):
        service.cancel(ref(1), "replaced")
