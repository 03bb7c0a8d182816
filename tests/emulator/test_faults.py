"""Tests fault rules with real clients that send each request once. Compares what the emulator accepted with what the
client received."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from http.client import HTTPConnection
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError, ReadTimeoutError

from reconciler.emulator import Emulator, Plan, Rule
from tests.campaigns import pairs
from tests.emulator.conftest import APPLICATION, Clock, ask_control, job_request, run_request
from tests.emulator.conftest import send as send_raw
from tests.waiting import PATIENCE_SECONDS, eventually, new_threads

Send = Callable[..., Mapping[str, Any]]
OPERATIONS = ["StartJobRun", "SubmitJob"]
BOTH = pytest.mark.parametrize("operation", OPERATIONS)


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    """Yields one emulator for all tests of this module. `world` resets it for each test."""
    with Emulator(None) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def clients(aws: Emulator) -> Iterator[dict[str, Any]]:
    """Yields clients by service that send once and do not validate requests."""
    yield from connected(aws, ("emr-serverless", "batch", "sts"), PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def hasty(aws: Emulator) -> Iterator[dict[str, Any]]:
    """Yields clients that wait a fifth of a second for a reply."""
    yield from connected(aws, ("emr-serverless", "batch"), 0.2)


def connected(aws: Emulator, services: Iterable[str], seconds: float) -> Iterator[dict[str, Any]]:
    """Yields clients with a read timeout, and closes them at the end."""
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "none", "region_name": "us-east-1"}
    config = Config(retries={"total_max_attempts": 1}, read_timeout=seconds)
    made = {name: boto3.client(name, endpoint_url=aws.url, config=config, **keys) for name in services}
    yield made
    for client in made.values():
        client.close()


@pytest.fixture
def world(aws: Emulator) -> Iterator[Emulator]:
    """Returns the emulator without runs and without faults."""
    aws.reset()
    aws.inject(Plan())
    yield aws
    aws.inject(Plan())


@pytest.fixture
def send(clients: dict[str, Any], hasty: dict[str, Any], world: Emulator) -> Send:
    """Starts a run with StartJobRun or SubmitJob, always with the same request."""

    def send(operation: str, name: str = "orders", *, patient: bool = True) -> Mapping[str, Any]:
        wired = clients if patient else hasty
        if operation == "StartJobRun":
            started = wired["emr-serverless"].start_job_run(**run_request(clientToken="t", name=name))
        else:
            started = wired["batch"].submit_job(**job_request(jobName=name))
        return {key: value for key, value in started.items() if key != "ResponseMetadata"}

    return send


def faulty(world: Emulator, *rules: Rule, **settings: Any) -> None:
    """Sets a fault plan with these rules."""
    world.inject(Plan(rules, settings))


# --- the request, and what the client gets ----------------------------------------------------------------------------

ANSWERS: list[tuple[dict[str, Any], type[Exception] | None, tuple[int, str] | None]] = [
    ({"answer": "closed"}, ConnectionClosedError, None),
    ({"answer": "reset"}, ConnectionClosedError, None),
    ({"answer": "never"}, ReadTimeoutError, None),
    ({"answer": "garbage"}, HTTPClientError, None),
    ({"answer": "empty"}, None, None),
    ({"answer": "html"}, None, None),
    ({"answer": "html", "status": 502}, ClientError, (502, "502")),
    ({"answer": "html", "status": 503}, ClientError, (503, "503")),
    ({"answer": "error", "status": 500}, ClientError, (500, "InternalServerException")),
    ({"answer": "error", "code": "ServiceUnavailable"}, ClientError, (503, "ServiceUnavailable")),
    ({"answer": "error", "status": 408}, ClientError, (408, "RequestTimeout")),
    ({"answer": "error", "status": 409}, ClientError, (409, "ConflictException")),
    ({"answer": "error", "status": 429}, ClientError, (429, "TooManyRequestsException")),
    ({"answer": "error", "code": "ThrottlingException"}, ClientError, (400, "ThrottlingException")),
    ({"answer": "error", "code": "AccessDeniedException"}, ClientError, (403, "AccessDeniedException")),
    ({"answer": "error", "code": "Strange", "status": 418}, ClientError, (418, "Strange")),
]


@pytest.mark.parametrize(("request_", "accepted"), [("lost", 0), ("processed", 1)])
@pytest.mark.parametrize(("answer", "raised", "error", "operation"), pairs(ANSWERS, OPERATIONS))
def test_every_answer_goes_with_a_lost_and_a_processed_request(
    operation: str,
    request_: Any,
    accepted: int,
    answer: dict[str, Any],
    raised: type[Exception] | None,
    error: tuple[int, str] | None,
    world: Emulator,
    send: Send,
) -> None:
    """The reply does not show the client whether the request took effect."""
    faulty(world, Rule(request_, **answer))

    got: Any = None
    expecting: Any = pytest.raises(raised) if raised else nullcontext()
    with expecting as caught:
        got = send(operation, patient=answer["answer"] != "never")

    assert eventually(lambda: [1] == [rule["matched"] for rule in world.faults()["rules"]])
    assert eventually(lambda: len(world.runs()) == accepted)
    assert got == (None if raised else {})
    if error is not None:
        response = caught.value.response
        code = "ServerException" if (operation, error[0]) == ("SubmitJob", 500) else error[1]
        assert (response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]) == (error[0], code)
        assert bool(response["ResponseMetadata"].get("RequestId")) == (answer["answer"] == "error")


@BOTH
def test_the_run_of_a_truncated_answer_exists(operation: str, world: Emulator, send: Send) -> None:
    """The client raises no error, but also returns no run id."""
    faulty(world, Rule("processed", "truncated"))

    assert send(operation) == {}
    assert ["orders"] == [run.name for run in world.runs()]


def test_an_error_can_lack_the_request_id(world: Emulator, send: Send) -> None:
    """A proxy that imitates AWS sends errors that have no request id."""
    faulty(world, Rule("lost", "error", code="ValidationException", request_id=False))

    with pytest.raises(ClientError) as caught:
        send("SubmitJob")

    assert "RequestId" not in caught.value.response["ResponseMetadata"]


def test_an_empty_answer_can_have_a_request_id(world: Emulator, send: Send) -> None:
    """The reply looks like an empty reply from AWS with status 200."""
    faulty(world, Rule("processed", "empty", request_id=True))
    reply, body = send_raw(world, "POST", "/v1/submitjob", job_request())

    assert (reply.status, body, bool(reply.headers["x-amzn-RequestId"])) == (200, b"", True)
    assert len(world.runs()) == 1


def test_sts_errors_are_xml(world: Emulator, clients: dict[str, Any]) -> None:
    """The client reads the error code from the XML."""
    faulty(world, Rule("lost", "error", operation="GetCallerIdentity", code="ExpiredTokenException"))

    with pytest.raises(ClientError) as caught:
        clients["sts"].get_caller_identity()

    assert caught.value.response["Error"]["Code"] == "ExpiredTokenException"


def raw(world: Emulator) -> socket.socket:
    """Opens a connection and sends a SubmitJob on it."""
    host, _, port = world.url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS)
    body = b'{"jobName":"a","jobQueue":"q","jobDefinition":"d"}'
    connection.sendall(
        b"POST /v1/submitjob HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    return connection


@pytest.mark.parametrize("request_", ["lost", "processed"])
def test_a_connection_is_closed_normally_or_reset(request_: Any, world: Emulator) -> None:
    """The client's socket reads the end of the connection, or raises ConnectionResetError."""
    faulty(world, Rule(request_, "closed", nth=1), Rule(request_, "reset", nth=2))

    with raw(world) as connection:
        assert connection.recv(1) == b""
    with raw(world) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)


def test_a_truncated_answer_has_the_length_of_the_whole(world: Emulator) -> None:
    """The connection ends in the middle of the body."""
    faulty(world, Rule("processed", "truncated"))

    received = b""
    with raw(world) as connection:
        while some := connection.recv(4096):
            received += some
    head, _, body = received.partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (
        f"Content-Length: {2 * len(body)}".encode() in head or f"Content-Length: {2 * len(body) + 1}".encode() in head
    )


# --- late, twice, delayed ---------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("answer", ["closed", "never", "error"])
def test_a_late_request_takes_effect_after_the_client_has_gone(
    operation: str, answer: Any, world: Emulator, send: Send, clock: Clock
) -> None:
    """The request takes effect once, and not before it is due."""
    faulty(world, Rule("late", answer, late_seconds=30, status=500 if answer == "error" else None))
    with pytest.raises((ClientError, HTTPClientError)):
        send(operation, patient=answer != "never")
    clock.tick(29)
    assert (world.runs(), world.faults()["on_the_way"]) == ([], 1)

    clock.tick(1)

    assert eventually(lambda: world.faults()["on_the_way"] == 0)
    assert [clock.now] == [run.accepted_at for run in world.runs()]


def test_late_requests_take_effect_in_the_order_of_their_time(world: Emulator, send: Send, clock: Clock) -> None:
    """The request that was sent first may be processed last."""
    slow = Rule("late", "closed", name="slow", late_seconds=60)
    faulty(world, slow, Rule("late", "closed", name="quick", late_seconds=5))
    for name in ("slow", "quick"):
        with pytest.raises(ConnectionClosedError):
            send("SubmitJob", name)

    clock.tick(60)

    assert eventually(lambda: world.faults()["on_the_way"] == 0)
    assert ["quick", "slow"] == [run.name for run in world.runs()]


def test_a_client_can_wait_for_its_late_answer(world: Emulator, send: Send) -> None:
    """The client receives AWS's reply when the request is processed."""
    faulty(world, Rule("late", late_seconds=0.05))

    job = send("SubmitJob")

    assert [job["jobId"]] == [run.id for run in world.runs()]


@pytest.mark.parametrize("over_http", [False, True])
def test_a_reset_drops_late_requests(over_http: bool, world: Emulator, send: Send, clock: Clock) -> None:
    """Late requests have no effect after the reset. The fault plan is kept."""
    faulty(world, Rule("late", "closed", late_seconds=1))
    with pytest.raises(ConnectionClosedError):
        send("SubmitJob")

    if over_http:
        assert ask_control(world, "POST", "reset") == (200, {})
    else:
        world.reset()
    clock.tick(5)

    assert (world.faults()["on_the_way"], world.runs()) == (0, [])
    assert len(world.faults()["rules"]) == 1


def test_a_request_with_a_delayed_answer_is_processed_at_once(world: Emulator, send: Send, clock: Clock) -> None:
    """The run exists while the client is still waiting."""
    faulty(world, Rule("processed", delay_seconds=10))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(send_raw, world, "POST", "/v1/submitjob", job_request())
        assert eventually(lambda: len(world.runs()) == 1)
        assert not waiting.done()

        def answered() -> bool:  # the delay counts from the run's creation, which may follow the first tick
            clock.tick(10)
            return waiting.done()

        assert eventually(answered)
        assert waiting.result()[0].status == 200


def test_a_delay_longer_than_the_client_waits_is_a_timeout(world: Emulator, send: Send) -> None:
    """The run exists even though the client timed out."""
    faulty(world, Rule("processed", delay_seconds=1000))

    with pytest.raises(ReadTimeoutError):
        send("SubmitJob", patient=False)

    assert eventually(lambda: len(world.runs()) == 1)


@pytest.mark.parametrize(("operation", "runs"), [("StartJobRun", 1), ("SubmitJob", 2)])
def test_a_doubled_request_is_one_run_with_a_token_and_two_without(
    operation: str, runs: int, world: Emulator, send: Send
) -> None:
    """The client receives the reply to the first request."""
    faulty(world, Rule("twice"))

    got = send(operation)

    accepted = [run.id for run in world.runs()]
    assert runs == len(accepted)
    assert accepted[0] == got.get("jobId", got.get("jobRunId"))


def test_stopping_ends_hangs_and_delays_and_drops_late_requests() -> None:
    """An emulator with faults stops as fast as one without faults."""
    before = frozenset(threading.enumerate())
    rules = [
        Rule("processed", "never", nth=1),
        Rule("processed", delay_seconds=1000, nth=2),
        Rule("late", late_seconds=1000, nth=3),
        Rule("late", "closed", late_seconds=1000, nth=4),
    ]
    with Emulator(None, faults=Plan(rules)) as emulator:
        connections = [raw(emulator) for _ in rules]
        assert eventually(lambda: [rule["fired"] for rule in emulator.faults()["rules"]] == [1, 1, 1, 1])
        assert eventually(lambda: len(emulator.runs()) == 2)

    assert [connection.recv(1) for connection in connections] == [b""] * 4
    for connection in connections:
        connection.close()
    assert new_threads(before) == set()


# --- which calls ------------------------------------------------------------------------------------------------------


def failures(send: Send, operation: str, calls: int) -> list[int]:
    """Returns the numbers of the calls that fail, counted from 1."""
    failed = []
    for number in range(1, calls + 1):
        try:
            send(operation)
        except ClientError:
            failed.append(number)
    return failed


CHOSEN: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [1, 2, 3, 4, 5, 6]),
    ({"nth": 2}, [2]),
    ({"nth": [1, 4]}, [1, 4]),
    ({"every": 3}, [3, 6]),
    ({"count": 2}, [1, 2]),
    ({"every": 2, "count": 1}, [2]),
    ({"probability": 1}, [1, 2, 3, 4, 5, 6]),
    ({"probability": 0}, []),
    ({"service": "batch"}, [1, 2, 3, 4, 5, 6]),
    ({"service": "emr-serverless"}, []),
    ({"operation": "SubmitJob"}, [1, 2, 3, 4, 5, 6]),
    ({"operation": ["ListJobs", "SubmitJob"], "nth": 1}, [1]),
    ({"operation": "ListJobs"}, []),
    ({"name": "ord*"}, [1, 2, 3, 4, 5, 6]),
    ({"name": "Orders"}, []),
]


@pytest.mark.parametrize(("which", "expected"), CHOSEN, ids=[str(which) for which, _ in CHOSEN])
def test_rules_select_calls(which: dict[str, Any], expected: list[int], world: Emulator, send: Send) -> None:
    """Rules select calls by service, operation, name, number and count. Other calls are not affected."""
    faulty(world, Rule("lost", "error", status=500, **which))

    assert expected == failures(send, "SubmitJob", 6)
    assert 6 - len(expected) == len(world.runs())
    assert [len(expected)] == [rule["fired"] for rule in world.faults()["rules"]]


def test_a_probability_selects_the_same_calls_for_the_same_seed(world: Emulator, send: Send) -> None:
    """A different seed selects different calls."""

    def selected(seed: int) -> list[int]:
        faulty(world, Rule("lost", "error", status=500, probability=0.5, seed=seed))
        return failures(send, "SubmitJob", 12)

    first = selected(1)
    assert first == selected(1)
    assert first != selected(2)
    assert 0 < len(first) < 12


def test_the_first_rule_that_is_due_acts_and_every_rule_counts(world: Emulator, send: Send) -> None:
    """The counts of a rule do not depend on the other rules."""
    faulty(world, Rule("lost", "error", status=500, nth=2), Rule("lost", "error", status=503, every=2))

    assert failures(send, "SubmitJob", 4) == [2, 4]
    counts = [(rule["matched"], rule["fired"]) for rule in world.faults()["rules"]]
    assert counts == [(4, 1), (4, 1)]


def test_counts_are_exact_with_concurrent_calls(world: Emulator) -> None:
    """Exactly every fourth call fails."""
    faulty(world, Rule("lost", "error", status=500, every=4))

    def calls(_: int) -> list[int]:
        connection = HTTPConnection(world.url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
        statuses = []
        for _ in range(20):
            connection.request("POST", "/v1/submitjob", b'{"jobName":"a","jobQueue":"q","jobDefinition":"d"}')
            reply = connection.getresponse()
            reply.read()
            statuses.append(reply.status)
        connection.close()
        return statuses

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for each in pool.map(calls, range(8)) for status in each]

    assert {200: 120, 500: 40} == Counter(statuses)
    assert len(world.runs()) == 120


def test_rules_match_the_names_of_runs_given_by_id(world: Emulator, clients: dict[str, Any], send: Send) -> None:
    """A rule can select the calls about one run and leave the calls about another run unaffected. Listing calls have no
    run name."""
    run_id, job_id = send("StartJobRun", "bad")["jobRunId"], send("SubmitJob", "bad")["jobId"]
    other = send("SubmitJob", "good")["jobId"]
    faulty(world, Rule("lost", "error", name="bad", code="AccessDeniedException"))

    calls: list[Callable[[], object]] = [
        lambda: clients["emr-serverless"].get_job_run(applicationId=APPLICATION, jobRunId=run_id),
        lambda: clients["batch"].describe_jobs(jobs=[other, job_id]),
        lambda: clients["batch"].terminate_job(jobId=job_id, reason="why"),
    ]
    for call in calls:
        with pytest.raises(ClientError, match="AccessDenied"):
            call()
    assert len(clients["batch"].describe_jobs(jobs=[other])["jobs"]) == 1
    assert len(clients["batch"].list_jobs(jobQueue="main", jobStatus="SUBMITTED")["jobSummaryList"]) == 2


def test_rules_about_everything_match_invalid_calls_too(world: Emulator) -> None:
    """Calls with an unknown path or an invalid body have no run name either. Only rules without a name match such
    calls."""
    faulty(world, Rule("lost", "error", name="*", status=500), Rule("lost", "html", status=502, nth=[3, 4]))
    calls = [("/no/such", b""), ("/v1/submitjob", b"{"), ("/v1/submitjob", b"[1]"), ("/", b"Action=Other")]

    assert [send_raw(world, "POST", path, body)[0].status for path, body in calls] == [404, 400, 502, 502]
