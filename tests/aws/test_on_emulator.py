"""What every service promises, run against the emulator that is shipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from reconciler.app.session import SystemClock
from reconciler.aws.batch import connect as connect_batch
from reconciler.aws.clients import Aws
from reconciler.aws.emr_serverless import connect as connect_emr
from reconciler.core.ports import Accepted, Ambiguous, Declined, Inventory, RunRef, RunReport, Service, Wanted
from reconciler.core.times import parse_time, time_text
from reconciler.emulator import Emulator, Settings
from tests.aws.conftest import CREDENTIALS
from tests.aws.requests import in_a_minute

OTHER = {"entryPoint": "s3://b/other.py"}
MISSING = {"batch": "00000000-1111-2222-3333-444444444444", "emr-serverless": "00gone"}


@dataclass
class Subject:
    """One service on a fresh emulator: how its requests look."""

    emulator: Emulator
    aws: Aws
    service: Service
    kind: str

    def request(self, token: str, **more: object) -> dict[str, Any]:
        """A small request that carries a token."""
        tags = {"tags": {"reconciler:token": token}}
        if self.kind == "batch":
            return {"jobName": "orders", "jobQueue": "spot", "jobDefinition": "orders:1", **tags, **more}
        role = "arn:aws:iam::000000000000:role/emr"
        driver = {"sparkSubmit": {"entryPoint": "s3://b/orders.py"}}
        own = {"applicationId": "00f1abcdefg", "clientToken": token, "executionRoleArn": role, "jobDriver": driver}
        return {**own, **tags, **more}

    @property
    def location(self) -> dict[str, str]:
        """Where the runs are."""
        if self.kind == "batch":
            return {"jobQueue": "spot", "jobName": "orders"}
        return {"applicationId": "00f1abcdefg"}

    def start(self, token: str, **more: object) -> RunRef:
        """One accepted run."""
        outcome = self.service.submit(self.request(token, **more), in_a_minute())
        assert isinstance(outcome, Accepted)
        return RunRef(token, outcome.run_id, self.location)

    def state(self, ref: RunRef) -> str:
        """What is known of a run."""
        report = self.service.observe([ref])[ref.token]
        assert isinstance(report, RunReport)
        return report.state if report.known else "unknown"

    def found(self, *tokens: str) -> dict[str, list[str]]:
        """The runs that carry these tokens."""
        now = time_text(datetime.now(UTC))
        found = self.service.find([Wanted(token, self.location, now) for token in tokens])
        assert not [why for why in found.values() if isinstance(why, str)]
        return {token: sorted(run_ids) for token, run_ids in found.items()}


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Emulator, Aws]]:
    """One emulator for the module, whose runs never start by themselves."""
    with Emulator(None, Settings(start_seconds=3600, stop_seconds=0)) as emulator:
        aws = Aws("us-east-1", emulator.url, CREDENTIALS, clock=SystemClock())
        yield emulator, aws
        aws.close()


@pytest.fixture(params=["batch", "emr-serverless"])
def subject(request: pytest.FixtureRequest, shared: tuple[Emulator, Aws]) -> Subject:
    """A service and no runs yet."""
    emulator, aws = shared
    emulator.reset()
    connect = connect_batch if request.param == "batch" else connect_emr
    return Subject(emulator, aws, connect(aws), request.param)


def test_a_submitted_run_is_there(subject: Subject):
    """One submit makes one run, with its token, and its state can be asked for."""
    ref = subject.start("r1-aa")
    assert [run.id for run in subject.emulator.runs()] == [ref.run_id]
    assert subject.state(ref) == "submitted"


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_a_run_that_ends(subject: Subject, outcome: Any):
    """Its end has a time and AWS's own word."""
    ref = subject.start("r1-aa")
    subject.emulator.finish(ref.run_id, outcome)
    report = subject.service.observe([ref])["r1-aa"]
    assert isinstance(report, RunReport)
    assert report.state == outcome
    assert report.finished_at is not None
    assert report.finished_at.endswith("Z")


def test_a_cancelled_run_is_cancelled(subject: Subject):
    """Asking for the end brings it about, and asking again does nothing."""
    ref = subject.start("r1-aa")
    subject.service.cancel(ref, "replaced")
    assert subject.state(ref) == "cancelled"
    subject.service.cancel(ref, "replaced")
    assert subject.state(ref) == "cancelled"


def test_cancelling_a_run_that_has_ended(subject: Subject):
    """Nothing happens to it."""
    ref = subject.start("r1-aa")
    subject.emulator.finish(ref.run_id, "succeeded")
    subject.service.cancel(ref, "replaced")
    assert subject.state(ref) == "succeeded"


def test_a_run_that_is_not_there(subject: Subject):
    """AWS does not know it, and that is no error."""
    assert subject.state(RunRef("r1-zz", MISSING[subject.kind], subject.location)) == "unknown"


def test_many_runs_are_observed_at_once(subject: Subject):
    """However many calls that takes, each run has its own state."""
    refs = [subject.start(f"r1-{number}") for number in range(8)]
    subject.emulator.finish(refs[3].run_id, "failed")
    reports = subject.service.observe([*refs, RunRef("r1-zz", MISSING[subject.kind], subject.location)])
    states = {token: report.state for token, report in reports.items() if isinstance(report, RunReport)}
    assert states == {**{ref.token: "submitted" for ref in refs}, "r1-3": "failed", "r1-zz": ""}


def test_a_run_is_found_by_its_token(subject: Subject):
    """In any state, among others of the same name, and nothing is found for a token that was never sent."""
    first, second = subject.start("r1-aa"), subject.start("r1-bb")
    subject.emulator.finish(second.run_id, "failed")
    assert subject.found("r1-aa", "r1-bb", "r1-cc") == {
        "r1-aa": [first.run_id],
        "r1-bb": [second.run_id],
        "r1-cc": [],
    }


def test_two_runs_with_one_token_are_both_found(subject: Subject):
    """A copied tag is a conflict for somebody to decide."""
    other = {"clientToken": "another"} if subject.kind == "emr-serverless" else {}
    first, second = subject.start("r1-aa"), subject.start("r1-aa", **other)
    assert subject.found("r1-aa") == {"r1-aa": sorted([first.run_id, second.run_id])}


def test_a_request_that_aws_refuses(subject: Subject):
    """AWS's no to the content makes no run."""
    wrong = {"jobName": "no spaces, please"} if subject.kind == "batch" else {"executionRoleArn": "a" * 30}
    outcome = subject.service.submit(subject.request("r1-aa", **wrong), in_a_minute())
    assert isinstance(outcome, Declined)
    assert subject.emulator.runs() == []


def test_the_same_token_twice(shared: tuple[Emulator, Aws]):
    """EMR Serverless: the same token and bytes are the same run, other bytes a conflict, which is unclear."""
    emulator, aws = shared
    emulator.reset()
    subject = Subject(emulator, aws, connect_emr(aws), "emr-serverless")
    assert subject.start("r1-aa") == subject.start("r1-aa")
    other = subject.request("r1-aa", jobDriver={"sparkSubmit": OTHER})
    assert isinstance(subject.service.submit(other, in_a_minute()), Ambiguous)
    assert len(emulator.runs()) == 1


def test_the_account_of_the_emulator(shared: tuple[Emulator, Aws]):
    """The emulator says whose it is, and is not AWS."""
    _, aws = shared
    assert aws.account() == "000000000000"
    assert aws.overridden()


def _inventory(subject: Subject) -> Inventory:
    """What is in AWS, whoever started it."""
    return cast("Inventory", subject.service)


def test_a_place_lists_every_run_in_it(subject: Subject):
    """Whatever their name, state and tags; a time leaves out what was created before it."""
    refs = [subject.start("r1-aa"), subject.start("r1-bb")]
    subject.emulator.finish(refs[1].run_id, "failed")
    later = time_text(datetime.now(UTC) + timedelta(minutes=1))

    assert sorted(_inventory(subject).listed(subject.location, None)) == sorted(ref.run_id for ref in refs)
    assert list(_inventory(subject).listed(subject.location, later)) == []


def test_a_run_is_described_with_its_tags(subject: Subject):
    """By its id, with its state and when it was created; what AWS does not know is left out."""
    ref = subject.start("r1-aa")

    described = _inventory(subject).described(subject.location, [ref.run_id, MISSING[subject.kind]])

    assert list(described) == [ref.run_id]
    facts = described[ref.run_id]
    assert facts.tags == {"reconciler:token": "r1-aa"}
    assert isinstance(facts.report, RunReport)
    assert facts.report.state == "submitted"
    assert abs(datetime.now(UTC) - parse_time(facts.created_at)) < timedelta(minutes=1)


def test_places_of_equal_words_are_one_listing(subject: Subject):
    """Words for people, and a key for those who list."""
    other = {key: f"{value}2" for key, value in subject.location.items()}

    assert _inventory(subject).place(subject.location) == _inventory(subject).place(dict(subject.location))
    assert _inventory(subject).place(subject.location) != _inventory(subject).place(other)
