"""Provides a project folder, an emulator in a process next to it, and the installed command, which runs against both at
a given time.

Only public interfaces are used: the command, the emulator's control endpoint, and AWS's API. Nothing is imported from
the program, so that this module does not depend on its structure.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from random import randrange
from typing import Any

import boto3

COMMAND = Path(sys.executable).parent / "reconciler"
AT_TIME = Path(__file__).with_name("at_time.py")
ACCOUNT, REGION = "111122223333", "eu-west-1"
PATIENCE = 60.0
"""The number of seconds after which a process is considered to hang."""


@dataclass(frozen=True)
class Done:
    """The result of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The JSON value of standard output."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Aws:
    """An emulator process."""

    port: int

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, what: str, body: object = None) -> Any:
        """Returns the reply of the control endpoint."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, f"/_emulator/{what}", None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        assert answer.status == 200, text
        return json.loads(text)

    def configure(self, **settings: Any) -> None:
        """Changes settings."""
        self.ask("PUT", "settings", settings)

    def set_clock(self, now: str) -> None:
        """Sets the emulator's clock to `now`."""
        self.configure(clock_offset_seconds=datetime.fromisoformat(now).timestamp() - time.time())

    def inject(self, *rules: Mapping[str, Any]) -> None:
        """Replaces the fault plan; without rules there are no faults."""
        self.ask("PUT", "faults", {"rules": list(rules)})

    def runs(self) -> list[dict[str, Any]]:
        """Returns every accepted run, oldest first."""
        runs: list[dict[str, Any]] = self.ask("GET", "runs")["runs"]
        return runs

    def submit_job(self, **request: Any) -> str:
        """Starts a Batch job as another user, and returns its id."""
        with self._batch() as batch:
            job_id: str = batch.submit_job(**request)["jobId"]
        return job_id

    def terminate_job(self, job_id: str) -> None:
        """Stops a Batch job as another user."""
        with self._batch() as batch:
            batch.terminate_job(jobId=job_id, reason="in the way")

    @contextmanager
    def _batch(self) -> Iterator[Any]:
        keys = {"aws_access_key_id": "someone", "aws_secret_access_key": "else"}
        batch = boto3.client("batch", endpoint_url=self.url, region_name=REGION, **keys)
        try:
            yield batch
        finally:
            batch.close()


@contextmanager
def emulator(state: Path) -> Iterator[Aws]:
    """Runs an emulator on a state file. Its runs take five minutes."""
    port = _free_port()
    options = ["--port", str(port), "--state", str(state), "--account", ACCOUNT, "--region", REGION]
    command = ["emulator", *options, "--run-seconds", "300"]
    environ = _environment(state.parent, None)
    nowhere = {"now": None, "out": os.devnull, "err": os.devnull}
    process = _answer({"start": {"arguments": command, "folder": str(state.parent), "environ": environ, **nowhere}})
    try:
        _wait_for(port)
        yield Aws(port)
    finally:
        _answer({"stop": process})


def _free_port() -> int:
    """Returns a port below those that the system gives to sockets without one, so that no other test gets it before the
    emulator listens on it."""
    while True:
        port = randrange(20_000, 30_000)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def _wait_for(port: int) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until, "the emulator does not answer"
            time.sleep(0.05)
        else:
            return


@dataclass
class Sandbox:
    """A project folder at a certain time. Without `aws`, every call to AWS fails."""

    folder: Path
    now: str
    aws: Aws | None = None

    def run(self, *arguments: str | Path, at: str | None = None, **environ: str) -> Done:
        """Runs the command at the time `at` or, by default, `now`."""
        now = at or self.now
        if self.aws is not None:
            self.aws.set_clock(now)
        out, err = (self.folder.with_name(f"{self.folder.name}.{name}") for name in ("out", "err"))
        request = {
            "arguments": [str(argument) for argument in arguments],
            "folder": str(self.folder),
            "environ": {**_environment(self.folder, self.aws), **environ},
            "now": now,
            "out": str(out),
            "err": str(err),
        }
        code = _answer({"run": request})
        return Done(code, out.read_text("utf-8"), err.read_text("utf-8"))


def _answer(request: Mapping[str, Any]) -> int:
    """Sends a request to the process that runs all commands, and returns its answer."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    return int(server.stdout.readline())


@cache
def _server() -> subprocess.Popen[str]:
    """Starts the process that runs commands. That process ends with this one, which holds its standard input."""
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # not measured
    return subprocess.Popen(
        [sys.executable, AT_TIME], env=quiet, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _environment(folder: Path, aws: Aws | None) -> dict[str, str]:
    """Returns the environment of commands, without the developer's AWS, git and CI settings."""
    ours = ("AWS_", "RECONCILER_", "GIT_", "GITHUB_", "CI")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {
        **kept,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9" if aws is None else aws.url,
        "NO_PROXY": "127.0.0.1",
        "GITHUB_ACTOR": "team",
        "RECONCILER_NOTIFY_ALLOWED": "NOWHERE",  # this version requires permission for this name
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
    }
