"""Simulates AWS, which accepts or refuses requests, stores client tokens, lists runs late, and deletes old runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from reconciler.model.base import JSON
from reconciler.model.kind import TOKEN_TAG
from tests.simulation.desired import EMR, NAME
from tests.simulation.faults import Faults
from tests.simulation.oracle import Oracle
from tests.simulation.timeline import EPOCH, Timeline

SIGNATURE = 900.0
"""The number of seconds for which AWS accepts a signature."""

TOKEN_MEMORY = 1020.0
"""The minimum number of seconds for which EMR Serverless stores a client token."""

RUN_MEMORY = 86_400.0
"""The minimum number of seconds for which an ended run can still be described."""

READ_TIMEOUT = 15.0

URL = "https://aws.example"


@dataclass(slots=True, eq=False)
class Run:
    """A run that AWS accepted. Times are true times in seconds. `memory` is the time for which its token is stored.
    `clone` means that another user copied a run with its tags. `by_queue` means that the run ends before its start,
    because of the time limit of its queue."""

    run_id: str
    token: str | None
    request: Mapping[str, Any]
    accepted: float
    shown: float
    ends: float
    failed: bool
    forgotten: float
    memory: float
    clone: bool = False
    cancelled: bool = False
    starts: float = 0.0
    by_queue: bool = False


@dataclass(slots=True, eq=False)
class Flight:
    """A transmission in progress: the request, the time of its signature by AWS's clock, the latest time of its
    arrival, and what the client receives, which is an exception, a reply, or nothing before its timeout."""

    request: JSON
    token: str
    signed: float
    arrives: float = 0.0
    landed: bool = False
    answer: dict[str, Any] | None = None
    error: Exception | None = None

    @property
    def answered(self) -> bool:
        """Returns whether the client has received a result."""
        return self.answer is not None or self.error is not None


def client_error(status: int, code: str, *, own: bool = True) -> ClientError:
    """Returns an error of AWS, with a request id, or an error of a proxy, without one."""
    headers = {"x-amzn-requestid": "id"} if own else {}
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    return ClientError({"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": metadata}, "Submit")


_ERRORS: dict[str, Callable[[], Exception]] = {
    "500": lambda: client_error(500, "InternalServerException"),
    "proxy 403": lambda: client_error(403, "403", own=False),
    "page 200": lambda: ResponseParserError("not JSON"),
    "reset": lambda: ConnectionClosedError(endpoint_url=URL),
    "throttled": lambda: client_error(429, "TooManyRequestsException"),
    "credentials": lambda: client_error(403, "ExpiredTokenException"),
    "unreachable": lambda: EndpointConnectionError(endpoint_url=URL),
    "connect timeout": lambda: ConnectTimeoutError(endpoint_url=URL),
    "timeout": lambda: ReadTimeoutError(endpoint_url=URL),
    "expired": lambda: client_error(403, "RequestExpired"),
    "conflict": lambda: client_error(409, "ConflictException"),
}


@dataclass(slots=True)
class Cloud:
    """One AWS account. `runs` contains every run that was ever accepted, and `left_out` counts how often descriptions
    omitted each run."""

    timeline: Timeline
    dice: Random
    faults: Faults
    oracle: Oracle
    runs: list[Run] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    glitch_until: float = 0.0

    # --- submitting ---------------------------------------------------------------------------------------------------

    def take_off(self, request: JSON, signed: float) -> Flight:
        """Starts the transmission of a request. `signed` is the time in the signature, by the sender's clock."""
        flight = Flight(request, request["tags"][TOKEN_TAG], signed - EPOCH)
        fate = self.dice.choice(self.faults.fates)
        self.oracle.record("fate", fate)
        now = self.timeline.now
        flight.arrives = now + 0.1
        if fate in {"unreachable", "connect timeout"}:
            flight.error, flight.landed = _ERRORS[fate](), True
        elif fate == "request lost":
            flight.landed = True
        else:
            if fate == "late":
                flight.arrives = now + self._lateness(flight)
            self.oracle.flights.append(flight)
            self.timeline.at(flight.arrives, lambda: self._land(flight, fate))
        return flight

    def _lateness(self, flight: Flight) -> float:
        left = flight.signed + SIGNATURE - self.timeline.now
        if self.faults.edges and left > 0:
            return left - 0.5
        return self.dice.choice((5.0, 20.0, 70.0, 300.0, 850.0, 1000.0))

    def _land(self, flight: Flight, fate: str) -> None:
        flight.landed = True
        if self.timeline.now - flight.signed > SIGNATURE:
            self.oracle.record("cloud", "a signature had expired")
            flight.error = _ERRORS["expired"]()
        elif fate in {"throttled", "credentials"}:
            flight.error = _ERRORS[fate]()
        elif fate == "declined":
            code = "ValidationException" if self.faults.kind == EMR else "ClientException"
            flight.error = client_error(400, code)
            self.oracle.declined.add(flight.token)
        elif fate == "500 before" or (
            fate in {"proxy 403", "page 200", "reset", "empty 200"} and self.dice.random() < 0.4
        ):
            self._answer(flight, fate, None)
        else:
            self._answer(flight, fate, self._accept(flight, cloned=fate == "cloned"))

    def _answer(self, flight: Flight, fate: str, run: Run | None) -> None:
        """Returns the reply for the client. `run` is `None` if the request was not processed."""
        if fate in {"500 before", "500 after"}:
            flight.error = _ERRORS["500"]()
        elif fate in {"proxy 403", "page 200", "reset"}:
            flight.error = _ERRORS[fate]()
        elif fate == "empty 200":
            flight.answer = {}
        elif fate in {"reply lost", "cloned"}:
            pass
        elif run is None:
            flight.error = _ERRORS["conflict"]()
        elif self.faults.kind == EMR:
            flight.answer = {"jobRunId": run.run_id, "arn": "arn", "applicationId": flight.request["applicationId"]}
        else:
            flight.answer = {"jobId": run.run_id, "jobArn": "arn", "jobName": flight.request["jobName"]}

    def _accept(self, flight: Flight, *, cloned: bool) -> Run | None:
        """Returns a new run. If AWS has stored the token, returns its earlier run, or `None` if the token belongs to
        another request."""
        if self.faults.kind == EMR and (known := self._remembered(flight.token)) is not None:
            self.oracle.record("cloud", "a token was remembered")
            return known if self.dice.random() < 0.5 else None
        run = self._run(flight.token, flight.request)
        self.oracle.accepted(run)
        if cloned:
            copy = self._run(flight.token, flight.request)
            copy.clone, copy.shown = True, self.timeline.now
            copy.ends, copy.forgotten, run.shown = run.ends, run.forgotten, copy.shown
            self.oracle.runs[flight.token].append(copy)
            self.oracle.record("cloud", "a run was cloned")
        return run

    def _remembered(self, token: str) -> Run | None:
        now = self.timeline.now
        found = [run for run in self.runs if run.token == token and not run.clone]
        return next((run for run in found if now - run.accepted <= run.memory), None)

    def _run(self, token: str | None, request: Mapping[str, Any]) -> Run:
        now, dice = self.timeline.now, self.dice
        lag = self.faults.lag if self.faults.edges else self.faults.lag * dice.random()
        ends = now + dice.choice((20.0, 600.0, 20_000.0, 20_000.0))
        kept = dice.choice((0.0, 0.0, 4000.0, 1e7))
        starts, by_queue = now + 5, False
        if self.faults.pending_seconds:
            starts = now + dice.choice((5.0, 300.0, 50_000.0, 50_000.0))
            by_queue = 0 < self.faults.queue_seconds < starts - now
            ends = now + self.faults.queue_seconds if by_queue else starts + ends - now
        run = Run(
            f"run-{len(self.runs) + 1}",
            token,
            request,
            now,
            now + lag,
            ends,
            dice.random() < 0.15,
            ends + RUN_MEMORY + kept,
            TOKEN_MEMORY + kept,
            starts=starts,
            by_queue=by_queue,
        )
        self.runs.append(run)
        return run

    # --- what is told -------------------------------------------------------------------------------------------------

    def foreign(self, request: Mapping[str, Any]) -> None:
        """Adds another user's run with the same name, which has no tag or the tag of another submission."""
        self._run(None, request)

    def listed(self) -> Iterator[Run]:
        """Returns the runs in a complete listing at this time."""
        now = self.timeline.now
        if self._glitches(now):
            return iter(())
        return (run for run in self.runs if self._shows(run, now))

    def visible(self, run_id: str) -> Run | None:
        """Returns a run by its id if AWS can describe it at this time."""
        now = self.timeline.now
        return next((run for run in self.runs if run.run_id == run_id and self._shows(run, now)), None)

    def state(self, run: Run) -> str:
        """Returns the service's name for the state of a run."""
        emr, now = self.faults.kind == EMR, self.timeline.now
        if run.cancelled:
            return "CANCELLED" if emr else "FAILED"
        if now < run.ends:
            return "SUBMITTED" if now < run.starts else "RUNNING"
        if run.by_queue:
            return "CANCELLED" if emr else "FAILED"
        if run.failed:
            return "FAILED"
        return "SUCCESS" if emr else "SUCCEEDED"

    def cancel(self, run_id: str) -> None:
        """Stops a run if it is live."""
        run = next((run for run in self.runs if run.run_id == run_id), None)
        if run is not None and self.timeline.now < run.ends:
            run.cancelled, run.by_queue, run.ends = True, False, self.timeline.now
            run.forgotten = min(run.forgotten, run.ends + RUN_MEMORY)

    def live(self) -> list[Run]:
        """Returns our live runs."""
        return [run for run in self.runs if run.token is not None and self.timeline.now < run.ends]

    def waiting(self) -> list[Run]:
        """Returns our runs that have not started and are still waiting."""
        return [run for run in self.live() if self.timeline.now < run.starts]

    def _shows(self, run: Run, now: float) -> bool:
        if now >= run.forgotten:
            return False
        return now >= run.shown or (self.faults.flicker > 0 and self.dice.random() < self.faults.flicker)

    def _glitches(self, now: float) -> bool:
        """Returns whether listings are empty at this time. This happens once per story, for less than a minute."""
        if not self.faults.glitch:
            return False
        intents = self.oracle.intent_times
        if not self.glitch_until and intents and now > intents[-1] + 1300 and self.dice.random() < self.faults.glitch:
            self.glitch_until = now + 5 + 45 * self.dice.random()
            self.oracle.record("cloud", "listings left out everything for a while")
        return now < self.glitch_until


def foreign_request(kind: str) -> dict[str, Any]:
    """Returns a request of another user with the same name."""
    if kind == EMR:
        return {"name": NAME, "applicationId": "app", "tags": {}}
    return {"jobName": NAME.upper(), "jobQueue": "etl", "tags": {}}
