"""Tests the contract that every adapter must fulfil, with the shipped emulator and with a server that gives chosen
answers.

`test_outcome.py` and `test_outcome_on_the_way.py` test the contract for submitting, over raw sockets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.app.session import SystemClock
from reconciler.aws.adapter import unknown_state
from reconciler.aws.clients import Aws
from reconciler.core.ports import Accepted, Ambiguous, Declined, Inventory, RunRef, RunReport, Service, Wanted
from reconciler.core.times import parse_time, time_text
from reconciler.emulator import Emulator, Settings
from reconciler.errors import ServiceError
from tests.aws.conftest import CREDENTIALS
from tests.aws.fake_aws import Answer, FakeAws
from tests.aws.requests import in_a_minute
from tests.aws.wires import BATCH, EMR, Wire

SERVICES = [pytest.param(BATCH, id="batch"), pytest.param(EMR, id="emr-serverless")]

# --- over the emulator ------------------------------------------------------------------------------------------------

OTHER = {"entryPoint": "s3://b/other.py"}
MISSING = {"batch": "00000000-1111-2222-3333-444444444444", "emr-serverless": "00gone"}


@dataclass
class Subject:
    """One service on a fresh emulator, and the form of its requests."""

    emulator: Emulator
    service: Service
    kind: str

    def request(self, token: str, **more: object) -> dict[str, Any]:
        """Returns a small request with a token."""
        tags = {"tags": {"reconciler:token": token}}
        if self.kind == "batch":
            return {"jobName": "orders", "jobQueue": "spot", "jobDefinition": "orders:1", **tags, **more}
        role = "arn:aws:iam::000000000000:role/emr"
        driver = {"sparkSubmit": {"entryPoint": "s3://b/orders.py"}}
        own = {"applicationId": "00f1abcdefg", "clientToken": token, "executionRoleArn": role, "jobDriver": driver}
        return {**own, **tags, **more}

    @property
    def location(self) -> dict[str, str]:
        """Returns the location of the runs."""
        if self.kind == "batch":
            return {"jobQueue": "spot", "jobName": "orders"}
        return {"applicationId": "00f1abcdefg"}

    @property
    def inventory(self) -> Inventory:
        """Returns the same adapter as a `ports.Inventory`."""
        assert isinstance(self.service, Inventory)
        return self.service

    def start(self, token: str, **more: object) -> RunRef:
        """Starts a run and returns it."""
        outcome = self.service.submit(self.request(token, **more), in_a_minute())
        assert isinstance(outcome, Accepted)
        return RunRef(token, outcome.run_id, self.location)

    def state(self, ref: RunRef) -> str:
        """Returns the reported state of a run."""
        report = self.service.observe([ref])[ref.token]
        assert isinstance(report, RunReport)
        return report.state if report.exists else "unknown"

    def found(self, *tokens: str) -> dict[str, list[str]]:
        """Returns the runs that have these tokens."""
        now = time_text(datetime.now(UTC))
        answers = self.service.find([Wanted(token, self.location, now) for token in tokens])
        assert not [why for why in answers.values() if isinstance(why, str)]
        return {token: sorted(run_ids) for token, run_ids in answers.items()}


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Emulator, Aws]]:
    """Yields one emulator for the module. Its runs never start by themselves."""
    with Emulator(None, Settings(start_seconds=3600, stop_seconds=0)) as emulator:
        aws = Aws("us-east-1", emulator.url, CREDENTIALS, clock=SystemClock())
        yield emulator, aws
        aws.close()


@pytest.fixture(params=SERVICES)
def subject(request: pytest.FixtureRequest, shared: tuple[Emulator, Aws]) -> Subject:
    """Returns a service without runs."""
    emulator, aws = shared
    emulator.reset()
    return Subject(emulator, request.param.connect(aws), request.param.service)


def test_a_submitted_run_is_there(subject: Subject):
    """One submit starts one run with its token, and its state can be observed."""
    ref = subject.start("r1-aa")
    assert [run.id for run in subject.emulator.runs()] == [ref.run_id]
    assert subject.state(ref) == "submitted"


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_a_run_that_ends(subject: Subject, outcome: Any):
    """When a run ends, its report contains the end time and AWS's own state."""
    ref = subject.start("r1-aa")
    subject.emulator.finish(ref.run_id, outcome)
    report = subject.service.observe([ref])["r1-aa"]
    assert isinstance(report, RunReport)
    assert report.state == outcome
    assert report.finished_at is not None
    assert report.finished_at.endswith("Z")


def test_a_cancelled_run_is_cancelled(subject: Subject):
    """Cancelling ends the run, and cancelling it again does nothing."""
    ref = subject.start("r1-aa")
    subject.service.cancel(ref, "replaced")
    assert subject.state(ref) == "cancelled"
    subject.service.cancel(ref, "replaced")
    assert subject.state(ref) == "cancelled"


def test_cancelling_a_run_that_has_ended(subject: Subject):
    """Cancelling does nothing to a run that has ended."""
    ref = subject.start("r1-aa")
    subject.emulator.finish(ref.run_id, "succeeded")
    subject.service.cancel(ref, "replaced")
    assert subject.state(ref) == "succeeded"


def test_a_run_that_is_not_there(subject: Subject):
    """If AWS has no such run, the report says so, which is not an error."""
    assert subject.state(RunRef("r1-zz", MISSING[subject.kind], subject.location)) == "unknown"


def test_many_runs_are_observed_at_once(subject: Subject):
    """Each run has its own state, however many calls are needed."""
    refs = [subject.start(f"r1-{number}") for number in range(8)]
    subject.emulator.finish(refs[3].run_id, "failed")
    reports = subject.service.observe([*refs, RunRef("r1-zz", MISSING[subject.kind], subject.location)])
    states = {token: report.state for token, report in reports.items() if isinstance(report, RunReport)}
    assert states == {**{ref.token: "submitted" for ref in refs}, "r1-3": "failed", "r1-zz": ""}


def test_a_run_is_found_by_its_token(subject: Subject):
    """A run is found in any state, among other runs with the same name. Nothing is found for a token that was not
    sent."""
    first, second = subject.start("r1-aa"), subject.start("r1-bb")
    subject.emulator.finish(second.run_id, "failed")
    assert subject.found("r1-aa", "r1-bb", "r1-cc") == {
        "r1-aa": [first.run_id],
        "r1-bb": [second.run_id],
        "r1-cc": [],
    }


def test_two_runs_with_one_token_are_both_found(subject: Subject):
    """If a tag was copied, both runs are found, and an operator must choose one of them."""
    other = {"clientToken": "another"} if subject.kind == "emr-serverless" else {}
    first, second = subject.start("r1-aa"), subject.start("r1-aa", **other)
    assert subject.found("r1-aa") == {"r1-aa": sorted([first.run_id, second.run_id])}


def test_a_request_that_aws_refuses(subject: Subject):
    """A request with invalid content starts no run."""
    wrong = {"jobName": "no spaces, please"} if subject.kind == "batch" else {"executionRoleArn": "a" * 30}
    outcome = subject.service.submit(subject.request("r1-aa", **wrong), in_a_minute())
    assert isinstance(outcome, Declined)
    assert subject.emulator.runs() == []


def test_the_same_token_twice(shared: tuple[Emulator, Aws]):
    """In EMR Serverless, the same token with the same bytes returns the same run. Other bytes are a conflict, which is
    ambiguous."""
    emulator, aws = shared
    emulator.reset()
    subject = Subject(emulator, EMR.connect(aws), EMR.service)
    assert subject.start("r1-aa") == subject.start("r1-aa")
    other = subject.request("r1-aa", jobDriver={"sparkSubmit": OTHER})
    assert isinstance(subject.service.submit(other, in_a_minute()), Ambiguous)
    assert len(emulator.runs()) == 1


def test_the_account_of_the_emulator(shared: tuple[Emulator, Aws]):
    """The emulator has its own account and does not count as AWS."""
    _, aws = shared
    assert aws.account() == "000000000000"
    assert aws.overridden("batch")


def test_an_inventory_lists_every_run(subject: Subject):
    """A listing contains runs with any name, state and tags. If a time is given, runs that were created earlier are
    left out."""
    refs = [subject.start("r1-aa"), subject.start("r1-bb")]
    subject.emulator.finish(refs[1].run_id, "failed")
    later = time_text(datetime.now(UTC) + timedelta(minutes=1))

    assert sorted(subject.inventory.listed(subject.location, None)) == sorted(ref.run_id for ref in refs)
    assert list(subject.inventory.listed(subject.location, later)) == []


def test_an_inventory_describes_a_run_with_its_tags(subject: Subject):
    """A description contains the tags, the state and the creation time. A run that AWS does not have is left out."""
    ref = subject.start("r1-aa")

    described = subject.inventory.described(subject.location, [ref.run_id, MISSING[subject.kind]])

    assert list(described) == [ref.run_id]
    facts = described[ref.run_id]
    assert facts.tags == {"reconciler:token": "r1-aa"}
    assert isinstance(facts.report, RunReport)
    assert facts.report.state == "submitted"
    assert abs(datetime.now(UTC) - parse_time(facts.created_at)) < timedelta(minutes=1)


def test_an_inventory_names_each_listing(subject: Subject):
    """Equal locations have the same name, and different locations have different names."""
    other = {key: f"{value}2" for key, value in subject.location.items()}

    assert subject.inventory.place(subject.location) == subject.inventory.place(dict(subject.location))
    assert subject.inventory.place(subject.location) != subject.inventory.place(other)


# --- over a server with chosen answers --------------------------------------------------------------------------------


@dataclass
class Wired:
    """One service on a server that gives the answers that a test configures."""

    wire: Wire
    fake: FakeAws
    service: Service

    def play(self, listing: object = None, describing: object = None, cancelling: object = None) -> None:
        """Sets the answers of each operation. A tuple is the answer to every call."""
        operations = (self.wire.listing_operation, self.wire.describing_operation, self.wire.cancelling_operation)
        answers: dict[str, Any] = dict(zip(operations, (listing, describing, cancelling), strict=True))
        self.fake.play(**{name: _handler(answer) for name, answer in answers.items() if answer is not None})


def _handler(answer: Any) -> Any:
    return (lambda _: answer) if isinstance(answer, tuple) else answer


@pytest.fixture(scope="module")
def fake() -> Iterator[tuple[FakeAws, Aws]]:
    """Yields the server and its clients, for all tests of this module."""
    with FakeAws() as fake:
        aws = Aws("eu-west-1", fake.url, CREDENTIALS, clock=SystemClock())
        yield fake, aws
        aws.close()


@pytest.fixture(params=SERVICES)
def wired(request: pytest.FixtureRequest, fake: tuple[FakeAws, Aws]) -> Wired:
    """Returns each service in turn, on that server."""
    return Wired(request.param, fake[0], request.param.connect(fake[1]))


def test_every_state_has_one_of_ours(wired: Wired):
    """Each AWS state is reported together with the matching state of reconciler."""
    for aws_state, state in wired.wire.states.items():
        wired.play(describing=wired.wire.describing(wired.wire.run("run-1", aws_state)))
        report = wired.service.observe([wired.wire.ref(1)])["r1-1"]
        assert isinstance(report, RunReport)
        assert (report.exists, report.state, report.aws_state) == (True, state, aws_state)


@pytest.mark.parametrize("wire", SERVICES)
def test_the_states_are_botocore_s(wire: Wire):
    """If AWS adds a state to its API, this test fails."""
    import botocore.session

    model = botocore.session.get_session().get_service_model(wire.service)
    assert set(model.shape_for(wire.state_shape).enum) == set(wire.states)


def test_an_unknown_state_is_an_error(wired: Wired):
    """An unknown state, from a newer version of the API, is an error and is not guessed."""
    wired.play(describing=wired.wire.describing(wired.wire.run("run-1", "PONDERING")))
    assert "'PONDERING', which" in str(wired.service.observe([wired.wire.ref(1)])["r1-1"])
    assert unknown_state("PONDERING", "a while") == (
        "AWS reports the state 'PONDERING' (a while), which this version does not know"
    )


def test_an_unknown_run_is_reported_so(wired: Wired):
    """A run that AWS does not describe is reported as missing, not as an error."""
    wired.play(describing=wired.wire.describing())
    assert wired.service.observe([wired.wire.ref(1)]) == {"r1-1": RunReport(exists=False)}


DAMAGED: list[Answer] = [
    (403, "AccessDeniedException"),
    (200, {}),
    (200, []),
    (200, {"jobs": [{}], "jobRun": {}, "jobSummaryList": [{}], "jobRuns": [{}]}),
]
"""A reply that refuses a request, and damaged replies of either service."""


@pytest.mark.parametrize("answer", DAMAGED)
def test_a_damaged_description_is_an_error(answer: Answer, wired: Wired):
    """Neither a refusal nor a damaged reply counts as a state."""
    wired.play(describing=answer)
    assert isinstance(wired.service.observe([wired.wire.ref(1)])["r1-1"], str)


def test_runs_are_found_by_the_tag_alone(wired: Wired):
    """Every run on every page is described, in any state, and only its tag identifies it."""
    wire, (ended, *_) = wired.wire, [word for word, state in wired.wire.states.items() if state == "failed"]
    runs = [wire.run("a", ended, "r1-1"), wire.run("b", ended, "r1-2"), wire.run("c"), wire.run("d", token="r1-2")]
    wired.play(wire.listing(["a", "b"], ["c", "d"]), wire.describing(*runs))
    assert wired.service.find(wire.wanted("r1-1", "r1-2", "r1-3")) == {"r1-1": ["a"], "r1-2": ["b", "d"], "r1-3": ()}


def test_a_complete_empty_listing_is_absence(wired: Wired):
    """If nothing is listed, nothing is described."""
    wired.play(wired.wire.listing([]))
    assert wired.service.find(wired.wire.wanted("r1-1")) == {"r1-1": ()}


def test_an_error_of_one_location_is_not_an_error_of_another(wired: Wired):
    """Each location is listed once for all its submissions. A failure in one location does not affect the others."""
    wire = wired.wire

    def answer(given: dict[str, Any]) -> Answer:
        here = all(given[name] == value for name, value in wire.location.items() if name in given)
        return (200, dict(wire.empty_listing)) if here else (404, "ResourceNotFoundException")

    wired.play(answer)
    other = Wanted("r1-3", wire.other_location, wire.wanted("r1-3")[0].since)
    answers = wired.service.find([*wire.wanted("r1-1", "r1-2"), other])
    assert (answers["r1-1"], answers["r1-2"]) == ((), ())
    assert "ResourceNotFoundException" in str(answers["r1-3"])


@pytest.mark.parametrize("answer", [*DAMAGED, (404, "ResourceNotFoundException")])
def test_a_candidate_that_cannot_be_read_is_not_absence(answer: Answer, wired: Wired):
    """A run whose tags could not be read may be the one that is looked for."""
    wired.play(wired.wire.listing(["a"]), answer)
    assert isinstance(wired.service.find(wired.wire.wanted("r1-1"))["r1-1"], str)


@pytest.mark.parametrize("answer", DAMAGED)
def test_a_damaged_listing_is_not_absence(answer: Answer, wired: Wired):
    """Neither a refusal nor a damaged reply counts as an empty list."""
    wired.play(answer)
    assert isinstance(wired.service.find(wired.wire.wanted("r1-1"))["r1-1"], str)


def test_a_listing_without_an_end_is_not_absence(wired: Wired):
    """A page that refers to itself as the next page is an error."""
    wired.play((200, {**wired.wire.empty_listing, "nextToken": "again"}))
    assert "does not end" in str(wired.service.find(wired.wire.wanted("r1-1"))["r1-1"])


def test_a_refused_cancel_is_raised(wired: Wired):
    """If AWS refuses to cancel a live run, the caller gets the error."""
    wired.play(describing=wired.wire.describing(wired.wire.run("run-1")), cancelling=(403, "AccessDeniedException"))
    with pytest.raises(ServiceError, match=f"{wired.wire.cancelling_operation}: AccessDeniedException: .*said no"):
        wired.service.cancel(wired.wire.ref(1), "replaced")


@pytest.mark.parametrize("wire", SERVICES)
def test_without_credentials_every_answer_is_a_reason(wire: Wire):
    """Observing and finding return the error as text. A cancel raises it."""
    service = wire.connect(Aws("eu-west-1", profile="nobody", clock=SystemClock()))
    assert "ProfileNotFound" in str(service.observe([wire.ref(1)])["r1-1"])
    assert "ProfileNotFound" in str(service.find(wire.wanted("r1-1"))["r1-1"])
    with pytest.raises(ServiceError, match="ProfileNotFound"):
        service.cancel(wire.ref(1), "replaced")
