"""Provides a project in a folder, an AWS emulator next to it, and commands that run against both."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import pytest

from reconciler.app.session import SystemClock
from reconciler.cli import main
from reconciler.core.events import Event
from reconciler.core.identity import Place
from reconciler.emulator import AcceptedRun, Emulator, Settings
from reconciler.ledger.log import Log
from reconciler.ledger.open import open_ledger
from tests.project.preloaded import command
from tests.waiting import PATIENCE_SECONDS

COMMAND = Path(sys.executable).parent / "reconciler"
ACCOUNT, REGION = "111122223333", "eu-west-1"
SQLITE = "sqlite:///ledger.sqlite"
SERVICES = ("EMR_SERVERLESS", "BATCH", "STS")


@dataclass(frozen=True)
class Done:
    """The result of a command: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Returns standard output, which must be one JSON value."""
        return json.loads(self.out)

    def actions(self, *keys: str) -> list[tuple[Any, ...]]:
        """Returns the named fields of each action, in order."""
        return [tuple(action[key] for key in keys) for action in self.json["actions"]]


@dataclass
class World:
    """A project folder with its AWS emulator; `env` is added to the environment of the commands. `processes` counts the
    environments that all worlds have given to processes."""

    processes: ClassVar[int] = 0
    folder: Path
    aws: Emulator
    target: str = "staging"
    env: dict[str, str] = field(default_factory=dict)
    ledger: str = SQLITE

    def init(self) -> None:
        """Creates the ledger, as `ledger init` does."""
        log = self._opened()
        log.create()
        log.close()

    def write(self, name: str, text: str) -> Path:
        """Writes a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def spark(self, name: str, argument: str = "A", **more: str) -> Path:
        """Writes an EMR Serverless spec. `more` contains lines for its `spec:` block, and `labels` its labels."""
        return self.write(f"{name}.yaml", spark_text(name, argument, **more))

    def batch(self, name: str, argument: str = "A", **more: str) -> Path:
        """Writes a Batch spec."""
        return self.write(f"{name}.yaml", batch_text(name, argument, **more))

    def run(self, *arguments: str | Path) -> Done:
        """Runs a command in this process, with the same code as the installed script but without the start-up time."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name, value in self.env.items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            code = main([str(argument) for argument in arguments])
        return Done(code, out.getvalue(), err.getvalue())

    def start(self, *arguments: str | Path, **env: str) -> subprocess.Popen[str]:
        """Starts a command as a separate process."""
        return subprocess.Popen(
            [forked_command(), *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def process(self, *arguments: str | Path, **env: str) -> Done:
        """Runs a command as a separate process, and waits for its end."""
        return finished(self.start(*arguments, **env))

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Returns the environment of a separate process."""
        World.processes += 1
        return {**os.environ, "PYTHONFAULTHANDLER": "1", **self.env, **(more or {})}

    def runs(self) -> list[AcceptedRun]:
        """Returns every run that AWS accepted."""
        return self.aws.runs()

    def sent(self, name: str) -> list[Mapping[str, Any]]:
        """Returns the requests that AWS accepted for a spec, oldest first."""
        owner = f"shop/{self.target}/{name}"
        return [run.request for run in self.runs() if run.request["tags"]["reconciler:spec"] == owner]

    def log(self) -> Log:
        """Opens and reads the ledger."""
        log = self._opened()
        log.refresh()
        return log

    def _opened(self) -> Log:
        place = Place("shop", self.target, ACCOUNT, REGION)
        return open_ledger(self.ledger, self.folder, place, "0", SystemClock())

    def events(self) -> list[Event]:
        """Returns all events of the ledger."""
        log = self.log()
        try:
            return [event for at in range(1, log.recorded.position + 1) for event in log.batch(at)]
        finally:
            log.close()

    def files(self) -> dict[str, bytes]:
        """Returns the content of every file of the project folder."""
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and ".git/" not in path.as_posix()
        }

    def git(self, *arguments: str) -> str:
        """Runs git in the project folder."""
        who = {f"GIT_{role}_{key}": v for role in ("AUTHOR", "COMMITTER") for key, v in _PERSON.items()}
        settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={**os.environ, **who, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, subject: str = "Specs") -> str:
        """Commits everything and returns the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)
        return self.git("rev-parse", "HEAD")


_PERSON = {"NAME": "Team", "EMAIL": "team@example.com"}


def forked_command() -> Path:
    """Returns a `reconciler` command that behaves like the installed one and starts faster."""
    return command() / "reconciler"


def finished(process: subprocess.Popen[str], patience: float = PATIENCE_SECONDS) -> Done:
    """Waits for a process. A process that does not end is killed, and the failure message shows the stacks of its
    threads."""
    try:
        out, err = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate()
        raise AssertionError(f"the command did not end:\n{out}\n{err}") from None
    return Done(process.returncode, out, err)


def all_finished(processes: Sequence[subprocess.Popen[str]]) -> list[Done]:
    """Waits for several processes, one after the other."""
    return [finished(process) for process in processes]


def spark_text(name: str, argument: str = "A", labels: str = "{}", **policy: str) -> str:
    """Returns an EMR Serverless spec with one argument that tests vary."""
    return f"""\
apiVersion: reconciler/v1
kind: EmrServerlessJobRun
metadata:
  name: {name}
  labels: {labels}
spec:{_lines(policy)}
  request:
    applicationId: 00app0spark
    executionRoleArn: arn:aws:iam::{ACCOUNT}:role/jobs
    jobDriver:
      sparkSubmit:
        entryPoint: s3://shop-jobs/{name}.py
        entryPointArguments: ["{argument}"]
"""


def batch_text(name: str, argument: str = "A", labels: str = "{}", **policy: str) -> str:
    """Returns a Batch spec with one argument that tests vary."""
    return f"""\
apiVersion: reconciler/v1
kind: BatchJob
metadata:
  name: {name}
  labels: {labels}
spec:{_lines(policy)}
  request:
    jobQueue: nightly
    jobDefinition: worker:1
    containerOverrides:
      command: ["work", "{argument}"]
"""


def sealed(form: Mapping[str, Any]) -> str:
    """Returns a plan file with a recomputed seal, which needs no key."""
    content = {key: value for key, value in form.items() if key != "seal"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return json.dumps({**content, "seal": f"sha256:{sha256(text.encode()).hexdigest()}"})


def _lines(policy: Mapping[str, str]) -> str:
    return "".join(f"\n  {key}: {value}" for key, value in policy.items())


PROJECT = """\
apiVersion: reconciler/v1
kind: Project
metadata: {{name: shop}}
spec:{more}
  defaultTarget: {default}
  targets:
    local: {{emulator: {{runSeconds: 0}}}}
    staging:
      account: "{account}"
      region: {region}
      ledger: {ledger}{limits}
"""


def project_text(default: str = "staging", limits: str = "", more: str = "", ledger: str = SQLITE) -> str:
    """Returns the project file. `limits` and `more` are further lines, with their indentation."""
    return PROJECT.format(default=default, limits=limits, more=more, ledger=ledger, account=ACCOUNT, region=REGION)


def aws_environment(url: str) -> dict[str, str]:
    """Returns the environment variables that connect boto3 to the emulator at `url`."""
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    return keys | {f"AWS_ENDPOINT_URL_{service}": url for service in SERVICES}


def standin(run_seconds: float | None = None, port: int = 0, **more: Any) -> Emulator:
    """Creates a fake AWS that accepts every request. Runs continue until they are stopped, or take `run_seconds`."""
    settings = Settings(account=ACCOUNT, region=REGION, start_seconds=0, run_seconds=run_seconds, stop_seconds=0)
    return Emulator(None, settings.changed(more), port=port)
