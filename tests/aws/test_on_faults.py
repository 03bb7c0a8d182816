"""Tests the conclusions of the adapters under faults: compares them with the runs that the emulator has accepted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.app.session import SystemClock
from reconciler.aws.clients import Aws
from reconciler.core.ports import Accepted, Ambiguous, Declined, NotSent, Outcome, Refused, RunRef, RunReport, Wanted
from reconciler.core.times import time_text
from reconciler.emulator import Emulator, Plan, Rule, Settings
from tests.aws.conftest import CREDENTIALS
from tests.aws.requests import BATCH, EMR, Submit, in_a_minute
from tests.aws.test_outcome import BOTH
from tests.campaigns import pairs
from tests.waiting import PATIENCE_SECONDS, eventually

SUBMISSIONS = ("StartJobRun", "SubmitJob")
TOKEN = "r1-aa"


@dataclass(frozen=True)
class World:
    """An emulator, and clients with long and short timeouts."""

    emulator: Emulator
    aws: Aws
    hasty: Aws

    def fails(self, *rules: Rule, **settings: Any) -> None:
        """Removes all runs and activates these faults."""
        self.emulator.reset()
        self.emulator.inject(Plan(rules, settings))

    def submitted(self, submit: Submit, rule: Rule) -> Outcome:
        """Returns the outcome of a submission under a fault rule."""
        self.fails(rule)
        aws = self.hasty if rule.answer == "never" else self.aws
        return submit.connect(aws).submit(submit.request, in_a_minute())


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    """Yields one world for the module, because botocore takes longer to make a client than to make a call."""
    with Emulator(None, Settings(start_seconds=3600)) as emulator:
        clients = [
            Aws("us-east-1", emulator.url, CREDENTIALS, timeouts=(PATIENCE_SECONDS, read), clock=SystemClock())
            for read in (PATIENCE_SECONDS, 0.2)
        ]
        yield World(emulator, *clients)
        for each in clients:
            each.close()


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    """Yields a world without runs and faults."""
    shared.fails()
    yield shared
    shared.fails()


UNCLEAR: list[dict[str, Any]] = [
    {"answer": "closed"},
    {"answer": "reset"},
    {"answer": "never"},
    {"answer": "garbage"},
    {"answer": "empty"},
    {"answer": "empty", "request_id": True},
    {"answer": "html"},
    {"answer": "html", "status": 403},
    {"answer": "html", "status": 502},
    {"answer": "html", "status": 503},
    {"answer": "error", "status": 500},
    {"answer": "error", "status": 503},
    {"answer": "error", "status": 408},
    {"answer": "error", "status": 409},
    {"answer": "error", "code": "ThrottlingException", "request_id": False},
    {"answer": "error", "code": "ThrottlingException", "status": 503},
    {"answer": "error", "code": "SerializationException", "status": 400},
]


@pytest.mark.parametrize(("request_", "runs"), [("lost", 0), ("processed", 1)])
@pytest.mark.parametrize(("answer", "submit"), pairs(UNCLEAR, [EMR, BATCH]))
def test_what_a_lost_and_an_accepted_request_have_in_common_is_ambiguous(
    answer: dict[str, Any], request_: Any, runs: int, submit: Submit, world: World
) -> None:
    """The client receives the same reply whether or not the request was accepted, so the outcome is ambiguous."""
    outcome = world.submitted(submit, Rule(request_, operation=SUBMISSIONS, **answer))

    assert isinstance(outcome, Ambiguous)
    assert eventually(lambda: [1] == [rule["matched"] for rule in world.emulator.faults()["rules"]])
    assert eventually(lambda: runs == len(world.emulator.runs()))


@BOTH
def test_half_an_answer_is_ambiguous(submit: Submit, world: World) -> None:
    """The run exists although the reply is truncated."""
    assert isinstance(world.submitted(submit, Rule("processed", "truncated", operation=SUBMISSIONS)), Ambiguous)
    assert len(world.emulator.runs()) == 1


@BOTH
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ThrottlingException", Refused),
        ("TooManyRequestsException", Refused),
        ("ExpiredTokenException", Refused),
        ("InvalidSignatureException", Refused),
        ("RequestExpired", Refused),
        ("AccessDeniedException", Declined),
        ("ValidationException", Declined),
        ("ResourceNotFoundException", Declined),
    ],
)
def test_what_aws_says_no_to_has_no_effect(code: str, expected: type, submit: Submit, world: World) -> None:
    """If AWS refuses a request, no run is started, so the client can rely on the refusal."""
    outcome = world.submitted(submit, Rule("lost", "error", operation=SUBMISSIONS, code=code))

    assert expected is type(outcome)
    assert world.emulator.runs() == []


@pytest.mark.parametrize(("submit", "runs"), [(EMR, 1), (BATCH, 2)], ids=["emr", "batch"])
def test_a_request_that_the_network_doubles(submit: Submit, runs: int, world: World) -> None:
    """The reply contains the id of an existing run. In AWS Batch, a second run has the same tag, and it is found
    too."""
    outcome = world.submitted(submit, Rule("twice", operation=SUBMISSIONS))

    assert isinstance(outcome, Accepted)
    accepted = [run.id for run in world.emulator.runs()]
    assert (accepted[0], runs) == (outcome.run_id, len(accepted))
    assert sorted(found(submit, world.aws)) == sorted(accepted)


@BOTH
def test_an_old_signature_is_refused(submit: Submit, world: World) -> None:
    """A service whose clock is twenty minutes ahead refuses the signature."""
    world.fails(signature_seconds=900, clock_offset_seconds=1200)

    outcome = submit.connect(world.aws).submit(submit.request, in_a_minute())

    assert isinstance(outcome, Refused)
    assert world.emulator.runs() == []


# --- looking for what was submitted -----------------------------------------------------------------------------------


def found(submit: Submit, aws: Aws) -> Any:
    """Returns the result of a lookup of the token."""
    wanted = Wanted(TOKEN, location(submit), time_text(datetime.now(UTC)))
    return submit.connect(aws).find([wanted])[TOKEN]


def location(submit: Submit) -> dict[str, str]:
    """Returns the location of the request's run."""
    names = {"emr-serverless": ("applicationId",), "batch": ("jobQueue", "jobName")}[submit.service]
    return {name: submit.request[name] for name in names}


READS = ("ListJobRuns", "GetJobRun", "ListJobs", "DescribeJobs")
UNREADABLE: list[dict[str, Any]] = [
    {"answer": "empty"},
    {"answer": "html"},
    {"answer": "truncated"},
    {"answer": "html", "status": 403},
    {"answer": "error", "code": "AccessDeniedException"},
    {"answer": "error", "code": "ValidationException"},
    {"answer": "error", "status": 409},
]


@BOTH
@pytest.mark.parametrize("operations", [READS[::2], READS[1::2]], ids=["listing", "look"])
@pytest.mark.parametrize("answer", UNREADABLE, ids=str)
def test_a_look_that_fails_is_not_absence(
    answer: dict[str, Any], operations: tuple[str, ...], submit: Submit, world: World
) -> None:
    """A failed listing or an unreadable run does not prove absence."""
    world.fails()
    outcome = submit.connect(world.aws).submit(submit.request, in_a_minute())
    assert isinstance(outcome, Accepted)
    world.emulator.inject(Plan([Rule("processed", operation=operations, **answer)]))

    assert isinstance(found(submit, world.aws), str)
    assert world.emulator.faults()["rules"][0]["fired"] >= 1


@BOTH
@pytest.mark.parametrize("answer", UNREADABLE, ids=str)
def test_an_observation_that_fails_is_not_a_lost_run(answer: dict[str, Any], submit: Submit, world: World) -> None:
    """A failed observation returns the error."""
    outcome = submit.connect(world.aws).submit(submit.request, in_a_minute())
    assert isinstance(outcome, Accepted)
    world.emulator.inject(Plan([Rule("processed", operation=READS, **answer)]))

    ref = RunRef(TOKEN, outcome.run_id, location(submit))
    assert isinstance(submit.connect(world.aws).observe([ref])[TOKEN], str)


@BOTH
def test_a_run_that_is_not_yet_described_is_not_absent(submit: Submit, world: World) -> None:
    """The listing contains the run, so only its tags are unknown."""
    world.fails(describe_lag_seconds=3600)
    assert isinstance(submit.connect(world.aws).submit(submit.request, in_a_minute()), Accepted)

    assert isinstance(found(submit, world.aws), str)


@BOTH
def test_a_run_that_is_not_yet_listed_looks_absent(submit: Submit, world: World) -> None:
    """A client cannot distinguish a run that is not listed yet from an absent one. This is why a submission has to
    settle before it counts as absent."""
    world.fails(listing_lag_seconds=3600)
    outcome = submit.connect(world.aws).submit(submit.request, in_a_minute())
    assert isinstance(outcome, Accepted)

    ref = RunRef(TOKEN, outcome.run_id, location(submit))
    report = submit.connect(world.aws).observe([ref])[TOKEN]
    assert list(found(submit, world.aws)) == []
    assert isinstance(report, RunReport)
    assert report.exists


@BOTH
def test_nothing_is_sent_where_nobody_listens(submit: Submit) -> None:
    """A stopped emulator receives nothing, and the outcome is "not sent"."""
    with Emulator(None) as emulator:
        url = emulator.url
    aws = Aws("us-east-1", url, CREDENTIALS, clock=SystemClock())

    assert isinstance(submit.connect(aws).submit(submit.request, in_a_minute()), NotSent)
    aws.close()
