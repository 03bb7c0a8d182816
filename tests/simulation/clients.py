"""Simulates the parts of boto3's clients that the shipped adapters use, with botocore's order of hooks. The machine can
stop between any two hooks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError, ReadTimeoutError

from reconciler.aws.clients import Aws, Client
from reconciler.model.kind import TOKEN_TAG
from tests.simulation.cloud import READ_TIMEOUT, URL, Run, client_error, foreign_request
from tests.simulation.timeline import EPOCH

if TYPE_CHECKING:
    from tests.simulation.command import Command


BY_QUEUE = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job was cancelled by its queue"
TIMED_OUT = "The job run timed out in the queue"
"""The reasons that AWS gives for a run that did not start within the time limit of its queue."""


class SimulatedAws(Aws):
    """The shipped session, whose clients call the simulated cloud."""

    def __init__(self, command: Command) -> None:
        super().__init__("eu-west-1", clock=command.clock)
        self._command = command

    def _make(self, service: str, config: Config) -> Client:
        return (EmrClient if service == "emr-serverless" else BatchClient)(self._command, config.retries)


class Hooks:
    """``client.meta.events``."""

    def __init__(self) -> None:
        self._by_event: dict[str, list[Callable[..., None]]] = {}

    def register_last(self, event: str, hook: Callable[..., None], unique_id: str) -> None:
        """Registers a hook that runs last, as botocore does."""
        assert unique_id
        self._by_event.setdefault(event, []).append(hook)

    def emit(self, event: str) -> None:
        """Calls the registered hooks in order."""
        for hook in self._by_event.get(event, ()):
            hook()


class _Client:
    """One client in one process. `retries` is the value in its `Config`."""

    def __init__(self, command: Command, retries: Mapping[str, Any]) -> None:
        self._command, self._cloud, self._dice = command, command.world.cloud, command.world.dice
        self._attempts = int(retries["total_max_attempts"])
        self._listing: list[dict[str, Any]] = []
        self.meta = SimpleNamespace(events=Hooks(), endpoint_url=URL)

    def close(self) -> None:
        """Does nothing, because there is no connection."""

    def _submit(self, **request: Any) -> dict[str, Any]:
        for attempt in range(self._attempts):
            try:
                return self._transmit(request)
            except (HTTPClientError, ConnectionClosedError, ClientError) as error:
                if attempt == self._attempts - 1 or not _retried(error):
                    raise
                self._command.away("connecting", 1.0)
        raise AssertionError("no attempt")

    def _transmit(self, request: dict[str, Any]) -> dict[str, Any]:
        """Performs one transmission with botocore's steps: prepare, sign, run the last hook, send, receive the
        reply."""
        command, world, token = self._command, self._command.world, request["tags"][TOKEN_TAG]
        self.meta.events.emit("before-call")
        command.away("connecting")
        signed = command.clock.now()
        self.meta.events.emit("before-sign")
        mark = (token, signed - EPOCH)
        command.away("signed")
        self.meta.events.emit("before-send")
        world.oracle.transmitted(command, request, token)
        world.oracle.signed.append(mark)
        try:
            command.away("checked")
        finally:
            world.oracle.signed.remove(mark)
        flight = self._cloud.take_off(request, signed)
        command.away("in flight", READ_TIMEOUT, until=lambda: flight.answered)
        command.away("answered")
        if flight.error is not None:
            raise flight.error
        if flight.answer is None:
            raise ReadTimeoutError(endpoint_url=URL)
        return flight.answer

    def _read(self) -> dict[str, Any] | None:
        """Sometimes replaces the result of a read with an error, or with a successful reply without content."""
        chance = self._command.world.faults.read_faults
        if not chance or self._dice.random() >= chance:
            return None
        self._command.world.oracle.record("cloud", "a read failed")
        roll = self._dice.random()
        if roll < 0.4:
            raise client_error(403, "AccessDeniedException")
        if roll < 0.7:
            raise client_error(500, "InternalServerException")
        return {}

    def _has_ended(self, run: Run) -> bool:
        return self._command.world.timeline.now >= run.ends

    def _page(self, token: str | None, key: str, shown: Callable[[Run], dict[str, Any]]) -> dict[str, Any]:
        """Returns one page of a listing, which contains the runs that existed when its first page was read. With
        `paging`, each page contains one run."""
        start = int(token or 0)
        if not start:
            self._listing = [shown(run) for run in self._cloud.listed()]
        if not self._command.world.faults.paging:
            return {key: self._listing}
        more = {"nextToken": str(start + 1)} if start + 1 < len(self._listing) else {}
        return {key: self._listing[start : start + 1], **more}


class BatchClient(_Client):
    """boto3's ``batch``."""

    def submit_job(self, **request: Any) -> dict[str, Any]:
        """SubmitJob."""
        return self._submit(**request)

    def list_jobs(self, *, jobQueue: str, filters: Any, nextToken: str | None = None) -> dict[str, Any]:  # noqa: N803
        """Simulates ListJobs by name, which ignores case and therefore includes jobs of other users."""
        assert jobQueue
        assert filters
        failed = self._read()
        return self._page(nextToken, "jobSummaryList", lambda run: {"jobId": run.run_id}) if failed is None else failed

    def describe_jobs(self, *, jobs: list[str]) -> dict[str, Any]:
        """Simulates DescribeJobs, which leaves out unknown ids."""
        failed = self._read()
        if failed is not None:
            return failed
        runs = [run for job in jobs if (run := self._cloud.visible(job)) is not None]
        if self._command.world.faults.read_faults and self._dice.random() < 0.3:
            self._command.world.oracle.record("cloud", "tags were unread")
            self._cloud.left_out.update(run.run_id for run in runs[-1:])
            runs = runs[:-1]
        return {"jobs": [self._job(run) for run in runs]}

    def terminate_job(self, *, jobId: str, reason: str) -> dict[str, Any]:  # noqa: N803
        """TerminateJob."""
        assert reason
        self._command.world.oracle.cancelling(self._command, jobId)
        self._cloud.cancel(jobId)
        return {}

    def _job(self, run: Run) -> dict[str, Any]:
        return {
            "jobId": run.run_id,
            "status": self._cloud.state(run),
            "isTerminated": run.cancelled,
            "tags": run.request["tags"] if run.token is not None else {},
            **({"createdAt": int((EPOCH + run.accepted) * 1000)} if self._command.world.faults.pending_seconds else {}),
            **({"isCancelled": True, "statusReason": BY_QUEUE} if run.by_queue and self._has_ended(run) else {}),
        }


class EmrClient(_Client):
    """boto3's ``emr-serverless``."""

    def start_job_run(self, **request: Any) -> dict[str, Any]:
        """StartJobRun."""
        return self._submit(**request)

    def list_job_runs(
        self,
        *,
        applicationId: str,  # noqa: N803
        createdAtAfter: datetime,  # noqa: N803
        maxResults: int,  # noqa: N803
        createdAtBefore: datetime | None = None,  # noqa: N803
        mode: str | None = None,
        nextToken: str | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        """ListJobRuns. The runs in it have no tags. In the simulation, a listing of streaming runs is always empty."""
        assert applicationId
        assert maxResults
        failed = self._read()
        if failed is not None:
            return failed
        if mode is not None:
            return {"jobRuns": []}
        page = self._page(nextToken, "jobRuns", lambda run: {"id": run.run_id, "created": run.accepted})
        after = createdAtAfter.timestamp() - EPOCH
        before = math.inf if createdAtBefore is None else createdAtBefore.timestamp() - EPOCH
        return {**page, "jobRuns": [run for run in page["jobRuns"] if after < run["created"] < before]}

    def get_job_run(self, *, applicationId: str, jobRunId: str) -> dict[str, Any]:  # noqa: N803
        """GetJobRun."""
        assert applicationId
        failed = self._read()
        if failed is not None:
            return failed
        run = self._cloud.visible(jobRunId)
        if run is None:
            raise client_error(404, "ResourceNotFoundException")
        ended = datetime.fromtimestamp(EPOCH + run.ends, UTC)
        tags = run.request["tags"] if run.token is not None else {}
        known = {"jobRunId": run.run_id, "state": self._cloud.state(run), "tags": tags, "endedAt": ended}
        if self._command.world.faults.pending_seconds:
            known["createdAt"] = datetime.fromtimestamp(EPOCH + run.accepted, UTC)
        if run.by_queue and self._has_ended(run):
            known["stateDetails"] = TIMED_OUT
        return {"jobRun": known}

    def cancel_job_run(self, *, applicationId: str, jobRunId: str) -> dict[str, Any]:  # noqa: N803
        """CancelJobRun."""
        assert applicationId
        self._command.world.oracle.cancelling(self._command, jobRunId)
        self._cloud.cancel(jobRunId)
        return {}


def _retried(error: Exception) -> bool:
    """Returns whether botocore would retry after this error."""
    if not isinstance(error, ClientError):
        return True
    return bool(error.response["ResponseMetadata"]["HTTPStatusCode"] in {429, 500})


__all__ = ["SimulatedAws", "foreign_request"]
