"""Describes the operations of each service on `FakeAws`: builds answers from runs, for tests of both adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from reconciler.aws import batch, batch_runs, emr_serverless, emr_serverless_runs
from reconciler.aws.clients import Aws
from reconciler.core.ports import RunRef, Service, Wanted
from tests.aws.fake_aws import Answer, Handler

SINCE = "2026-11-22T02:00:00.000Z"


class Wire:
    """One service: the names of its operations, its states and its locations."""

    connect: Callable[[Aws], Service]
    service: str
    states: ClassVar[Mapping[str, str]]
    state_shape: str
    location: ClassVar[Mapping[str, str]]
    other_location: ClassVar[Mapping[str, str]]
    listing_operation: str
    describing_operation: str
    cancelling_operation: str
    empty_listing: ClassVar[Mapping[str, Any]]

    def run(self, run_id: str, state: str = "RUNNING", token: str | None = None, **more: object) -> dict[str, Any]:
        """Returns one run as the service describes it."""
        raise NotImplementedError

    def listing(self, *pages: list[str]) -> Handler:
        """Returns an answer to a listing, with these pages of run ids."""
        raise NotImplementedError

    def describing(self, *runs: dict[str, Any]) -> Handler:
        """Returns an answer that describes these runs and no others."""
        raise NotImplementedError

    def ref(self, number: int) -> RunRef:
        """Returns the run ``run-NUMBER`` of the submission ``r1-NUMBER``."""
        return RunRef(f"r1-{number}", f"run-{number}", self.location, since=SINCE)

    def wanted(self, *tokens: str, since: str = SINCE) -> list[Wanted]:
        """Returns submissions in one location."""
        return [Wanted(token, self.location, since) for token in tokens]


class BatchWire(Wire):
    """AWS Batch."""

    connect = staticmethod(batch.connect)
    service = "batch"
    states = batch_runs.STATES
    state_shape = "JobStatus"
    location: ClassVar[Mapping[str, Any]] = {"jobQueue": "spot", "jobName": "orders"}
    other_location: ClassVar[Mapping[str, Any]] = {"jobQueue": "gone", "jobName": "orders"}
    listing_operation, describing_operation, cancelling_operation = "ListJobs", "DescribeJobs", "TerminateJob"
    empty_listing: ClassVar[Mapping[str, Any]] = {"jobSummaryList": []}

    def run(self, run_id: str, state: str = "RUNNING", token: str | None = None, **more: object) -> dict[str, Any]:
        """Returns one job as in DescribeJobs."""
        tags = {} if token is None else {"tags": {"reconciler:token": token}}
        return {"jobId": run_id, "jobName": "orders", "jobQueue": "spot", "status": state, **tags, **more}

    def listing(self, *pages: list[str]) -> Handler:
        """Returns an answer to ListJobs."""

        def answer(given: dict[str, Any]) -> Answer:
            number = int(given.get("nextToken", "0"))
            form: dict[str, Any] = {"jobSummaryList": [{"jobId": each, "jobName": "orders"} for each in pages[number]]}
            return 200, form | ({"nextToken": str(number + 1)} if number + 1 < len(pages) else {})

        return answer

    def describing(self, *runs: dict[str, Any]) -> Handler:
        """Returns an answer to DescribeJobs, which leaves out unknown ids."""

        def answer(given: dict[str, Any]) -> Answer:
            assert len(given["jobs"]) <= 100
            return 200, {"jobs": [each for each in runs if each["jobId"] in given["jobs"]]}

        return answer


class EmrWire(Wire):
    """EMR Serverless."""

    connect = staticmethod(emr_serverless.connect)
    service = "emr-serverless"
    states = emr_serverless_runs.STATES
    state_shape = "JobRunState"
    location: ClassVar[Mapping[str, Any]] = {"applicationId": "00app"}
    other_location: ClassVar[Mapping[str, Any]] = {"applicationId": "00gone"}
    listing_operation, describing_operation, cancelling_operation = "ListJobRuns", "GetJobRun", "CancelJobRun"
    empty_listing: ClassVar[Mapping[str, Any]] = {"jobRuns": []}

    def run(self, run_id: str, state: str = "RUNNING", token: str | None = None, **more: object) -> dict[str, Any]:
        """Returns one run as in GetJobRun."""
        tags = {} if token is None else {"tags": {"reconciler:token": token}}
        return {"applicationId": "00app", "jobRunId": run_id, "state": state, **tags, **more}

    def listing(self, *pages: list[str], state: str = "RUNNING") -> Handler:
        """Returns an answer to ListJobRuns. All runs are in one state."""

        def answer(given: dict[str, Any]) -> Answer:
            number = int(given.get("nextToken", ["0"])[0])
            form: dict[str, Any] = {"jobRuns": [{"id": run_id, "state": state} for run_id in pages[number]]}
            return 200, form | ({"nextToken": str(number + 1)} if number + 1 < len(pages) else {})

        return answer

    def describing(self, *runs: dict[str, Any]) -> Handler:
        """Returns an answer to GetJobRun. An unknown id is an error."""
        by_id = {each["jobRunId"]: each for each in runs}

        def answer(given: dict[str, Any]) -> Answer:
            run = by_id.get(given["jobRunId"])
            return (404, "ResourceNotFoundException") if run is None else (200, {"jobRun": run})

        return answer


BATCH, EMR = BatchWire(), EmrWire()
