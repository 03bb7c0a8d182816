"""Serves AWS's calls in a separate process, fast and without faults, so that only the caller is measured.

The server stores what was submitted, and counts calls by operation. `StubAws` starts it and sets the caller's
environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import Request, urlopen

ACCOUNT, REGION = "111122223333", "eu-west-1"
BATCH_PAGE, EMR_PAGE = 100, 50
REQUEST_ID = "11111111-2222-3333-4444-555555555555"
IDENTITY = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>\
<Arn>arn:aws:iam::{ACCOUNT}:user/bench</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>\
</GetCallerIdentityResult><ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>\
</GetCallerIdentityResponse>"""


class Cloud:
    """Jobs and runs by id, and the received calls."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.state = {"jobs": "RUNNING", "runs": "RUNNING"}

    def answer(self, method: str, target: str, body: bytes) -> bytes:
        """Returns the body of the reply to one request."""
        parts = urlsplit(target)
        path = [unquote(part) for part in parts.path.split("/") if part]
        if path[:1] == ["stub"]:
            return self._control(path[1], body)
        if path[:1] == ["v1"]:
            return self._batch(path[1], json.loads(body))
        if path[:1] == ["applications"]:
            return self._emr(method, path, dict(parse_qs(parts.query)), body)
        self.calls["GetCallerIdentity"] += 1
        return IDENTITY.encode()

    def _control(self, what: str, body: bytes) -> bytes:
        if what == "reset":
            self.calls.clear()
        if what == "state":
            self.state |= json.loads(body)
        if what == "jobs":
            for form in json.loads(body):
                self.jobs[f"{len(self.jobs):08x}-aaaa-bbbb-cccc-dddddddddddd"] = {
                    **form,
                    "createdAt": 1_764_400_000_000,
                }
            return json.dumps([*self.jobs]).encode()
        return json.dumps(self.calls).encode()

    def _batch(self, operation: str, form: dict[str, Any]) -> bytes:
        if operation == "submitjob":
            self.calls["SubmitJob"] += 1
            job_id = f"{len(self.jobs):08x}-aaaa-bbbb-cccc-dddddddddddd"
            self.jobs[job_id] = {**form, "createdAt": int(time.time() * 1000)}
            name = form["jobName"]
            return json.dumps({"jobId": job_id, "jobName": name, "jobArn": _arn(job_id)}).encode()
        if operation == "describejobs":
            self.calls["DescribeJobs"] += 1
            jobs = [_described(job_id, self.jobs[job_id], self.state["jobs"]) for job_id in form["jobs"]]
            return json.dumps({"jobs": jobs}).encode()
        self.calls["ListJobs"] += 1
        wanted = form.get("filters", [{}])[0]
        jobs = [
            {"jobId": job_id, "jobName": job["jobName"], "status": self.state["jobs"], "createdAt": job["createdAt"]}
            for job_id, job in self.jobs.items()
            if job["jobQueue"] == form["jobQueue"] and (wanted.get("name") != "JOB_NAME" or _matches(job, wanted))
        ]
        return _page(jobs, "jobSummaryList", form.get("nextToken"), BATCH_PAGE)

    def _emr(self, method: str, path: list[str], query: Mapping[str, list[str]], body: bytes) -> bytes:
        application = path[1]
        if method == "POST":
            self.calls["StartJobRun"] += 1
            run_id = f"00{len(self.runs):014x}"
            self.runs[run_id] = {**json.loads(body), "applicationId": application, "createdAt": time.time()}
            arn = f"arn:aws:emr-serverless:{REGION}:{ACCOUNT}:/applications/{application}/jobruns/{run_id}"
            return json.dumps({"applicationId": application, "jobRunId": run_id, "arn": arn}).encode()
        if len(path) > 3:
            self.calls["GetJobRun"] += 1
            return json.dumps({"jobRun": self._run(path[3], "jobRunId")}).encode()
        self.calls["ListJobRuns"] += 1
        states = query.get("states", [self.state["runs"]])
        runs = [
            self._run(run_id, "id")
            for run_id, run in reversed(self.runs.items())
            if run["applicationId"] == application and self.state["runs"] in states and "mode" not in query
        ]
        return _page(runs, "jobRuns", query.get("nextToken", [None])[0], EMR_PAGE)

    def _run(self, run_id: str, id_name: str) -> dict[str, Any]:
        run = self.runs[run_id]
        names = ("applicationId", "name", "createdAt", *(("tags",) if id_name == "jobRunId" else ()))
        return {
            id_name: run_id,
            **{name: run[name] for name in names if name in run},
            "arn": f"arn:aws:emr-serverless:{REGION}:{ACCOUNT}:/applications/{run['applicationId']}/jobruns/{run_id}",
            "createdBy": f"arn:aws:iam::{ACCOUNT}:user/bench",
            "updatedAt": run["createdAt"],
            "executionRole": run["executionRoleArn"],
            "state": self.state["runs"],
            "stateDetails": "",
            "releaseLabel": "emr-7.5.0",
            "jobDriver": run.get("jobDriver", {}),
        }


def _matches(job: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return bool(job["jobName"].lower() == wanted["values"][0].lower())


def _page(items: list[dict[str, Any]], name: str, token: str | None, size: int) -> bytes:
    start = int(token or 0)
    more = {"nextToken": str(start + size)} if start + size < len(items) else {}
    return json.dumps({name: items[start : start + size], **more}).encode()


def _arn(job_id: str) -> str:
    return f"arn:aws:batch:{REGION}:{ACCOUNT}:job/{job_id}"


def _described(job_id: str, job: Mapping[str, Any], state: str) -> dict[str, Any]:
    """Returns a description with the fields that AWS returns for an ordinary running job, about 2 kB."""
    began = job["createdAt"]
    container = {
        "image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/jobs:2026-11-01",
        "command": job.get("containerOverrides", {}).get("command", []),
        "environment": job.get("containerOverrides", {}).get("environment", []),
        "volumes": [],
        "mountPoints": [],
        "ulimits": [],
        "secrets": [],
        "networkInterfaces": [{"attachmentId": "eni-attach-1", "privateIpv4Address": "10.0.0.7"}],
        "resourceRequirements": [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "4096"}],
        "containerInstanceArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:container-instance/bench/0123456789abcdef",
        "taskArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/bench/0123456789abcdef0123456789abcdef",
        "logStreamName": "jobs/default/0123456789abcdef0123456789abcdef",
        "jobRoleArn": f"arn:aws:iam::{ACCOUNT}:role/job",
        "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/execution",
        "logConfiguration": {"logDriver": "awslogs", "options": {}, "secretOptions": []},
    }
    return {
        "jobId": job_id,
        "jobArn": _arn(job_id),
        "jobName": job["jobName"],
        "jobQueue": f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/{job['jobQueue']}",
        "jobDefinition": f"arn:aws:batch:{REGION}:{ACCOUNT}:job-definition/{job['jobDefinition']}",
        "status": state,
        "attempts": [],
        "statusReason": "",
        "createdAt": began,
        "startedAt": began + 1000,
        **({} if state == "RUNNING" else {"stoppedAt": began + 5000}),
        "dependsOn": [],
        "parameters": job.get("parameters", {}),
        "container": container,
        "timeout": {"attemptDurationSeconds": 7200},
        "tags": job.get("tags", {}),
        "propagateTags": False,
        "platformCapabilities": ["EC2"],
        "eksAttempts": [],
    }


class _Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud, self._data = cloud, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers each whole request."""
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].decode("latin-1")
            length = next(
                (int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0
            )
            if len(self._data) < end + 4 + length:
                return
            body, self._data = self._data[end + 4 : end + 4 + length], self._data[end + 4 + length :]
            method, target, _ = head.split(" ", 2)
            answer = self._cloud.answer(method, target, body)
            kind = "text/xml" if answer[:1] == b"<" else "application/json"
            lines = (
                f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nx-amzn-RequestId: {REQUEST_ID}\r\n"
                f"Date: {formatdate(usegmt=True)}\r\nContent-Length: {len(answer)}\r\n\r\n"
            )
            self._transport.write(lines.encode() + answer)


async def _serve() -> None:
    cloud = Cloud()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(cloud), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@dataclass(frozen=True)
class StubAws:
    """A running server."""

    url: str

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables with which boto3 calls this server."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RECONCILER_"))}
        return kept | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def calls(self, *, reset: bool = False) -> dict[str, int]:
        """The number of calls by operation."""
        return dict(self._ask("counts") if not reset else {**self._ask("counts"), **self._ask("reset")})

    def have(self, jobs: Sequence[Mapping[str, Any]]) -> list[str]:
        """Adds Batch jobs, as if they had been submitted. Returns the ids of all jobs."""
        with urlopen(Request(f"{self.url}/stub/jobs", data=json.dumps(jobs).encode())) as reply:
            return [str(job_id) for job_id in json.loads(reply.read())]

    def become(self, **state: str) -> None:
        """Sets the state of all jobs, of all runs, or both."""
        self._ask("state", json.dumps(state).encode())

    def _ask(self, what: str, body: bytes | None = None) -> dict[str, int]:
        with urlopen(Request(f"{self.url}/stub/{what}", data=body)) as reply:
            return dict(json.loads(reply.read()))


@contextmanager
def serving() -> Iterator[StubAws]:
    """Runs a server in a separate process."""
    process = subprocess.Popen([sys.executable, Path(__file__)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield StubAws(f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    asyncio.run(_serve())
