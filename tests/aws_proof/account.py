"""Describes the AWS account under test: its region, what may be started, how long to wait, and the started runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

PREFIX = "RECONCILER_AWS_PROOF"
NEEDED = ("REGION", "APPLICATION", "ROLE", "ENTRY_POINT", "QUEUE", "DEFINITION")
"""The required variables, such as ``RECONCILER_AWS_PROOF_REGION``. If one is missing, nothing is tested."""

MOST_RUNS = 30
"""The maximum number of started runs, for both services together. Each run is cancelled at once."""

TAG = "reconciler:token"


def missing(environ: Mapping[str, str]) -> list[str]:
    """Returns the required settings that are missing."""
    return [name for name in (PREFIX, *(f"{PREFIX}_{needed}" for needed in NEEDED)) if not environ.get(name)]


@dataclass
class Account:
    """Contains one account, with clients that transmit each call once. `started` contains functions that cancel the
    started runs."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    started: list[Callable[[], object]] = field(default_factory=list)

    def setting(self, name: str, default: str = "") -> str:
        """Returns the value of a variable of this suite."""
        return self.environ.get(f"{PREFIX}_{name}", default)

    def seconds(self, name: str, default: float) -> float:
        """Returns the length of a wait, which the variable with its name may shorten."""
        return float(self.setting(name, str(default)))

    @cached_property
    def emr(self) -> Any:
        """Returns a client of EMR Serverless."""
        return self._client("emr-serverless")

    @cached_property
    def batch(self) -> Any:
        """Returns a client of AWS Batch."""
        return self._client("batch")

    def _client(self, service: str) -> Any:
        config = Config(retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=3, read_timeout=15)
        return boto3.Session(region_name=self.setting("REGION")).client(service, config=config)

    def run_request(self, token: str, argument: str = "A", **more: object) -> dict[str, Any]:
        """Returns the request for a small Spark run, which ends after five minutes at the latest. A streaming run,
        for which AWS accepts no such limit, ends only when it is cancelled."""
        limit = {} if more.get("mode") == "STREAMING" else {"executionTimeoutMinutes": 5}
        return {
            "applicationId": self.setting("APPLICATION"),
            "executionRoleArn": self.setting("ROLE"),
            "clientToken": token,
            "name": "reconciler-aws-proof",
            "jobDriver": {
                "sparkSubmit": {"entryPoint": self.setting("ENTRY_POINT"), "entryPointArguments": [argument]}
            },
            "tags": {TAG: token},
            **limit,
            **more,
        }

    def start_run(self, token: str, argument: str = "A", **more: object) -> str:
        """Calls StartJobRun once. The run is cancelled at the end of the suite or earlier."""
        self._count()
        run_id = str(self.emr.start_job_run(**self.run_request(token, argument, **more))["jobRunId"])
        self.started.append(lambda: self.stop_run(run_id))
        return run_id

    def stop_run(self, run_id: str) -> None:
        """Calls CancelJobRun, and ignores the error for a run that has ended."""
        with suppress(ClientError):
            self.emr.cancel_job_run(applicationId=self.setting("APPLICATION"), jobRunId=run_id)

    def job_request(self, token: str, name: str) -> dict[str, Any]:
        """Returns the request for a job of the given definition, which ends after one minute at the latest."""
        return {
            "jobName": name,
            "jobQueue": self.setting("QUEUE"),
            "jobDefinition": self.setting("DEFINITION"),
            "timeout": {"attemptDurationSeconds": 60},
            "tags": {TAG: token},
        }

    def submit_job(self, token: str, name: str) -> str:
        """Calls SubmitJob once. The job is terminated at the end of the suite or earlier."""
        self._count()
        job_id = str(self.batch.submit_job(**self.job_request(token, name))["jobId"])
        self.started.append(lambda: self.stop_job(job_id))
        return job_id

    def stop_job(self, job_id: str) -> None:
        """Calls TerminateJob."""
        with suppress(ClientError):
            self.batch.terminate_job(jobId=job_id, reason="reconciler aws-proof has its answer")

    def clean(self) -> None:
        """Stops everything that was started."""
        for stop in self.started:
            stop()
        for service in ("emr", "batch"):
            if service in self.__dict__:
                getattr(self, service).close()

    def _count(self) -> None:
        assert len(self.started) < MOST_RUNS, f"this suite starts {MOST_RUNS} runs at most"


def token() -> str:
    """Returns a new token in the format of the reconciler's tokens."""
    return f"r1-{(uuid4().hex + uuid4().hex)[:48]}"


def seconds_until(seen: Callable[[], bool], at_most: float, step: float) -> float | None:
    """Returns the seconds until a condition was observed, or `None` if it was not observed in time."""
    began = time.monotonic()
    while not seen():
        if time.monotonic() - began > at_most:
            return None
        time.sleep(step)
    return time.monotonic() - began
